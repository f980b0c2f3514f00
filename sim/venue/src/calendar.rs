//! The exchange calendar: NYSE by rule, in New York time.
//!
//! Regular sessions last from 9:30 to 16:00 in every year, early ones end at 13:00; extended hours begin at
//! 4:00 and end at 20:00, after an early close at 17:00. Checked for 1970 to 2029; later years follow the
//! same rules.

mod holidays;

use std::time::Duration;

use jiff::{
    ToSpan,
    civil::{Date, Time, time},
    tz::{TimeZone, TimeZoneDatabase},
};
use sandpit_types::MarketTime;

/// The longest run of days without a session that is looked over (11 September 2001 made six).
const LONGEST_BREAK_DAYS: usize = 14;

/// What the exchange is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing trades.
    Closed,
    /// Extended hours before the session.
    Pre,
    /// The regular session.
    Open,
    /// Extended hours after the session.
    Post,
}

/// One trading day. Each moment belongs to the phase that it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The day in New York.
    pub date: Date,
    /// Extended hours begin.
    pub pre_open: MarketTime,
    /// The regular session begins.
    pub open: MarketTime,
    /// The regular session ends.
    pub close: MarketTime,
    /// Extended hours end.
    pub post_close: MarketTime,
}

impl Session {
    /// What the exchange is doing, as far as this day is concerned.
    pub fn phase(&self, now: MarketTime) -> Phase {
        if now < self.pre_open || now >= self.post_close {
            Phase::Closed
        } else if now < self.open {
            Phase::Pre
        } else if now < self.close {
            Phase::Open
        } else {
            Phase::Post
        }
    }
}

/// When the exchange trades.
#[derive(Clone, Debug)]
pub struct Calendar {
    new_york: TimeZone,
    always_open: bool,
}

impl Calendar {
    /// The real one.
    pub fn nyse() -> Self {
        let new_york = TimeZoneDatabase::bundled()
            .get("America/New_York")
            .expect("the time zone database in this program has New York");
        Self { new_york, always_open: false }
    }

    /// One that never closes: every day is a session from midnight to midnight in New York, so that day
    /// orders and daily figures still have an end. The next close and the next open are then the same moment.
    pub fn always_open() -> Self {
        Self { always_open: true, ..Self::nyse() }
    }

    /// Whether this is the calendar that never closes.
    pub const fn is_always_open(&self) -> bool {
        self.always_open
    }

    /// The day in New York.
    pub fn date(&self, now: MarketTime) -> Date {
        self.new_york.to_datetime(now.to_jiff()).date()
    }

    /// The session of a day; `None` for weekends and holidays.
    pub fn session(&self, date: Date) -> Option<Session> {
        let at = |time: Time| self.moment(date, time);
        if self.always_open {
            let (open, close) = (at(Time::midnight()), self.moment(next(date), Time::midnight()));
            return Some(Session { date, pre_open: open, open, close, post_close: close });
        }
        if holidays::is_closed(date) {
            return None;
        }
        let (close, post_close) = if holidays::closes_early(date) {
            (time(13, 0, 0, 0), time(17, 0, 0, 0))
        } else {
            (time(16, 0, 0, 0), time(20, 0, 0, 0))
        };
        Some(Session {
            date,
            pre_open: at(time(4, 0, 0, 0)),
            open: at(time(9, 30, 0, 0)),
            close: at(close),
            post_close: at(post_close),
        })
    }

    /// What the exchange is doing.
    pub fn phase(&self, now: MarketTime) -> Phase {
        self.session(self.date(now)).map_or(Phase::Closed, |session| session.phase(now))
    }

    /// Whether the regular session is on.
    pub fn is_open(&self, now: MarketTime) -> bool {
        self.phase(now) == Phase::Open
    }

    /// The first opening of a regular session after `now`.
    pub fn next_open(&self, now: MarketTime) -> MarketTime {
        self.first_after(now, |session| session.open)
    }

    /// The first close of a regular session after `now`.
    pub fn next_close(&self, now: MarketTime) -> MarketTime {
        self.first_after(now, |session| session.close)
    }

    /// The first end of extended hours after `now`.
    pub fn next_post_close(&self, now: MarketTime) -> MarketTime {
        self.first_after(now, |session| session.post_close)
    }

    /// The first moment after `now` at which the phase changes.
    pub fn next_change(&self, now: MarketTime) -> MarketTime {
        self.first_after(now, |session| {
            [session.pre_open, session.open, session.close]
                .into_iter()
                .find(|&moment| moment > now)
                .unwrap_or(session.post_close)
        })
    }

    /// The trading days of a span, both ends included.
    pub fn sessions(&self, from: Date, to: Date) -> impl Iterator<Item = Session> + '_ {
        from.series(1.day()).take_while(move |&date| date <= to).filter_map(|date| self.session(date))
    }

    /// `time` in New York on the day `days` after the day of `now`.
    pub(crate) fn days_later(&self, now: MarketTime, days: i32, time: Time) -> MarketTime {
        self.moment(self.date(now).saturating_add(days.days()), time)
    }

    fn first_after(&self, now: MarketTime, moment: impl Fn(&Session) -> MarketTime) -> MarketTime {
        self.date(now)
            .series(1.day())
            .take(LONGEST_BREAK_DAYS)
            .filter_map(|date| self.session(date))
            .map(|session| moment(&session))
            .find(|&at| at > now)
            // Only at the end of the range of times.
            .unwrap_or(now + Duration::from_secs(86_400))
    }

    fn moment(&self, date: Date, time: Time) -> MarketTime {
        let zoned = self.new_york.to_zoned(date.to_datetime(time));
        // Only days at the very ends of the range of dates have no instant.
        zoned.map_or(MarketTime::from_nanos(i64::MAX), |zoned| zoned.timestamp().into())
    }
}

