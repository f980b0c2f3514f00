//! What an operator does before and around trading: `sandpit setup`, `sandpit doctor`, `sandpit golive`.
//!
//! These are commands of a human, each in a process of its own. They read files, ask the broker four
//! questions (`ask.rs`, GET only, never from a host that trades) and start other programs with a bound on
//! each (`child.rs`). Nothing here can place an order. What is never printed, logged or put on a command
//! line is a key.

mod ask;
mod child;
pub mod docs;
pub mod doctor;
mod files;
pub mod golive;
mod keys;
mod place;
pub mod setup;
mod times;
mod write;

use std::{collections::BTreeMap, fmt, io};

pub use place::{PlaceArgs, program};
use sandpit_contract::Exit;

/// What of the world these commands may read, handed in by the binary: this crate reads no clock and draws no
/// chance of its own.
#[derive(Clone)]
pub struct World {
    /// The wall clock, Unix seconds.
    pub now_unix_s: fn() -> u64,
    /// Fills a buffer with fresh randomness.
    pub random: fn(&mut [u8]) -> io::Result<()>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The operator's name, as far as the environment tells.
    pub operator: String,
}

/// Why a command did not do what it was asked for: one sentence and an exit code.
#[derive(Debug)]
pub struct Failure {
    /// What the process ends with.
    pub exit: Exit,
    /// What is wrong, where, and what to do.
    pub sentence: String,
}

impl Failure {
    /// Says `sentence`.
    pub fn new(exit: Exit, sentence: impl fmt::Display) -> Self {
        Self { exit, sentence: sentence.to_string() }
    }
}
