//! What the rules need besides the usual figures, and what they have come to.

use serde::Serialize;

use crate::{
    HistogramFigures,
    rules::{AnswerCounts, CostCounts, FillCounts},
};

/// How well the broker answers and orders fill. `None` is "not known".
#[derive(Clone, Debug, Default, Serialize)]
pub struct QualityFigures {
    /// Answers of the broker's to requests over REST, since the start.
    pub answered: Option<AnswerCounts>,
    /// Orders that had to fill, since the start.
    pub fills: Option<FillCounts>,
    /// From a strategy's signal to the whole fill of orders that had to fill, market time.
    pub fill_latency: Option<HistogramFigures>,
    /// What fills cost, since the start.
    pub costs: Option<CostCounts>,
    /// Cash at the broker that the books do not explain, US dollars of either sign.
    pub unexplained_usd: Option<f64>,
    /// What the memory of the host is limited to, bytes.
    pub memory_limit_bytes: Option<u64>,
}

/// One series of a signal that fires.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AlertFigures {
    /// The signal.
    pub name: String,
    /// Which of its series: each label and its value; empty when it has only one.
    pub labels: Vec<(String, String)>,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// What the host does by itself meanwhile: `tell`, `stop-entries` or `freeze`.
    pub action: String,
    /// When it began to fire, Unix seconds.
    pub since_unix_s: u64,
    /// Value, threshold and what is usual, of that moment.
    pub sentence: String,
    /// What a human does.
    pub to_do: String,
}
