//! The life of one stream connection, as a table.
//!
//! ```text
//!            due                 opened               proof
//! Waiting ─────────> Opening ─────────────> Proving ─────────> Live
//!    ^                  │ failed               │ lost            │ lost
//!    └──────────────────┴──────────────────────┴─────────────────┘
//! ```
//!
//! Proof is the first data, or for a stream that may rightly be quiet, some time without a fall. Until a
//! stream has been live for a while, the waits keep growing: a broker that accepts us, sends a little and
//! drops us is not stormed. At most one
//! connection exists: the table says `Open` only where the old one has been dropped. What a fall means
//! depends on its cause:
//!
//! | cause | counted | wait | page |
//! |---|---|---|---|
//! | down, not sent, silent, suspected, too many for good | yes | `min(2^n, 60)` s | the 5th in a row |
//! | occupied: a ghost of ours | after 2 min of it | about 10 s, then as down | as down |
//! | slow | not in the row of failures | none; again within a minute, `min(2^n, 60)` s | the 5th in a row |
//! | too many symbols, fewer next time | no | about 1 s | at once |
//! | refused: key or plan | yes | 60 s or more | at once |
//!
//! A human is called once in a row of failures, and the tries go on for ever.

use std::time::{Duration, Instant};

use sandpit_broker::StreamError;
use sandpit_cores::{Backoff, Reconnect};

/// How long a session of ours that the broker still holds is waited for before that counts as a failure. A
/// dead connection is reaped after about 90 s (alpaca-trade-api-csharp#558).
const GHOST: Duration = Duration::from_secs(120);
/// How often to try while waiting for that, on average.
const GHOST_RETRY: Duration = Duration::from_secs(10);
/// A slow fall of a connection that did not last longer belongs to the same row.
const SLOW_AGAIN: Duration = Duration::from_secs(60);
/// A row of failures is over when data came and the connection then lasted this long. Longer than the
/// patience with the quotes of a canary: a connection that brings a little and falls silent is one more.
const FORGIVEN_AFTER: Duration = Duration::from_secs(15);
/// The wait before a try with fewer symbols, on average.
const TRIMMED_WAIT: Duration = Duration::from_secs(1);

/// What proves that a connection is worth having.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Its first data.
    Data,
    /// That it lasted this long; real time.
    Uptime(Duration),
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none; the next try is at `until`.
    Waiting {
        /// When to try again.
        until: Instant,
    },
    /// One is being made.
    Opening,
    /// It is open and has yet to prove itself.
    Proving {
        /// When it opened.
        since: Instant,
    },
    /// It delivers.
    Live,
}

/// Why a connection ended, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It was closed, reset or not made in time.
    Down,
    /// The broker still holds an older session of ours.
    Occupied,
    /// The broker found us slow; data was lost.
    Slow,
    /// The plan allows fewer symbols.
    TooMany {
        /// Whether the next try asks for fewer.
        trimmed: bool,
    },
    /// The broker does not accept our key or our plan: there is no hurry to ask again.
    Refused,
    /// Our own budget did not let the handshake out.
    NotSent,
    /// It is open but overdue.
    Silent,
    /// It is open, but something else shows that it does not tell all.
    Suspected,
}

impl Cause {
    /// What an error means. `trimmed` says whether the next try asks for fewer symbols.
    pub(crate) const fn of(error: &StreamError, trimmed: bool) -> Self {
        match error {
            StreamError::Down { .. } => Self::Down,
            StreamError::Occupied { .. } => Self::Occupied,
            StreamError::Slow { .. } => Self::Slow,
            StreamError::TooManySymbols { .. } => Self::TooMany { trimmed },
            StreamError::Unauthorized { .. } => Self::Refused,
            StreamError::NotSent(_) => Self::NotSent,
        }
    }
}

/// What happened to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The deadline passed.
    Due,
    /// It is open: connected, authenticated, subscribed.
    Opened,
    /// It could not be opened.
    Failed(Cause),
    /// It delivered something.
    Data,
    /// It ended, or is to be ended.
    Lost(Cause),
}

/// What the edge does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Stay,
    /// Open a connection.
    Open,
    /// Drop the connection, if there is one; then wait.
    Drop {
        /// Why.
        cause: Cause,
        /// How long, real time.
        wait: Duration,
        /// Call a human.
        page: bool,
    },
}

/// A pair of phase and input that cannot be: the edge has lost track.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream that is {phase:?} cannot meet {input:?}")]
pub(crate) struct Impossible {
    phase: Phase,
    input: Input,
}

/// The state of one stream.
#[derive(Debug)]
pub(crate) struct Life {
    phase: Phase,
    proof: Proof,
    reconnect: Reconnect,
    /// The first of the row of refusals that an older session of ours explains.
    ghost: Option<Instant>,
    /// When the newest connection opened.
    opened: Option<Instant>,
    /// Whether there was a slow fall, and the row of them.
    slow: (bool, Backoff),
    /// A human was called in this row of failures.
    paged: bool,
    /// How long a connection that brought data has to last.
    forgiven_after: Duration,
    /// When the row of failures is over, if the connection lasts.
    forgive_at: Option<Instant>,
    random: u64,
}

impl Life {
    /// A stream that is to be opened at once. `seed` feeds the jitter.
    pub(crate) const fn new(proof: Proof, seed: u64, now: Instant) -> Self {
        Self {
            phase: Phase::Waiting { until: now },
            proof,
            reconnect: Reconnect::new(),
            ghost: None,
            opened: None,
            slow: (false, Backoff::new(Duration::from_secs(1), Reconnect::CAP)),
            paged: false,
            forgiven_after: FORGIVEN_AFTER,
            forgive_at: None,
            random: seed,
        }
    }

