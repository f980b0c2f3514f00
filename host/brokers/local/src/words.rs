//! The venue's orders in the host's vocabulary, and back.

use sandpit_broker::BrokerError;
use sandpit_types::{
    BrokerOrder, Exit, OrderClass, OrderKind, OrderRequest, Position, TimeInForce, TradeUpdate, Trail,
};
use sandpit_venue::{Amount, Class, NewOrder, StopLoss, Venue, VenueEvent, VenueOrder, VenuePosition};

/// An order for the venue.
pub(super) fn new_order(order: &OrderRequest) -> NewOrder {
    NewOrder {
        client_order_id: Some(order.client_id.to_string()),
        symbol: order.symbol.clone(),
        side: order.side,
        amount: Amount::Qty(order.qty),
        kind: kind(order.kind),
        time_in_force: time_in_force(order.time_in_force),
        extended_hours: order.extended_hours,
        class: class(order.class),
        position_intent: None,
    }
}

/// An order with its legs.
pub(super) fn broker_order(order: &VenueOrder, venue: &Venue) -> BrokerOrder {
    let legs = order.legs.iter().filter_map(|leg| venue.order(leg)).map(alone).collect();
    BrokerOrder { legs, ..alone(order) }
}

/// An event; the legs of its order have events of their own.
pub(super) fn update(event: VenueEvent) -> TradeUpdate {
    TradeUpdate {
        event: event.kind.into(),
        execution_id: event.execution_id,
        price: event.price,
        qty: event.qty,
        time: event.time,
        order: alone(&event.order),
    }
}

/// A refusal; to an order there is no "not found".
pub(super) fn rejected((http_status, code, message): (u16, Option<i64>, String)) -> BrokerError {
    BrokerError::Rejected { http_status, code, message }
}

/// A refusal of anything else.
pub(super) fn refused(refusal: (u16, Option<i64>, String)) -> BrokerError {
    match refusal {
        (404, _, message) => BrokerError::NotFound { message },
        refusal => rejected(refusal),
    }
}

/// What is held of a symbol.
pub(super) fn position(held: VenuePosition) -> Position {
    Position {
        symbol: held.symbol,
        qty: held.qty,
        qty_available: held.qty_available,
        avg_entry_price: held.avg_entry_price,
        current_price: Some(held.current_price),
    }
}

fn alone(order: &VenueOrder) -> BrokerOrder {
    BrokerOrder {
        id: order.id.clone(),
        client_id: order.client_order_id.to_string(),
        symbol: order.symbol.clone(),
        side: order.side,
        qty: order.qty(),
        filled_qty: order.filled_qty,
        filled_avg_price: order.filled_avg_price(),
        limit_price: order.limit_price,
        stop_price: order.stop_price,
        replaces: order.replaces.clone(),
        replaced_by: order.replaced_by.clone(),
        legs: Vec::new(),
        status: order.state.into(),
        submitted_at: order.submitted_at,
        updated_at: order.updated_at,
    }
}

const fn kind(kind: OrderKind) -> sandpit_venue::OrderKind {
    match kind {
        OrderKind::Market => sandpit_venue::OrderKind::Market,
        OrderKind::Limit { limit_price } => sandpit_venue::OrderKind::Limit { limit_price },
        OrderKind::Stop { stop_price } => sandpit_venue::OrderKind::Stop { stop_price },
        OrderKind::StopLimit { stop_price, limit_price } => {
            sandpit_venue::OrderKind::StopLimit { stop_price, limit_price }
        }
        OrderKind::TrailingStop { trail } => {
            let trail = match trail {
                Trail::Price(price) => sandpit_venue::Trail::Price(price),
                Trail::Percent(percent) => sandpit_venue::Trail::Percent(percent),
            };
            sandpit_venue::OrderKind::TrailingStop { trail }
        }
    }
}

const fn class(class: OrderClass) -> Class {
    match class {
        OrderClass::Simple => Class::Simple,
        OrderClass::Bracket { take_profit, stop_loss } => {
            Class::Bracket { take_profit, stop_loss: self::stop_loss(stop_loss) }
        }
        OrderClass::Oco { stop_loss } => Class::Oco { stop_loss: self::stop_loss(stop_loss) },
        OrderClass::Oto(Exit::TakeProfit(take_profit)) => Class::OtoTakeProfit { take_profit },
        OrderClass::Oto(Exit::StopLoss(stop_loss)) => {
            Class::OtoStopLoss { stop_loss: self::stop_loss(stop_loss) }
        }
    }
}

const fn stop_loss(exit: sandpit_types::StopLoss) -> StopLoss {
    StopLoss { stop_price: exit.stop_price, limit_price: exit.limit_price }
}

const fn time_in_force(time_in_force: TimeInForce) -> sandpit_venue::TimeInForce {
    match time_in_force {
        TimeInForce::Day => sandpit_venue::TimeInForce::Day,
        TimeInForce::Gtc => sandpit_venue::TimeInForce::Gtc,
        TimeInForce::Ioc => sandpit_venue::TimeInForce::Ioc,
        TimeInForce::Fok => sandpit_venue::TimeInForce::Fok,
    }
}
