//! Brings what is committed to the disk, beside the commits: SQLite only.
//!
//! - **Sync.** A commit is in the write-ahead log, but not yet on the disk. Every [`SYNC_EVERY`] in which
//!   there was a commit the log is synced by its path, outside SQLite: a checkpoint would write the pages a
//!   second time for it. SQLite locks the database and its `-shm` file, never the log, so that opening and
//!   closing the log here cannot drop a lock of its own (which closing any handle of a locked file would do).
//! - **Checkpoint.** After [`CHECKPOINT_COMMITS`] the log is copied into the database by a connection of its
//!   own. It does not stop commits, unless the log has grown past [`MAX_LOG_PAGES`].

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, Connection as _, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval},
};
use tracing::{error, warn};

/// How often the log is synced, when there was a commit: what a death of the machine may cost.
pub const SYNC_EVERY: Duration = Duration::from_millis(250);
/// After so many commits the log is copied into the database: about 10 MiB.
const CHECKPOINT_COMMITS: u64 = 256;
/// A log that has grown past this is copied even if commits have to wait: 64 MiB.
const MAX_LOG_PAGES: i64 = 16_384;
/// A log of an earlier life that is larger is copied at the start: 4 MiB.
const MAX_OLD_LOG_BYTES: u64 = 4 << 20;
/// Commits while it is copied leave something to copy: how often that is tried at once.
const MAX_PASSES: usize = 3;

/// What the writer and its flusher tell each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Commits since the start.
    commits: AtomicU64,
    /// Why nothing written can be trusted any more: the disk refused a sync. After that the system forgets
    /// what was not written, so that a later success proves nothing.
    broken: OnceLock<String>,
}

impl Shared {
    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }
}

/// A running flusher.
#[derive(Debug)]
pub(crate) struct Flusher {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Flusher {
    pub(crate) fn start(path: &Path, options: SqliteConnectOptions, shared: Arc<Shared>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let flush = Flush { log: log(path), options, shared, synced: 0, copied: 0, missed: None };
        Self { stop, task: tokio::spawn(flush.run(stopped)) }
    }

    /// Ends it after a last sync.
    pub(crate) async fn stop(self) {
        self.stop.send(()).ok();
        if let Err(panic) = self.task.await {
            error!(%panic, "the flusher of the database ended by a defect");
        }
    }
}

/// Syncs the log of the database at `path` now.
pub(crate) async fn sync(path: &Path) -> io::Result<()> {
    match sync_log(log(path)).await {
        // All of it is in the database.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

struct Flush {
    log: PathBuf,
    options: SqliteConnectOptions,
    shared: Arc<Shared>,
    /// How many commits are on the disk.
    synced: u64,
    /// How many are in the database itself.
    copied: u64,
    /// How many there were when the log was not there.
    missed: Option<u64>,
}

impl Flush {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut ticks = interval(SYNC_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if std::fs::metadata(&self.log).is_ok_and(|log| log.len() > MAX_OLD_LOG_BYTES) {
            self.checkpoint().await;
        }
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = &mut stopped => return self.sync().await,
            }
            self.sync().await;
            if self.synced - self.copied >= CHECKPOINT_COMMITS {
                self.copied = self.synced;
                self.checkpoint().await;
            }
        }
    }

    async fn sync(&mut self) {
        let commits = self.shared.commits.load(Ordering::Relaxed);
        if commits == self.synced || self.shared.broken().is_some() {
            return;
        }
        let refused = match sync_log(self.log.clone()).await {
            Ok(()) => {
                (self.synced, self.missed) = (commits, None);
                return;
            }
            // The last connection that closes copies the log and removes it. The next commit makes a new one:
            // if that is not there, it was written into a file that somebody deleted.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => match self.missed.replace(commits) {
                Some(missed) if missed < commits => "its log was deleted".to_owned(),
                Some(_) | None => return,
            },
            Err(cause) => cause.to_string(),
        };
        error!(cause = refused, "the disk did not take the log of the database; nothing more is recorded");
        self.shared.broken.get_or_init(|| refused);
    }

    async fn checkpoint(&self) {
        let checkpoint = async {
            let mut connection = self.options.connect().await?;
            let copied = copy(&mut connection).await;
            connection.close().await?;
            copied
        };
        if let Err(error) = checkpoint.await {
            warn!(%error, "the log of the database could not be copied into it; it is tried again");
        }
    }
}

async fn copy(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for _ in 0..MAX_PASSES {
        let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
        let (pages, copied): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        if pages == copied {
            return Ok(());
        }
        if pages > MAX_LOG_PAGES {
            sqlx::query("PRAGMA wal_checkpoint(RESTART)").fetch_one(&mut *connection).await?;
            return Ok(());
        }
    }
    Ok(())
}

fn log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

async fn sync_log(log: PathBuf) -> io::Result<()> {
    let sync = move || std::fs::File::open(log)?.sync_data();
    spawn_blocking(sync).await.map_err(io::Error::other)?
}
