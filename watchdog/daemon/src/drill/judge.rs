//! The steps of a drill, and the judgement of their figures. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is measured, in the order of a kill. The names are those of figures and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Step {
    /// The flag is there -> the lease is gone.
    #[serde(rename = "fenced_ms")]
    Fenced,
    /// The flag is there -> the host is dead.
    #[serde(rename = "host_dead_ms")]
    HostDead,
    /// The flag is there -> the latch is on disk.
    #[serde(rename = "latched_ms")]
    Latched,
    /// The flag is there -> the broker has taken the suspension.
    #[serde(rename = "suspended_ms")]
    Suspended,
    /// The flag is there -> the broker has taken the first cancel.
    #[serde(rename = "first_cancel_ms")]
    FirstCancel,
    /// The flag is there -> a read shows nothing open.
    #[serde(rename = "zero_seen_ms")]
    ZeroSeen,
    /// The flag is there -> every read of the window agreed; the window itself is in it.
    #[serde(rename = "confirmed_ms")]
    Confirmed,
    /// The watchdog was ended in the middle of a kill -> its next life has seen zero.
    #[serde(rename = "resume_ms")]
    Resumed,
}

impl Step {
    /// Every step.
    pub(crate) const ALL: [Self; 8] = [
        Self::Fenced,
        Self::HostDead,
        Self::Latched,
        Self::Suspended,
        Self::FirstCancel,
        Self::ZeroSeen,
        Self::Confirmed,
        Self::Resumed,
    ];

    /// For the table.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Fenced => "flag -> lease gone",
            Self::HostDead => "flag -> host dead",
            Self::Latched => "flag -> latch on disk",
            Self::Suspended => "flag -> trading suspended",
            Self::FirstCancel => "flag -> first cancel",
            Self::ZeroSeen => "flag -> ZERO_SEEN",
            Self::Confirmed => "flag -> CONFIRMED_ZERO",
            Self::Resumed => "watchdog ended -> ZERO_SEEN",
        }
    }
}

/// Milliseconds of each step.
pub(crate) type Figures = BTreeMap<Step, u64>;

/// The steps that were slower than their bound. What has a bound and no figure was never reached: that is no
/// slowness but a failure, and the caller's to say.
pub(crate) fn slow(figures: &Figures, bounds: &Figures) -> Vec<Step> {
    let is_slow = |step: &Step| figures.get(step).zip(bounds.get(step)).is_some_and(|(ms, bound)| ms > bound);
    Step::ALL.into_iter().filter(is_slow).collect()
}

/// A step of the log of a watchdog that kills; `None` for any other line.
pub(crate) fn step_of_line(line: &str) -> Option<Step> {
    let words = line.strip_prefix("[KILL] ")?;
    let begins = [
        ("layer=", Step::Fenced),
        ("host gone", Step::HostDead),
        ("latch written", Step::Latched),
        ("suspended", Step::Suspended),
        ("cancel taken", Step::FirstCancel),
        ("ZERO_SEEN", Step::ZeroSeen),
        ("CONFIRMED_ZERO", Step::Confirmed),
    ];
    begins.iter().find(|(begin, _)| words.starts_with(begin)).map(|(_, step)| *step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_slow_beyond_its_bound_only() {
        let bounds = Figures::from([(Step::Fenced, 200), (Step::ZeroSeen, 3000)]);
        let figures = Figures::from([(Step::Fenced, 200), (Step::ZeroSeen, 3001), (Step::Confirmed, 99_999)]);
        assert_eq!(slow(&figures, &bounds), [Step::ZeroSeen]);
        assert_eq!(slow(&Figures::new(), &bounds), []);
    }

    #[test]
    fn the_log_tells_the_steps() {
        for (line, step) in [
            ("[KILL] layer=flag reason=the flag file is there", Some(Step::Fenced)),
            ("[KILL] again layer=flag reason=x", None),
            ("[KILL] host gone signal=9", Some(Step::HostDead)),
            ("[KILL] latch written", Some(Step::Latched)),
            ("[KILL] latch not written, tried again: x", None),
            ("[KILL] latch found: killed until an operator re-arms", None),
            ("[KILL] suspended after_ms=12", Some(Step::Suspended)),
            ("[KILL] suspend failed, tried again: x", None),
            ("[KILL] cancel taken orders=5 after_ms=30", Some(Step::FirstCancel)),
            ("[KILL] cancel failed, tried again: x", None),
            ("[KILL] PENDING_AT_BROKER: nothing is read yet", None),
            ("[KILL] ZERO_SEEN open=0 after_ms=90", Some(Step::ZeroSeen)),
            ("[KILL] ZERO_SEEN read failed, tried again: x", Some(Step::ZeroSeen)),
            ("[KILL] CONFIRMED_ZERO open=0 after_ms=1500", Some(Step::Confirmed)),
            ("watchdog: armed", None),
        ] {
            assert_eq!(step_of_line(line), step, "{line}");
        }
    }
}
