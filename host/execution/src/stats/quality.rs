//! How well orders fill, since the start of this life of the host.

use std::time::Duration;

use sandpit_types::Usd;

/// Bounds of the classes of [`Latencies`], milliseconds: fills take from a moment to minutes.
pub const LATENCY_BOUNDS_MS: [u64; 14] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 300_000];

/// What came of orders that had to fill, and what fills cost; `machine/quality.rs` has what counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QualityCounts {
    /// Orders that had to fill, once it is known whether they did in time.
    pub due: u64,
    /// Of these, in time.
    pub in_time: u64,
    /// From the strategy's intent to the whole fill of orders that had to fill, market time.
    pub latency: Latencies,
    /// Fills whose order had a price to be compared with.
    pub fills: u64,
    /// What these traded, price by shares.
    pub traded: Usd,
    /// What these were worse than the middle of the quote when the intent came; better ones count as zero.
    pub slippage: Usd,
    /// Fees, by the broker's activities.
    pub fees: Usd,
    /// Cash at the broker above (or below) what fills and activities make, as long as it is in doubt; `None`
    /// before anything was agreed upon.
    pub unexplained: Option<Usd>,
}

/// A distribution of durations that may be minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// How many there were.
    pub count: u64,
    /// Their sum.
    pub total: Duration,
    /// How many were no longer than each of [`LATENCY_BOUNDS_MS`], and longer than the bound before it.
    classes: [u64; LATENCY_BOUNDS_MS.len()],
}

impl Latencies {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        self.count += 1;
        self.total += took;
        let class = LATENCY_BOUNDS_MS.partition_point(|ms| Duration::from_millis(*ms) < took);
        if let Some(class) = self.classes.get_mut(class) {
            *class += 1;
        }
    }

    /// Each bound, seconds, and how many were no longer.
    pub fn within_secs(&self) -> impl Iterator<Item = (f64, u64)> {
        let sums = self.classes.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        LATENCY_BOUNDS_MS.iter().map(|ms| *ms as f64 / 1e3).zip(sums)
    }
}
