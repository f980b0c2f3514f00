//! What host and watchdog must agree on: messages, the arm/kill latch, exit codes. Nothing here does I/O.
//!
//! The two processes share no other code: a fault in the host's half cannot reach the half that stops it.

mod drill;
mod exit;
mod latch;
mod message;
mod status;
mod time;

pub use drill::{
    ALERT_TESTS_FILE, AlertTest, DRILLS_FILE, DrillNote, DrillOutcome, DrillStatus, MAX_DRILL_TEXT,
};
pub use exit::Exit;
pub use latch::{ARMED_FILE, Armed, LATCH_FILE, Latch, LatchError, Layer, Policy};
pub use message::{
    Beat, LoopBeat, MAX_LOOPS, MAX_MESSAGE_BYTES, MessageError, PROTOCOL, ToHost, ToWatchdog, decode, encode,
};
pub use status::{BrokerProof, KillStatus, LimitsStatus, LoopStatus, State, Status, Strain, ToObserver};
pub use time::BootTime;
