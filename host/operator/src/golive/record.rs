//! The sign-off, and when it is void.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    keys::{hex, salted},
    times::{DAY_S, span, stamp},
    write::{Rights, replace},
};

/// In the state folder, for all modes together.
pub(super) const FILE: &str = "golive.json";
/// Beside it: when a live host last ran on it.
const USE_FILE: &str = "golive.in-use";
/// How old what a sign-off rests on may be, and how long a live host may be away.
pub(crate) const VALID_S: u64 = 7 * DAY_S;
/// A clock may be so much behind without being wrong.
const SLACK_S: u64 = 300;
/// A sign-off is never longer.
const MAX_BYTES: u64 = 256 * 1024;

/// Evidence of one item: when it was made, and in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Unix seconds.
    pub at_unix_s: u64,
    /// In words.
    pub words: String,
}

/// A sign-off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// When, Unix seconds.
    pub signed_unix_s: u64,
    /// Whose name was given.
    pub operator: String,
    /// Who was logged in.
    pub login: String,
    /// The salt of `key`, hex.
    pub salt: String,
    /// The salted hash of the live key's id, hex.
    pub key: String,
    /// The drill.
    pub drill: Proof,
    /// The alert test.
    pub alert_test: Proof,
    /// The backup.
    pub backup: Proof,
    /// The limits of the host that were confirmed, one a line.
    pub host_limits: String,
    /// The watchdog's configuration.
    pub watchdog_config: PathBuf,
    /// SHA-256 of the limits of the watchdog that were confirmed, hex.
    pub watchdog_limits: String,
}

/// When a live host last ran on a sign-off, and on which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Which, by its digest; empty when none was ever used.
    of: String,
    /// Unix seconds.
    last_unix_s: u64,
}

impl Use {
    /// Of a state folder; what cannot be read was never used.
    pub fn read(state_dir: &Path) -> Self {
        let bytes = fs::read(state_dir.join(USE_FILE)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Whether a live host has ever run on any sign-off of this folder.
    pub fn was_ever(state_dir: &Path) -> bool {
        state_dir.join(USE_FILE).exists()
    }

    /// A live host runs on this sign-off now.
    ///
    /// # Errors
    /// When the state folder cannot be written.
    pub fn note(state_dir: &Path, record: &Record, now_unix_s: u64) -> io::Result<()> {
        let used = Self { of: record.mark(), last_unix_s: now_unix_s };
        let text = serde_json::to_vec(&used).expect("plain words and numbers are JSON");
        replace(&state_dir.join(USE_FILE), &text, Rights { mode: 0o600, owner: None }).map(drop)
    }
}

impl Record {
    /// Whether the times of the sign-off still hold.
    ///
    /// # Errors
    /// Why it is void, in one sentence.
    pub fn judge_time(&self, used: &Use, now_unix_s: u64) -> Result<(), String> {
        if now_unix_s + SLACK_S < self.signed_unix_s {
            return Err(format!(
                "the sign-off is of {}, and the machine's clock says {}: set the clock",
                stamp(self.signed_unix_s),
                stamp(now_unix_s)
            ));
        }
        let last = (used.of == self.mark()).then_some(used.last_unix_s);
        match last {
            Some(last) if now_unix_s.saturating_sub(last) > VALID_S => Err(format!(
                "the sign-off was last used {} ago, and lasts for 7 days without a live host: sign off anew",
                span(now_unix_s - last)
            )),
            Some(_) => Ok(()),
            None if now_unix_s.saturating_sub(self.drill.at_unix_s) > VALID_S => Err(format!(
                "the drill of the sign-off is {} old, and 7 days are allowed before the first live start: \
                 hold one, then sign off anew",
                span(now_unix_s - self.drill.at_unix_s)
            )),
            None => Ok(()),
        }
    }

    /// Whether it was signed for this key.
    ///
    /// # Errors
    /// One sentence if not.
    pub fn judge_key(&self, key_id: &str) -> Result<(), String> {
        if salted(&self.salt, key_id) == self.key {
            return Ok(());
        }
        Err("the key is not the one that was signed off: sign off anew".into())
    }

    /// Whether these are the limits that were confirmed.
    ///
    /// # Errors
    /// One sentence with the first that differs.
    pub fn judge_limits(&self, host: &str, watchdog: &str) -> Result<(), String> {
        if self.host_limits != host {
            let changed = host.lines().find(|line| !self.host_limits.lines().any(|signed| signed == *line));
            let changed = changed.unwrap_or("one less than before");
            return Err(format!(
                "a limit was changed after the sign-off ({changed}): read them, sign off anew"
            ));
        }
        if self.watchdog_limits != digest(watchdog) {
            return Err(
                "a limit of the watchdog was changed after the sign-off: read them, sign off anew".into()
            );
        }
        Ok(())
    }

    /// Which sign-off it is.
    fn mark(&self) -> String {
        digest(&serde_json::to_string(self).expect("plain words and numbers are JSON"))
    }
}

/// SHA-256, in hex.
pub(super) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// The sign-off of a state folder.
///
/// # Errors
/// One sentence when there is none, or it is none.
pub fn signed(state_dir: &Path) -> Result<Record, String> {
    use io::Read;
    let path = super::file(state_dir);
    let mut text = String::new();
    let read = fs::File::open(&path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err("nothing is signed off yet".into());
        }
        Err(error) => return Err(format!("the sign-off {} cannot be read: {error}", path.display())),
    }
    serde_json::from_str(&text).map_err(|error| format!("{} is no sign-off: {error}", path.display()))
}

/// Puts a sign-off in its place.
///
/// # Errors
/// When the state folder cannot be written; the old one is there then.
pub fn sign(state_dir: &Path, record: &Record) -> io::Result<()> {
    let text = serde_json::to_string_pretty(record).expect("plain words and numbers are JSON");
    let rights = Rights { mode: 0o600, owner: None };
    replace(&super::file(state_dir), format!("{text}\n").as_bytes(), rights).map(drop)
}
