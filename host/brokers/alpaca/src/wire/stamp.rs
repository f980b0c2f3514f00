//! RFC 3339 stamps, fast: one comes with every quote.

use std::fmt;

use sandpit_types::MarketTime;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// By what decimals are multiplied, by how many of nine are missing.
const POWERS: [i64; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// A stamp as the broker writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) MarketTime);

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Stamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Stamp, E> {
                parse(text).map(Stamp).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Reads a stamp: the usual UTC form by hand, every other form with the calendar library.
pub(crate) fn parse(text: &str) -> Option<MarketTime> {
    let usual = utc(text.as_bytes()).filter(|&(_, length)| length == text.len());
    usual.map(|(time, _)| time).or_else(|| MarketTime::parse(text).ok())
}

/// The stamp that `text` begins with, and its length: `2023-12-12T22:31:24.668464435Z`, with up to nine
/// decimals; `None` means "look closer", not "wrong".
#[inline]
pub(crate) fn utc(text: &[u8]) -> Option<(MarketTime, usize)> {
    let (fixed, rest) = text.split_first_chunk::<19>()?;
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1] = fixed
    else {
        return None;
    };
    let (century, year) = (two(y0, y1)?, two(y2, y3)?);
    let (year, month, day) = (century * 100 + year, two(m0, m1)?, two(d0, d1)?);
    let (hour, minute, second) = (two(h0, h1)?, two(n0, n1)?, two(s0, s1)?);
    // The narrow range keeps the arithmetic free of overflow.
    if !(1970..=2261).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=last_day(year, month)).contains(&day)
    {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, length) = nanos(rest)?;
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some((MarketTime::from_nanos(seconds * 1_000_000_000 + nanos), fixed.len() + length))
}

/// The end of a stamp: `Z`, or a point, up to nine decimals, and `Z`. Nanoseconds and length.
#[inline]
fn nanos(text: &[u8]) -> Option<(i64, usize)> {
    let decimals = match text {
        [b'Z', ..] => return Some((0, 1)),
        [b'.', decimals @ ..] => decimals,
        _ => return None,
    };
    let (mut nanos, mut length) = (0, 0);
    for byte in decimals {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let fits = *byte == b'Z' && (1..=9).contains(&length);
            return fits.then(|| (nanos * POWERS[9 - length], length + 2));
        }
        if length == 9 {
            return None;
        }
        nanos = nanos * 10 + i64::from(digit);
        length += 1;
    }
    None
}

#[inline]
fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
}

fn last_day(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar, counted in years that begin in March, so that the leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let century_of_four = year / 400;
    let year_of_era = year % 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    century_of_four * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_forms_go_the_long_way() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(text).expect(text).to_string(), expected, "{text}");
        };
        check("2013-10-07T09:30:00-04:00", "2013-10-07T13:30:00Z");
        check("2016-02-29T23:59:59Z", "2016-02-29T23:59:59Z");
        check("2024-01-31T00:00:00.5Z", "2024-01-31T00:00:00.5Z");
        check("2023-12-12T22:31:24.668464435Z", "2023-12-12T22:31:24.668464435Z");
        for bad in
            ["", "2023-02-29T00:00:00Z", "2023-02-28T24:00:00Z", "2023-02-28T00:00:00", "yesterday noon, UTC"]
        {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn equals_the_calendar_library(nanos in 0..9_190_000_000_000_000_000_i64) {
            let time = MarketTime::from_nanos(nanos);
            prop_assert_eq!(parse(&time.to_string()), Some(time));
            let text = time.to_string();
            if let Some(fast) = utc(format!("{text}\",").as_bytes()) {
                prop_assert_eq!(fast, (time, text.len()));
            }
        }

        #[test]
        fn never_panics(text in "[0-9TZ:.-]{0,40}") {
            prop_assert_eq!(parse(&text), MarketTime::parse(&text).ok());
        }
    }
}
