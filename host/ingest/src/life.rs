//! The life of one stream connection, as a table.
//!
//! ```text
//!            due                 opened               proof
//! Waiting ─────────> Opening ─────────────> Proving ─────────> Live
//!    ^                  │ failed               │ lost, silent    │ lost, silent
//!    └──────────────────┴──────────────────────┴─────────────────┘
//! ```
//!
//! Proof is the first data, or for a stream that may rightly be quiet, some time without a fall. Until there
//! is proof, the waits keep growing: a broker that accepts and drops us is not stormed. At most one
//! connection exists: the table says `Open` only where the old one has been dropped.

use std::time::{Duration, Instant};

use sandpit_cores::Reconnect;

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

/// What happened to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The deadline passed.
    Due,
    /// It is open: connected, authenticated, subscribed.
    Opened,
    /// It could not be opened.
    Failed {
        /// The broker does not accept our key: there is no hurry to ask again.
        hopeless: bool,
    },
    /// It delivered something.
    Data,
    /// It ended.
    Lost,
    /// It is open but overdue.
    Silent,
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
        /// How long, real time.
        wait: Duration,
        /// Call a human: the failures in a row have reached the number for that.
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
    random: u64,
}

impl Life {
    /// A stream that is to be opened at once. `seed` feeds the jitter.
    pub(crate) const fn new(proof: Proof, seed: u64, now: Instant) -> Self {
        Self { phase: Phase::Waiting { until: now }, proof, reconnect: Reconnect::new(), random: seed }
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
            (Phase::Proving { .. }, Proof::Data) | (Phase::Opening | Phase::Live, _) => None,
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
            (Phase::Waiting { .. } | Phase::Opening | Phase::Live, Input::Due) => Ok(Step::Stay),
            (Phase::Opening, Input::Opened) => {
                self.phase = Phase::Proving { since: now };
                Ok(Step::Stay)
            }
            (Phase::Opening, Input::Failed { hopeless }) => Ok(self.fall(now, hopeless)),
            (Phase::Proving { .. }, Input::Due) => {
                if self.deadline().is_some_and(|at| now >= at) {
                    self.live();
                }
                Ok(Step::Stay)
            }
            (Phase::Proving { .. }, Input::Data) => {
                if self.proof == Proof::Data {
                    self.live();
                }
                Ok(Step::Stay)
            }
            (Phase::Live, Input::Data) => Ok(Step::Stay),
            (Phase::Proving { .. } | Phase::Live, Input::Lost | Input::Silent) => Ok(self.fall(now, false)),
            (
                Phase::Waiting { .. },
                Input::Opened | Input::Failed { .. } | Input::Data | Input::Lost | Input::Silent,
            )
            | (Phase::Opening, Input::Data | Input::Lost | Input::Silent)
            | (Phase::Proving { .. } | Phase::Live, Input::Opened | Input::Failed { .. }) => impossible,
        }
    }

    fn live(&mut self) {
        self.phase = Phase::Live;
        self.reconnect.succeed();
    }

    fn fall(&mut self, now: Instant, hopeless: bool) -> Step {
        let random = self.draw();
        let retry = self.reconnect.fail(random);
        let wait = if hopeless { retry.after.max(Reconnect::CAP) } else { retry.after };
        self.phase = Phase::Waiting { until: now + wait };
        Step::Drop { wait, page: retry.page }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be made in no other way; tests only add to it"
    )]
    fn zero() -> Instant {
        Instant::now()
    }

    /// Feeds `(second, input)` and compares the steps, waits left out.
    fn check(proof: Proof, script: &[(u64, Input)], expected: &str) {
        let zero = zero();
        let mut life = Life::new(proof, 1, zero);
        let steps: Vec<String> = script
            .iter()
            .map(|&(secs, input)| match life.on(input, zero + Duration::from_secs(secs)) {
                Ok(Step::Stay) => "stay".to_owned(),
                Ok(Step::Open) => "open".to_owned(),
                Ok(Step::Drop { page, .. }) => if page { "page" } else { "drop" }.to_owned(),
                Err(_) => "impossible".to_owned(),
            })
            .collect();
        assert_eq!(steps.join(" "), expected, "{script:?}");
    }

    #[test]
    fn the_table() {
        use Input::{Data, Due, Failed, Lost, Opened, Silent};
        let failed = Failed { hopeless: false };
        check(Proof::Data, &[(0, Due), (1, Opened), (2, Data), (3, Data)], "open stay stay stay");
        check(
            Proof::Data,
            &[(0, Due), (1, Opened), (2, Lost), (2, Due), (9, Due)],
            "open stay drop stay open",
        );
        check(Proof::Data, &[(0, Due), (1, Opened), (2, Data), (3, Silent)], "open stay stay drop");
        check(Proof::Data, &[(0, Due), (0, failed), (9, Due), (9, failed)], "open drop open drop");
        check(Proof::Data, &[(0, Data)], "impossible");
        check(Proof::Data, &[(0, Due), (0, Lost)], "open impossible");
        check(Proof::Data, &[(0, Due), (0, Opened), (0, Opened)], "open stay impossible");
        check(
            Proof::Uptime(Duration::from_secs(5)),
            &[(0, Due), (0, Opened), (5, Due), (6, Lost)],
            "open stay stay drop",
        );
    }

    /// Connects and is dropped `n` times; `(failures, proven)` at the end.
    fn flap(proof: Proof, data: bool, uptime_secs: u64, times: u32) -> (u32, u32) {
        let zero = zero();
        let mut life = Life::new(proof, 7, zero);
        let (mut now, mut pages) = (zero, 0);
        for _ in 0..times {
            now = life.deadline().expect("it waits").max(now);
            assert_eq!(life.on(Input::Due, now), Ok(Step::Open));
            life.on(Input::Opened, now).expect("it was opening");
            if data {
                life.on(Input::Data, now).expect("it is open");
            }
            now += Duration::from_secs(uptime_secs);
            life.on(Input::Due, now).expect("allowed at any time");
            if let Ok(Step::Drop { page: true, .. }) = life.on(Input::Lost, now) {
                pages += 1;
            }
        }
        (life.failures(), pages)
    }

    #[test]
    fn only_proof_shortens_the_wait() {
        let uptime = Proof::Uptime(Duration::from_secs(30));
        assert_eq!(flap(Proof::Data, false, 100, 7), (7, 1), "mute");
        assert_eq!(flap(Proof::Data, true, 0, 7), (1, 0), "data came each time");
        assert_eq!(flap(uptime, true, 1, 7), (7, 1), "updates are no proof of a stable stream");
        assert_eq!(flap(uptime, false, 30, 7), (1, 0), "it lasted each time");
    }

    #[test]
    fn a_refused_key_waits_the_longest() {
        let zero = zero();
        let mut life = Life::new(Proof::Data, 3, zero);
        life.on(Input::Due, zero).expect("it waits");
        let step = life.on(Input::Failed { hopeless: true }, zero).expect("it was opening");
        assert!(matches!(step, Step::Drop { wait, .. } if wait >= Reconnect::CAP), "{step:?}");
    }

    proptest! {
        /// Whatever happens, a connection is opened only from `Waiting`, and never sooner than half a second
        /// after the fall of the one before.
        #[test]
        fn never_a_storm(
            seed in any::<u64>(), inputs in prop::collection::vec((0_u64..2_000, 0_u8..6), 1..300)
        ) {
            let zero = zero();
            let mut life = Life::new(Proof::Data, seed, zero);
            let (mut now, mut fell) = (zero, None::<Instant>);
            for (millis, pick) in inputs {
                now += Duration::from_millis(millis);
                let input = match pick {
                    0 => Input::Due,
                    1 => Input::Opened,
                    2 => Input::Failed { hopeless: false },
                    3 => Input::Data,
                    4 => Input::Lost,
                    _ => Input::Silent,
                };
                let before = life.phase();
                match life.on(input, now) {
                    Ok(Step::Open) => {
                        let waited = matches!(before, Phase::Waiting { .. });
                        prop_assert!(waited);
                        prop_assert!(fell.is_none_or(|at| now - at >= Duration::from_millis(500)));
                    }
                    Ok(Step::Drop { .. }) => fell = Some(now),
                    Ok(Step::Stay) => {}
                    Err(_) => prop_assert_eq!(life.phase(), before),
                }
            }
        }
    }
}
