//! When the market is open, from the broker's calendar.

use std::time::Duration;

use sandpit_types::{MarketTime, SessionDay};

/// Extended hours begin so long before the regular session (4:00 for 9:30 in New York).
const BEFORE_OPEN: Duration = Duration::from_secs(5 * 3_600 + 1_800);
/// Extended hours end so long after the regular session (20:00 for 16:00).
const AFTER_CLOSE: Duration = Duration::from_secs(4 * 3_600);

/// The sessions the host knows of, oldest first.
#[derive(Clone, Debug)]
pub struct Sessions(Vec<SessionDay>);

impl Sessions {
    /// From the broker's calendar.
    pub fn new(mut days: Vec<SessionDay>) -> Self {
        days.sort_by_key(|day| day.open);
        Self(days)
    }

    /// The days.
    pub fn days(&self) -> &[SessionDay] {
        &self.0
    }

    /// Whether the regular session is open at `now`.
    pub fn is_open(&self, now: MarketTime) -> bool {
        self.current(now).is_some()
    }

    /// Whether orders for extended hours may fill at `now`.
    pub fn is_extended_open(&self, now: MarketTime) -> bool {
        let day = self.0.get(self.ended(now - AFTER_CLOSE));
        day.is_some_and(|day| day.open - BEFORE_OPEN <= now)
    }

    /// The regular session that is open at `now`.
    pub fn current(&self, now: MarketTime) -> Option<SessionDay> {
        self.0.get(self.ended(now)).filter(|day| day.open <= now).copied()
    }

    /// The start of the newest session that has begun by `now`.
    pub fn last_open(&self, now: MarketTime) -> Option<MarketTime> {
        Some(self.0[self.begun(now).checked_sub(1)?].open)
    }

    /// The trading day that `at` belongs to, extended hours included, by the start of its regular session:
    /// that of a night is the day to come. `None` when the calendar does not reach so far.
    pub fn trading_day(&self, at: MarketTime) -> Option<MarketTime> {
        self.0.get(self.ended(at - AFTER_CLOSE)).map(|day| day.open)
    }

    /// The first of the last `count` trading days up to `day`, by the start of its session.
    pub fn days_back(&self, day: MarketTime, count: usize) -> Option<MarketTime> {
        let upto = &self.0[..self.begun(day)];
        upto[upto.len().saturating_sub(count)..].first().map(|first| first.open)
    }

    /// The close of the session before the one that starts at `open`.
    pub fn close_before(&self, open: MarketTime) -> Option<MarketTime> {
        Some(self.0[self.ended(open).checked_sub(1)?].close)
    }

    /// The first of the last `minutes` minutes of regular sessions before `now`; as far back as the calendar
    /// goes when it knows fewer.
    pub fn minutes_back(&self, now: MarketTime, minutes: u32) -> MarketTime {
        let mut left = Duration::from_secs(u64::from(minutes) * 60);
        let mut start = now;
        for day in self.0.iter().rev().filter(|day| day.open < now) {
            let end = day.close.min(now);
            let length = end.since(day.open);
            if length >= left {
                return end - left;
            }
            left -= length;
            start = day.open;
        }
        start
    }

    /// How many have ended by `now`. They never overlap.
    fn ended(&self, now: MarketTime) -> usize {
        self.0.partition_point(|day| day.close <= now)
    }

    /// How many have begun by `now`.
    fn begun(&self, now: MarketTime) -> usize {
        self.0.partition_point(|day| day.open <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_day_in_new_york() {
        let at = |text: &str| MarketTime::parse(text).expect(text);
        let day = SessionDay { open: at("2013-10-07T13:30:00Z"), close: at("2013-10-07T20:00:00Z") };
        let sessions = Sessions::new(vec![day]);
        let check = |text: &str, expected: (bool, bool)| {
            assert_eq!((sessions.is_open(at(text)), sessions.is_extended_open(at(text))), expected, "{text}");
        };
        check("2013-10-07T07:59:59Z", (false, false));
        check("2013-10-07T08:00:00Z", (false, true));
        check("2013-10-07T13:30:00Z", (true, true));
        check("2013-10-07T20:00:00Z", (false, true));
        check("2013-10-08T00:00:00Z", (false, false));
        assert_eq!(sessions.last_open(at("2013-10-07T13:29:59Z")), None);
        assert_eq!(sessions.trading_day(at("2013-10-07T00:30:00Z")), Some(day.open), "the night before");
        assert_eq!(sessions.trading_day(at("2013-10-07T23:59:59Z")), Some(day.open));
        assert_eq!(sessions.trading_day(at("2013-10-08T00:00:00Z")), None);
        let back = |now: &str, minutes: u32| sessions.minutes_back(at(now), minutes).to_string();
        assert_eq!(back("2013-10-07T13:40:00Z", 5), "2013-10-07T13:35:00Z");
        assert_eq!(back("2013-10-07T13:40:00Z", 500), "2013-10-07T13:30:00Z");
        assert_eq!(back("2013-10-08T01:00:00Z", 5), "2013-10-07T19:55:00Z");
        assert_eq!(back("2013-10-07T01:00:00Z", 5), "2013-10-07T01:00:00Z");
        assert_eq!(sessions.last_open(at("2013-10-08T00:00:00Z")), Some(day.open));
    }

    #[test]
    fn several_days() {
        let at = |text: &str| MarketTime::parse(text).expect(text);
        let day = |number: u32| {
            let time = |hour| at(&format!("2013-10-{number:02}T{hour}:00:00Z"));
            SessionDay { open: time(14), close: time(20) }
        };
        let days: Vec<SessionDay> = [4, 7, 8, 9].into_iter().map(day).collect();
        let sessions = Sessions::new(days.clone());
        assert_eq!(sessions.days_back(days[3].open, 2), Some(days[2].open));
        assert_eq!(sessions.days_back(days[2].open, 2), Some(days[1].open));
        assert_eq!(sessions.days_back(days[3].open, 9), Some(days[0].open));
        assert_eq!(sessions.close_before(days[1].open), Some(days[0].close));
        assert_eq!(sessions.close_before(days[0].open), None);
    }
}
