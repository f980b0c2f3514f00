//! The market of the test stream: one symbol that always trades, in real time, whatever the market does.

use std::time::Duration;

use sandpit_types::{MarketTime, Symbol};

use crate::{
    data::Chance,
    history::Candle,
    wire::market::{BarMessage, MarketMessage, QuoteMessage, TradeMessage, Word},
};

/// The symbol of the test stream.
pub const TEST_SYMBOL: &str = "FAKEPACA";
/// Where its price starts and is drawn back to, US dollars.
const PRICE: f64 = 130.0;
/// Mean time between two quotes, and between two trades.
const QUOTE_MEAN_SECS: f64 = 0.5;
const TRADE_MEAN_SECS: f64 = 1.0;
/// What was missed for longer than this is left out: nobody heard it.
const MOST_MISSED: Duration = Duration::from_secs(600);

/// Quotes, trades and minute bars, decided by the seed alone.
#[derive(Debug)]
pub(super) struct TestMarket {
    chance: Chance,
    /// The market time at which real time began: stamps go on from there in real time.
    start: MarketTime,
    bid: f64,
    next_quote: Duration,
    next_trade: Duration,
    trades: u64,
    minute: Option<Candle>,
}

impl TestMarket {
    pub(super) fn new(seed: u64, start: MarketTime) -> Self {
        let chance = Chance::new(seed, TEST_SYMBOL);
        let (next_quote, next_trade) = (Duration::ZERO, Duration::from_millis(1));
        Self { chance, start, bid: PRICE, next_quote, next_trade, trades: 0, minute: None }
    }

    /// The next message that is due when the run has lasted `real`.
    pub(super) fn next(&mut self, real: Duration) -> Option<MarketMessage> {
        let missed = real.saturating_sub(MOST_MISSED);
        if self.next_quote.max(self.next_trade) < missed {
            (self.next_quote, self.next_trade, self.minute) = (missed, missed, None);
        }
        let due = self.next_quote.min(self.next_trade);
        if let Some(bar) = self.minute.filter(|bar| bar.end() <= self.start + due.min(real)) {
            self.minute = None;
            return Some(MarketMessage::Bar(BarMessage::new(&Symbol::new(TEST_SYMBOL), &bar)));
        }
        if due > real {
            return None;
        }
        let now = self.start + due;
        if self.next_quote == due {
            self.next_quote = due + self.wait(QUOTE_MEAN_SECS);
            return Some(self.quote(now));
        }
        self.next_trade = due + self.wait(TRADE_MEAN_SECS);
        Some(self.trade(now))
    }

    /// Time to the next event; never none, so that time goes on.
    fn wait(&mut self, mean_secs: f64) -> Duration {
        Duration::from_secs_f64(self.chance.exponential(mean_secs)).max(Duration::from_millis(1))
    }

    fn quote(&mut self, now: MarketTime) -> MarketMessage {
        let step = (self.chance.normal() * 2.0 + (PRICE - self.bid) * 0.05).round() / 100.0;
        self.bid = ((self.bid + step) * 100.0).round() / 100.0;
        MarketMessage::Quote(QuoteMessage {
            symbol: Symbol::new(TEST_SYMBOL),
            bx: "O".into(),
            bp: self.bid,
            bs: 100 * self.lots(),
            ax: "R".into(),
            ap: ((self.bid + 0.04) * 100.0).round() / 100.0,
            ask_size: 100 * self.lots(),
            c: vec!["R".into()],
            t: now.into(),
            z: Word::Borrowed("A"),
        })
    }

    fn trade(&mut self, now: MarketTime) -> MarketMessage {
        let above = if self.chance.coin() { 0.04 } else { 0.0 };
        let (price, size) = (((self.bid + above) * 100.0).round() / 100.0, 50 * self.lots());
        let candle = Candle::of_trade(now, price, size);
        match &mut self.minute {
            Some(minute) => minute.append(&candle),
            none => *none = Some(candle),
        }
        self.trades += 1;
        MarketMessage::Trade(TradeMessage {
            symbol: Symbol::new(TEST_SYMBOL),
            i: self.trades,
            x: "V".into(),
            p: price,
            s: size,
            c: vec!["@".into()],
            t: now.into(),
            z: Word::Borrowed("A"),
        })
    }

    fn lots(&mut self) -> u64 {
        1 + (self.chance.exponential(2.0) as u64).min(50)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(seed: u64, steps: &[u64]) -> Vec<MarketMessage> {
        let start = MarketTime::parse("2026-03-16T13:25:30Z").expect("a time");
        let mut market = TestMarket::new(seed, start);
        let mut all = Vec::new();
        for secs in steps {
            all.extend(std::iter::from_fn(|| market.next(Duration::from_secs(*secs))));
        }
        all
    }

    #[test]
    fn it_trades_by_the_seed_and_not_by_who_looks_when() {
        let all = messages(1, &[300]);
        assert_eq!(all, messages(1, &(0..=300).collect::<Vec<_>>()));
        assert_ne!(all, messages(2, &[300]));
        let count = |kind: fn(&MarketMessage) -> bool| all.iter().filter(|m| kind(m)).count();
        let bars = count(|m| matches!(m, MarketMessage::Bar(_)));
        assert_eq!(bars, 5, "the minute under way at the start, and four whole ones");
        assert!(count(|m| matches!(m, MarketMessage::Quote(_))) > 400);
        assert!(count(|m| matches!(m, MarketMessage::Trade(_))) > 200);
    }

    #[test]
    fn bars_hold_the_trades_of_their_minute() {
        let mut volume = 0;
        for message in messages(3, &[600]) {
            match message {
                MarketMessage::Trade(trade) => volume += trade.s,
                MarketMessage::Bar(bar) => {
                    assert_eq!(bar.v, volume, "{bar:?}");
                    volume = 0;
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_long_silence_is_not_made_up_for() {
        let all = messages(1, &[1, 100_000]);
        let late = all.iter().filter(|m| m.time() > messages(1, &[1])[0].time() + Duration::from_secs(2));
        assert!((500..4_000).contains(&late.count()), "about ten minutes of messages");
    }
}
