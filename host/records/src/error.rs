//! What can go wrong with backups and exports, and what to do then.

use std::{io, path::Path};

use sandpit_store::StoreError;

/// Why a backup, a restore or an export did not happen. None of them shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The database cannot be used; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or folder cannot be used.
    #[error("cannot {what} {path}: {cause}")]
    File {
        /// What was to be done.
        what: &'static str,
        /// With what.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The command names something that cannot be, or leaves out what is needed.
    #[error("{0}")]
    Usage(String),
    /// Another process is at work there.
    #[error("{path} is locked: {who}")]
    InUse {
        /// The lock.
        path: String,
        /// Who has it, and what to do.
        who: &'static str,
    },
    /// There is something where the restored database would go. Nothing was changed.
    #[error("{0}")]
    NotEmpty(String),
    /// A restore failed half way, and what strategies had saved is no longer in its place.
    #[error("{cause}; what strategies had saved lies in {place} now: {why}")]
    Aside {
        /// What failed.
        cause: Box<Self>,
        /// Where it lies.
        place: String,
        /// Why it was not put back.
        why: String,
    },
    /// There is no backup, or it is not what its manifest says. Nothing was put in place.
    #[error("{0}")]
    Broken(String),
    /// A program of PostgreSQL is missing or failed.
    #[error("{0}")]
    Tool(String),
    /// The bucket refused; another try would be refused, too.
    #[error("the bucket {bucket} refused to {what}: {message}")]
    Refused {
        /// Which bucket.
        bucket: String,
        /// What was asked for.
        what: &'static str,
        /// What it said.
        message: String,
    },
    /// The bucket could not be reached, or had troubles of its own, several times.
    #[error("the bucket {bucket} could not {what}: {message}; it was tried {tries} times, try again later")]
    Unreachable {
        /// Which bucket.
        bucket: String,
        /// What was asked for.
        what: &'static str,
        /// What the last try ended with.
        message: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The rows could not be written out.
    #[error("cannot write the export: {0}")]
    Output(String),
}

impl RecordsError {
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |cause| Self::File { what, path, cause }
    }
}
