//! The journal: one log of a host's life with everything that happened to each strategy, so that
//! `sandpit replay` runs it again bit for bit.
//!
//! A session is a folder of segments (`0000.journal`, `0001.journal`, …), each a row of checksummed frames.
//! [`Journal`] writes one, [`Reader`] reads it, while it is written too; components lie beside the sessions,
//! each once, under their checksum.
//!
//! ```text
//! STATE/MODE/journal/20261122T143000Z-5f0c9d2e/0000.journal
//!                                             /components       the checksums of those that ran in it
//!                   /components/SHA256.wasm
//! ```
//!
//! What was delivered to a strategy is recorded after its inbox dropped and merged what may be dropped and
//! merged, in the strategy's own strand: there is no cursor into a common sequence that could disagree.

mod archive;
mod disk;
mod error;
mod frame;
mod journal;
mod prune;
mod reader;
mod rerun;
mod room;
mod segments;
mod strand;
mod turns;
mod writer;

pub use archive::{component, keep_component};
pub use error::JournalError;
pub use journal::{Counters, Journal, Settings};
pub use prune::Retention;
pub use reader::{End, Piece, Reader, latest, strategies};
pub use rerun::{Cast, Decision, Life, Lives, Rerun, Stage, decisions};
pub use segments::SEGMENT_BYTES;
pub use strand::{STRAND_BYTES_MAX, Strand, WAITING_BYTES_MAX};
pub use turns::{Difference, Step, Turn, Turns, difference};

/// The format of the log that is written here.
pub const FORMAT: u32 = 1;
