//! The past through the strategy, the gates, the desk and the venue of a host.
//!
//! Nothing is re-implemented for history: the component is the one that trades, [`sandpit_strategy::Inline`]
//! runs it as a host's session would, the gates and the desk's machine are the host's, and orders are filled
//! by the venue of a dry run. What is left for this crate is the order in which things happen, on one thread
//! and in virtual time ([`run`]), and what is written down for the report.
//!
//! A strategy sees only what was delivered: an event is told at the moment at which it is known (a bar at the
//! end of its minute), everything that falls due before is done first, and data that goes back in time ends
//! the run. The order of one moment: the venue sees the market; the bell, and what falls due; the strategy
//! sees the market; then what became of its orders; then what it wants.
#![forbid(unsafe_code)]

mod bells;
mod clock;
mod error;
mod marks;
mod outside;
mod past;
mod record;
mod run;
mod settings;
mod stage;
mod sweep;
mod walk;

pub use error::BacktestError;
pub use run::{Progress, run};
pub use settings::{End, Outcome, Settings};
pub use sweep::{Axis, Open, VARIANTS_MAX, sweep, value, variants};
pub use walk::{Choose, Step, Walk, Walked, Window, walk_forward};
