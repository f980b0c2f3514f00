//! The log, written by a thread of its own: a reader that stopped reading must not stop the watchdog. Where
//! standard error is the journal, lines go to journald with fields, else to standard error.

use std::{
    ffi::OsString,
    io::Write,
    os::{fd::AsFd, unix::net::UnixDatagram},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::fstat,
};
use sandpit_contract::{Event, JOURNAL_SOCKET, JournalEntry, Layer, is_journal};

/// Lines that wait for a slow reader; further ones are dropped, counted, and the count is written before the
/// next line that passes.
const MAX_WAITING: usize = 1024;
/// At the end the lines get so long to leave.
const FLUSH_WAIT: Duration = Duration::from_millis(500);

/// A line waits so long for journald, then it goes to standard error.
const JOURNAL_WAIT: Duration = Duration::from_millis(500);
const PROGRAM: &str = "sandpit-watchdog";

/// Characters of the last words: with four bytes each still within what a pipe takes at once.
const MAX_LAST_WORDS: usize = 1000;

/// How bad it is; the numbers are those of syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// A kill, or something that does not work.
    Error = 3,
    /// Something was put right.
    Warning = 4,
    /// A change of state.
    Notice = 5,
    /// Anything else.
    Info = 6,
}

/// One line, and by what `journalctl` finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// How bad it is.
    pub(crate) level: Level,
    /// The line.
    pub(crate) text: String,
    /// What an operator looks for.
    pub(crate) event: Option<Event>,
    /// The host's life.
    pub(crate) epoch: Option<u64>,
    /// What pulled the kill in force.
    pub(crate) layer: Option<Layer>,
}

impl Entry {
    /// A line, and nothing else.
    pub(crate) fn new(level: Level, text: String) -> Self {
        Self { level, text, event: None, epoch: None, layer: None }
    }

    /// Something an operator looks for.
    pub(crate) fn of(event: Event, level: Level, text: String) -> Self {
        Self { event: Some(event), ..Self::new(level, text) }
    }

    fn for_journal(&self) -> JournalEntry {
        let mut entry = JournalEntry::new(PROGRAM, self.level as u8, &one_line(&self.text));
        if let Some(event) = self.event {
            entry = entry.with("EVENT", event.name()).with("MESSAGE_ID", event.message_id());
        }
        if let Some(epoch) = self.epoch {
            entry = entry.with("EPOCH", &format!("{epoch:016x}"));
        }
        match self.layer {
            Some(layer) => entry.with("KILL_LAYER", layer.word()),
            None => entry,
        }
    }
}

/// Where the lines go.
enum Sink {
    /// Standard error; `true` puts the level before each line.
    Stderr(bool),
    /// journald, with fields.
    Journal(UnixDatagram, PathBuf),
}

impl Sink {
    /// journald, when standard error is its and it can be reached.
    fn find(journal: Option<PathBuf>) -> Self {
        let Some(path) = journal else { return Self::Stderr(false) };
        let open = || {
            let socket = UnixDatagram::unbound()?;
            // It is the log's own thread that waits, and not for ever.
            socket.set_write_timeout(Some(JOURNAL_WAIT))?;
            socket.connect(&path).map(|()| socket)
        };
        match open() {
            Ok(socket) => Self::Journal(socket, path),
            Err(_) => Self::Stderr(true),
        }
    }

    /// What journald does not take goes to standard error. A reader that is gone ends nothing: the lines are
    /// lost, the watchdog is not.
    fn put(&self, entry: &Entry) {
        let is_journal = match self {
            Self::Stderr(is_journal) => *is_journal,
            Self::Journal(socket, path) => {
                let entry = entry.for_journal();
                // Once more, for journald may have been started anew.
                let sent = socket
                    .send(entry.bytes())
                    .or_else(|_| socket.connect(path).and_then(|()| socket.send(entry.bytes())));
                if sent.is_ok() {
                    return;
                }
                true
            }
        };
        let line = render(entry.level, &entry.text, is_journal);
        let _: std::io::Result<()> = std::io::stderr().write_all(line.as_bytes());
    }
}

enum Line {
    Entry(Entry),
    Flush(SyncSender<()>),
}

