//! How true to life fills are, as figures.

use std::time::Duration;

/// What a fill may differ by from the quote it meets, and when requests arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Realism {
    /// Whether the size shown limits a fill.
    pub sizes_count: bool,
    /// Of a hundred eligible fills, so many are a random part.
    pub partial_percent: u32,
    /// Whether the market goes on behind the size shown: each further such block costs one tick more, for
    /// limit orders up to their limit. Otherwise all that a market order takes beyond the size costs one tick
    /// more, and limit orders wait.
    pub walks_the_book: bool,
    /// Least slippage of market orders and elected stops against the client, in basis points.
    pub slippage_min_bp: u32,
    /// Most slippage.
    pub slippage_max_bp: u32,
    /// Least width of a quote that is made from a bar, in basis points; never below one tick.
    pub bar_spread_bp: u32,
    /// Least market time that an order, cancel or replace takes to arrive.
    pub latency_min: Duration,
    /// Most such time.
    pub latency_max: Duration,
    /// Whether sales pay regulatory fees.
    pub has_fees: bool,
}

impl Realism {
    /// No chance, no latency, no fees; sizes count.
    pub const fn exact() -> Self {
        Self {
            sizes_count: true,
            partial_percent: 0,
            walks_the_book: false,
            slippage_min_bp: 0,
            slippage_max_bp: 0,
            bar_spread_bp: 0,
            latency_min: Duration::ZERO,
            latency_max: Duration::ZERO,
            has_fees: false,
        }
    }

    /// Alpaca's paper engine: sizes do not count, one eligible fill in ten is a random part, no slippage, no
    /// latency, no fees (its documents, 2022-2025).
    pub const fn paper() -> Self {
        Self { sizes_count: false, partial_percent: 10, ..Self::exact() }
    }

    /// Nearer to real money: sizes count and the market goes on behind them, market orders slip 1 to 3 basis
    /// points, requests take 20 to 80 ms, sales pay fees.
    pub const fn live() -> Self {
        Self {
            walks_the_book: true,
            slippage_min_bp: 1,
            slippage_max_bp: 3,
            bar_spread_bp: 2,
            latency_min: Duration::from_millis(20),
            latency_max: Duration::from_millis(80),
            has_fees: true,
            ..Self::exact()
        }
    }

    /// Whether a market order may cost more than what is shown and a tick.
    pub(crate) const fn strays(&self) -> bool {
        self.walks_the_book || self.slippage_max_bp > 0
    }

    /// Whether requests take time.
    pub(crate) const fn has_latency(&self) -> bool {
        !self.latency_max.is_zero()
    }
}

impl Default for Realism {
    fn default() -> Self {
        Self::exact()
    }
}
