//! The last saved state of each strategy, on disk: `STATE/MODE/snapshots/NAME`.
//!
//! A thread of its own writes, so that no strategy waits for the disk; of several that wait, the newest
//! counts. A file is written whole beside the old one and renamed over it, and bears a checksum, the account
//! and the life of the host. One that is damaged, of another account, or of a life of which the records know
//! nothing is said and ignored, and its strategy starts without it: it speaks of orders and positions of
//! another world, such as that before a backup was restored.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use sandpit_strategy::{STATE_BYTES_MAX, Snapshot, TEXT_BYTES, TIMERS_MAX};
use sandpit_types::{HostEpoch, MarketTime, StrategyName};
use sha2::{Digest, Sha256};

/// What the disk did not take is tried again after so long, real time, or as soon as it took another one.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How every file begins.
const MAGIC: &[u8; 18] = b"sandpit-snapshot-2";
const CHECKSUM_BYTES: usize = 32;
/// No file is longer: one that is was not written by us.
const FILE_BYTES_MAX: usize =
    MAGIC.len() + CHECKSUM_BYTES + 8 + 3 * TEXT_BYTES + 16 * TIMERS_MAX + STATE_BYTES_MAX + 64;

/// A snapshot, and the component that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Checksum of the component's file, in hexadecimal digits.
    pub(crate) sha256: String,
    /// What it saved.
    pub(crate) snapshot: Snapshot,
}

/// The world that states speak of.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Whose positions and orders.
    pub(crate) account: String,
    /// This life of the host.
    pub(crate) epoch: HostEpoch,
    /// The lives that the records know, up to some hundred before this one.
    pub(crate) lives: BTreeSet<HostEpoch>,
}

/// Keeps snapshots. Clones share one thread, which ends with the process.
#[derive(Clone)]
pub(crate) struct Snapshots {
    folder: PathBuf,
    world: Arc<World>,
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
    /// What the disk did not take is to be tried again now.
    is_again: bool,
}

impl Snapshots {
    /// Where they lie in the state folder of a mode.
    pub(crate) const FOLDER: &str = "snapshots";

    /// Snapshots of this world in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or no thread can be started.
    pub(crate) fn start(folder: PathBuf, world: World) -> io::Result<Self> {
        Self::start_with(folder, world, AGAIN_AFTER)
    }

    fn start_with(folder: PathBuf, world: World, again: Duration) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let (desk, world) = (Arc::new(WritingDesk::default()), Arc::new(world));
        let (own, place, of) = (Arc::clone(&desk), folder.clone(), Arc::clone(&world));
        thread::Builder::new().name("snapshots".into()).spawn(move || own.write_all(&place, &of, again))?;
        Ok(Self { folder, world, desk })
    }

    /// Has it written soon. Never waits.
    pub(crate) fn keep(&self, strategy: &StrategyName, kept: Kept) {
        self.desk.lock().waiting.insert(strategy.clone(), kept);
        self.desk.changed.notify_all();
    }

    /// Waits until everything that was to be kept was tried, what the disk did not take before once more, at
    /// most so long; whether all of it is on the disk. Real time.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        self.desk.lock().is_again = true;
        self.desk.changed.notify_all();
        let is_busy = |tray: &mut Tray| tray.is_writing || tray.is_again || !tray.waiting.is_empty();
        let waited = self.desk.changed.wait_timeout_while(self.desk.lock(), within, is_busy);
        let (tray, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out() && tray.in_hand.is_empty()
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
        read(&self.folder.join(strategy.as_str()), &self.world).unwrap_or_else(|problem| {
            tracing::warn!(
                strategy = strategy.as_str(),
                "its snapshot is not used, it starts without: {problem}"
            );
            None
        })
    }
}

