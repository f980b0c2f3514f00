//! What a host asks before it trades, and what it leaves for a later sign-off.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::record::{Record, Use, signed};
use crate::{
    files::Settings,
    keys::{hex, salted},
    write::{Rights, replace},
};

/// In the state folder: which keys paper hosts have used. No key can be read from it.
const PAPER_FILE: &str = "paper-keys.json";
/// The newest are kept.
const MAX_PAPER_KEYS: usize = 64;
const SALT_BYTES: usize = 16;

/// Keys that were used in paper.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PaperKeys {
    salt: String,
    keys: Vec<String>,
}

impl PaperKeys {
    /// Of a state folder; `None` when no paper host ever ran there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn read(state_dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(state_dir.join(PAPER_FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a paper host has used this key.
    pub(super) fn has(&self, key_id: &str) -> bool {
        self.keys.contains(&salted(&self.salt, key_id))
    }
}

/// A host in mode `paper` uses this key: remembered as a salted hash, so that `golive` knows it again.
///
/// # Errors
/// When the state folder cannot be written.
pub fn note_paper_key(
    state_dir: &Path,
    key_id: &str,
    random: fn(&mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut known = PaperKeys::read(state_dir)?.unwrap_or_default();
    if known.salt.is_empty() {
        known.salt = fresh_salt(random)?;
    }
    if known.has(key_id) {
        return Ok(());
    }
    known.keys.push(salted(&known.salt, key_id));
    let excess = known.keys.len().saturating_sub(MAX_PAPER_KEYS);
    known.keys.drain(..excess);
    let text = serde_json::to_vec(&known).expect("plain words are JSON");
    replace(&state_dir.join(PAPER_FILE), &text, Rights { mode: 0o600, owner: None }).map(drop)
}

/// A new salt, hex.
pub(super) fn fresh_salt(random: fn(&mut [u8]) -> io::Result<()>) -> io::Result<String> {
    let mut salt = [0; SALT_BYTES];
    random(&mut salt)?;
    Ok(hex(&salt))
}

/// What a host in mode `live` is about to run with.
#[derive(Debug)]
pub struct Gate<'a> {
    /// The state folder, of all modes together.
    pub state_dir: &'a Path,
    /// The key's id.
    pub key_id: &'a str,
    /// The limits in force, one a line.
    pub limits: &'a str,
    /// The wall clock, Unix seconds.
    pub now_unix_s: u64,
}

impl Gate<'_> {
    /// Whether the sign-off holds; notes that it is used.
    ///
    /// # Errors
    /// Why it does not, in one sentence.
    pub fn pass(&self) -> Result<Record, String> {
        let record = self.judge()?;
        Use::note(self.state_dir, &record, self.now_unix_s).map_err(|error| {
            format!("mode live is not accepted: {} cannot be written: {error}", self.state_dir.display())
        })?;
        Ok(record)
    }

    /// The same without a note: whether a host would start.
    ///
    /// # Errors
    /// Why it would not, in one sentence.
    pub fn judge(&self) -> Result<Record, String> {
        let refused = |why: String| format!("mode live is not accepted: {why} (sandpit golive)");
        let record = signed(self.state_dir).map_err(refused)?;
        let watchdog = watchdog_limits(&record.watchdog_config).map_err(refused)?;
        record
            .judge_time(&Use::read(self.state_dir), self.now_unix_s)
            .and_then(|()| record.judge_key(self.key_id))
            .and_then(|()| record.judge_limits(self.limits, &watchdog))
            .and_then(|()| self.was_not_used_in_paper())
            .map_err(refused)?;
        Ok(record)
    }

    fn was_not_used_in_paper(&self) -> Result<(), String> {
        let known = PaperKeys::read(self.state_dir).map_err(|error| format!("{PAPER_FILE}: {error}"))?;
        if known.is_some_and(|known| known.has(self.key_id)) {
            return Err("the key was used by a host in mode paper: make a new one".into());
        }
        Ok(())
    }
}

/// The sign-off goes on being used; a live host calls this every hour or so.
///
/// # Errors
/// When the state folder cannot be written.
pub fn keep_in_use(state_dir: &Path, record: &Record, now_unix_s: u64) -> io::Result<()> {
    Use::note(state_dir, record, now_unix_s)
}

/// What the watchdog's file says of limits and of what a kill does, one a line. What it leaves out is at its
/// ceiling.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn watchdog_limits(path: &Path) -> Result<String, String> {
    let text =
        fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let table: toml::Table = text.parse().map_err(|_| format!("{} is no TOML: mend it", path.display()))?;
    Ok(limit_lines(&table))
}

fn limit_lines(table: &toml::Table) -> String {
    let mut lines = Vec::new();
    for section in ["limits", "kill", "memory"] {
        let Some(section_table) = table.get(section).and_then(toml::Value::as_table) else { continue };
        lines.extend(section_table.iter().map(|(key, value)| format!("{section}.{key} = {value}")));
    }
    if lines.is_empty() { "everything at its ceiling".into() } else { lines.join("\n") }
}

impl Settings {
    /// Whether the watchdog may be told of by the settings at all.
    pub(crate) fn has_drill_account(&self) -> bool {
        self.watchdog_section("drill").is_some_and(|drill| drill.contains_key("trading_url"))
    }
}
