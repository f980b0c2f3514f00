//! The state directory: the lock, the armed file, the latch, and how they are written so that they last.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use sandpit_contract::{ARMED_FILE, Armed, LATCH_FILE, Latch, Layer};

use crate::{
    error::Error,
    machine::{Files, Presence},
};

/// Held by the one watchdog of this directory.
const LOCK_FILE: &str = "watchdog.lock";
/// A latch's space, taken before it is needed: a full disk must not stop a kill.
const SPARE_FILE: &str = "latch.spare";
/// Bytes taken: more than the longest latch.
const SPARE_BYTES: usize = 4096;

/// Creates the directory if need be.
///
/// # Errors
/// When it cannot be.
pub(crate) fn create(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|cause| Error::StateUnusable { path: path.into(), cause })
}

/// The directory's one owner, as long as it lives.
pub(crate) struct Lock {
    _file: File,
}

/// Takes the directory.
///
/// # Errors
/// When it cannot be written, or another watchdog has it.
pub(crate) fn lock(path: &Path) -> Result<Lock, Error> {
    create(path)?;
    let unusable = |cause| Error::StateUnusable { path: path.into(), cause };
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK_FILE));
    let file = open.map_err(unusable)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::StateInUse { path: path.into() }),
        Err(errno) => Err(unusable(errno.into())),
    }
}

/// Whether something of any type is at `path`; links are not followed.
pub(crate) fn presence(path: &Path) -> Presence {
    match fs::symlink_metadata(path) {
        Ok(_) => Presence::Present,
        Err(error) if error.kind() == ErrorKind::NotFound => match path.parent().map(fs::symlink_metadata) {
            // Without its directory a file is not absent: it cannot be put there.
            Some(Err(_)) => Presence::Unknown,
            Some(Ok(_)) | None => Presence::Absent,
        },
        Err(_) => Presence::Unknown,
    }
}

/// One look at everything that decides.
pub(crate) fn look(state_dir: &Path, flag: &Path) -> Files {
    Files {
        flag: presence(flag),
        armed: presence(&state_dir.join(ARMED_FILE)),
        latch: presence(&state_dir.join(LATCH_FILE)),
    }
}

/// The latch of an earlier life. One that cannot be read is one, and so is one whose absence cannot be seen.
pub(crate) fn read(state_dir: &Path) -> Option<Latch> {
    let path = state_dir.join(LATCH_FILE);
    let reason = match fs::read(&path) {
        Ok(bytes) => match Latch::from_bytes(&bytes) {
            Ok(latch) => return Some(latch),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => format!("the latch file cannot be read: {error}"),
    };
    Some(Latch { at_unix_s: 0, layer: Layer::Operator, reason, epoch: 0, suspended: false })
}

/// Writes latches into space that is already there.
pub(crate) struct LatchWriter {
    state_dir: PathBuf,
    directory: File,
    spare: Option<File>,
}

impl LatchWriter {
    /// Opens the directory and takes the space.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub(crate) fn prepare(state_dir: &Path) -> Result<Self, Error> {
        let unusable = |cause| Error::StateUnusable { path: state_dir.into(), cause };
        let directory = File::open(state_dir).map_err(unusable)?;
        let spare = Some(take_space(state_dir).map_err(unusable)?);
        Ok(Self { state_dir: state_dir.into(), directory, spare })
    }

    /// Puts the latch in place, then removes `armed`; both last when this returns.
    ///
    /// # Errors
    /// When the latch is not on disk; `armed` may be gone or not, the caller tries again.
    pub(crate) fn write(&mut self, latch: &Latch) -> io::Result<()> {
        let spare = match self.spare.take() {
            Some(spare) => spare,
            None => take_space(&self.state_dir)?,
        };
        let mut bytes = latch.to_bytes();
        bytes.resize(bytes.len().max(SPARE_BYTES), b' ');
        spare.write_all_at(&bytes, 0)?;
        spare.sync_all()?;
        fs::rename(self.state_dir.join(SPARE_FILE), self.state_dir.join(LATCH_FILE))?;
        self.directory.sync_all()?;
        self.disarm()
    }

    /// Removes `armed`; done once more at a start with a latch, which a crash may have left half done.
    ///
    /// # Errors
    /// When it is still there.
    pub(crate) fn disarm(&self) -> io::Result<()> {
        remove(&self.state_dir.join(ARMED_FILE))?;
        self.directory.sync_all()
    }

    /// Takes the space for a next latch, if it is not there.
    pub(crate) fn refill(&mut self) -> io::Result<()> {
        if self.spare.is_none() {
            self.spare = Some(take_space(&self.state_dir)?);
        }
        Ok(())
    }
}

