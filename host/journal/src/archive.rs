//! The components that ran: each is kept once, under its checksum.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use sandpit_strategy::PLUGIN_BYTES_MAX;
use sha2::{Digest, Sha256};

use crate::JournalError;

/// The folder of the components, beside the sessions.
pub(crate) const COMPONENTS: &str = "components";

/// Where the component with this checksum is kept. `root` is the folder of all sessions.
pub fn component(root: &Path, sha256: &str) -> PathBuf {
    root.join(COMPONENTS).join(format!("{sha256}.wasm"))
}

/// Keeps a component for a session: its bytes among the components, its checksum in the session's list.
///
/// # Errors
/// When `file` does not have this checksum any more, or something cannot be read or written.
pub fn keep_component(root: &Path, session: &str, file: &Path, sha256: &str) -> Result<(), JournalError> {
    // The list comes first: a component that is in none is taken for forgotten.
    note(&root.join(session), sha256)?;
    let kept = component(root, sha256);
    if digest_of(&kept).is_ok_and(|digest| digest == sha256) {
        return Ok(());
    }
    let bytes = read(file).map_err(JournalError::io("read", file))?;
    if digest(&bytes) != sha256 {
        return Err(JournalError::Changed { path: file.to_owned() });
    }
    let folder = root.join(COMPONENTS);
    fs::create_dir_all(&folder).map_err(JournalError::io("create", &folder))?;
    let beside = kept.with_added_extension("new");
    fs::write(&beside, &bytes)
        .and_then(|()| File::open(&beside)?.sync_all())
        .and_then(|()| fs::rename(&beside, &kept))
        .map_err(JournalError::io("write", &kept))
}

/// The checksums that a session lists.
pub(crate) fn listed(session: &Path) -> io::Result<Vec<String>> {
    match fs::read_to_string(session.join(COMPONENTS)) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn note(session: &Path, sha256: &str) -> Result<(), JournalError> {
    fs::create_dir_all(session).map_err(JournalError::io("create", session))?;
    let list = session.join(COMPONENTS);
    let known = listed(session).map_err(JournalError::io("read", &list))?;
    if known.iter().any(|known| known == sha256) {
        return Ok(());
    }
    let file = OpenOptions::new().append(true).create(true).open(&list);
    file.and_then(|mut file| file.write_all(format!("{sha256}\n").as_bytes()))
        .map_err(JournalError::io("write", &list))
}

fn digest_of(file: &Path) -> io::Result<String> {
    read(file).map(|bytes| digest(&bytes))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The whole file. A pipe in its place is waited for by nobody.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened =
        OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    opened.take(PLUGIN_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_kept_once_and_listed_by_each_session() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("a.wasm");
        fs::write(&file, "code").expect("written");
        let sha256 = digest(b"code");
        for session in ["one", "two", "two"] {
            keep_component(root.path(), session, &file, &sha256).expect("kept");
            let list = listed(&root.path().join(session)).expect("a list");
            assert_eq!(list, std::slice::from_ref(&sha256), "{session}");
        }
        assert_eq!(fs::read(component(root.path(), &sha256)).expect("there"), b"code");
        let all = fs::read_dir(root.path().join(COMPONENTS)).expect("a listing").count();
        assert_eq!(all, 1);
    }

    #[test]
    fn a_file_that_has_changed_is_not_kept_under_the_old_name() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("a.wasm");
        fs::write(&file, "other").expect("written");
        let sha256 = digest(b"code");
        let outcome = keep_component(root.path(), "one", &file, &sha256);
        assert!(matches!(outcome, Err(JournalError::Changed { .. })), "{outcome:?}");
        assert!(!component(root.path(), &sha256).exists());
    }

    #[test]
    fn a_pipe_is_no_component_and_holds_nobody_up() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("a.wasm");
        let made = std::process::Command::new("mkfifo").arg(&file).status().expect("runs");
        assert!(made.success());
        let outcome = keep_component(root.path(), "one", &file, &digest(b"code"));
        assert!(matches!(outcome, Err(JournalError::Io { .. })), "{outcome:?}");
        // The same where a kept one should be.
        fs::remove_file(&file).expect("removed");
        fs::write(&file, "code").expect("written");
        fs::create_dir(root.path().join(COMPONENTS)).expect("made");
        let kept = component(root.path(), &digest(b"code"));
        let made = std::process::Command::new("mkfifo").arg(&kept).status().expect("runs");
        assert!(made.success());
        keep_component(root.path(), "one", &file, &digest(b"code")).expect("kept");
        assert_eq!(fs::read(kept).expect("there"), b"code");
    }

    #[test]
    fn a_kept_component_that_is_torn_is_written_again() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("a.wasm");
        fs::write(&file, "code").expect("written");
        let sha256 = digest(b"code");
        fs::create_dir(root.path().join(COMPONENTS)).expect("made");
        fs::write(component(root.path(), &sha256), "co").expect("written");
        keep_component(root.path(), "one", &file, &sha256).expect("kept");
        assert_eq!(fs::read(component(root.path(), &sha256)).expect("there"), b"code");
    }
}
