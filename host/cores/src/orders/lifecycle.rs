//! The life of one order as one table.
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

use std::time::Duration;

use sandpit_types::{BrokerOrder, MarketTime, OrderStatus, TradeEvent, TradeUpdate};
use serde::{Deserialize, Serialize};

use super::Execution;

/// How long after a POST of unknown outcome the broker's "no such order" proves nothing, market time.
pub const INCONCLUSIVE: Duration = Duration::from_secs(60);

/// Where an order stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Committed to the store, not sent.
    Recorded,
    /// The POST is on its way.
    Sending {
        /// Whether a cancel has to follow as soon as the broker has it.
        cancel: bool,
    },
    /// The POST may or may not have arrived. The exposure stays reserved.
    Unknown {
        /// Since when.
        since: MarketTime,
        /// Whether a cancel has to follow if it did arrive.
        cancel: bool,
    },
    /// The broker has it.
    Working(OrderStatus),
    /// The broker has it and we want it cancelled.
    Cancelling(OrderStatus),
    /// It never left this machine.
    NotSent,
    /// The broker's answer to the POST was no.
    Rejected {
        /// Whether the broker was asked again and does not have it: orders have executed in spite of such an
        /// answer (alpaca-trade-api-js#255).
        confirmed: bool,
        /// Whether a cancel has to follow should it be there after all.
        cancel: bool,
    },
    /// The broker did not know it for the whole of [`INCONCLUSIVE`].
    NeverArrived {
        /// Whether a cancel has to follow should it be there after all.
        cancel: bool,
    },
    /// The broker says that it is over.
    Terminal(OrderStatus),
}

impl OrderState {
    /// Whether it may still fill: its exposure is reserved.
    pub const fn is_open(&self) -> bool {
        match self {
            Self::Recorded
            | Self::Sending { .. }
            | Self::Unknown { .. }
            | Self::Working(_)
            | Self::Cancelling(_) => true,
            Self::NotSent | Self::Rejected { .. } | Self::NeverArrived { .. } | Self::Terminal(_) => false,
        }
    }

    /// Whether nobody has to ask the broker about it any more: neither this life of the host nor the next.
    pub const fn is_settled(&self) -> bool {
        match self {
            Self::Recorded
            | Self::Sending { .. }
            | Self::Unknown { .. }
            | Self::Working(_)
            | Self::Cancelling(_) => false,
            Self::Rejected { confirmed, .. } => *confirmed,
            Self::NotSent | Self::NeverArrived { .. } | Self::Terminal(_) => true,
        }
    }

    /// Whether the broker has said that the order exists, and it is not over.
    pub const fn is_at_broker(&self) -> bool {
        matches!(self, Self::Working(_) | Self::Cancelling(_))
    }

    /// Where the broker has it, while it has it and it is not over.
    pub const fn at_broker(&self) -> Option<&OrderStatus> {
        match self {
            Self::Working(status) | Self::Cancelling(status) => Some(status),
            Self::Recorded
            | Self::Sending { .. }
            | Self::Unknown { .. }
            | Self::NotSent
            | Self::Rejected { .. }
            | Self::NeverArrived { .. }
            | Self::Terminal(_) => None,
        }
    }

    /// What a strategy is told.
    pub fn status(&self) -> OrderStatus {
        match self {
            Self::Recorded | Self::Sending { .. } | Self::Unknown { .. } => OrderStatus::PendingNew,
            Self::Working(status) | Self::Terminal(status) => status.clone(),
            Self::Cancelling(_) => OrderStatus::PendingCancel,
            Self::NotSent => OrderStatus::Canceled,
            Self::Rejected { .. } | Self::NeverArrived { .. } => OrderStatus::Rejected,
        }
    }
}

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// The POST was handed to the broker's adapter.
    Sent,
    /// The POST's answer: the broker has it.
    Accepted(BrokerOrder),
    /// The POST's answer: no.
    Rejected,
    /// The POST did not leave this machine.
    NotSent,
    /// The POST's outcome is unknown.
    OutcomeUnknown {
        /// When that became clear.
        at: MarketTime,
    },
    /// Asked by its client id, the broker knows no such order.
    NotFound {
        /// When the broker was asked.
        at: MarketTime,
    },
    /// The order as the broker shows it: stream, REST or replay, possibly old.
    Snapshot(BrokerOrder),
    /// One execution, with the order after it.
    Execution(Execution, BrokerOrder),
    /// Somebody on our side wants it cancelled.
    CancelAsked,
    /// It was read back from the store by a new life of the host.
    Reloaded {
        /// When.
        at: MarketTime,
    },
}

impl OrderEvent {
    /// The order as the broker shows it, for the events that carry one.
    pub const fn shown(&self) -> Option<&BrokerOrder> {
        match self {
            Self::Accepted(order) | Self::Snapshot(order) | Self::Execution(_, order) => Some(order),
            Self::Sent
            | Self::Rejected
            | Self::NotSent
            | Self::OutcomeUnknown { .. }
            | Self::NotFound { .. }
            | Self::CancelAsked
            | Self::Reloaded { .. } => None,
        }
    }

