//! The fault suite: one module a kind of trouble; and the trading port without any.

mod common;
mod crowd;
mod drops;
mod messages;
mod orders;
mod outages;
mod port;
mod rebalance;
mod silence;
