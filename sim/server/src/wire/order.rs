//! The order object.

use std::time::Duration;

use sandpit_types::{BrokerOrderId, MarketTime, Price, Qty, Symbol, Usd};
use sandpit_venue::{OrderState, Trail, Venue, VenueOrder};
use serde::Serialize;

use super::{Null, Text};

/// The order object. Every key is present, null when empty.
#[derive(Serialize)]
pub(crate) struct OrderJson<'a> {
    id: &'a BrokerOrderId,
    client_order_id: &'a str,
    created_at: MarketTime,
    updated_at: MarketTime,
    submitted_at: MarketTime,
    filled_at: Option<MarketTime>,
    expired_at: Option<MarketTime>,
    expires_at: Option<MarketTime>,
    canceled_at: Option<MarketTime>,
    failed_at: Option<MarketTime>,
    replaced_at: Option<MarketTime>,
    replaced_by: Option<&'a BrokerOrderId>,
    replaces: Option<&'a BrokerOrderId>,
    asset_id: &'a str,
    symbol: &'a Symbol,
    asset_class: &'static str,
    notional: Option<Text<Usd>>,
    qty: Option<Text<Qty>>,
    filled_qty: Text<Qty>,
    filled_avg_price: Option<Text<Price>>,
    order_class: &'static str,
    order_type: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    side: &'static str,
    position_intent: &'static str,
    time_in_force: &'static str,
    limit_price: Option<Text<Price>>,
    stop_price: Option<Text<Price>>,
    status: &'static str,
    extended_hours: bool,
    legs: Option<Vec<OrderJson<'a>>>,
    trail_percent: Option<Text<rust_decimal::Decimal>>,
    trail_price: Option<Text<Price>>,
    hwm: Option<Text<Price>>,
    subtag: Null,
    source: Null,
}

/// Without its legs: they are rows and events of their own.
impl<'a> From<&'a VenueOrder> for OrderJson<'a> {
    fn from(order: &'a VenueOrder) -> Self {
        let (trail_price, trail_percent) = match order.kind.trail() {
            Some(Trail::Price(price)) => (Some(Text(price)), None),
            Some(Trail::Percent(percent)) => (None, Some(Text(percent.normalize()))),
            None => (None, None),
        };
        let kind = order.kind.as_str();
        Self {
            id: &order.id,
            client_order_id: &order.client_order_id,
            created_at: order.created_at,
            updated_at: order.updated_at,
            submitted_at: order.submitted_at,
            filled_at: order.filled_at,
            expired_at: order.expired_at,
            expires_at: order.expires_at,
            canceled_at: order.canceled_at,
            failed_at: order.failed_at,
            replaced_at: order.replaced_at,
            replaced_by: order.replaced_by.as_ref(),
            replaces: order.replaces.as_ref(),
            asset_id: &order.asset_id,
            symbol: &order.symbol,
            asset_class: "us_equity",
            notional: order.notional().map(Text),
            qty: order.qty().map(Text),
            filled_qty: Text(order.filled_qty),
            filled_avg_price: order.filled_avg_price().map(Text),
            order_class: order.class.as_str(),
            order_type: kind,
            kind,
            side: order.side.as_str(),
            position_intent: order.position_intent.as_str(),
            time_in_force: order.time_in_force.as_str(),
            limit_price: order.limit_price.map(Text),
            stop_price: order.stop_price.map(Text),
            status: order.state.as_str(),
            extended_hours: order.extended_hours,
            legs: None,
            trail_percent,
            trail_price,
            hwm: order.hwm.map(Text),
            subtag: Null::default(),
            source: Null::default(),
        }
    }
}

impl<'a> OrderJson<'a> {
    /// With its legs inside, if there are any.
    pub(crate) fn with_legs(order: &'a VenueOrder, legs: &'a [VenueOrder]) -> Self {
        let legs: Vec<Self> = legs.iter().map(Self::from).collect();
        Self { legs: Some(legs).filter(|legs| !legs.is_empty()), ..Self::from(order) }
    }
}

/// An order, and what hangs on it, as they stood when the order was taken: so a POST is answered, even if the
/// order has filled since.
pub(crate) struct Taken {
    order: VenueOrder,
    legs: Vec<VenueOrder>,
}

impl Taken {
    pub(crate) fn new(order: &VenueOrder, venue: &Venue) -> Self {
        let legs = order.legs.iter().filter_map(|leg| venue.order(leg));
        let legs = legs.map(|leg| as_taken(leg, OrderState::Held)).collect();
        let state = match order.state {
            OrderState::Accepted => OrderState::Accepted,
            _ => OrderState::PendingNew,
        };
        let mut order = as_taken(order, state);
        // A replacement begins with the fills of the order whose place it takes.
        if let Some(before) = order.replaces.as_ref().and_then(|id| venue.order(id)) {
            (order.filled_qty, order.filled_cost) = (before.filled_qty, before.filled_cost);
        }
        Self { order, legs }
    }

    pub(crate) fn json(&self) -> OrderJson<'_> {
        OrderJson::with_legs(&self.order, &self.legs)
    }
}

/// The order in this state, before anything happened to it. What happens at once has the same stamp as the
/// order itself: so this picture is dated just before, or a client that hears of it late, after the events,
/// could not tell that it is the older one.
fn as_taken(order: &VenueOrder, state: OrderState) -> VenueOrder {
    VenueOrder {
        state,
        filled_qty: Qty::ZERO,
        filled_cost: Usd::ZERO,
        updated_at: order.created_at - Duration::from_nanos(1),
        filled_at: None,
        expired_at: None,
        canceled_at: None,
        failed_at: None,
        replaced_at: None,
        replaced_by: None,
        ..order.clone()
    }
}
