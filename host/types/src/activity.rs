//! What moved shares or money at the broker, row by row.

use serde::{Deserialize, Serialize};

use crate::{BrokerOrderId, MarketTime, Price, Qty, Side, Symbol, Usd};

/// One row of the broker's account activities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// The broker's id of the row. Rows are listed in the order of their ids.
    pub id: String,
    /// When it happened; for a row that has only a date, the start of that day in New York.
    pub time: MarketTime,
    /// What happened.
    pub deed: Deed,
}

/// What an activity did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// One execution of one order.
    Fill {
        /// The order.
        order: BrokerOrderId,
        /// Which symbol.
        symbol: Symbol,
        /// Which way.
        side: Side,
        /// Shares of this execution; above zero.
        qty: Qty,
        /// Its price.
        price: Price,
        /// Shares of the order filled after it, cumulative.
        cumulative: Qty,
    },
    /// Money or shares that came or went by no order: a fee, a dividend, a transfer, a split.
    Other {
        /// The broker's word, such as `FEE`, `DIV` or `CSD`.
        kind: String,
        /// Money, negative when it went.
        net: Usd,
        /// Which symbol, if one.
        symbol: Option<Symbol>,
        /// Shares that came (above zero) or went, if any.
        qty: Option<Qty>,
    },
}

impl Deed {
    /// Whether it is the owner's money that came or went: no profit and no loss.
    pub fn is_transfer(&self) -> bool {
        match self {
            Self::Other { kind, .. } => matches!(
                kind.as_str(),
                "TRANS" | "CSD" | "CSW" | "JNL" | "JNLC" | "JNLS" | "ACATC" | "ACATS" | "FOPT"
            ),
            Self::Fill { .. } => false,
        }
    }
}
