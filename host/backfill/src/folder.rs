//! The folder of a backfill: one lock, files that are whole or not there, the checkpoint.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use jiff::civil::Date;
use rustix::fs::{FlockOperation, flock};
use sandpit_types::Symbol;

use crate::{
    checkpoint::{Checkpoint, Origin},
    error::BackfillError,
};

const LOCK: &str = ".sandpit-backfill.lock";

/// A folder that only we write to.
#[derive(Debug)]
pub struct Folder {
    out: PathBuf,
    origin: Origin,
    /// Folders with files whose names are not on the disk for sure.
    unsynced: BTreeSet<PathBuf>,
    /// Held for as long as this lives; the kernel lets go of it when the process ends in whatever way.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is not there, and locks it.
    ///
    /// # Errors
    /// [`BackfillError::InUse`] when another backfill holds it, [`BackfillError::File`] when it cannot be
    /// used.
    pub fn open(out: &Path, origin: Origin) -> Result<Self, BackfillError> {
        fs::create_dir_all(out).map_err(file_error(out))?;
        let path = out.join(LOCK);
        let lock = File::options().create(true).append(true).open(&path).map_err(file_error(&path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { out: out.to_owned(), origin, unsynced: BTreeSet::new(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(BackfillError::InUse { path: out.to_owned() }),
            Err(cause) => Err(BackfillError::File { path, cause: cause.into() }),
        }
    }

    /// Where the rows come from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The file of one day.
    pub fn day(&self, symbol: &Symbol, date: Date) -> PathBuf {
        self.out.join(&self.origin.kind).join(symbol.as_str()).join(format!("{date}.parquet"))
    }

    /// The checkpoint's file.
    pub fn checkpoint(&self) -> PathBuf {
        self.out.join(format!(".sandpit-backfill-{}.json", self.origin.kind))
    }

    /// Reads the checkpoint; a folder without one has nothing done.
    ///
    /// # Errors
    /// See [`Checkpoint::parse`]; [`BackfillError::File`] when it cannot be read.
    pub fn load(&self) -> Result<Checkpoint, BackfillError> {
        let path = self.checkpoint();
        match fs::read(&path) {
            Ok(text) => Checkpoint::parse(&text, &path, &self.origin),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Checkpoint::new(self.origin.clone())),
            Err(cause) => Err(BackfillError::File { path, cause }),
        }
    }

    /// Writes the file of one day: whole on the disk before it has its name.
    ///
    /// # Errors
    /// [`BackfillError::File`]; then there is no file, or the one that was there before.
    pub fn write_day(&mut self, symbol: &Symbol, date: Date, bytes: &[u8]) -> Result<(), BackfillError> {
        let path = self.day(symbol, date);
        let folder = path.parent().expect("a day lies in the folder of its symbol");
        if !self.unsynced.contains(folder) {
            fs::create_dir_all(folder).map_err(file_error(folder))?;
            self.unsynced.insert(folder.to_owned());
        }
        replace(&path, bytes).map_err(file_error(&path))
    }

    /// Writes the checkpoint, after everything it speaks of is on the disk for sure.
    ///
    /// # Errors
    /// [`BackfillError::File`]; then the checkpoint is the one that was there before.
    pub fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), BackfillError> {
        let kind = self.out.join(&self.origin.kind);
        if !self.unsynced.is_empty() {
            self.unsynced.insert(kind);
        }
        while let Some(folder) = self.unsynced.pop_last() {
            sync(&folder).map_err(file_error(&folder))?;
        }
        let path = self.checkpoint();
        replace(&path, &checkpoint.to_json()).map_err(file_error(&path))?;
        sync(&self.out).map_err(file_error(&self.out))
    }
}

/// Puts `bytes` in the place of `path` in one step. The name in between begins with a dot and does not end in
/// `.parquet`, so that nobody reads it as a day; what a kill leaves of it is overwritten by the next try.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().expect("the path of a file").to_string_lossy();
    let unfinished = path.with_file_name(format!(".{}.unfinished", name.trim_start_matches('.')));
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> BackfillError {
    let path = path.to_owned();
    move |cause| BackfillError::File { path, cause }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn two_backfills_do_not_share_a_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = || Folder::open(folder.path(), Origin::new("bars", "sip"));
        let first = open().expect("free");
        let error = open().expect_err("held").to_string();
        assert!(error.starts_with("another backfill is writing to"), "{error}");
        drop(first);
        open().expect("free again");
    }

    #[test]
    fn a_day_replaces_the_one_before_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut out = Folder::open(folder.path(), Origin::new("bars", "sip")).expect("free");
        let (symbol, date) = (Symbol::new("BRK.B"), date(2026, 3, 16));
        for bytes in ["one", "two"] {
            out.write_day(&symbol, date, bytes.as_bytes()).expect("written");
            assert_eq!(fs::read(out.day(&symbol, date)).expect("there"), bytes.as_bytes());
        }
        assert!(out.day(&symbol, date).ends_with("bars/BRK.B/2026-03-16.parquet"));
        let mut checkpoint = out.load().expect("none yet");
        checkpoint.note(&symbol, date, None, None);
        out.save(&checkpoint).expect("saved");
        assert_eq!(out.load().expect("there"), checkpoint);
        let names: Vec<_> = fs::read_dir(folder.path().join("bars/BRK.B"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["2026-03-16.parquet"]);
    }
}
