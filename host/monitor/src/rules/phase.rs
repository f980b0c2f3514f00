//! Where a series stands.
//!
//! ```text
//!              bad              bad for `hold`
//!    QUIET ──────────> PENDING ───────────────> FIRING <───────────────┐
//!      ^ ^                │                       │ good               │ bad, between
//!      │ └────────────────┘                       v                    │ or unknown
//!      │   good, between or unknown            CLEARING ───────────────┘
//!      └──────────────────────────────────────────┘ good for `settle`
//! ```
//!
//! "Between" is on the good side of the threshold, but not as far as `clears`. What is not known neither
//! makes a series fire nor ends it: a pending one begins anew, a clearing one waits anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::signal::Signal;

/// What the newest reading says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Beyond the threshold.
    Bad,
    /// Not beyond it, but not good enough to end what fires.
    Between,
    /// All is well.
    Good,
    /// Data is missing.
    Unknown,
}

/// Where a series stands, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Nothing is wrong.
    #[default]
    Quiet,
    /// It is bad, but not for long enough.
    Pending {
        /// Since when it is bad.
        since: Duration,
    },
    /// It fires.
    Firing {
        /// Since when.
        since: Duration,
    },
    /// It fires still, and is good.
    Clearing {
        /// Since when it fires.
        since: Duration,
        /// Since when it is good.
        good: Duration,
    },
}

/// What a step says to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It began to fire.
    Fires,
    /// It is over; it had fired since then.
    Resolves(Duration),
}

impl Phase {
    /// Since when it fires; `None` while it does not.
    pub(super) fn firing_since(self) -> Option<Duration> {
        match self {
            Self::Firing { since } | Self::Clearing { since, .. } => Some(since),
            Self::Quiet | Self::Pending { .. } => None,
        }
    }

    /// One step.
    pub(super) fn on(&mut self, verdict: Verdict, now: Duration, signal: &Signal) -> Option<Turn> {
        use Verdict::{Bad, Between, Good, Unknown};
        let (next, turn) = match (*self, verdict) {
            (Self::Quiet, Good | Between | Unknown) | (Self::Pending { .. }, Good | Between | Unknown) => {
                (Self::Quiet, None)
            }
            (Self::Quiet, Bad) => begin(now, now, signal),
            (Self::Pending { since }, Bad) => begin(since, now, signal),
            (Self::Firing { since } | Self::Clearing { since, .. }, Bad | Between | Unknown) => {
                (Self::Firing { since }, None)
            }
            (Self::Firing { since }, Good) => end(since, now, now, signal),
            (Self::Clearing { since, good }, Good) => end(since, good, now, signal),
        };
        *self = next;
        turn
    }
}

fn begin(bad: Duration, now: Duration, signal: &Signal) -> (Phase, Option<Turn>) {
    if now.saturating_sub(bad) >= signal.hold {
        (Phase::Firing { since: now }, Some(Turn::Fires))
    } else {
        (Phase::Pending { since: bad }, None)
    }
}

fn end(since: Duration, good: Duration, now: Duration, signal: &Signal) -> (Phase, Option<Turn>) {
    if now.saturating_sub(good) >= signal.settle {
        (Phase::Quiet, Some(Turn::Resolves(since)))
    } else {
        (Phase::Clearing { since, good }, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Id, table};

    #[test]
    fn the_table() {
        // Held for 30 s, settles for 60 s.
        let signal = table::signal(Id::Inventory);
        let mut phase = Phase::Quiet;
        let mut check = |secs, verdict, expected| {
            let turn = phase.on(verdict, Duration::from_secs(secs), signal);
            assert_eq!(turn, expected, "{verdict:?} at {secs} s");
        };
        check(0, Verdict::Bad, None);
        check(29, Verdict::Bad, None);
        check(30, Verdict::Unknown, None);
        check(31, Verdict::Bad, None);
        check(61, Verdict::Bad, Some(Turn::Fires));
        check(62, Verdict::Bad, None);
        check(63, Verdict::Good, None);
        check(122, Verdict::Between, None);
        check(123, Verdict::Good, None);
        check(182, Verdict::Unknown, None);
        check(183, Verdict::Good, None);
        check(242, Verdict::Good, None);
        check(243, Verdict::Good, Some(Turn::Resolves(Duration::from_secs(61))));
        check(244, Verdict::Between, None);
    }
}
