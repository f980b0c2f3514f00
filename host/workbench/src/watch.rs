//! Waits for changes of files, without looking at them again and again.

use std::{
    fs, io,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
};

/// Folders that are watched at most, those of a strategy's sources.
const FOLDERS_MAX: usize = 1_000;
/// What builders and editors make: no sources.
const SKIPPED: [&str; 4] = ["target", "node_modules", "__pycache__", "fixtures"];
/// Endings of sources. A Cargo.lock is none: the build itself writes it.
const SOURCES: [&str; 9] = ["rs", "toml", "js", "mjs", "json", "py", "txt", "c", "h"];
/// Bytes of one look at what changed.
const BUFFER: usize = 4 << 10;

/// The sources of a strategy, watched.
pub(crate) struct Watch {
    inotify: OwnedFd,
}

impl Watch {
    /// Begins to watch a folder and what is below it.
    ///
    /// # Errors
    /// When the system cannot watch them, or there are too many.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let watch = Self { inotify };
        let mut folders = vec![folder.to_owned()];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            count += 1;
            if count > FOLDERS_MAX {
                return Err(io::Error::other(format!("more than {FOLDERS_MAX} folders")));
            }
            let what = inotify::WatchFlags::CLOSE_WRITE
                | inotify::WatchFlags::MOVED_TO
                | inotify::WatchFlags::DELETE
                | inotify::WatchFlags::ONLYDIR;
            inotify::add_watch(&watch.inotify, &folder, what)?;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.file_type()?.is_dir() && !SKIPPED.contains(&name.as_str()) && !name.starts_with('.')
                {
                    folders.push(entry.path());
                }
            }
        }
        Ok(watch)
    }

    /// Whether a source changed since the last time. Never waits.
    ///
    /// # Errors
    /// When the system does not say.
    pub(crate) fn changed(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut changed = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
                    changed |= name.is_some_and(|name| is_source(&name));
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(changed),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Editors write beside a file first, under names with a dot or tilde.
fn is_source(name: &str) -> bool {
    !name.starts_with('.')
        && Path::new(name).extension().is_some_and(|ending| SOURCES.iter().any(|it| ending == *it))
}

/// Waits until one of these has something to say, at most `span`.
///
/// # Errors
/// When the system cannot wait.
pub(crate) fn wait(files: &[BorrowedFd<'_>], span: Duration) -> io::Result<()> {
    let mut polled: Vec<_> = files.iter().map(|file| PollFd::new(file, PollFlags::IN)).collect();
    let span = Timespec::try_from(span).map_err(io::Error::other)?;
    match poll(&mut polled, Some(&span)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_sources_are_seen_and_others_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        for name in ["src", "target", ".git"] {
            fs::create_dir(path.join(name)).expect("a folder");
        }
        let watch = Watch::new(path).expect("it watches");
        let check = |name: &str, expected: bool| {
            fs::write(path.join(name), "x").expect("a file");
            assert_eq!(watch.changed().expect("it says"), expected, "{name}");
        };
        assert!(!watch.changed().expect("nothing"));
        check("src/lib.rs", true);
        assert!(!watch.changed().expect("said already"));
        check("a.toml", true);
        check("a.wasm", false);
        check("src/.lib.rs.swp", false);
        check("target/x.rs", false);
        check(".git/x.rs", false);
        fs::rename(path.join("a.wasm"), path.join("b.py")).expect("moved");
        assert!(watch.changed().expect("it says"));
        fs::remove_file(path.join("src/lib.rs")).expect("removed");
        wait(&[watch.as_fd()], Duration::from_secs(5)).expect("at once");
        assert!(watch.changed().expect("it says"));
    }
}
