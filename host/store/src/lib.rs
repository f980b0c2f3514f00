//! What survives a crash: orders, fills, sub-books, equity and the story around them, in an SQLite file or in
//! a PostgreSQL database.
//!
//! One task writes. It takes whatever has queued up and commits it as one transaction. [`Store::commit`]
//! returns when its records outlive the process: an order is committed before it is sent. What a death of the
//! machine may still take from an SQLite file is the last [`SYNC_EVERY`]; the host adopts that back from the
//! broker.
//!
//! There is one dialect: every statement has one text, which both databases take, and may be run again
//! without effect (`statements.rs`). The two differ in how a connection is made (`sqlite.rs`, `postgres.rs`),
//! in how statements are joined (`batch.rs`), and in who brings commits to the disk (`flush.rs`).
#![forbid(unsafe_code)]

mod batch;
mod connection;
mod copy;
mod database;
mod error;
pub mod facts;
mod flush;
mod inspect;
mod load;
mod postgres;
mod read;
mod record;
mod retain;
mod rows;
mod snapshot;
mod sqlite;
mod statements;
mod store;
mod writer;

pub use database::{Database, PostgresUrl, UrlError};
pub use error::StoreError;
pub use flush::SYNC_EVERY;
pub use inspect::{Inspection, MAX_FINDINGS};
pub use load::Stored;
pub use read::{
    AuditHoles, AuditRead, Cursor, EquityRead, OrderRead, PAGE_ROWS, Page, Reader, SignalRead, Span,
};
pub use record::{Actor, Audit, OrderChange, OrderRow, Record, SubBookRow};
pub use retain::Retention;
pub use snapshot::{Contents, Snapshot};
pub use store::{MAX_QUEUED, Store};
pub use writer::MAX_BATCH;
