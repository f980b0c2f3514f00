//! The fault suite: one module a kind of trouble.

mod common;
mod drops;
mod silence;
