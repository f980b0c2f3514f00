//! What goes wrong in a run and when: all of it from the seed, in seconds of open market since the start.

use serde_json::{Value, json};

/// An hour, in seconds.
pub(crate) const HOUR_SECS: u64 = 3_600;
/// Nothing goes wrong so long before the end, so that the books can be compared.
const QUIET_SECS: u64 = 20 * 60;
/// Least and most market time between two faults.
const BETWEEN_FAULTS_SECS: (u64, u64) = (8 * 60, 28 * 60);
/// Runs that are shorter have one long life, and those below the second bound none.
const TWO_LONG_SECS: u64 = 20 * HOUR_SECS;
const ONE_LONG_SECS: u64 = 4 * HOUR_SECS;
/// Short lives of a run with two long ones.
const SHORT_LIVES: usize = 4;

/// How the runner ends a life of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// SIGKILL: the process dies at once.
    Kill,
    /// SIGSTOP: it hangs, until the watchdog has noticed and replaced it.
    Hang,
}

impl Manner {
    /// The signal's name, as `kill` takes it.
    pub(crate) const fn signal(self) -> &'static str {
        match self {
            Self::Kill => "-KILL",
            Self::Hang => "-STOP",
        }
    }

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Hang => "hung",
        }
    }
}

/// A fault at the broker: its rules are armed together, and taken away together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// What it is called in the report.
    pub(crate) name: &'static str,
    /// As the simulator takes them, see `sandpit-sim --help`.
    pub(crate) rules: Vec<Value>,
    /// How long they stay, market time.
    pub(crate) for_secs: u64,
}

/// What is done at a moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    Restart(Manner),
    Fault(Fault),
}

/// All deeds of a run, by time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) deeds: Vec<(u64, Deed)>,
}

impl Plan {
    /// The plan of `total_secs` of open market.
    pub(crate) fn new(seed: u64, total_secs: u64) -> Self {
        let mut dice = Dice(seed);
        let mut deeds = Vec::new();
        let mut at = 0;
        let lives = lives(total_secs, &mut dice);
        let hangs_first = dice.below(2);
        for (n, life) in (0..).zip(&lives[..lives.len() - 1]) {
            at += life;
            let manner = if (n + hangs_first).is_multiple_of(2) { Manner::Kill } else { Manner::Hang };
            deeds.push((at, Deed::Restart(manner)));
        }
        let mut deck = Vec::new();
        let mut at = 0;
        loop {
            let (least, most) = BETWEEN_FAULTS_SECS;
            at += least + dice.below(most - least);
            if deck.is_empty() {
                deck = faults();
            }
            let fault = deck.swap_remove(dice.index(deck.len()));
            if at + fault.for_secs + QUIET_SECS > total_secs {
                break;
            }
            deeds.push((at, Deed::Fault(fault)));
        }
        deeds.sort_by_key(|(at, _)| *at);
        Self { deeds }
    }

    /// The deeds that come after `done_secs`.
    pub(crate) fn after(&self, done_secs: u64) -> &[(u64, Deed)] {
        let first = self.deeds.partition_point(|(at, _)| *at < done_secs);
        &self.deeds[first..]
    }
}

/// How long each life of the host is, in order.
fn lives(total_secs: u64, dice: &mut Dice) -> Vec<u64> {
    let (mut lives, short) = if total_secs >= TWO_LONG_SECS {
        (vec![total_secs / 3; 2], SHORT_LIVES)
    } else if total_secs >= ONE_LONG_SECS {
        (vec![total_secs * 3 / 5], 2)
    } else {
        (Vec::new(), 2)
    };
    let mut left = total_secs - lives.iter().sum::<u64>();
    for parts in (1..=short as u64).rev() {
        // No shorter than half of an even share, and no longer than that and a half.
        let even = left / parts;
        let life = if parts == 1 { left } else { even / 2 + dice.below(even + 1) };
        left -= life;
        lives.push(life);
    }
    for last in (1..lives.len()).rev() {
        lives.swap(last, dice.index(last + 1));
    }
    // The last life is compared with the broker at its end: a start is not in its way.
    let longest = (0..lives.len()).max_by_key(|&n| lives[n]).expect("a run has a life");
    let end = lives.len() - 1;
    if lives[end] < 2 * QUIET_SECS {
        lives.swap(longest, end);
    }
    lives
}

