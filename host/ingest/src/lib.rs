//! Box 1: market data and trade updates come in.
//!
//! Two loops, each the only owner of its connection. [`Ingest`] turns one data stream and the broker's
//! history into the one sequence of [`MarketEvent`](sandpit_types::MarketEvent)s that every strategy sees;
//! [`UpdateLoop`] keeps the trade-updates stream open. Both live by the table in `life`; order and repeats
//! are decided in `sequence`, which is pure too. Nothing here knows which broker it is, and nothing here
//! sends an order.

#![forbid(unsafe_code)]

mod config;
mod fetch;
mod life;
mod market;
mod plan;
mod reins;
mod rest;
mod sequence;
mod sessions;
mod stats;
mod updates;

pub use config::IngestConfig;
pub use market::{Ingest, MarketSink};
pub use reins::Reins;
pub use stats::{ConnectionStats, Fall, IngestStats, StreamState, UpdateStats};
pub use updates::{Suspicion, UpdateLoop, UpdateSink};
