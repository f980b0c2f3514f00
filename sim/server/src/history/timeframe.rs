//! Timeframes of bars, and the periods they cut time into, in New York.

use std::{cell::Cell, str::FromStr, time::Duration};

use jiff::{
    ToSpan,
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use sandpit_types::MarketTime;

/// How long the bars of an answer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeframe {
    /// So many minutes, counted from midnight in New York; hours are 60 of them.
    Minutes(u32),
    /// A day in New York.
    Day,
    /// A week from Monday.
    Week,
    /// So many months, counted from January.
    Months(u32),
}

impl Timeframe {
    /// Whether it sums up whole days.
    pub const fn is_of_days(self) -> bool {
        !matches!(self, Self::Minutes(_))
    }

    /// Most bars of one page: those of long periods take long to sum up.
    pub fn most_bars(self) -> usize {
        let parts = match self {
            Self::Minutes(count) => count,
            Self::Day => 1,
            Self::Week => 7,
            Self::Months(count) => 31 * count,
        };
        MAX_SUMMED / usize::try_from(parts).unwrap_or(MAX_SUMMED)
    }
}

/// Most minutes, or days, that one page of bars is made of.
const MAX_SUMMED: usize = 100_000;

/// A text that is no timeframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTimeframe;

impl FromStr for Timeframe {
    type Err = NoTimeframe;

    /// `[1-59]Min|T`, `[1-23]Hour|H`, `1Day|D`, `1Week|W`, `[1,2,3,4,6,12]Month|M`.
    fn from_str(text: &str) -> Result<Self, NoTimeframe> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let count: u32 = count.parse().map_err(|_| NoTimeframe)?;
        match (unit, count) {
            ("Min" | "T", 1..=59) => Ok(Self::Minutes(count)),
            ("Hour" | "H", 1..=23) => Ok(Self::Minutes(60 * count)),
            ("Day" | "D", 1) => Ok(Self::Day),
            ("Week" | "W", 1) => Ok(Self::Week),
            ("Month" | "M", 1 | 2 | 3 | 4 | 6 | 12) => Ok(Self::Months(count)),
            _ => Err(NoTimeframe),
        }
    }
}

/// Cuts time into the periods of a timeframe.
#[derive(Debug)]
pub struct Periods {
    zone: TimeZone,
    frame: Timeframe,
    /// The day (of minutes) or the period (of days) that was asked for last: neighbours ask for the same.
    known: Cell<(MarketTime, MarketTime)>,
}

impl Periods {
    /// The periods of `frame`.
    pub fn new(frame: Timeframe) -> Self {
        let zone = TimeZoneDatabase::bundled()
            .get("America/New_York")
            .expect("the time zone database in this program has New York");
        Self { zone, frame, known: Cell::new((MarketTime::EPOCH, MarketTime::EPOCH)) }
    }

    /// The start of the period that `at` lies in.
    pub fn start_of(&self, at: MarketTime) -> MarketTime {
        let (mut from, to) = self.known.get();
        if at < from || at >= to {
            let bounds = self.bounds(at);
            self.known.set(bounds);
            from = bounds.0;
        }
        match self.frame {
            Timeframe::Minutes(count) => {
                let (passed, period) = (at.since(from).as_secs(), 60 * u64::from(count));
                from + Duration::from_secs(passed - passed % period)
            }
            Timeframe::Day | Timeframe::Week | Timeframe::Months(_) => from,
        }
    }

    /// The day in New York that `at` lies in.
    pub fn date(&self, at: MarketTime) -> Date {
        self.zone.to_datetime(at.to_jiff()).date()
    }

    /// The first moment of a day in New York.
    pub fn midnight(&self, date: Date) -> MarketTime {
        // Only days at the very ends of the range of dates have no instant.
        let zoned = date.to_zoned(self.zone.clone());
        zoned.map_or(MarketTime::from_nanos(i64::MAX), |zoned| zoned.timestamp().into())
    }

    /// The day, or the whole period of days, that `at` lies in; the end is not part of it.
    fn bounds(&self, at: MarketTime) -> (MarketTime, MarketTime) {
        let date = self.date(at);
        let (first, next) = match self.frame {
            Timeframe::Minutes(_) | Timeframe::Day => (date, date.saturating_add(1.day())),
            Timeframe::Week => {
                let monday = date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days());
                (monday, monday.saturating_add(7.days()))
            }
            Timeframe::Months(count) => {
                let count = i8::try_from(count).expect("at most twelve months");
                let month = (date.month() - 1) / count * count + 1;
                let first = Date::new(date.year(), month, 1).expect("every month has a first day");
                (first, first.saturating_add(i64::from(count).months()))
            }
        };
        (self.midnight(first), self.midnight(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_long_bars_are_short() {
        for (word, most) in [("1Min", 100_000), ("1Day", 100_000), ("23Hour", 72), ("12Month", 268)] {
            assert_eq!(word.parse().map(Timeframe::most_bars), Ok(most), "{word}");
        }
    }

    #[test]
    fn the_words_of_timeframes() {
        for (text, frame) in [
            ("1Min", Timeframe::Minutes(1)),
            ("59T", Timeframe::Minutes(59)),
            ("1Hour", Timeframe::Minutes(60)),
            ("23H", Timeframe::Minutes(1_380)),
            ("1Day", Timeframe::Day),
            ("1D", Timeframe::Day),
            ("1Week", Timeframe::Week),
            ("6Month", Timeframe::Months(6)),
            ("12M", Timeframe::Months(12)),
        ] {
            assert_eq!(text.parse(), Ok(frame), "{text}");
        }
        for text in
            ["", "Min", "0Min", "60Min", "24Hour", "2Day", "5Month", "1min", "1 Min", "-1Min", "1Year"]
        {
            assert_eq!(text.parse::<Timeframe>(), Err(NoTimeframe), "{text}");
        }
    }

    #[test]
    fn periods_begin_in_new_york() {
        let check = |frame: &str, at: &str, expected: &str| {
            let periods = Periods::new(frame.parse().expect(frame));
            let at = MarketTime::parse(at).expect(at);
            let start = periods.start_of(at);
            assert_eq!(start.to_string(), expected, "{frame} at {at}");
            assert_eq!(periods.start_of(start), start, "a period's start lies in it");
            assert_ne!(periods.start_of(start - Duration::from_nanos(1)), start);
        };
        check("5Min", "2026-03-16T13:34:59Z", "2026-03-16T13:30:00Z");
        check("7Min", "2026-03-16T13:34:59Z", "2026-03-16T13:34:00Z");
        check("1Hour", "2026-03-16T13:34:59Z", "2026-03-16T13:00:00Z");
        check("4Hour", "2026-03-16T13:34:59Z", "2026-03-16T12:00:00Z");
        check("1Day", "2026-03-16T13:34:59Z", "2026-03-16T04:00:00Z");
        check("1Day", "2026-03-17T01:00:00Z", "2026-03-16T04:00:00Z");
        check("1Day", "2026-01-05T14:30:00Z", "2026-01-05T05:00:00Z");
        check("1Week", "2026-03-20T13:34:59Z", "2026-03-16T04:00:00Z");
        // Summer time began on Sunday, 8 March 2026.
        check("1Week", "2026-03-08T12:00:00Z", "2026-03-02T05:00:00Z");
        check("1Month", "2026-03-20T13:34:59Z", "2026-03-01T05:00:00Z");
        check("4Month", "2026-12-20T13:34:59Z", "2026-09-01T04:00:00Z");
        check("12Month", "2026-12-20T13:34:59Z", "2026-01-01T05:00:00Z");
    }
}
