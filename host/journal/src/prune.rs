//! Forgets old sessions: those that are too old, then the oldest until what is left fits. The session that is
//! being written is never touched, and nothing that does not look like one of ours.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use sandpit_types::MarketTime;

use crate::{
    JournalError,
    archive::{COMPONENTS, listed},
    reader::{is_segment, sessions},
};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days since a session was written to.
    pub keep_days: u32,
    /// All sessions and components together, bytes.
    pub max_bytes: u64,
}

/// One in so many bytes is kept for sessions of the past: the one that is being written does not push out
/// all of them.
const PAST_PART: u64 = 4;

impl Retention {
    /// How many bytes the session that is being written may have; then it is recorded no further.
    pub(crate) fn session_bytes(self) -> u64 {
        self.max_bytes - self.max_bytes / PAST_PART
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_days: 30, max_bytes: 4_096 << 20 }
    }
}

/// Who forgets, beside one session that is being written.
pub(crate) struct Pruner {
    pub(crate) root: PathBuf,
    pub(crate) current: String,
    pub(crate) retention: Retention,
    pub(crate) now: Box<dyn Fn() -> MarketTime + Send>,
    pub(crate) archive: Archive,
    /// Whether it was said already that something stays.
    pub(crate) is_said: bool,
}

/// Held by whoever keeps a component, and by whoever looks for those that nobody lists: between the look at
/// the lists and the removal no session may count on one that is there.
pub(crate) type Archive = Arc<Mutex<()>>;

impl Pruner {
    /// Forgets what is too old or too much, the oldest until `wanting_bytes` have become free, and components
    /// that no session lists any more. Best effort: a full folder costs disk, not trading.
    pub(crate) fn prune(&mut self, wanting_bytes: u64) {
        let now = (self.now)();
        let mut pruned = prune(&self.root, &self.current, self.retention, wanting_bytes, now);
        {
            let _held = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
            pruned.noted(remove_unlisted(&self.root));
        }
        if pruned.sessions > 0 {
            tracing::info!(sessions = pruned.sessions, bytes = pruned.bytes, "old sessions are forgotten");
        }
        if let Some(error) = &pruned.error
            && !self.is_said
        {
            tracing::warn!(%error, "something of the journal that is old stays");
        }
        self.is_said = pruned.error.is_some();
    }
}

/// What was forgotten.
#[derive(Debug, Default)]
struct Pruned {
    sessions: u32,
    bytes: u64,
    /// The first that could not be read or removed: it stays, and the others were gone through.
    error: Option<JournalError>,
}

/// A session on the disk.
struct Kept {
    path: PathBuf,
    bytes: u64,
    written: MarketTime,
}

/// Forgets what is too old or too much in `root`, then the oldest until `wanting_bytes` have become free.
/// `now` is wall-clock time, that of the files.
fn prune(root: &Path, current: &str, retention: Retention, wanting_bytes: u64, now: MarketTime) -> Pruned {
    let mut pruned = Pruned::default();
    let Some(names) = pruned.noted(folders(root).map_err(JournalError::io("read", root))) else {
        return pruned;
    };
    let mut total = pruned.noted(size(&root.join(COMPONENTS))).map_or(0, |(bytes, _)| bytes);
    let mut others = Vec::new();
    for name in names {
        let path = root.join(&name);
        let Some((bytes, written)) = pruned.noted(size(&path)) else { continue };
        total += bytes;
        if name != current {
            others.push(Kept { path, bytes, written });
        }
    }
    let oldest = now - Duration::from_secs(86_400 * u64::from(retention.keep_days));
    for session in others {
        let is_wanted = total <= retention.max_bytes && pruned.bytes >= wanting_bytes;
        if session.written >= oldest && is_wanted {
            continue;
        }
        let removed = remove_session(&session.path).map_err(JournalError::io("remove", &session.path));
        if pruned.noted(removed).is_none() {
            continue;
        }
        total = total.saturating_sub(session.bytes);
        pruned.sessions += 1;
        pruned.bytes += session.bytes;
    }
    pruned
}

impl Pruned {
    /// What came of it, or nothing and its error is kept if it is the first.
    fn noted<T>(&mut self, outcome: Result<T, JournalError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }
}

/// The folders of sessions, oldest first: those that have a segment, or the list of components alone, as one
/// that has just begun and one that never wrote anything.
fn folders(root: &Path) -> io::Result<Vec<String>> {
    let mut names: BTreeSet<_> = sessions(root)?.into_iter().collect();
    let listing = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        outcome => outcome?,
    };
    for entry in listing {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().join(COMPONENTS).is_file()
        {
            names.insert(name);
        }
    }
    Ok(names.into_iter().collect())
}

