//! Orders, from the words of the interface into those of the host.

mod rounding;

use std::time::Duration;

use sandpit_types::{
    Change, Exit, OrderClass, OrderKind, Price, Qty, Refusal, Replace, Reprice, Side, StopLoss,
    StrategyOrderId, Submit, TimeInForce, Trail,
};

use crate::{
    Rounding,
    bindings::types,
    book::{Book, Slot},
};

/// Units of 10^-9 in one.
const NANOS: i128 = 1_000_000_000;

/// Reads an order and notes it in the book. Shares and prices pass as they are: judging them is the risk
/// gate's office.
pub(super) fn submit(
    from: &types::Submit,
    book: &mut Book,
    default: Duration,
    rounding: Rounding,
) -> Result<Submit, Refusal> {
    let symbol = book.symbol(from.instrument).ok_or(Refusal::UnknownInstrument)?.clone();
    let qty = match from.amount {
        types::Amount::Shares(nanos) => Qty::from_nanos(nanos),
        types::Amount::Notional(usd) => {
            let slot = book.slot(from.instrument).ok_or(Refusal::UnknownInstrument)?;
            shares_for(usd, slot, from)?
        }
    };
    let mut submit = Submit {
        id: StrategyOrderId(from.id),
        symbol,
        side: from.side.into(),
        qty,
        kind: from.kind.into(),
        time_in_force: from.time_in_force.into(),
        extended_hours: from.extended_hours,
        time_to_live: time_to_live(from.time_to_live_ms, default),
        class: from.class.into(),
        reprice: from.reprice.map(|worst| Reprice { worst: Price::from_nanos(worst) }),
    };
    if rounding == Rounding::Passive {
        rounding::submit(&mut submit);
    }
    book.orders.submit(&submit, from.instrument)?;
    Ok(submit)
}

/// Reads a replacement and notes it in the book.
pub(super) fn replace(
    from: &types::Replace,
    book: &mut Book,
    default: Duration,
    rounding: Rounding,
) -> Result<Replace, Refusal> {
    let mut replace = Replace {
        id: StrategyOrderId(from.id),
        new_id: StrategyOrderId(from.new_id),
        change: Change {
            qty: from.quantity.map(Qty::from_nanos),
            limit_price: from.limit.map(Price::from_nanos),
            stop_price: from.stop.map(Price::from_nanos),
        },
        time_to_live: time_to_live(from.time_to_live_ms, default),
    };
    if rounding == Rounding::Passive
        && let Some(side) = book.orders.side(replace.id)
    {
        rounding::change(&mut replace.change, side);
    }
    book.orders.replace(&replace)?;
    Ok(replace)
}

fn time_to_live(ms: u32, default: Duration) -> Duration {
    if ms == 0 { default } else { Duration::from_millis(ms.into()) }
}

/// The shares that an amount of US dollars pays for, rounded down: to 10^-9 of a share where the broker takes
/// that, else to whole shares.
fn shares_for(usd_nanos: i64, slot: &Slot, order: &types::Submit) -> Result<Qty, Refusal> {
    if usd_nanos <= 0 {
        return Err(Refusal::BadQuantity);
    }
    let price = i128::from(price(slot, order.side.into()).ok_or(Refusal::StaleData)?);
    let nanos = i128::from(usd_nanos) * NANOS / price;
    // What does not fit is absurd, and is refused as such by the gates.
    let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
    let whole = nanos - nanos % NANOS as i64;
    let shares = if may_be_fractional(order, slot, Qty::from_nanos(nanos)) { nanos } else { whole };
    if shares == 0 { Err(Refusal::BadQuantity) } else { Ok(Qty::from_nanos(shares)) }
}

/// What one share costs, units of 10^-9: by the far side of the last quote, or else the last price.
fn price(slot: &Slot, side: Side) -> Option<i64> {
    let quoted = slot.quote.as_ref().map(|quote| match side {
        Side::Buy => quote.ask,
        Side::Sell => quote.bid,
    });
    let nanos = |price: f64| Price::from_f64(price).ok()?.to_nanos().filter(|nanos| *nanos > 0);
    quoted.and_then(nanos).or_else(|| slot.last_price.and_then(nanos))
}

