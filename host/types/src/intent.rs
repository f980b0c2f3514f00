//! What strategies want, and why they may be refused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Change, MarketTime, OrderClass, OrderKind, Price, Qty, Side, StrategyOrderId, Symbol, TimeInForce,
};

/// One thing a strategy wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Send an order.
    Submit(Submit),
    /// Put another order in the place of a working one.
    Replace(Replace),
    /// Leave a symbol: cancel the strategy's orders in it, and sell or buy back what its sub-book holds then.
    ClosePosition {
        /// The strategy's id for the order that leaves.
        id: StrategyOrderId,
        /// Which symbol.
        symbol: Symbol,
    },
    /// Cancel one order of its own.
    Cancel(StrategyOrderId),
    /// Cancel all orders of its own.
    CancelAll,
    /// Wake me at this time.
    SetTimer {
        /// The strategy's name for the timer; setting it again moves it.
        id: u64,
        /// When, in market time.
        at: MarketTime,
    },
    /// Forget a timer.
    CancelTimer(u64),
    /// Record a decision with its reason.
    Signal(Signal),
}

/// An order a strategy wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// The strategy's id for it.
    pub id: StrategyOrderId,
    /// Which symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How many shares.
    pub qty: Qty,
    /// What kind.
    pub kind: OrderKind,
    /// How long it stays at the broker.
    pub time_in_force: TimeInForce,
    /// Whether it may fill outside the regular session.
    pub extended_hours: bool,
    /// How long it may wait in our own queue, market time; then it is refused as late, not sent.
    pub time_to_live: Duration,
    /// What else the broker makes of it.
    pub class: OrderClass,
    /// Whether its limit price follows the market while it waits in our own queue. Only limit orders have
    /// one.
    pub reprice: Option<Reprice>,
}

/// When an order that waited leaves, its limit price is the far side of the quote of that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reprice {
    /// But never worse than this.
    pub worst: Price,
}

/// An order that takes the place of a working one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replace {
    /// The strategy's id of the working order.
    pub id: StrategyOrderId,
    /// The strategy's id for the order that takes its place.
    pub new_id: StrategyOrderId,
    /// What changes.
    pub change: Change,
    /// How long it may wait in our own queue, market time.
    pub time_to_live: Duration,
}

/// A recorded decision, for post-mortems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Which symbol, if one.
    pub symbol: Option<Symbol>,
    /// What the strategy decided and why; at most 1 KiB.
    pub reason: String,
}

/// Why a strategy's order was not sent. The name goes to the strategy, the database and the metrics.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Not a positive quantity of at most nine decimals, or absurdly large.
    #[error("bad-quantity")]
    BadQuantity,
    /// Not a positive price.
    #[error("bad-price")]
    BadPrice,
    /// A price between two ticks.
    #[error("off-tick")]
    OffTick,
    /// Not one of the strategy's instruments.
    #[error("unknown-instrument")]
    UnknownInstrument,
    /// The same id was used before: the order already exists.
    #[error("duplicate-id")]
    DuplicateId,
    /// No order of the strategy has this id, or it is done.
    #[error("unknown-order")]
    UnknownOrder,
    /// Another strategy owns the symbol.
    #[error("not-owner")]
    NotOwner,
    /// Trading is frozen; only risk-reducing orders pass.
    #[error("frozen")]
    Frozen,
    /// An operator has paused the strategy; only its risk-reducing orders pass.
    #[error("paused")]
    Paused,
    /// A signal of the host's rules stops entries for now; only risk-reducing orders pass.
    #[error("entries-stopped")]
    EntriesStopped,
    /// There is no valid lease from the watchdog.
    #[error("no-lease")]
    NoLease,
    /// The books are not reconciled with the broker yet.
    #[error("not-reconciled")]
    NotReconciled,
    /// The order stream is down: a fill would not be seen.
    #[error("order-stream-down")]
    OrderStreamDown,
    /// The session is closed and the order is not for extended hours.
    #[error("session-closed")]
    SessionClosed,
    /// There is no fresh price for the symbol.
    #[error("stale-data")]
    StaleData,
    /// The limit price is too far from the market.
    #[error("price-collar")]
    PriceCollar,
    /// The order is larger than one order may be.
    #[error("order-notional")]
    OrderNotional,
    /// The position would exceed its share of the capital.
    #[error("position-limit")]
    PositionLimit,
    /// All positions together would exceed their limit.
    #[error("gross-exposure")]
    GrossExposure,
    /// The broker's buying power does not cover it.
    #[error("buying-power")]
    BuyingPower,
    /// It would sell more than is held, and shorting is off.
    #[error("short-not-allowed")]
    ShortNotAllowed,
    /// It would meet an order of ours on the other side.
    #[error("self-cross")]
    SelfCross,
    /// Too many orders in too short a time.
    #[error("order-rate")]
    OrderRate,
    /// Too many open orders.
    #[error("open-orders")]
    OpenOrders,
    /// It waited longer than its time to live.
    #[error("late")]
    Late,
    /// A combination of kind, class, time in force and hours that the broker does not take.
    #[error("unsupported-order")]
    UnsupportedOrder,
    /// Its order cannot be replaced now: it is not working, or has filled too far.
    #[error("not-replaceable")]
    NotReplaceable,
    /// There is no position to close.
    #[error("no-position")]
    NoPosition,
    /// It would be one day trade too many (only where the broker still counts them).
    #[error("day-trades")]
    DayTrades,
    /// The strategy is leaving the symbol: its other orders there are being cancelled.
    #[error("closing")]
    Closing,
    /// The record could not be written, so nothing was sent.
    #[error("not-recorded")]
    NotRecorded,
}
