//! The form of an order: what can be said of it without knowing anything else.

use rust_decimal::Decimal;
use sandpit_types::{Price, Qty, Side};

use crate::{Amount, Class, NewOrder, OrderKind, Reject, TimeInForce, Trail, account::decimal};

/// Larger quantities, prices and amounts are absurd; below them no sum can overflow.
const MAX_QTY: Decimal = decimal(1_000_000_000, 0);
const MAX_PRICE: Decimal = decimal(1_000_000_000, 0);
const MAX_NOTIONAL: Decimal = decimal(1_000_000_000, 0);

/// Shares come in parts of 10^-9, and so do the dollars of a notional.
const QTY_DECIMALS: u32 = 9;

const MIN_NOTIONAL: Decimal = decimal(1, 0);
const MIN_TRAIL_PERCENT: Decimal = decimal(1, 1);
/// At this per cent a trailing stop would lie at zero.
const MAX_TRAIL_PERCENT: Decimal = decimal(100, 0);

const MAX_CLIENT_ID_CHARS: usize = 128;

/// A stop-loss lies at least this far from the base price, as a factor and in dollars.
const BASE_FACTOR: Decimal = decimal(1001, 3);
const BASE_DISTANCE: Decimal = decimal(1, 2);

/// Checks an order's form.
pub(super) fn check_form(order: &NewOrder) -> Result<(), Reject> {
    check_amount(order.amount)?;
    check_kind(order.kind)?;
    check_client_id(order.client_order_id.as_deref())?;
    let is_day_or_gtc = matches!(order.time_in_force, TimeInForce::Day | TimeInForce::Gtc);
    let is_limit = matches!(order.kind, OrderKind::Limit { .. });
    let is_simple = order.class == Class::Simple;
    if order.extended_hours && !(is_limit && is_day_or_gtc && is_simple) {
        return Err(Reject::ExtendedHours);
    }
    if order.amount.is_fractional() {
        check_fractional(order, is_simple)?;
    }
    if matches!(order.kind, OrderKind::TrailingStop { .. }) {
        if !is_day_or_gtc {
            return Err(Reject::TrailingTimeInForce);
        }
        if !is_simple {
            return Err(Reject::TrailingNotSimple);
        }
    }
    if matches!(order.time_in_force, TimeInForce::Opg | TimeInForce::Cls)
        && (order.kind.is_stop() || !is_simple)
    {
        return Err(Reject::AuctionKind { time_in_force: order.time_in_force.as_str() });
    }
    if order.kind.is_stop() && !is_day_or_gtc {
        return Err(Reject::StopTimeInForce);
    }
    check_class(order, is_day_or_gtc)
}

fn check_amount(amount: Amount) -> Result<(), Reject> {
    match amount {
        Amount::Qty(qty) if !qty.is_positive() => Err(Reject::QtyNotPositive),
        Amount::Qty(qty) if qty.get() > MAX_QTY || decimals(qty.get()) > QTY_DECIMALS => {
            Err(Reject::QtyInvalid)
        }
        Amount::Notional(notional)
            if !notional.is_positive()
                || notional.get() > MAX_NOTIONAL
                || decimals(notional.get()) > QTY_DECIMALS =>
        {
            Err(Reject::NotionalInvalid)
        }
        Amount::Notional(notional) if notional.get() < MIN_NOTIONAL => Err(Reject::NotionalTooSmall),
        Amount::Qty(_) | Amount::Notional(_) => Ok(()),
    }
}

fn decimals(value: Decimal) -> u32 {
    value.normalize().scale()
}

fn check_kind(kind: OrderKind) -> Result<(), Reject> {
    match kind {
        OrderKind::Market => Ok(()),
        OrderKind::Limit { limit_price } => check_price("limit_price", limit_price),
        OrderKind::Stop { stop_price } => check_price("stop_price", stop_price),
        OrderKind::StopLimit { stop_price, limit_price } => {
            check_price("stop_price", stop_price)?;
            check_price("limit_price", limit_price)
        }
        OrderKind::TrailingStop { trail: Trail::Price(trail) } => {
            let is_sound = trail.is_positive() && trail.get() <= MAX_PRICE;
            if is_sound { Ok(()) } else { Err(Reject::TrailPriceInvalid) }
        }
        OrderKind::TrailingStop { trail: Trail::Percent(trail_percent) } => {
            let is_sound = (MIN_TRAIL_PERCENT..MAX_TRAIL_PERCENT).contains(&trail_percent);
            if is_sound { Ok(()) } else { Err(Reject::TrailPercentInvalid { trail_percent }) }
        }
    }
}

