//! The file `quarantines.json`: strategies that a host has still to quarantine, kept over a restart of the
//! watchdog. Who is in it leaves it when the host has obeyed, or a human was told that it does not; arming
//! takes nobody out of it.
//!
//! Nothing waits for it, and a kill needs nothing of it: when it cannot be written, a restart forgets who was
//! to be quarantined, and the next breach names the strategy again.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _, Write as _},
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::log::{Level, Log};

/// Its name in the state directory.
const FILE: &str = "quarantines.json";
/// Strategies that wait at a time; an hour holds fewer breaches, and what comes on top is told to a human.
pub(crate) const WAITING_MAX: usize = 8;
/// A longer file was not written by us.
const BYTES_MAX: u64 = 64 << 10;
/// After so long the disk is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// One that a host has to quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condemned {
    /// Its name.
    pub(crate) strategy: String,
    /// Why.
    pub(crate) reason: String,
}

/// The way to the thread that writes.
pub(crate) struct Waiting(Arc<Slot>);

/// What is to be on the disk; the newest is what counts.
#[derive(Default)]
struct Slot {
    newest: Mutex<Option<Vec<Condemned>>>,
    filled: Condvar,
}

impl Waiting {
    /// Starts the thread. Who waits since an earlier life; a file that says nothing is moved aside.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn open(state_dir: &Path, log: Log) -> io::Result<(Self, Vec<Condemned>)> {
        let waiting = load(state_dir).unwrap_or_else(|error| {
            let moved = fs::rename(state_dir.join(FILE), state_dir.join(format!("{FILE}.corrupt")));
            let kept = if moved.is_ok() { "moved aside" } else { "left there" };
            let text =
                format!("{FILE} cannot be used: {error}; {kept}; who was to be quarantined is not known");
            log.write(Level::Warning, text);
            Vec::new()
        });
        let slot = Arc::new(Slot::default());
        let (own, state_dir) = (Arc::clone(&slot), state_dir.to_owned());
        let thread = std::thread::Builder::new().name("quarantines".into());
        thread.stack_size(crate::STACK_BYTES).spawn(move || own.write_all(&state_dir, &log))?;
        Ok((Self(slot), waiting))
    }

    /// Never waits for the disk.
    pub(crate) fn keep(&self, waiting: Vec<Condemned>) {
        *self.0.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(waiting);
        self.0.filled.notify_one();
    }
}

impl Slot {
    fn write_all(&self, state_dir: &Path, log: &Log) {
        let mut is_failing = false;
        loop {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if is_failing {
                newest =
                    self.filled.wait_timeout(newest, AGAIN_AFTER).unwrap_or_else(PoisonError::into_inner).0;
            }
            let waiting = loop {
                match newest.take() {
                    Some(waiting) => break waiting,
                    None => newest = self.filled.wait(newest).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(newest);
            let Err(error) = write(state_dir, &waiting) else {
                is_failing = false;
                continue;
            };
            if !std::mem::replace(&mut is_failing, true) {
                log.write(Level::Warning, format!("{FILE} could not be written: {error}; tried again"));
            }
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            newest.get_or_insert(waiting);
        }
    }
}

fn load(state_dir: &Path) -> io::Result<Vec<Condemned>> {
    let file = match File::open(state_dir.join(FILE)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let mut waiting: Vec<Condemned> = serde_json::from_slice(&bytes)?;
    waiting.truncate(WAITING_MAX);
    Ok(waiting)
}

/// In place of the old one at once, or not at all.
fn write(state_dir: &Path, waiting: &[Condemned]) -> io::Result<()> {
    let fresh = state_dir.join(format!("{FILE}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(waiting)?)?;
    file.sync_all()?;
    fs::rename(&fresh, state_dir.join(FILE))?;
    File::open(state_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condemned(count: usize) -> Vec<Condemned> {
        let one = |number| Condemned { strategy: format!("s{number}"), reason: "it \"grew\"\n".into() };
        (0..count).map(one).collect()
    }

    fn open(state_dir: &Path) -> (Waiting, Vec<Condemned>) {
        Waiting::open(state_dir, Log::start(None).expect("a thread")).expect("a thread")
    }

    #[test]
    fn the_next_life_knows_who_waits() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(load(dir.path()).expect("none"), []);
        for count in [2, 1, 0] {
            write(dir.path(), &condemned(count)).expect("written");
            assert_eq!(load(dir.path()).expect("a file"), condemned(count));
        }
        write(dir.path(), &condemned(WAITING_MAX + 1)).expect("written");
        assert_eq!(load(dir.path()).expect("a file"), condemned(WAITING_MAX));
    }

    #[test]
    fn what_is_kept_last_comes_to_the_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let (kept, found) = open(dir.path());
        assert_eq!(found, []);
        (0..=5).for_each(|count| kept.keep(condemned(count)));
        let mut looks = 0..2_000;
        while load(dir.path()).expect("whole") != condemned(5) {
            looks.next().expect("written by now");
            crate::ambient::pause(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_file_that_says_nothing_is_moved_aside() {
        for bytes in [&b"\0"[..], b"", b"{}", br#"[{"strategy":1}]"#] {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join(FILE), bytes).expect("written");
            let (_, found) = open(dir.path());
            assert_eq!(found, []);
            assert_eq!(fs::read(dir.path().join("quarantines.json.corrupt")).expect("moved"), bytes);
            assert_eq!(load(dir.path()).expect("none"), []);
        }
        let dir = tempfile::tempdir().expect("a directory");
        assert!(write(&dir.path().join("gone"), &[]).is_err());
    }
}
