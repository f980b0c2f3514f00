//! Is every loop of the host alive? Judged by what each loop itself did, never by the fact that a message
//! came.

use std::{collections::BTreeMap, time::Duration};

use sandpit_contract::{Beat, BootTime, LoopStatus, MAX_LOOPS};

/// Loops with this prefix may leave while the host runs: a strategy is removed or quarantined. Others may
/// not.
const MAY_LEAVE: &str = "strategy:";

/// Without these a host trades nothing safely: one sends orders, the other records them first.
const MUST_BE_THERE: [&str; 2] = ["execution", "store"];

/// How long a loop may stand still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Then the lease is withheld.
    pub(crate) stall: Duration,
    /// Then the host is replaced.
    pub(crate) replace: Duration,
    /// In place of `replace` for a host or loop that has not answered a nonce yet: it may still be loading.
    pub(crate) start: Duration,
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not every loop has brought a nonce back yet, or one that must be there is not.
    Unproven,
    /// Every loop has, and none stands still.
    Advancing,
    /// A loop stands still longer than `stall`.
    Stalled(String),
    /// A loop stands still longer than it may live.
    Hung(String),
}

#[derive(Debug)]
struct Seen {
    progress: u64,
    moved_at: BootTime,
    proven: bool,
}

/// The loops of one host connection.
#[derive(Debug)]
pub(crate) struct Loops {
    first_nonce: u64,
    newest_nonce: u64,
    sequence: Option<u64>,
    heard_at: BootTime,
    seen: BTreeMap<String, Seen>,
}

impl Loops {
    /// Nothing is proved yet; nonces from `first_nonce` on count as proof.
    pub(crate) fn new(first_nonce: u64, now: BootTime) -> Self {
        Self { first_nonce, newest_nonce: 0, sequence: None, heard_at: now, seen: BTreeMap::new() }
    }

    /// A nonce was handed out.
    pub(crate) fn issued(&mut self, nonce: u64) {
        self.newest_nonce = nonce;
    }

    /// Takes a report in. One that is old, or names more than [`MAX_LOOPS`] loops in all, changes nothing.
    pub(crate) fn on_beat(&mut self, beat: &Beat, now: BootTime) {
        let is_old = self.sequence.is_some_and(|last| beat.sequence <= last);
        if is_old || beat.loops.len() > MAX_LOOPS {
            return;
        }
        let named = |name: &str| beat.loops.iter().any(|one| one.name == name);
        self.seen.retain(|name, _| named(name) || !name.starts_with(MAY_LEAVE));
        let fresh = beat.loops.iter().filter(|one| !self.seen.contains_key(&one.name)).count();
        if self.seen.len() + fresh > MAX_LOOPS {
            return;
        }
        self.sequence = Some(beat.sequence);
        self.heard_at = now;
        for one in &beat.loops {
            // It left and came back between two beats: another loop of that name, which counts from nothing.
            let is_another = |seen: &Seen| one.progress < seen.progress && one.name.starts_with(MAY_LEAVE);
            if self.seen.get(&one.name).is_some_and(is_another) {
                self.seen.remove(&one.name);
            }
            let answered = (self.first_nonce..=self.newest_nonce).contains(&one.nonce);
            let seen = self.seen.entry(one.name.clone()).or_insert(Seen {
                progress: one.progress,
                moved_at: now,
                proven: false,
            });
            seen.proven |= answered;
            if one.progress > seen.progress {
                seen.progress = one.progress;
                seen.moved_at = now;
            }
        }
    }

    /// The watchdog itself did not run for `gap`: nobody ages by it.
    pub(crate) fn rebase(&mut self, gap: Duration) {
        self.heard_at = self.heard_at + gap;
        for seen in self.seen.values_mut() {
            seen.moved_at = seen.moved_at + gap;
        }
    }

