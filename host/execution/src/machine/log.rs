//! What the log says of orders that end: one line each, with the fields that an operator looks for.

use sandpit_cores::orders::{Order, OrderEvent, OrderState};
use sandpit_types::{
    ClientOrderId, OrderStatus, Refusal, StrategyName, StrategyOrderId, Submit, Symbol, TimeInForce,
};
use tracing::{field::display, info, warn};

use super::Machine;
use crate::Review;

/// An order of ours, and what it is of.
pub(super) type Known = (ClientOrderId, Symbol);

/// What a strategy is refused, as the log names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused<'a> {
    /// The id by which the strategy knows it.
    pub(super) id: StrategyOrderId,
    /// `None` when it is about an order that nobody knows.
    pub(super) symbol: Option<&'a Symbol>,
    /// The order that it is about; most are refused before they are one.
    pub(super) order: Option<&'a ClientOrderId>,
}

impl<'a> Refused<'a> {
    /// A wish about an order of ours, if it is known.
    pub(super) fn about(id: StrategyOrderId, order: Option<&'a Known>) -> Self {
        Self { id, symbol: order.map(|(_, symbol)| symbol), order: order.map(|(order, _)| order) }
    }
}

impl<'a> From<&'a Submit> for Refused<'a> {
    fn from(submit: &'a Submit) -> Self {
        Self::from((submit.id, &submit.symbol))
    }
}

impl<'a> From<(StrategyOrderId, &'a Symbol)> for Refused<'a> {
    fn from((id, symbol): (StrategyOrderId, &'a Symbol)) -> Self {
        Self { id, symbol: Some(symbol), order: None }
    }
}

/// The name of an order, for what is refused about it.
pub(super) fn known(order: &Order) -> Known {
    (order.client_id().clone(), order.request.symbol.clone())
}

/// A refusal.
pub(super) fn log_refusal(strategy: &StrategyName, refused: Refused<'_>, refusal: Refusal) {
    let Refused { id, symbol, order } = refused;
    let (symbol, order) = (symbol.map(display), order.map(display));
    info!(%strategy, symbol, order, id = id.0, reason = %refusal, event = "order-refused", "refused");
}

/// An order that was open before is over, and how nobody has said yet: its last fill has a line of its own,
/// so has the broker's no to its POST, and what was not sent is refused.
fn log_end(order: &Order, is_asked: bool, is_wanted: bool) {
    let (strategy, symbol) = (order.strategy(), &order.request.symbol);
    let (id, filled, qty) = (order.client_id(), order.filled().qty(), order.request.qty);
    match order.state() {
        OrderState::Terminal(OrderStatus::Canceled) if is_wanted => {
            info!(order = %id, %strategy, %symbol, %filled, %qty, event = "order-cancelled", "cancelled");
        }
        OrderState::Terminal(OrderStatus::Canceled) => {
            let text = "cancelled by the broker or by somebody past us";
            warn!(order = %id, %strategy, %symbol, %filled, %qty, event = "order-cancelled", "{text}");
        }
        OrderState::Terminal(OrderStatus::Expired) => {
            info!(order = %id, %strategy, %symbol, %filled, %qty, event = "order-expired", "expired");
        }
        OrderState::Terminal(OrderStatus::Replaced) => {
            info!(order = %id, %strategy, %symbol, %filled, %qty, event = "order-replaced", "replaced");
        }
        OrderState::Terminal(OrderStatus::Rejected) => {
            let text = "rejected after the broker had taken it";
            warn!(order = %id, %strategy, %symbol, %filled, %qty, event = "order-rejected", "{text}");
        }
        OrderState::NeverArrived { .. } => {
            info!(order = %id, %strategy, %symbol, event = "order-never-arrived", "it never arrived");
        }
        OrderState::NotSent if is_asked => {
            let text = "cancelled before it left";
            info!(order = %id, %strategy, %symbol, %filled, %qty, event = "order-cancelled", "{text}");
        }
        OrderState::NotSent
        | OrderState::Rejected { .. }
        | OrderState::Terminal(_)
        | OrderState::Recorded
        | OrderState::Sending { .. }
        | OrderState::Unknown { .. }
        | OrderState::Working(_)
        | OrderState::Cancelling(_) => {}
    }
}

impl<R: Review> Machine<R> {
    /// The line of an order's end, by this event. `stood` is how it stood before.
    pub(super) fn log_end(&self, id: &ClientOrderId, stood: &OrderState, event: &OrderEvent) {
        let Some(order) = self.books.order(id) else { return };
        // Of legs one ends with the other, and what must fill at once ends by itself.
        let is_immediate = matches!(order.request.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        let is_wanted = stood.is_unwanted() || order.is_leg() || is_immediate;
        log_end(order, *event == OrderEvent::CancelAsked, is_wanted);
    }

    /// What an order is of.
    pub(super) fn symbol_of(&self, id: &ClientOrderId) -> Option<&Symbol> {
        self.books.order(id).map(|order| &order.request.symbol)
    }
}
