//! What a strategy's author does, behind `sandpit plugin …`: begin one, build it, look at it, try it on
//! recorded events, and work on it beside a running host.
//!
//! ```text
//!  new ──> build ──> check, test ──> a plugins folder
//!            ^                            │
//!            └────────── dev <────────────┘ (the host's log)
//! ```
//!
//! Nothing here trades. Plugins are compiled in a child with a memory cap, as the host does it, and run in
//! the host's own session, with their work counted.

mod anatomy;
mod build;
mod check;
mod command;
mod desk;
mod dev;
mod diff;
mod embedded;
mod error;
mod fixture;
mod inspect;
mod loaded;
mod new;
mod play;
mod project;
mod schema;
mod surroundings;
mod tail;
mod tape;
mod test;
mod watch;

pub use command::{BuildArgs, DevArgs, How, NewArgs, PathArgs, PluginCommand, TestArgs, run};
pub use error::{Blame, WorkbenchError};
pub use surroundings::Surroundings;

/// How a command ended that did what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong.
    Good,
    /// The plugin is wrong; each finding was said.
    Wrong,
}
