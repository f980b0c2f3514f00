//! How many day trades the account has made, for the broker's rule of old.
//!
//! A day trade is to close shares of a symbol on the day on which shares of it were opened. Any number of
//! fills that open, followed by any number that close, are one; to open again and close again is another.
//! Shares held overnight do not help: as at FINRA, what is closed counts against what was opened that day.

use std::collections::BTreeMap;

use sandpit_types::{MarketTime, Qty, Symbol};

/// Business days that count, today included.
pub const BUSINESS_DAYS: usize = 5;

/// The day trades of the last days and what was opened today. A day is named by the start of its session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayTrades {
    /// Symbols of which shares were opened on the newest day, each with whether the next close is a new day
    /// trade.
    opened: BTreeMap<Symbol, bool>,
    /// At most [`BUSINESS_DAYS`].
    days: BTreeMap<MarketTime, u32>,
}

impl DayTrades {
    /// Counts a fill of `signed` shares on `day`, after which the account holds `held`.
    pub fn filled(&mut self, symbol: &Symbol, signed: Qty, held: Qty, day: MarketTime) {
        let newest = self.days.last_key_value().map(|(newest, _)| *newest);
        if newest.is_some_and(|newest| day < newest) {
            // A fill of an earlier day that came to light late: nobody can tell what it was part of.
            return;
        }
        if newest != Some(day) {
            self.opened.clear();
            self.days.insert(day, 0);
            while self.days.len() > BUSINESS_DAYS {
                self.days.pop_first();
            }
        }
        let before = held - signed;
        let opens = before.is_zero() || before.is_positive() == signed.is_positive();
        if opens {
            self.opened.insert(symbol.clone(), true);
        } else if let Some(is_new @ true) = self.opened.get_mut(symbol) {
            *is_new = false;
            *self.days.entry(day).or_default() += 1;
        }
    }

    /// Day trades since `first`, the start of the first of the business days that count.
    pub fn since(&self, first: MarketTime) -> u32 {
        self.days.range(first..).map(|(_, count)| count).sum()
    }

    /// Whether closing shares of the symbol on `day` is a day trade.
    pub fn opened_on(&self, symbol: &Symbol, day: MarketTime) -> bool {
        self.days.last_key_value().is_some_and(|(newest, _)| *newest == day)
            && self.opened.contains_key(symbol)
    }

    /// Whether closing shares of the symbol on `day` is one more day trade than are counted.
    pub fn is_new_on(&self, symbol: &Symbol, day: MarketTime) -> bool {
        self.opened_on(symbol, day) && self.opened.get(symbol).copied().unwrap_or_default()
    }

    /// As text, to be kept over restarts.
    pub fn to_text(&self) -> String {
        let days: Vec<String> =
            self.days.iter().map(|(day, count)| format!("{}={count}", day.as_nanos())).collect();
        let opened: Vec<String> =
            self.opened.iter().map(|(symbol, is_new)| format!("{}{symbol}", u8::from(*is_new))).collect();
        format!("{};{}", days.join(","), opened.join(","))
    }

    /// From its text; `None` when that is none.
    pub fn from_text(text: &str) -> Option<Self> {
        let (days, opened) = text.split_once(';')?;
        let day = |part: &str| {
            let (day, count) = part.split_once('=')?;
            Some((MarketTime::from_nanos(day.parse().ok()?), count.parse().ok()?))
        };
        let symbol = |part: &str| match part.split_at_checked(1)? {
            ("0", symbol) => Some((Symbol::new(symbol), false)),
            ("1", symbol) => Some((Symbol::new(symbol), true)),
            _ => None,
        };
        Some(Self {
            opened: list(opened).map(symbol).collect::<Option<_>>()?,
            days: list(days).map(day).collect::<Option<_>>()?,
        })
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> MarketTime {
        MarketTime::from_secs(number * 86_400)
    }

    #[test]
    fn opens_that_are_closed_on_the_same_day_count_once() {
        // Signed shares of one symbol, by day.
        let check = |fills: &[(i64, i64)], expected: u32| {
            let (mut trades, mut held) = (DayTrades::default(), Qty::ZERO);
            for &(number, shares) in fills {
                let signed = Qty::new(shares.into());
                held += signed;
                trades.filled(&Symbol::new("SPY"), signed, held, day(number));
            }
            assert_eq!(trades.since(day(0)), expected, "{fills:?}");
            assert_eq!(DayTrades::from_text(&trades.to_text()), Some(trades));
        };
        check(&[(1, 10), (1, -10)], 1);
        check(&[(1, 10), (2, -10)], 0);
        check(&[(1, 5), (1, 5), (1, -3), (1, -7)], 1);
        check(&[(1, 5), (1, -5), (1, 5), (1, -5)], 2);
        check(&[(1, 10), (2, 5), (2, -5)], 1);
        check(&[(1, 10), (2, -5), (2, 5)], 0);
        check(&[(1, -10), (1, 10)], 1);
        check(&[(1, 10), (1, -10), (2, 1), (2, -1), (3, 1), (3, -1)], 3);
        check(&[(2, 10), (1, -10)], 0);
    }

    #[test]
    fn only_so_many_days_are_remembered() {
        let mut trades = DayTrades::default();
        let spy = Symbol::new("SPY");
        for number in 0..20 {
            trades.filled(&spy, Qty::new(1.into()), Qty::new(1.into()), day(number));
            assert!(trades.opened_on(&spy, day(number)) && trades.is_new_on(&spy, day(number)));
            trades.filled(&spy, Qty::new((-1).into()), Qty::ZERO, day(number));
            assert!(trades.opened_on(&spy, day(number)) && !trades.is_new_on(&spy, day(number)));
            assert!(!trades.opened_on(&spy, day(number + 1)));
        }
        assert_eq!(trades.since(day(0)), BUSINESS_DAYS as u32);
        assert_eq!(trades.since(day(18)), 2);
    }

    #[test]
    fn text_that_is_none_is_refused() {
        for text in ["", "x;", ";2SPY", "1=x;", "1;1SPY"] {
            assert_eq!(DayTrades::from_text(text), None, "{text}");
        }
        assert_eq!(DayTrades::from_text(";"), Some(DayTrades::default()));
    }
}
