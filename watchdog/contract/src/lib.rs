//! What host and watchdog must agree on: messages, the arm/kill latch, exit codes, the words for the service
//! manager and for the journal. Nothing here does I/O.
//!
//! The two processes share no other code: a fault in the host's half cannot reach the half that stops it.

mod alarm;
mod drill;
mod event;
mod exit;
mod journal;
mod latch;
mod manager;
mod message;
mod status;
mod time;

pub use alarm::{Alarm, AlarmSeverity, AlarmStanding, MAX_ALARM_KEY, MAX_ALARM_TEXT};
pub use drill::{
    ALERT_TESTS_FILE, AlertTest, DRILLS_FILE, DrillNote, DrillOutcome, DrillStatus, MAX_DRILL_TEXT,
};
pub use event::Event;
pub use exit::Exit;
pub use journal::{
    JOURNAL_SOCKET, JournalEntry, MAX_ENTRY_BYTES, MAX_FIELD_TEXT, MAX_MESSAGE_TEXT, is_journal,
};
pub use latch::{ARMED_FILE, Armed, LATCH_FILE, Latch, LatchError, Layer, Policy};
pub use manager::{Datagram, MANAGER_VARIABLES, ManagerAddress, ToManager, ping_every};
pub use message::{
    Beat, LoopBeat, MAX_LOOPS, MAX_MESSAGE_BYTES, MessageError, OLDEST_PROTOCOL, PROTOCOL, ToHost,
    ToWatchdog, decode, encode,
};
pub use status::{BrokerProof, KillStatus, LimitsStatus, LoopStatus, State, Status, Strain, ToObserver};
pub use time::BootTime;
