//! What can happen to an order.

use sandpit_types::{BrokerOrder, MarketTime, Qty, TradeEvent, TradeUpdate};

use super::{Execution, OrderState};

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// The POST was handed to the broker's adapter. A replacement's PATCH counts as its POST.
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
    /// One execution as the account's activities list it. Their ids of executions are not those of the
    /// stream, so only the sum counts.
    Activity {
        /// The execution; of a name that no other source uses.
        execution: Execution,
        /// Shares of the order filled after it.
        cumulative: Qty,
    },
    /// Somebody on our side wants it cancelled.
    CancelAsked,
    /// It was read back from the store by a new life of the host.
    Reloaded {
        /// When.
        at: MarketTime,
    },
    /// The order that the broker makes this leg for stands there now. As long as the broker has not shown the
    /// leg, what became of that order's POST became of the leg.
    ParentStands(OrderState),
    /// The order that the broker would make this leg for is over, and the broker shows no such leg.
    NotMade,
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
            | Self::Activity { .. }
            | Self::CancelAsked
            | Self::Reloaded { .. }
            | Self::ParentStands(_)
            | Self::NotMade => None,
        }
    }

    /// The execution that it names, if one.
    pub const fn execution(&self) -> Option<&Execution> {
        match self {
            Self::Execution(execution, _) | Self::Activity { execution, .. } => Some(execution),
            Self::Sent
            | Self::Accepted(_)
            | Self::Rejected
            | Self::NotSent
            | Self::OutcomeUnknown { .. }
            | Self::NotFound { .. }
            | Self::Snapshot(_)
            | Self::CancelAsked
            | Self::Reloaded { .. }
            | Self::ParentStands(_)
            | Self::NotMade => None,
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
            Self::Activity { .. } => "activity",
            Self::CancelAsked => "cancel asked",
            Self::Reloaded { .. } => "reloaded",
            Self::ParentStands(_) => "its parent stands elsewhere",
            Self::NotMade => "not made by the broker",
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
