//! Prices of market data: floats until an order or a question needs them as money.

use rust_decimal::Decimal;
use sandpit_types::Price;

use crate::book::up_to_tick;

/// Above this, a price of market data is nonsense and counts as none.
const MAX_PRICE: f64 = 1e9;

/// From here on a float is surely not rounded to no price at all.
const SURELY_PRICE: f64 = 1e-6;

/// A dollar and a cent in millionths of a dollar.
const DOLLAR_MICROS: i64 = 1_000_000;
const CENT_MICROS: i64 = 10_000;

/// Offers below this many millionths of a dollar are made with whole numbers.
const SMALL_MICROS: i64 = 1_000_000_000_000;

/// A price of market data as money: whole cents as they are, anything else to six decimals; `None` for no
/// price.
pub(crate) fn price(value: f64) -> Option<Price> {
    if !(value > 0.0 && value < MAX_PRICE) {
        return None;
    }
    if let Some(cents) = whole_cents(value) {
        return (cents > 0).then(|| Price::new(Decimal::new(cents, 2)));
    }
    let micros = nearest(value * 1e6);
    (micros > 0).then(|| Price::new(Decimal::new(micros, 6).normalize()))
}

/// Whether [`price`] finds one.
pub(crate) fn is_price(value: f64) -> bool {
    (SURELY_PRICE..MAX_PRICE).contains(&value) || price(value).is_some()
}

/// The offer over a bar's close: so many basis points above it, up to a tick, and at least a tick above it.
/// Zero without a price.
pub(crate) fn made_offer(close: f64, spread_bp: u32) -> f64 {
    small_offer(close, spread_bp)
        .or_else(|| Some(exact_offer(price(close)?, spread_bp).to_f64()))
        .unwrap_or(0.0)
}

/// From one dollar up to a million the same without decimals: nearly every bar is such.
fn small_offer(close: f64, spread_bp: u32) -> Option<f64> {
    if !(0.5..MAX_PRICE).contains(&close) {
        return None;
    }
    let micros = whole_cents(close).map_or_else(|| nearest(close * 1e6), |cents| cents * CENT_MICROS);
    if !(DOLLAR_MICROS..SMALL_MICROS).contains(&micros) {
        return None;
    }
    // In units of 10^-10 dollars; a cent has 10^8 of them.
    let wide = micros.checked_mul(10_000 + i64::from(spread_bp))?;
    let cents = wide / 100_000_000 + i64::from(wide % 100_000_000 != 0);
    let offer = (cents * CENT_MICROS).max(micros + CENT_MICROS);
    Some(offer as f64 / 1e6)
}

fn exact_offer(close: Price, spread_bp: u32) -> Price {
    let width = close.get() * Decimal::new(i64::from(spread_bp), 4);
    up_to_tick(Price::new(close.get() + width)).max(close + close.tick())
}

/// The cents of a price below [`MAX_PRICE`], if it is a whole number of them.
fn whole_cents(value: f64) -> Option<i64> {
    let cents = nearest(value * 1e2);
    ((cents as f64 / 1e2 - value).abs() < 1e-9).then_some(cents)
}

/// The nearest whole number, half away from zero, of one that is not negative and below 10^15: all of them
/// and their halves are exact.
fn nearest(value: f64) -> i64 {
    let whole = value as i64;
    whole + i64::from(value - whole as f64 >= 0.5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prices_of_market_data() {
        let check = |value: f64, expected: Option<&str>| {
            assert_eq!(price(value).map(|price| price.to_string()), expected.map(str::to_owned), "{value}");
            assert_eq!(is_price(value), expected.is_some(), "{value}");
        };
        check(167.41, Some("167.41"));
        check(0.1 + 0.2, Some("0.3"));
        check(0.0001, Some("0.0001"));
        check(12.345_678_9, Some("12.345679"));
        check(999_999_999.99, Some("999999999.99"));
        check(5.1e-7, Some("0.000001"));
        for bad in [0.0, -1.0, 1e-10, 4.9e-7, 1e9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            check(bad, None);
        }
    }

    /// Closes as they come: in cents, in parts of a cent, and any.
    fn closes() -> impl Strategy<Value = f64> {
        let cents = (1_i64..200_000_000).prop_map(|cents| cents as f64 / 1e2);
        let parts = (1_i64..2_000_000_000).prop_map(|parts| parts as f64 / 1e4);
        let around = (-2000_i64..2000).prop_map(|nanos| 1.0 + nanos as f64 / 1e9);
        prop_oneof![cents, parts, around, 1e-7..1e7_f64, 0.4..3.0_f64]
    }

    proptest! {
        #[test]
        fn whole_numbers_make_the_offer_that_decimals_make(
            close in closes(),
            spread_bp in prop_oneof![Just(0), Just(2), 0..1000_u32, any::<u32>()],
        ) {
            let exact = price(close).map(|close| exact_offer(close, spread_bp).to_f64());
            prop_assert_eq!(Some(made_offer(close, spread_bp)).filter(|&offer| offer > 0.0), exact);
        }

        #[test]
        fn nearest_is_round(value in prop_oneof![0.0..10.0_f64, 0.0..1e15_f64]) {
            prop_assert_eq!(nearest(value), value.round() as i64);
        }

        #[test]
        fn a_price_is_what_has_one(value in prop_oneof![0.0..1e-5_f64, 0.0..2e9_f64]) {
            prop_assert_eq!(is_price(value), price(value).is_some());
        }
    }
}
