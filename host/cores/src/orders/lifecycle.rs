//! Where an order can stand. How it gets there is one table: [`step`](super::step).

use std::time::Duration;

use sandpit_types::{MarketTime, OrderStatus};
use serde::{Deserialize, Serialize};

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
    /// It never left this machine; of a leg: the broker never made it.
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

    /// Whether we concluded that it is not there, which the broker's word can refute.
    pub const fn is_concluded(&self) -> bool {
        match self {
            Self::NotSent | Self::Rejected { .. } | Self::NeverArrived { .. } => true,
            Self::Recorded
            | Self::Sending { .. }
            | Self::Unknown { .. }
            | Self::Working(_)
            | Self::Cancelling(_)
            | Self::Terminal(_) => false,
        }
    }

    /// Whether somebody on our side wants it gone.
    pub const fn is_unwanted(&self) -> bool {
        match self {
            Self::Sending { cancel }
            | Self::Unknown { cancel, .. }
            | Self::Rejected { cancel, .. }
            | Self::NeverArrived { cancel } => *cancel,
            Self::Cancelling(_) => true,
            Self::Recorded | Self::Working(_) | Self::NotSent | Self::Terminal(_) => false,
        }
    }

    /// Whether the broker would take a replacement now: it is routed, or a leg that waits, and nothing else
    /// is under way (alpaca-api.md 2.5: not while accepted, pending or queued for the next session).
    pub const fn is_replaceable(&self) -> bool {
        matches!(self, Self::Working(OrderStatus::New | OrderStatus::PartiallyFilled | OrderStatus::Held))
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
