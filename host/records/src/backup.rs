//! A backup while the host trades.

use std::{num::NonZeroUsize, path::Path};

use sandpit_store::{Contents, Database, PostgresUrl, Store, StoreError};

use crate::{
    Clock, Manifest, Place, RecordsError, digest,
    files::{Aside, Workplace},
    name::{Kind, Name, of_mode},
    tools,
};

/// What is to be backed up, and where to.
#[derive(Debug)]
pub struct Backup<'a> {
    /// The database.
    pub database: &'a Database,
    /// The host's mode, such as `paper`.
    pub mode: &'a str,
    /// The host's folder: what goes into a bucket is made there.
    pub state_folder: &'a Path,
    /// Where the backup goes.
    pub place: &'a Place,
    /// How many backups of this mode stay there, this one included; `None` is all.
    pub keep: Option<NonZeroUsize>,
    /// The time of day.
    pub now: Clock,
    /// Where programs are: the variable PATH.
    pub path: &'a str,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupDone {
    /// What was backed up.
    pub manifest: Manifest,
    /// Older backups that are gone, by name.
    pub pruned: Vec<String>,
}

/// Makes one backup: a checked copy, its manifest, and then fewer old ones.
///
/// # Errors
/// [`RecordsError`]; there is no new backup then, unless pruning failed, and older ones are as they were.
pub async fn backup(job: &Backup<'_>) -> Result<BackupDone, RecordsError> {
    let kind = match job.database {
        Database::Sqlite(_) => Kind::Sqlite,
        Database::Postgres(_) => Kind::Postgres,
    };
    let work = Workplace::open(job.place.folder().unwrap_or(job.state_folder))?;
    let made_at = (job.now)();
    let name = Name::new(job.mode, made_at.to_jiff(), kind);
    let copy = work.aside(&name.to_string());
    let contents = match job.database {
        Database::Sqlite(path) => copy_file(path, &copy).await?,
        Database::Postgres(url) => dump(url, &copy, job.path).await?,
    };
    copy.finish()?;
    let (bytes, sha256) = digest::of_file(copy.path())?;
    let manifest = Manifest {
        file: name.to_string(),
        database: kind,
        mode: job.mode.to_owned(),
        made_at: made_at.to_string(),
        sandpit: env!("CARGO_PKG_VERSION").to_owned(),
        bytes,
        sha256,
        schema_version: None,
        newest_epoch: None,
        newest_order: None,
        newest_fill: None,
        newest_equity: None,
        counts: std::collections::BTreeMap::new(),
    }
    .with(&contents);
    let beside = work.aside(&name.manifest());
    beside.write(&manifest.to_json())?;
    beside.finish()?;
    job.place.put(copy, &name.to_string()).await?;
    job.place.put(beside, &name.manifest()).await?;
    let pruned = match job.keep {
        Some(keep) => prune(job.place, job.mode, keep).await?,
        None => Vec::new(),
    };
    Ok(BackupDone { manifest, pruned })
}

/// One file as of one moment, whose pages are whole.
async fn copy_file(from: &Path, to: &Aside) -> Result<Contents, RecordsError> {
    Store::copy(from, to.path()).await?;
    inside(to.path()).await
}

/// What is in a copy, once its structure is checked.
pub(crate) async fn inside(file: &Path) -> Result<Contents, RecordsError> {
    let mut copy = Store::snapshot(&Database::Sqlite(file.to_owned())).await?;
    let looked = async {
        let wrong = copy.integrity().await?;
        match wrong.first() {
            Some(first) => {
                let database = file.display().to_string();
                Err(StoreError::Damaged { database, cause: first.clone() })
            }
            None => copy.contents().await,
        }
    }
    .await;
    copy.close().await;
    Ok(looked?)
}

/// The dump and what is counted beside it are of the same moment.
async fn dump(url: &PostgresUrl, to: &Aside, path: &str) -> Result<Contents, RecordsError> {
    let mut snapshot = Store::snapshot(&Database::Postgres(url.clone())).await?;
    let dumped = async {
        let contents = snapshot.contents().await?;
        let moment = snapshot.export().await?.unwrap_or_default();
        let moment = format!("--snapshot={moment}");
        let how = ["--format=custom", "--no-owner", "--no-privileges", "--no-password", &moment, "--file"];
        tools::run(path, "pg_dump", &how, to.path(), Some(url)).await?;
        Ok::<_, RecordsError>(contents)
    }
    .await;
    snapshot.close().await;
    let contents = dumped?;
    let list = tools::run(path, "pg_restore", &["--list"], to.path(), None).await?;
    let has = |table: &str| list.lines().any(|line| line.contains(&format!("TABLE DATA public {table} ")));
    match contents.counts.keys().find(|table| !has(table)) {
        None => Ok(contents),
        Some(table) => Err(RecordsError::Broken(format!("the dump lacks the table {table}"))),
    }
}

/// Removes the oldest backups of a mode until `keep` are left. The manifest goes first: what has none is no
/// backup.
async fn prune(place: &Place, mode: &str, keep: NonZeroUsize) -> Result<Vec<String>, RecordsError> {
    let names = place.list().await?;
    let found = of_mode(&names, mode);
    let mut gone = Vec::new();
    for name in &found[..found.len().saturating_sub(keep.get())] {
        place.remove(&name.manifest()).await?;
        place.remove(&name.to_string()).await?;
        gone.push(name.to_string());
    }
    Ok(gone)
}
