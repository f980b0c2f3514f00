//! The venue's rules, one table each.

#[path = "../common/mod.rs"]
mod common;

mod cancels;
mod fills;
mod form;
mod groups;
mod margin;
mod realism;
mod replaces;
mod stops;
