//! How much of an order is filled, counted once whatever the number of sources.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use sandpit_types::{ClientOrderId, ExecutionId, MarketTime, Price, Qty, Usd};

/// Decimals of a price that we derive: the resolution at which prices cross to strategies.
const DERIVED_PRICE_DECIMALS: u32 = 9;

/// One execution as the stream announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The broker's id of it.
    pub id: ExecutionId,
    /// Shares of this execution only; above zero.
    pub qty: Qty,
    /// Its price; above zero.
    pub price: Price,
    /// When.
    pub time: MarketTime,
}

/// A part of an order that was not counted before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) execution_id: ExecutionId,
    pub(super) qty: Qty,
    pub(super) price: Price,
    pub(super) time: MarketTime,
}

/// What one report says of an order's fills.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    /// The execution that it names, if one.
    pub(super) execution: Option<&'a Execution>,
    /// Shares of this order filled in all.
    pub(super) total: Qty,
    /// Shares in the report that orders filled of which this one took the place...
    pub(super) before: Qty,
    /// ...and shares times price of them.
    pub(super) value_before: Usd,
    /// Average price of all shares in the report.
    pub(super) average: Option<Price>,
    /// The price of shares that the average does not explain.
    pub(super) fallback: Option<Price>,
    /// When the report was true.
    pub(super) time: MarketTime,
}

/// The cumulative watermark of one order. It only rises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    qty: Qty,
    notional: Usd,
    /// Bounded by the broker: executions of one order.
    seen: BTreeSet<ExecutionId>,
}

impl Filled {
    /// As it was stored.
    pub fn restore(qty: Qty, notional: Usd, seen: BTreeSet<ExecutionId>) -> Self {
        Self { qty, notional, seen }
    }

    /// Shares filled so far.
    pub const fn qty(&self) -> Qty {
        self.qty
    }

    /// Shares times price, summed over what is filled.
    pub const fn notional(&self) -> Usd {
        self.notional
    }

    /// Whether this execution is in the watermark by its own name.
    pub fn has_counted(&self, id: &ExecutionId) -> bool {
        self.seen.contains(id)
    }

    /// Raises the watermark to what `reading` says and returns the parts that are new: at most the execution
    /// itself and before it what was missed. `None` when the broker reports fills of which no price is known:
    /// nothing changes, and a later snapshot has to bring it.
    pub(super) fn advance(&mut self, id: &ClientOrderId, reading: &Reading<'_>) -> Option<Vec<Piece>> {
        let execution = reading.execution.filter(|execution| !self.seen.contains(&execution.id));
        // An order that claims less than its own execution is older than it.
        let total = execution.map_or(reading.total, |execution| reading.total.max(execution.qty));
        let new = total - self.qty;
        if !new.is_positive() {
            // What it executed was counted from another source.
            self.seen.extend(execution.map(|execution| execution.id.clone()));
            return Some(Vec::new());
        }
        let own = execution.map_or(Qty::ZERO, |execution| execution.qty.min(new));
        let own_value = execution.map_or(Usd::ZERO, |execution| execution.price * own);
        let missed = new - own;
        let mut pieces = Vec::with_capacity(2);
        if missed.is_positive() {
            let value =
                reading.average.map(|average| average * (total + reading.before) - reading.value_before);
            let price = value
                .and_then(|value| price_of(missed, value - self.notional - own_value))
                .or(reading.fallback)?;
            let execution_id = ExecutionId::new(format!("rest-{id}-{}", self.qty + missed));
            pieces.push(Piece { execution_id, qty: missed, price, time: reading.time });
        }
        if let Some(execution) = execution {
            let execution_id = execution.id.clone();
            pieces.push(Piece { execution_id, qty: own, price: execution.price, time: execution.time });
        }
        for piece in &pieces {
            self.qty += piece.qty;
            self.notional += piece.price * piece.qty;
            self.seen.insert(piece.execution_id.clone());
        }
        Some(pieces)
    }
}

/// The price at which `missed` shares are worth `value`: that makes the order's average come true.
fn price_of(missed: Qty, value: Usd) -> Option<Price> {
    let price = value.get().checked_div(missed.get())?.round_dp(DERIVED_PRICE_DECIMALS);
    // The broker rounds averages, so a tiny remainder can come out at nonsense.
    (price > Decimal::ZERO).then(|| Price::new(price.normalize()))
}
