//! How well the broker answers and orders fill.

use sandpit_execution::DeskCounts;
use sandpit_monitor::{
    HistogramFigures, QualityFigures,
    rules::{AnswerCounts, CostCounts, FillCounts},
};
use sandpit_types::Usd;

use super::Running;

/// The figures; before the books are reconciled only what needs none.
pub(super) fn quality(
    running: Option<&Running>,
    desk: &DeskCounts,
    memory_limit_bytes: Option<u64>,
) -> QualityFigures {
    let Some(running) = running else {
        return QualityFigures { memory_limit_bytes, ..QualityFigures::default() };
    };
    let (answered, own) = (running.alpaca.answered(), &desk.quality);
    QualityFigures {
        answered: Some(AnswerCounts {
            all: answered.all,
            errors_4xx: answered.errors_4xx,
            errors_5xx: answered.errors_5xx,
            unauthorised: answered.unauthorised,
        }),
        fills: Some(FillCounts { due: own.due, in_time: own.in_time }),
        fill_latency: Some(HistogramFigures {
            count: own.latency.count,
            sum_secs: own.latency.total.as_secs_f64(),
            within_secs: own.latency.within_secs().collect(),
        }),
        costs: Some(CostCounts {
            fills: own.fills,
            traded_usd: own.traded.to_f64(),
            slippage_usd: own.slippage.to_f64(),
            fees_usd: own.fees.to_f64(),
        }),
        unexplained_usd: own.unexplained.map(Usd::to_f64),
        memory_limit_bytes,
    }
}
