//! Why a replacement is not taken.

use sandpit_types::BrokerOrderId;

use super::http::{NOT_FOUND, PARAMETER, UNPROCESSABLE};
use crate::{OrderState, Reject};

/// Why a replacement was not taken. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceReject {
    /// No order has this id.
    #[error("order not found for {id}")]
    NotFound {
        /// The id.
        id: BrokerOrderId,
    },
    /// The order is queued or on its way: it cannot be replaced while the market is closed.
    #[error("unable to replace order, order isn't sent to exchange yet")]
    NotSent,
    /// The order is filled, cancelled, expired or rejected.
    #[error("unable to replace order, order is not open")]
    NotOpen,
    /// A cancel or replace is under way, or the order is set aside.
    #[error("cannot replace order in {} status", state.as_str())]
    WrongState {
        /// Where it stands.
        state: OrderState,
    },
    /// Another order took its place already.
    #[error("order already replaced")]
    AlreadyReplaced,
    /// The order is itself a replacement that is under way.
    #[error("order chain not fully replaced")]
    ChainOpen,
    /// Nothing would change.
    #[error("order parameters are not changed")]
    Unchanged,
    /// The new quantity is filled already.
    #[error("qty must be > filled_qty")]
    QtyFilled,
    /// The order is in a group: its prices can change, its quantity cannot.
    #[error("qty cannot be changed for advanced orders")]
    QtyOfGroup,
    /// The old or the new quantity has a fraction of a share. (No record of the broker's words.)
    #[error("qty must be an integer")]
    QtyFractional,
    /// The order counts in dollars. (No record of the broker's words.)
    #[error("notional orders cannot be replaced")]
    Notional,
    /// The order's kind has no such price.
    #[error("invalid {field}: {kind} orders have none")]
    NoSuchPrice {
        /// Which price.
        field: &'static str,
        /// The order's type.
        kind: &'static str,
    },
    /// The order as changed would not have been taken.
    #[error(transparent)]
    Order(#[from] Reject),
}

impl ReplaceReject {
    /// HTTP status, the broker's code and the message.
    pub fn http(&self) -> (u16, Option<i64>, String) {
        let (status, code) = match self {
            Self::NotFound { .. } => (404, NOT_FOUND),
            Self::NotSent | Self::NotOpen | Self::NoSuchPrice { .. } | Self::QtyFractional => {
                (422, PARAMETER)
            }
            Self::WrongState { .. }
            | Self::AlreadyReplaced
            | Self::ChainOpen
            | Self::Unchanged
            | Self::QtyFilled
            | Self::QtyOfGroup
            | Self::Notional => (422, UNPROCESSABLE),
            Self::Order(reject) => return reject.http(),
        };
        (status, Some(code), self.to_string())
    }

    /// Further text fields of the error body: name and value.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        if let Self::Order(reject) = self { reject.fields() } else { Vec::new() }
    }

    /// The field `related_orders` of the error body; empty when the body has none.
    pub fn related_orders(&self) -> &[BrokerOrderId] {
        if let Self::Order(reject) = self { reject.related_orders() } else { &[] }
    }
}
