//! Activities.

use sandpit_types::{BrokerOrderId, MarketTime, Price, Qty, Symbol, Usd};
use serde::Serialize;

use super::{Text, clock::NewYork};
use crate::trading::activities::{Activity, What};

/// An activity object: executions and all others have different fields.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum ActivityJson<'a> {
    Fill(FillJson<'a>),
    Fee(FeeJson<'a>),
}

#[derive(Serialize)]
pub(crate) struct FillJson<'a> {
    id: String,
    activity_type: &'static str,
    transaction_time: MarketTime,
    #[serde(rename = "type")]
    kind: &'static str,
    price: Text<Price>,
    qty: Text<Qty>,
    side: &'static str,
    symbol: &'a Symbol,
    leaves_qty: Text<Qty>,
    cum_qty: Text<Qty>,
    order_id: &'a BrokerOrderId,
    order_status: &'static str,
}

#[derive(Serialize)]
pub(crate) struct FeeJson<'a> {
    id: String,
    activity_type: &'static str,
    activity_sub_type: &'static str,
    date: String,
    net_amount: Text<Usd>,
    description: &'a str,
    status: &'static str,
    created_at: MarketTime,
    currency: &'static str,
}

impl<'a> ActivityJson<'a> {
    pub(crate) fn new(activity: &'a Activity, new_york: &NewYork) -> Self {
        // Seventeen digits, down to the millisecond, as New York reads them.
        let id = format!("{}::{}", new_york.clock(activity.at, "%Y%m%d%H%M%S%3f"), activity.uuid);
        let activity_type = activity.kind();
        match &activity.what {
            What::Fill(fill) => Self::Fill(FillJson {
                id,
                activity_type,
                transaction_time: activity.at,
                kind: if fill.leaves.is_zero() { "fill" } else { "partial_fill" },
                price: Text(fill.price),
                qty: Text(fill.qty),
                side: fill.side.as_str(),
                symbol: &fill.symbol,
                leaves_qty: Text(fill.leaves),
                cum_qty: Text(fill.filled),
                order_id: &fill.order,
                order_status: fill.status.as_str(),
            }),
            What::Fee(fee) => Self::Fee(FeeJson {
                id,
                activity_type,
                activity_sub_type: fee.kind,
                date: fee.date.to_string(),
                net_amount: Text(-fee.amount),
                description: &fee.description,
                status: "executed",
                created_at: activity.at,
                currency: "USD",
            }),
        }
    }
}
