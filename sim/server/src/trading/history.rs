//! The account's worth over time, as `GET /v2/account/portfolio/history` tells it.
//!
//! Where the broker's text and its samples (OpenAPI of 2026-06-29) differ, the samples count: intraday series
//! begin at the open and hold the close, too; a day is labelled with the midnight UTC after it; the profit of
//! a day is against the day before, intraday profit against the closing equity of the day before. Where
//! nothing is reset, every profit is against the base value, as the broker's text has it.

use std::time::Duration;

use jiff::{SignedDuration, Span, ToSpan, Unit, civil::Date, tz::TimeZone};
use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Usd};
use sandpit_venue::{Calendar, Session};

use super::equity::EquityCurve;

/// Longest span of a series finer than a day, in days.
const MAX_INTRADAY_DAYS: i64 = 30;
/// Largest number in a period.
const MAX_PERIOD: i32 = 9_999;
/// Days before the first session in which the session before it is looked for.
const LONGEST_BREAK_DAYS: i32 = 14;
/// Decimals of a profit and of a ratio.
const DECIMALS: u32 = 4;

/// A span of days, `30D` or `1A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    count: i32,
    unit: Unit,
}

impl Period {
    /// What is told when a client does not say.
    pub(crate) const MONTH: Self = Self { count: 1, unit: Unit::Month };

    /// Reads a number and one of the letters D, W, M and A (a year).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (last, _) = text.char_indices().last()?;
        let (count, unit) = text.split_at(last);
        let unit = match unit {
            "D" => Unit::Day,
            "W" => Unit::Week,
            "M" => Unit::Month,
            "A" => Unit::Year,
            _ => return None,
        };
        let count = count.parse().ok().filter(|count| (1..=MAX_PERIOD).contains(count))?;
        Some(Self { count, unit })
    }

    /// How many days it is about: by this the broker chooses how fine a series is.
    fn days(self) -> i64 {
        let days = match self.unit {
            Unit::Day => 1,
            Unit::Week => 7,
            Unit::Month => 30,
            _ => 365,
        };
        i64::from(self.count) * days
    }

    fn span(self) -> Span {
        match self.unit {
            Unit::Day => self.count.days(),
            Unit::Week => self.count.weeks(),
            Unit::Month => self.count.months(),
            _ => self.count.years(),
        }
    }

    /// The first day of the span that ends with `last`: so many trading days, or from the day after the same
    /// one a span before. Days before `created` do not count.
    fn first(self, last: Date, created: Date, calendar: &Calendar) -> Date {
        if self.unit != Unit::Day {
            return last.saturating_sub(self.span()).saturating_add(1.day());
        }
        let mut days: Vec<Date> = calendar.sessions(created, last).map(|session| session.date).collect();
        let kept = usize::try_from(self.count).unwrap_or(1);
        days.drain(..days.len().saturating_sub(kept));
        days.first().copied().unwrap_or(last)
    }
}

/// How long one window of a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeframe {
    /// Minutes of a day.
    Minutes(u32),
    /// A trading day.
    Day,
}

impl Timeframe {
    /// The broker's words.
    pub(crate) const WORDS: [(&str, Self); 5] = [
        ("1Min", Self::Minutes(1)),
        ("5Min", Self::Minutes(5)),
        ("15Min", Self::Minutes(15)),
        ("1H", Self::Minutes(60)),
        ("1D", Self::Day),
    ];

    /// The broker's word for it.
    pub(crate) fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, known)| *known == self).map_or("1D", |(word, _)| word)
    }
}

/// At which hours there are windows finer than a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hours {
    /// In the regular session.
    #[default]
    Market,
    /// In extended hours, too.
    Extended,
    /// Always.
    Continuous,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) period: Option<Period>,
    pub(crate) start: Option<MarketTime>,
    pub(crate) end: Option<MarketTime>,
    pub(crate) timeframe: Option<Timeframe>,
    pub(crate) hours: Hours,
    /// Profits are not counted anew each day: all are counted against the base value.
    pub(crate) no_reset: bool,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error("only two of start, end and period can be specified at the same time")]
    TooMany,
    #[error("start must be before end")]
    Backwards,
    #[error("invalid timeframe: only 1D is allowed for more than 30 days")]
    TooFine,
}

