//! The vocabulary of the host: time, money, ids, market events, orders, intents.
//!
//! Everything here is plain data. Nothing here reads a clock, draws chance or does I/O.

mod account;
mod activity;
mod binary;
mod ids;
mod intent;
mod kind;
mod market;
mod money;
mod order;
mod pulse;
mod time;
mod times;

pub use account::{Account, Clock, Position, SessionDay};
pub use activity::{Activity, Deed};
pub use ids::{
    BrokerOrderId, ClientOrderId, ExecutionId, HostEpoch, IdError, OrderKey, StrategyName, StrategyOrderId,
    Symbol,
};
pub use intent::{Intent, Refusal, Replace, Reprice, Signal, Submit};
pub use kind::{Exit, Leg, OrderClass, OrderKind, StopLoss, Trail};
pub use market::{Bar, BarMark, MarketEvent, News, Quote, StreamHealth, Trade};
pub use money::{MoneyError, Price, Qty, Usd};
pub use order::{
    BrokerOrder, Change, Fill, Links, OrderRequest, OrderStatus, OrderUpdate, Side, TimeInForce, TradeEvent,
    TradeUpdate,
};
#[cfg(debug_assertions)]
pub use pulse::Halt;
pub use pulse::Pulse;
pub use time::{MarketClock, MarketTime, TimeError};
pub use times::{TIMES_BOUNDS_US, Times};
