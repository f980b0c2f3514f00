//! Brings what is committed to the disk, beside the commits: SQLite only.
//!
//! - **Sync.** A commit is in the write-ahead log, but not yet on the disk. Every [`SYNC_EVERY`] in which
//!   there was a commit the log is synced by its path, outside SQLite: a checkpoint would write the pages a
//!   second time for it. SQLite locks the database and its `-shm` file, never the log, so that opening and
//!   closing the log here cannot drop a lock of its own (which closing any handle of a locked file would do).
//! - **Checkpoint.** After [`CHECKPOINT_COMMITS`] the log is copied into the database by a task and a
//!   connection of its own, beside the commits and the syncs. Commits wait only when the log has grown past
//!   [`MAX_LOG_PAGES`] and what is left to copy is little, at most [`MAX_REST_PAGES`]. While somebody reads
//!   for long nothing can be copied: the log grows, past [`HUGE_LOG_PAGES`] with an error in the host's log.

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
use tracing::{error, info, warn};

use crate::StoreError;

/// How often the log is synced, when there was a commit: what a death of the machine may cost.
pub const SYNC_EVERY: Duration = Duration::from_millis(250);
/// After so many commits the log is copied into the database: about 10 MiB.
const CHECKPOINT_COMMITS: u64 = 256;
/// A log that has grown past this is copied to its end, and commits wait for that: 64 MiB.
const MAX_LOG_PAGES: i64 = 16_384;
/// What is copied while commits wait: 1 MiB.
const MAX_REST_PAGES: i64 = 256;
/// A log of this size is not normal: 512 MiB.
const HUGE_LOG_PAGES: i64 = 131_072;
/// A log of an earlier life that is larger is copied at the start: 4 MiB.
const MAX_OLD_LOG_BYTES: u64 = 4 << 20;
/// Commits while it is copied leave something to copy: how often that is tried at once.
const MAX_PASSES: usize = 3;
/// A log that cannot be opened is told again after so many tries: a minute.
const UNOPENED_TELL: u64 = 240;

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
        let flush = Flush::new(log(path), options, shared);
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
pub(crate) async fn sync(path: &Path) -> Result<(), StoreError> {
    match sync_log(log(path)).await {
        // All of it is in the database.
        Ok(()) | Err(Unsynced::Gone) => Ok(()),
        Err(Unsynced::Unopened(error)) => Err(StoreError::unsynced(&error.to_string())),
        Err(Unsynced::Refused(error)) => Err(StoreError::Broken { cause: error.to_string() }),
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
    /// How often in succession the log could not be opened.
    unopened: u64,
    /// The copying that goes on, or the last one.
    copying: Option<JoinHandle<()>>,
}

impl Flush {
    const fn new(log: PathBuf, options: SqliteConnectOptions, shared: Arc<Shared>) -> Self {
        Self { log, options, shared, synced: 0, copied: 0, missed: None, unopened: 0, copying: None }
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut ticks = interval(SYNC_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if std::fs::metadata(&self.log).is_ok_and(|log| log.len() > MAX_OLD_LOG_BYTES) {
            self.checkpoint();
        }
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = &mut stopped => break,
            }
            self.sync().await;
            let is_copying = self.copying.as_ref().is_some_and(|copying| !copying.is_finished());
            if self.synced - self.copied >= CHECKPOINT_COMMITS && !is_copying {
                self.copied = self.synced;
                self.checkpoint();
            }
        }
        self.sync().await;
        // Its connection has to end before the last one, which removes the log.
        if let Some(copying) = self.copying
            && let Err(panic) = copying.await
        {
            error!(%panic, "copying the log of the database ended by a defect");
        }
    }

    async fn sync(&mut self) {
        let commits = self.shared.commits.load(Ordering::Relaxed);
        if commits == self.synced || self.shared.broken().is_some() {
            return;
        }
        let outcome = sync_log(self.log.clone()).await;
        if !matches!(outcome, Err(Unsynced::Unopened(_))) && std::mem::take(&mut self.unopened) > 0 {
            info!("the log of the database can be opened again");
        }
        let broken = match outcome {
            Ok(()) => {
                (self.synced, self.missed) = (commits, None);
                return;
            }
            // The last connection that closes copies the log and removes it. The next commit makes a new one:
            // if that is not there, it was written into a file that somebody deleted.
            Err(Unsynced::Gone) => match self.missed.replace(commits) {
                Some(missed) if missed < commits => "its log was deleted".to_owned(),
                Some(_) | None => return,
            },
            // Nothing was asked of the disk. What a death of the machine may cost grows until it is.
            Err(Unsynced::Unopened(error)) => {
                if self.unopened.is_multiple_of(UNOPENED_TELL) {
                    let times = self.unopened + 1;
                    error!(%error, times, "the log of the database cannot be synced; tried again");
                }
                self.unopened += 1;
                return;
            }
            Err(Unsynced::Refused(error)) => error.to_string(),
        };
        error!(
            cause = broken,
            event = "records-refused",
            "the disk did not take the log of the database; nothing more is recorded"
        );
        self.shared.broken.get_or_init(|| broken);
    }

    fn checkpoint(&mut self) {
        let options = self.options.clone();
        let checkpoint = async move {
            let mut connection = options.connect().await?;
            let copied = copy(&mut connection).await;
            connection.close().await?;
            copied
        };
        self.copying = Some(tokio::spawn(async move {
            if let Err(error) = checkpoint.await {
                warn!(%error, "the log of the database could not be copied into it; it is tried again");
            }
        }));
    }
}