fn next(date: Date) -> Date {
    date.saturating_add(1.day())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn at(text: &str) -> MarketTime {
        MarketTime::parse(text).expect(text)
    }

    /// Every weekday without a session, and every early close since 1993, of 1970 to 2029.
    #[test]
    fn sixty_years_agree_with_the_record() {
        let calendar = Calendar::nyse();
        let day_text = |date: Date| format!("{}-{}", date.month(), date.day());
        for line in include_str!("calendar/nyse_1970_2029.txt").lines() {
            let (year, days) = line.split_once(' ').expect("a year and its days");
            let (closed, early) = days.split_once('|').expect("closed days | early closes");
            let year: i16 = year.parse().expect("a year");
            let (first, last) = (date(year, 1, 1), date(year, 12, 31));
            let weekdays = first.series(1.day()).take_while(|&day| day <= last);
            let got: Vec<String> = weekdays
                .filter(|day| day.weekday().to_monday_zero_offset() < 5 && calendar.session(*day).is_none())
                .map(day_text)
                .collect();
            assert_eq!(got, closed.split_whitespace().collect::<Vec<_>>(), "closed days of {year}");
            let got: Vec<String> = calendar
                .sessions(first, last)
                .filter(|session| session.close.since(session.open) < Duration::from_secs(23_400))
                .map(|session| day_text(session.date))
                .collect();
            assert_eq!(got, early.split_whitespace().collect::<Vec<_>>(), "early closes of {year}");
        }
    }

    #[test]
    fn a_day_and_its_phases() {
        let calendar = Calendar::nyse();
        let check = |now: &str, phase: Phase, next_open: &str, next_close: &str| {
            assert_eq!(calendar.phase(at(now)), phase, "{now}");
            assert_eq!(calendar.next_open(at(now)), at(next_open), "open after {now}");
            assert_eq!(calendar.next_close(at(now)), at(next_close), "close after {now}");
        };
        let (monday, tuesday) = ("2013-10-07T09:30:00-04:00", "2013-10-08T09:30:00-04:00");
        let (end, next_end) = ("2013-10-07T16:00:00-04:00", "2013-10-08T16:00:00-04:00");
        check("2013-10-05T12:00:00-04:00", Phase::Closed, monday, end);
        check("2013-10-07T03:59:59.999999999-04:00", Phase::Closed, monday, end);
        check("2013-10-07T04:00:00-04:00", Phase::Pre, monday, end);
        check("2013-10-07T09:30:00-04:00", Phase::Open, tuesday, end);
        check("2013-10-07T15:59:59.999999999-04:00", Phase::Open, tuesday, end);
        check("2013-10-07T16:00:00-04:00", Phase::Post, tuesday, next_end);
        check("2013-10-07T20:00:00-04:00", Phase::Closed, tuesday, next_end);
        // The day after Thanksgiving: the close is early, and so is the end of extended hours.
        let (after, close) = ("2013-12-02T09:30:00-05:00", "2013-11-29T13:00:00-05:00");
        check("2013-11-29T12:59:00-05:00", Phase::Open, after, close);
        check("2013-11-29T13:00:00-05:00", Phase::Post, after, "2013-12-02T16:00:00-05:00");
        check("2013-11-29T17:00:00-05:00", Phase::Closed, after, "2013-12-02T16:00:00-05:00");
    }

    #[test]
    fn summer_time_moves_the_session_in_utc() {
        let calendar = Calendar::nyse();
        let open = |day| calendar.session(day).expect("a trading day").open;
        assert_eq!(open(date(2026, 3, 6)), at("2026-03-06T14:30:00Z"));
        assert_eq!(open(date(2026, 3, 9)), at("2026-03-09T13:30:00Z"));
    }

    #[test]
    fn changes_follow_each_other() {
        let calendar = Calendar::nyse();
        let mut now = at("2013-10-04T19:00:00-04:00");
        for expected in ["10-04T20:00", "10-07T04:00", "10-07T09:30", "10-07T16:00", "10-07T20:00"] {
            now = calendar.next_change(now);
            assert_eq!(now, at(&format!("2013-{expected}:00-04:00")));
        }
    }

    #[test]
    fn the_calendar_that_never_closes() {
        let calendar = Calendar::always_open();
        let saturday = at("2013-10-05T12:00:00-04:00");
        assert!(calendar.is_open(saturday));
        assert_eq!(calendar.next_close(saturday), at("2013-10-06T00:00:00-04:00"));
        assert_eq!(calendar.next_change(saturday), at("2013-10-06T00:00:00-04:00"));
        assert!(calendar.is_open(at("2013-10-06T00:00:00-04:00")));
    }
}
