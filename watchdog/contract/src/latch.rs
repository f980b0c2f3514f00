//! The arm/kill latch: two small files in the watchdog's state directory.
//!
//! Arming is positive: trading needs the file [`ARMED_FILE`]. A kill writes [`LATCH_FILE`] and removes the
//! other, in that order, each fsynced with its directory. A file that cannot be read means *not armed*; a
//! latch that cannot be read means *killed*.

use serde::{Deserialize, Serialize};

/// Name of the file that must exist for any lease to be granted.
pub const ARMED_FILE: &str = "armed";

/// Name of the file that a kill leaves behind.
pub const LATCH_FILE: &str = "latch";

/// Why a latch or arm file is not one.
#[derive(Debug, thiserror::Error)]
#[error("the {file} file is not readable as one: {cause}")]
pub struct LatchError {
    /// Which file.
    pub file: &'static str,
    /// Why.
    pub cause: serde_json::Error,
}

/// What pulled the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The flag file appeared.
    Flag,
    /// A limit that the watchdog computed from its own broker reads.
    Limit,
    /// The host asked for it.
    Trip,
    /// An operator on the machine.
    Operator,
    /// Somebody over the admin port.
    Panic,
    /// Somebody by a chat command.
    Chat,
    /// The host kept crashing.
    CrashLoop,
}

impl Layer {
    /// The word used in files, logs and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Limit => "limit",
            Self::Trip => "trip",
            Self::Operator => "operator",
            Self::Panic => "panic",
            Self::Chat => "chat",
            Self::CrashLoop => "crash-loop",
        }
    }
}

/// What a kill does about the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Cancel every order.
    #[default]
    Cancel,
    /// Cancel every order but those that the broker holds to end a position: stops, and what shares their
    /// fate.
    CancelKeepStops,
    /// Cancel every order, then close every position.
    Flatten,
}

/// A human's permission to trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// Unix seconds.
    pub at_unix_s: u64,
    /// The human's reason.
    pub reason: String,
}

/// The record of a kill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// Unix seconds.
    pub at_unix_s: u64,
    /// What pulled it.
    pub layer: Layer,
    /// In words.
    pub reason: String,
    /// The host's life it ended, 0 when none was connected.
    pub epoch: u64,
    /// Whether this kill suspends trading at the broker, so that `arm` lifts it. False when the account was
    /// suspended before: somebody else's suspension is not ours to lift.
    #[serde(default)]
    pub suspended: bool,
    /// What it does, so that a next life of the watchdog goes on with the same.
    #[serde(default)]
    pub policy: Policy,
}

impl Armed {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a number and a text are JSON")
    }
}

impl Latch {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("numbers and texts are JSON")
    }

    /// Reads the file's bytes.
    ///
    /// # Errors
    /// When they are not a latch; the caller treats that as killed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LatchError> {
        serde_json::from_slice(bytes).map_err(|cause| LatchError { file: LATCH_FILE, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latch_round_trips_and_garbage_is_an_error() {
        let latch = Latch {
            at_unix_s: 1,
            layer: Layer::CrashLoop,
            reason: "five times".into(),
            epoch: 7,
            suspended: true,
            policy: Policy::Flatten,
        };
        assert_eq!(Latch::from_bytes(&latch.to_bytes()).expect("own bytes"), latch);
        assert!(Latch::from_bytes(b"").is_err());
        assert!(Latch::from_bytes(b"{}").is_err());
    }

    #[test]
    fn the_words_of_layers_are_those_of_the_files() {
        use Layer as L;
        for layer in [L::Flag, L::Limit, L::Trip, L::Operator, L::Panic, L::Chat, L::CrashLoop] {
            assert_eq!(serde_json::to_value(layer).expect("a word"), layer.word());
        }
    }
}
