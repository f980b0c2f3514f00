//! What can go wrong with the database, and what to do then.

use sqlx::migrate::MigrateError;

use crate::Database;

/// Why the store could not be opened or used. None of them shows a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be created or opened, or the server not be reached. Nothing was changed.
    #[error("cannot open the database {database}: {cause}; {remedy}")]
    Open {
        /// The database.
        database: String,
        /// What the system said.
        cause: String,
        /// What to do.
        remedy: &'static str,
        /// Whether it may be otherwise in a moment: a server that is not up yet, say.
        may_pass: bool,
    },
    /// Another host uses the database. Nothing was changed.
    #[error(
        "the database {database} is in use by another sandpit host; stop that one, or give this one a \
         database of its own"
    )]
    InUse {
        /// The database.
        database: String,
    },
    /// The file is no database, or a damaged one. Nothing was changed.
    #[error(
        "the database {database} is damaged or no SQLite file ({cause}); move it away with its -wal and \
         -shm, then restore a backup (sandpit db restore), or start with an empty one"
    )]
    Damaged {
        /// The database.
        database: String,
        /// What is wrong.
        cause: String,
    },
    /// Another version of Sandpit has written it. Nothing was changed.
    #[error(
        "the database {database} was made by another version of sandpit ({cause}); run that version, or use \
         another database"
    )]
    OtherVersion {
        /// The database.
        database: String,
        /// Which migration differs.
        cause: String,
    },
    /// The file in use was deleted, or another one was put in its place. What is written now would be lost.
    #[error(
        "the database {database} was moved, deleted or replaced while it is in use; put it back and restart \
         the host"
    )]
    Vanished {
        /// The database.
        database: String,
    },
    /// Another host, or a command, has written to the database since this one lost it, or it is another
    /// database now: what this host knows is older than what is there.
    #[error(
        "the database {database} was written by another sandpit, or replaced, while this host was cut off \
         from it; restart the host: it reads what is there now"
    )]
    Superseded {
        /// The database.
        database: String,
    },
    /// The disk did not take what it was given: nothing that was written last can be trusted, and nothing
    /// more is written.
    #[error(
        "the disk did not take what it was given ({cause}); check free disk space and the disk's health, and \
         restart the host"
    )]
    Broken {
        /// What the system said.
        cause: String,
    },
    /// The database is well and refuses these records: one of them does not fit what is there (a change of an
    /// order that is not), or holds what the database cannot. None of the commit is in it, and written again
    /// it is refused again.
    #[error("the database refuses the records: {cause}")]
    Refused {
        /// What the database said.
        cause: String,
    },
    /// The records could not be written: do not act on them. None of the commit is in the database, unless a
    /// connection broke at its end, when nobody knows. Written again, nothing is there twice.
    #[error("cannot write to the database: {cause}; {remedy}")]
    Write {
        /// What the database said.
        cause: String,
        /// What to do.
        remedy: &'static str,
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

const FILE_REMEDY: &str = "make its directory exist and writable for this user";
const SERVER_REMEDY: &str =
    "check that the server runs and that address, user, password and sslmode are right";
const DISK_REMEDY: &str = "check free disk space and the disk's health";
const LOCK_REMEDY: &str = "end the other process that holds the file";
const LINK_REMEDY: &str = "check the server and the way to it; it is tried again";

impl StoreError {
    /// Whether nothing more can be written until the host is started again: waiting does not help.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Vanished { .. } | Self::Superseded { .. } | Self::Broken { .. } => {
                true
            }
            Self::Open { .. }
            | Self::InUse { .. }
            | Self::OtherVersion { .. }
            | Self::Refused { .. }
            | Self::Write { .. }
            | Self::Read { .. }
            | Self::Closed => false,
        }
    }

    pub(crate) fn opening(database: &Database, error: &sqlx::Error) -> Self {
        let cause = error.to_string();
        match database {
            Database::Sqlite(_) if is_damage(error) => {
                Self::Damaged { database: database.to_string(), cause }
            }
            Database::Sqlite(_) => Self::unopened(database, cause),
            Database::Postgres(_) => {
                let is_away = is_lost(error) && !matches!(error, sqlx::Error::Tls(_));
                let may_pass = is_away || is_ended(error) || is_short(error);
                Self::Open { database: database.to_string(), cause, remedy: SERVER_REMEDY, may_pass }
            }
        }
    }

    pub(crate) fn unopened(database: &Database, cause: impl std::fmt::Display) -> Self {
        let (remedy, may_pass) = match database {
            Database::Sqlite(_) => (FILE_REMEDY, false),
            Database::Postgres(_) => (SERVER_REMEDY, true),
        };
        Self::Open { database: database.to_string(), cause: cause.to_string(), remedy, may_pass }
    }

    pub(crate) fn silent(database: &Database) -> Self {
        Self::unopened(database, "no answer in time")
    }

    pub(crate) fn migrating(database: &Database, error: &MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                Self::opening(database, error)
            }
            MigrateError::VersionMissing(_)
            | MigrateError::VersionMismatch(_)
            | MigrateError::VersionTooNew(..)
            | MigrateError::VersionTooOld(..)
            | MigrateError::Dirty(_) => {
                Self::OtherVersion { database: database.to_string(), cause: error.to_string() }
            }
            other => Self::Damaged { database: database.to_string(), cause: other.to_string() },
        }
    }

    pub(crate) fn writing(database: &Database, error: &sqlx::Error) -> Self {
        let cause = error.to_string();
        if matches!(database, Database::Sqlite(_)) && is_damage(error) {
            return Self::Damaged { database: database.to_string(), cause };
        }
        if is_refusal(database, error) {
            return Self::Refused { cause };
        }
        let remedy = match (database, sqlite_code(error)) {
            // SQLITE_BUSY and SQLITE_LOCKED.
            (Database::Sqlite(_), Some(5 | 6)) => LOCK_REMEDY,
            (Database::Sqlite(_), _) => DISK_REMEDY,
            (Database::Postgres(_), _) if is_lost(error) => LINK_REMEDY,
            (Database::Postgres(_), _) => "look into the server's log",
        };
        Self::Write { cause, remedy }
    }

    pub(crate) fn looking(database: &Database, error: &sqlx::Error) -> Self {
        if matches!(database, Database::Sqlite(_)) && is_damage(error) {
            return Self::Damaged { database: database.to_string(), cause: error.to_string() };
        }
        Self::reading(error)
    }

    pub(crate) fn late(what: &str) -> Self {
        Self::Write { cause: format!("no answer to {what}"), remedy: LINK_REMEDY }
    }

    pub(crate) fn unsynced(cause: &str) -> Self {
        Self::Write {
            cause: format!("what is written cannot be brought to the disk ({cause})"),
            remedy: DISK_REMEDY,
        }
    }

    pub(crate) fn reading(cause: impl std::fmt::Display) -> Self {
        Self::Read { cause: cause.to_string() }
    }
}

/// Whether the connection broke: what was under way may have happened.
pub(crate) const fn is_lost(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed
    )
}

/// The server ends its sessions with these (class 57, operator intervention; class 08, connection).
pub(crate) fn is_ended(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
}

/// Whether the database said no to what is written, and would to the same again.
fn is_refusal(database: &Database, error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::Encode(_)) {
        return true;
    }
    match database {
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT and SQLITE_MISMATCH.
        Database::Sqlite(_) => matches!(sqlite_code(error), Some(18..=20)),
        // Data, integrity constraints, and limits of the program (a key too long for an index).
        Database::Postgres(_) => {
            let code = error.as_database_error().and_then(|error| error.code());
            code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
        }
    }
}

/// Class 53: the server has no connection, memory or disk left for it.
fn is_short(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("53"))
}

/// SQLITE_CORRUPT and SQLITE_NOTADB, extended codes included.
fn is_damage(error: &sqlx::Error) -> bool {
    matches!(sqlite_code(error), Some(11 | 26))
}

fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?.parse::<u32>().ok()?;
    Some(code & 0xff)
}
