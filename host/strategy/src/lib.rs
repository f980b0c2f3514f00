//! Box 2: WASM strategies, loaded, checked, run and bounded.
//!
//! A strategy is a function of what it is told. This crate compiles it in a child process ([`Compiler`]),
//! runs it in a store and a thread of its own ([`Runner`]), feeds it events through a queue that never holds
//! up the feeder ([`Inbox`]), and turns what it wants into intents ([`StrategyOutput`]). A strategy that
//! traps, loops or takes too much is struck, restarted, and in the end quarantined; nobody else notices.
//!
//! Nothing of the WASM engine leaves the crate. A failed store is never used again.

mod bindings;
mod book;
mod bounds;
mod cache;
mod check;
mod compile;
mod deadline;
mod engine;
mod error;
mod event;
mod guest;
mod host;
mod inbox;
mod inline;
mod judge;
mod manifest;
mod plugin;
mod queue;
mod record;
mod replay;
mod runner;
mod session;
mod snapshot;
mod strikes;
mod timers;
mod translate;
mod trial;
mod trust;

pub use bounds::{
    Bounds, HISTORY_BARS, INSTRUMENTS_MAX, KEPT_EVENTS_MAX, OPEN_ORDERS_MAX, Rounding, SNAPSHOT_EVERY,
    STATE_BYTES_MAX, TEXT_BYTES, TIMERS_MAX,
};
pub use cache::{CACHE_ENTRIES_MAX, COMPILE_MEMORY_BYTES, COMPILE_PROCESSOR_TIME, COMPILE_TIMEOUT, Compiler};
pub use check::INTERFACE_VERSION;
pub use compile::{PLUGIN_BYTES_MAX, compile_file, compile_metered};
pub use engine::Engine;
pub use error::{Failure, PluginError};
pub use event::{StrategyEvent, StrategyOutput};
pub use inbox::Inbox;
pub use inline::Inline;
pub use judge::judge;
pub use manifest::{Limits, Manifest, OnRemoval};
pub use plugin::{Description, PLUGINS_MAX, Plugin, Wants};
pub use queue::{CONFLATE_ABOVE, NEWS_WAITING_MAX, Next, Seat, WAITING_MAX};
pub use record::{Birth, Entry, EntryRef, LogLevel, Recorder};
pub use replay::Replay;
pub use runner::Runner;
pub use session::{Candidate, Start};
pub use snapshot::Snapshot;
pub use trial::{Step, Trial};
pub use trust::{Trust, TrustError};

#[cfg(test)]
mod tests;
