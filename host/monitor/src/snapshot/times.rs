//! How long things take.

use serde::Serialize;

/// A step on the way from a market event to the broker's answer, real time: `strategy` from the event's
/// coming to the intents, `decide` to the begin of their record, `record` to its end, `send` to the permit,
/// after which the bytes are written, `answer` to the answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StepFigures {
    /// Which.
    pub step: &'static str,
    /// How long it took.
    pub times: HistogramFigures,
}

/// A distribution of durations.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HistogramFigures {
    /// How many there were.
    pub count: u64,
    /// Their sum.
    pub sum_secs: f64,
    /// Bounds, ascending, and how many were no longer than each.
    pub within_secs: Vec<(f64, u64)>,
}