/// The bytes of the files in a folder, and when the newest was written.
fn size(folder: &Path) -> Result<(u64, MarketTime), JournalError> {
    let failed = JournalError::io("read", folder);
    match sizes(folder) {
        Ok(size) => Ok(size),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((0, MarketTime::EPOCH)),
        Err(error) => Err(failed(error)),
    }
}

fn sizes(folder: &Path) -> io::Result<(u64, MarketTime)> {
    let (mut bytes, mut written) = (0, MarketTime::EPOCH);
    for entry in fs::read_dir(folder)? {
        let metadata = entry?.metadata()?;
        bytes += metadata.len();
        written = written.max(wall(metadata.modified()?));
    }
    Ok((bytes, written))
}

fn wall(time: SystemTime) -> MarketTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    MarketTime::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Removes what we write into a session. Somebody else's file keeps the folder, and that is no error of ours.
fn remove_session(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| is_segment(name) || name == COMPONENTS) {
            fs::remove_file(entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove_unlisted(root: &Path) -> Result<(), JournalError> {
    let folder = root.join(COMPONENTS);
    // What is there before the lists are read: a component comes after its line.
    let Ok(there) = fs::read_dir(&folder) else { return Ok(()) };
    let there: Vec<_> = there.flatten().map(|entry| entry.path()).collect();
    let mut wanted = BTreeSet::new();
    for name in folders(root).map_err(JournalError::io("read", root))? {
        let session = root.join(name);
        wanted.extend(listed(&session).map_err(JournalError::io("read", &session))?);
    }
    for path in there {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((sha256, "wasm" | "wasm.new")) = name.split_once('.') else { continue };
        if !wanted.contains(sha256) {
            fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::*;

    const DAY: u64 = 86_400;

    fn session(root: &Path, name: &str, bytes: usize, day: u64, component: &str) {
        let folder = root.join(name);
        fs::create_dir_all(&folder).expect("made");
        fs::create_dir_all(root.join(COMPONENTS)).expect("made");
        fs::write(crate::component(root, component), "").expect("written");
        for (file, content) in
            [("0000.journal", vec![0; bytes]), (COMPONENTS, format!("{component}\n").into())]
        {
            let path = folder.join(file);
            fs::write(&path, content).expect("written");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY);
            File::options()
                .append(true)
                .open(path)
                .and_then(|file| file.set_modified(time))
                .expect("its age");
        }
    }

    fn check(
        keep_days: u32,
        max_bytes: u64,
        wanting: u64,
        current: &str,
        left: &[&str],
        components: &[&str],
    ) {
        let root = tempfile::tempdir().expect("a folder");
        for (day, name, component) in [(10, "a", "x"), (20, "b", "y"), (30, "c", "y")] {
            session(root.path(), name, 1_000, day, component);
        }
        fs::create_dir(root.path().join("not ours")).expect("made");
        fs::write(root.path().join("not ours/diary.txt"), "dear").expect("written");
        let now = MarketTime::from_secs(i64::try_from(31 * DAY).expect("small"));
        let before = 3 - left.len();
        let pruned = prune(root.path(), current, Retention { keep_days, max_bytes }, wanting, now);
        remove_unlisted(root.path()).expect("removed");
        assert!(pruned.error.is_none() && pruned.sessions as usize == before, "{pruned:?}");
        assert_eq!(sessions(root.path()).expect("read"), left);
        let mut kept: Vec<_> = fs::read_dir(root.path().join(COMPONENTS))
            .expect("a listing")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        kept.sort();
        let components: Vec<_> = components.iter().map(|name| format!("{name}.wasm")).collect();
        assert_eq!(kept, components);
        assert!(root.path().join("not ours/diary.txt").exists());
    }

    #[test]
    fn old_sessions_go_first_and_never_the_current_one() {
        check(100, 10_000, 0, "c", &["a", "b", "c"], &["x", "y"]);
        check(15, 10_000, 0, "c", &["b", "c"], &["y"]);
        check(100, 2_500, 0, "c", &["b", "c"], &["y"]);
        check(100, 10_000, 1, "c", &["b", "c"], &["y"]);
        check(100, 10_000, 1_100, "c", &["c"], &["y"]);
        check(100, 10_000, u64::MAX, "b", &["b"], &["y"]);
        check(100, 1, 0, "c", &["c"], &["y"]);
        check(1, 1, 0, "a", &["a"], &["x"]);
        check(0, 0, 0, "b", &["b"], &["y"]);
    }

    #[test]
    fn a_journal_that_is_not_there_has_nothing_to_forget() {
        let root = tempfile::tempdir().expect("a folder");
        let pruned = prune(&root.path().join("none"), "a", Retention::default(), u64::MAX, MarketTime::EPOCH);
        assert!(pruned.error.is_none() && pruned.sessions == 0, "{pruned:?}");
    }

    /// Forgets everything that is not `current`.
    fn all_but(root: &Path, current: &str) -> Pruner {
        Pruner {
            root: root.to_owned(),
            current: current.into(),
            retention: Retention { keep_days: 1, max_bytes: 1 },
            now: Box::new(|| MarketTime::from_secs(4_000_000_000)),
            archive: Archive::default(),
            is_said: false,
        }
    }

    #[test]
    fn what_a_session_without_a_segment_lists_stays() {
        let root = tempfile::tempdir().expect("a folder");
        session(root.path(), "old", 1_000, 10, "x");
        let current = root.path().join("now");
        fs::create_dir(&current).expect("made");
        fs::write(current.join(COMPONENTS), "x\n").expect("written");
        all_but(root.path(), "now").prune(0);
        assert!(!root.path().join("old").exists());
        assert!(crate::component(root.path(), "x").exists(), "the new session cannot be replayed");
        all_but(root.path(), "later").prune(0);
        assert!(!current.exists(), "it never wrote anything");
        assert!(!crate::component(root.path(), "x").exists());
    }

    #[test]
    fn the_session_that_is_written_leaves_some_of_the_past() {
        let root = tempfile::tempdir().expect("a folder");
        let retention = Retention { keep_days: 100, max_bytes: 40_000 };
        assert_eq!(retention.session_bytes(), 30_000);
        for (day, name) in [(10, "a"), (11, "b"), (12, "c")] {
            session(root.path(), name, 4_000, day, "x");
        }
        let most = usize::try_from(retention.session_bytes()).expect("small");
        session(root.path(), "d", most - 100, 13, "x");
        let now = MarketTime::from_secs(i64::try_from(14 * DAY).expect("small"));
        let pruned = prune(root.path(), "d", retention, 0, now);
        assert!(pruned.error.is_none(), "{pruned:?}");
        assert_eq!(sessions(root.path()).expect("read"), ["b", "c", "d"]);
    }

    /// Between the look at the lists and the removal no component may be kept, or it is gone at once.
    #[test]
    fn whoever_looks_at_the_lists_holds_the_archive() {
        let root = tempfile::tempdir().expect("a folder");
        session(root.path(), "a", 1_000, 10, "x");
        let list = root.path().join("a").join(COMPONENTS);
        fs::remove_file(&list).expect("removed");
        pipe(&list);
        let archive = Archive::default();
        let mut pruner = all_but(root.path(), "a");
        pruner.archive = Arc::clone(&archive);
        std::thread::scope(|scope| {
            scope.spawn(move || pruner.prune(0));
            // It opens when somebody reads the list.
            let mut lines = File::options().write(true).open(&list).expect("a reader");
            assert!(archive.try_lock().is_err(), "a component may be kept meanwhile");
            lines.write_all(b"x\n").expect("read");
        });
        assert!(archive.try_lock().is_ok());
        assert!(crate::component(root.path(), "x").exists());
    }

    #[test]
    fn whoever_keeps_a_component_holds_the_archive() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("a.wasm");
        fs::write(&file, "code").expect("written");
        let list = root.path().join("now").join(COMPONENTS);
        fs::create_dir(root.path().join("now")).expect("made");
        pipe(&list);
        let settings = crate::Settings {
            root: root.path().to_owned(),
            session: "now".into(),
            host: "1".into(),
            retention: Retention::default(),
        };
        let journal = crate::Journal::start(settings, || MarketTime::EPOCH).expect("it starts");
        assert!(journal.close(), "nobody prunes any more");
        let sha256 = "5694d08a2e53ffcae0c3103e5ad6f6076abd960eb1f8a56577040bc1028f702b";
        std::thread::scope(|scope| {
            scope.spawn(|| journal.keep(&file, sha256).expect("kept"));
            let lines = File::options().write(true).open(&list).expect("a reader");
            assert!(journal.archive().try_lock().is_err(), "it may be removed meanwhile");
            drop(lines);
            let noted = fs::read_to_string(&list).expect("what it notes");
            assert_eq!(noted, format!("{sha256}\n"));
        });
        assert!(journal.archive().try_lock().is_ok());
    }

    fn pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().expect("runs");
        assert!(made.success());
    }

    #[test]
    fn one_session_that_stays_does_not_keep_the_others() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["a", "b", "c"] {
            session(root.path(), name, 1_000, 10, "x");
        }
        // A segment that is a folder cannot be removed as a file.
        fs::create_dir(root.path().join("a/0001.journal")).expect("made");
        let mut pruner = all_but(root.path(), "c");
        pruner.prune(0);
        assert_eq!(sessions(root.path()).expect("read"), ["a", "c"]);
        assert!(pruner.is_said, "the one that stays is told of");
        fs::remove_dir(root.path().join("a/0001.journal")).expect("removed");
        pruner.prune(0);
        assert_eq!(sessions(root.path()).expect("read"), ["c"]);
        assert!(!pruner.is_said);
    }
}