    /// Its name, for logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Accepted(_) => "accepted",
            Self::Rejected => "rejected",
            Self::NotSent => "not sent",
            Self::OutcomeUnknown { .. } => "outcome unknown",
            Self::NotFound { .. } => "not found at the broker",
            Self::Snapshot(_) => "snapshot",
            Self::Execution(..) => "execution",
            Self::CancelAsked => "cancel asked",
            Self::Reloaded { .. } => "reloaded",
        }
    }
}

impl From<TradeUpdate> for OrderEvent {
    /// An execution when the update announces a fill and names it with its quantity and price; otherwise the
    /// order inside says it all. Corrections and busts of a trade name an execution, too, and are no fill.
    fn from(update: TradeUpdate) -> Self {
        let is_fill = matches!(update.event, TradeEvent::Fill | TradeEvent::PartialFill);
        match (update.execution_id.filter(|_| is_fill), update.qty, update.price) {
            (Some(id), Some(qty), Some(price)) if qty.is_positive() && price.is_positive() => {
                Self::Execution(Execution { id, qty, price, time: update.time }, update.order)
            }
            (Some(_) | None, Some(_) | None, Some(_) | None) => Self::Snapshot(update.order),
        }
    }
}

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
        OrderEvent::NotSent | OrderEvent::CancelAsked => Ok(OrderState::NotSent),
        // The machine died between the commit and the note that it was sent.
        OrderEvent::Reloaded { at } => Ok(OrderState::Unknown { since: *at, cancel: false }),
        OrderEvent::Accepted(_)
        | OrderEvent::Rejected
        | OrderEvent::OutcomeUnknown { .. }
        | OrderEvent::NotFound { .. }
        | OrderEvent::Snapshot(_)
        | OrderEvent::Execution(..) => impossible(OrderState::Recorded, event),
    }
}

fn sending(cancel: bool, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    match event {
        OrderEvent::Accepted(order) | OrderEvent::Snapshot(order) | OrderEvent::Execution(_, order) => {
            Ok(placed(&order.status, cancel))
        }
        OrderEvent::Rejected => Ok(OrderState::Rejected { confirmed: false, cancel }),
        OrderEvent::NotSent => Ok(OrderState::NotSent),
        OrderEvent::OutcomeUnknown { at } | OrderEvent::Reloaded { at } => {
            Ok(OrderState::Unknown { since: *at, cancel })
        }
        OrderEvent::CancelAsked => Ok(OrderState::Sending { cancel: true }),
        // Asked too early: the POST is still on its way.
        OrderEvent::NotFound { .. } => Ok(OrderState::Sending { cancel }),
        OrderEvent::Sent => impossible(OrderState::Sending { cancel }, event),
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
        OrderEvent::NotFound { .. } | OrderEvent::OutcomeUnknown { .. } => {
            Ok(OrderState::Unknown { since, cancel })
        }
        // Its request may still have been under way when the host died, so the clock starts again.
        OrderEvent::Reloaded { at } => Ok(OrderState::Unknown { since: *at, cancel }),
        OrderEvent::CancelAsked => Ok(OrderState::Unknown { since, cancel: true }),
        OrderEvent::Sent | OrderEvent::Rejected | OrderEvent::NotSent => {
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
        OrderEvent::Rejected | OrderEvent::OutcomeUnknown { .. } | OrderEvent::Reloaded { .. } => {
            Ok(same(status))
        }
        // It had the order and has forgotten it, as after the reset of a paper account. That is no end of it.
        OrderEvent::NotFound { .. } => Ok(same(status)),
        OrderEvent::Sent | OrderEvent::NotSent => impossible(same(status), event),
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
        | OrderEvent::Reloaded { .. } => concluded(OrderState::Rejected { confirmed, cancel }, cancel, event),
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
        | OrderEvent::Reloaded { .. } => concluded(OrderState::NeverArrived { cancel }, cancel, event),
    }
}

/// We concluded that there is no such order at the broker.
fn concluded(state: OrderState, cancel: bool, event: &OrderEvent) -> Result<OrderState, ImpossiblePair> {
    match event {
        // The broker's word stands above our conclusion.
        OrderEvent::Accepted(order) | OrderEvent::Snapshot(order) | OrderEvent::Execution(_, order) => {
            Ok(placed(&order.status, cancel))
        }
        OrderEvent::NotFound { .. } | OrderEvent::CancelAsked | OrderEvent::Reloaded { .. } => Ok(state),
        OrderEvent::Sent | OrderEvent::Rejected | OrderEvent::NotSent | OrderEvent::OutcomeUnknown { .. } => {
            impossible(state, event)
        }
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
        | OrderEvent::CancelAsked
        | OrderEvent::Reloaded { .. } => Ok(OrderState::Terminal(status)),
        OrderEvent::Sent | OrderEvent::NotSent => impossible(OrderState::Terminal(status), event),
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
