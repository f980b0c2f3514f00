//! The request budgets.

use serde::Serialize;

use super::HistogramFigures;

/// One request budget.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BudgetFigures {
    /// `trading`, `data` or the name of a source of the configuration.
    pub name: String,
    /// What went out within the first window, which is the shortest.
    pub used: u64,
    /// How much the first window may hold.
    pub limit: u64,
    /// Every window.
    pub windows: Vec<WindowFigures>,
    /// Requests waiting.
    pub queued: u64,
    /// Requests let out since the start.
    pub requests: u64,
    /// The same by priority, the most urgent first.
    pub priorities: Vec<PriorityFigures>,
    /// Requests not taken because they cost more than a window holds.
    pub too_large: u64,
    /// Times the broker answered 429.
    pub http_429: u64,
    /// What the broker says remains and is ours; `None` while it says nothing.
    pub broker_left: Option<u64>,
    /// How long the pause after a 429 still lasts, seconds of market time; zero when there is none.
    pub pause_secs_left: f64,
}

/// One window of a budget.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WindowFigures {
    /// `requests` or `tokens`.
    pub unit: String,
    /// Its length, market time.
    pub span_secs: u64,
    /// What went out within the span that ends now.
    pub used: u64,
    /// How much it may hold.
    pub limit: u64,
}

/// The requests of one priority.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PriorityFigures {
    /// `cancel`, `reduce`, `enter` or `poll`.
    pub priority: String,
    /// Requests waiting.
    pub queued: u64,
    /// How long requests waited until they were let out, market time.
    pub waits: HistogramFigures,
    /// Of these, how many did not go at once.
    pub delayed: u64,
    /// Requests that waited until their deadline.
    pub late: u64,
    /// Requests not taken because the queue was full.
    pub full: u64,
}
