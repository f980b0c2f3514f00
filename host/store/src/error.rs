//! What can go wrong with the database, and what to do then.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;

/// Why the store could not be opened or used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be created or opened. Nothing was changed.
    #[error(
        "cannot open the database {}: {cause}; make its directory exist and writable for this user",
        path.display()
    )]
    Open {
        /// The database.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The file is no database, or a damaged one. Nothing was changed.
    #[error(
        "the database {} is damaged or no SQLite file ({cause}); \
         move it away to start with an empty one, or restore a backup",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Another version of Sandpit has written it. Nothing was changed.
    #[error(
        "the database {} was made by another version of sandpit ({cause}); \
         run that version, or move the file away",
        path.display()
    )]
    OtherVersion {
        /// The database.
        path: PathBuf,
        /// Which migration differs.
        cause: String,
    },
    /// The records could not be written. None of this commit is in the database: do not act on it.
    #[error("cannot write to the database: {cause}; check free disk space and the disk's health")]
    Write {
        /// What the database said.
        cause: String,
    },
    /// Something could not be read back.
    #[error("cannot read the database: {cause}")]
    Read {
        /// What the database said, or which value is not understood.
        cause: String,
    },
    /// The writer has ended: the store is closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn opening(path: PathBuf, error: &sqlx::Error) -> Self {
        let cause = error.to_string();
        // SQLITE_CORRUPT and SQLITE_NOTADB, extended codes included.
        let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        match code.map(|code| code & 0xff) {
            Some(11 | 26) => Self::Damaged { path, cause },
            Some(_) | None => Self::Open { path, cause },
        }
    }

    pub(crate) fn migrating(path: PathBuf, error: &MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                Self::opening(path, error)
            }
            MigrateError::VersionMissing(_)
            | MigrateError::VersionMismatch(_)
            | MigrateError::VersionTooNew(..)
            | MigrateError::VersionTooOld(..)
            | MigrateError::Dirty(_) => Self::OtherVersion { path, cause: error.to_string() },
            other => Self::Damaged { path, cause: other.to_string() },
        }
    }

    pub(crate) fn reading(cause: impl std::fmt::Display) -> Self {
        Self::Read { cause: cause.to_string() }
    }
}
