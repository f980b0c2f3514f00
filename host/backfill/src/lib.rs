//! Backfill: the past of the market into Parquet files, one a symbol and New York day.
//!
//! What to ask next, what to wait for and when a day is done or given up is decided by a pure [`Core`] in
//! virtual time; [`run`] asks the archives, writes the files and keeps the checkpoint. A file that exists is
//! whole: it is written under another name, brought to the disk, and renamed. A day from which rows may be
//! missing has a file, too, but does not count as done: the report names it, and the next run asks again.
//!
//! ```text
//!            ┌──────────────── page: days written, more to come ───────────────┐
//!            v                                                                 │
//!  wanted ─ queued ── a key is free ──> asked ── last page ──> done            │
//!            ^                            │ ├────────────────────────────────────┘
//!            │                            │ └─ refused alone, or the last try failed ──> skipped
//!            └── ready again after a wait ┘
//! ```

#![forbid(unsafe_code)]

mod checkpoint;
mod core;
mod days;
mod disk;
mod error;
mod fault;
mod folder;
mod kind;
mod opening;
mod parquet_file;
mod progress;
mod run;
mod summary;
mod symbol;

use sandpit_cores::Quota;

pub use self::{
    checkpoint::{Checkpoint, DateSet, Origin},
    core::{Core, End, Input, Key, Note, Output, Plan, Request, Skip, Ticket},
    days::{Day, LAST_CORRECTIONS, calendar_days, last_whole_day, trading_days},
    error::BackfillError,
    fault::{Fault, TOO_MANY_WAITS_SECS, UNREACHABLE_WAIT_SECS, UNREACHABLE_WAITS},
    folder::Folder,
    kind::{Bars, Kind, NewsItems, Row},
    opening::first_answer,
    progress::{Figures, Lines, Reporter, Silent, TerminalBar},
    run::{Job, Source, run},
    summary::{LostDays, Summary},
    symbol::parse_symbol,
};

/// The most requests of one key pair in any minute, of the broker's 200.
pub const MAX_PER_MINUTE: u32 = 190;

/// What one key pair may ask: so many requests in any minute. Nothing is kept for others.
pub fn quota(per_minute: u32) -> Quota {
    Quota::per_minute(per_minute.min(MAX_PER_MINUTE))
}
