//! An Alpaca-compatible broker for tests and demonstrations: REST and WebSocket on one port, over the pure
//! matching engine of `sandpit-venue`, fed by files of real data or by a seeded generator.
//!
//! ```text
//!  files / generator ─> feed ─> engine (venue + history) ─> streams
//!                                  ^
//!                 REST ────────────┘   one lock; time is read under it
//! ```
//!
//! Nothing here reads a clock: the program hands in the real time since its start, and the schedule turns it
//! into market time.
#![forbid(unsafe_code)]

pub mod clock;
pub mod data;
pub mod engine;
#[cfg(test)]
mod fuzz_tests;
pub mod history;
pub mod keys;
pub mod limit;
pub mod listing;
pub mod market;
mod rest;
pub mod schedule;
pub mod sim;
pub mod stream;
mod trading;
mod wire;

pub use market::{Market, Sessions};
pub use rest::router;
pub use sim::{Settings, Sim};
