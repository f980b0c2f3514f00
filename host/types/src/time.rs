//! Market time: the time of the exchange, which a simulator may compress.

use std::{fmt, ops, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant of market time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// It comes from the broker's clock and stamps. Real (monotonic) time, on which leases and heartbeats run, is
/// another type in another crate: the two cannot be mixed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarketTime(i64);

/// A text that is not an RFC 3339 time within years 1678 to 2262.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not an RFC 3339 time such as 2013-10-07T13:30:00Z")]
pub struct TimeError {
    /// What was read.
    pub text: String,
}

impl MarketTime {
    /// The start of 1970, UTC.
    pub const EPOCH: Self = Self(0);

    /// From nanoseconds since the start of 1970, UTC.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds since the start of 1970, UTC; saturates at the ends of the range.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the start of 1970, UTC.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the start of 1970, UTC, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Time passed since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The start of the minute this instant lies in; of the very first minute, whose start cannot be told,
    /// the first instant that can.
    pub const fn minute(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(60_000_000_000)))
    }

    /// Reads an RFC 3339 time with up to nine decimals of a second.
    ///
    /// # Errors
    /// When `text` is not such a time, or lies outside years 1678 to 2262.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let stamp: jiff::Timestamp = text.parse().map_err(|_| TimeError { text: text.to_owned() })?;
        i64::try_from(stamp.as_nanosecond()).map(Self).map_err(|_| TimeError { text: text.to_owned() })
    }

    /// The same instant as `jiff` has it, for calendar arithmetic.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .expect("every i64 of nanoseconds is in jiff's range")
    }
}

/// The market's clock as the edges read it. Cores get the time as an argument instead.
pub trait MarketClock: Send + Sync + 'static {
    /// Market time now. Never goes back.
    fn now(&self) -> MarketTime;

    /// How much real time passes until market time `at`; zero if it is past.
    fn real_until(&self, at: MarketTime) -> Duration;
}

impl From<jiff::Timestamp> for MarketTime {
    /// Saturates at the years 1678 and 2262.
    fn from(stamp: jiff::Timestamp) -> Self {
        let nanos = stamp.as_nanosecond();
        Self(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

impl ops::Add<Duration> for MarketTime {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl ops::Sub<Duration> for MarketTime {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339, UTC, as many decimals as needed.
impl fmt::Display for MarketTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

/// RFC 3339 where people read it, else nanoseconds.
impl Serialize for MarketTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for MarketTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_nanoseconds_and_offsets() {
        let check = |text: &str, expected: &str| {
            let time = MarketTime::parse(text).expect(text);
            assert_eq!(time.to_string(), expected, "{text}");
            assert_eq!(MarketTime::parse(&time.to_string()).expect("round trip"), time);
        };
        check("2013-10-07T13:30:00Z", "2013-10-07T13:30:00Z");
        check("2013-10-07T09:30:00-04:00", "2013-10-07T13:30:00Z");
        check("2023-12-12T22:31:24.668464435Z", "2023-12-12T22:31:24.668464435Z");
        for bad in ["", "yesterday", "2013-10-07", "2013-13-07T00:00:00Z"] {
            assert!(MarketTime::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let end = MarketTime::from_nanos(i64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(MarketTime::EPOCH.since(end), Duration::ZERO);
        assert_eq!(MarketTime::from_nanos(-1).minute().as_nanos(), -60_000_000_000);
        assert_eq!(MarketTime::from_nanos(i64::MIN).minute(), MarketTime::from_nanos(i64::MIN));
    }
}