/// Whether the broker takes a fraction of a share of this order: simple day orders that are no trailing
/// stops, and nothing that is or goes short (Alpaca's rules of 2024-08). Whether it does of the symbol is not
/// known here.
fn may_be_fractional(order: &types::Submit, slot: &Slot, qty: Qty) -> bool {
    let is_plain = matches!(order.class, types::OrderClass::Simple)
        && matches!(order.time_in_force, types::TimeInForce::Day)
        && !matches!(order.kind, types::OrderKind::TrailingStop(_));
    let stays_long = match Side::from(order.side) {
        Side::Buy => slot.qty >= Qty::ZERO,
        Side::Sell => slot.qty >= qty,
    };
    is_plain && stays_long
}

impl From<Side> for types::Side {
    fn from(side: Side) -> Self {
        match side {
            Side::Buy => Self::Buy,
            Side::Sell => Self::Sell,
        }
    }
}

impl From<types::Side> for Side {
    fn from(side: types::Side) -> Self {
        match side {
            types::Side::Buy => Self::Buy,
            types::Side::Sell => Self::Sell,
        }
    }
}

impl From<types::OrderKind> for OrderKind {
    fn from(kind: types::OrderKind) -> Self {
        let price = Price::from_nanos;
        match kind {
            types::OrderKind::Market => Self::Market,
            types::OrderKind::Limit(limit) => Self::Limit { limit_price: price(limit) },
            types::OrderKind::Stop(stop) => Self::Stop { stop_price: price(stop) },
            types::OrderKind::StopLimit(types::StopLimit { stop, limit }) => {
                Self::StopLimit { stop_price: price(stop), limit_price: price(limit) }
            }
            types::OrderKind::TrailingStop(types::Trail::Price(trail)) => {
                Self::TrailingStop { trail: Trail::Price(price(trail)) }
            }
            types::OrderKind::TrailingStop(types::Trail::Percent(percent)) => {
                Self::TrailingStop { trail: Trail::Percent(price(percent).get()) }
            }
        }
    }
}

/// As it was asked for; prices that do not fit are at the end of the range.
impl From<OrderKind> for types::OrderKind {
    fn from(kind: OrderKind) -> Self {
        let nanos = |price: Price| crate::host::nanos(price.to_nanos(), price.is_positive());
        match kind {
            OrderKind::Market => Self::Market,
            OrderKind::Limit { limit_price } => Self::Limit(nanos(limit_price)),
            OrderKind::Stop { stop_price } => Self::Stop(nanos(stop_price)),
            OrderKind::StopLimit { stop_price, limit_price } => {
                Self::StopLimit(types::StopLimit { stop: nanos(stop_price), limit: nanos(limit_price) })
            }
            OrderKind::TrailingStop { trail: Trail::Price(price) } => {
                Self::TrailingStop(types::Trail::Price(nanos(price)))
            }
            OrderKind::TrailingStop { trail: Trail::Percent(percent) } => {
                Self::TrailingStop(types::Trail::Percent(nanos(Price::new(percent))))
            }
        }
    }
}

impl From<types::StopLoss> for StopLoss {
    fn from(from: types::StopLoss) -> Self {
        Self { stop_price: Price::from_nanos(from.stop), limit_price: from.limit.map(Price::from_nanos) }
    }
}

impl From<types::OrderClass> for OrderClass {
    fn from(class: types::OrderClass) -> Self {
        match class {
            types::OrderClass::Simple => Self::Simple,
            types::OrderClass::Bracket(types::Bracket { take_profit, stop_loss }) => {
                Self::Bracket { take_profit: Price::from_nanos(take_profit), stop_loss: stop_loss.into() }
            }
            types::OrderClass::Oco(stop_loss) => Self::Oco { stop_loss: stop_loss.into() },
            types::OrderClass::OtoTakeProfit(price) => Self::Oto(Exit::TakeProfit(Price::from_nanos(price))),
            types::OrderClass::OtoStopLoss(stop_loss) => Self::Oto(Exit::StopLoss(stop_loss.into())),
        }
    }
}

impl From<types::TimeInForce> for TimeInForce {
    fn from(time_in_force: types::TimeInForce) -> Self {
        match time_in_force {
            types::TimeInForce::Day => Self::Day,
            types::TimeInForce::Gtc => Self::Gtc,
            types::TimeInForce::Ioc => Self::Ioc,
            types::TimeInForce::Fok => Self::Fok,
        }
    }
}

#[cfg(test)]
mod tests;
