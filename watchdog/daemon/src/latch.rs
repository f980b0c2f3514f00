//! The state directory: the lock, the armed file, the latch, and how they are written so that they last.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use sandpit_contract::{ARMED_FILE, Armed, LATCH_FILE, Latch, Layer, Policy};

use crate::{
    ambient,
    error::Error,
    machine::{Files, Presence},
};

/// Held by the one watchdog of this directory.
const LOCK_FILE: &str = "watchdog.lock";
/// A latch's space, taken before it is needed: a full disk must not stop a kill.
const SPARE_FILE: &str = "latch.spare";
/// Where `arm` moves a latch before it removes it.
const TAKEN_FILE: &str = "latch.taken";
/// A latch is never longer; of somebody else's file no more is read.
const MAX_LATCH_BYTES: u64 = 64 * 1024;
/// No secret is in it.
const ARMED_MODE: u32 = 0o644;
/// An `arm` and a start of the watchdog wait so long for each other, and look so often.
const TURN_WAIT: Duration = Duration::from_secs(1);
const TURN_PAUSE: Duration = Duration::from_millis(5);
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
    match lock_file(&path.join(LOCK_FILE)) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Error::StateInUse { path: path.into() }),
        Err(cause) => Err(Error::StateUnusable { path: path.into(), cause }),
    }
}

/// Takes the socket's path, by a file of its own next to it: a second watchdog must not put its socket in
/// place of the first one's.
///
/// # Errors
/// When the directory cannot be written, or another watchdog has the path.
pub(crate) fn lock_socket(path: &Path) -> Result<Lock, Error> {
    let address = |cause| Error::Address { path: path.into(), cause };
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(address)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    match lock_file(Path::new(&name)) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Error::SocketInUse { path: path.into() }),
        Err(cause) => Err(address(cause)),
    }
}

/// Takes a file; `None` when somebody else has it.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn lock_file(path: &Path) -> io::Result<Option<Lock>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
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
    read_or(state_dir, Policy::default())
}

