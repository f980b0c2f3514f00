//! The log, without a wait for whoever reads it: an order does not stand behind the writing of its line.
//!
//! A line that only informs is put into a bounded buffer, and a thread writes what is there every few
//! milliseconds. A warning or an error is written at once, with everything before it; so is the rest at the
//! end. A process that is killed loses what informed in its last moment. Where standard error is the journal,
//! [`journald`] sends entries with fields instead.

mod journald;

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::sys::stat::fstat;
use sandpit_contract::{JOURNAL_SOCKET, is_journal};
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

use self::journald::Journald;
pub(crate) use self::journald::set_epoch;
use crate::ambient;

/// How long a line that informs may wait, real time.
const WAIT: Duration = Duration::from_millis(20);
/// With more than this in the buffer a line is written at once: the log waits then, and loses nothing.
const MAX_BYTES: usize = 64 * 1024;

/// The log of a running process. Dropping it writes what is left.
pub(crate) struct Log {
    journal: Option<Journald>,
    _lines: Option<Lines>,
}

impl Log {
    /// Begins to log, to the journal where standard error is the journal's, else to standard error; the level
    /// by `RUST_LOG`, `level` if it says nothing.
    ///
    /// # Panics
    /// The second time.
    pub(crate) fn start(level: &str) -> Self {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
        let registry = tracing_subscriber::registry().with(filter);
        // Where journald cannot be reached, its stream takes lines.
        if let Some(journal) = journal().and_then(|path| Journald::start(&path).ok()) {
            registry.with(journal.layer()).init();
            return Self { journal: Some(journal), _lines: None };
        }
        let lines = Lines::start();
        let layer = tracing_subscriber::fmt::layer().with_writer(lines.writer());
        registry.with(layer.with_target(false).with_ansi(false)).init();
        Self { journal: None, _lines: Some(lines) }
    }

    /// Whether entries with fields are sent.
    pub(crate) fn is_journal(&self) -> bool {
        self.journal.is_some()
    }
}

/// Where journald takes entries, if standard error is the journal's.
fn journal() -> Option<PathBuf> {
    let environment = ambient::environment();
    // For tests: the real place belongs to root.
    #[cfg(debug_assertions)]
    if let Some(path) = environment.get("SANDPIT_JOURNAL_SOCKET") {
        return Some(path.into());
    }
    let variable = environment.get("JOURNAL_STREAM").map(String::as_str);
    let is_journal = fstat(io::stderr()).is_ok_and(|found| is_journal(variable, found.st_dev, found.st_ino));
    is_journal.then(|| JOURNAL_SOCKET.into())
}

/// Lines on standard error. Dropping it writes what is left.
struct Lines {
    buffer: Buffer,
    end: Option<Sender<()>>,
    /// `None` when there could be none: then the buffer is written when it is full, and at the end.
    thread: Option<JoinHandle<()>>,
}

/// Where lines go.
#[derive(Clone, Default)]
struct Buffer(Arc<Parts>);

#[derive(Default)]
struct Parts {
    lines: Mutex<Vec<u8>>,
    /// Held while lines are taken out and written, so that they stay in order; a line that informs does not
    /// need it.
    out: Mutex<()>,
}

/// One line.
struct Line<'a> {
    buffer: &'a Buffer,
    is_urgent: bool,
}

impl Lines {
    /// Starts the thread that writes.
    fn start() -> Self {
        let buffer = Buffer::default();
        let (end, ended) = channel::<()>();
        let own = buffer.clone();
        let write = move || {
            while ended.recv_timeout(WAIT) == Err(RecvTimeoutError::Timeout) {
                own.flush();
            }
        };
        let thread = thread::Builder::new().name("log".into()).spawn(write).ok();
        Self { buffer, end: Some(end), thread }
    }

    /// What a subscriber writes to.
    fn writer(&self) -> Buffer {
        self.buffer.clone()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            // It has no way to panic, and there would be nobody to tell.
            let _ = thread.join();
        }
        self.buffer.flush();
    }
}

impl Buffer {
    /// Adds a line; how many bytes wait now.
    fn add(&self, line: &[u8]) -> usize {
        let mut lines = lock(&self.0.lines);
        lines.extend_from_slice(line);
        lines.len()
    }

    fn flush(&self) {
        let _out = lock(&self.0.out);
        let lines = std::mem::take(&mut *lock(&self.0.lines));
        if !lines.is_empty() {
            // Nobody reads the log any more: that must not end trading.
            let _ = io::stderr().write_all(&lines);
        }
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { buffer: self, is_urgent: true }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line<'a> {
        Line { buffer: self, is_urgent: *of.level() <= Level::WARN }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.buffer.add(line) > MAX_BYTES || self.is_urgent {
            self.buffer.flush();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_informs_waits() {
        let check = |is_urgent: bool, bytes: usize, expected: usize| {
            let buffer = Buffer::default();
            buffer.add(b"\n");
            let line = vec![b'\n'; bytes];
            let written = Line { buffer: &buffer, is_urgent }.write(&line);
            assert_eq!(written.expect("it never fails"), bytes);
            assert_eq!(lock(&buffer.0.lines).len(), expected, "{is_urgent} {bytes}");
        };
        check(false, 10, 11);
        check(true, 1, 0);
        check(false, MAX_BYTES, 0);
    }
}
