//! A journal that is being written: its thread, and the way to it.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use sandpit_types::{MarketTime, StrategyName};

use crate::{
    JournalError, Retention,
    archive::keep_component,
    disk::{Disk, Folder},
    prune::{Archive, Pruner},
    segments::{Origin, SEGMENT_BYTES, Segments},
    strand::{Strand, Waiting},
    writer::{Line, Opened, Writer},
};

/// How often the strands are emptied, real time: what a death of the process may cost.
const ROUND: Duration = Duration::from_millis(50);
/// How long the end of a journal may take, real time.
const END_LIMIT: Duration = Duration::from_secs(2);

/// What a journal is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of all sessions.
    pub root: PathBuf,
    /// The name of this one: sessions are in the order of their names.
    pub session: String,
    /// Version of the host.
    pub host: String,
    /// How much is kept.
    pub retention: Retention,
}

/// For the monitor.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes of this session in the log.
    pub bytes: AtomicU64,
    /// Entries in it.
    pub entries: AtomicU64,
    /// Entries that could not be kept.
    pub lost: AtomicU64,
    /// Writes that failed.
    pub failures: AtomicU64,
}

/// The journal of this host's life. Dropping it ends it.
#[derive(Debug)]
pub struct Journal {
    settings: Settings,
    archive: Archive,
    opened: Opened,
    strands: AtomicU32,
    waiting: Arc<Waiting>,
    counters: Arc<Counters>,
    end: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

impl Journal {
    /// Starts the thread that writes. Nothing is written before there is something to write, so a disk that
    /// is full or broken keeps nobody from trading. `now` tells wall-clock time, to find out what is old.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        settings: Settings,
        now: impl Fn() -> MarketTime + Send + 'static,
    ) -> Result<Self, JournalError> {
        let disk = Folder(settings.root.join(&settings.session));
        Self::start_on(disk, settings, now)
    }

    pub(crate) fn start_on(
        disk: impl Disk,
        settings: Settings,
        now: impl Fn() -> MarketTime + Send + 'static,
    ) -> Result<Self, JournalError> {
        let (opened, counters) = (Opened::default(), Arc::new(Counters::default()));
        let origin = Origin { session: settings.session.clone(), host: settings.host.clone() };
        let segments = Segments::new(disk, origin, SEGMENT_BYTES);
        let limit = settings.retention.session_bytes();
        let archive = Archive::default();
        let mut pruner = Pruner {
            root: settings.root.clone(),
            current: settings.session.clone(),
            retention: settings.retention,
            now: Box::new(now),
            archive: Arc::clone(&archive),
            is_said: false,
        };
        let prune = Box::new(move |wanting_bytes| pruner.prune(wanting_bytes));
        let writer = Writer::new(segments, limit, Arc::clone(&opened), Arc::clone(&counters), prune);
        let (end, ending) = channel();
        let (done, ended) = channel();
        thread::Builder::new()
            .name("journal".into())
            .spawn(move || serve(writer, &ending, &done))
            .map_err(|source| JournalError::Thread { source })?;
        let (strands, waiting) = (AtomicU32::new(0), Arc::default());
        let end = Mutex::new(Some((end, ended)));
        Ok(Self { settings, archive, opened, strands, waiting, counters, end })
    }

    /// A recorder for one life of a strategy in this host: from its start to its end, restarts and changes of
    /// the component included.
    pub fn strand(&self, strategy: &StrategyName) -> Strand {
        let strand = Strand::new(Arc::clone(&self.waiting));
        let number = self.strands.fetch_add(1, Ordering::Relaxed);
        let line = Line::new(number, strategy.clone(), strand.buffer());
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        strand
    }

    /// Keeps the component in `file`, whose checksum was `sha256` when it was loaded.
    ///
    /// # Errors
    /// When the file has changed, or cannot be read or kept. The session can then be replayed with another
    /// component only.
    pub fn keep(&self, file: &Path, sha256: &str) -> Result<(), JournalError> {
        let _held = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        keep_component(&self.settings.root, &self.settings.session, file, sha256)
    }

    #[cfg(test)]
    pub(crate) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The name of the session.
    pub fn session(&self) -> &str {
        &self.settings.session
    }

    /// What it has done so far.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Writes what waits and ends the log; whether that was done within two seconds of real time. What is
    /// recorded afterwards is lost.
    pub fn close(&self) -> bool {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        end.is_none_or(|(end, ended)| {
            drop(end);
            ended.recv_timeout(END_LIMIT) == Ok(())
        })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve<D: Disk>(mut writer: Writer<D>, ending: &Receiver<()>, done: &Sender<()>) {
    writer.prune(0);
    let mut segments = 0;
    while ending.recv_timeout(ROUND) == Err(RecvTimeoutError::Timeout) {
        writer.round();
        if writer.segments() > segments {
            segments = writer.segments();
            writer.prune(0);
        }
    }
    writer.close();
    // Nobody waits any more when it took too long.
    let _ = done.send(());
}
