//! Where backups are kept: a folder, or a bucket that speaks S3.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Clock, RecordsError,
    bucket::Bucket,
    files::{Aside, sync_folder_of},
};

const S3: &str = "s3://";

/// A place for backups.
pub struct Place(Kind);

enum Kind {
    Folder(PathBuf),
    Bucket(Box<Bucket>),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({self})")
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Folder(folder) => folder.display().fmt(f),
            Kind::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl Place {
    /// Reads `s3://BUCKET/PREFIX` or the path of a folder. The bucket's credentials, region and address come
    /// from the variables of the AWS tools in `env`.
    ///
    /// # Errors
    /// [`RecordsError::Usage`] when a bucket is named and a variable is missing or wrong.
    pub fn parse(text: &str, env: &BTreeMap<String, String>, now: Clock) -> Result<Self, RecordsError> {
        match text.strip_prefix(S3) {
            Some(address) => Ok(Self(Kind::Bucket(Box::new(Bucket::open(address, env, now)?)))),
            None if text.is_empty() => Err(RecordsError::Usage("name a folder or s3://BUCKET/PREFIX".into())),
            None => Ok(Self(Kind::Folder(text.into()))),
        }
    }

    /// As [`Place::parse`] for what a backup is read from, which may also be one file: then that file's name
    /// comes, too.
    ///
    /// # Errors
    /// As [`Place::parse`].
    pub fn parse_file(
        text: &str,
        env: &BTreeMap<String, String>,
        now: Clock,
    ) -> Result<(Self, Option<String>), RecordsError> {
        let split = |text: &str| {
            let (folder, name) = text.rsplit_once('/').unwrap_or((".", text));
            crate::name::Name::parse(name).map(|_| (folder.to_owned(), name.to_owned()))
        };
        // A folder may be called like a backup; a bucket has none.
        let split = if Path::new(text).is_dir() { None } else { split(text) };
        match split {
            Some((folder, name)) => {
                let folder = if folder.is_empty() { "/" } else { &folder };
                Ok((Self::parse(folder, env, now)?, Some(name)))
            }
            None if !text.starts_with(S3) && Path::new(text).is_file() => Err(RecordsError::Usage(format!(
                "{text} is not called like a backup (sandpit-MODE-TIME.db or .pgdump); keep the name it \
                was made \
                 with, and its manifest beside it"
            ))),
            None => Ok((Self::parse(text, env, now)?, None)),
        }
    }

    /// The folder, if it is one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Folder(folder) => Some(folder),
            Kind::Bucket(_) => None,
        }
    }

    /// Gives a finished file its name there. Nothing may be there by that name.
    pub(crate) async fn put(&self, file: Aside, name: &str) -> Result<(), RecordsError> {
        match &self.0 {
            Kind::Folder(folder) => file.put(&folder.join(name)),
            Kind::Bucket(bucket) => bucket.put(file.path(), name).await,
        }
    }

    /// The names of all that is there.
    pub(crate) async fn list(&self) -> Result<Vec<String>, RecordsError> {
        match &self.0 {
            Kind::Folder(folder) => {
                let entries = fs::read_dir(folder).map_err(RecordsError::file("list", folder))?;
                let name = |entry: std::io::Result<fs::DirEntry>| {
                    Ok(entry.map_err(RecordsError::file("list", folder))?.file_name().into_string().ok())
                };
                entries.map(name).filter_map(Result::transpose).collect()
            }
            Kind::Bucket(bucket) => bucket.list().await,
        }
    }

    /// Copies what is called `name` to a file.
    pub(crate) async fn get(&self, name: &str, to: &Aside) -> Result<(), RecordsError> {
        match &self.0 {
            Kind::Folder(folder) => {
                let from = folder.join(name);
                fs::copy(&from, to.path()).map(drop).map_err(RecordsError::file("copy", &from))
            }
            Kind::Bucket(bucket) => bucket.get(name, to.path()).await,
        }
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), RecordsError> {
        match &self.0 {
            Kind::Folder(folder) => {
                let path = folder.join(name);
                fs::remove_file(&path).map_err(RecordsError::file("remove", &path))?;
                sync_folder_of(&path)
            }
            Kind::Bucket(bucket) => bucket.remove(name).await,
        }
    }
}
