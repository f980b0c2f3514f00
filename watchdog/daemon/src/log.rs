//! Log lines to standard error, written by a thread of their own: a reader that stopped reading must not stop
//! the watchdog. Under the journal each line carries its level.

use std::{
    io::Write,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Lines that wait for a slow reader; further ones are dropped, counted, and the count is written before the
/// next line that passes.
const MAX_WAITING: usize = 1024;
/// At the end the lines get so long to leave.
const FLUSH_WAIT: Duration = Duration::from_millis(500);

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

enum Line {
    Text(Level, String),
    Flush(SyncSender<()>),
}

/// The way into the log.
#[derive(Clone)]
pub(crate) struct Log {
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// Starts the writer; `is_journal` puts the level before each line.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(is_journal: bool) -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(MAX_WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&dropped);
        let write = move || write_lines(&waiting, &count, is_journal, &mut std::io::stderr());
        std::thread::Builder::new().name("log".into()).stack_size(crate::STACK_BYTES).spawn(write)?;
        Ok(Self { lines, dropped })
    }

    /// Never blocks: with the queue full the line is dropped and counted.
    pub(crate) fn write(&self, level: Level, text: String) {
        if self.lines.try_send(Line::Text(level, text)).is_err() {
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

fn write_lines(waiting: &Receiver<Line>, dropped: &AtomicU64, is_journal: bool, to: &mut impl Write) {
    while let Ok(line) = waiting.recv() {
        // A reader that is gone ends nothing: the lines are lost, the watchdog is not.
        let mut put = |level, text: &str| {
            let _: std::io::Result<()> = to.write_all(render(level, text, is_journal).as_bytes());
        };
        match line {
            Line::Text(level, text) => {
                let lost = dropped.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    put(Level::Warning, &format!("{lost} log lines were dropped: nobody read them in time"));
                }
                put(level, &text);
            }
            Line::Flush(done) => {
                let _: Result<(), _> = done.try_send(());
            }
        }
    }
}

/// One line: whatever the reason of a kill holds, it cannot forge another.
fn render(level: Level, text: &str, is_journal: bool) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
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
        let mut written = Vec::new();
        write_lines(&waiting, &dropped, false, &mut written);
        let written = String::from_utf8(written).expect("text");
        let expected =
            "watchdog: 2 log lines were dropped: nobody read them in time\nwatchdog: a\nwatchdog: b\n";
        assert_eq!(written, expected);
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
