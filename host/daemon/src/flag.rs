//! The kill switch file.

use std::{io, path::Path};

/// Whether the kill switch file is there.
#[derive(Debug)]
pub(crate) enum Flag {
    /// It is not: trading may go on.
    Absent,
    /// It is, as a file of any type.
    Present,
    /// That cannot be known, which is no permission to trade.
    Unknown(io::Error),
}

/// Looks for the flag. A file of any type counts, a dangling link too.
pub(crate) fn look(file: &Path) -> Flag {
    match std::fs::symlink_metadata(file) {
        Ok(_) => Flag::Present,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Flag::Absent,
        Err(error) => Flag::Unknown(error),
    }
}

/// Raises the flag, so that the watchdog kills as soon as it looks. Whether it is there now.
pub(crate) fn raise(file: &Path, reason: &str) -> bool {
    match std::fs::write(file, format!("{reason}\n")) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, file = %file.display(), "[KILL] the kill switch file cannot be raised");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_type_counts_and_doubt_is_no_absence() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "").expect("written");
        std::fs::create_dir(path("folder")).expect("made");
        std::os::unix::fs::symlink("nowhere", path("link")).expect("linked");
        for name in ["file", "folder", "link"] {
            assert!(matches!(look(&path(name)), Flag::Present), "{name}");
        }
        assert!(matches!(look(&path("nothing")), Flag::Absent));
        assert!(matches!(look(&path("file/below")), Flag::Unknown(_)));
    }
}
