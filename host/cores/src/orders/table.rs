//! The life of one order as one table: state and event in, state out.
//!
//! ```text
//! Recorded ──sent──> Sending ──accepted/snapshot──> Working ──cancel asked──> Cancelling ──┐
//!    │                 │  │ └──rejected──> Rejected     └───────terminal snapshot──────────┴──> Terminal
//!    │                 │  └──outcome unknown──> Unknown ──snapshot──> Working / Terminal
//!    └──not sent───────┴──> NotSent                └──404 for 60 s──> NeverArrived
//! ```
//!
//! `Terminal` is what the broker said, never what we conclude. `NotSent`, `Rejected` and `NeverArrived` are
//! our conclusions: they free the exposure, and a snapshot that shows the order after all brings it back,
//! with the wish to cancel it, if there was one.
//!
//! A leg is never sent: until the broker shows it, it stands where its parent's POST stands. Which words of
//! the broker's are an end is [`OrderStatus::is_terminal`]; every other word, `done_for_day` and those that
//! we do not know included, leaves the order working.

use sandpit_types::{MarketTime, OrderStatus};

use super::{INCONCLUSIVE, OrderEvent, OrderState};

/// An event that cannot happen to an order in this state: a fault of ours or of the broker's. The order stays
/// as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{event}\" cannot happen to an order that is {state:?}; the order stays as it is")]
pub struct ImpossiblePair {
    /// Where the order stands.
    pub state: OrderState,
    /// The event's name.
    pub event: &'static str,
}

/// The state after `event`.
///
/// # Errors
/// [`ImpossiblePair`] when the event cannot happen in this state.
pub fn step(state: OrderState, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    if let OrderEvent::ParentStands(parent) = event {
        return Ok(follow(state, parent));
    }
    match state {
        OrderState::Recorded => recorded(event),
        OrderState::Sending { cancel } => sending(cancel, event),
        OrderState::Unknown { since, cancel } => unknown(since, cancel, event),
        OrderState::Working(status) => at_broker(status, false, event),
        OrderState::Cancelling(status) => at_broker(status, true, event),
        OrderState::NotSent => concluded(OrderState::NotSent, false, event),
        OrderState::Rejected { confirmed, cancel } => rejected(confirmed, cancel, event),
        OrderState::NeverArrived { cancel } => never_arrived(cancel, event),
        OrderState::Terminal(status) => terminal(status, event),
    }
}

fn recorded(event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    match event {
        OrderEvent::Sent => Ok(OrderState::Sending { cancel: false }),
        OrderEvent::NotSent | OrderEvent::CancelAsked | OrderEvent::NotMade => Ok(OrderState::NotSent),
        // The machine died between the commit and the note that it was sent.
        OrderEvent::Reloaded { at } => Ok(OrderState::Unknown { since: *at, cancel: false }),
        OrderEvent::Accepted(_)
        | OrderEvent::Rejected
        | OrderEvent::OutcomeUnknown { .. }
        | OrderEvent::NotFound { .. }
        | OrderEvent::Snapshot(_)
        | OrderEvent::Execution(..)
        | OrderEvent::Activity { .. }
        | OrderEvent::ParentStands(_) => impossible(OrderState::Recorded, event),
    }
}

fn sending(cancel: bool, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    match event {
        OrderEvent::Accepted(order) | OrderEvent::Snapshot(order) | OrderEvent::Execution(_, order) => {
            Ok(placed(&order.status, cancel))
        }
        OrderEvent::Rejected => Ok(OrderState::Rejected { confirmed: false, cancel }),
        OrderEvent::NotSent | OrderEvent::NotMade => Ok(OrderState::NotSent),
        OrderEvent::OutcomeUnknown { at } | OrderEvent::Reloaded { at } => {
            Ok(OrderState::Unknown { since: *at, cancel })
        }
        OrderEvent::CancelAsked => Ok(OrderState::Sending { cancel: true }),
        // Asked too early: the POST is still on its way. An activity says what filled, not where it stands.
        OrderEvent::NotFound { .. } | OrderEvent::Activity { .. } => Ok(OrderState::Sending { cancel }),
        OrderEvent::Sent | OrderEvent::ParentStands(_) => impossible(OrderState::Sending { cancel }, event),
    }
}

