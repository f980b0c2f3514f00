//! Box 4: orders are recorded, sent, tracked, resolved and reconciled. None is lost, none is doubled.
//!
//! The decisions are in `machine`, which is pure: an input and the time go in, actions come out. [`Desk`] is
//! its edge: one loop that waits for an input, a result or a deadline, and starts what the machine asks for.
//! Nothing in that loop waits for disk or network, so a probe is answered even while both are stuck.
//! [`StillDesk`] is the edge of a backtest: no tasks, no store, and time as it is given.
//!
//! What holds whatever happens:
//! - A POST leaves only after its order is committed to the store, and only once.
//! - Every effect of an event follows its record, in order: what a strategy is told has been written before.
//! - An outcome that is unknown is resolved by asking; until then its exposure stays reserved.
//! - An order is over when the broker says so.
#![forbid(unsafe_code)]

mod api;
mod crash;
mod desk;
mod machine;
mod rows;
mod stats;
mod still;

pub use api::{
    Answer, CancelScope, Deed, DeskConfig, DeskEnd, DeskError, DeskInput, DeskOutput, Instruction,
    KnownOrder, Reconciled, Review, introduction,
};
pub use desk::Desk;
pub use stats::{
    DeskCounts, DeskStats, LATENCY_BOUNDS_MS, Latencies, OpenOrder, QualityCounts, Steps, StrategyCounts,
};
pub use still::StillDesk;
