//! The file.
//!
//! The journal is a write-ahead log. A commit appends to it and does not wait for the disk
//! (`synchronous = NORMAL`): what is written is safe from the death of the process, and `flush.rs` brings it
//! to the disk a moment later. Checkpoints are never made by a commit.

use std::{
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection as _, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{Database, StoreError, connection::Connection};

/// How long a statement waits for another process that holds the file.
pub(crate) const BUSY_WITHIN: Duration = Duration::from_secs(2);
/// Connections for reading, besides the writer's.
const READERS: u32 = 2;
/// Files up to this size are checked wholly when they are opened; it takes a tenth of a second. What is
/// larger is checked by `sandpit db check`.
const CHECKED_BYTES: u64 = 32 << 20;

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// The version of this schema.
pub(crate) fn version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// An SQLite file that is in use.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    pub(crate) options: SqliteConnectOptions,
    /// Which file it is, whatever it is called later.
    identity: (u64, u64),
}

impl File {
    /// Opens it, makes it when there is none, and brings it to this version.
    pub(crate) async fn open(path: &Path) -> Result<(Self, SqliteConnection, SqlitePool), StoreError> {
        let database = Database::Sqlite(path.to_owned());
        let opening = |error| StoreError::opening(&database, &error);
        if let Some(directory) = path.parent() {
            let made = tokio::fs::create_dir_all(directory).await;
            made.map_err(|error| StoreError::unopened(&database, error))?;
        }
        let options = options(path);
        // Migrations make tables anew that others refer to.
        let unchecked = options.clone().create_if_missing(true).foreign_keys(false);
        let mut connection = unchecked.connect().await.map_err(opening)?;
        check(&mut connection, &database, path).await?;
        let migrated = MIGRATIONS.run(&mut connection).await;
        migrated.map_err(|error| StoreError::migrating(&database, &error))?;
        connection.close().await.map_err(opening)?;
        let connection = options.connect().await.map_err(opening)?;
        let identity = identity(path).map_err(|error| StoreError::unopened(&database, error))?;
        let readers = readers(&options).await.map_err(opening)?;
        Ok((Self { path: path.to_owned(), options, identity }, connection, readers))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) async fn connect(&self) -> Result<Connection, StoreError> {
        self.check()?;
        let connected = self.options.connect().await;
        let database = Database::Sqlite(self.path.clone());
        connected.map(Connection::Sqlite).map_err(|error| StoreError::writing(&database, &error))
    }

    /// Whether what is written can be found again. A file that was deleted takes commits until it is closed;
    /// it costs a microsecond to see it.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match identity(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StoreError::unsynced(&error.to_string()))
            }
            Ok(_) | Err(_) => Err(StoreError::Vanished { database: self.path.display().to_string() }),
        }
    }
}

/// Connections to read a file that somebody else may be writing.
pub(crate) async fn read_only(path: &Path) -> Result<SqlitePool, StoreError> {
    // A restored file has no write-ahead log until a host has opened it.
    let opened = readers(&crate::snapshot::read_only(path)).await;
    opened.map_err(|error| StoreError::opening(&Database::Sqlite(path.to_owned()), &error))
}

/// A file that vanishes while it is in use is not replaced by an empty one.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", "0")
        .foreign_keys(true)
        .busy_timeout(BUSY_WITHIN)
        .disable_statement_logging()
}

async fn readers(options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    // One stays: the last connection that closes removes the log, and that there is none means that somebody
    // deleted it (`flush.rs`).
    let pool = SqlitePoolOptions::new().max_connections(READERS).min_connections(1);
    let pool = pool.idle_timeout(None).max_lifetime(None);
    pool.connect_with(options.clone().read_only(true)).await
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// A damaged file is found before it is migrated or traded on.
async fn check(
    connection: &mut SqliteConnection,
    database: &Database,
    path: &Path,
) -> Result<(), StoreError> {
    let bytes = std::fs::metadata(path).map_or(0, |found| found.len());
    let pragma = if bytes <= CHECKED_BYTES { "PRAGMA quick_check(1)" } else { "PRAGMA schema_version" };
    let found = sqlx::query(pragma).fetch_one(connection).await;
    let row = found.map_err(|error| StoreError::opening(database, &error))?;
    if bytes > CHECKED_BYTES {
        return Ok(());
    }
    let cause: String = sqlx::Row::try_get(&row, 0).map_err(StoreError::reading)?;
    if cause == "ok" {
        return Ok(());
    }
    // SQLite begins with a line that names the part of the file.
    let cause = cause.lines().collect::<Vec<_>>().join(" ");
    Err(StoreError::Damaged { database: database.to_string(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_stays_so_that_nobody_removes_the_log() {
        let directory = tempfile::tempdir().expect("tempdir");
        let (_, writer, readers) = File::open(&directory.path().join("host.db")).await.expect("opens");
        let options = readers.options();
        assert_eq!((options.get_idle_timeout(), options.get_max_lifetime()), (None, None));
        assert_eq!(options.get_min_connections(), 1);
        // As after a failed write.
        writer.close().await.expect("closes");
        assert!(directory.path().join("host.db-wal").exists());
        readers.close().await;
    }
}
