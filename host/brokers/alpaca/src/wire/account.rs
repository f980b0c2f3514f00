//! Account, positions, clock, calendar.

use sandpit_types::{Price, Qty, Usd};
use serde::Deserialize;

use super::{number::decimal, stamp::Stamp};

/// `GET /v2/account`, only what we read. The day-trade fields are gone since 2026-07-06.
#[derive(Debug, Deserialize)]
pub(crate) struct AccountWire {
    #[serde(default)]
    pub(crate) id: Option<String>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) equity: Option<Usd>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) last_equity: Option<Usd>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) cash: Option<Usd>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) buying_power: Option<Usd>,
    #[serde(default)]
    pub(crate) trading_blocked: Option<bool>,
    #[serde(default)]
    pub(crate) account_blocked: Option<bool>,
    #[serde(default)]
    pub(crate) trade_suspended_by_user: Option<bool>,
}

/// One row of `GET /v2/positions`.
#[derive(Debug, Deserialize)]
pub(crate) struct PositionWire {
    pub(crate) symbol: String,
    #[serde(default)]
    pub(crate) side: Option<String>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) qty: Option<Qty>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) qty_available: Option<Qty>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) avg_entry_price: Option<Price>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) current_price: Option<Price>,
}

/// `GET /v2/clock`.
#[derive(Debug, Deserialize)]
pub(crate) struct ClockWire {
    pub(crate) timestamp: Stamp,
    pub(crate) is_open: bool,
    pub(crate) next_open: Stamp,
    pub(crate) next_close: Stamp,
}

/// One row of `GET /v2/calendar`: New York date and times without seconds.
#[derive(Debug, Deserialize)]
pub(crate) struct CalendarWire {
    pub(crate) date: String,
    pub(crate) open: String,
    pub(crate) close: String,
}
