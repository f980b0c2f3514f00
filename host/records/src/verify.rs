//! Whether the newest backup would do, without putting it anywhere.

use std::path::Path;

use crate::{
    Manifest, Place, RecordsError,
    backup::inside,
    files::Workplace,
    name::{Kind, of_mode},
};

/// Fetches the newest backup of `mode` from `place` into `work`, a folder of its own, checks it against its
/// manifest, and an SQLite file from the inside as well. Nothing of it stays. `None` when there is none.
///
/// # Errors
/// [`RecordsError`]; [`RecordsError::Broken`] when it is damaged.
pub async fn verify(place: &Place, mode: &str, work: &Path) -> Result<Option<Manifest>, RecordsError> {
    let Some(name) = of_mode(&place.list().await?, mode).pop() else { return Ok(None) };
    let work = Workplace::open(work)?;
    let (beside, copy) = (work.aside(&name.manifest()), work.aside(&name.to_string()));
    place.get(&name.manifest(), &beside).await?;
    let manifest = Manifest::read(beside.path())?;
    place.get(&name.to_string(), &copy).await?;
    manifest.verify(copy.path())?;
    if name.kind == Kind::Sqlite {
        manifest.compare(&inside(copy.path()).await?)?;
    }
    Ok(Some(manifest))
}
