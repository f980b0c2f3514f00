//! Where data messages leave: each to the feeds it belongs to, at once or fifteen minutes later.

use std::{collections::VecDeque, time::Duration};

use sandpit_types::MarketTime;

use super::{Encoding, Feed, Payload, Subscription, test_market::TestMarket};
use crate::{stream::hub::Hub, wire::market::MarketMessage};

/// How much later the delayed feed tells everything, in market time.
pub(crate) const DELAY: Duration = Duration::from_secs(15 * 60);
/// Most messages that wait for the delayed feed (about 80 MB). It never tells of those that find no room.
const MAX_DELAYED: usize = 400_000;
/// With so many waiting, quotes find no room any more: the rest is for trades and bars on a busy market.
const MAX_DELAYED_QUOTES: usize = 300_000;

/// The listeners of market data, and what is still to be told them.
#[derive(Debug)]
pub struct Outlet {
    hub: Hub<Subscription, Payload>,
    delayed: VecDeque<(MarketTime, MarketMessage)>,
    test: TestMarket,
}

impl Outlet {
    /// The outlet of a run that starts at `start`.
    pub(crate) fn new(seed: u64, start: MarketTime) -> Self {
        Self { hub: Hub::default(), delayed: VecDeque::new(), test: TestMarket::new(seed, start) }
    }

    /// Who listens.
    pub(crate) fn hub(&mut self) -> &mut Hub<Subscription, Payload> {
        &mut self.hub
    }

    /// A run begins anew at `start`: the listeners are cut off, and nothing waits.
    pub(crate) fn restart(&mut self, seed: u64, start: MarketTime) {
        self.hub.cut();
        self.delayed.clear();
        self.test = TestMarket::new(seed, start);
    }

    /// Whether everybody who listens has room for so many frames.
    pub(crate) fn has_room(&self, frames: usize) -> bool {
        self.hub.have_room(frames)
    }

    /// Drops everybody who has no room for so many frames.
    pub(crate) fn drop_slow(&mut self, frames: usize) {
        self.hub.drop_slow(frames);
    }

    /// How many listen.
    pub(crate) fn len(&self) -> usize {
        self.hub.len()
    }

    /// Tells a message of the market that became known at `at`. At night the feeds of the night have it, at
    /// any other time those of the day and later the delayed one.
    pub(crate) fn publish(&mut self, message: MarketMessage, at: MarketTime, is_night: bool) {
        self.tell_delayed(at);
        if let MarketMessage::News(_) = message {
            return self.leave(&[Feed::News], &message);
        }
        if is_night {
            return self.leave(&[Feed::Boats, Feed::Overnight], &message);
        }
        self.leave(&[Feed::Iex, Feed::Sip], &message);
        let most = match message {
            MarketMessage::Quote(_) => MAX_DELAYED_QUOTES,
            _ => MAX_DELAYED,
        };
        // The newest is left out: were it the oldest, none of a busy market would ever get its turn.
        if self.delayed.len() < most {
            self.delayed.push_back((at + DELAY, message));
        }
    }

    /// Tells what time alone brings: delayed messages, and those of the test stream, which runs on real time.
    pub(crate) fn pass(&mut self, now: MarketTime, real: Duration) {
        self.tell_delayed(now);
        while let Some(message) = self.test.next(real) {
            self.leave(&[Feed::Test], &message);
        }
    }

    fn tell_delayed(&mut self, now: MarketTime) {
        while let Some((_, message)) = self.delayed.pop_front_if(|(due, _)| *due <= now) {
            self.leave(&[Feed::DelayedSip], &message);
        }
    }

    /// The one place where a data message leaves for those who listen: whatever is to be dropped, held or
    /// told twice is so here. It is encoded at most once in each encoding.
    fn leave(&mut self, feeds: &[Feed], message: &MarketMessage) {
        let (mut text, mut packed) = (None, None);
        self.hub.publish_each(|topic| {
            if !topic.wants(feeds, message) {
                return None;
            }
            let written = match topic.encoding {
                Encoding::Json => &mut text,
                Encoding::MessagePack => &mut packed,
            };
            Some(written.get_or_insert_with(|| topic.encoding.data(message)).clone())
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_busy_market_does_not_mute_the_delayed_feed() {
        let start = MarketTime::from_secs(1_000_000);
        let read = |told| MarketMessage::read(told, start).expect("a message");
        let quote = read(json!({"T": "q", "S": "SPY", "bp": 1.0, "bs": 1, "ap": 2.0, "as": 1}));
        let trade = read(json!({"T": "t", "S": "SPY", "p": 1.5, "s": 1}));
        let mut outlet = Outlet::new(1, start);
        for _ in 0..=MAX_DELAYED_QUOTES {
            outlet.publish(quote.clone(), start, false);
        }
        assert_eq!(outlet.delayed.len(), MAX_DELAYED_QUOTES, "quotes are bounded");
        let later = start + Duration::from_secs(1);
        for _ in 0..=MAX_DELAYED - MAX_DELAYED_QUOTES {
            outlet.publish(trade.clone(), later, false);
        }
        assert_eq!(outlet.delayed.len(), MAX_DELAYED, "and everything is");
        assert_eq!(outlet.delayed[0].0, start + DELAY, "the oldest gets its turn");
        outlet.tell_delayed(start + DELAY);
        assert_eq!(outlet.delayed.len(), MAX_DELAYED - MAX_DELAYED_QUOTES);
    }
}
