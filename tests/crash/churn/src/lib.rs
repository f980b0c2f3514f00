//! A strategy without any sense, for the crash suite: it sends, replaces and cancels orders of every kind,
//! every few quotes, by seeded chance. It rests until a quote of [`WORK`] shares tells it to work, and rests
//! again at one of [`REST`]. One of [`GROW`] makes it take memory, if its manifest says how much.

mod act;

use sandpit_sdk::{Ctx, Description, EventKinds, Quote, Strategy, export};
use serde::Deserialize;

use crate::act::Act;

/// The size of a bid at which it begins to work.
pub const WORK: f64 = 900_001.0;
/// The size of a bid at which it rests.
pub const REST: f64 = 900_002.0;
/// The size of a bid from which on it grows.
pub const GROW: f64 = 900_003.0;

/// It acts at every so manieth quote.
const QUOTES_AN_ACT: u64 = 3;
/// It grows by so much at a quote: that is done long before the deadline of an event.
const GROWTH_BYTES: usize = 8 << 20;

/// The strategy, and at once what the operator may set.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Churn {
    /// Whether it works from the start.
    works: bool,
    /// Whether it keeps to market and limit orders by themselves.
    simple: bool,
    /// How far it grows when it is told to, megabytes.
    grow_mb: usize,
    #[serde(skip)]
    grows: bool,
    #[serde(skip)]
    grown: Vec<Vec<u8>>,
}

export!(Churn);

impl Strategy for Churn {
    fn describe() -> Description {
        Description {
            name: "Churn",
            version: env!("CARGO_PKG_VERSION"),
            instruments: &["SPY"],
            wants: EventKinds { quote: true, ..EventKinds::NONE },
            ..Description::DEFAULT
        }
    }

    fn init(parameters: &str, _instruments: &[String]) -> Result<Self, String> {
        serde_json::from_str(parameters).map_err(|error| format!("parameters: {error}"))
    }

    fn on_quote(&mut self, ctx: &mut Ctx<'_>, quote: &Quote) {
        if quote.bid_size == WORK || quote.bid_size == REST {
            self.works = quote.bid_size == WORK;
            return;
        }
        self.grows |= quote.bid_size == GROW;
        if self.grows {
            self.grow();
        }
        if self.works && quote.is_two_sided() && ctx.random().is_multiple_of(QUOTES_AN_ACT) {
            Act::new(ctx, quote).any(self.simple);
        }
    }
}

impl Churn {
    /// Memory that nobody has written to is not held.
    fn grow(&mut self) {
        if self.grown.len() * GROWTH_BYTES < self.grow_mb << 20 {
            self.grown.push(vec![1; GROWTH_BYTES]);
        }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_sdk::{Harness, Intent, OrderClass, OrderKind};

    use super::*;

    fn worked(parameters: &str) -> Harness<Churn> {
        let mut desk = Harness::<Churn>::new(parameters, &["SPY"]).expect("good parameters");
        desk.open_session();
        for n in 0..3_000 {
            let bid = 100.0 + f64::from(n % 7) / 100.0;
            desk.quote(0, bid, bid + 0.02);
        }
        desk
    }

    #[test]
    fn it_rests_until_it_is_told_to_work() {
        assert!(worked("{}").submits().is_empty());
        assert!(!worked(r#"{"works":true}"#).submits().is_empty());
        assert!(Harness::<Churn>::new(r#"{"work":true}"#, &["SPY"]).is_err());
    }

    #[test]
    fn it_grows_as_far_as_it_may() {
        for (parameters, expected_mb) in [(r#"{"grow_mb":40}"#, 40), ("{}", 0)] {
            let mut churn = Churn::init(parameters, &[]).expect("good parameters");
            (0..100).for_each(|_| churn.grow());
            assert_eq!(churn.grown.iter().map(Vec::len).sum::<usize>(), expected_mb << 20);
        }
    }

    #[test]
    fn it_does_everything_there_is_unless_it_keeps_to_the_simple() {
        let check = |parameters: &str, everything: bool| {
            let desk = worked(parameters);
            let (intents, submits) = (desk.intents(), desk.submits());
            let has_class = |class: fn(&OrderClass) -> bool| submits.iter().any(|it| class(&it.class));
            let has_kind = |kind: fn(&OrderKind) -> bool| submits.iter().any(|it| kind(&it.kind));
            let has = |intent: fn(&Intent) -> bool| intents.iter().any(intent);
            assert!(has_kind(|kind| matches!(kind, OrderKind::Market)));
            assert!(has_kind(|kind| matches!(kind, OrderKind::Limit(_))));
            assert!(has(|intent| matches!(intent, Intent::Cancel(_))));
            assert!(has(|intent| matches!(intent, Intent::CancelAll)));
            for (what, found) in [
                ("stop", has_kind(|kind| matches!(kind, OrderKind::Stop(_)))),
                ("stop-limit", has_kind(|kind| matches!(kind, OrderKind::StopLimit { .. }))),
                ("trailing stop", has_kind(|kind| matches!(kind, OrderKind::TrailingStop(_)))),
                ("bracket", has_class(|class| matches!(class, OrderClass::Bracket { .. }))),
                ("oco", has_class(|class| matches!(class, OrderClass::Oco(_)))),
                ("oto", has_class(|class| matches!(class, OrderClass::OtoStopLoss(_)))),
                ("replace", has(|intent| matches!(intent, Intent::Replace(_)))),
                ("close", has(|intent| matches!(intent, Intent::ClosePosition { .. }))),
            ] {
                assert_eq!(found, everything, "{what} with {parameters}");
            }
        };
        check(r#"{"works":true}"#, true);
        check(r#"{"works":true,"simple":true}"#, false);
    }
}
