//! Orders and trade updates.

use sandpit_types::{ExecutionId, OrderStatus, Price, Qty, TradeEvent};
use serde::{Deserialize, Serialize};

use super::{number::decimal, stamp::Stamp};

/// An order as we send it. Decimals go as text; what is `None` is left out.
#[derive(Debug, Serialize)]
pub(crate) struct SubmitWire<'a> {
    pub(crate) symbol: &'a str,
    pub(crate) qty: String,
    pub(crate) side: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) time_in_force: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trail_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trail_percent: Option<String>,
    pub(crate) extended_hours: bool,
    pub(crate) client_order_id: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) order_class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) take_profit: Option<TakeProfitWire>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_loss: Option<StopLossWire>,
}

/// The exit with a profit.
#[derive(Debug, Serialize)]
pub(crate) struct TakeProfitWire {
    pub(crate) limit_price: String,
}

/// The exit with a loss.
#[derive(Debug, Serialize)]
pub(crate) struct StopLossWire {
    pub(crate) stop_price: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_price: Option<String>,
}

/// What of an order is to change; what is `None` stays.
#[derive(Debug, Serialize)]
pub(crate) struct ReplaceWire {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) qty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_price: Option<String>,
    pub(crate) client_order_id: String,
}

/// An order as it comes. Only what we read.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct OrderWire {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) client_order_id: Option<String>,
    #[serde(default)]
    pub(crate) symbol: Option<String>,
    #[serde(default)]
    pub(crate) side: Option<String>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) qty: Option<Qty>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) filled_qty: Option<Qty>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) filled_avg_price: Option<Price>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) limit_price: Option<Price>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) stop_price: Option<Price>,
    #[serde(default)]
    pub(crate) replaces: Option<String>,
    #[serde(default)]
    pub(crate) replaced_by: Option<String>,
    #[serde(default)]
    pub(crate) order_class: Option<String>,
    pub(crate) status: OrderStatus,
    #[serde(default)]
    pub(crate) submitted_at: Option<Stamp>,
    #[serde(default)]
    pub(crate) created_at: Option<Stamp>,
    #[serde(default)]
    pub(crate) updated_at: Option<Stamp>,
    #[serde(default)]
    pub(crate) legs: Option<Vec<OrderWire>>,
}

/// A message of the trade-updates stream, looked at only so far as to know what it is.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamHead {
    pub(crate) stream: String,
}

/// Its payload, read again once the stream is known.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamBody<T> {
    pub(crate) data: T,
}

/// The answer to `auth`.
#[derive(Debug, Deserialize)]
pub(crate) struct Authorization {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) message: Option<String>,
}

/// The answer to `listen`.
#[derive(Debug, Deserialize)]
pub(crate) struct Listening {
    pub(crate) streams: Vec<String>,
}

/// A trade update.
#[derive(Debug, Deserialize)]
pub(crate) struct UpdateWire {
    pub(crate) event: TradeEvent,
    #[serde(default)]
    pub(crate) execution_id: Option<ExecutionId>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) price: Option<Price>,
    #[serde(default, deserialize_with = "decimal")]
    pub(crate) qty: Option<Qty>,
    #[serde(default)]
    pub(crate) timestamp: Option<Stamp>,
    pub(crate) order: OrderWire,
}

/// A trade update, looked at only so far as to know whose order it is.
#[derive(Debug, Deserialize)]
pub(crate) struct OwnerWire {
    pub(crate) order: OwnerOrderWire,
}

/// Its order.
#[derive(Debug, Deserialize)]
pub(crate) struct OwnerOrderWire {
    pub(crate) client_order_id: String,
    #[serde(default)]
    pub(crate) order_class: Option<String>,
}

/// Whether orders of this class belong together with other ones: a leg, too, has the class of its group.
pub(crate) fn is_group(order_class: Option<&str>) -> bool {
    matches!(order_class, Some("bracket" | "oco" | "oto"))
}
