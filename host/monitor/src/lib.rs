//! Box 5: what the host shows of itself. `/health`, `/metrics` and `/status` on one port, from one
//! [`Snapshot`].
//!
//! It reads; it never decides and never touches an order.

mod alerts;
mod health;
mod http;
mod metrics;
mod panel;
pub mod rules;
mod snapshot;

pub use alerts::{AlertFigures, QualityFigures};
pub use http::{Monitor, Source};
pub use panel::{
    AuditLine, Clock, Deeds, Denied, EquityPoint, Fence, History, PanelParts, PanicStep, Promise,
};
pub use snapshot::{
    BudgetFigures, DataFigures, HistogramFigures, HoldingFigures, JournalFigures, LatencyFigures,
    LoopFigures, OpenOrderFigures, OrderFigures, PositionFigures, PriorityFigures, RecordFigures,
    RefusedFigures, SequenceFigures, Snapshot, StepFigures, StrategyFigures, StreamFigures, WindowFigures,
};
