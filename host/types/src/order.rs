//! Orders as the broker knows them.

use serde::{Deserialize, Serialize};

use crate::{
    BrokerOrderId, ClientOrderId, ExecutionId, Leg, MarketTime, OrderClass, OrderKind, Price, Qty,
    StrategyOrderId, Symbol,
};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// More shares.
    Buy,
    /// Fewer shares.
    Sell,
}

impl Side {
    /// The quantity with the sign it has in a position: positive for a buy.
    pub fn signed(self, qty: Qty) -> Qty {
        match self {
            Self::Buy => qty,
            Self::Sell => -qty,
        }
    }

    /// The wire word, `buy` or `sell`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        }
    }
}

/// How long an order stays at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Until the close of the session.
    Day,
    /// Until cancelled (Alpaca: 90 days).
    Gtc,
    /// At once, the rest is cancelled.
    Ioc,
    /// At once and wholly, or not at all.
    Fok,
}

impl TimeInForce {
    /// The wire word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Gtc => "gtc",
            Self::Ioc => "ioc",
            Self::Fok => "fok",
        }
    }
}

/// Where an order stands at the broker (Alpaca's words).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case")]
pub enum OrderStatus {
    /// Taken by the broker, not yet at the exchange.
    PendingNew,
    /// Queued: the market is closed or it is not routed yet.
    Accepted,
    /// Working.
    New,
    /// Working, part done.
    PartiallyFilled,
    /// Done.
    Filled,
    /// A cancel is under way. Not terminal: a fill may still come.
    PendingCancel,
    /// Cancelled; may have filled in part before.
    Canceled,
    /// Its time ran out; may have filled in part before.
    Expired,
    /// The broker or exchange would not have it.
    Rejected,
    /// A replace is under way.
    PendingReplace,
    /// Superseded by another order.
    Replaced,
    /// A leg that waits for its parent or sibling.
    Held,
    /// Done for today, not terminal.
    DoneForDay,
    /// A word we do not know, kept as it came (alpaca-py#430: unknown words must not break a client).
    #[serde(untagged)]
    Other(String),
}

impl OrderStatus {
    /// Whether no further event can change the order. Unknown words are not terminal.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Expired | Self::Rejected | Self::Replaced)
    }

    /// The wire word.
    pub fn word(&self) -> &str {
        match self {
            Self::PendingNew => "pending_new",
            Self::Accepted => "accepted",
            Self::New => "new",
            Self::PartiallyFilled => "partially_filled",
            Self::Filled => "filled",
            Self::PendingCancel => "pending_cancel",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::PendingReplace => "pending_replace",
            Self::Replaced => "replaced",
            Self::Held => "held",
            Self::DoneForDay => "done_for_day",
            Self::Other(word) => word,
        }
    }
}

/// An order as we send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    /// Our id, committed before the request leaves.
    pub client_id: ClientOrderId,
    /// Which symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How many shares; above zero.
    pub qty: Qty,
    /// What kind.
    pub kind: OrderKind,
    /// How long.
    pub time_in_force: TimeInForce,
    /// Whether it may fill outside the regular session.
    pub extended_hours: bool,
    /// What else the broker makes of it.
    #[serde(default)]
    pub class: OrderClass,
}

/// How an order of ours belongs to another one of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// The order that the broker made this leg for, and which exit it is. A leg has an id of ours in our
    /// books only; at the broker it has the broker's.
    pub leg_of: Option<(ClientOrderId, Leg)>,
    /// The order that this one takes the place of.
    pub replaces: Option<ClientOrderId>,
}

/// What a replacement changes of a working order. What is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Shares in all, those already filled included.
    pub qty: Option<Qty>,
    /// The limit price.
    pub limit_price: Option<Price>,
    /// The stop price.
    pub stop_price: Option<Price>,
}

/// An order as the broker reports it. Foreign orders have these too, hence `client_id` is text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerOrder {
    /// The broker's id.
    pub id: BrokerOrderId,
    /// The id its sender chose; ours parses as [`ClientOrderId`].
    pub client_id: String,
    /// Which symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// Shares asked for; `None` for an order by notional.
    pub qty: Option<Qty>,
    /// Shares filled so far, cumulative.
    pub filled_qty: Qty,
    /// Average price of what is filled.
    pub filled_avg_price: Option<Price>,
    /// The limit price, for kinds that have one.
    pub limit_price: Option<Price>,
    /// The stop price, for kinds that have one; that of a trailing stop moves.
    pub stop_price: Option<Price>,
    /// The order that this one took the place of.
    pub replaces: Option<BrokerOrderId>,
    /// The order that took the place of this one.
    pub replaced_by: Option<BrokerOrderId>,
    /// What the broker made besides it, as far as the report shows it.
    pub legs: Vec<BrokerOrder>,
    /// Where it stands.
    pub status: OrderStatus,
    /// When the broker got it.
    pub submitted_at: MarketTime,
    /// When it last changed.
    pub updated_at: MarketTime,
}

impl BrokerOrder {
    /// Our id, if the order is ours.
    pub fn ours(&self) -> Option<ClientOrderId> {
        self.client_id.parse().ok()
    }

    /// Which exit it is, for a leg: only the one that limits the loss has a stop price.
    pub const fn leg(&self) -> Leg {
        if self.stop_price.is_some() { Leg::StopLoss } else { Leg::TakeProfit }
    }
}

/// What a message of the trade-updates stream announces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TradeEvent {
    /// Routed.
    New,
    /// The last shares filled.
    Fill,
    /// Some shares filled.
    PartialFill,
    /// Cancelled.
    Canceled,
    /// Expired.
    Expired,
    /// Rejected.
    Rejected,
    /// Replaced; the update carries the old order.
    Replaced,
    /// Any other word: the order inside says where it stands.
    #[serde(untagged)]
    Other(String),
}

/// One message of the trade-updates stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeUpdate {
    /// What happened.
    pub event: TradeEvent,
    /// Names the execution, for fills.
    pub execution_id: Option<ExecutionId>,
    /// Price of this execution, for fills.
    pub price: Option<Price>,
    /// Shares of this execution only, for fills.
    pub qty: Option<Qty>,
    /// When it happened.
    pub time: MarketTime,
    /// The order after it.
    pub order: BrokerOrder,
}

/// One fill of one order of ours, counted once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The order.
    pub client_id: ClientOrderId,
    /// The broker's id of the execution, or a name derived from the watermark when REST told us of it.
    pub execution_id: ExecutionId,
    /// Which symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// Shares; above zero.
    pub qty: Qty,
    /// Price of these shares.
    pub price: Price,
    /// When.
    pub time: MarketTime,
}

/// What a strategy is told of its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderUpdate {
    /// The strategy's id of the order; of a leg, that of the order it belongs to.
    pub id: StrategyOrderId,
    /// Which exit, when it is about a leg.
    pub leg: Option<Leg>,
    /// Which symbol.
    pub symbol: Symbol,
    /// Where it stands.
    pub status: OrderStatus,
    /// Shares filled so far, cumulative.
    pub filled_qty: Qty,
    /// When.
    pub time: MarketTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_kept() {
        let check = |text: &str, expected: OrderStatus| {
            let json = format!("\"{text}\"");
            let status: OrderStatus = serde_json::from_str(&json).expect(text);
            assert_eq!(status, expected);
            assert_eq!(serde_json::to_string(&status).expect("writes"), json);
        };
        check("pending_new", OrderStatus::PendingNew);
        check("held", OrderStatus::Held);
        check("pending_review", OrderStatus::Other("pending_review".into()));
        assert!(!OrderStatus::Other("pending_review".into()).is_terminal());
    }
}