    /// Judges.
    pub(crate) fn verdict(&self, limits: Limits, now: BootTime) -> Verdict {
        if self.sequence.is_none() || self.seen.is_empty() {
            return Verdict::Unproven;
        }
        let silence = now.since(self.heard_at);
        if silence >= limits.replace {
            return Verdict::Hung(format!("the host is silent for {} ms", silence.as_millis()));
        }
        let age = |seen: &Seen| now.since(seen.moved_at);
        let text =
            |name: &str, seen: &Seen| format!("loop {name} stands still for {} ms", age(seen).as_millis());
        for (name, seen) in &self.seen {
            if age(seen) >= if seen.proven { limits.replace } else { limits.start } {
                return Verdict::Hung(text(name, seen));
            }
        }
        if let Some((name, seen)) = self.seen.iter().find(|(_, seen)| age(seen) >= limits.stall) {
            return Verdict::Stalled(text(name, seen));
        }
        let is_whole = MUST_BE_THERE.iter().all(|name| self.seen.contains_key(*name));
        if is_whole && self.seen.values().all(|seen| seen.proven) {
            Verdict::Advancing
        } else {
            Verdict::Unproven
        }
    }

    /// For an observer.
    pub(crate) fn status(&self, now: BootTime) -> Vec<LoopStatus> {
        let one = |(name, seen): (&String, &Seen)| LoopStatus {
            name: name.clone(),
            progress: seen.progress,
            age_ms: u64::try_from(now.since(seen.moved_at).as_millis()).unwrap_or(u64::MAX),
        };
        self.seen.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sandpit_contract::LoopBeat;

    use super::*;

    const LIMITS: Limits = Limits {
        stall: Duration::from_secs(2),
        replace: Duration::from_millis(3500),
        start: Duration::from_secs(60),
    };

    fn at(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }

    fn beat(sequence: u64, loops: &[(&str, u64, u64)]) -> Beat {
        let one =
            |&(name, progress, nonce): &(&str, u64, u64)| LoopBeat { name: name.into(), progress, nonce };
        Beat { epoch: 1, sequence, loops: loops.iter().map(one).collect() }
    }

    /// Beats at given times, then the verdict's variant at `end`.
    fn check(beats: &[(u64, Beat)], end: u64, expected: &str) {
        let mut loops = Loops::new(10, at(0));
        loops.issued(20);
        for (time, beat) in beats {
            loops.on_beat(beat, at(*time));
        }
        let verdict = format!("{:?}", loops.verdict(LIMITS, at(end)));
        assert!(verdict.starts_with(expected), "{verdict} is not {expected} after {beats:?}");
    }

    #[test]
    fn a_loop_lives_by_its_own_progress() {
        let good =
            |sequence, progress| beat(sequence, &[("execution", progress, 15), ("store", progress, 15)]);
        check(&[], 100_000, "Unproven");
        check(&[(0, beat(1, &[]))], 1000, "Unproven");
        check(&[(0, good(1, 1))], 100, "Advancing");
        check(&[(0, beat(1, &[("execution", 1, 9)]))], 100, "Unproven");
        check(&[(0, beat(1, &[("execution", 1, 21)]))], 100, "Unproven");
        // Beats flow, one loop stands still.
        let stuck = |sequence, progress| beat(sequence, &[("execution", progress, 15), ("store", 1, 15)]);
        check(&[(0, good(1, 1)), (1999, stuck(2, 2))], 1999, "Advancing");
        check(&[(0, good(1, 1)), (1999, stuck(2, 2))], 2000, "Stalled(\"loop store");
        check(&[(0, good(1, 1)), (3400, stuck(2, 2))], 3500, "Hung(\"loop store");
        // It came back.
        check(&[(0, good(1, 1)), (2500, good(2, 2))], 2600, "Advancing");
        // A loop that has proved nothing may take the start's time, silence may not.
        let loading = |sequence| beat(sequence, &[("execution", 0, 0)]);
        check(&[(0, loading(1)), (9000, loading(2))], 10_000, "Stalled");
        check(&[(0, loading(1)), (59_000, loading(2))], 60_000, "Hung");
        check(&[(0, loading(1))], 3500, "Hung(\"the host is silent");
    }

    #[test]
    fn a_strategy_may_leave_and_a_room_may_not() {
        let both = beat(1, &[("execution", 1, 15), ("store", 1, 15), ("strategy:x", 1, 15)]);
        let gone = beat(2, &[("execution", 2, 15), ("store", 2, 15)]);
        check(&[(0, both.clone()), (3000, gone)], 3600, "Advancing");
        check(
            &[(0, both), (3000, beat(2, &[("execution", 2, 15), ("strategy:x", 2, 15)]))],
            3600,
            "Hung(\"loop store",
        );
        // Neither may be missing from the start.
        check(&[(0, beat(1, &[("execution", 1, 15), ("x", 1, 15)]))], 100, "Unproven");
        check(&[(0, beat(1, &[("store", 1, 15), ("x", 1, 15)]))], 100, "Unproven");
    }

    /// A beat every 100 ms, in which the strategy's loop has come so far; then the verdict 50 ms after the
    /// last.
    fn check_strategy(progress: impl IntoIterator<Item = u64>, expected: &str) {
        let beats: Vec<_> = (1..)
            .zip(progress)
            .map(|(number, progress)| {
                let loops = [("execution", number, 15), ("store", number, 15), ("strategy:x", progress, 15)];
                (number * 100, beat(number, &loops))
            })
            .collect();
        let end = beats.last().map_or(0, |(at, _)| at + 50);
        check(&beats, end, expected);
    }

    #[test]
    fn a_strategy_that_comes_back_counts_from_nothing() {
        // It left between two beats, and the one after it works.
        check_strategy([5_000].into_iter().chain(1..=40), "Advancing");
        check_strategy((4_990..=5_000).chain(1..=40), "Advancing");
        // What stands still is no other one, and neither is one that came back and stands still then.
        check_strategy([5_000; 19], "Advancing");
        check_strategy([5_000; 22], "Stalled(\"loop strategy:x");
        check_strategy([5_000; 40], "Hung(\"loop strategy:x");
        check_strategy([5_000].into_iter().chain([1; 22]), "Stalled(\"loop strategy:x");
        check_strategy([5_000].into_iter().chain([1; 40]), "Hung(\"loop strategy:x");
        // A room never leaves: its counter does not fall.
        let fallen = |number: u64| beat(number + 1, &[("execution", 40 - number, 15), ("store", number, 15)]);
        let beats: Vec<_> = (1..=37).map(|number| (number * 100, fallen(number))).collect();
        check(&beats, 3_700, "Hung(\"loop execution");
    }

    #[test]
    fn an_old_or_boundless_beat_is_nothing() {
        check(
            &[(0, beat(5, &[("execution", 1, 15)])), (3000, beat(5, &[("execution", 2, 15)]))],
            3600,
            "Hung",
        );
        let many: Vec<(String, u64, u64)> = (0..=MAX_LOOPS).map(|n| (format!("l{n}"), 1, 15)).collect();
        let many: Vec<(&str, u64, u64)> = many.iter().map(|(name, p, n)| (name.as_str(), *p, *n)).collect();
        check(&[(0, beat(1, &many))], 100, "Unproven");
    }

    #[test]
    fn a_pause_of_our_own_ages_nobody() {
        let mut loops = Loops::new(1, at(0));
        loops.issued(1);
        loops.on_beat(&beat(1, &[("execution", 1, 1), ("store", 1, 1)]), at(0));
        loops.rebase(Duration::from_secs(10));
        assert_eq!(loops.verdict(LIMITS, at(11_000)), Verdict::Advancing);
        assert!(matches!(loops.verdict(LIMITS, at(12_000)), Verdict::Stalled(_)));
    }

    proptest! {
        #[test]
        fn never_advancing_when_a_loop_stood_still(times in proptest::collection::vec(0u64..1500, 1..20)) {
            let mut loops = Loops::new(1, at(0));
            loops.issued(1);
            let (mut now, mut sequence) = (0, 0);
            for step in &times {
                now += step;
                sequence += 1;
                loops.on_beat(&beat(sequence, &[("execution", sequence, 1), ("store", 1, 1)]), at(now));
                let is_stuck = now - times[0] >= 2000;
                let advancing = loops.verdict(LIMITS, at(now)) == Verdict::Advancing;
                prop_assert_eq!(advancing, !is_stuck, "{} ms after the first of {:?}", now, times);
            }
        }
    }
}
