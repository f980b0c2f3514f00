//! Box 1: market data and trade updates come in.
//!
//! Three loops, each the only owner of its connection. [`Ingest`] turns one data stream and the broker's
//! history into the one sequence of [`MarketEvent`](sandpit_types::MarketEvent)s that every strategy sees;
//! [`NewsLoop`] does the same for news, and [`UpdateLoop`] keeps the trade-updates stream open. All live by
//! the table in `life`; what REST is asked and when is decided in `rest`, what is subscribed in `plan`,
//! order, marks and repeats in `sequence`, all of them pure. Nothing here knows which broker it is, and
//! nothing here sends an order.

#![forbid(unsafe_code)]

mod config;
mod fetch;
mod life;
mod market;
mod news;
mod plan;
mod reins;
mod rest;
mod sequence;
mod sessions;
mod stats;
mod updates;
#[cfg(test)]
mod whole_tests;

pub use config::{IngestConfig, Resubscription};
pub use market::{Ingest, MarketSink};
pub use news::{NewsConfig, NewsLoop};
pub use reins::Reins;
pub use stats::{ConnectionStats, Fall, IngestStats, NewsStats, StreamState, UpdateStats};
pub use updates::{Suspicion, UpdateLoop, UpdateSink};
