//! One order of ours.

use std::collections::BTreeSet;

use sandpit_types::{
    BrokerOrder, BrokerOrderId, ClientOrderId, ExecutionId, Exit, Leg, Links, MarketTime, OrderClass,
    OrderKind, OrderRequest, OrderStatus, OrderUpdate, Qty, StopLoss, StrategyName, StrategyOrderId,
    TimeInForce, Usd,
};

use super::{Filled, OrderState, Taken, Words, books::NewOrder};

/// One order of ours and all we know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// As it was sent, or as far as the broker's report of an adopted order tells.
    pub request: OrderRequest,
    /// The id its strategy chose; `None` when it was adopted.
    pub strategy_id: Option<StrategyOrderId>,
    /// How it belongs to other orders.
    pub links: Links,
    /// The life of the strategy that asked for it.
    pub incarnation: u32,
    /// When it was recorded.
    pub recorded_at: MarketTime,
    pub(super) state: OrderState,
    pub(super) broker_id: Option<BrokerOrderId>,
    pub(super) filled: Filled,
    /// Of a replacement: what the orders filled of which it took the place.
    pub(super) taken: Taken,
    /// The broker's stamp of the newest snapshot.
    pub(super) shown_at: Option<MarketTime>,
    /// Of a replacement: that of the order of which it took the place.
    pub(super) old_shown_at: Option<MarketTime>,
    /// What took its place, by the broker's word.
    pub(super) replaced_by: Option<BrokerOrderId>,
}

impl Order {
    pub(super) fn new(new: NewOrder, at: MarketTime) -> Self {
        Self {
            request: new.request,
            strategy_id: Some(new.strategy_id),
            links: new.links,
            incarnation: new.incarnation,
            recorded_at: at,
            state: OrderState::Recorded,
            broker_id: None,
            filled: Filled::default(),
            taken: Taken::default(),
            shown_at: None,
            old_shown_at: None,
            replaced_by: None,
        }
    }

    /// A leg of another order: nothing sends it, the broker makes it.
    pub(super) fn leg(request: OrderRequest, links: Links, incarnation: u32, at: MarketTime) -> Self {
        Self {
            request,
            strategy_id: None,
            links,
            incarnation,
            recorded_at: at,
            state: OrderState::Recorded,
            broker_id: None,
            filled: Filled::default(),
            taken: Taken::default(),
            shown_at: None,
            old_shown_at: None,
            replaced_by: None,
        }
    }

    /// An order of ours that the books lack, made up from the broker's report. Its fills are still to be
    /// counted.
    pub(super) fn adopted(client_id: ClientOrderId, shown: &BrokerOrder) -> Self {
        let kind = match (shown.stop_price, shown.limit_price) {
            (Some(stop_price), Some(limit_price)) => OrderKind::StopLimit { stop_price, limit_price },
            (Some(stop_price), None) => OrderKind::Stop { stop_price },
            (None, Some(limit_price)) => OrderKind::Limit { limit_price },
            (None, None) => OrderKind::Market,
        };
        let request = OrderRequest {
            client_id,
            symbol: shown.symbol.clone(),
            side: shown.side,
            qty: shown.qty.unwrap_or(shown.filled_qty),
            kind,
            // Not in the report, and never sent again.
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: class_of(shown),
        };
        Self {
            request,
            strategy_id: None,
            links: Links::default(),
            incarnation: 0,
            recorded_at: shown.submitted_at,
            state: OrderState::Unknown { since: shown.submitted_at, cancel: false },
            // It may have no other name there.
            broker_id: Some(shown.id.clone()),
            filled: Filled::default(),
            taken: Taken::default(),
            shown_at: None,
            old_shown_at: None,
            replaced_by: None,
        }
    }

    /// Our id.
    pub const fn client_id(&self) -> &ClientOrderId {
        &self.request.client_id
    }

    /// The strategy it belongs to.
    pub const fn strategy(&self) -> &StrategyName {
        &self.request.client_id.strategy
    }

    /// Where it stands.
    pub const fn state(&self) -> &OrderState {
        &self.state
    }

    /// The broker's id, once known.
    pub const fn broker_id(&self) -> Option<&BrokerOrderId> {
        self.broker_id.as_ref()
    }

    /// The broker's stamp of the newest report of this life.
    pub const fn shown_at(&self) -> Option<MarketTime> {
        self.shown_at
    }

    /// What is filled.
    pub const fn filled(&self) -> &Filled {
        &self.filled
    }

