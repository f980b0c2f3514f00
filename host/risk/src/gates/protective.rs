//! Exits have to protect: a stop-loss lies on the side of loss, a take-profit on that of profit.
//!
//! The broker's rule is a stop at least a cent, by another record a thousandth of the base price, away from
//! the base, and a take-profit beyond the stop; both are asked for. A take-profit before the entry, and a
//! limit that the stop would be past when it wakes, the broker takes, but nobody can mean them.

use rust_decimal::Decimal;
use sandpit_types::{Leg, OrderClass, OrderKind, Price, Refusal, Side, Submit};

use super::Case;

/// A stop-loss lies at least this far from the base price, as a factor and in dollars.
const BASE_FACTOR: Decimal = Decimal::from_parts(1_001, 0, 0, false, 3);
const BASE_DISTANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let submit = case.submit;
    // A price that follows the market cannot begin beyond the worst that it may reach.
    let ends = submit.reprice.zip(submit.kind.limit_price());
    let follows = ends.is_none_or(|(reprice, limit)| !is_better(submit.side, reprice.worst, limit));
    let protects =
        submit.class == OrderClass::Simple || exits_protect(submit, case.market_price(submit.side));
    if follows && protects { Ok(()) } else { Err(Refusal::BadPrice) }
}

fn exits_protect(submit: &Submit, market: Option<Price>) -> bool {
    let limit = submit.kind.limit_price();
    let is_oco = matches!(submit.class, OrderClass::Oco { .. });
    let exit_side = if is_oco { submit.side } else { opposite(submit.side) };
    // An exit has to keep away from its own limit and from the market, an entry's from where that enters.
    let bases = if is_oco { [limit, market] } else { [limit.or(market), None] };
    let legs = submit.class.legs();
    let stop = legs.iter().find(|(leg, _)| *leg == Leg::StopLoss).map(|(_, kind)| *kind);
    let profit =
        legs.iter().find(|(leg, _)| *leg == Leg::TakeProfit).and_then(|(_, kind)| kind.limit_price());
    let profit = if is_oco { limit } else { profit };
    let far = |stop: Price| bases.into_iter().flatten().all(|base| is_away(exit_side, stop, base));
    let stop_price = stop.and_then(OrderKind::stop_price);
    stop_price.is_none_or(far)
        && stop.is_none_or(|stop| wakes_within_limit(exit_side, stop))
        && profit.zip(stop_price).is_none_or(|(profit, stop)| is_better(exit_side, profit, stop))
        && (is_oco || profit.zip(bases[0]).is_none_or(|(profit, base)| is_better(exit_side, profit, base)))
}

/// Whether whoever trades on `side` likes `price` better than `other`.
fn is_better(side: Side, price: Price, other: Price) -> bool {
    match side {
        Side::Sell => price > other,
        Side::Buy => price < other,
    }
}

/// Whether a stop on `side` keeps away from a base price, on the side of loss.
fn is_away(side: Side, stop: Price, base: Price) -> bool {
    let (stop, base) = (stop.get(), base.get());
    match side {
        Side::Sell => stop <= base / BASE_FACTOR && stop <= base - BASE_DISTANCE,
        Side::Buy => stop >= base * BASE_FACTOR && stop >= base + BASE_DISTANCE,
    }
}

/// Whether the limit of a stop-limit order can be met at the price that wakes it.
fn wakes_within_limit(side: Side, stop: OrderKind) -> bool {
    let prices = stop.limit_price().zip(stop.stop_price());
    prices.is_none_or(|(limit, stop)| !is_better(side, limit, stop))
}

const fn opposite(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{Exit, Reprice, StopLoss};

    use super::super::world::price;
    use super::{super::world, check, *};

    #[test]
    fn brackets() {
        world::check(
            check,
            &[
                ("around the entry", |w| w.bracket("110", "95"), Ok(())),
                ("as near as allowed", |w| w.bracket("100.01", "99.90"), Ok(())),
                ("a stop too near", |w| w.bracket("110", "99.91"), Err(Refusal::BadPrice)),
                ("a stop above the entry", |w| w.bracket("110", "101"), Err(Refusal::BadPrice)),
                ("a profit below the entry", |w| w.bracket("99.99", "95"), Err(Refusal::BadPrice)),
                ("a profit below the stop", |w| w.bracket("90", "95"), Err(Refusal::BadPrice)),
                (
                    "at the market the offer is the base",
                    |w| {
                        w.buy("1", "");
                        w.bracket("110", "100");
                    },
                    Err(Refusal::BadPrice),
                ),
                (
                    "of a short entry the other way round",
                    |w| {
                        w.sell("1", "100");
                        w.bracket("90", "105");
                    },
                    Ok(()),
                ),
                (
                    "which is wrong here",
                    |w| {
                        w.sell("1", "100");
                        w.bracket("110", "95");
                    },
                    Err(Refusal::BadPrice),
                ),
            ],
        );
    }

    #[test]
    fn single_exits_and_pairs() {
        world::check(
            check,
            &[
                ("a profit alone", |w| w.oto(Exit::TakeProfit(price("110"))), Ok(())),
                ("below the entry", |w| w.oto(Exit::TakeProfit(price("99"))), Err(Refusal::BadPrice)),
                (
                    "a limit that is met when the stop wakes",
                    |w| {
                        let limit_price = Some(price("94"));
                        w.oto(Exit::StopLoss(StopLoss { stop_price: price("95"), limit_price }));
                    },
                    Ok(()),
                ),
                (
                    "a limit that is not",
                    |w| {
                        let limit_price = Some(price("95.01"));
                        w.oto(Exit::StopLoss(StopLoss { stop_price: price("95"), limit_price }));
                    },
                    Err(Refusal::BadPrice),
                ),
                ("two exits", |w| w.oco("110", "95"), Ok(())),
                ("a stop above the market", |w| w.oco("110", "105"), Err(Refusal::BadPrice)),
                ("a stop above the profit", |w| w.oco("90", "95"), Err(Refusal::BadPrice)),
            ],
        );
    }

    #[test]
    fn prices_that_follow() {
        world::check(
            check,
            &[
                ("up to a worse one", |w| w.submit.reprice = Some(Reprice { worst: price("101") }), Ok(())),
                ("not at all", |w| w.submit.reprice = Some(Reprice { worst: price("100") }), Ok(())),
                (
                    "the worst is better than the first",
                    |w| w.submit.reprice = Some(Reprice { worst: price("99") }),
                    Err(Refusal::BadPrice),
                ),
                (
                    "of a sale",
                    |w| {
                        w.sell("1", "100");
                        w.submit.reprice = Some(Reprice { worst: price("101") });
                    },
                    Err(Refusal::BadPrice),
                ),
            ],
        );
    }
}
