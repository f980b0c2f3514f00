//! Trade updates, in the shapes of both streams.

use sandpit_types::{ExecutionId, MarketTime, Price, Qty};
use sandpit_venue::VenueEvent;
use serde::Serialize;

use super::{Text, order::OrderJson};
use crate::trading::{ulid::Ulid, updates::Update};

/// A message of the WebSocket.
#[derive(Serialize)]
pub(crate) struct TradeUpdateJson<'a> {
    stream: &'static str,
    data: UpdateJson<'a>,
}

/// A server-sent event.
#[derive(Serialize)]
pub(crate) struct EventJson<'a> {
    at: MarketTime,
    event_id: Text<Ulid>,
    #[serde(flatten)]
    update: UpdateJson<'a>,
}

#[derive(Serialize)]
struct UpdateJson<'a> {
    event: &'static str,
    execution_id: Option<&'a ExecutionId>,
    timestamp: MarketTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Text<Price>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qty: Option<Text<Qty>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position_qty: Option<Text<Qty>>,
    order: OrderJson<'a>,
}

impl<'a> UpdateJson<'a> {
    fn new(event: &'a VenueEvent) -> Self {
        Self {
            event: event.kind.as_str(),
            execution_id: event.execution_id.as_ref(),
            timestamp: event.time,
            price: event.price.map(Text),
            qty: event.qty.map(Text),
            position_qty: event.position_qty.map(Text),
            order: OrderJson::from(&event.order),
        }
    }
}

impl<'a> From<&'a VenueEvent> for TradeUpdateJson<'a> {
    fn from(event: &'a VenueEvent) -> Self {
        Self { stream: "trade_updates", data: UpdateJson::new(event) }
    }
}

impl<'a> From<&'a Update> for EventJson<'a> {
    fn from(update: &'a Update) -> Self {
        Self { at: update.at, event_id: Text(update.id), update: UpdateJson::new(&update.event) }
    }
}
