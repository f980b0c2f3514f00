//! What goes wrong, on purpose: rules, scripted in a file or switched at run time, deterministic under the
//! seed. The core (this folder) decides, with time and chance as arguments; the edges (REST middleware, the
//! streams, the venue's switches) do what it says.
//!
//! A rule says what (`kind`), where, how often and when; all but the kind is optional. The rules are asked in
//! the order of the file. At a request the first rule that decides its answer ends the asking, so rules that
//! only slow it down or change what it shows stand before.
//!
//! Each rule draws from a stream of chance of its own, so that a rule more or less does not move the others,
//! nor the ids of the venue. Waits of a request are real time, because clients time out by it; everything
//! else is market time.
//!
//! # The whole of it
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```

mod armed;
mod fields;
mod file;
pub(crate) mod line;
mod reach;
mod rule;

pub use armed::{Armed, Effect, Faults, Hit, MAX_RULES, Plan, Request, Step, TooManyRules, Venue};
pub use file::{FaultsError, from_toml, read};
pub use rule::{
    Deed, HowOften, Kind, MAX_REPLAY, MAX_WAIT_MS, Reading, Rule, Scope, Spread, Stream, Target, When,
};

#[cfg(test)]
mod tests;
