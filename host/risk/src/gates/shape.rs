//! The order itself: a quantity and a price that can be meant.

use rust_decimal::Decimal;
use sandpit_types::{Price, Qty, Refusal, TimeInForce};

use super::Case;

/// More shares than any order here can mean.
const MAX_SHARES: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// More dollars a share than any stock costs.
const MAX_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// The broker's finest quantity is nine decimals.
const MAX_DECIMALS: u32 = 9;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    quantity(case.submit.qty, case.submit.time_in_force)?;
    case.submit.kind.limit_price().map_or(Ok(()), price)
}

fn quantity(qty: Qty, time_in_force: TimeInForce) -> Result<(), Refusal> {
    let shares = qty.get().normalize();
    // Fractions are good for the day only (broker's rule, 422 "fractional orders must be DAY orders").
    let fits = shares.scale() == 0 || (shares.scale() <= MAX_DECIMALS && time_in_force == TimeInForce::Day);
    if qty.is_positive() && shares <= MAX_SHARES && fits { Ok(()) } else { Err(Refusal::BadQuantity) }
}

fn price(limit: Price) -> Result<(), Refusal> {
    if !limit.is_positive() || limit.get() > MAX_PRICE {
        return Err(Refusal::BadPrice);
    }
    if limit.is_on_tick() { Ok(()) } else { Err(Refusal::OffTick) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("whole shares", |w| w.buy("1", "100"), Ok(())),
                ("nothing", |w| w.buy("0", "100"), Err(Refusal::BadQuantity)),
                ("less than nothing", |w| w.buy("-1", "100"), Err(Refusal::BadQuantity)),
                ("the most", |w| w.buy("1000000", "100"), Ok(())),
                ("more than any order means", |w| w.buy("1000001", "100"), Err(Refusal::BadQuantity)),
                ("a fraction for the day", |w| w.buy("0.000000001", "100"), Ok(())),
                ("too fine a fraction", |w| w.buy("0.0000000001", "100"), Err(Refusal::BadQuantity)),
                ("zeros are no decimals", |w| w.buy("1.00000000000", "100"), Ok(())),
                (
                    "a fraction until cancelled",
                    |w| {
                        w.buy("0.5", "100");
                        w.submit.time_in_force = TimeInForce::Gtc;
                    },
                    Err(Refusal::BadQuantity),
                ),
                ("a market order has no price", |w| w.buy("1", ""), Ok(())),
                ("price of nothing", |w| w.buy("1", "0"), Err(Refusal::BadPrice)),
                ("negative price", |w| w.buy("1", "-100"), Err(Refusal::BadPrice)),
                ("absurd price", |w| w.buy("1", "1000000.01"), Err(Refusal::BadPrice)),
                ("between two cents", |w| w.buy("1", "100.001"), Err(Refusal::OffTick)),
                ("below a dollar ticks are finer", |w| w.buy("1", "0.9999"), Ok(())),
                ("but not that fine", |w| w.buy("1", "0.99999"), Err(Refusal::OffTick)),
            ],
        );
    }
}
