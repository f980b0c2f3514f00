//! What the host's own rules have come to, on its way to a human: the watchdog has the ways out.

use serde::{Deserialize, Serialize};

/// The longest key, in bytes.
pub const MAX_ALARM_KEY: usize = 256;
/// The longest text and the longest remedy, in bytes.
pub const MAX_ALARM_TEXT: usize = 1_500;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmSeverity {
    /// Good to know.
    Info,
    /// Somebody should look at it, not at once.
    Warning,
    /// Somebody has to act at once.
    Critical,
}

/// Whether it has begun or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmStanding {
    /// It fires.
    Firing,
    /// It is over.
    Over,
}

/// A signal of the host that began to fire, or ended. On every connection the host tells again of each that
/// fires, so the same may come twice; what ended while nobody was connected comes then, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The signal and which of its series: `stream-down{stream="market"}`. What ends it has the same key.
    pub key: String,
    /// How bad.
    pub severity: AlarmSeverity,
    /// Begun or over.
    pub standing: AlarmStanding,
    /// One sentence with value, threshold and what is usual.
    pub text: String,
    /// What a human does, one sentence.
    pub remedy: String,
    /// When it began to fire, Unix seconds.
    pub since_unix_s: u64,
}

impl Alarm {
    /// Cut to the lengths that a peer takes, at characters.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for (text, bytes) in [
            (&mut self.key, MAX_ALARM_KEY),
            (&mut self.text, MAX_ALARM_TEXT),
            (&mut self.remedy, MAX_ALARM_TEXT),
        ] {
            text.truncate(text.floor_char_boundary(bytes));
        }
        self
    }

    /// Whether a peer takes it.
    pub fn is_bounded(&self) -> bool {
        self.key.len() <= MAX_ALARM_KEY
            && self.text.len() <= MAX_ALARM_TEXT
            && self.remedy.len() <= MAX_ALARM_TEXT
    }
}
