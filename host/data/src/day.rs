//! Days as New York has them.

use std::ops::Range;

use jiff::{
    Zoned,
    civil::{Date, DateTime, Weekday, time},
    tz::{TimeZone, TimeZoneDatabase},
};
use sandpit_types::{MarketEvent, MarketTime};

use crate::{DataError, Reel};

/// One day in New York.
#[derive(Clone, Copy)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) midnight: MarketTime,
    pub(crate) end: MarketTime,
    /// When the regular session begins, if there is one.
    pub(crate) open: MarketTime,
    pub(crate) close: MarketTime,
    pub(crate) is_weekday: bool,
}

/// The days, from midnight to midnight in New York, that have data in their regular session.
///
/// # Errors
/// When the data cannot be used.
pub fn trading_days(reel: &mut dyn Reel) -> Result<Vec<Range<MarketTime>>, DataError> {
    let (mut days, mut found, mut events) = (Days::new(), Vec::<Range<MarketTime>>::new(), Vec::new());
    loop {
        reel.read(&mut events)?;
        if events.is_empty() {
            return Ok(found);
        }
        for at in events.drain(..).map(|event: MarketEvent| event.time()) {
            if found.last().is_some_and(|day| at < day.end) {
                continue;
            }
            let day = days.of(at);
            if day.is_weekday && day.open < at && at <= day.close {
                found.push(day.midnight..day.end);
            }
        }
    }
}

/// Finds the days of times; those of one day come together, which makes it quick.
pub(crate) struct Days {
    new_york: TimeZone,
    last: Option<Day>,
}

impl Days {
    pub(crate) fn new() -> Self {
        let new_york = TimeZoneDatabase::bundled()
            .get("America/New_York")
            .expect("the time zone database in this program has New York");
        Self { new_york, last: None }
    }

    /// The day of a time.
    pub(crate) fn of(&mut self, at: MarketTime) -> Day {
        if let Some(day) = self.last.filter(|day| day.midnight <= at && at < day.end) {
            return day;
        }
        let date = Zoned::new(at.to_jiff(), self.new_york.clone()).date();
        let moment = |at: DateTime| -> MarketTime {
            self.new_york.to_ambiguous_timestamp(at).compatible().map_or(MarketTime::EPOCH, MarketTime::from)
        };
        let day = Day {
            date,
            midnight: moment(date.at(0, 0, 0, 0)),
            end: moment(date.tomorrow().unwrap_or(date).at(0, 0, 0, 0)),
            open: moment(date.to_datetime(time(9, 30, 0, 0))),
            close: moment(date.to_datetime(time(16, 0, 0, 0))),
            is_weekday: !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday),
        };
        self.last = Some(day);
        day
    }
}
