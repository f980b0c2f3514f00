//! The last saved state of each strategy, on disk: `STATE/MODE/snapshots/NAME`.
//!
//! A thread of its own writes, so that no strategy waits for the disk; of several that wait, the newest
//! counts. A file is written whole beside the old one and renamed over it, and bears a checksum and the
//! account: one that is damaged or of another account is said and ignored, and its strategy starts without
//! it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use sandpit_strategy::{STATE_BYTES_MAX, Snapshot, TEXT_BYTES, TIMERS_MAX};
use sandpit_types::{MarketTime, StrategyName};
use sha2::{Digest, Sha256};

/// How every file begins.
const MAGIC: &[u8; 18] = b"sandpit-snapshot-1";
const CHECKSUM_BYTES: usize = 32;
/// No file is longer: one that is was not written by us.
const FILE_BYTES_MAX: usize =
    MAGIC.len() + CHECKSUM_BYTES + 3 * TEXT_BYTES + 16 * TIMERS_MAX + STATE_BYTES_MAX + 64;

/// A snapshot, and the component that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Checksum of the component's file, in hexadecimal digits.
    pub(crate) sha256: String,
    /// What it saved.
    pub(crate) snapshot: Snapshot,
}

/// Keeps snapshots. Clones share one thread, which ends with the last of them.
#[derive(Clone)]
pub(crate) struct Snapshots {
    folder: PathBuf,
    /// Whose they are: a state of another account speaks of positions and orders that are not there.
    account: Arc<str>,
    desk: Arc<WritingDesk>,
}

#[derive(Default)]
struct WritingDesk {
    tray: Mutex<Tray>,
    changed: Condvar,
}

#[derive(Default)]
struct Tray {
    /// The newest of each strategy that is to be written.
    waiting: BTreeMap<StrategyName, Kept>,
    /// Newer than what is on the disk, one of each strategy: being written, or the disk did not take it.
    in_hand: BTreeMap<StrategyName, Kept>,
    is_writing: bool,
}

impl Snapshots {
    /// Snapshots of this account in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or no thread can be started.
    pub(crate) fn start(folder: PathBuf, account: &str) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let (desk, account) = (Arc::new(WritingDesk::default()), Arc::<str>::from(account));
        let (own, place, of) = (Arc::clone(&desk), folder.clone(), Arc::clone(&account));
        thread::Builder::new().name("snapshots".into()).spawn(move || own.write_all(&place, &of))?;
        Ok(Self { folder, account, desk })
    }

    /// Has it written soon. Never waits.
    pub(crate) fn keep(&self, strategy: &StrategyName, kept: Kept) {
        self.desk.lock().waiting.insert(strategy.clone(), kept);
        self.desk.changed.notify_all();
    }

    /// Waits until everything that was to be kept is on the disk, at most so long; whether it is. Real time.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let is_busy = |tray: &mut Tray| tray.is_writing || !tray.waiting.is_empty();
        let waited = self.desk.changed.wait_timeout_while(self.desk.lock(), within, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// What a strategy starts from, if it has saved anything that can be used; that it does is said.
    pub(crate) fn begin_from(&self, strategy: &StrategyName) -> Option<Kept> {
        let kept = self.newest(strategy)?;
        let Kept { sha256, snapshot } = &kept;
        let (strategy, of, bytes) = (strategy.as_str(), snapshot.time, snapshot.state.len());
        tracing::info!(strategy, %of, bytes, sha256, "the strategy starts from the state that it saved");
        Some(kept)
    }

    /// The newest snapshot of a strategy, if it has one that can be used.
    fn newest(&self, strategy: &StrategyName) -> Option<Kept> {
        {
            let tray = self.desk.lock();
            if let Some(kept) = tray.waiting.get(strategy).or_else(|| tray.in_hand.get(strategy)) {
                return Some(kept.clone());
            }
        }
        read(&self.folder.join(strategy.as_str()), &self.account).unwrap_or_else(|problem| {
            tracing::warn!(
                strategy = strategy.as_str(),
                "its snapshot is not used, it starts without: {problem}"
            );
            None
        })
    }
}