async fn copy(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for _ in 0..MAX_PASSES {
        let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
        let (pages, copied): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        if pages > HUGE_LOG_PAGES {
            error!(pages, copied, "the log of the database grows; somebody reads it all the time, who?");
        }
        if pages > MAX_LOG_PAGES && pages - copied <= MAX_REST_PAGES {
            // With the lock that commits need it waits for nobody: it comes again.
            sqlx::query("PRAGMA busy_timeout = 0").execute(&mut *connection).await?;
            sqlx::query("PRAGMA wal_checkpoint(RESTART)").fetch_one(&mut *connection).await?;
            return Ok(());
        }
        if pages == copied {
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

/// Why the log was not synced.
enum Unsynced {
    /// There is none.
    Gone,
    /// The disk was not asked: too many open files, say.
    Unopened(io::Error),
    /// The disk said no. After that the system forgets what was not written.
    Refused(io::Error),
}

async fn sync_log(log: PathBuf) -> Result<(), Unsynced> {
    let sync = move || {
        let log = std::fs::File::open(log).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Unsynced::Gone,
            _ => Unsynced::Unopened(error),
        })?;
        log.sync_data().map_err(Unsynced::Refused)
    };
    spawn_blocking(sync).await.map_err(|error| Unsynced::Unopened(io::Error::other(error)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_that_cannot_be_opened_for_a_moment_breaks_nothing() {
        let directory = tempfile::tempdir().expect("tempdir");
        let shared = Arc::new(Shared::default());
        let log = directory.path().join("host.db-wal");
        let mut flush = Flush::new(log.clone(), SqliteConnectOptions::new(), shared.clone());
        // A way round in a circle: the disk is never asked.
        std::os::unix::fs::symlink(&log, &log).expect("links");
        shared.committed();
        flush.sync().await;
        shared.committed();
        flush.sync().await;
        assert_eq!((flush.synced, flush.unopened, shared.broken()), (0, 2, None));
        std::fs::remove_file(&log).expect("removes");
        std::fs::write(&log, "x").expect("writes");
        flush.sync().await;
        assert_eq!((flush.synced, flush.unopened, shared.broken()), (2, 0, None));
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_believed_once_and_for_all() {
        let shared = Arc::new(Shared::default());
        // It can be opened and not be synced.
        let mut flush = Flush::new("/dev/null".into(), SqliteConnectOptions::new(), shared.clone());
        shared.committed();
        flush.sync().await;
        assert!(shared.broken().is_some());
        assert_eq!(flush.synced, 0);
    }
}
