//! Since when there is silence, and whose fault that is.

use sandpit_cores::{Channel, Watch};
use sandpit_types::{MarketEvent, MarketTime};

use tokio::time::Instant;

use crate::rest::SKEW;

/// When the connection was heard last, real time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    any: Instant,
    channels: [Instant; 3],
    /// Since when the stream seems to be silent.
    pub(super) doubted: Option<Instant>,
}

impl Silence {
    /// It begins now: a connection is open, or its silence was explained.
    pub(super) const fn new(now: Instant) -> Self {
        Self { any: now, channels: [now; 3], doubted: None }
    }

    /// Something came of a channel.
    pub(super) const fn heard(&mut self, channel: Channel, now: Instant) {
        self.any = now;
        self.channels[channel as usize] = now;
    }

    /// Since when a watch hears nothing.
    pub(super) const fn since(&self, watch: &Watch) -> Instant {
        if watch.steady { self.channels[watch.channel as usize] } else { self.any }
    }
}

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

    /// REST answered a request. One that comes too soon cannot know of anything newer, and does not count.
    pub(super) fn answered(&mut self, events: &[MarketEvent], now: MarketTime) {
        if self.listens && now > self.since + SKEW {
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
        let at = MarketTime::from_secs;
        let event = |secs| [MarketEvent::SessionClose(at(secs))];
        let mut excuse = Excuse::default();
        excuse.answered(&event(0), at(30));
        assert!(!excuse.take(), "a stream that was live is not excused");
        excuse.heard(at(50));
        excuse.ask();
        assert!(excuse.is_asked() && !excuse.take());
        excuse.answered(&event(55), at(60));
        assert!(!excuse.is_asked() && excuse.take(), "unless REST was asked");
        excuse.opened(at(100));
        assert!(!excuse.take(), "REST did not answer");
        excuse.answered(&event(99), at(105));
        assert!(!excuse.take(), "it could not know yet");
        excuse.answered(&event(105), at(106));
        assert!(excuse.take());
        assert!(!excuse.take(), "each answer serves once");
        excuse.answered(&event(90), at(107));
        assert!(excuse.take());
        excuse.answered(&event(106), at(108));
        assert!(!excuse.take(), "there was something to tell");
        excuse.opened(at(200));
        let excused = (0..2 * MAX_EXCUSED).filter(|_| {
            excuse.answered(&[], at(206));
            excuse.take()
        });
        assert_eq!(excused.count() as u32, MAX_EXCUSED);
    }
}
