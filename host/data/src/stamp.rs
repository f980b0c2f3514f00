//! Timestamps as people write them.

use jiff::{civil::DateTime, tz::TimeZone};
use sandpit_types::MarketTime;

use crate::Trouble;

/// Where a time says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// UTC, or a number since 1970.
    Utc,
    /// So many minutes ahead of UTC.
    Offset(i16),
    /// It does not say.
    None,
}

/// Reads a time. One that says no zone is in `zone`, where that is given.
pub(crate) fn parse(text: &[u8], zone: Option<&TimeZone>) -> Result<(MarketTime, Zone), Trouble> {
    if let Some(time) = utc(text) {
        return Ok((time, Zone::Utc));
    }
    let text = std::str::from_utf8(text).unwrap_or_default().trim();
    let wrong = || Trouble::Cell { column: "timestamp", text: text.to_owned(), wanted: "time" };
    if let Ok(number) = text.parse::<i64>() {
        return numbered(number).map(|time| (time, Zone::Utc)).ok_or_else(wrong);
    }
    if let Ok(time) = MarketTime::parse(text) {
        return Ok((time, offset(text)));
    }
    let civil: DateTime = text.parse().map_err(|_| wrong())?;
    let Some(zone) = zone else { return Err(Trouble::NoZone { text: text.to_owned() }) };
    Ok((on_clocks(civil, zone).ok_or_else(wrong)?, Zone::None))
}

/// A time on the clocks of a zone. An hour that a change of the clocks makes twice is taken as its first.
pub(crate) fn on_clocks(civil: DateTime, zone: &TimeZone) -> Option<MarketTime> {
    zone.to_ambiguous_timestamp(civil).compatible().ok().map(MarketTime::from)
}

/// By its size: seconds, milliseconds, microseconds or nanoseconds, of the years 1973 to 2286 each.
pub(crate) fn numbered(number: i64) -> Option<MarketTime> {
    let scale = match number.unsigned_abs() {
        0..100_000_000 => return None,
        100_000_000..10_000_000_000 => 1_000_000_000,
        10_000_000_000..10_000_000_000_000 => 1_000_000,
        10_000_000_000_000..10_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(scale).map(MarketTime::from_nanos)
}

/// The offset at the end of a text that is known to be RFC 3339.
fn offset(text: &str) -> Zone {
    let Some(sign) = text.rfind(['+', '-']).filter(|at| *at > 10) else { return Zone::Utc };
    let digits: Vec<i16> =
        text[sign + 1..].bytes().filter(u8::is_ascii_digit).map(|digit| i16::from(digit - b'0')).collect();
    let [h1, h2, rest @ ..] = &*digits else { return Zone::Utc };
    let minutes = match rest {
        [m1, m2, ..] => m1 * 10 + m2,
        _ => 0,
    };
    let ahead = (h1 * 10 + h2) * 60 + minutes;
    match if text.as_bytes()[sign] == b'-' { -ahead } else { ahead } {
        0 => Zone::Utc,
        ahead => Zone::Offset(ahead),
    }
}

/// `2013-10-07T13:30:00Z` with up to nine decimals, which nearly all files have: without any detour.
fn utc(text: &[u8]) -> Option<MarketTime> {
    let [date_time @ .., b'Z'] = text else { return None };
    let (date_time, decimals) = (date_time.get(..19)?, date_time.get(19..)?);
    let shape = b"0000-00-00T00:00:00";
    let fits = |(byte, want): (&u8, &u8)| if *want == b'0' { byte.is_ascii_digit() } else { byte == want };
    if !date_time.iter().zip(shape).all(fits) {
        return None;
    }
    let number = |at: std::ops::Range<usize>| {
        date_time[at].iter().fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'))
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let (hour, minute, second) = (number(11..13), number(14..16), number(17..19));
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if !(1..=length[usize::try_from(month - 1).ok()?]).contains(&day) || !(1678..2262).contains(&year) {
        return None;
    }
    let nanos = match decimals {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) => {
            let fraction = digits.iter().fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'));
            fraction * 10_i64.pow(9 - u32::try_from(digits.len()).ok()?)
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos).map(MarketTime::from_nanos)
}

/// Days from 1970-01-01 to that date of the Gregorian calendar (Howard Hinnant, chrono-compatible low-level
/// date algorithms).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    fn read(text: &str) -> Result<(String, Zone), Trouble> {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get("America/New_York").ok();
        parse(text.as_bytes(), zone.as_ref()).map(|(time, zone)| (time.to_string(), zone))
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        let check = |text: &str, time: &str, zone: Zone| {
            assert_eq!(read(text), Ok((time.to_owned(), zone)), "{text}");
        };
        check("2013-10-07T13:30:00Z", "2013-10-07T13:30:00Z", Zone::Utc);
        check("2013-10-07T13:30:00.464Z", "2013-10-07T13:30:00.464Z", Zone::Utc);
        check("2013-10-07T13:30:00+00:00", "2013-10-07T13:30:00Z", Zone::Utc);
        check("2013-10-07T09:30:00-04:00", "2013-10-07T13:30:00Z", Zone::Offset(-240));
        check("2013-10-07 09:30:00-0400", "2013-10-07T13:30:00Z", Zone::Offset(-240));
        check("2013-10-07 09:30:00", "2013-10-07T13:30:00Z", Zone::None);
        check("2013-01-07T09:30:00", "2013-01-07T14:30:00Z", Zone::None);
        check("1381152600", "2013-10-07T13:30:00Z", Zone::Utc);
        check("1381152600000", "2013-10-07T13:30:00Z", Zone::Utc);
        check("1381152600000000", "2013-10-07T13:30:00Z", Zone::Utc);
        check("1381152600000000000", "2013-10-07T13:30:00Z", Zone::Utc);
        for wrong in ["", "x", "2013-13-07T13:30:00Z", "2013-02-29T13:30:00Z", "17", "2013-10-07T13:30:00.Z"]
        {
            assert!(matches!(read(wrong), Err(Trouble::Cell { .. })), "{wrong}: {:?}", read(wrong));
        }
        assert!(matches!(parse(b"2013-10-07 09:30:00", None), Err(Trouble::NoZone { .. })));
    }

    const QUINTILLION: i64 = 1_000_000_000_000_000_000;

    proptest! {
        #[test]
        fn the_short_way_reads_what_the_long_one_does(nanos in -9 * QUINTILLION..9 * QUINTILLION) {
            let time = MarketTime::from_nanos(nanos);
            let text = time.to_string();
            if let Some(read) = utc(text.as_bytes()) {
                prop_assert_eq!(read, time);
            } else {
                prop_assert_eq!(MarketTime::parse(&text).ok(), Some(time));
                assert!(nanos < -9_214_560_000_000_000_000 || text.len() < 20, "{}", text);
            }
        }
    }
}
