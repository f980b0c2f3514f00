//! What lies in the plugins folder.

use std::{
    fs::{self, DirEntry},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use super::folder::{Files, Folder, Listing, Place, Stamp};

/// Entries of the folder that are looked at. One with more is no plugins folder.
const ENTRIES_MAX: usize = 4_096;

impl Folder {
    /// Lists the plugins for the next look.
    ///
    /// # Errors
    /// When the folder or one of its files cannot be looked at, or another folder lies in its place that is
    /// empty, as where a disk is not mounted for a moment: nothing is known then, and nothing is gone.
    pub(crate) fn list(&mut self, dir: &Path) -> io::Result<Listing> {
        let place = place(dir)?;
        let listing = list_with(dir, Err)?;
        if self.admits(place, &listing) {
            Ok(listing)
        } else {
            Err(io::Error::other("another folder lies there now, and it is empty: is a disk not mounted?"))
        }
    }
}

/// Which folder lies there.
///
/// # Errors
/// When it cannot be looked at.
pub(crate) fn place(dir: &Path) -> io::Result<Place> {
    fs::metadata(dir).map(|found| Place { device: found.dev(), inode: found.ino() })
}

/// Lists the plugins: regular files called `NAME.wasm`, links to such files too, each with the `NAME.toml`
/// beside it. Other endings mean nothing, so a copy under way may be called `NAME.wasm.part`. A file that
/// cannot be looked at is said and left out.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn list(dir: &Path) -> io::Result<Listing> {
    list_with(dir, |error| {
        tracing::error!("a plugin cannot be looked at, so it does not run: {error}");
        Ok(())
    })
}

/// The same; what is wrong with a file is `unseen`'s to judge.
fn list_with(dir: &Path, unseen: impl Fn(io::Error) -> io::Result<()>) -> io::Result<Listing> {
    let mut listing = Listing::new();
    for (count, entry) in fs::read_dir(dir)?.enumerate() {
        if count >= ENTRIES_MAX {
            return Err(io::Error::other(format!("it holds more than {ENTRIES_MAX} files")));
        }
        let entry = entry?;
        match plugin(&entry) {
            Ok(Some((name, files))) => {
                listing.insert(name, files);
            }
            Ok(None) => {}
            Err(error) => unseen(error)?,
        }
    }
    Ok(listing)
}

/// A plugin, if the entry is one. A file that goes between two looks at it is none.
fn plugin(entry: &DirEntry) -> io::Result<Option<(String, Files)>> {
    let path = entry.path();
    let Some(name) = path.file_stem().filter(|_| path.extension().is_some_and(|ending| ending == "wasm"))
    else {
        return Ok(None);
    };
    let Some((wasm, true)) = stamp(&path)? else { return Ok(None) };
    let manifest = stamp(&path.with_extension("toml"))?.map(|(stamp, _)| stamp);
    Ok(Some((name.to_string_lossy().into_owned(), Files { wasm, manifest })))
}

/// The stamp of what lies there, and whether it is a regular file. Only what is certainly not there is none.
fn stamp(path: &Path) -> io::Result<Option<(Stamp, bool)>> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        outcome => {
            outcome.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?
        }
    };
    let nanos = |secs: i64, nanos: i64| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
    let stamp = Stamp {
        size: found.len(),
        modified_ns: nanos(found.mtime(), found.mtime_nsec()),
        changed_ns: nanos(found.ctime(), found.ctime_nsec()),
        inode: found.ino(),
    };
    Ok(Some((stamp, found.is_file())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::folder::Change;

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
    fn a_file_that_cannot_be_looked_at_is_not_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a.wasm"), "a").expect("written");
        fs::write(path("b.wasm"), "b").expect("written");
        let mut folder = Folder::taken(list(dir.path()).expect("readable"));
        // A link in a circle can be followed by nobody, not even by root; the manifest counts likewise.
        for name in ["a.toml", "b.wasm"] {
            let _ = fs::remove_file(path(name));
            std::os::unix::fs::symlink(path(name), path(name)).expect("linked");
            let error = folder.list(dir.path()).expect_err("nothing is known");
            assert!(error.to_string().contains(name), "{error}");
            let left: Vec<_> = list(dir.path()).expect("the others begin").into_keys().collect();
            assert_eq!(left, [if name == "b.wasm" { "a" } else { "b" }]);
            fs::remove_file(path(name)).expect("removed");
        }
        let look = |folder: &mut Folder| {
            let listing = folder.list(dir.path()).expect("readable");
            folder.look(listing)
        };
        assert_eq!(look(&mut folder), []);
        assert_eq!(look(&mut folder), [Change::Gone("b".into())], "what is not there is gone");
    }

    #[test]
    fn an_empty_folder_in_the_place_of_the_old_one_is_no_removal() {
        let dir = tempfile::tempdir().expect("a folder");
        let (plugins, away) = (dir.path().join("plugins"), dir.path().join("away"));
        fs::create_dir(&plugins).expect("made");
        fs::write(plugins.join("a.wasm"), "a").expect("written");
        let mut folder =
            Folder::taken(list(&plugins).expect("readable")).lies_at(place(&plugins).expect("there"));
        // As below a mount point whose disk goes.
        fs::rename(&plugins, &away).expect("renamed");
        folder.list(&plugins).expect_err("not there");
        fs::create_dir(&plugins).expect("made");
        folder.list(&plugins).expect_err("another one");
        fs::remove_dir(&plugins).expect("empty");
        fs::rename(&away, &plugins).expect("renamed");
        assert!(folder.list(&plugins).expect("the old one").contains_key("a"));
        // Another one with something in it is the operator's; from now on it is the one that may be emptied.
        fs::rename(&plugins, &away).expect("renamed");
        fs::create_dir(&plugins).expect("made");
        fs::write(plugins.join("b.wasm"), "b").expect("written");
        for expected in [vec![], vec![Change::Gone("a".into()), Change::Take("b".into())]] {
            let listing = folder.list(&plugins).expect("readable");
            assert_eq!(folder.look(listing), expected);
        }
        fs::remove_file(plugins.join("b.wasm")).expect("removed");
        assert!(folder.list(&plugins).expect("emptied").is_empty());
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
