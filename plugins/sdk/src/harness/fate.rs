//! What may go wrong around a strategy, for property tests.

use super::Harness;
use crate::{Qty, Strategy, StreamHealth};

/// Something that befalls a strategy; it lasts until something else of its kind comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing new.
    Quiet,
    /// Fills are capped at that many shares; zero means that nothing fills.
    FillsUpTo(Qty),
    /// Orders fill wholly again.
    FillsWholly,
    /// Every order is refused, for that reason.
    Refuses(&'static str),
    /// Orders are taken again.
    Takes,
    /// An order's update is delivered before its fill, or after it.
    UpdatesFirst(bool),
    /// The strategy is saved and starts another life.
    Restarts,
    /// Market data arrive in another way.
    Health(StreamHealth),
}

impl Fate {
    /// The fate that a number stands for: half of them are quiet, and what eases is likelier than what hurts,
    /// so that a run of them also trades.
    pub fn pick(number: u32) -> Self {
        let rest = number / 24;
        match number % 24 {
            0 | 1 => Self::FillsUpTo(Qty::shares(i64::from(rest % 100))),
            2..=4 => Self::FillsWholly,
            5 => Self::Refuses(if rest.is_multiple_of(2) { "no-lease" } else { "stale-data" }),
            6..=8 => Self::Takes,
            9 => Self::UpdatesFirst(rest.is_multiple_of(2)),
            10 => Self::Restarts,
            11 => Self::Health(if rest.is_multiple_of(2) {
                StreamHealth::Stale
            } else {
                StreamHealth::Fallback
            }),
            12 | 13 => Self::Health(StreamHealth::Live),
            _ => Self::Quiet,
        }
    }
}

impl<S: Strategy> Harness<S> {
    /// Lets it happen.
    ///
    /// # Panics
    /// When it is a restart and the strategy does not start again on the parameters and symbols it has, or
    /// does not take what it saved.
    pub fn befall(&mut self, fate: Fate) {
        match fate {
            Fate::Quiet => {}
            Fate::FillsUpTo(most) => self.limit_fills(Some(most)),
            Fate::FillsWholly => self.limit_fills(None),
            Fate::Refuses(reason) => self.refuse(Some(reason)),
            Fate::Takes => self.refuse(None),
            Fate::UpdatesFirst(first) => self.updates_first(first),
            Fate::Health(health) => self.stream_health(health),
            Fate::Restarts => {
                let (parameters, symbols) = (self.parameters.clone(), self.symbols.clone());
                let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
                self.restart(&parameters, &symbols).expect("it has started on these before");
            }
        }
    }

    /// Ends what went wrong: everything is taken, fills wholly, and prices are live.
    pub fn ease(&mut self) {
        [Fate::Takes, Fate::FillsWholly, Fate::Health(StreamHealth::Live)]
            .into_iter()
            .for_each(|fate| self.befall(fate));
    }

    /// Whether orders are refused now.
    pub fn is_refusing(&self) -> bool {
        self.desk.is_refusing()
    }
}
