//! RFC 3339 stamps, fast: one comes with every quote.

use std::fmt;

use sandpit_types::MarketTime;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

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
    utc(text.as_bytes()).or_else(|| MarketTime::parse(text).ok())
}

/// `2023-12-12T22:31:24.668464435Z`, with up to nine decimals; `None` means "look closer", not "wrong".
fn utc(text: &[u8]) -> Option<MarketTime> {
    const SEPARATORS: [(usize, u8); 5] = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if text.len() < 20 || SEPARATORS.iter().any(|&(at, byte)| text[at] != byte) {
        return None;
    }
    let (year, month, day) = (digits(&text[..4])?, digits(&text[5..7])?, digits(&text[8..10])?);
    let (hour, minute, second) = (digits(&text[11..13])?, digits(&text[14..16])?, digits(&text[17..19])?);
    // The narrow range keeps the arithmetic free of overflow, and short months go the long way round.
    if !(1970..=2261).contains(&year) || !(1..=12).contains(&month) || !(1..=28).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = match &text[19..] {
        b"Z" => 0,
        [b'.', decimals @ .., b'Z'] if (1..=9).contains(&decimals.len()) => {
            digits(decimals)? * 10_i64.pow(9 - decimals.len() as u32)
        }
        _ => return None,
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(MarketTime::from_nanos(seconds * 1_000_000_000 + nanos))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
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
            if let Some(fast) = utc(time.to_string().as_bytes()) {
                prop_assert_eq!(fast, time);
            }
        }

        #[test]
        fn never_panics(text in "[0-9TZ:.-]{0,40}") {
            prop_assert_eq!(parse(&text), MarketTime::parse(&text).ok());
        }
    }
}
