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
mod connection;
pub mod data;
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
