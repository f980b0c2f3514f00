//! Forgets old sessions: those that are too old, then the oldest until what is left fits. The session that is
//! being written is never touched, and nothing that does not look like one of ours.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
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
    /// All sessions and components together, bytes. The session that is being written may have as many: when
    /// it has, it is recorded no further.
    pub max_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_days: 30, max_bytes: 4_096 << 20 }
    }
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Sessions.
    pub sessions: u32,
    /// Their bytes.
    pub bytes: u64,
}

/// A session on the disk.
struct Kept {
    path: PathBuf,
    bytes: u64,
    written: MarketTime,
}

/// Forgets what is too old or too much in `root`, and components that no session lists any more. `now` is
/// wall-clock time, that of the files.
///
/// # Errors
/// When a folder cannot be read or something cannot be removed; what was removed before stays removed.
pub fn prune(
    root: &Path,
    current: &str,
    retention: Retention,
    now: MarketTime,
) -> Result<Pruned, JournalError> {
    let names = sessions(root).map_err(JournalError::io("read", root))?;
    let mut total = size(&root.join(COMPONENTS))?.0;
    let mut others = Vec::new();
    for name in names {
        let path = root.join(&name);
        let (bytes, written) = size(&path)?;
        total += bytes;
        if name != current {
            others.push(Kept { path, bytes, written });
        }
    }
    let oldest = now - Duration::from_secs(86_400 * u64::from(retention.keep_days));
    let mut pruned = Pruned::default();
    for session in others {
        if session.written >= oldest && total <= retention.max_bytes {
            continue;
        }
        remove_session(&session.path).map_err(JournalError::io("remove", &session.path))?;
        total = total.saturating_sub(session.bytes);
        pruned.sessions += 1;
        pruned.bytes += session.bytes;
    }
    remove_unlisted(root)?;
    Ok(pruned)
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
    for name in sessions(root).map_err(JournalError::io("read", root))? {
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
    use std::fs::File;

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

    fn check(keep_days: u32, max_bytes: u64, current: &str, left: &[&str], components: &[&str]) {
        let root = tempfile::tempdir().expect("a folder");
        for (day, name, component) in [(10, "a", "x"), (20, "b", "y"), (30, "c", "y")] {
            session(root.path(), name, 1_000, day, component);
        }
        fs::create_dir(root.path().join("not ours")).expect("made");
        fs::write(root.path().join("not ours/diary.txt"), "dear").expect("written");
        let now = MarketTime::from_secs(i64::try_from(31 * DAY).expect("small"));
        let before = 3 - left.len();
        let pruned = prune(root.path(), current, Retention { keep_days, max_bytes }, now).expect("pruned");
        assert_eq!(pruned.sessions as usize, before, "{pruned:?}");
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
        check(100, 10_000, "c", &["a", "b", "c"], &["x", "y"]);
        check(15, 10_000, "c", &["b", "c"], &["y"]);
        check(100, 2_500, "c", &["b", "c"], &["y"]);
        check(100, 1, "c", &["c"], &["y"]);
        check(1, 1, "a", &["a"], &["x"]);
        check(0, 0, "b", &["b"], &["y"]);
    }

    #[test]
    fn a_journal_that_is_not_there_has_nothing_to_forget() {
        let root = tempfile::tempdir().expect("a folder");
        let pruned = prune(&root.path().join("none"), "a", Retention::default(), MarketTime::EPOCH);
        assert_eq!(pruned.expect("nothing"), Pruned::default());
    }
}
