//! What lies in the plugins folder.

use std::{
    fs::{self, DirEntry},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::folder::{Files, Listing, Stamp};

/// Entries of the folder that are looked at. One with more is no plugins folder.
const ENTRIES_MAX: usize = 4_096;

/// Lists the plugins: regular files called `NAME.wasm`, links to such files too, each with the `NAME.toml`
/// beside it. Other endings mean nothing, so a copy under way may be called `NAME.wasm.part`.
///
/// # Errors
/// When the folder cannot be read: nothing is known then, and nothing is gone.
pub(crate) fn list(dir: &Path) -> io::Result<Listing> {
    let mut listing = Listing::new();
    for (count, entry) in fs::read_dir(dir)?.enumerate() {
        if count >= ENTRIES_MAX {
            return Err(io::Error::other(format!("it holds more than {ENTRIES_MAX} files")));
        }
        if let Some((name, files)) = plugin(&entry?) {
            listing.insert(name, files);
        }
    }
    Ok(listing)
}

/// A plugin, if the entry is one. A file that goes between two looks at it is none.
fn plugin(entry: &DirEntry) -> Option<(String, Files)> {
    let path = entry.path();
    path.extension().filter(|ending| *ending == "wasm")?;
    let name = path.file_stem()?.to_string_lossy().into_owned();
    let wasm = stamp(&path).filter(|(_, is_file)| *is_file)?.0;
    let manifest = stamp(&path.with_extension("toml")).map(|(stamp, _)| stamp);
    Some((name, Files { wasm, manifest }))
}

/// The stamp of what lies there, and whether it is a regular file.
fn stamp(path: &Path) -> Option<(Stamp, bool)> {
    let found = fs::metadata(path).ok()?;
    let nanos = |secs: i64, nanos: i64| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
    let stamp = Stamp {
        size: found.len(),
        modified_ns: nanos(found.mtime(), found.mtime_nsec()),
        changed_ns: nanos(found.ctime(), found.ctime_nsec()),
        inode: found.ino(),
    };
    Some((stamp, found.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_told_from_what_else_lies_there() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        for name in ["a.wasm", "a.toml", "b.wasm", "c.wasm.part", "d.toml", ".hidden", "e.WASM", "f"] {
            fs::write(path(name), name).expect("written");
        }
        fs::create_dir(path("g.wasm")).expect("made");
        std::os::unix::fs::symlink(path("b.wasm"), path("h.wasm")).expect("linked");
        std::os::unix::fs::symlink(path("nothing"), path("i.wasm")).expect("linked");
        let listing = list(dir.path()).expect("readable");
        let names: Vec<&str> = listing.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "b", "h"]);
        assert!(listing["a"].manifest.is_some() && listing["b"].manifest.is_none());
        assert_eq!(listing["h"].wasm, listing["b"].wasm, "the file, not the link");
        list(&path("nothing")).expect_err("no folder");
    }

    #[test]
    fn any_change_of_a_file_shows() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.wasm");
        let look = || list(dir.path()).expect("readable")["a"];
        fs::write(&path, "one").expect("written");
        let first = look();
        assert_eq!(look(), first);
        // As long as before, and a moment of the past as its time.
        let modified = fs::metadata(&path).expect("there").modified().expect("known");
        fs::write(&path, "two").expect("written");
        fs::File::open(&path).and_then(|file| file.set_modified(modified)).expect("set");
        let second = look();
        assert_ne!(second, first);
        fs::write(dir.path().join("new"), "two").expect("written");
        fs::rename(dir.path().join("new"), &path).expect("renamed");
        assert_ne!(look(), second, "another file");
    }
}