/// A series: lists of the same length.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History {
    /// Where the windows begin, in UNIX seconds.
    pub(crate) timestamp: Vec<i64>,
    pub(crate) equity: Vec<Decimal>,
    pub(crate) profit_loss: Vec<Decimal>,
    /// A fraction of what it is counted against; none where that is nothing.
    pub(crate) profit_loss_pct: Vec<Option<Decimal>>,
    /// What the first profit is counted against.
    pub(crate) base_value: Decimal,
    /// The day whose closing equity that is; none if it is what the account began with.
    pub(crate) base_value_asof: Option<Date>,
    pub(crate) timeframe: &'static str,
}

/// The account whose worth is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    pub(crate) curve: &'a EquityCurve,
    pub(crate) calendar: &'a Calendar,
    /// When it was made.
    pub(crate) created_at: MarketTime,
    pub(crate) now: MarketTime,
    /// What it is worth now.
    pub(crate) equity: Usd,
}

/// One window of a series.
struct Window {
    /// How it is labelled.
    label: MarketTime,
    /// Its trading day.
    date: Date,
    /// Where it ends.
    end: MarketTime,
}

impl Account<'_> {
    /// The series that is asked for. It begins with the account.
    pub(crate) fn history(&self, query: &Query) -> Result<History, HistoryError> {
        let (start, end, days) = self.span(query)?;
        let timeframe = query.timeframe.unwrap_or(match days {
            ..7 => Timeframe::Minutes(1),
            7..30 => Timeframe::Minutes(15),
            30.. => Timeframe::Day,
        });
        if timeframe != Timeframe::Day && days > MAX_INTRADAY_DAYS {
            return Err(HistoryError::TooFine);
        }
        let mut windows = self.windows(start, end, timeframe, query.hours);
        // A day that has begun before the start belongs to the span; a finer window does not.
        if let (Timeframe::Minutes(_), Some(start)) = (timeframe, query.start) {
            windows.retain(|window| start <= window.label);
        }
        Ok(self.series(&windows, timeframe, query.no_reset))
    }

    /// The first and the last day, or moment, and how many days that are.
    fn span(&self, query: &Query) -> Result<(Date, MarketTime, i64), HistoryError> {
        let created = self.calendar.date(self.created_at);
        let last = |end: MarketTime| self.calendar.date(end.min(self.now));
        let (first, end, days) = match (query.start, query.end, query.period) {
            (Some(_), Some(_), Some(_)) => return Err(HistoryError::TooMany),
            (Some(start), end, None) => {
                let first = self.calendar.date(start);
                let end = end.unwrap_or(self.now);
                if start > end {
                    return Err(HistoryError::Backwards);
                }
                (first, end, days_between(first, last(end)))
            }
            (Some(start), None, Some(period)) => {
                let first = self.calendar.date(start);
                let end = first.saturating_add(period.span()).to_zoned(TimeZone::UTC);
                (first, end.map_or(self.now, |end| end.timestamp().into()), period.days())
            }
            (None, end, period) => {
                let period = period.unwrap_or(Period::MONTH);
                let end = end.unwrap_or(self.now);
                (period.first(last(end), created, self.calendar), end, period.days())
            }
        };
        Ok((first.max(created), end.min(self.now), days))
    }

    fn windows(&self, first: Date, end: MarketTime, timeframe: Timeframe, hours: Hours) -> Vec<Window> {
        let last = self.calendar.date(end);
        let Timeframe::Minutes(minutes) = timeframe else {
            let sessions = self.calendar.sessions(first, last).filter(|day| day.open <= end);
            return sessions.map(|day| window_of(&day)).collect();
        };
        let every_day = Calendar::always_open();
        let (calendar, closes) = match hours {
            Hours::Market | Hours::Extended => (self.calendar, true),
            // The next day's first window begins where this day's last one ends.
            Hours::Continuous => (&every_day, false),
        };
        let day = |day: Session| match hours {
            Hours::Market => (day.date, day.open, day.close),
            Hours::Extended | Hours::Continuous => (day.date, day.pre_open, day.post_close),
        };
        let windows = calendar.sessions(first, last).flat_map(|session| cut(day(session), minutes, closes));
        windows.filter(|window| window.label <= end).collect()
    }

    fn series(&self, windows: &[Window], timeframe: Timeframe, no_reset: bool) -> History {
        let first = windows.first().map_or_else(|| self.calendar.date(self.now), |window| window.date);
        let (base, asof) = self.close_before(first);
        let mut history = History {
            base_value: base.get().round_dp(2).normalize(),
            base_value_asof: asof,
            timeframe: timeframe.as_str(),
            ..History::default()
        };
        let (mut against, mut day) = (base, first);
        for window in windows {
            if timeframe != Timeframe::Day && !no_reset && window.date != day {
                (day, against) = (window.date, self.close_before(window.date).0);
            }
            let equity = if self.now < window.end { self.equity } else { self.curve.before(window.end) };
            let profit = equity - against;
            history.timestamp.push(window.label.as_millis().div_euclid(1_000));
            history.equity.push(equity.get().round_dp(2).normalize());
            history.profit_loss.push(profit.get().round_dp(DECIMALS).normalize());
            let ratio = profit.get().checked_div(against.get());
            history.profit_loss_pct.push(ratio.map(|ratio| ratio.round_dp(DECIMALS).normalize()));
            if timeframe == Timeframe::Day && !no_reset {
                against = equity;
            }
        }
        history
    }

    /// The closing equity of the last trading day before `date`, and that day; what the account began with if
    /// it is younger.
    fn close_before(&self, date: Date) -> (Usd, Option<Date>) {
        let earliest = date.saturating_sub(LONGEST_BREAK_DAYS.days());
        let before = self.calendar.sessions(earliest, date.saturating_sub(1.day())).last();
        match before.filter(|session| session.close > self.created_at) {
            Some(session) => (self.curve.before(session.close), Some(session.date)),
            None => (self.curve.before(MarketTime::EPOCH), None),
        }
    }
}

