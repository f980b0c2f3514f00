//! What became of a drill: the whole kill, rehearsed on an account that is not traded.

use serde::{Deserialize, Serialize};

/// A drill's text is never longer, characters.
pub const MAX_DRILL_TEXT: usize = 600;

/// In the watchdog's state directory: one line of JSON for each drill, the newest last. A line is a
/// [`DrillNote`] and more.
pub const DRILLS_FILE: &str = "drills.jsonl";

/// In the watchdog's state directory: one [`AlertTest`] as a line of JSON for each test of the alerts, the
/// newest last.
pub const ALERT_TESTS_FILE: &str = "alert-tests.jsonl";

/// How a drill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillOutcome {
    /// Every step was proved within its bound.
    WithinBounds,
    /// Every step was proved, at least one later than its bound.
    Slow,
    /// A step was not proved, or the drill could not be held.
    Failed,
}

impl DrillOutcome {
    /// The word used in logs and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::WithinBounds => "within-bounds",
            Self::Slow => "slow",
            Self::Failed => "failed",
        }
    }
}

/// The newest drill, as observers see it and as the drill tells it to the running watchdog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillStatus {
    /// When it ended, Unix seconds.
    pub at_unix_s: u64,
    /// How.
    pub outcome: DrillOutcome,
    /// In words: the figures, the slow steps or the failure. At most [`MAX_DRILL_TEXT`] characters.
    pub text: String,
}

/// What an operator's checklist wants to know of a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillNote {
    /// When it ended, Unix seconds.
    pub at_unix_s: u64,
    /// How.
    pub outcome: DrillOutcome,
}

/// A test of the alerts: to whom it was sent, and whether it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTest {
    /// When, Unix seconds.
    pub at_unix_s: u64,
    /// Names of the sinks that took it.
    pub delivered: Vec<String>,
    /// Names of those that did not.
    pub failed: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_one_word() {
        for outcome in [DrillOutcome::WithinBounds, DrillOutcome::Slow, DrillOutcome::Failed] {
            assert_eq!(serde_json::to_value(outcome).expect("a word"), outcome.word());
        }
    }
}
