//! The hostile suite: plugins that want to do harm, on the real engine, compiled by a real child process, run
//! by real threads; and a good neighbour beside them, whose latency is measured.
//!
//! The deeds are those of the built plugin `hostile` (`tests/hostile/deeds`), chosen by its parameters. What
//! no compiler would make, such as a forged `describe`, is written as text ([`Forged`]).

mod ambient;
mod beside;
mod built;
mod forge;
mod log;
mod mutate;
mod stage;
mod yard;

pub use ambient::{now, until};
pub use beside::{ADDED_P99_MAX, Beside, Figures};
pub use built::{child, deeds};
pub use forge::{Forged, with_interface};
pub use log::{Logged, listen};
pub use mutate::{Mutation, mutations};
pub use stage::{Live, PATIENCE, Stage};
pub use yard::{Yard, manifest};
