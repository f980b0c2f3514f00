//! What survives a crash: orders, fills, sub-books, equity and the story around them, in SQLite.
//!
//! One task writes. It takes whatever has queued up and commits it as one transaction, so that a burst costs
//! one fsync. [`Store::commit`] returns when its records are on the disk: an order is committed before it is
//! sent.
//!
//! The journal is a write-ahead log with `synchronous = FULL`: a commit survives the death of the machine,
//! not only of the process. One fsync costs less than the request that follows it; an order forgotten after
//! it filled would cost a position that nobody knows.
#![forbid(unsafe_code)]

mod error;
pub mod facts;
mod load;
mod record;
mod store;
mod writer;

pub use error::StoreError;
pub use load::Stored;
pub use record::{Actor, Audit, OrderChange, OrderRow, Record, SubBookRow};
pub use store::{MAX_QUEUED, Store};
pub use writer::MAX_BATCH;
