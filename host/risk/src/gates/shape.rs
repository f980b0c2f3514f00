//! The order itself: a quantity and prices that can be meant.

use rust_decimal::Decimal;
use sandpit_types::{OrderKind, Price, Qty, Refusal, Submit, Trail};

use super::Case;

/// More shares than any order here can mean.
const MAX_SHARES: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// More dollars a share than any stock costs.
const MAX_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// The broker's finest quantity is nine decimals.
const MAX_DECIMALS: u32 = 9;

/// The broker's shortest trail, and the one at which a stop would lie at zero, percent.
const MIN_TRAIL_PERCENT: Decimal = Decimal::from_parts(1, 0, 0, false, 1);
const MAX_TRAIL_PERCENT: Decimal = Decimal::ONE_HUNDRED;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    quantity(case.submit.qty)?;
    prices(case.submit).try_for_each(price)?;
    match case.submit.kind {
        OrderKind::TrailingStop { trail: Trail::Percent(percent) } => trail_percent(percent),
        OrderKind::TrailingStop { trail: Trail::Price(_) }
        | OrderKind::Market
        | OrderKind::Limit { .. }
        | OrderKind::Stop { .. }
        | OrderKind::StopLimit { .. } => Ok(()),
    }
}

fn quantity(qty: Qty) -> Result<(), Refusal> {
    let shares = qty.get().normalize();
    let fits = shares.scale() <= MAX_DECIMALS && shares <= MAX_SHARES;
    if qty.is_positive() && fits { Ok(()) } else { Err(Refusal::BadQuantity) }
}

/// Every price that the order names.
fn prices(submit: &Submit) -> impl Iterator<Item = Price> {
    let legs = submit.class.legs().into_iter().map(|(_, kind)| kind);
    let kinds = std::iter::once(submit.kind).chain(legs);
    let named = kinds.flat_map(|kind| {
        let trail = match kind {
            OrderKind::TrailingStop { trail: Trail::Price(trail) } => Some(trail),
            OrderKind::TrailingStop { trail: Trail::Percent(_) }
            | OrderKind::Market
            | OrderKind::Limit { .. }
            | OrderKind::Stop { .. }
            | OrderKind::StopLimit { .. } => None,
        };
        [kind.limit_price(), kind.stop_price(), trail].into_iter().flatten()
    });
    named.chain(submit.reprice.map(|reprice| reprice.worst))
}

fn price(price: Price) -> Result<(), Refusal> {
    if !price.is_positive() || price.get() > MAX_PRICE {
        return Err(Refusal::BadPrice);
    }
    if price.is_on_tick() { Ok(()) } else { Err(Refusal::OffTick) }
}

fn trail_percent(percent: Decimal) -> Result<(), Refusal> {
    let fits = (MIN_TRAIL_PERCENT..MAX_TRAIL_PERCENT).contains(&percent);
    if fits { Ok(()) } else { Err(Refusal::BadPrice) }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{Exit, OrderClass, Reprice, StopLoss};

    use super::super::world::price;
    use super::{super::world, check, *};

    #[test]
    fn quantities() {
        world::check(
            check,
            &[
                ("whole shares", |w| w.buy("1", "100"), Ok(())),
                ("nothing", |w| w.buy("0", "100"), Err(Refusal::BadQuantity)),
                ("less than nothing", |w| w.buy("-1", "100"), Err(Refusal::BadQuantity)),
                ("the most", |w| w.buy("1000000", "100"), Ok(())),
                ("more than any order means", |w| w.buy("1000001", "100"), Err(Refusal::BadQuantity)),
                ("a fraction", |w| w.buy("0.000000001", "100"), Ok(())),
                ("too fine a fraction", |w| w.buy("0.0000000001", "100"), Err(Refusal::BadQuantity)),
                ("zeros are no decimals", |w| w.buy("1.00000000000", "100"), Ok(())),
            ],
        );
    }

    #[test]
    fn prices_of_every_kind() {
        world::check(
            check,
            &[
                ("a market order has no price", |w| w.buy("1", ""), Ok(())),
                ("price of nothing", |w| w.buy("1", "0"), Err(Refusal::BadPrice)),
                ("negative price", |w| w.buy("1", "-100"), Err(Refusal::BadPrice)),
                ("absurd price", |w| w.buy("1", "1000000.01"), Err(Refusal::BadPrice)),
                ("between two cents", |w| w.buy("1", "100.001"), Err(Refusal::OffTick)),
                ("below a dollar ticks are finer", |w| w.buy("1", "0.9999"), Ok(())),
                ("but not that fine", |w| w.buy("1", "0.99999"), Err(Refusal::OffTick)),
                ("a stop", |w| w.stop("95", ""), Ok(())),
                ("a stop between two cents", |w| w.stop("95.001", ""), Err(Refusal::OffTick)),
                ("a stop at nothing", |w| w.stop("0", ""), Err(Refusal::BadPrice)),
                ("a limit behind a stop", |w| w.stop("95", "94.999"), Err(Refusal::OffTick)),
                ("a trail", |w| w.trail_price("1.5"), Ok(())),
                ("a trail between two cents", |w| w.trail_price("1.555"), Err(Refusal::OffTick)),
                ("no trail", |w| w.trail_price("0"), Err(Refusal::BadPrice)),
                ("a trail of a tenth of a percent", |w| w.trail_percent("0.1"), Ok(())),
                ("a shorter one", |w| w.trail_percent("0.09"), Err(Refusal::BadPrice)),
                ("a stop at zero", |w| w.trail_percent("100"), Err(Refusal::BadPrice)),
                (
                    "the worst of a price that follows",
                    |w| w.submit.reprice = Some(Reprice { worst: price("100.001") }),
                    Err(Refusal::OffTick),
                ),
            ],
        );
    }

    #[test]
    fn prices_of_exits() {
        world::check(
            check,
            &[
                ("a bracket", |w| w.bracket("110", "95"), Ok(())),
                ("a profit between two cents", |w| w.bracket("110.001", "95"), Err(Refusal::OffTick)),
                ("a stop between two cents", |w| w.bracket("110", "95.001"), Err(Refusal::OffTick)),
                (
                    "a limit of a stop-loss between two cents",
                    |w| {
                        let stop_loss =
                            StopLoss { stop_price: price("95"), limit_price: Some(price("94.999")) };
                        w.submit.class = OrderClass::Oco { stop_loss };
                    },
                    Err(Refusal::OffTick),
                ),
                (
                    "a profit of less than nothing",
                    |w| w.submit.class = OrderClass::Oto(Exit::TakeProfit(price("-1"))),
                    Err(Refusal::BadPrice),
                ),
            ],
        );
    }
}
