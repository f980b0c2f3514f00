//! Figures for metrics and the live view.

use std::time::Duration;

use sandpit_types::MarketTime;

use super::{
    quota::Unit,
    request::{Priority, QueueError},
};

/// Upper bounds of the histogram of waits, milliseconds of market time; a last one without bound follows.
pub const WAIT_BUCKETS_MS: [u64; 9] = [1, 10, 100, 500, 2_000, 10_000, 30_000, 60_000, 120_000];

/// How long the requests of one priority waited until they were let out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Requests let out.
    pub count: u64,
    /// Of these, how many did not go at once.
    pub delayed: u64,
    /// How long they waited in all, market time.
    pub sum: Duration,
    /// How many waited no longer than each of [`WAIT_BUCKETS_MS`].
    pub within: [u64; WAIT_BUCKETS_MS.len()],
}

impl Waits {
    pub(super) fn note(&mut self, waited: Duration) {
        self.count += 1;
        self.delayed += u64::from(waited > Duration::ZERO);
        self.sum = self.sum.saturating_add(waited);
        for (count, bound) in self.within.iter_mut().zip(WAIT_BUCKETS_MS) {
            *count += u64::from(waited <= Duration::from_millis(bound));
        }
    }
}

/// How full one window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowUsage {
    /// What is counted.
    pub unit: Unit,
    /// The length of the window.
    pub span: Duration,
    /// What went out within the span that ends now.
    pub used: u64,
    /// What may.
    pub limit: u64,
}

/// Counts since the start. Arrays go by priority, the most urgent first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests let out and how long they waited.
    pub waits: [Waits; 4],
    /// Requests that waited until their deadline.
    pub late: [u64; 4],
    /// Requests refused because the queue was full.
    pub full: [u64; 4],
    /// Requests refused because they cost more than a window holds.
    pub too_large: u64,
    /// Answers of the broker that asked to pause.
    pub pauses: u64,
}

impl Tally {
    pub(super) fn not_taken(&mut self, priority: Priority, error: QueueError) -> QueueError {
        match error {
            QueueError::Full { .. } => self.full[priority.rank()] += 1,
            QueueError::TooLarge { .. } => self.too_large += 1,
        }
        error
    }
}

/// A limiter at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// One entry a window, in the order of the quota.
    pub windows: Vec<WindowUsage>,
    /// Requests that wait, by priority, the most urgent first.
    pub waiting: [usize; 4],
    /// Counts since the start.
    pub tally: Tally,
    /// What the broker last said remains, less what went out since and what is left to others; `None` when
    /// it says nothing or its word is over.
    pub broker_left: Option<u64>,
    /// End of the pause under way.
    pub paused_until: Option<MarketTime>,
}

impl Usage {
    /// Requests let out since the start.
    pub fn granted(&self) -> u64 {
        self.tally.waits.iter().map(|waits| waits.count).sum()
    }
}
