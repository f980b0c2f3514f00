//! Fixed-point money: integers in units of 10^-9, as they cross the strategy interface.

use std::{fmt, iter, ops};

/// Units of 10^-9 in one.
pub(crate) const NANOS_PER_UNIT: i64 = 1_000_000_000;

macro_rules! nano_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// An integer in units of 10^-9. Sums saturate at the ends of the range (about ±9.2 billion).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// From units of 10^-9.
            pub const fn from_nanos(nanos: i64) -> Self {
                Self(nanos)
            }

            /// In units of 10^-9.
            pub const fn nanos(self) -> i64 {
                self.0
            }

            /// The nearest value to a float of market data; `None` when that is not finite or does not fit.
            pub fn from_f64(value: f64) -> Option<Self> {
                let nanos = (value * NANOS_PER_UNIT as f64).round();
                let fits = nanos.is_finite() && nanos.abs() < i64::MAX as f64;
                fits.then_some(Self(nanos as i64))
            }

            /// The nearest float: for figures and ratios, never for orders.
            pub fn to_f64(self) -> f64 {
                self.0 as f64 / NANOS_PER_UNIT as f64
            }

            /// Without its sign.
            pub const fn abs(self) -> Self {
                Self(self.0.saturating_abs())
            }

            /// Whether it is exactly zero.
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// Whether it is above zero.
            pub const fn is_positive(self) -> bool {
                self.0 > 0
            }
        }

        /// As a decimal without trailing zeros.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_decimal(self.0, f)
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
            fn neg(self) -> Self { Self(self.0.saturating_neg()) }
        }
        impl ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) { *self = *self + other; }
        }
        impl ops::SubAssign for $name {
            fn sub_assign(&mut self, other: Self) { *self = *self - other; }
        }
        impl iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self { items.fold(Self::ZERO, |a, b| a + b) }
        }
    };
}

nano_newtype! {
    /// US dollars for one share.
    Price
}
nano_newtype! {
    /// A number of shares; negative means short, where a position is meant.
    Qty
}
nano_newtype! {
    /// An amount of US dollars.
    Usd
}
nano_newtype! {
    /// A percentage: 1.5 is 1.5 %.
    Percent
}

impl Qty {
    /// Whole shares.
    pub const fn shares(count: i64) -> Self {
        Self(count.saturating_mul(NANOS_PER_UNIT))
    }

    /// Without the fraction of a share: 2.7 becomes 2, -2.7 becomes -2.
    pub const fn whole(self) -> Self {
        Self(self.0 / NANOS_PER_UNIT * NANOS_PER_UNIT)
    }
}

impl Percent {
    /// Hundredths of a percent.
    pub const fn basis_points(count: i64) -> Self {
        Self(count.saturating_mul(NANOS_PER_UNIT / 100))
    }
}

impl Usd {
    /// Whole dollars.
    pub const fn dollars(count: i64) -> Self {
        Self(count.saturating_mul(NANOS_PER_UNIT))
    }

    /// This amount times a factor: a budget out of an equity. Not finite counts as zero.
    pub fn scaled(self, factor: f64) -> Self {
        Self::from_f64(self.to_f64() * factor).unwrap_or(Self::ZERO)
    }

    /// How many whole shares this amount pays for; zero when either is not above zero.
    pub const fn shares_at(self, price: Price) -> Qty {
        if self.0 <= 0 || price.0 <= 0 { Qty::ZERO } else { Qty::shares(self.0 / price.0) }
    }
}

impl ops::Mul<Qty> for Price {
    type Output = Usd;

    /// The value of that many shares, rounded towards zero; saturates.
    fn mul(self, quantity: Qty) -> Usd {
        let nanos = i128::from(self.0) * i128::from(quantity.0) / i128::from(NANOS_PER_UNIT);
        Usd(nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

fn write_decimal(nanos: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sign = if nanos < 0 { "-" } else { "" };
    let magnitude = nanos.unsigned_abs();
    let (whole, fraction) = (magnitude / NANOS_PER_UNIT as u64, magnitude % NANOS_PER_UNIT as u64);
    if fraction == 0 {
        return f.pad(&format!("{sign}{whole}"));
    }
    f.pad(format!("{sign}{whole}.{fraction:09}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_written_short() {
        let check = |nanos: i64, text: &str| assert_eq!(Price::from_nanos(nanos).to_string(), text);
        check(167_410_000_000, "167.41");
        check(-500_000_000, "-0.5");
        check(3_000_000_000, "3");
        check(1, "0.000000001");
        check(i64::MIN, "-9223372036.854775808");
    }

    #[test]
    fn budgets_buy_whole_shares() {
        let check = |usd: f64, price: f64, shares: i64| {
            let budget = Usd::from_f64(usd).expect("fits");
            assert_eq!(budget.shares_at(Price::from_f64(price).expect("fits")), Qty::shares(shares));
        };
        check(1000.0, 167.41, 5);
        check(167.41, 167.41, 1);
        check(167.40, 167.41, 0);
        check(-5.0, 1.0, 0);
        check(5.0, 0.0, 0);
    }

    #[test]
    fn floats_that_are_not_money_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, 1e10, -1e300] {
            assert_eq!(Price::from_f64(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn cents_survive_floats(cents in -100_000_000_i64..100_000_000) {
            let price = Price::from_nanos(cents * 10_000_000);
            prop_assert_eq!(Price::from_f64(price.to_f64()), Some(price));
            prop_assert_eq!(price.to_string().parse::<f64>().expect("a decimal"), price.to_f64());
        }

        #[test]
        fn a_budget_is_never_overspent(budget in 0_i64..i64::MAX, price in 1_i64..10_000_000_000_000) {
            let (budget, price) = (Usd::from_nanos(budget), Price::from_nanos(price));
            let shares = budget.shares_at(price);
            prop_assert!(price * shares <= budget);
        }
    }
}
