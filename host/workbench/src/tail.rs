//! The lines of a host's log that are about one strategy, as they come.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sandpit_types::StrategyName;

/// Bytes of a line that are kept; the rest of a longer one is left out.
const LINE_MAX: usize = 16 << 10;
/// Bytes that one look takes in.
const LOOK_MAX: usize = 1 << 20;

/// Where lines come from.
pub(crate) struct Tail {
    source: Source,
    line: Vec<u8>,
    needles: [String; 3],
}

enum Source {
    File { path: PathBuf, file: Option<File> },
    Journal(Child),
}

impl Tail {
    /// Of a file, from its end on. It may appear later, and begin anew.
    pub(crate) fn of_file(path: &Path, strategy: &StrategyName) -> Self {
        let mut file = File::open(path).ok();
        // A log that cannot be positioned is read from its start.
        if let Some(file) = &mut file {
            let _ = file.seek(SeekFrom::End(0));
        }
        Self::new(Source::File { path: path.to_owned(), file }, strategy)
    }

    /// Of systemd's journal, from now on.
    ///
    /// # Errors
    /// When `journalctl` cannot be started.
    pub(crate) fn of_journal(unit: &str, strategy: &StrategyName) -> io::Result<Self> {
        let mut journalctl = Command::new("journalctl");
        journalctl.args(["--follow", "--lines=0", "--output=cat", "--unit", unit]);
        Self::of_program(&mut journalctl, strategy)
    }

    fn of_program(program: &mut Command, strategy: &StrategyName) -> io::Result<Self> {
        let child = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.as_ref().expect("it is piped");
        rustix::io::ioctl_fionbio(stdout, true)?;
        Ok(Self::new(Source::Journal(child), strategy))
    }

    fn new(source: Source, strategy: &StrategyName) -> Self {
        // As the log writes a text, and a name; and the ids of its orders, in lines of orders and fills.
        let needles =
            [format!("strategy=\"{strategy}\""), format!("strategy={strategy} "), format!("=sp-{strategy}-")];
        Self { source, line: Vec::new(), needles }
    }

    /// What can be waited for; a file cannot.
    pub(crate) fn wakes(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::File { .. } => None,
            Source::Journal(child) => child.stdout.as_ref().map(AsFd::as_fd),
        }
    }

    /// Whole lines about the strategy that came since the last time. Never waits.
    ///
    /// # Errors
    /// When the log cannot be read, or journalctl has ended.
    pub(crate) fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut bytes = Vec::new();
        match &mut self.source {
            Source::File { path, file } => {
                if file.as_ref().is_none_or(|file| has_begun_anew(file, path)) {
                    *file = File::open(path).ok();
                    self.line.clear();
                }
                if let Some(file) = file {
                    file.take(LOOK_MAX as u64).read_to_end(&mut bytes)?;
                }
            }
            Source::Journal(child) => {
                let stdout = child.stdout.as_mut().expect("it is piped");
                match stdout.take(LOOK_MAX as u64).read_to_end(&mut bytes) {
                    // An end, and not only the most that is taken in.
                    Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "journalctl has ended")),
                    Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(self.split(&bytes))
    }

    fn split(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = String::from_utf8_lossy(&self.line).into_owned();
                    self.line.clear();
                    // A name at the end of a line has nothing behind it.
                    if self.needles.iter().any(|needle| format!("{line} ").contains(needle)) {
                        found.push(line);
                    }
                }
                _ if self.line.len() < LINE_MAX => self.line.push(*byte),
                _ => {}
            }
        }
        found
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        if let Source::Journal(child) = &mut self.source {
            // Both fail only when it has ended already.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Whether another file has this name now, or the same one was cut.
fn has_begun_anew(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), path.metadata()) else { return false };
    let at = (&mut &*file).stream_position().unwrap_or(0);
    open.ino() != named.ino() || named.len() < at
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    #[test]
    fn lines_of_the_strategy_are_shown_whole_as_they_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::write(&path, "before strategy=\"trend\"\n").expect("a log");
        let name = StrategyName::parse("trend").expect("a name");
        let mut tail = Tail::of_file(&path, &name);
        let mut log = fs::OpenOptions::new().append(true).open(&path).expect("opens");
        let mut check = |text: &str, expected: &[&str]| {
            log.write_all(text.as_bytes()).expect("writes");
            assert_eq!(tail.lines().expect("reads"), expected, "{text}");
        };
        check("", &[]);
        check("a strategy=\"trend\" b\nc strategy=\"trend_2\"\nd strat", &["a strategy=\"trend\" b"]);
        check("egy=trend", &[]);
        check("\ne strategy=trend f\n", &["d strategy=trend", "e strategy=trend f"]);
        check(
            " fill order=sp-trend-5f-1 x\n fill order=sp-trend_2-5f-1 x\n",
            &[" fill order=sp-trend-5f-1 x"],
        );
        fs::remove_file(&path).expect("rotated");
        fs::write(&path, "g strategy=trend\n").expect("a new log");
        assert_eq!(tail.lines().expect("reads"), ["g strategy=trend"]);
        fs::write(&path, "").expect("cut");
        assert!(tail.lines().expect("reads").is_empty());
        let mut later = Tail::of_file(&folder.path().join("later"), &name);
        assert!(later.lines().expect("nothing yet").is_empty());
        fs::write(folder.path().join("later"), "strategy=trend\n").expect("a log");
        assert_eq!(later.lines().expect("reads"), ["strategy=trend"]);
    }

    #[test]
    fn the_end_of_a_program_is_no_silence() {
        let name = StrategyName::parse("trend").expect("a name");
        let mut echo = Command::new("echo");
        let mut tail = Tail::of_program(echo.arg("strategy=trend"), &name).expect("it runs");
        let Source::Journal(child) = &mut tail.source else { panic!("a program was started") };
        child.wait().expect("it ends");
        // The line and the end come in one look; whoever looks again is told of the end.
        assert_eq!(tail.lines().expect("its line"), ["strategy=trend"]);
        assert_eq!(tail.lines().expect_err("nothing comes").to_string(), "journalctl has ended");
    }
}
