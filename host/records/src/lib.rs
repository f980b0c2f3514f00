//! What an operator does with the records: back them up, restore and check them, and export them.
//!
//! A backup is one file and a manifest beside it, in a folder or in an S3 bucket. Both are written aside and
//! get their names when they are whole, the manifest last: a manifest says that there is a backup. The host
//! goes on trading meanwhile. What happened after a backup is not in it; the host adopts it from the broker
//! when it starts on a restored database.
//!
//! This is the one part of Sandpit besides the adapter that talks over a network: to the bucket that the
//! operator names, never to the broker (`bucket.rs`). It reads no clock: [`Clock`] is an argument.
#![forbid(unsafe_code)]

mod backup;
mod bucket;
mod digest;
mod error;
mod export;
mod files;
mod manifest;
mod name;
mod place;
mod restore;
mod tools;
mod verify;

pub use backup::{Backup, BackupDone, backup};
pub use error::RecordsError;
pub use export::{Format, Subject, export};
pub use manifest::Manifest;
pub use name::Kind;
pub use place::Place;
pub use restore::{Restore, RestoreDone, restore};
pub use verify::verify;

/// The time of day, UTC.
pub type Clock = fn() -> sandpit_types::MarketTime;
