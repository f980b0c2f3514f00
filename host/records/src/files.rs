//! Files that appear whole or not at all.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::RecordsError;

/// What the name of a file that is being written begins and ends with.
const ASIDE: (&str, &str) = (".sandpit-", ".partial");
/// Records are for their owner: they show what is held and done.
const OWNER_ONLY: u32 = 0o600;
const LOCK: &str = ".sandpit-backup.lock";

/// A folder in which files are made aside. One process at a time; what an earlier one left behind is gone.
#[derive(Debug)]
pub(crate) struct Workplace {
    folder: PathBuf,
    /// Held as long as this lives.
    _lock: File,
}

impl Workplace {
    pub(crate) fn open(folder: &Path) -> Result<Self, RecordsError> {
        fs::create_dir_all(folder).map_err(RecordsError::file("make the folder", folder))?;
        let lock = lock(&folder.join(LOCK), "another backup is under way there; wait for its end")?;
        for entry in fs::read_dir(folder).map_err(RecordsError::file("list", folder))? {
            let path = entry.map_err(RecordsError::file("list", folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(ASIDE.0) && name.ends_with(ASIDE.1) {
                fs::remove_file(&path).map_err(RecordsError::file("remove", &path))?;
            }
        }
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// Where a file that will be called `name` is written.
    pub(crate) fn aside(&self, name: &str) -> Aside {
        Aside { path: self.folder.join(format!("{}{name}{}", ASIDE.0, ASIDE.1)) }
    }
}

/// A file that is being written. It is removed unless it gets its place.
#[derive(Debug)]
pub(crate) struct Aside {
    path: PathBuf,
}

impl Aside {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, text: &str) -> Result<(), RecordsError> {
        fs::write(&self.path, text).map_err(RecordsError::file("write", &self.path))
    }

    /// Brings what was written to the disk; its owner alone may read it from now on.
    pub(crate) fn finish(&self) -> Result<(), RecordsError> {
        let done = File::open(&self.path).and_then(|file| {
            file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
            file.sync_all()
        });
        done.map_err(RecordsError::file("write", &self.path))
    }

    /// Gives it its place, where nothing may be. It is on the disk with that name when this returns.
    pub(crate) fn put(self, place: &Path) -> Result<(), RecordsError> {
        self.finish()?;
        // A rename would take the place of what is there.
        let linked = fs::hard_link(&self.path, place);
        linked.map_err(RecordsError::file("make", place))?;
        sync_folder_of(place)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What is left is swept by the next one.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes a lock that ends with the process.
pub(crate) fn lock(path: &Path, who: &'static str) -> Result<File, RecordsError> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(RecordsError::file("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RecordsError::InUse { path: path.display().to_string(), who }),
        Err(TryLockError::Error(cause)) => Err(RecordsError::file("lock", path)(cause)),
    }
}

/// Names are on the disk when their folder is.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), RecordsError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced: io::Result<()> = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(RecordsError::file("write", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_and_never_over_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let work = Workplace::open(folder.path()).expect("free");
        let place = folder.path().join("books");
        let aside = work.aside("books");
        aside.write("one").expect("written");
        assert!(!place.exists());
        aside.put(&place).expect("put");
        assert_eq!(fs::metadata(&place).expect("there").permissions().mode() & 0o777, OWNER_ONLY);
        let again = work.aside("books");
        again.write("two").expect("written");
        assert!(matches!(again.put(&place), Err(RecordsError::File { .. })));
        assert_eq!(fs::read_to_string(&place).expect("there"), "one");
        assert!(matches!(Workplace::open(folder.path()), Err(RecordsError::InUse { .. })));
        std::mem::forget(work.aside("left behind").write("x"));
        fs::write(folder.path().join(".sandpit-x.partial"), "").expect("written");
        drop(work);
        drop(Workplace::open(folder.path()).expect("free"));
        let left: Vec<_> =
            fs::read_dir(folder.path()).expect("a folder").map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the file and the lock: {left:?}");
    }
}