    /// Another span after which a connection that brought data ends the row of failures.
    pub(crate) const fn forgive_after(&mut self, span: Duration) {
        self.forgiven_after = span;
    }

    /// Where it stands.
    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Failures in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.reconnect.failures()
    }

    /// When to say [`Input::Due`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match (self.phase, self.proof) {
            (Phase::Waiting { until }, _) => Some(until),
            (Phase::Proving { since }, Proof::Uptime(span)) => Some(since + span),
            (Phase::Live, _) => self.forgive_at,
            (Phase::Proving { .. }, Proof::Data) | (Phase::Opening, _) => None,
        }
    }

    /// Takes an input in.
    ///
    /// # Errors
    /// When the pair of phase and input cannot be; nothing changes then.
    pub(crate) fn on(&mut self, input: Input, now: Instant) -> Result<Step, Impossible> {
        let impossible = Err(Impossible { phase: self.phase, input });
        match (self.phase, input) {
            (Phase::Waiting { until }, Input::Due) if now >= until => {
                self.phase = Phase::Opening;
                Ok(Step::Open)
            }
            (Phase::Live, Input::Due) => {
                self.forgive(now);
                Ok(Step::Stay)
            }
            (Phase::Waiting { .. } | Phase::Opening, Input::Due) => Ok(Step::Stay),
            (Phase::Opening, Input::Opened) => {
                self.phase = Phase::Proving { since: now };
                self.ghost = None;
                self.opened = Some(now);
                Ok(Step::Stay)
            }
            (Phase::Opening, Input::Failed(cause)) => Ok(self.fall(cause, now)),
            (Phase::Proving { .. }, Input::Due) => {
                if self.deadline().is_some_and(|at| now >= at) {
                    self.live(now, Duration::ZERO);
                }
                Ok(Step::Stay)
            }
            (Phase::Proving { .. }, Input::Data) => {
                if self.proof == Proof::Data {
                    self.live(now, self.forgiven_after);
                }
                Ok(Step::Stay)
            }
            (Phase::Live, Input::Data) => Ok(Step::Stay),
            (Phase::Proving { .. } | Phase::Live, Input::Lost(cause)) => Ok(self.fall(cause, now)),
            (Phase::Waiting { .. }, Input::Opened | Input::Failed(_) | Input::Data | Input::Lost(_))
            | (Phase::Opening, Input::Data | Input::Lost(_))
            | (Phase::Proving { .. } | Phase::Live, Input::Opened | Input::Failed(_)) => impossible,
        }
    }

    fn live(&mut self, now: Instant, forgiven_after: Duration) {
        self.phase = Phase::Live;
        self.forgive_at = Some(now + forgiven_after);
        self.forgive(now);
    }

    /// Ends the row of failures, if the connection has lasted.
    fn forgive(&mut self, now: Instant) {
        if self.forgive_at.take_if(|at| *at <= now).is_some() {
            self.reconnect.succeed();
            self.paged = false;
        }
    }

    fn fall(&mut self, cause: Cause, now: Instant) -> Step {
        self.forgive(now);
        self.forgive_at = None;
        let opened = self.opened.take();
        if cause != Cause::Occupied {
            self.ghost = None;
        }
        let (wait, page) = match cause {
            Cause::Occupied => self.haunted(now),
            Cause::Slow => self.slow(opened, now),
            Cause::TooMany { trimmed: true } => (self.about(TRIMMED_WAIT), true),
            Cause::Refused => (self.fail().0.max(Reconnect::CAP), true),
            Cause::Down
            | Cause::TooMany { trimmed: false }
            | Cause::NotSent
            | Cause::Silent
            | Cause::Suspected => self.fail(),
        };
        let page = page && !self.paged;
        self.paged |= page;
        self.phase = Phase::Waiting { until: now + wait };
        Step::Drop { cause, wait, page }
    }

    fn fail(&mut self) -> (Duration, bool) {
        let random = self.draw();
        let retry = self.reconnect.fail(random);
        (retry.after, retry.page)
    }

    /// The broker will find out by itself that our old session is dead.
    fn haunted(&mut self, now: Instant) -> (Duration, bool) {
        let since = *self.ghost.get_or_insert(now);
        if now.saturating_duration_since(since) < GHOST {
            (self.about(GHOST_RETRY), false)
        } else {
            self.fail()
        }
    }

    /// The data that was lost is fetched the sooner, the sooner we are back; but what was too much once may
    /// be too much again.
    fn slow(&mut self, opened: Option<Instant>, now: Instant) -> (Duration, bool) {
        let is_first = !std::mem::replace(&mut self.slow.0, true);
        // Counted from the opening, for the wait before it would end the row by itself.
        let lasted = |opened: Instant| now.saturating_duration_since(opened) > SLOW_AGAIN;
        if is_first || opened.is_some_and(lasted) {
            self.slow.1.succeed();
            return (Duration::ZERO, false);
        }
        let random = self.draw();
        let wait = self.slow.1.fail(random).expect("a schedule without a bound on attempts goes on");
        (wait, self.slow.1.failures() == Reconnect::PAGE_AFTER)
    }

    /// A wait of `span` on average that does not grow.
    fn about(&mut self, span: Duration) -> Duration {
        let random = self.draw();
        Backoff::new(span, span).fail(random).unwrap_or(span)
    }

    /// Some chance for a wait: the next number of SplitMix64. Jitter needs spread, not secrecy.
    pub(crate) const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests;
