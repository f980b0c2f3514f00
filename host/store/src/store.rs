//! The handle that everybody holds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sandpit_types::Pulse;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};
use tracing::info;

use crate::{
    Database, Reader, Record, StoreError,
    connection::{Connection, Readers},
    flush,
    postgres::Server,
    sqlite::File,
    statements::{Statement, statements},
    writer::{Job, Source, Write, Writer},
};

/// Commits that may wait for the writer; past it [`Store::commit`] waits before it queues.
pub const MAX_QUEUED: usize = 1024;

/// How long a host waits at its start for a server: longer than a server needs to see that the host before is
/// dead (`postgres.rs`, eleven seconds).
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// Between two tries it waits so long, and twice as long each time,
const OPEN_AGAIN_BASE: Duration = Duration::from_millis(250);
/// up to so long.
const OPEN_AGAIN_CAP: Duration = Duration::from_secs(4);

/// The database. Clones share it; when the last one is dropped, the writer finishes what is queued and
/// closes.
#[derive(Clone, Debug)]
pub struct Store {
    queue: mpsc::Sender<Job>,
    pub(crate) readers: Readers,
    /// The file, when it is one.
    path: Option<PathBuf>,
}

impl Store {
    /// Opens the database and brings it to this version; a file and its directory are made when there is
    /// none. Spawns the writer, whose progress is `pulse`.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::InUse`], [`StoreError::Damaged`] or [`StoreError::OtherVersion`];
    /// each says what to do.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(database: &Database, pulse: Arc<Pulse>) -> Result<Self, StoreError> {
        let (source, connection, readers, path) = match database {
            Database::Sqlite(path) => {
                let (file, connection, readers) = File::open(path).await?;
                let connection = Connection::Sqlite(connection);
                (Source::Sqlite(file), connection, Readers::Sqlite(readers), Some(path.clone()))
            }
            Database::Postgres(url) => {
                let (server, connection, readers) = Server::open(url).await?;
                let connection = Connection::Postgres(connection);
                (Source::Postgres(server), connection, Readers::Postgres(readers), None)
            }
        };
        let (queue, jobs) = mpsc::channel(MAX_QUEUED);
        tokio::spawn(Writer::new(source, connection).run(jobs, pulse));
        Ok(Self { queue, readers, path })
    }

    /// As [`Store::open`], for a host that may start before its server, or while the server still keeps the
    /// session of the host before: for half a minute it is tried again where waiting may help.
    ///
    /// # Errors
    /// As [`Store::open`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open_patiently(database: &Database, pulse: Arc<Pulse>) -> Result<Self, StoreError> {
        let until = Instant::now() + OPEN_WITHIN;
        let mut wait = OPEN_AGAIN_BASE;
        loop {
            let error = match Self::open(database, pulse.clone()).await {
                Ok(store) => return Ok(store),
                Err(error) => error,
            };
            let may_pass =
                matches!(error, StoreError::InUse { .. } | StoreError::Open { may_pass: true, .. });
            if !may_pass || Instant::now() + wait > until {
                return Err(error);
            }
            info!(%error, "the database is not there yet; it is tried again");
            sleep(wait).await;
            wait = (wait * 2).min(OPEN_AGAIN_CAP);
        }
    }

    /// Writes the records, all or none, and returns when they are committed: then they outlive this process.
    /// On PostgreSQL they are on its disk; the disk of an SQLite file has them [`crate::SYNC_EVERY`]
    /// later.
    ///
    /// # Errors
    /// [`StoreError::Write`] and others when they could not be written, [`StoreError::Closed`].
    pub async fn commit(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let statements = records.iter().flat_map(statements).collect();
        self.write(statements, false).await.map(drop)
    }

    /// Returns when everything committed is on the disk.
    ///
    /// # Errors
    /// [`StoreError::Broken`] when the disk refuses, [`StoreError::Write`] when it could not be asked.
    pub async fn sync(&self) -> Result<(), StoreError> {
        match &self.path {
            Some(path) => flush::sync(path).await,
            None => Ok(()),
        }
    }

    /// Puts a nonce into the writer's queue, to be answered by its pulse. `false` when the queue is full or
    /// closed.
    pub fn probe(&self, nonce: u64) -> bool {
        self.queue.try_send(Job::Probe(nonce)).is_ok()
    }

    /// What is in the database, page by page.
    pub fn reader(&self) -> Reader {
        Reader::new(self.readers.clone())
    }

    /// Waits until everything queued is written, and closes the database. Other handles get
    /// [`StoreError::Closed`].
    pub async fn close(self) {
        self.readers.close().await;
        let (done, closed) = oneshot::channel();
        if self.queue.send(Job::Close(done)).await.is_ok() {
            // An error means that the writer is gone already.
            closed.await.ok();
        }
    }

    pub(crate) async fn write(
        &self,
        statements: Vec<Statement>,
        is_chore: bool,
    ) -> Result<usize, StoreError> {
        let (done, written) = oneshot::channel();
        let write = Write { statements, is_chore, done };
        self.queue.send(Job::Write(write)).await.map_err(|_| StoreError::Closed)?;
        written.await.map_err(|_| StoreError::Closed)?
    }
}