impl WritingDesk {
    fn write_all(&self, folder: &Path, world: &World, again: Duration) {
        let mut is_failing = false;
        loop {
            let (strategy, kept) = self.next(again);
            match write(folder, strategy.as_str(), world, &kept) {
                Ok(()) => {
                    if std::mem::take(&mut is_failing) {
                        tracing::info!("snapshots are written again");
                    }
                    let mut tray = self.lock();
                    tray.in_hand.remove(&strategy);
                    // What it refused before it may take now.
                    tray.is_again |= !tray.in_hand.is_empty();
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

    /// The next one that is to be written.
    fn next(&self, again: Duration) -> (StrategyName, Kept) {
        let mut tray = self.lock();
        loop {
            if std::mem::take(&mut tray.is_again) {
                for (strategy, kept) in std::mem::take(&mut tray.in_hand) {
                    tray.waiting.entry(strategy).or_insert(kept);
                }
            }
            tray.is_writing = false;
            if let Some((strategy, kept)) = tray.waiting.pop_first() {
                tray.is_writing = true;
                tray.in_hand.insert(strategy.clone(), kept.clone());
                drop(tray);
                self.changed.notify_all();
                return (strategy, kept);
            }
            self.changed.notify_all();
            let is_idle = |tray: &mut Tray| !tray.is_again && tray.waiting.is_empty();
            tray = if tray.in_hand.is_empty() {
                self.changed.wait_while(tray, is_idle).unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited = self.changed.wait_timeout_while(tray, again, is_idle);
                let (mut tray, waited) = waited.unwrap_or_else(PoisonError::into_inner);
                tray.is_again |= waited.timed_out();
                tray
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a file whole, or leaves the old one.
fn write(folder: &Path, name: &str, world: &World, kept: &Kept) -> io::Result<()> {
    let (new, place) = (folder.join(format!("{name}.new")), folder.join(name));
    let mut file = File::create(&new)?;
    file.write_all(&encode(world, kept))?;
    file.sync_all()?;
    fs::rename(&new, &place)?;
    File::open(folder)?.sync_all()
}

/// What a file of this world holds; nothing when there is none.
fn read(path: &Path, world: &World) -> Result<Option<Kept>, String> {
    let bytes = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(found) if found.len() > FILE_BYTES_MAX as u64 => return Err("it is too long".into()),
        Ok(_) => fs::read(path).map_err(|error| error.to_string())?,
    };
    match decode(&bytes) {
        Some((of, ..)) if of != world.account => Err(format!("{} is of the account {of:?}", path.display())),
        Some((_, life, kept)) if life == world.epoch || world.lives.contains(&life) => Ok(Some(kept)),
        Some((_, life, _)) => Err(format!(
            "{} was written by the life {life} of the host, of which the records know nothing",
            path.display()
        )),
        None => Err(format!("{} is damaged", path.display())),
    }
}

/// Magic, checksum of the rest, account, life of the host, checksum of the component, version, time, timers,
/// state. Numbers are little-endian, lengths come first.
fn encode(world: &World, kept: &Kept) -> Vec<u8> {
    let Snapshot { version, time, timers, state } = &kept.snapshot;
    let mut body = Vec::with_capacity(state.len() + 1_024);
    put(&mut body, world.account.as_bytes());
    body.extend(world.epoch.0.to_le_bytes());
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

/// The account, the life of the host, and what was kept.
fn decode(bytes: &[u8]) -> Option<(String, HostEpoch, Kept)> {
    let (checksum, body) = bytes.strip_prefix(MAGIC)?.split_at_checked(CHECKSUM_BYTES)?;
    if Sha256::digest(body)[..] != *checksum {
        return None;
    }
    let mut rest = Rest(body);
    let account = rest.text()?;
    let life = HostEpoch(rest.number()?);
    let sha256 = rest.text()?;
    let version = rest.text()?;
    let time = rest.time()?;
    let count = usize::try_from(rest.number()?).ok().filter(|count| *count <= TIMERS_MAX)?;
    let timers = (0..count).map(|_| Some((rest.time()?, rest.number()?))).collect::<Option<_>>()?;
    let state = rest.bytes()?.into();
    let kept = Kept { sha256, snapshot: Snapshot { version, time, timers, state } };
    rest.0.is_empty().then_some((account, life, kept))
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

    /// The life of this number, after those before it.
    fn world(account: &str, life: u64) -> World {
        let lives = (1..life).map(HostEpoch).collect();
        World { account: account.into(), epoch: HostEpoch(life), lives }
    }

    fn start_in(folder: &Path, world: World) -> Snapshots {
        Snapshots::start(folder.to_owned(), world).expect("it can be used")
    }

    fn start(folder: &Path) -> Snapshots {
        start_in(folder, world("one", 7))
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
        let whole = encode(&world("one", 7), &kept(b"state"));
        assert_eq!(decode(&whole), Some(("one".to_owned(), HostEpoch(7), kept(b"state"))));
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
        let begun = snapshots.flush(LONG);
        assert!(!begun, "it is not there, and not tried for ever");
        assert_eq!(snapshots.newest(&name()), Some(kept(b"lost")), "by the next host only");
        fs::create_dir(&place).expect("made");
        snapshots.keep(&name(), kept(b"new"));
        assert!(snapshots.flush(LONG));
        assert_eq!(snapshots.newest(&name()), Some(kept(b"new")));
        assert_eq!(start(&place).newest(&name()), Some(kept(b"new")));
    }

    /// A folder that takes nothing of `sma`, with that strategy's state refused, and what keeps it out.
    fn refused(folder: &Path, again: Duration) -> (Snapshots, PathBuf) {
        let snapshots = Snapshots::start_with(folder.to_owned(), world("one", 7), again).expect("usable");
        let in_the_way = folder.join("sma.new");
        fs::create_dir(&in_the_way).expect("made");
        snapshots.keep(&name(), kept(b"state"));
        assert!(!snapshots.flush(LONG));
        (snapshots, in_the_way)
    }

    fn is_on_the_disk(snapshots: &Snapshots) -> bool {
        read(&snapshots.folder.join("sma"), &snapshots.world) == Ok(Some(kept(b"state")))
    }

    #[test]
    fn what_the_disk_did_not_take_is_tried_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (snapshots, in_the_way) = refused(folder.path(), Duration::from_millis(1));
        fs::remove_dir(in_the_way).expect("empty");
        let is_refused = |tray: &mut Tray| !(tray.in_hand.is_empty() && tray.waiting.is_empty());
        let waited = snapshots.desk.changed.wait_timeout_while(snapshots.desk.lock(), LONG, is_refused);
        assert!(!waited.expect("no panic").1.timed_out(), "by itself");
        assert!(is_on_the_disk(&snapshots));

        // Or with the next that it takes; and once more for whoever has to know.
        let folder = tempfile::tempdir().expect("a folder");
        let (snapshots, in_the_way) = refused(folder.path(), Duration::MAX);
        assert!(!snapshots.flush(LONG));
        fs::remove_dir(&in_the_way).expect("empty");
        assert!(!is_on_the_disk(&snapshots));
        snapshots.keep(&StrategyName::parse("other").expect("a name"), kept(b"other"));
        let waited = snapshots.desk.changed.wait_timeout_while(snapshots.desk.lock(), LONG, is_refused);
        assert!(!waited.expect("no panic").1.timed_out(), "with another one");
        assert!(is_on_the_disk(&snapshots));

        let folder = tempfile::tempdir().expect("a folder");
        let (snapshots, in_the_way) = refused(folder.path(), Duration::MAX);
        fs::remove_dir(&in_the_way).expect("empty");
        assert!(snapshots.flush(LONG));
        assert!(is_on_the_disk(&snapshots));
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
        let _reader = File::open(&pipe).expect("the writer goes on");
        fs::remove_file(&pipe).expect("removed");
        assert!(snapshots.flush(LONG), "a pipe keeps nothing, so it is written once more");
        assert_eq!(snapshots.newest(&name()), Some(kept(b"new")));
    }

    #[test]
    fn a_state_of_another_world_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let snapshots = start(folder.path());
        snapshots.keep(&name(), kept(b"state"));
        assert!(snapshots.flush(LONG));
        let found = |world| start_in(folder.path(), world).begin_from(&name());
        assert_eq!(found(world("another", 7)), None, "another account");
        assert_eq!(found(world("one", 9)), Some(kept(b"state")), "a later life");
        // Records that begin anew, and those of a backup that is older than the life that wrote it.
        let knows = |lives: &[u64]| {
            let lives = lives.iter().copied().map(HostEpoch).collect();
            found(World { lives, ..world("one", 9) })
        };
        assert_eq!((knows(&[]), knows(&[5, 6, 8])), (None, None));
        assert_eq!(knows(&[7]), Some(kept(b"state")));
    }
}
