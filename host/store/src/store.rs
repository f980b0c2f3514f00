//! The handle that everybody holds.

use std::{path::Path, sync::Arc, time::Duration};

use sandpit_types::Pulse;
use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Record, StoreError,
    writer::{Job, Writer},
};

/// Commits that may wait for the writer; past it [`Store::commit`] waits before it queues.
pub const MAX_QUEUED: usize = 1024;

/// Connections for reading, besides the writer's.
const READERS: u32 = 2;

/// How long a statement waits for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The database. Clones share it; when the last one is dropped, the writer finishes what is queued and
/// closes.
#[derive(Clone, Debug)]
pub struct Store {
    queue: mpsc::Sender<Job>,
    pub(crate) readers: SqlitePool,
}

impl Store {
    /// Opens the database at `path`, makes it and its directory if there is none, and brings it to this
    /// version. Spawns the writer, whose progress is `pulse`.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Damaged`] or [`StoreError::OtherVersion`]; each says what to do.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(path: &Path, pulse: Arc<Pulse>) -> Result<Self, StoreError> {
        if let Some(directory) = path.parent() {
            tokio::fs::create_dir_all(directory)
                .await
                .map_err(|error| StoreError::Open { path: path.to_owned(), cause: error.to_string() })?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let opening = |error| StoreError::opening(path.to_owned(), &error);
        let mut connection = options.connect().await.map_err(opening)?;
        // A file that vanishes while it is in use is not replaced by an empty one.
        let options = options.create_if_missing(false);
        sqlx::migrate!("../../migrations/sqlite")
            .run(&mut connection)
            .await
            .map_err(|error| StoreError::migrating(path.to_owned(), &error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.clone().read_only(true))
            .await
            .map_err(opening)?;
        let (queue, jobs) = mpsc::channel(MAX_QUEUED);
        tokio::spawn(Writer::new(options, connection).run(jobs, pulse));
        Ok(Self { queue, readers })
    }

    /// Writes the records, all or none, and returns when they are on the disk.
    ///
    /// # Errors
    /// [`StoreError::Write`] when they could not be written, [`StoreError::Closed`].
    pub async fn commit(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        self.queue.send(Job::Commit { records, done }).await.map_err(|_| StoreError::Closed)?;
        written.await.map_err(|_| StoreError::Closed)?
    }

    /// Puts a nonce into the writer's queue, to be answered by its pulse. `false` when the queue is full or
    /// closed.
    pub fn probe(&self, nonce: u64) -> bool {
        self.queue.try_send(Job::Probe(nonce)).is_ok()
    }

    /// Waits until everything queued is written, and closes the database. Other handles get
    /// [`StoreError::Closed`].
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Job::Close(done)).await.is_ok() {
            // An error means that the writer is gone already.
            closed.await.ok();
        }
        self.readers.close().await;
    }
}