impl WritingDesk {
    fn write_all(&self, folder: &Path, account: &str) {
        let mut is_failing = false;
        loop {
            let mut tray = self.lock();
            while tray.waiting.is_empty() {
                tray.is_writing = false;
                self.changed.notify_all();
                tray = self.changed.wait(tray).unwrap_or_else(PoisonError::into_inner);
            }
            tray.is_writing = true;
            let Some((strategy, kept)) = tray.waiting.pop_first() else { continue };
            tray.in_hand.insert(strategy.clone(), kept.clone());
            drop(tray);
            self.changed.notify_all();
            match write(folder, strategy.as_str(), account, &kept) {
                Ok(()) => {
                    is_failing = false;
                    self.lock().in_hand.remove(&strategy);
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        let strategy = strategy.as_str();
                        tracing::error!(
                            strategy, %error,
                            "snapshots cannot be written: the next host has old ones"
                        );
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a file whole, or leaves the old one.
fn write(folder: &Path, name: &str, account: &str, kept: &Kept) -> io::Result<()> {
    let (new, place) = (folder.join(format!("{name}.new")), folder.join(name));
    let mut file = File::create(&new)?;
    file.write_all(&encode(account, kept))?;
    file.sync_all()?;
    fs::rename(&new, &place)?;
    File::open(folder)?.sync_all()
}

/// What a file of this account holds; nothing when there is none.
fn read(path: &Path, account: &str) -> Result<Option<Kept>, String> {
    let bytes = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(found) if found.len() > FILE_BYTES_MAX as u64 => return Err("it is too long".into()),
        Ok(_) => fs::read(path).map_err(|error| error.to_string())?,
    };
    match decode(&bytes) {
        Some((of, kept)) if of == account => Ok(Some(kept)),
        Some((of, _)) => Err(format!("{} is of the account {of:?}", path.display())),
        None => Err(format!("{} is damaged", path.display())),
    }
}

/// Magic, checksum of the rest, account, checksum of the component, version, time, timers, state. Numbers are
/// little-endian, lengths come first.
fn encode(account: &str, kept: &Kept) -> Vec<u8> {
    let Snapshot { version, time, timers, state } = &kept.snapshot;
    let mut body = Vec::with_capacity(state.len() + 1_024);
    put(&mut body, account.as_bytes());
    put(&mut body, kept.sha256.as_bytes());
    put(&mut body, version.as_bytes());
    body.extend(time.as_nanos().to_le_bytes());
    body.extend((timers.len() as u64).to_le_bytes());
    for (at, id) in timers {
        body.extend(at.as_nanos().to_le_bytes());
        body.extend(id.to_le_bytes());
    }
    put(&mut body, state);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(Sha256::digest(&body));
    bytes.extend(body);
    bytes
}

fn put(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend((bytes.len() as u64).to_le_bytes());
    body.extend(bytes);
}

/// The account, and what was kept.
fn decode(bytes: &[u8]) -> Option<(String, Kept)> {
    let (checksum, body) = bytes.strip_prefix(MAGIC)?.split_at_checked(CHECKSUM_BYTES)?;
    if Sha256::digest(body)[..] != *checksum {
        return None;
    }
    let mut rest = Rest(body);
    let account = rest.text()?;
    let sha256 = rest.text()?;
    let version = rest.text()?;
    let time = rest.time()?;
    let count = usize::try_from(rest.number()?).ok().filter(|count| *count <= TIMERS_MAX)?;
    let timers = (0..count).map(|_| Some((rest.time()?, rest.number()?))).collect::<Option<_>>()?;
    let state = rest.bytes()?.into();
    let kept = Kept { sha256, snapshot: Snapshot { version, time, timers, state } };
    rest.0.is_empty().then_some((account, kept))
}

/// What is still to be read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn time(&mut self) -> Option<MarketTime> {
        Some(MarketTime::from_nanos(self.number()?.cast_signed()))
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    const ACCOUNT: &str = "one";

    fn start(folder: &Path) -> Snapshots {
        Snapshots::start(folder.to_owned(), ACCOUNT).expect("it can be used")
    }

    fn kept(state: &[u8]) -> Kept {
        let at = MarketTime::from_secs;
        let timers = vec![(at(5), 1), (at(7), u64::MAX)];
        let snapshot = Snapshot { version: "1.2".into(), time: at(-3), timers, state: state.into() };
        Kept { sha256: "ab".repeat(32), snapshot }
    }

    fn name() -> StrategyName {
        StrategyName::parse("sma").expect("a name")
    }

    #[test]
    fn what_is_kept_is_what_the_next_host_finds() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("snapshots");
        let snapshots = start(&place);
        assert_eq!(snapshots.newest(&name()), None);
        for round in 0..20_u8 {
            snapshots.keep(&name(), kept(&vec![round; 1 << 16]));
        }
        assert!(snapshots.flush(LONG));
        let last = kept(&vec![19; 1 << 16]);
        assert_eq!(snapshots.newest(&name()), Some(last.clone()));
        let next = start(&place);
        assert_eq!(next.newest(&name()), Some(last));
        let files: Vec<_> =
            fs::read_dir(&place).expect("there").map(|it| it.expect("one").file_name()).collect();
        assert_eq!(files, ["sma"], "nothing half written is left");
    }

    #[test]
    fn a_damaged_one_is_as_good_as_none() {
        let whole = encode(ACCOUNT, &kept(b"state"));
        assert_eq!(decode(&whole), Some((ACCOUNT.to_owned(), kept(b"state"))));
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert_eq!(decode(&bytes), None, "a flipped bit in byte {at}");
            assert_eq!(decode(&whole[..at]), None, "cut after {at}");
        }
        assert_eq!(decode(&[&whole[..], b"x"].concat()), None);
        let folder = tempfile::tempdir().expect("a folder");
        let snapshots = start(folder.path());
        fs::write(folder.path().join("sma"), &whole[1..]).expect("written");
        assert_eq!(snapshots.newest(&name()), None);
        snapshots.keep(&name(), kept(b"new"));
        assert!(snapshots.flush(LONG));
        assert_eq!(snapshots.newest(&name()), Some(kept(b"new")));
    }

    #[test]
    fn a_folder_that_takes_nothing_holds_nobody_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("snapshots");
        let snapshots = start(&place);
        fs::remove_dir(&place).expect("empty");
        snapshots.keep(&name(), kept(b"lost"));
        assert!(snapshots.flush(LONG), "it is not tried for ever");
        assert_eq!(snapshots.newest(&name()), Some(kept(b"lost")), "by the next host only");
        fs::create_dir(&place).expect("made");
        snapshots.keep(&name(), kept(b"new"));
        assert!(snapshots.flush(LONG));
        assert_eq!(snapshots.newest(&name()), Some(kept(b"new")));
        assert_eq!(start(&place).newest(&name()), Some(kept(b"new")));
    }

