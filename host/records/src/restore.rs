//! A backup becomes a database again, where there is none.

use std::path::{Path, PathBuf};

use sandpit_store::{Database, PostgresUrl, Store, StoreError};

use crate::{
    Manifest, Place, RecordsError,
    backup::inside,
    files::{Workplace, lock},
    name::{Kind, Name, of_mode},
    tools,
};

/// What is to be restored, and where.
#[derive(Debug)]
pub struct Restore<'a> {
    /// The database, which must not be there yet.
    pub database: &'a Database,
    /// The host's mode, such as `paper`.
    pub mode: &'a str,
    /// The host's folder. No host may run in it.
    pub state_folder: &'a Path,
    /// Where the backup is.
    pub place: &'a Place,
    /// Which one; `None` is the newest of this mode.
    pub name: Option<&'a str>,
    /// Where programs are: the variable PATH.
    pub path: &'a str,
    /// The folder of what strategies have saved, in the host's folder: it is put aside, for it speaks of
    /// orders that the backup may not know.
    pub states: &'a str,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreDone {
    /// What is in the database now.
    pub manifest: Manifest,
    /// Where that lies now which strategies had saved, if they had.
    pub states_aside: Option<PathBuf>,
}

/// So often what strategies have saved is put aside; then somebody has to look at it.
const ASIDES_MAX: u32 = 1_000;

/// What SQLite keeps beside a file.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Checks a backup and puts it in place.
///
/// # Errors
/// [`RecordsError`]; nothing was put in place then.
pub async fn restore(job: &Restore<'_>) -> Result<RestoreDone, RecordsError> {
    let work = Workplace::open(job.state_folder)?;
    let _lock = lock(&job.state_folder.join("lock"), "a host runs there; stop it before a restore")?;
    nothing_there(job.database).await?;
    let kind = match job.database {
        Database::Sqlite(_) => Kind::Sqlite,
        Database::Postgres(_) => Kind::Postgres,
    };
    let name = chosen(job).await?;
    if name.kind != kind {
        return Err(RecordsError::Usage(format!(
            "{name} is a backup of {}, and the configuration names {kind}; records cannot be moved from \
            one to the \
             other",
            name.kind
        )));
    }
    let (beside, copy) = (work.aside(&name.manifest()), work.aside(&name.to_string()));
    job.place.get(&name.manifest(), &beside).await?;
    let manifest = Manifest::read(beside.path())?;
    job.place.get(&name.to_string(), &copy).await?;
    manifest.verify(copy.path())?;
    if let Database::Sqlite(_) = job.database {
        manifest.compare(&inside(copy.path()).await?)?;
    }
    known_version(job.database, manifest.schema_version).await?;
    nothing_there(job.database).await?;
    let states_aside = put_aside(job.state_folder, job.states)?;
    let placed = match job.database {
        Database::Sqlite(path) => copy.put(path),
        Database::Postgres(url) => load(url, copy.path(), &manifest, job.path).await,
    };
    match (placed, states_aside) {
        (Ok(()), states_aside) => Ok(RestoreDone { manifest, states_aside }),
        (Err(error), None) => Err(error),
        (Err(error), Some(aside)) => Err(put_back(job, &aside, error).await),
    }
}

/// The states go back where they were if the database is not there all the same, so that nothing has changed;
/// what went wrong, and with the states.
async fn put_back(job: &Restore<'_>, aside: &Path, cause: RecordsError) -> RecordsError {
    let why = match nothing_there(job.database).await {
        Ok(()) => match std::fs::rename(aside, job.state_folder.join(job.states)) {
            Ok(()) => return cause,
            Err(error) => format!("it cannot be put back: {error}"),
        },
        Err(there) => format!("it may not speak of the same orders as what is there now ({there})"),
    };
    RecordsError::Aside { cause: Box::new(cause), place: aside.display().to_string(), why }
}

