//! The exchange's clock and calendar, in New York time.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use sandpit_types::MarketTime;
use sandpit_venue::{Calendar, Session};
use serde::Serialize;

/// Writes times as New York reads them.
#[derive(Clone, Debug)]
pub(crate) struct NewYork(TimeZone);

impl NewYork {
    pub(crate) fn new() -> Self {
        let zone = TimeZoneDatabase::bundled().get("America/New_York");
        Self(zone.expect("the time zone database in this program has New York"))
    }

    /// RFC 3339 with the offset of the season.
    pub(crate) fn stamp(&self, time: MarketTime) -> String {
        time.to_jiff().to_zoned(self.0.clone()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
    }

    /// The time of day, in this format.
    fn clock(&self, time: MarketTime, format: &str) -> String {
        time.to_jiff().to_zoned(self.0.clone()).strftime(format).to_string()
    }

    /// The first moment of a day.
    pub(crate) fn midnight(&self, date: jiff::civil::Date) -> Option<MarketTime> {
        Some(date.to_zoned(self.0.clone()).ok()?.timestamp().into())
    }
}

/// `GET /v2/clock`.
#[derive(Serialize)]
pub(crate) struct ClockJson {
    timestamp: String,
    is_open: bool,
    next_open: String,
    next_close: String,
}

impl ClockJson {
    pub(crate) fn new(now: MarketTime, calendar: &Calendar, new_york: &NewYork) -> Self {
        Self {
            timestamp: new_york.stamp(now),
            is_open: calendar.is_open(now),
            next_open: new_york.stamp(calendar.next_open(now)),
            next_close: new_york.stamp(calendar.next_close(now)),
        }
    }
}

/// One day of `GET /v2/calendar`.
#[derive(Serialize)]
pub(crate) struct DayJson {
    date: String,
    open: String,
    close: String,
    session_open: String,
    session_close: String,
    settlement_date: String,
}

impl DayJson {
    /// A session; trades settle on the trading day after it (the rule since 2024-05-28).
    pub(crate) fn new(day: &Session, next: &Session, new_york: &NewYork) -> Self {
        Self {
            date: day.date.to_string(),
            open: new_york.clock(day.open, "%H:%M"),
            close: new_york.clock(day.close, "%H:%M"),
            session_open: new_york.clock(day.pre_open, "%H%M"),
            session_close: new_york.clock(day.post_close, "%H%M"),
            settlement_date: next.date.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_clock_speaks_new_york() {
        let check = |now: &str, expected: serde_json::Value| {
            let now = MarketTime::parse(now).expect(now);
            let clock = ClockJson::new(now, &Calendar::nyse(), &NewYork::new());
            assert_eq!(serde_json::to_value(clock).expect("JSON"), expected);
        };
        check(
            "2026-03-06T20:00:00.25Z",
            json!({"timestamp": "2026-03-06T15:00:00.25-05:00", "is_open": true,
                "next_open": "2026-03-09T09:30:00-04:00", "next_close": "2026-03-06T16:00:00-05:00"}),
        );
        check(
            "2026-03-07T00:00:00Z",
            json!({"timestamp": "2026-03-06T19:00:00-05:00", "is_open": false,
                "next_open": "2026-03-09T09:30:00-04:00", "next_close": "2026-03-09T16:00:00-04:00"}),
        );
    }
}
