//! ULIDs: names that sort by time. Here they are drawn from the time and a count, so that a run names its
//! events the same way each time.

use std::{fmt, str::FromStr};

use sandpit_types::MarketTime;

/// Crockford's base32: no I, L, O and U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits of a ULID: 130 bits for 128.
const LENGTH: usize = 26;
/// Bits after the milliseconds.
const TIME_SHIFT: u32 = 80;
/// Bits after the count.
const COUNT_SHIFT: u32 = 16;

/// A name of 128 bits: milliseconds since 1970, then whatever makes it unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ulid(u128);

/// A text that is not a ULID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ULID of 26 characters")]
pub(crate) struct NotAUlid;

impl Ulid {
    /// The name of event number `count` of a run: later events have greater names.
    pub(crate) fn new(at: MarketTime, count: u64) -> Self {
        let millis = u128::from(at.as_millis().max(0).unsigned_abs()) & ((1 << 48) - 1);
        // The low bits only make names look as clients expect them.
        let spread = count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        Self(millis << TIME_SHIFT | u128::from(count) << COUNT_SHIFT | u128::from(spread))
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |place: usize| DIGITS[(self.0 >> (5 * place) & 31) as usize] as char;
        (0..LENGTH).rev().map(digit).collect::<String>().fmt(f)
    }
}

impl FromStr for Ulid {
    type Err = NotAUlid;

    fn from_str(text: &str) -> Result<Self, NotAUlid> {
        if text.len() != LENGTH || text.as_bytes()[0] > b'7' {
            return Err(NotAUlid);
        }
        let digit = |byte: u8| DIGITS.iter().position(|digit| *digit == byte.to_ascii_uppercase());
        text.bytes()
            .try_fold(0_u128, |bits, byte| Some(bits << 5 | digit(byte)? as u128))
            .map(Self)
            .ok_or(NotAUlid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_events_do_and_read_back() {
        let at = |nanos| MarketTime::from_nanos(nanos);
        let names = [
            Ulid::new(at(0), 1),
            Ulid::new(at(0), 2),
            Ulid::new(at(1_773_667_800_000_000_000), 3),
            Ulid::new(at(1_773_667_800_000_999_999), 4),
            Ulid::new(at(1_773_667_800_001_000_000), 5),
        ];
        assert!(names.is_sorted_by(|a, b| a < b));
        let texts = names.map(|name| name.to_string());
        assert!(texts.is_sorted_by(|a, b| a < b), "{texts:?}");
        for (name, text) in names.iter().zip(&texts) {
            assert_eq!((text.len(), text.parse()), (26, Ok(*name)));
            assert_eq!(text.to_lowercase().parse(), Ok(*name));
        }
        // The example of the ULID specification: its first ten digits are the milliseconds.
        let known = Ulid::new(at(1_469_918_176_385_000_000), 0).to_string();
        assert_eq!(&known[..10], "01ARYZ6S41");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "01ARYZ6S41", "81ARYZ6S410000000000000000", "01ARYZ6S4100000000000000U0"] {
            assert_eq!(text.parse::<Ulid>(), Err(NotAUlid), "{text}");
        }
        assert_eq!("é".repeat(13).parse::<Ulid>(), Err(NotAUlid));
    }
}