fn window_of(day: &Session) -> Window {
    let midnight = day.date.saturating_add(1.day()).to_zoned(TimeZone::UTC);
    let label = midnight.map_or(day.close, |midnight| midnight.timestamp().into());
    Window { label, date: day.date, end: day.close }
}

/// The windows of one day; with `closes`, the end of the day is one of them.
fn cut((date, from, to): (Date, MarketTime, MarketTime), minutes: u32, closes: bool) -> Vec<Window> {
    let step = Duration::from_secs(60) * minutes;
    let starts = std::iter::successors(Some(from), |&at| Some(at + step).filter(|&at| at < to));
    let labels = starts.chain(closes.then_some(to));
    labels.map(|label| Window { label, date, end: (label + step).min(to) }).collect()
}

fn days_between(first: Date, last: Date) -> i64 {
    first.duration_until(last).max(SignedDuration::ZERO).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> MarketTime {
        MarketTime::parse(&format!("2026-03-{text}-04:00")).expect(text)
    }

    fn usd(dollars: i64) -> Usd {
        Usd::new(Decimal::from(dollars))
    }

    /// An account of 1000 USD made on Friday the 13th at noon: 1010 at its close, 1030 from 10:00 on Monday,
    /// 1040 now, at 10:30 on Tuesday.
    fn history(query: Query) -> Result<History, HistoryError> {
        let (created_at, now) = (at("13T12:00:00"), at("17T10:30:00"));
        let mut curve = EquityCurve::new(usd(1_000), created_at);
        curve.sample(usd(1_000), at("13T12:01:00"));
        curve.sample(usd(1_010), at("16T09:59:00"));
        curve.sample(usd(1_010), at("16T10:00:00"));
        curve.sample(usd(1_030), now);
        let calendar = Calendar::nyse();
        Account { curve: &curve, calendar: &calendar, created_at, now, equity: usd(1_040) }.history(&query)
    }

    fn numbers(list: &[Decimal]) -> String {
        list.iter().map(Decimal::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn days() {
        let history = history(Query::default()).expect("sound");
        assert_eq!(history.timeframe, "1D");
        assert_eq!(numbers(&history.equity), "1010 1030 1040");
        assert_eq!(numbers(&history.profit_loss), "10 20 10");
        let ratios: Vec<Decimal> = history.profit_loss_pct.into_iter().flatten().collect();
        assert_eq!(numbers(&ratios), "0.01 0.0198 0.0097");
        assert_eq!((history.base_value, history.base_value_asof), (Decimal::from(1_000), None));
        let midnight = |text: &str| MarketTime::parse(text).expect(text).as_millis() / 1_000;
        assert_eq!(history.timestamp[..1], [midnight("2026-03-14T00:00:00Z")]);
    }

    #[test]
    fn days_without_reset_are_all_against_the_base_value() {
        let history = history(Query { no_reset: true, ..Query::default() }).expect("sound");
        assert_eq!((numbers(&history.profit_loss).as_str(), history.base_value), ("10 30 40", 1_000.into()));
        let ratios: Vec<Decimal> = history.profit_loss_pct.into_iter().flatten().collect();
        assert_eq!(numbers(&ratios), "0.01 0.03 0.04");
    }

    #[test]
    fn a_day_that_has_begun_before_the_start_is_told() {
        let day =
            Query { start: Some(at("16T12:00:00")), timeframe: Some(Timeframe::Day), ..Query::default() };
        assert_eq!(numbers(&history(day).expect("sound").equity), "1030 1040");
    }

    #[test]
    fn intraday() {
        let check = |query: Query, count: usize, first: &str, last: &str, base: i64, profits: &str| {
            let history = history(query).unwrap_or_else(|error| panic!("{query:?}: {error}"));
            let stamps: Vec<MarketTime> =
                history.timestamp.iter().map(|&secs| MarketTime::from_secs(secs)).collect();
            let ends = (stamps.first().copied(), stamps.last().copied());
            assert_eq!((stamps.len(), ends), (count, (Some(at(first)), Some(at(last)))), "{query:?}");
            assert!(stamps.is_sorted_by(|a, b| a < b), "{query:?}");
            let lengths = [history.equity.len(), history.profit_loss.len(), history.profit_loss_pct.len()];
            assert_eq!(lengths, [count; 3], "{query:?}");
            assert_eq!(history.base_value, Decimal::from(base), "{query:?}");
            let mut profits_found = history.profit_loss;
            profits_found.dedup();
            assert_eq!(numbers(&profits_found), profits, "{query:?}");
        };
        let period = |text| Period::parse(text);
        let day = Query { period: period("1D"), ..Query::default() };
        check(day, 61, "17T09:30:00", "17T10:30:00", 1_030, "0 10");
        let hourly = Some(Timeframe::Minutes(60));
        check(Query { timeframe: hourly, ..day }, 2, "17T09:30:00", "17T10:30:00", 1_030, "0 10");
        let two = Query { period: period("2D"), timeframe: hourly, ..Query::default() };
        check(two, 10, "16T09:30:00", "17T10:30:00", 1_010, "20 0 10");
        check(Query { no_reset: true, ..two }, 10, "16T09:30:00", "17T10:30:00", 1_010, "20 30");
        let extended = Query { hours: Hours::Extended, ..day };
        check(extended, 391, "17T04:00:00", "17T10:30:00", 1_030, "0 10");
        let always = Query { hours: Hours::Continuous, timeframe: hourly, ..two };
        check(always, 35, "16T00:00:00", "17T10:00:00", 1_010, "0 20 0 10");
        let monday = Query {
            start: Some(at("16T12:00:00")),
            end: Some(at("16T23:00:00")),
            timeframe: Some(Timeframe::Minutes(15)),
            ..Query::default()
        };
        check(monday, 17, "16T12:00:00", "16T16:00:00", 1_010, "20");
        let later = Query { start: Some(at("16T12:00:01")), end: Some(at("16T12:59:00")), ..monday };
        check(later, 3, "16T12:15:00", "16T12:45:00", 1_010, "20");
        let midnight = Query { start: Some(at("16T00:00:00")), ..monday };
        check(midnight, 27, "16T09:30:00", "16T16:00:00", 1_010, "0 20");
    }

    #[test]
    fn what_cannot_be_told() {
        let moment = Some(at("16T12:00:00"));
        let month = Period::parse("1M");
        let all = Query { start: moment, end: moment, period: month, ..Query::default() };
        assert_eq!(history(all), Err(HistoryError::TooMany));
        let backwards = Query { start: moment, end: Some(at("15T12:00:00")), ..Query::default() };
        assert_eq!(history(backwards), Err(HistoryError::Backwards));
        let fine = Some(Timeframe::Minutes(1));
        let long = Query { period: Period::parse("2M"), timeframe: fine, ..Query::default() };
        assert_eq!(history(long), Err(HistoryError::TooFine));
        for text in ["", "D", "0D", "-1D", "1X", "1d", "99999D", "1.5M", "é", "1é"] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }
}
