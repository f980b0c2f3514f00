//! What no broker takes: a mistake of the strategy, to be found in a test. And what dollars are worth in
//! shares.

use crate::{
    Amount, OrderClass, OrderKind, Percent, Price, Qty, Quote, Side, StopLoss, Submit, TimeInForce, Trail,
    Usd,
};

/// The least trail in percent.
const MIN_TRAIL: Percent = Percent::basis_points(10);

/// Panics at an order that cannot be.
pub(super) fn check(submit: &Submit) {
    match submit.amount {
        Amount::Shares(shares) => assert!(shares.is_positive(), "an order for nothing: {submit:?}"),
        Amount::Notional(usd) => assert!(usd.is_positive(), "an order for nothing: {submit:?}"),
    }
    prices(submit).into_iter().flatten().for_each(check_price);
    check_trail(submit);
    check_class(submit);
    let is_limit = matches!(submit.kind, OrderKind::Limit(_));
    assert!(submit.reprice.is_none() || is_limit, "only limit orders are repriced: {submit:?}");
    if submit.extended_hours {
        assert!(is_limit && is_resting(submit), "only resting limit orders have extended hours: {submit:?}");
    }
    let is_fraction = submit.shares().is_some_and(|shares| shares.whole() != shares);
    assert!(!is_fraction || takes_fractions(submit), "no fractions of a share for this order: {submit:?}");
}

/// Panics at a price that no order has.
pub(super) fn check_price(price: Price) {
    assert!(price.is_positive() && price.is_on_tick(), "an order off tick: {price}");
}

fn prices(submit: &Submit) -> [Option<Price>; 6] {
    let loss = |StopLoss { stop, limit }| (Some(stop), limit);
    let (profit, (stop, limit)) = match submit.class {
        OrderClass::Simple => (None, (None, None)),
        OrderClass::Bracket { take_profit, stop_loss } => (Some(take_profit), loss(stop_loss)),
        OrderClass::Oco(stop_loss) | OrderClass::OtoStopLoss(stop_loss) => (None, loss(stop_loss)),
        OrderClass::OtoTakeProfit(price) => (Some(price), (None, None)),
    };
    [submit.kind.limit_price(), submit.kind.stop_price(), profit, stop, limit, submit.reprice]
}

fn check_trail(submit: &Submit) {
    let OrderKind::TrailingStop(trail) = submit.kind else { return };
    match trail {
        Trail::Price(price) => check_price(price),
        Trail::Percent(percent) => assert!(percent >= MIN_TRAIL, "a trail below 0.1 %: {submit:?}"),
    }
    let is_alone = submit.class == OrderClass::Simple;
    assert!(is_alone && is_resting(submit), "a trailing stop rests, and alone: {submit:?}");
}

fn check_class(submit: &Submit) {
    if submit.class == OrderClass::Simple {
        return;
    }
    let is_good = is_resting(submit) && !submit.extended_hours;
    assert!(is_good, "legs are for resting orders of the regular session: {submit:?}");
    let (profit, loss) = match (submit.class, submit.kind) {
        (OrderClass::Oco(loss), OrderKind::Limit(profit)) => (profit, loss.stop),
        (OrderClass::Oco(_), _) => panic!("the first half of an OCO is a limit order: {submit:?}"),
        (OrderClass::Bracket { take_profit, stop_loss }, _) => (take_profit, stop_loss.stop),
        _ => return,
    };
    let is_in_order = match submit.class.side_of_legs(submit.side) {
        Side::Sell => profit > loss,
        Side::Buy => profit < loss,
    };
    assert!(is_in_order, "the profit is on the wrong side of the loss: {submit:?}");
}

fn is_resting(submit: &Submit) -> bool {
    matches!(submit.time_in_force, TimeInForce::Day | TimeInForce::Gtc)
}

/// Simple day orders that are no trailing stops.
fn takes_fractions(submit: &Submit) -> bool {
    submit.class == OrderClass::Simple
        && submit.time_in_force == TimeInForce::Day
        && !matches!(submit.kind, OrderKind::TrailingStop(_))
}

/// The shares that an amount pays for, rounded down, or the name of the refusal.
pub(super) fn shares_for(
    usd: Usd,
    submit: &Submit,
    quote: Option<&Quote>,
    last_price: Option<f64>,
    held: Qty,
) -> Result<Qty, &'static str> {
    let price = |price: f64| Price::from_f64(price).filter(|price| price.is_positive());
    let quoted = quote.map(|quote| match submit.side {
        Side::Buy => quote.ask,
        Side::Sell => quote.bid,
    });
    let price = quoted.and_then(price).or_else(|| last_price.and_then(price)).ok_or("stale-data")?;
    let nanos = i128::from(usd.nanos()) * i128::from(Qty::shares(1).nanos()) / i128::from(price.nanos());
    let shares = Qty::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX));
    let stays_long = match submit.side {
        Side::Buy => held >= Qty::ZERO,
        Side::Sell => held >= shares,
    };
    let shares = if stays_long && takes_fractions(submit) { shares } else { shares.whole() };
    if shares.is_zero() { Err("bad-quantity") } else { Ok(shares) }
}