/// Every fault there is.
fn faults() -> Vec<Fault> {
    let fault = |name, for_secs, rules: &[Value]| Fault { name, rules: rules.to_vec(), for_secs };
    let stream = |kind: &str, stream: &str| json!({"kind": kind, "stream": stream});
    let some = |mut rule: Value, probability: f64| {
        rule["probability"] = probability.into();
        rule
    };
    let most = |mut rule: Value, at_most: u64| {
        rule["at_most"] = at_most.into();
        rule
    };
    let error = |status: u16| json!({"kind": "server_error", "status": status});
    let lie = json!({"kind": "server_error", "status": 504, "deed": "done", "method": "POST",
        "path": "/v2/orders", "probability": 0.2});
    let cut = json!({"kind": "reset", "deed": "done", "path": "/v2/orders", "probability": 0.1});
    let hang = json!({"kind": "timeout", "hold_ms": 3_000, "probability": 0.3});
    let slow = json!({"kind": "latency", "delay_ms": [20, 400], "probability": 0.5});
    let no_bars = json!({"kind": "server_error", "status": 503, "api": "data", "probability": 0.8});
    let replay = json!({"kind": "replay", "stream": "trades", "count": 5, "every": 3});
    let late = json!({"kind": "slow", "stream": "data", "delay_ms": [1, 20]});
    let refused = most(json!({"kind": "handshake_429"}), 4);
    let ghost = json!({"kind": "ghost", "stream": "data", "ghost_secs": 60});
    let (data, trades) = ("data", "trades");
    vec![
        fault("data stream cut", 60, &[most(stream("drop", data), 1)]),
        fault("data stream cut five times", 300, &[most(some(stream("drop", data), 0.001), 5)]),
        fault("order stream cut", 300, &[most(stream("drop", trades), 2)]),
        fault("both streams cut", 120, &[most(stream("drop", data), 1), most(stream("drop", trades), 1)]),
        fault("data stream mute", 150, &[stream("mute", data)]),
        fault("order stream mute", 150, &[stream("mute", trades)]),
        fault("data lost", 300, &[some(stream("lose", data), 0.01)]),
        fault("order updates lost", 300, &[some(stream("lose", trades), 0.2)]),
        fault("data doubled", 300, &[some(stream("duplicate", data), 0.05)]),
        fault("order updates doubled", 300, &[some(stream("duplicate", trades), 0.3)]),
        fault("order updates out of order", 300, &[some(stream("reorder", trades), 0.2)]),
        fault("order updates repeated", 300, &[replay]),
        fault("data late", 60, &[late]),
        fault("streams refused", 180, &[most(stream("drop", data), 1), refused]),
        fault("data stream's connection still counted", 120, &[most(stream("drop", data), 1), ghost]),
        fault("REST answers 500", 120, &[some(error(500), 0.5)]),
        fault("REST answers 503", 60, &[error(503)]),
        fault("gap that REST does not fill", 240, &[most(stream("drop", data), 2), no_bars]),
        fault("storm of 429", 60, &[some(json!({"kind": "rate_limit"}), 0.7)]),
        fault("REST hangs", 120, &[hang]),
        fault("REST slow", 300, &[slow]),
        fault("REST answers HTML", 90, &[some(json!({"kind": "html"}), 0.5)]),
        fault("order taken, answer 504", 300, &[lie]),
        fault("order taken, connection cut", 300, &[cut]),
    ]
}

/// Numbers that a seed decides: SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end.max(1)
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("an index")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_makes_one_plan_and_another_one_another() {
        let day = 24 * HOUR_SECS;
        assert_eq!(Plan::new(7, day), Plan::new(7, day));
        assert_ne!(Plan::new(7, day), Plan::new(8, day));
    }

    #[test]
    fn a_day_has_two_long_lives_some_short_ones_and_every_fault() {
        for seed in 0..200 {
            let day = 24 * HOUR_SECS;
            let lives = lives(day, &mut Dice(seed));
            assert_eq!(lives.iter().sum::<u64>(), day, "seed {seed}");
            assert_eq!(lives.iter().filter(|&&life| life >= 8 * HOUR_SECS).count(), 2, "seed {seed}");
            // The watchdog takes ends that follow each other too fast for a row of crashes.
            assert!(lives.iter().all(|&life| life >= HOUR_SECS / 2), "seed {seed}: {lives:?}");
            let plan = Plan::new(seed, day);
            let restarts = plan.deeds.iter().filter_map(|(_, deed)| match deed {
                Deed::Restart(manner) => Some(manner.as_str()),
                Deed::Fault(_) => None,
            });
            assert_eq!(restarts.collect::<BTreeSet<_>>().len(), 2, "seed {seed}");
            let names = plan.deeds.iter().filter_map(|(_, deed)| match deed {
                Deed::Fault(fault) => Some(fault.name),
                Deed::Restart(_) => None,
            });
            assert_eq!(names.collect::<BTreeSet<_>>().len(), faults().len(), "seed {seed}");
        }
    }

    #[test]
    fn a_run_ends_quietly_and_any_length_has_a_plan() {
        for (seed, total) in (0..50).flat_map(|seed| [600, 1_800, 7_200, 15_000, 86_400].map(|t| (seed, t))) {
            let plan = Plan::new(seed, total);
            assert!(plan.deeds.is_sorted_by_key(|(at, _)| *at));
            for (at, deed) in &plan.deeds {
                let until = at + if let Deed::Fault(fault) = deed { fault.for_secs } else { 0 };
                let quiet = if matches!(deed, Deed::Fault(_)) { QUIET_SECS } else { 1 };
                assert!(until + quiet <= total, "seed {seed}, {total} s: {at} {deed:?}");
            }
            assert!(plan.deeds.iter().any(|(_, deed)| matches!(deed, Deed::Restart(_))), "seed {seed}");
        }
    }

    #[test]
    fn what_was_done_is_not_done_again() {
        let plan = Plan::new(7, 24 * HOUR_SECS);
        assert_eq!(plan.after(0).len(), plan.deeds.len());
        let (third, _) = plan.deeds[2];
        assert_eq!(plan.after(third + 1), &plan.deeds[3..]);
        assert_eq!(plan.after(24 * HOUR_SECS), &[]);
    }
}
