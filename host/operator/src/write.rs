//! Files that are either as they were or as they shall be, whenever the process or the machine dies.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

/// Whose a file is, and who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Permission bits.
    pub(crate) mode: u32,
    /// User and group; `None` leaves the process's own.
    pub(crate) owner: Option<(u32, u32)>,
}

/// Puts `bytes` in the place of `path`, by a file beside it that is renamed when it is whole and on the
/// disk. Returns false, and touches nothing, when all of it is there already.
///
/// # Errors
/// When the folder cannot be written; `path` is as it was then.
pub(crate) fn replace(path: &Path, bytes: &[u8], rights: Rights) -> io::Result<bool> {
    if is_there(path, bytes, rights) {
        return Ok(false);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fresh = beside(path);
    // What an interrupted run left is nobody's.
    remove_if_there(&fresh)?;
    let written = write_new(&fresh, bytes, rights).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        remove_if_there(&fresh)?;
    }
    written?;
    File::open(folder)?.sync_all()?;
    Ok(true)
}

/// The file that becomes `path`.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// Never readable by others, not even for a moment: a secret may go into it.
fn write_new(path: &Path, bytes: &[u8], rights: Rights) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    if let Some((user, group)) = rights.owner {
        fchown(&file, Some(user), Some(group))?;
    }
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(rights.mode))?;
    file.sync_all()
}

/// Whether a file is just so already.
pub(crate) fn is_there(path: &Path, bytes: &[u8], rights: Rights) -> bool {
    let Ok(found) = path.symlink_metadata() else { return false };
    found.is_file()
        && found.mode() & 0o7777 == rights.mode
        && rights.owner.is_none_or(|owner| owner == (found.uid(), found.gid()))
        && fs::read(path).is_ok_and(|there| there == bytes)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Rights = Rights { mode: 0o600, owner: None };

    #[test]
    fn a_file_is_replaced_as_a_whole_and_only_when_it_differs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        assert!(replace(&path, b"one", SECRET).expect("written"));
        let first = path.metadata().expect("there");
        assert_eq!(first.mode() & 0o7777, 0o600);
        assert!(!replace(&path, b"one", SECRET).expect("the same"));
        assert_eq!(path.metadata().expect("there").ino(), first.ino(), "it was not touched");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
        assert!(replace(&path, b"one", SECRET).expect("another mode"), "its rights are part of it");
        // What an interrupted run left behind is neither used nor in the way.
        fs::write(beside(&path), b"half").expect("written");
        assert!(replace(&path, b"two", SECRET).expect("written"));
        assert_eq!(fs::read(&path).expect("there"), b"two");
        assert!(!beside(&path).exists());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        fs::create_dir(&path).expect("a folder is in the way of the rename");
        fs::write(path.join("kept"), b"old").expect("written");
        replace(&path, b"new", SECRET).expect_err("a file cannot take a folder's place");
        assert_eq!(fs::read(path.join("kept")).expect("there"), b"old");
        assert!(!beside(&path).exists());
    }
}
