//! Decimal money. No float ever becomes an order.

use std::{fmt, ops, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A number that is not money: not finite, not a decimal, or out of range.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a decimal number with at most 28 digits")]
pub struct MoneyError {
    /// What was read.
    pub text: String,
}

macro_rules! decimal_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "crate::binary::decimal")] Decimal);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(Decimal::ZERO);

            /// Wraps a decimal as it is.
            pub const fn new(value: Decimal) -> Self {
                Self(value)
            }

            /// From units of 10^-9, the form in which values cross the strategy interface.
            pub fn from_nanos(nanos: i64) -> Self {
                Self(Decimal::new(nanos, 9).normalize())
            }

            /// In units of 10^-9, rounded half to even; `None` when it does not fit.
            pub fn to_nanos(self) -> Option<i64> {
                use rust_decimal::prelude::ToPrimitive;
                self.0.checked_mul(Decimal::from(1_000_000_000))?.round().to_i64()
            }

            /// From a float of market data, exactly as its shortest decimal text reads.
            ///
            /// # Errors
            /// When it is not finite or does not fit.
            pub fn from_f64(value: f64) -> Result<Self, MoneyError> {
                value.to_string().parse()
            }

            /// The nearest float: for figures and metrics, never for orders.
            pub fn to_f64(self) -> f64 {
                use rust_decimal::prelude::ToPrimitive;
                self.0.to_f64().unwrap_or(f64::NAN)
            }

            /// The decimal itself.
            pub const fn get(self) -> Decimal {
                self.0
            }

            /// Without its sign.
            pub fn abs(self) -> Self {
                Self(self.0.abs())
            }

            /// Whether it is exactly zero.
            pub fn is_zero(self) -> bool {
                self.0.is_zero()
            }

            /// Whether it is above zero.
            pub fn is_positive(self) -> bool {
                self.0 > Decimal::ZERO
            }
        }

        impl FromStr for $name {
            type Err = MoneyError;
            fn from_str(text: &str) -> Result<Self, MoneyError> {
                Decimal::from_str_exact(text)
                    .or_else(|_| Decimal::from_scientific(text))
                    .map(Self)
                    .map_err(|_| MoneyError { text: text.to_owned() })
            }
        }

        /// As brokers write it: no trailing zeros.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.normalize().fmt(f)
            }
        }

        impl ops::Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self { Self(self.0.saturating_add(other.0)) }
        }
        impl ops::Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self { Self(self.0.saturating_sub(other.0)) }
        }
        impl ops::Neg for $name {
            type Output = Self;
            fn neg(self) -> Self { Self(-self.0) }
        }
        impl ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) { *self = *self + other; }
        }
        impl ops::SubAssign for $name {
            fn sub_assign(&mut self, other: Self) { *self = *self - other; }
        }
        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self { items.fold(Self::ZERO, |a, b| a + b) }
        }
    };
}

decimal_newtype! {
    /// US dollars for one share.
    Price
}
decimal_newtype! {
    /// A number of shares, at most nine decimals. Negative means short, where a position is meant.
    Qty
}
decimal_newtype! {
    /// An amount of US dollars.
    Usd
}

impl Price {
    /// The smallest step of an order's price here: 0.01 from 1 USD upwards, 0.0001 below (Alpaca's sub-penny
    /// rule).
    pub fn tick(self) -> Self {
        if self.0 >= Decimal::ONE { Self(Decimal::new(1, 2)) } else { Self(Decimal::new(1, 4)) }
    }

    /// Whether this is a whole number of ticks.
    pub fn is_on_tick(self) -> bool {
        (self.0 % self.tick().0).is_zero()
    }
}

impl ops::Mul<Qty> for Price {
    type Output = Usd;
    fn mul(self, qty: Qty) -> Usd {
        Usd(self.0.saturating_mul(qty.0))
    }
}

impl ops::Mul<Decimal> for Usd {
    type Output = Usd;
    fn mul(self, factor: Decimal) -> Usd {
        Usd(self.0.saturating_mul(factor))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_change_at_one_dollar() {
        let check = |text: &str, on_tick: bool| {
            assert_eq!(text.parse::<Price>().expect(text).is_on_tick(), on_tick, "{text}");
        };
        check("290.12", true);
        check("290.123", false);
        check("0.9999", true);
        check("0.99995", false);
        check("1", true);
    }

    #[test]
    fn floats_keep_their_shortest_text() {
        assert_eq!(Price::from_f64(167.41).expect("finite").to_string(), "167.41");
        assert_eq!(Price::from_f64(0.1 + 0.2).expect("finite").to_string(), "0.30000000000000004");
        for bad in [f64::NAN, f64::INFINITY, 1e300] {
            assert!(Price::from_f64(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nanos_round_trip(nanos in any::<i64>()) {
            prop_assert_eq!(Qty::from_nanos(nanos).to_nanos(), Some(nanos));
        }

        #[test]
        fn text_round_trips(nanos in any::<i64>()) {
            let price = Price::from_nanos(nanos);
            prop_assert_eq!(price.to_string().parse::<Price>().expect("own text"), price);
        }
    }
}