/// As [`read`]; of a latch that does not say what its kill does, it is `policy`.
pub(crate) fn read_or(state_dir: &Path, policy: Policy) -> Option<Latch> {
    let path = state_dir.join(LATCH_FILE);
    let reason = match fs::read(&path) {
        Ok(bytes) => match Latch::from_bytes(&bytes) {
            Ok(latch) => return Some(latch),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => format!("the latch file cannot be read: {error}"),
    };
    Some(Latch { at_unix_s: 0, layer: Layer::Operator, reason, epoch: 0, suspended: false, policy })
}

/// Writes latches into space that is already there.
pub(crate) struct LatchWriter {
    state_dir: PathBuf,
    directory: File,
    spare: Option<File>,
}

impl LatchWriter {
    /// Opens the directory and takes the space. A full disk is no reason not to guard: then there is none
    /// yet, and a latch takes its space when it is written.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub(crate) fn prepare(state_dir: &Path) -> Result<Self, Error> {
        let unusable = |cause| Error::StateUnusable { path: state_dir.into(), cause };
        let directory = File::open(state_dir).map_err(unusable)?;
        let spare = match take_space(state_dir) {
            Err(cause) if matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => None,
            taken => Some(taken.map_err(unusable)?),
        };
        Ok(Self { state_dir: state_dir.into(), directory, spare })
    }

    /// Whether a latch has its space.
    pub(crate) fn has_space(&self) -> bool {
        self.spare.is_some()
    }

    /// Puts the latch in place, then removes `armed`; both last when this returns.
    ///
    /// # Errors
    /// When the latch is not on disk; `armed` may be gone or not, the caller tries again.
    pub(crate) fn write(&mut self, latch: &Latch) -> io::Result<()> {
        let placed = self.place(latch);
        // Whatever became of the latch: without `armed` nobody trades.
        let disarmed = self.disarm();
        placed.and(disarmed)
    }

    /// The space is given up only once it has become the latch.
    fn place(&mut self, latch: &Latch) -> io::Result<()> {
        self.refill()?;
        if let Some(spare) = &self.spare {
            let mut bytes = latch.to_bytes();
            bytes.resize(bytes.len().max(SPARE_BYTES), b' ');
            spare.write_all_at(&bytes, 0)?;
            // In its place before the disk has it: a next life of ours that begins meanwhile sees it. What a
            // death of the machine makes of it cannot be read, and means *killed* as well.
            fs::rename(self.state_dir.join(SPARE_FILE), self.state_dir.join(LATCH_FILE))?;
            if let Some(latch) = self.spare.take() {
                latch.sync_all()?;
            }
        }
        self.directory.sync_all()
    }

    /// The latch of an earlier life, at a start; one that does not say what its kill does has `policy`. With
    /// it goes the `armed` beside it, which a crash may have left. That of an `arm` under way is not touched:
    /// as long as its latch is there nobody trades, and when that goes, a human has armed.
    ///
    /// # Errors
    /// When `armed` is still there, though no `arm` is under way.
    pub(crate) fn resume(&self, policy: Policy) -> io::Result<Option<Latch>> {
        let directory = File::open(&self.state_dir)?;
        let is_ours = take_turn(&directory)?;
        let found = read_or(&self.state_dir, policy);
        if found.is_some() && is_ours {
            self.disarm()?;
        }
        Ok(found)
    }

    /// Removes `armed`.
    ///
    /// # Errors
    /// When it is still there.
    fn disarm(&self) -> io::Result<()> {
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

/// What an earlier life took is not given back to a disk that may be full.
fn take_space(state_dir: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(state_dir.join(SPARE_FILE))?;
    file.write_all_at(&[b' '; SPARE_BYTES], 0)?;
    file.set_len(SPARE_BYTES as u64)?;
    file.sync_all()?;
    Ok(file)
}

/// Which latch it is: another one with the same words is another one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    bytes: Vec<u8>,
    inode: u64,
    changed: (i64, i64),
}

/// The latch that is there now, for [`arm`].
///
/// # Errors
/// When one is there that cannot be read.
pub(crate) fn mark(state_dir: &Path) -> io::Result<Option<Mark>> {
    mark_of(&state_dir.join(LATCH_FILE))
}

fn mark_of(path: &Path) -> io::Result<Option<Mark>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let found = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(MAX_LATCH_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(Mark { bytes, inode: found.ino(), changed: (found.mtime(), found.mtime_nsec()) }))
}

/// Arms: writes `armed`, then removes the latch that was `read`, each made to last. A kill that came since
/// then is not undone: its latch, or the flag, stays, and `armed` goes.
///
/// # Errors
/// [`Error::KilledMeanwhile`] and [`Error::Flagged`]; or when either file does not last: then the directory
/// still says *killed* or *not armed*.
pub(crate) fn arm(state_dir: &Path, flag: &Path, read: Option<&Mark>, armed: &Armed) -> Result<(), Error> {
    let unusable = |cause| Error::StateUnusable { path: state_dir.into(), cause };
    let directory = File::open(state_dir).map_err(unusable)?;
    if !take_turn(&directory).map_err(unusable)? {
        return Err(unusable(io::Error::other("a watchdog is starting there, or another `arm` runs")));
    }
    write_armed(state_dir, &directory, armed).map_err(unusable)?;
    let freed = check_flag(flag).and_then(|()| remove_latch(state_dir, read));
    if freed.is_err() {
        remove(&state_dir.join(ARMED_FILE)).map_err(unusable)?;
    }
    directory.sync_all().map_err(unusable)?;
    freed
}

