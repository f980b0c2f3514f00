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
    /// Money or shares that came or went by no order: a fee, a dividend, a transfer, a split. A row that the
    /// broker has canceled moves nothing.
    Other {
        /// The broker's word, such as `FEE`, `DIV` or `CSD`.
        kind: String,
        /// Money, negative when it went.
        net: Usd,
        /// Which symbol, if one.
        symbol: Option<Symbol>,
        /// Shares, if any: those that came (above zero) or went, or those that a dividend was paid for.
        qty: Option<Qty>,
        /// What the broker says of one of these, if it does.
        per_share: Option<Price>,
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

    /// Shares that came (above zero) or went by no order. The number in a row of another kind is only what it
    /// was paid for. The fact sheet (2.3) names the kinds and does not say which of them move shares; these
    /// do by their names.
    pub fn shares_moved(&self) -> Option<Qty> {
        let Self::Other { kind, symbol: Some(_), qty: Some(qty), .. } = self else { return None };
        let restructures = matches!(kind.as_str(), "SPLIT" | "SPIN" | "REORG" | "MA" | "NC");
        Some(*qty).filter(|qty| (restructures || self.is_transfer()) && !qty.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_move_by_transfers_and_restructurings_alone() {
        let check = |kind: &str, qty: Option<i64>, expected: Option<i64>| {
            let deed = Deed::Other {
                kind: kind.to_owned(),
                net: Usd::ZERO,
                symbol: Some(Symbol::new("SPY")),
                qty: qty.map(|qty| Qty::new(qty.into())),
                per_share: None,
            };
            assert_eq!(deed.shares_moved(), expected.map(|qty| Qty::new(qty.into())), "{deed:?}");
        };
        check("CSD", None, None);
        check("JNLS", Some(10), Some(10));
        check("ACATS", Some(-10), Some(-10));
        check("SPLIT", Some(10), Some(10));
        check("DIV", Some(10), None);
        check("FEE", None, None);
    }
}
