//! The fault suite: one module a kind of trouble.

mod common;
mod crowd;
mod drops;
mod messages;
mod orders;
mod outages;
mod rebalance;
mod silence;
