//! What a report is made of.

use std::collections::BTreeMap;

use sandpit_types::{MarketTime, Side, Symbol};
use serde::Serialize;
use serde_json::Value;

use crate::{Curve, Prices};

/// One execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// When.
    pub time: MarketTime,
    /// Of which symbol.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// Shares.
    pub qty: f64,
    /// US dollars a share.
    pub price: f64,
    /// The newest price when the strategy wanted the order: what slippage is measured from.
    pub reference: Option<f64>,
    /// Fees of this execution, US dollars.
    pub fee: f64,
    /// The strategy's id of the order.
    pub order: u64,
}

/// What became of the orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Orders {
    /// Sent to the broker.
    pub sent: u64,
    /// Filled wholly.
    pub filled: u64,
    /// Over, and filled in part.
    pub partly: u64,
    /// Cancelled, or replaced.
    pub cancelled: u64,
    /// Out of time.
    pub expired: u64,
    /// Not taken by the broker.
    pub rejected: u64,
    /// Shares asked for.
    pub asked_qty: f64,
    /// Shares filled.
    pub filled_qty: f64,
}

/// What was run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subject {
    /// The strategy's name.
    pub strategy: String,
    /// Its version, as it says.
    pub version: String,
    /// Checksum of its component, in hexadecimal digits.
    pub sha256: String,
    /// Its parameters.
    pub parameters: Value,
    /// Where the data came from.
    pub data: Vec<String>,
    /// What it traded.
    pub symbols: Vec<Symbol>,
    /// The start.
    pub from: MarketTime,
    /// The end.
    pub to: MarketTime,
    /// Cash at the start, US dollars.
    pub cash: f64,
    /// How true to life the fills were.
    pub realism: String,
    /// What all chance was drawn from.
    pub seed: u64,
    /// Events that were played.
    pub events: u64,
    /// How it ended.
    pub end: String,
    /// Whether all data was played.
    pub is_whole: bool,
    /// Assumptions and warnings.
    pub notes: Vec<String>,
}

/// Everything a report is made of.
#[derive(Clone, Debug)]
pub struct Material {
    /// What was run.
    pub subject: Subject,
    /// The account over time.
    pub curve: Curve,
    /// Prices of each symbol.
    pub prices: Vec<Prices>,
    /// Executions, in order of time.
    pub fills: Vec<Fill>,
    /// All fees, US dollars.
    pub fees_total: f64,
    /// What became of the orders.
    pub orders: Orders,
    /// Orders that the gates did not let pass, by reason.
    pub refusals: BTreeMap<String, u64>,
}

impl Material {
    /// Goes on with what came of the next stretch of time, which began with what this one ended with in cash.
    /// `curve` is that of both.
    pub fn go_on(&mut self, next: Self, curve: Curve) {
        let Self { subject, prices, fills, fees_total, orders, refusals, curve: _ } = next;
        self.subject.to = subject.to;
        self.subject.events += subject.events;
        self.subject.is_whole &= subject.is_whole;
        self.subject.notes.extend(subject.notes);
        self.curve = curve;
        for (own, next) in self.prices.iter_mut().zip(prices) {
            for candle in next.candles() {
                own.push(candle.time, candle.low, candle.high, candle.close);
            }
        }
        self.fills.extend(fills);
        self.fees_total += fees_total;
        self.orders.add(&orders);
        for (reason, count) in refusals {
            *self.refusals.entry(reason).or_default() += count;
        }
    }
}

impl Orders {
    fn add(&mut self, more: &Self) {
        let Self { sent, filled, partly, cancelled, expired, rejected, asked_qty, filled_qty } = more;
        self.sent += sent;
        self.filled += filled;
        self.partly += partly;
        self.cancelled += cancelled;
        self.expired += expired;
        self.rejected += rejected;
        self.asked_qty += asked_qty;
        self.filled_qty += filled_qty;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run of nothing, with 1,000 USD.
    pub(crate) fn empty() -> Material {
        let start = MarketTime::EPOCH;
        let subject = Subject {
            strategy: "s".to_owned(),
            version: "1.0.0".to_owned(),
            sha256: "ab".repeat(32),
            parameters: Value::Null,
            data: Vec::new(),
            symbols: Vec::new(),
            from: start,
            to: start,
            cash: 1_000.0,
            realism: "exact".to_owned(),
            seed: 1,
            events: 0,
            end: "finished".to_owned(),
            is_whole: true,
            notes: Vec::new(),
        };
        let (curve, orders) = (Curve::new(start, 1_000.0), Orders::default());
        let (prices, fills, refusals) = (Vec::new(), Vec::new(), BTreeMap::new());
        Material { subject, curve, prices, fills, fees_total: 0.0, orders, refusals }
    }
}
