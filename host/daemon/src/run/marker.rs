//! Which kind of database the records of a mode were kept in last.
//!
//! A variable that was lost in a deploy would else start the host on an empty file, silently: without the
//! freeze, the peak of the equity and what the strategies hold.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use sandpit_contract::Exit;
use sandpit_store::Database;

use super::Failure;

/// In the folder of the mode.
const FILE: &str = "database";

/// Makes sure that `database` is of the kind of the last start in `folder`.
///
/// # Errors
/// [`Exit::Config`] when it is of another kind, [`Exit::State`] when the marker cannot be read.
pub(crate) fn check(folder: &Path, database: &Database) -> Result<(), Failure> {
    let path = folder.join(FILE);
    let last = match fs::read_to_string(&path) {
        // What a power cut has left of it says nothing.
        Ok(last) if last.trim().is_empty() => return Ok(()),
        Ok(last) => last,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let what = format!("cannot read {}: {error}", path.display());
            return Err(Failure::new(Exit::State, what));
        }
    };
    let (last, now) = (last.trim(), kind(database));
    if last == now {
        return Ok(());
    }
    let what = format!(
        "the records were kept in a {last} until now, and the configuration names a {now}: is \
        DATABASE_URL or \
         [database] wrong? If the change is meant, remove {}",
        path.display()
    );
    Err(Failure::new(Exit::Config, what))
}

/// Notes the kind of `database`, which could be opened.
///
/// # Errors
/// [`Exit::State`] when the marker cannot be written.
pub(super) fn keep(folder: &Path, database: &Database) -> Result<(), Failure> {
    let (path, fresh) = (folder.join(FILE), folder.join(".database"));
    let text = format!("{}\n", kind(database));
    if fs::read_to_string(&path).is_ok_and(|last| last == text) {
        return Ok(());
    }
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&fresh, &path)).map_err(|error| {
        let what = format!("cannot write {}: {error}", path.display());
        Failure::new(Exit::State, what)
    })
}

const fn kind(database: &Database) -> &'static str {
    match database {
        Database::Sqlite(_) => "file",
        Database::Postgres(_) => "server",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn another_kind_of_database_than_last_time_has_to_be_meant() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Database::Sqlite(folder.path().join("sandpit.db"));
        let server = Database::Postgres("postgres://u@db/books".parse().expect("an address"));
        check(folder.path(), &server).expect("nothing is known yet");
        keep(folder.path(), &server).expect("written");
        check(folder.path(), &server).expect("the same kind");
        let failure = check(folder.path(), &file).expect_err("another kind");
        assert_eq!(failure.exit, Exit::Config);
        let start = "the records were kept in a server until now, and the configuration names a file";
        assert!(failure.sentence.starts_with(start), "{}", failure.sentence);
        fs::remove_file(folder.path().join(FILE)).expect("removed");
        check(folder.path(), &file).expect("it is meant");
        keep(folder.path(), &file).expect("written");
        check(folder.path(), &server).expect_err("another kind again");
        // A full disk, or a power cut.
        fs::write(folder.path().join(FILE), "").expect("torn");
        check(folder.path(), &server).expect("nothing is known any more");
        keep(folder.path(), &server).expect("written");
        let inode = || fs::metadata(folder.path().join(FILE)).expect("there").ino();
        let before = inode();
        keep(folder.path(), &server).expect("nothing to write");
        assert_eq!(inode(), before, "what is right already is left alone");
    }
}
