//! Days as New York has them: when each begins and ends, and which of them count.

use std::time::Duration;

use jiff::{ToSpan, civil::Date, tz::TimeZone};
use sandpit_types::{MarketTime, SessionDay};

/// How long after its end a day counts as whole. The free plan shows nothing younger than 15 minutes
/// (fact sheet 5), and late corrections of the evening's bars trickle in.
pub const LAST_CORRECTIONS: Duration = Duration::from_secs(30 * 60);

/// A day in New York.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// Its date.
    pub date: Date,
    /// Its first moment.
    pub start: MarketTime,
    /// The first moment of the day after it.
    pub end: MarketTime,
}

impl Day {
    /// The day with this date.
    pub fn new(date: Date) -> Self {
        Self { date, start: midnight(date), end: midnight(date.saturating_add(1.day())) }
    }
}

/// Every day from `from` to `to`, both included: news has no holidays.
pub fn calendar_days(from: Date, to: Date) -> Vec<Day> {
    from.series(1.day()).take_while(|date| *date <= to).map(Day::new).collect()
}

/// The days of these sessions from `from` to `to`, both included: days without trading cost no request.
pub fn trading_days(sessions: &[SessionDay], from: Date, to: Date) -> Vec<Day> {
    let mut dates: Vec<Date> = sessions.iter().map(|session| date_of(session.open)).collect();
    dates.sort_unstable();
    dates.dedup();
    dates.into_iter().filter(|date| (from..=to).contains(date)).map(Day::new).collect()
}

/// The newest day that is whole at `now`.
pub fn last_whole_day(now: MarketTime) -> Date {
    date_of(now - LAST_CORRECTIONS).saturating_sub(1.day())
}

fn date_of(time: MarketTime) -> Date {
    time.to_jiff().to_zoned(new_york()).date()
}

/// The first moment of a date. At the ends of time, where there is none, the nearest that can be told.
fn midnight(date: Date) -> MarketTime {
    let zoned = date.to_zoned(new_york()).expect("a date of a market lies far from the ends of jiff's range");
    zoned.timestamp().into()
}

fn new_york() -> TimeZone {
    TimeZone::get("America/New_York").expect("the time zone database is compiled in")
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn at(text: &str) -> MarketTime {
        MarketTime::parse(text).expect("a time")
    }

    #[test]
    fn days_begin_at_midnight_in_new_york_also_when_clocks_change() {
        let check = |day: Date, start: &str, end: &str| {
            assert_eq!(Day::new(day), Day { date: day, start: at(start), end: at(end) });
        };
        check(date(2026, 3, 6), "2026-03-06T05:00:00Z", "2026-03-07T05:00:00Z");
        check(date(2026, 3, 8), "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z");
        check(date(2026, 11, 1), "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z");
    }

    #[test]
    fn trading_days_leave_out_the_weekend() {
        let session = |text: &str| SessionDay { open: at(text), close: at(text) };
        let sessions = [
            session("2026-03-13T13:30:00Z"),
            session("2026-03-16T13:30:00Z"),
            session("2026-03-17T13:30:00Z"),
        ];
        let days = trading_days(&sessions, date(2026, 3, 13), date(2026, 3, 16));
        let dates: Vec<_> = days.iter().map(|day| day.date).collect();
        assert_eq!(dates, [date(2026, 3, 13), date(2026, 3, 16)]);
        assert_eq!(calendar_days(date(2026, 3, 13), date(2026, 3, 16)).len(), 4);
        assert_eq!(calendar_days(date(2026, 3, 13), date(2026, 3, 12)), []);
    }

    #[test]
    fn a_day_is_whole_half_an_hour_after_its_end() {
        let check = |now: &str, expected: Date| assert_eq!(last_whole_day(at(now)), expected, "{now}");
        check("2026-03-17T04:29:59Z", date(2026, 3, 15));
        check("2026-03-17T04:30:00Z", date(2026, 3, 16));
        check("2026-03-17T20:00:00Z", date(2026, 3, 16));
    }
}
