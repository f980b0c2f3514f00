//! What a strategy wants, in the words of the interface.

use std::time::Duration;

use super::bindings::sandpit::strategy::types as wit;
use crate::{
    Amount, Intent, OrderClass, OrderKind, Percent, Price, Qty, Replace, Side, StopLoss, Submit, TimeInForce,
    Trail,
};

pub(super) fn intent(intent: Intent) -> wit::Intent {
    match intent {
        Intent::Submit(order) => wit::Intent::Submit(submit(order)),
        Intent::Replace(order) => wit::Intent::Replace(replace(order)),
        Intent::ClosePosition { id, instrument } => {
            wit::Intent::ClosePosition(wit::ClosePosition { id: id.0, instrument: instrument.0 })
        }
        Intent::Cancel(id) => wit::Intent::Cancel(id.0),
        Intent::CancelAll => wit::Intent::CancelAll,
        Intent::SetTimer { id, at } => wit::Intent::SetTimer(wit::Timer { id, at: at.nanos() }),
        Intent::CancelTimer(id) => wit::Intent::CancelTimer(id),
        Intent::Signal { instrument, reason } => {
            wit::Intent::Signal(wit::Signal { instrument: instrument.map(|it| it.0), reason })
        }
    }
}

fn submit(order: Submit) -> wit::Submit {
    wit::Submit {
        id: order.id.0,
        instrument: order.instrument.0,
        side: match order.side {
            Side::Buy => wit::Side::Buy,
            Side::Sell => wit::Side::Sell,
        },
        amount: match order.amount {
            Amount::Shares(shares) => wit::Amount::Shares(shares.nanos()),
            Amount::Notional(usd) => wit::Amount::Notional(usd.nanos()),
        },
        kind: match order.kind {
            OrderKind::Market => wit::OrderKind::Market,
            OrderKind::Limit(price) => wit::OrderKind::Limit(price.nanos()),
            OrderKind::Stop(price) => wit::OrderKind::Stop(price.nanos()),
            OrderKind::StopLimit { stop, limit } => {
                wit::OrderKind::StopLimit(wit::StopLimit { stop: stop.nanos(), limit: limit.nanos() })
            }
            OrderKind::TrailingStop(Trail::Price(price)) => {
                wit::OrderKind::TrailingStop(wit::Trail::Price(price.nanos()))
            }
            OrderKind::TrailingStop(Trail::Percent(percent)) => {
                wit::OrderKind::TrailingStop(wit::Trail::Percent(percent.nanos()))
            }
        },
        class: class(order.class),
        reprice: order.reprice.map(Price::nanos),
        time_in_force: match order.time_in_force {
            TimeInForce::Day => wit::TimeInForce::Day,
            TimeInForce::Gtc => wit::TimeInForce::Gtc,
            TimeInForce::Ioc => wit::TimeInForce::Ioc,
            TimeInForce::Fok => wit::TimeInForce::Fok,
        },
        extended_hours: order.extended_hours,
        time_to_live_ms: milliseconds(order.time_to_live),
    }
}

fn class(class: OrderClass) -> wit::OrderClass {
    let loss = |StopLoss { stop, limit }: StopLoss| wit::StopLoss {
        stop: stop.nanos(),
        limit: limit.map(Price::nanos),
    };
    match class {
        OrderClass::Simple => wit::OrderClass::Simple,
        OrderClass::Bracket { take_profit, stop_loss } => wit::OrderClass::Bracket(wit::Bracket {
            take_profit: take_profit.nanos(),
            stop_loss: loss(stop_loss),
        }),
        OrderClass::Oco(stop_loss) => wit::OrderClass::Oco(loss(stop_loss)),
        OrderClass::OtoTakeProfit(price) => wit::OrderClass::OtoTakeProfit(price.nanos()),
        OrderClass::OtoStopLoss(stop_loss) => wit::OrderClass::OtoStopLoss(loss(stop_loss)),
    }
}

fn replace(order: Replace) -> wit::Replace {
    wit::Replace {
        id: order.id.0,
        new_id: order.new_id.0,
        quantity: order.quantity.map(Qty::nanos),
        limit: order.limit.map(Price::nanos),
        stop: order.stop.map(Price::nanos),
        time_to_live_ms: milliseconds(order.time_to_live),
    }
}

fn milliseconds(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

/// The kind of an open order.
pub(super) fn kind(kind: wit::OrderKind) -> OrderKind {
    let price = Price::from_nanos;
    match kind {
        wit::OrderKind::Market => OrderKind::Market,
        wit::OrderKind::Limit(limit) => OrderKind::Limit(price(limit)),
        wit::OrderKind::Stop(stop) => OrderKind::Stop(price(stop)),
        wit::OrderKind::StopLimit(wit::StopLimit { stop, limit }) => {
            OrderKind::StopLimit { stop: price(stop), limit: price(limit) }
        }
        wit::OrderKind::TrailingStop(wit::Trail::Price(trail)) => {
            OrderKind::TrailingStop(Trail::Price(price(trail)))
        }
        wit::OrderKind::TrailingStop(wit::Trail::Percent(trail)) => {
            OrderKind::TrailingStop(Trail::Percent(Percent::from_nanos(trail)))
        }
    }
}
