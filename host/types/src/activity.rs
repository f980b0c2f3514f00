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

    /// What the owner moved: money, and shares as the broker values them. `None` of shares of which it tells
    /// no value.
    pub fn transferred(&self) -> Option<Usd> {
        match self {
            Self::Other { net, per_share, .. } if self.is_transfer() => match self.shares_moved() {
                None => Some(*net),
                Some(shares) => per_share.map(|each| *net + each * shares),
            },
            Self::Other { .. } | Self::Fill { .. } => Some(Usd::ZERO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_worth_what_the_broker_says_of_them() {
        let check =
            |kind: &str, qty: Option<i64>, per_share: Option<i64>, expected: (Option<i64>, Option<i64>)| {
                let deed = Deed::Other {
                    kind: kind.to_owned(),
                    net: Usd::new(7.into()),
                    symbol: Some(Symbol::new("SPY")),
                    qty: qty.map(|qty| Qty::new(qty.into())),
                    per_share: per_share.map(|each| Price::new(each.into())),
                };
                let (shares, worth) = expected;
                assert_eq!(deed.shares_moved(), shares.map(|qty| Qty::new(qty.into())), "{deed:?}");
                assert_eq!(deed.transferred(), worth.map(|worth| Usd::new(worth.into())), "{deed:?}");
            };
        check("CSD", None, None, (None, Some(7)));
        check("JNLS", Some(10), Some(100), (Some(10), Some(1_007)));
        check("ACATS", Some(-10), Some(100), (Some(-10), Some(-993)));
        check("ACATS", Some(-10), None, (Some(-10), None));
        check("SPLIT", Some(10), None, (Some(10), Some(0)));
        check("DIV", Some(10), Some(1), (None, Some(0)));
        check("FEE", None, None, (None, Some(0)));
    }
}
