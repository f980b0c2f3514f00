//! `GET /v2/account/activities`.

use sandpit_types::{Price, Qty, Usd};
use serde::Deserialize;

use super::{number::decimal, stamp::Stamp};

/// What of a row the next page begins after, and what names the row in a message: read even if the rest of it
/// cannot be.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ActivityHead {
    #[serde(default)]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) activity_type: Option<String>,
}

/// A row; an execution and everything else have different fields.
#[derive(Debug, Deserialize)]
pub(crate) struct ActivityWire {
    pub(crate) id: String,
    pub(crate) activity_type: String,
    #[serde(default)]
    pub(crate) transaction_time: Option<Stamp>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) price: Option<Price>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) qty: Option<Qty>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) cum_qty: Option<Qty>,
    #[serde(default)]
    pub(crate) side: Option<String>,
    #[serde(default)]
    pub(crate) symbol: Option<String>,
    #[serde(default)]
    pub(crate) order_id: Option<String>,
    /// A New York date.
    #[serde(default)]
    pub(crate) date: Option<String>,
    /// When a row that is no execution was booked. Kept as text: a strange stamp must not cost a row that
    /// moves money.
    #[serde(default)]
    pub(crate) created_at: Option<String>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) net_amount: Option<Usd>,
    /// Kept as it is written, for the same reason.
    #[serde(default)]
    pub(crate) per_share_amount: Option<serde_json::Value>,
    #[serde(default)]
    pub(crate) status: Option<String>,
}