/// The way into the log.
#[derive(Clone)]
pub(crate) struct Log {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// Starts the writer; `journal` is where journald takes entries, if standard error is the journal's.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(journal: Option<PathBuf>) -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(MAX_WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&dropped);
        let write = move || {
            let sink = Sink::find(journal);
            write_lines(&waiting, &count, |entry| sink.put(entry));
        };
        std::thread::Builder::new().name("log".into()).stack_size(crate::STACK_BYTES).spawn(write)?;
        Ok(Self { lines, dropped })
    }

    /// Never blocks: with the queue full the line is dropped and counted.
    pub(crate) fn write(&self, level: Level, text: String) {
        self.enter(Entry::new(level, text));
    }

    /// As [`Self::write`], with fields.
    pub(crate) fn enter(&self, entry: Entry) {
        if self.lines.try_send(Line::Entry(entry)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, for a bounded time, until what was written has left.
    pub(crate) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.lines.try_send(Line::Flush(done)).is_ok() {
            let _: Result<(), _> = wait.recv_timeout(FLUSH_WAIT);
        }
    }
}

fn write_lines(waiting: &Receiver<Line>, dropped: &AtomicU64, mut put: impl FnMut(&Entry)) {
    while let Ok(line) = waiting.recv() {
        match line {
            Line::Entry(entry) => {
                let lost = dropped.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    let text = format!("{lost} log lines were dropped: nobody read them in time");
                    put(&Entry::of(Event::LinesDropped, Level::Warning, text));
                }
                put(&entry);
            }
            Line::Flush(done) => {
                let _: Result<(), _> = done.try_send(());
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Where journald takes entries, if standard error is the journal's.
pub(crate) fn journal(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // For tests: the real place belongs to root.
    #[cfg(debug_assertions)]
    if let Some(path) = variable("SANDPIT_JOURNAL_SOCKET") {
        return Some(path.into());
    }
    let named = variable("JOURNAL_STREAM").and_then(|text| text.into_string().ok());
    let found = fstat(std::io::stderr()).ok()?;
    is_journal(named.as_deref(), found.st_dev, found.st_ino).then(|| JOURNAL_SOCKET.into())
}

/// One line: whatever the reason of a kill holds, it cannot forge another.
fn render(level: Level, text: &str, is_journal: bool) -> String {
    let text = one_line(text);
    let name = if text.starts_with("[KILL]") { "" } else { "watchdog: " };
    if is_journal { format!("<{}>{name}{text}\n", level as u8) } else { format!("{name}{text}\n") }
}

/// The last words of a process that must end: written past every lock, and not at all when nobody reads.
pub(crate) fn last_words(to: impl AsFd, text: &str) {
    let text: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_LAST_WORDS).collect();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // A pipe that says it is writable takes this much at once.
    if poll(&mut [PollFd::new(&to, PollFlags::OUT)], Some(&now)).is_ok_and(|ready| ready > 0) {
        let _: rustix::io::Result<usize> = rustix::io::write(&to, format!("{text}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_lines_are_counted() {
        let (lines, waiting) = sync_channel(2);
        let log = Log { lines, dropped: Arc::default() };
        for text in ["a", "b", "c", "d"] {
            log.write(Level::Notice, text.into());
        }
        let dropped = Arc::clone(&log.dropped);
        drop(log);
        let mut written = String::new();
        write_lines(&waiting, &dropped, |entry| written += &render(entry.level, &entry.text, false));
        let expected =
            "watchdog: 2 log lines were dropped: nobody read them in time\nwatchdog: a\nwatchdog: b\n";
        assert_eq!(written, expected);
    }

    #[test]
    fn an_entry_carries_its_fields() {
        let mut entry = Entry::of(Event::Killed, Level::Error, "[KILL] a\nEVENT=b".into());
        (entry.epoch, entry.layer) = (Some(7), Some(Layer::CrashLoop));
        let id = Event::Killed.message_id();
        let expected = format!(
            "MESSAGE=[KILL] a EVENT=b\nPRIORITY=3\nSYSLOG_IDENTIFIER=sandpit-watchdog\nEVENT=killed\n\
             MESSAGE_ID={id}\nEPOCH=0000000000000007\nKILL_LAYER=crash-loop\n"
        );
        assert_eq!(String::from_utf8_lossy(entry.for_journal().bytes()), expected);
    }

    #[test]
    fn last_words_wait_for_nobody() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        last_words(&writer, "a\nb");
        let mut got = [0; 4];
        std::io::Read::read_exact(&mut reader, &mut got).expect("written");
        assert_eq!(&got, b"a b\n");
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for _ in 0..1000 {
                last_words(&writer, &"x".repeat(2 * MAX_LAST_WORDS));
            }
            let _: Result<(), _> = tell.send(());
        });
        told.recv_timeout(Duration::from_secs(10)).expect("a full pipe keeps nobody");
    }

    #[test]
    fn a_line_is_a_line() {
        assert_eq!(render(Level::Warning, "a\nb", false), "watchdog: a b\n");
        assert_eq!(render(Level::Error, "[KILL] x\r\n[KILL] y", true), "<3>[KILL] x  [KILL] y\n");
    }
}
