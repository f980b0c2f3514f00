//! What stands beside a backup.

use std::{collections::BTreeMap, fs, path::Path};

use sandpit_store::Contents;
use serde::{Deserialize, Serialize};

use crate::{RecordsError, digest, name::Kind};

/// A manifest longer than this is none.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// What a backup is, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The backup's file name.
    pub file: String,
    /// Of which kind of database.
    pub database: Kind,
    /// The host's mode.
    pub mode: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// The version of Sandpit that made it.
    pub sandpit: String,
    /// The version of the schema inside.
    pub schema_version: Option<i64>,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// The newest life of the host inside. It is never used again: each start has a fresh one.
    pub newest_epoch: Option<String>,
    /// When the newest order inside changed, RFC 3339, market time.
    pub newest_order: Option<String>,
    /// When the newest fill inside was, RFC 3339, market time.
    pub newest_fill: Option<String>,
    /// When the newest equity inside was, RFC 3339, market time.
    pub newest_equity: Option<String>,
    /// Rows of each table.
    pub counts: BTreeMap<String, u64>,
}

impl Manifest {
    pub(crate) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("texts and numbers are JSON");
        text.push('\n');
        text
    }

    pub(crate) fn read(path: &Path) -> Result<Self, RecordsError> {
        let about = fs::metadata(path).map_err(RecordsError::file("read the manifest", path))?;
        if about.len() > MAX_MANIFEST_BYTES {
            return Err(RecordsError::Broken(format!("{} is too long for a manifest", path.display())));
        }
        let text = fs::read(path).map_err(RecordsError::file("read the manifest", path))?;
        serde_json::from_slice(&text).map_err(|error| {
            RecordsError::Broken(format!("{} is no manifest of a backup: {error}", path.display()))
        })
    }

    /// Takes what is in the database.
    pub(crate) fn with(mut self, contents: &Contents) -> Self {
        let stamp = |time: Option<sandpit_types::MarketTime>| time.map(|time| time.to_string());
        self.schema_version = contents.schema_version;
        self.newest_epoch.clone_from(&contents.newest_epoch);
        self.newest_order = stamp(contents.newest_order);
        self.newest_fill = stamp(contents.newest_fill);
        self.newest_equity = stamp(contents.newest_equity);
        self.counts.clone_from(&contents.counts);
        self
    }

    /// Whether `file` is what this says, byte by byte.
    pub(crate) fn verify(&self, file: &Path) -> Result<(), RecordsError> {
        let (bytes, sha256) = digest::of_file(file)?;
        if (bytes, &sha256) == (self.bytes, &self.sha256) {
            return Ok(());
        }
        Err(RecordsError::Broken(format!(
            "{} is damaged or not the file of its manifest: it has {bytes} bytes with SHA-256 {sha256}, \
            {} bytes \
             with {} were backed up; use another backup",
            self.file, self.bytes, self.sha256
        )))
    }

    /// Whether a database has the rows that were backed up.
    pub(crate) fn compare(&self, contents: &Contents) -> Result<(), RecordsError> {
        if contents.counts == self.counts {
            return Ok(());
        }
        Err(RecordsError::Broken(format!(
            "{} does not have the rows that its manifest says: {:?} instead of {:?}; use another backup",
            self.file, contents.counts, self.counts
        )))
    }
}
