//! Why a cancel, or an event from outside, is not taken.

use sandpit_types::BrokerOrderId;

use super::http::{NOT_FOUND, UNPROCESSABLE};
use crate::{ImpossibleEvent, OrderState};

/// Why a cancel was not taken. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelReject {
    /// No order has this id.
    #[error("order not found for {id}")]
    NotFound {
        /// The id.
        id: BrokerOrderId,
    },
    /// The order is done, or a replace of it is under way: look at it to see how.
    #[error("order is already in \"{}\" state", state.as_str())]
    Terminal {
        /// Where it stands.
        state: OrderState,
    },
}

impl CancelReject {
    /// HTTP status, the broker's code and the message.
    pub fn http(&self) -> (u16, Option<i64>, String) {
        let (status, code) = match self {
            Self::NotFound { .. } => (404, NOT_FOUND),
            Self::Terminal { .. } => (422, UNPROCESSABLE),
        };
        (status, Some(code), self.to_string())
    }
}

/// Why an event could not be forced on an order. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForceReject {
    /// No order has this id.
    #[error("order not found for {id}")]
    NotFound {
        /// The id.
        id: BrokerOrderId,
    },
    /// The order cannot have that event, or it is none that comes from outside.
    #[error(transparent)]
    Impossible(#[from] ImpossibleEvent),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancels_in_the_brokers_words() {
        let filled = CancelReject::Terminal { state: OrderState::Filled };
        assert_eq!(filled.http(), (422, Some(42_210_000), "order is already in \"filled\" state".to_owned()));
        let unknown = CancelReject::NotFound { id: BrokerOrderId::new("x") };
        assert_eq!(unknown.http(), (404, Some(40_410_000), "order not found for x".to_owned()));
    }
}
