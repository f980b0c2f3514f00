//! The account as the broker reports it.

use serde::{Deserialize, Serialize};

use crate::{MarketTime, Price, Qty, Symbol, Usd};

/// Money and permissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The broker's id of it, which no other account has.
    pub id: String,
    /// Cash plus market values.
    pub equity: Usd,
    /// Equity at the close of the day before.
    pub last_equity: Usd,
    /// Cash.
    pub cash: Usd,
    /// What may still be bought.
    pub buying_power: Usd,
    /// Whether the broker takes no orders, by its will or ours.
    pub trading_blocked: bool,
}

/// What the account holds of one symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which symbol.
    pub symbol: Symbol,
    /// Shares; negative when short.
    pub qty: Qty,
    /// Shares not reserved by open orders, with the position's sign.
    pub qty_available: Qty,
    /// Average price paid.
    pub avg_entry_price: Price,
    /// What it is worth now; `None` at odd hours.
    pub current_price: Option<Price>,
}

/// The exchange's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Market time now.
    pub now: MarketTime,
    /// Whether the regular session is open.
    pub is_open: bool,
    /// When it opens next.
    pub next_open: MarketTime,
    /// When it closes next.
    pub next_close: MarketTime,
}

/// The regular session of one trading day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDay {
    /// First moment.
    pub open: MarketTime,
    /// Last moment.
    pub close: MarketTime,
}
