//! An Alpaca-compatible broker for tests and demonstrations: REST and WebSocket on one port, over the pure
//! matching engine of `sandpit-venue`, fed by files of real data or by a seeded generator.
//!
//! ```text
//!  files / generator ─> feed ─> engine (venue + history) ─> line ─> streams
//!                                  ^                         ^
//!  REST ─> record ─> faults ───────┤ desk: one lock; time is read under it
//!  /sim (controls) ────────────────┘                      faults
//! ```
//!
//! What goes wrong on purpose is decided in [`faults`]; the controls under `/sim` work the clock, put events
//! into the market, read the log and begin the run anew (`sandpit-sim --help` lists them).
//!
//! Nothing here reads a clock: the program hands in the real time since its start, and the schedule turns it
//! into market time.
#![forbid(unsafe_code)]

pub mod clock;
mod connection;
pub mod data;
mod deeds;
mod desk;
pub mod engine;
pub mod faults;
#[cfg(test)]
mod fuzz_tests;
pub mod history;
mod journal;
pub mod keys;
pub mod limit;
pub mod listing;
pub mod market;
pub mod news;
mod presence;
mod rest;
pub mod schedule;
pub mod sim;
pub mod stream;
mod tape;
mod trading;
mod wire;

pub use connection::serve;
pub use market::{Market, Rewind, Sessions};
pub use rest::router;
pub use sim::{Settings, Sim};
pub use wire::market::{
    Article, BarMessage, CancelErrorMessage, CorrectionMessage, ImbalanceMessage, LuldMessage, MarketMessage,
    QuoteMessage, Stamp, StatusMessage, TradeMessage, Word,
};