    /// Shares filled, those included of the orders of which this one took the place: what its strategy is
    /// told.
    pub fn filled_in_all(&self) -> Qty {
        self.taken.qty + self.filled.qty()
    }

    /// What the orders filled of which this one took the place.
    pub const fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Where it stands, for the store.
    pub fn words(&self) -> Words {
        Words { state: self.state.clone(), taken: self.taken.clone() }
    }

    /// Whether it is a leg of another order of ours.
    pub const fn is_leg(&self) -> bool {
        self.links.leg_of.is_some()
    }

    /// Whether the broker's rule against trades with oneself leaves it alone (alpaca-api.md 6.5: trailing
    /// stops, orders of a class and their legs).
    pub fn is_exempt_from_self_cross(&self) -> bool {
        let is_trailing = matches!(self.request.kind, OrderKind::TrailingStop { .. });
        is_trailing || self.is_leg() || self.request.class != OrderClass::Simple
    }

    /// Shares that this order by itself may still fill; zero once it is over. What it may add beside its
    /// legs, its parent and the order that it replaces, [`Books::to_fill`](super::Books::to_fill) says.
    pub fn remaining(&self) -> Qty {
        if self.state.is_open() {
            (self.request.qty - self.taken.qty - self.filled.qty()).max(Qty::ZERO)
        } else {
            Qty::ZERO
        }
    }

    /// How it stands, for a strategy that knows it by this name.
    pub(super) fn update(&self, (id, leg): (StrategyOrderId, Option<Leg>), time: MarketTime) -> OrderUpdate {
        let status = match (self.state.status(), self.filled.qty().is_zero()) {
            // The stream told of the fill in a message whose order was still the old one.
            (OrderStatus::PendingNew | OrderStatus::Accepted | OrderStatus::New, false) => {
                OrderStatus::PartiallyFilled
            }
            (status, true | false) => status,
        };
        let symbol = self.request.symbol.clone();
        OrderUpdate { id, leg, symbol, status, filled_qty: self.filled_in_all(), time }
    }
}

/// The class of an order that is shown with its legs; simple when it is shown without.
fn class_of(shown: &BrokerOrder) -> OrderClass {
    let leg = |which: Leg| shown.legs.iter().find(|leg| leg.leg() == which);
    let stop_loss = leg(Leg::StopLoss)
        .and_then(|leg| Some(StopLoss { stop_price: leg.stop_price?, limit_price: leg.limit_price }));
    let take_profit = leg(Leg::TakeProfit).and_then(|leg| leg.limit_price);
    let is_exit = shown.legs.iter().any(|leg| leg.side == shown.side);
    match (take_profit, stop_loss) {
        (Some(take_profit), Some(stop_loss)) => OrderClass::Bracket { take_profit, stop_loss },
        (None, Some(stop_loss)) if is_exit => OrderClass::Oco { stop_loss },
        (None, Some(stop_loss)) => OrderClass::Oto(Exit::StopLoss(stop_loss)),
        (Some(take_profit), None) => OrderClass::Oto(Exit::TakeProfit(take_profit)),
        (None, None) => OrderClass::Simple,
    }
}

/// An order as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    /// As it was sent.
    pub request: OrderRequest,
    /// The id its strategy chose; `None` when it was adopted.
    pub strategy_id: Option<StrategyOrderId>,
    /// How it belongs to other orders.
    pub links: Links,
    /// The life of the strategy that asked for it.
    pub incarnation: u32,
    /// Where it stood.
    pub state: OrderState,
    /// The broker's id, if known.
    pub broker_id: Option<BrokerOrderId>,
    /// Shares counted as filled.
    pub filled_qty: Qty,
    /// Shares times price of them.
    pub filled_notional: Usd,
    /// Of a replacement: what the orders filled of which it took the place.
    pub taken: Taken,
    /// The executions counted.
    pub executions: BTreeSet<ExecutionId>,
    /// When it was recorded.
    pub recorded_at: MarketTime,
}

impl From<StoredOrder> for Order {
    fn from(stored: StoredOrder) -> Self {
        Self {
            request: stored.request,
            strategy_id: stored.strategy_id,
            links: stored.links,
            incarnation: stored.incarnation,
            recorded_at: stored.recorded_at,
            state: stored.state,
            broker_id: stored.broker_id,
            filled: Filled::restore(stored.filled_qty, stored.filled_notional, stored.executions),
            taken: stored.taken,
            shown_at: None,
            old_shown_at: None,
            replaced_by: None,
        }
    }
}
