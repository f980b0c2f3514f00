//! Whose fault a silence is.

use sandpit_types::{MarketEvent, MarketTime};

use crate::rest::SKEW;

/// Silences in a row that are excused at most: a quarter of an hour, as long as a market-wide halt lasts, at
/// the usual patience of 10 s. A connection made in vain is cheap.
const MAX_EXCUSED: u32 = 90;

/// What REST says about a connection that is silent: when there is nothing newer there either, the market is
/// quiet, and another connection would be as silent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Excuse {
    /// The newest thing that the connection did, market time: it opened, or delivered.
    since: MarketTime,
    /// Whether REST's answers are about this silence.
    listens: bool,
    answers: u32,
    newer: bool,
    excused: u32,
}

impl Excuse {
    /// A connection is open. The polls that carry the data until it has proven itself are about it, too.
    pub(super) fn opened(&mut self, now: MarketTime) {
        *self = Self { since: now, listens: true, ..Self::default() };
    }

    /// The connection delivered: its next silence is another one.
    pub(super) fn heard(&mut self, now: MarketTime) {
        *self = Self { since: now, ..Self::default() };
    }

    /// REST is asked about a silence.
    pub(super) const fn ask(&mut self) {
        (self.listens, self.answers, self.newer) = (true, 0, false);
    }

    /// REST answered.
    pub(super) fn answered(&mut self, events: &[MarketEvent]) {
        if self.listens {
            self.answers += 1;
            self.newer |= events.iter().any(|event| event.time() > self.since + SKEW);
        }
    }

    /// Whether REST was asked about this silence and has yet to answer.
    pub(super) const fn is_asked(&self) -> bool {
        self.listens && self.answers == 0
    }

    /// Whether the stream is not at fault for its silence. Each answer serves once.
    pub(super) const fn take(&mut self) -> bool {
        let is_excused = self.listens && self.answers > 0 && !self.newer && self.excused < MAX_EXCUSED;
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
        excuse.heard(MarketTime::from_secs(50));
        excuse.ask();
        assert!(excuse.is_asked() && !excuse.take());
        excuse.answered(&event(55));
        assert!(!excuse.is_asked() && excuse.take(), "unless REST was asked");
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