    #[test]
    fn what_is_being_written_is_the_newest() {
        let folder = tempfile::tempdir().expect("a folder");
        let snapshots = start(folder.path());
        snapshots.keep(&name(), kept(b"old"));
        assert!(snapshots.flush(LONG));
        // Nobody reads from this pipe, so the write does not come to its end.
        let pipe = folder.path().join("sma.new");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
        snapshots.keep(&name(), kept(b"new"));
        let is_waiting = |tray: &mut Tray| !tray.waiting.is_empty();
        let (tray, bound) = (snapshots.desk.lock(), LONG);
        let waited = snapshots.desk.changed.wait_timeout_while(tray, bound, is_waiting);
        assert!(!waited.expect("no panic").1.timed_out(), "it is taken to be written");
        assert_eq!(snapshots.newest(&name()), Some(kept(b"new")));
        File::open(&pipe).expect("the writer goes on");
        assert!(snapshots.flush(LONG));
        assert_eq!(snapshots.newest(&name()), Some(kept(b"new")), "a pipe takes nothing");
    }

    #[test]
    fn a_state_of_another_account_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let snapshots = start(folder.path());
        snapshots.keep(&name(), kept(b"state"));
        assert!(snapshots.flush(LONG));
        let other = Snapshots::start(folder.path().to_owned(), "another").expect("it can be used");
        assert_eq!((other.newest(&name()), other.begin_from(&name())), (None, None));
        assert_eq!(start(folder.path()).begin_from(&name()), Some(kept(b"state")));
    }
}
