//! Whose fault a silence is.

use sandpit_types::{MarketEvent, MarketTime};

use crate::rest::SKEW;

/// Silences in a row that are excused at most: a quarter of an hour, as long as a market-wide halt lasts, at
/// the usual patience of 10 s. A connection made in vain is cheap.
const MAX_EXCUSED: u32 = 90;

/// What REST says about a connection that has brought nothing yet: when there is nothing newer there either,
/// the market is quiet, and another connection would be as silent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Excuse {
    opened: Option<MarketTime>,
    answers: u32,
    newer: bool,
    excused: u32,
}

impl Excuse {
    /// A connection is open.
    pub(super) fn opened(&mut self, now: MarketTime) {
        *self = Self { opened: Some(now), ..Self::default() };
    }

    /// REST answered.
    pub(super) fn answered(&mut self, events: &[MarketEvent]) {
        let Some(opened) = self.opened else { return };
        self.answers += 1;
        self.newer |= events.iter().any(|event| event.time() > opened + SKEW);
    }

    /// The connection delivered: its next silence is another one.
    pub(super) const fn heard(&mut self) {
        self.opened = None;
    }

    /// Whether the stream is not at fault for its silence. Each answer serves once.
    pub(super) const fn take(&mut self) -> bool {
        let is_excused =
            self.opened.is_some() && self.answers > 0 && !self.newer && self.excused < MAX_EXCUSED;
        if is_excused {
            self.answers = 0;
            self.excused += 1;
        }
        is_excused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_excused_while_rest_knows_nothing_newer() {
        let event = |secs| [MarketEvent::SessionOpen(MarketTime::from_secs(secs))];
        let mut excuse = Excuse::default();
        excuse.answered(&event(0));
        assert!(!excuse.take(), "a stream that was live is not excused");
        excuse.opened(MarketTime::from_secs(100));
        assert!(!excuse.take(), "REST did not answer");
        excuse.answered(&event(105));
        assert!(excuse.take());
        assert!(!excuse.take(), "each answer serves once");
        excuse.answered(&event(90));
        assert!(excuse.take());
        excuse.answered(&event(106));
        assert!(!excuse.take(), "there was something to tell");
        excuse.opened(MarketTime::from_secs(200));
        let excused = (0..2 * MAX_EXCUSED).filter(|_| {
            excuse.answered(&[]);
            excuse.take()
        });
        assert_eq!(excused.count() as u32, MAX_EXCUSED);
    }
}
