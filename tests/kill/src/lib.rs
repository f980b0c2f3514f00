//! The kill suite: the real broker simulator, watchdog and host on loopback, everything that may go wrong
//! with any of them, and what must hold whatever does.
//!
//! A test is one call of [`scenario`]: a [`Setup`], what is done to the [`Rig`], and what is expected. While
//! it runs, a witness notes what the watchdog says and what the simulator records ([`story`]); in the end
//! [`judge`] reads the story, and finds an order that was sent without a lease, a lease that nobody armed, or
//! a proof of zero that was none. Measurements read the same story ([`Moments`]).
#![forbid(unsafe_code)]

pub mod clock_shift;
mod disk;
mod growth;
pub mod judge;
mod moments;
mod process;
mod rig;
mod scenario;
mod setup;
mod sim;
pub mod story;
mod waiting;

pub use disk::{Disk, Frozen};
pub use moments::Moments;
pub use process::Process;
pub use rig::Rig;
pub use scenario::{Expect, scenario};
pub use setup::{Mode, Scope, Setup};
pub use sim::{HAND, OURS, SYMBOLS, Sim};
pub use waiting::{boot_ms, pass, wait_for};
