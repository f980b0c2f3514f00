//! Behind the size shown the market goes on, block by block, a tick worse each.

use rust_decimal::{Decimal, prelude::ToPrimitive};
use sandpit_types::{Price, Qty, Side};

use super::{Venue, admit::crosses, matching::ticks_worse};
use crate::{
    account::decimal,
    book::{Level, Resting},
};

/// Blocks that an order walks through; behind them the rest of a market order costs what the last one cost.
const MAX_BLOCKS: u32 = 50;
const LAST_BLOCK: u32 = MAX_BLOCKS - 1;
/// Size of a block when no size is shown.
const UNSHOWN: Decimal = decimal(100, 0);

/// Where the orders of one side stand in the market behind a quote.
struct Place {
    block: Decimal,
    /// Ticks from the quote.
    ticks: u32,
    /// What is left of this block.
    left: Qty,
}

impl Place {
    fn new(shown: Qty, taken: Qty) -> Self {
        let (block, first) = if shown.is_positive() { (shown.get(), 0) } else { (UNSHOWN, 1) };
        let passed = (taken.get() / block).trunc();
        let left = block * (passed + Decimal::ONE) - taken.get();
        let ticks = first + passed.to_u32().unwrap_or(MAX_BLOCKS);
        Self { block, ticks: ticks.min(MAX_BLOCKS), left: Qty::new(left) }
    }

    const fn is_last(&self) -> bool {
        self.ticks >= LAST_BLOCK
    }
}

impl Venue {
    /// An order takes block after block, within its limit. Returns whether something filled.
    pub(super) fn walk(
        &mut self,
        symbol: usize,
        side: Side,
        resting: Resting,
        level: Level,
        is_all_or_none: bool,
    ) -> bool {
        let remaining = self.entry(resting.ix).order.remaining();
        let (shown, taken) = self.books[symbol].shown_and_taken(side);
        let mut place = Place::new(shown, taken);
        if is_all_or_none && within_limit(&place, side, resting.limit, level.price) < remaining {
            return false;
        }
        let mut has_filled = false;
        let slip = self.slipped(side, resting, level.price) - level.price;
        loop {
            let quoted = ticks_worse(side, level.price, place.ticks.min(LAST_BLOCK));
            let is_beyond = resting.limit.is_some_and(|limit| !crosses(side, limit, quoted));
            let remaining = self.entry(resting.ix).order.remaining();
            if is_beyond || remaining.is_zero() || (place.ticks > LAST_BLOCK && resting.limit.is_some()) {
                return has_filled;
            }
            let qty = if place.is_last() && resting.limit.is_none() {
                remaining
            } else {
                remaining.min(place.left)
            };
            let price = with_slip(side, quoted, slip, resting.limit);
            self.books[symbol].take(side, qty);
            self.fill(resting.ix, qty, price);
            has_filled = true;
            place = Place { ticks: place.ticks + 1, left: Qty::new(place.block), ..place };
        }
    }
}

/// The price of a block, slipped as the first one, never through the limit.
fn with_slip(side: Side, quoted: Price, slip: Price, limit: Option<Price>) -> Price {
    let price = (quoted + slip).max(super::matching::LEAST_PRICE);
    match (side, limit) {
        (Side::Buy, Some(limit)) => price.min(limit),
        (Side::Sell, Some(limit)) => price.max(limit),
        (Side::Buy | Side::Sell, None) => price,
    }
}

/// Shares to be had within a limit; without one, as many as anybody wants.
fn within_limit(place: &Place, side: Side, limit: Option<Price>, price: Price) -> Qty {
    let Some(limit) = limit else { return Qty::new(Decimal::MAX) };
    let blocks = (place.ticks..MAX_BLOCKS)
        .take_while(|&ticks| crosses(side, limit, ticks_worse(side, price, ticks)))
        .count();
    match blocks {
        0 => Qty::ZERO,
        blocks => place.left + Qty::new(place.block * Decimal::from(blocks - 1)),
    }
}