fn take_space(state_dir: &Path) -> io::Result<File> {
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).open(state_dir.join(SPARE_FILE))?;
    file.write_all(&[b' '; SPARE_BYTES])?;
    file.sync_all()?;
    Ok(file)
}

/// Arms: writes `armed`, then removes the latch, each made to last.
///
/// # Errors
/// When either does not last; then the directory still says *killed* or *not armed*.
pub(crate) fn arm(state_dir: &Path, armed: &Armed) -> io::Result<()> {
    let directory = File::open(state_dir)?;
    let fresh = state_dir.join("armed.new");
    let mut file = File::create(&fresh)?;
    file.write_all(&armed.to_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, state_dir.join(ARMED_FILE))?;
    directory.sync_all()?;
    remove(&state_dir.join(LATCH_FILE))?;
    directory.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latch() -> Latch {
        Latch { at_unix_s: 7, layer: Layer::Flag, reason: "x".repeat(400), epoch: 9, suspended: true }
    }

    #[test]
    fn a_latch_takes_the_place_of_armed_and_an_operator_takes_it_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let flag = dir.path().join("flag");
        let armed = Armed { at_unix_s: 1, reason: "test".into() };
        let see = || {
            let files = look(dir.path(), &flag);
            (files.armed, files.latch)
        };
        arm(dir.path(), &armed).expect("armed");
        assert_eq!(see(), (Presence::Present, Presence::Absent));
        let mut writer = LatchWriter::prepare(dir.path()).expect("space");
        for _ in 0..2 {
            writer.write(&latch()).expect("written");
            assert_eq!(see(), (Presence::Absent, Presence::Present));
            assert_eq!(read(dir.path()), Some(latch()));
        }
        arm(dir.path(), &armed).expect("re-armed");
        assert_eq!(see(), (Presence::Present, Presence::Absent));
        assert_eq!(read(dir.path()), None);
    }

    #[test]
    fn what_cannot_be_read_is_killed_and_not_armed() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(LATCH_FILE), b"\0\0").expect("written");
        assert!(read(dir.path()).is_some_and(|latch| !latch.suspended));
        let gone = dir.path().join("gone");
        let files = look(&gone, &gone.join("flag"));
        let unknown = Presence::Unknown;
        assert_eq!(files, Files { flag: unknown, armed: unknown, latch: unknown });
    }

    #[test]
    fn a_flag_is_whatever_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let flag = dir.path().join("flag");
        assert_eq!(presence(&flag), Presence::Absent);
        fs::create_dir(&flag).expect("a directory");
        assert_eq!(presence(&flag), Presence::Present);
        fs::remove_dir(&flag).expect("gone");
        std::os::unix::fs::symlink("/nowhere", &flag).expect("a link");
        assert_eq!(presence(&flag), Presence::Present);
    }

    #[test]
    fn there_is_one_watchdog_a_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = lock(dir.path()).expect("ours");
        assert!(matches!(lock(dir.path()), Err(Error::StateInUse { .. })));
        drop(first);
        lock(dir.path()).expect("ours again");
        fs::write(dir.path().join("file"), b"").expect("written");
        assert!(matches!(lock(&dir.path().join("file/state")), Err(Error::StateUnusable { .. })));
    }
}