fn check_price(field: &'static str, price: Price) -> Result<(), Reject> {
    if !price.is_positive() || price.get() > MAX_PRICE {
        return Err(Reject::PriceInvalid { field, price });
    }
    if !price.is_on_tick() {
        return Err(Reject::SubPenny { field, price });
    }
    Ok(())
}

/// Checks the sender's id.
pub(super) fn check_client_id(id: Option<&str>) -> Result<(), Reject> {
    let is_too_long = id.is_some_and(|id| id.chars().count() > MAX_CLIENT_ID_CHARS);
    if is_too_long { Err(Reject::ClientOrderIdTooLong) } else { Ok(()) }
}

fn check_fractional(order: &NewOrder, is_simple: bool) -> Result<(), Reject> {
    if order.time_in_force != TimeInForce::Day {
        return Err(Reject::FractionalNotDay);
    }
    if !is_simple {
        return Err(Reject::FractionalNotSimple);
    }
    if matches!(order.kind, OrderKind::TrailingStop { .. }) {
        return Err(Reject::FractionalKind);
    }
    Ok(())
}

fn check_class(order: &NewOrder, is_day_or_gtc: bool) -> Result<(), Reject> {
    let class = order.class.as_str();
    if order.class == Class::Simple {
        return Ok(());
    }
    if !is_day_or_gtc {
        return Err(Reject::ClassTimeInForce { class });
    }
    match (order.class, order.kind) {
        (Class::Oco { .. }, OrderKind::Limit { .. }) => {}
        (Class::Oco { .. }, _) => return Err(Reject::OcoNotLimit),
        (_, OrderKind::Market | OrderKind::Limit { .. }) => {}
        (_, OrderKind::Stop { .. } | OrderKind::StopLimit { .. } | OrderKind::TrailingStop { .. }) => {
            return Err(Reject::ClassKind { class });
        }
    }
    if let Some(take_profit) = order.class.take_profit() {
        check_price("take_profit.limit_price", take_profit)?;
    }
    if let Some(stop_loss) = order.class.stop_loss() {
        check_price("stop_loss.stop_price", stop_loss.stop_price)?;
        if let Some(limit_price) = stop_loss.limit_price {
            check_price("stop_loss.limit_price", limit_price)?;
        }
    }
    Ok(())
}

/// Checks the exits of a group against each other and against the base price: the entry's limit, for a market
/// entry the market, for an OCO its own limit and the market. Two records disagree how far a stop must stay
/// away (a cent; a thousandth of the base): both are asked for.
pub(super) fn check_exits(order: &NewOrder, market: Option<Price>) -> Result<(), Reject> {
    let Some(stop_loss) = order.class.stop_loss() else { return Ok(()) };
    let is_oco = matches!(order.class, Class::Oco { .. });
    let exit_side = if is_oco { order.side } else { opposite(order.side) };
    let limit = order.kind.limit_price();
    let take_profit = if is_oco { limit } else { order.class.take_profit() };
    if let Some(take_profit) = take_profit {
        check_order_of_exits(exit_side, take_profit, stop_loss.stop_price)?;
    }
    let bases = if is_oco { [limit, market] } else { [limit.or(market), None] };
    check_distance(exit_side, stop_loss.stop_price, bases)
}

/// A stop-loss keeps away from the base prices.
pub(super) fn check_distance(
    exit_side: Side,
    stop_price: Price,
    bases: [Option<Price>; 2],
) -> Result<(), Reject> {
    let is_long = exit_side == Side::Sell;
    for base in bases.into_iter().flatten() {
        let (base, stop) = (base.get(), stop_price.get());
        let is_near = match exit_side {
            Side::Sell => stop > base / BASE_FACTOR || stop > base - BASE_DISTANCE,
            Side::Buy => stop < base * BASE_FACTOR || stop < base + BASE_DISTANCE,
        };
        if is_near {
            return Err(Reject::StopLossPrice { is_long });
        }
    }
    Ok(())
}

/// A take-profit lies on the side of profit of the stop-loss.
pub(super) fn check_order_of_exits(
    exit_side: Side,
    take_profit: Price,
    stop_price: Price,
) -> Result<(), Reject> {
    let is_long = exit_side == Side::Sell;
    let is_sound = if is_long { take_profit > stop_price } else { take_profit < stop_price };
    if is_sound { Ok(()) } else { Err(Reject::TakeProfitPrice { is_long }) }
}

/// The other side.
pub(super) const fn opposite(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

/// `notional / price`, cut to nine decimals.
pub(super) fn shares_for(notional: Decimal, price: Price) -> Qty {
    let shares = notional.checked_div(price.get()).unwrap_or_default();
    Qty::new(shares.trunc_with_scale(QTY_DECIMALS).normalize())
}
