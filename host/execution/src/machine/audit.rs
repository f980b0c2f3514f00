//! Who did what to which order: lines of the audit log.

use sandpit_cores::orders::{Order, OrderState};
use sandpit_store::{Actor, Audit, Record};
use sandpit_types::{ClientOrderId, Fill, MarketTime, OrderKind, OrderStatus, StrategyName, Trail};

use super::Machine;
use crate::Review;

impl<R: Review> Machine<R> {
    /// A strategy's order is recorded.
    pub(super) fn audit_order(&mut self, id: &ClientOrderId, now: MarketTime) {
        let Some(order) = self.books.order(id).filter(|_| self.ledger.keeps()) else { return };
        let (action, of) = match &order.links.replaces {
            Some(old) => ("replace", format!(" in the place of {old}")),
            None => ("submit", String::new()),
        };
        let detail = format!("{}{of}", shape(order));
        self.audit(Actor::Strategy(id.strategy.clone()), action, id, detail, now);
    }

    /// A cancel was asked for.
    pub(super) fn audit_cancel(&mut self, actor: Actor, id: &ClientOrderId, reason: &str, now: MarketTime) {
        self.audit(actor, "cancel", id, reason.to_owned(), now);
    }

    /// A fill was counted.
    pub(super) fn audit_fill(&mut self, fill: &Fill, now: MarketTime) {
        if !self.ledger.keeps() {
            return;
        }
        let detail = format!("{} {} at {}", fill.side.as_str(), fill.qty, fill.price);
        self.audit(Actor::Broker, "fill", &fill.client_id, detail, now);
    }

    /// An order is over that nobody on our side wanted to end.
    pub(super) fn audit_end(&mut self, id: &ClientOrderId, before: &OrderState, now: MarketTime) {
        let Some(order) = self.books.order(id).filter(|_| self.ledger.keeps()) else { return };
        let is_ours = before.is_unwanted() || order.is_leg();
        let OrderState::Terminal(status) = order.state() else { return };
        let word = match status {
            OrderStatus::Canceled if !is_ours => "cancelled by the broker or by somebody past us",
            OrderStatus::Expired => "expired",
            OrderStatus::Rejected => "rejected",
            _ => return,
        };
        let detail = format!("{word}, {} of {} filled", order.filled().qty(), order.request.qty);
        self.audit(Actor::Broker, "end", id, detail, now);
    }

    fn audit(
        &mut self,
        actor: Actor,
        action: &'static str,
        id: &ClientOrderId,
        detail: String,
        time: MarketTime,
    ) {
        let symbol = self.books.order(id).map(|order| order.request.symbol.clone());
        let client_id = Some(id.clone());
        self.ledger.record(Record::Audit(Audit { time, actor, action, client_id, symbol, detail }));
    }
}

/// Somebody who is no strategy.
pub(super) const fn host() -> Actor {
    Actor::Host
}

/// The strategy as an actor.
pub(super) fn strategy(name: &StrategyName) -> Actor {
    Actor::Strategy(name.clone())
}

/// An order in words, such as `buy 10 limit 99.5 day`.
fn shape(order: &Order) -> String {
    let request = &order.request;
    let price = match request.kind {
        OrderKind::Market => String::new(),
        OrderKind::Limit { limit_price } => format!(" {limit_price}"),
        OrderKind::Stop { stop_price } => format!(" {stop_price}"),
        OrderKind::StopLimit { stop_price, limit_price } => format!(" {stop_price} {limit_price}"),
        OrderKind::TrailingStop { trail: Trail::Price(distance) } => format!(" {distance}"),
        OrderKind::TrailingStop { trail: Trail::Percent(percent) } => format!(" {percent} %"),
    };
    let (side, kind) = (request.side.as_str(), request.kind.as_str());
    let class = match request.class.as_str() {
        "" => String::new(),
        class => format!(" {class}"),
    };
    format!("{side} {} {kind}{price} {}{class}", request.qty, request.time_in_force.as_str())
}