fn unknown(since: MarketTime, cancel: bool, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    match event {
        OrderEvent::Accepted(order) | OrderEvent::Snapshot(order) | OrderEvent::Execution(_, order) => {
            Ok(placed(&order.status, cancel))
        }
        OrderEvent::NotFound { at } if at.since(since) >= INCONCLUSIVE => {
            Ok(OrderState::NeverArrived { cancel })
        }
        OrderEvent::NotFound { .. } | OrderEvent::OutcomeUnknown { .. } | OrderEvent::Activity { .. } => {
            Ok(OrderState::Unknown { since, cancel })
        }
        OrderEvent::NotMade => Ok(OrderState::NotSent),
        // Its request may still have been under way when the host died, so the clock starts again.
        OrderEvent::Reloaded { at } => Ok(OrderState::Unknown { since: *at, cancel }),
        OrderEvent::CancelAsked => Ok(OrderState::Unknown { since, cancel: true }),
        OrderEvent::Sent | OrderEvent::Rejected | OrderEvent::NotSent | OrderEvent::ParentStands(_) => {
            impossible(OrderState::Unknown { since, cancel }, event)
        }
    }
}

/// Working or cancelling: the broker has shown the order.
fn at_broker(status: OrderStatus, cancel: bool, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    let same = |status| if cancel { OrderState::Cancelling(status) } else { OrderState::Working(status) };
    match event {
        OrderEvent::Accepted(order) | OrderEvent::Snapshot(order) | OrderEvent::Execution(_, order) => {
            Ok(placed(&order.status, cancel))
        }
        OrderEvent::CancelAsked => Ok(OrderState::Cancelling(status)),
        // The stream was faster than the POST's answer, and the order exists whatever the answer says
        // (alpaca-trade-api-js#255: 422 although it executed).
        OrderEvent::Rejected
        | OrderEvent::OutcomeUnknown { .. }
        | OrderEvent::Reloaded { .. }
        | OrderEvent::Activity { .. } => Ok(same(status)),
        // It had the order and has forgotten it, as after the reset of a paper account. That is no end of it.
        OrderEvent::NotFound { .. } => Ok(same(status)),
        OrderEvent::Sent | OrderEvent::NotSent | OrderEvent::NotMade | OrderEvent::ParentStands(_) => {
            impossible(same(status), event)
        }
    }
}

fn rejected(confirmed: bool, cancel: bool, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    match event {
        OrderEvent::NotFound { .. } => Ok(OrderState::Rejected { confirmed: true, cancel }),
        OrderEvent::CancelAsked => Ok(OrderState::Rejected { confirmed, cancel: true }),
        OrderEvent::Sent
        | OrderEvent::Accepted(_)
        | OrderEvent::Rejected
        | OrderEvent::NotSent
        | OrderEvent::OutcomeUnknown { .. }
        | OrderEvent::Snapshot(_)
        | OrderEvent::Execution(..)
        | OrderEvent::Activity { .. }
        | OrderEvent::Reloaded { .. }
        | OrderEvent::ParentStands(_)
        | OrderEvent::NotMade => concluded(OrderState::Rejected { confirmed, cancel }, cancel, event),
    }
}

fn never_arrived(cancel: bool, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    match event {
        OrderEvent::CancelAsked => Ok(OrderState::NeverArrived { cancel: true }),
        OrderEvent::Sent
        | OrderEvent::Accepted(_)
        | OrderEvent::Rejected
        | OrderEvent::NotSent
        | OrderEvent::OutcomeUnknown { .. }
        | OrderEvent::NotFound { .. }
        | OrderEvent::Snapshot(_)
        | OrderEvent::Execution(..)
        | OrderEvent::Activity { .. }
        | OrderEvent::Reloaded { .. }
        | OrderEvent::ParentStands(_)
        | OrderEvent::NotMade => concluded(OrderState::NeverArrived { cancel }, cancel, event),
    }
}