/// An `arm` and a start of the watchdog change the files one after the other: whoever is the first has the
/// turn as long as its `directory` is open. False when the other one does not end.
fn take_turn(directory: &File) -> io::Result<bool> {
    let end = ambient::boot_time() + TURN_WAIT;
    loop {
        match flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) if ambient::boot_time() < end => ambient::pause(TURN_PAUSE),
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Nothing is armed while the flag is there, or cannot be seen.
///
/// # Errors
/// In both cases.
pub(crate) fn check_flag(flag: &Path) -> Result<(), Error> {
    match presence(flag) {
        Presence::Absent => Ok(()),
        Presence::Present => Err(Error::Flagged { path: flag.into() }),
        Presence::Unknown => Err(Error::Unseen { path: flag.into() }),
    }
}

fn write_armed(state_dir: &Path, directory: &File, armed: &Armed) -> io::Result<()> {
    let fresh = state_dir.join("armed.new");
    let mut file = File::create(&fresh)?;
    // Also one that root wrote with a narrow mask: the watchdog reads since when it is armed.
    file.set_permissions(fs::Permissions::from_mode(ARMED_MODE))?;
    file.write_all(&armed.to_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, state_dir.join(ARMED_FILE))?;
    directory.sync_all()
}

/// Compares before, so that a fresh latch is never out of its place, and once more what was really taken, so
/// that none is lost between the look and the move.
fn remove_latch(state_dir: &Path, read: Option<&Mark>) -> Result<(), Error> {
    let unusable = |cause| Error::StateUnusable { path: state_dir.into(), cause };
    let killed = || Error::KilledMeanwhile { path: state_dir.into() };
    let (latch, taken) = (state_dir.join(LATCH_FILE), state_dir.join(TAKEN_FILE));
    if mark_of(&latch).map_err(unusable)?.as_ref() != read {
        return Err(killed());
    }
    if read.is_none() {
        return Ok(());
    }
    match fs::rename(&latch, &taken) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(killed()),
        renamed => renamed.map_err(unusable)?,
    }
    if mark_of(&taken).map_err(unusable)?.as_ref() != read {
        fs::rename(&taken, &latch).map_err(unusable)?;
        return Err(killed());
    }
    remove(&taken).map_err(unusable)
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

    fn armed() -> Armed {
        Armed { at_unix_s: 1, reason: "test".into() }
    }

    /// As the command does it, with `meanwhile` between its first read and its last look.
    fn arm_while(dir: &Path, meanwhile: impl FnOnce()) -> Result<(), Error> {
        let read = mark(dir).expect("readable");
        meanwhile();
        arm(dir, &dir.join("flag"), read.as_ref(), &armed())
    }

    #[test]
    fn what_arms_is_readable_whatever_the_mask() {
        let dir = tempfile::tempdir().expect("a directory");
        let mask = rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
        let armed = arm_while(dir.path(), || {});
        rustix::process::umask(mask);
        armed.expect("armed");
        let mode = fs::metadata(dir.path().join(ARMED_FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, ARMED_MODE);
    }

    #[test]
    fn a_kill_that_comes_while_arm_runs_is_not_undone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path();
        let see = || {
            let files = look(path, &path.join("flag"));
            (files.armed, files.latch)
        };
        let mut writer = LatchWriter::prepare(path).expect("space");
        // A first kill, and then one with the very same words.
        for _ in 0..2 {
            let result = arm_while(path, || writer.write(&latch()).expect("written"));
            assert!(matches!(result, Err(Error::KilledMeanwhile { .. })), "{result:?}");
            assert_eq!(see(), (Presence::Absent, Presence::Present));
        }
        let result = arm_while(path, || fs::write(path.join("flag"), b"").expect("written"));
        assert!(matches!(result, Err(Error::Flagged { .. })), "{result:?}");
        assert_eq!(see(), (Presence::Absent, Presence::Present));
        fs::remove_file(path.join("flag")).expect("ours");
        arm_while(path, || {}).expect("armed");
        assert_eq!(see(), (Presence::Present, Presence::Absent));
        assert_eq!(presence(&path.join(TAKEN_FILE)), Presence::Absent);
    }

    #[test]
    fn a_start_takes_no_arming_away_that_is_under_way() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path();
        let mut writer = LatchWriter::prepare(path).expect("space");
        writer.write(&latch()).expect("written");
        // What a crash left half done.
        fs::write(path.join(ARMED_FILE), armed().to_bytes()).expect("written");
        assert_eq!(writer.resume(Policy::Cancel).expect("read"), Some(latch()));
        assert_eq!(presence(&path.join(ARMED_FILE)), Presence::Absent);
        // An `arm` that stands still between its two steps.
        let underway = File::open(path).expect("a directory");
        assert!(take_turn(&underway).expect("a lock"));
        fs::write(path.join(ARMED_FILE), armed().to_bytes()).expect("written");
        assert_eq!(writer.resume(Policy::Cancel).expect("read"), Some(latch()));
        assert_eq!(presence(&path.join(ARMED_FILE)), Presence::Present, "a human's");
        let result = arm_while(path, || {});
        assert!(matches!(result, Err(Error::StateUnusable { .. })), "{result:?}");
        assert_eq!(presence(&path.join(LATCH_FILE)), Presence::Present);
    }

    #[test]
    fn whoever_arms_while_a_watchdog_starts_has_armed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path();
        let mut writer = LatchWriter::prepare(path).expect("space");
        for round in 0..40 {
            writer.write(&latch()).expect("written");
            let gate = std::sync::Barrier::new(2);
            std::thread::scope(|both| {
                let arming = both.spawn(|| {
                    gate.wait();
                    arm_while(path, || {})
                });
                gate.wait();
                writer.resume(Policy::Cancel).expect("read");
                arming.join().expect("no panic").expect("armed");
            });
            let files = look(path, &path.join("flag"));
            assert_eq!((files.armed, files.latch), (Presence::Present, Presence::Absent), "round {round}");
        }
    }

    #[test]
    fn a_latch_that_cannot_be_written_disarms_and_keeps_its_space() {
        let dir = tempfile::tempdir().expect("a directory");
        arm_while(dir.path(), || {}).expect("armed");
        // Something of another type is in the latch's place.
        fs::create_dir_all(dir.path().join(LATCH_FILE).join("sub")).expect("created");
        let mut writer = LatchWriter::prepare(dir.path()).expect("space");
        writer.write(&latch()).expect_err("a directory is there");
        assert_eq!(presence(&dir.path().join(ARMED_FILE)), Presence::Absent);
        assert!(writer.spare.is_some(), "no space has to be found for the next try");
        fs::remove_dir_all(dir.path().join(LATCH_FILE)).expect("ours");
        writer.write(&latch()).expect("written");
        assert_eq!(read(dir.path()), Some(latch()));
    }

    #[test]
    fn there_is_one_watchdog_a_socket() {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("sub/s");
        let first = lock_socket(&socket).expect("ours");
        assert!(matches!(lock_socket(&socket), Err(Error::SocketInUse { .. })));
        drop(first);
        lock_socket(&socket).expect("ours again");
    }

    fn latch() -> Latch {
        let reason = "x".repeat(400);
        let policy = Policy::CancelKeepStops;
        Latch { at_unix_s: 7, layer: Layer::Flag, reason, epoch: 9, suspended: true, policy }
    }

    #[test]
    fn a_latch_takes_the_place_of_armed_and_an_operator_takes_it_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let flag = dir.path().join("flag");
        let see = || {
            let files = look(dir.path(), &flag);
            (files.armed, files.latch)
        };
        arm_while(dir.path(), || {}).expect("armed");
        assert_eq!(see(), (Presence::Present, Presence::Absent));
        let mut writer = LatchWriter::prepare(dir.path()).expect("space");
        for _ in 0..2 {
            writer.write(&latch()).expect("written");
            assert_eq!(see(), (Presence::Absent, Presence::Present));
            assert_eq!(read(dir.path()), Some(latch()));
        }
        arm_while(dir.path(), || {}).expect("re-armed");
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
