//! Amounts as the broker writes them: decimals, without a float in between.

use std::{fmt, iter, ops};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Parts of a unit.
const SCALE: i128 = 1_000_000_000;
/// Digits after the point that are kept; further ones are cut off.
const PLACES: usize = 9;
/// Digits before the point: whatever has more is no amount of an account.
const MAX_DIGITS: usize = 15;

/// An amount of money or of shares, in units of 10^-9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Money(i128);

impl Money {
    /// Nothing.
    pub(crate) const ZERO: Self = Self(0);

    /// Whole units.
    pub(crate) const fn whole(units: i64) -> Self {
        Self(units as i128 * SCALE)
    }

    /// Reads a decimal such as `-12.5`. `None` when it is none, or absurdly large.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            _ => (false, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > MAX_DIGITS || !are_digits(whole) || !are_digits(part) {
            return None;
        }
        let part = &part[..part.len().min(PLACES)];
        let fraction: i128 = format!("{part:0<PLACES$}").parse().ok()?;
        let amount = whole.parse::<i128>().ok()? * SCALE + fraction;
        Some(Self(if is_negative { -amount } else { amount }))
    }

    /// Of a text or a number; clients of the broker have seen both.
    pub(crate) fn of(value: Option<&Value>) -> Option<Self> {
        match value? {
            Value::String(text) => Self::parse(text.trim()),
            Value::Number(number) => Self::parse(&number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Without its sign.
    pub(crate) const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Whether it is above zero.
    pub(crate) const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether it is nothing.
    pub(crate) const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self * by / of`; `None` when that cannot be reckoned.
    pub(crate) fn times(self, by: Self, of: Self) -> Option<Self> {
        self.0.checked_mul(by.0)?.checked_div(of.0).map(Self)
    }

    /// `self` shares at this price.
    pub(crate) fn at(self, price: Self) -> Option<Self> {
        self.times(price, Self(SCALE))
    }

    /// As much of `self` as is within `other`, when both have the same sign; else nothing.
    pub(crate) fn shared(self, other: Self) -> Self {
        match (self.0.signum(), other.0.signum()) {
            (1, 1) => self.min(other),
            (-1, -1) => self.max(other),
            _ => Self::ZERO,
        }
    }

    /// So many hundredths of a per cent of it.
    pub(crate) const fn part(self, basis_points: u32) -> Self {
        Self(self.0 * basis_points as i128 / 10_000)
    }

    /// What part of `whole` it is, hundredths of a per cent, rounded down; 0 of nothing.
    pub(crate) fn share_of(self, whole: Self) -> i64 {
        let share = (self.0 * 10_000).checked_div(whole.0).unwrap_or(0);
        i64::try_from(share).unwrap_or(i64::MAX)
    }

    /// In hundredths, rounded towards zero.
    pub(crate) fn cents(self) -> i64 {
        i64::try_from(self.0 / (SCALE / 100)).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Money {
    /// Two places after the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cents = self.0.abs() / (SCALE / 100);
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

impl From<Money> for String {
    fn from(money: Money) -> Self {
        let sign = if money.0 < 0 { "-" } else { "" };
        let amount = money.0.abs();
        format!("{sign}{}.{:09}", amount / SCALE, amount % SCALE)
    }
}

impl TryFrom<String> for Money {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not an amount")
    }
}

impl ops::Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl ops::AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl ops::Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl ops::SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl ops::Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, |sum, one| sum + one)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn decimals_are_read_and_nothing_else() {
        let check = |value: Value, expected: Option<&str>| {
            let got = Money::of(Some(&value)).map(String::from);
            assert_eq!(got.as_deref(), expected, "{value}");
        };
        check(json!("100000"), Some("100000.000000000"));
        check(json!("-12.5"), Some("-12.500000000"));
        check(json!(" 1.2345678919 "), Some("1.234567891"));
        check(json!(0.25), Some("0.250000000"));
        check(json!(-3), Some("-3.000000000"));
        for odd in ["", "-", ".5", "1e5", "NaN", "inf", "+1", "1,000", "--1", "1.2.3", "1234567890123456"] {
            check(json!(odd), None);
        }
        check(json!(null), None);
        check(json!([1]), None);
        assert_eq!(Money::of(None), None);
        assert_eq!(Money::parse("-0.005").expect("one").to_string(), "-0.00");
        assert_eq!(Money::parse("-1234.5678").expect("one").to_string(), "-1234.56");
    }

    proptest! {
        #[test]
        fn an_amount_survives_its_text(
            units in -1_000_000_000_000_i64..1_000_000_000_000, nanos in 0_u32..1_000_000_000
        ) {
            let money = Money::whole(units) + Money(i128::from(nanos));
            let text = String::from(money);
            prop_assert_eq!(Money::try_from(text.clone()), Ok(money), "{}", text);
        }

        #[test]
        fn any_text_is_an_answer_not_a_panic(text in ".{0,40}") {
            let _: Option<Money> = Money::parse(&text);
        }

        #[test]
        fn what_is_shared_is_in_both(a in -1000_i64..1000, b in -1000_i64..1000) {
            let (a, b) = (Money::whole(a), Money::whole(b));
            let shared = a.shared(b);
            prop_assert!(shared.abs() <= a.abs() && shared.abs() <= b.abs());
            prop_assert_eq!(shared, b.shared(a));
        }
    }
}
