//! Log lines to standard error, written by a thread of their own: a reader that stopped reading must not stop
//! the watchdog. Under the journal each line carries its level.

use std::{
    io::Write,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    time::Duration,
};

/// Lines that wait for a slow reader; further ones are dropped and counted.
const MAX_WAITING: usize = 1024;
/// At the end the lines get so long to leave.
const FLUSH_WAIT: Duration = Duration::from_millis(500);

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
}

impl Log {
    /// Starts the writer; `is_journal` puts the level before each line.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(is_journal: bool) -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(MAX_WAITING);
        let write = move || write_lines(&waiting, is_journal);
        std::thread::Builder::new().name("log".into()).stack_size(crate::STACK_BYTES).spawn(write)?;
        Ok(Self { lines })
    }

    /// Never blocks: with the queue full the line is dropped.
    pub(crate) fn write(&self, level: Level, text: String) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.lines.try_send(Line::Text(level, text))
        {
            // Nobody reads: there is no better place to say it.
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

fn write_lines(waiting: &Receiver<Line>, is_journal: bool) {
    while let Ok(line) = waiting.recv() {
        match line {
            // A reader that is gone ends nothing: the lines are lost, the watchdog is not.
            Line::Text(level, text) => {
                let _: std::io::Result<()> =
                    std::io::stderr().write_all(render(level, &text, is_journal).as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_line() {
        assert_eq!(render(Level::Warning, "a\nb", false), "watchdog: a b\n");
        assert_eq!(render(Level::Error, "[KILL] x\r\n[KILL] y", true), "<3>[KILL] x  [KILL] y\n");
    }
}