/// We concluded that there is no such order at the broker.
fn concluded(state: OrderState, cancel: bool, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    match event {
        // The broker's word stands above our conclusion.
        OrderEvent::Accepted(order) | OrderEvent::Snapshot(order) | OrderEvent::Execution(_, order) => {
            Ok(placed(&order.status, cancel))
        }
        OrderEvent::NotFound { .. }
        | OrderEvent::CancelAsked
        | OrderEvent::Reloaded { .. }
        | OrderEvent::Activity { .. }
        | OrderEvent::NotMade => Ok(state),
        OrderEvent::Sent
        | OrderEvent::Rejected
        | OrderEvent::NotSent
        | OrderEvent::OutcomeUnknown { .. }
        | OrderEvent::ParentStands(_) => impossible(state, event),
    }
}

fn terminal(status: OrderStatus, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    match event {
        // Filled and cancelled at once (Alpaca-API#71): shares moved, so filled is the word that counts.
        OrderEvent::Accepted(order) | OrderEvent::Snapshot(order) | OrderEvent::Execution(_, order)
            if order.status == OrderStatus::Filled =>
        {
            Ok(OrderState::Terminal(OrderStatus::Filled))
        }
        OrderEvent::Accepted(_)
        | OrderEvent::Snapshot(_)
        | OrderEvent::Execution(..)
        | OrderEvent::Rejected
        | OrderEvent::OutcomeUnknown { .. }
        | OrderEvent::NotFound { .. }
        | OrderEvent::Activity { .. }
        | OrderEvent::CancelAsked
        | OrderEvent::Reloaded { .. }
        | OrderEvent::NotMade => Ok(OrderState::Terminal(status)),
        OrderEvent::Sent | OrderEvent::NotSent | OrderEvent::ParentStands(_) => {
            impossible(OrderState::Terminal(status), event)
        }
    }
}

/// A leg that the broker has not shown stands where its parent's POST stands; one that it has shown goes its
/// own way.
fn follow(leg: OrderState, parent: &OrderState) -> OrderState {
    if leg.is_at_broker() || matches!(leg, OrderState::Terminal(_)) {
        return leg;
    }
    // A cancel of the parent that comes too late leaves its exits on.
    let cancel = leg.is_unwanted();
    match parent {
        OrderState::Recorded | OrderState::NotSent => parent.clone(),
        OrderState::Sending { .. } => OrderState::Sending { cancel },
        OrderState::Unknown { since, .. } => OrderState::Unknown { since: *since, cancel },
        OrderState::Rejected { confirmed, .. } => OrderState::Rejected { confirmed: *confirmed, cancel },
        OrderState::NeverArrived { .. } => OrderState::NeverArrived { cancel },
        // The broker has made the leg and not shown it yet, or has not made it, which is concluded only when
        // it shows the whole order without it.
        OrderState::Working(_) | OrderState::Cancelling(_) | OrderState::Terminal(_) => match leg {
            OrderState::Recorded | OrderState::Rejected { .. } | OrderState::NeverArrived { .. } => {
                OrderState::Sending { cancel }
            }
            OrderState::Sending { .. }
            | OrderState::Unknown { .. }
            | OrderState::NotSent
            | OrderState::Working(_)
            | OrderState::Cancelling(_)
            | OrderState::Terminal(_) => leg,
        },
    }
}

fn placed(status: &OrderStatus, cancel: bool) -> OrderState {
    if status.is_terminal() {
        OrderState::Terminal(status.clone())
    } else if cancel {
        OrderState::Cancelling(status.clone())
    } else {
        OrderState::Working(status.clone())
    }
}

fn impossible(state: OrderState, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    Err(ImpossiblePair { state, event: event.name() })
}