/// Renames a folder, if it is there, to `NAME.before-restore-N`.
fn put_aside(state_folder: &Path, name: &str) -> Result<Option<PathBuf>, RecordsError> {
    let folder = state_folder.join(name);
    if folder.symlink_metadata().is_err() {
        return Ok(None);
    }
    let aside = |number| state_folder.join(format!("{name}.before-restore-{number}"));
    let free = (1..=ASIDES_MAX).map(aside).find(|place| place.symlink_metadata().is_err());
    let place = free.ok_or_else(|| {
        let what = format!("{} was put aside {ASIDES_MAX} times: remove the old ones", folder.display());
        RecordsError::NotEmpty(what)
    })?;
    std::fs::rename(&folder, &place).map_err(RecordsError::file("put aside", &folder))?;
    Ok(Some(place))
}

/// The backup that was named, or the newest.
async fn chosen(job: &Restore<'_>) -> Result<Name, RecordsError> {
    if let Some(name) = job.name {
        let parsed = Name::parse(name).ok_or_else(|| RecordsError::Usage(format!("{name} is no backup")))?;
        if parsed.mode != job.mode {
            return Err(RecordsError::Usage(format!(
                "{name} is a backup of a host in mode {}, the configuration says {}",
                parsed.mode, job.mode
            )));
        }
        return Ok(parsed);
    }
    let names = job.place.list().await?;
    of_mode(&names, job.mode).pop().ok_or_else(|| {
        let (place, mode) = (job.place, job.mode);
        RecordsError::Broken(format!("{place} has no backup of mode {mode}; name another place, or one file"))
    })
}

async fn nothing_there(database: &Database) -> Result<(), RecordsError> {
    match database {
        Database::Sqlite(path) => nothing_at(path),
        Database::Postgres(url) => nothing_in(url).await,
    }
}

fn nothing_at(path: &Path) -> Result<(), RecordsError> {
    let beside = |ending: &&str| PathBuf::from(format!("{}{ending}", path.display()));
    // A link that leads nowhere is in the way, too.
    match BESIDE.iter().map(beside).find(|path| path.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(found) => Err(RecordsError::NotEmpty(format!(
            "there is a database: {} exists; move it and what lies beside it (-wal, -shm) away, they may be \
             needed, and try again",
            found.display()
        ))),
    }
}

async fn nothing_in(url: &PostgresUrl) -> Result<(), RecordsError> {
    let mut snapshot = Store::snapshot(&Database::Postgres(url.clone())).await?;
    let contents = snapshot.contents().await;
    snapshot.close().await;
    match contents?.counts.keys().next() {
        None => Ok(()),
        Some(table) => Err(RecordsError::NotEmpty(format!(
            "the database {url} is not empty, it has the table {table}; make an empty one (createdb) and \
            name it as \
             database.url, or rename the old one"
        ))),
    }
}

/// An older schema is migrated by the host; a newer one is not understood.
async fn known_version(database: &Database, version: Option<i64>) -> Result<(), RecordsError> {
    let wanted = Store::version_of(database);
    if version.is_some_and(|version| (1..=wanted).contains(&version)) {
        return Ok(());
    }
    let version = version.map_or_else(|| "none".into(), |version| version.to_string());
    let cause = format!("the backup's schema has version {version}, this program knows up to {wanted}");
    Err(StoreError::OtherVersion { database: database.to_string(), cause }.into())
}

async fn load(url: &PostgresUrl, dump: &Path, manifest: &Manifest, path: &str) -> Result<(), RecordsError> {
    let database = format!("--dbname={}", tools::database_name(url));
    let how = [
        "--exit-on-error",
        "--single-transaction",
        "--no-owner",
        "--no-privileges",
        "--no-comments",
        "--no-password",
        &database,
    ];
    tools::run(path, "pg_restore", &how, dump, Some(url)).await?;
    let mut snapshot = Store::snapshot(&Database::Postgres(url.clone())).await?;
    let contents = snapshot.contents().await;
    snapshot.close().await;
    manifest.compare(&contents?)
}
