//! The exchange's clock and calendar, in New York time.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use sandpit_types::MarketTime;
use sandpit_venue::{Calendar, Phase, Session};
use serde::Serialize;

/// Writes times as New York reads them.
#[derive(Clone, Debug)]
pub(crate) struct NewYork(TimeZone);

impl NewYork {
    pub(crate) fn new() -> Self {
        let zone = TimeZoneDatabase::bundled().get("America/New_York");
        Self(zone.expect("the time zone database in this program has New York"))
    }

    /// Writes times as Greenwich reads them, for those who ask for it.
    pub(crate) fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// RFC 3339 with the offset of the season.
    fn stamp(&self, time: MarketTime) -> String {
        time.to_jiff().to_zoned(self.0.clone()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
    }

    /// The time of day, in this format.
    pub(crate) fn clock(&self, time: MarketTime, format: &str) -> String {
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

/// A market of the third version's clock and calendar.
#[derive(Debug, Serialize)]
pub(crate) struct MarketJson {
    acronym: &'static str,
    mic: &'static str,
    name: &'static str,
    timezone: &'static str,
}

const fn market(acronym: &'static str, mic: &'static str, name: &'static str) -> MarketJson {
    MarketJson { acronym, mic, name, timezone: "America/New_York" }
}

/// The markets that keep the exchange's hours.
pub(crate) const MARKETS: [MarketJson; 3] = [
    market("NYSE", "XNYS", "New York Stock Exchange"),
    market("NASDAQ", "XNAS", "National Association of Securities Dealers Automated Quotations"),
    market("IEX", "IEXG", "Investors Exchange"),
];

impl MarketJson {
    /// Whether a client means this market.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        [self.acronym, self.mic].contains(&name)
    }
}

/// One clock of `GET /v3/clock`.
#[derive(Serialize)]
pub(crate) struct MarketClockJson {
    market: &'static MarketJson,
    timestamp: String,
    is_market_day: bool,
    next_market_open: String,
    next_market_close: String,
    phase: &'static str,
    phase_until: String,
}

impl MarketClockJson {
    pub(crate) fn new(
        market: &'static MarketJson,
        now: MarketTime,
        calendar: &Calendar,
        new_york: &NewYork,
    ) -> Self {
        Self {
            market,
            timestamp: new_york.stamp(now),
            is_market_day: calendar.session(calendar.date(now)).is_some(),
            next_market_open: new_york.stamp(calendar.next_open(now)),
            next_market_close: new_york.stamp(calendar.next_close(now)),
            phase: match calendar.phase(now) {
                Phase::Closed => "closed",
                Phase::Pre => "pre",
                Phase::Open => "core",
                Phase::Post => "post",
            },
            phase_until: new_york.stamp(calendar.next_change(now)),
        }
    }
}

/// One day of `GET /v3/calendar/{market}`.
#[derive(Serialize)]
pub(crate) struct MarketDayJson {
    date: String,
    pre_start: String,
    pre_end: String,
    core_start: String,
    core_end: String,
    post_start: String,
    post_end: String,
    settlement_date: String,
}

impl MarketDayJson {
    pub(crate) fn new(day: &Session, next: &Session, zone: &NewYork) -> Self {
        let [pre, open, close, end] =
            [day.pre_open, day.open, day.close, day.post_close].map(|moment| zone.stamp(moment));
        Self {
            date: day.date.to_string(),
            pre_start: pre,
            pre_end: open.clone(),
            core_start: open,
            core_end: close.clone(),
            post_start: close,
            post_end: end,
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
