//! Is every loop of the host alive? Judged by what each loop itself did, never by the fact that a message
//! came.

use std::{collections::BTreeMap, time::Duration};

use sandpit_contract::{Beat, BootTime, LoopStatus, MAX_LOOPS};

/// Loops with this prefix may leave while the host runs: a strategy is removed or quarantined. Others may
/// not.
const MAY_LEAVE: &str = "strategy:";

/// Without these a host trades nothing safely: one sends orders, the other records them first.
const MUST_BE_THERE: [&str; 2] = ["execution", "store"];

/// The name under which the configuration sets the limits of every strategy's loop that has none of its own.
const EVERY_STRATEGY: &str = "strategy:*";

/// How long a loop may stand still.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Then the lease is withheld.
    pub(crate) stall: Duration,
    /// Then the host is replaced.
    pub(crate) replace: Duration,
    /// In place of `replace` for a host or loop that has not answered a nonce yet: it may still be loading.
    pub(crate) start: Duration,
    /// Loops with limits of their own, by name.
    pub(crate) loops: BTreeMap<String, LoopLimits>,
}

/// As in [`Limits`], for one loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoopLimits {
    /// Then the lease is withheld.
    pub(crate) stall: Duration,
    /// Then the host is replaced.
    pub(crate) replace: Duration,
}

impl Limits {
    /// Those of one loop: its own, else those of all strategies, else those of all.
    fn of(&self, name: &str) -> LoopLimits {
        let shared = || name.strip_prefix(MAY_LEAVE).and_then(|_| self.loops.get(EVERY_STRATEGY));
        let own = self.loops.get(name).or_else(shared).copied();
        own.unwrap_or(LoopLimits { stall: self.stall, replace: self.replace })
    }
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
    /// As `Stalled`, and longer than it may live; but the machine is starved, and it gets more time.
    PutOff(String),
    /// A loop stands still longer than it may live.
    Hung(String),
}

#[derive(Debug)]
struct Seen {
    progress: u64,
    moved_at: BootTime,
    proven: bool,
    memory_bytes: u64,
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
                memory_bytes: 0,
            });
            seen.memory_bytes = one.memory_bytes;
            seen.proven |= answered;
            if one.progress > seen.progress {
                seen.progress = one.progress;
                seen.moved_at = now;
            }
        }
    }

    /// The watchdog itself did not run for `gap`, until `now`: nobody ages by it, and nobody gets younger
    /// than the moment.
    pub(crate) fn rebase(&mut self, gap: Duration, now: BootTime) {
        self.heard_at = (self.heard_at + gap).min(now);
        for seen in self.seen.values_mut() {
            seen.moved_at = (seen.moved_at + gap).min(now);
        }
    }

    /// Judges; what may live may do so `patience` times as long.
    pub(crate) fn verdict(&self, limits: &Limits, patience: u32, now: BootTime) -> Verdict {
        if self.sequence.is_none() || self.seen.is_empty() {
            return Verdict::Unproven;
        }
        let silence = now.since(self.heard_at);
        let silent = || format!("the host is silent for {} ms", silence.as_millis());
        let age = |seen: &Seen| now.since(seen.moved_at);
        let text =
            |name: &str, seen: &Seen| format!("loop {name} stands still for {} ms", age(seen).as_millis());
        let oldest = |patience: u32| {
            let replace = |name: &str, seen: &Seen| {
                if seen.proven { limits.of(name).replace * patience } else { limits.start }
            };
            let is_hung = |(name, seen): &(&String, &Seen)| age(seen) >= replace(name, seen);
            let silent = (silence >= limits.replace * patience).then(silent);
            silent.or_else(|| self.seen.iter().find(is_hung).map(|(name, seen)| text(name, seen)))
        };
        if let Some(which) = oldest(patience) {
            return Verdict::Hung(which);
        }
        if let Some(which) = oldest(1) {
            return Verdict::PutOff(which);
        }
        let is_stalled = |(name, seen): &(&String, &Seen)| age(seen) >= limits.of(name).stall;
        if let Some((name, seen)) = self.seen.iter().find(is_stalled) {
            return Verdict::Stalled(text(name, seen));
        }
        let is_whole = MUST_BE_THERE.iter().all(|name| self.seen.contains_key(*name));
        if is_whole && self.seen.values().all(|seen| seen.proven) {
            Verdict::Advancing
        } else {
            Verdict::Unproven
        }
    }

    /// Every strategy's name and what it holds, bytes, the largest first.
    pub(crate) fn strategies(&self) -> Vec<(String, u64)> {
        let one =
            |(name, seen): (&String, &Seen)| Some((name.strip_prefix(MAY_LEAVE)?.into(), seen.memory_bytes));
        let mut all: Vec<(String, u64)> = self.seen.iter().filter_map(one).collect();
        all.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        all
    }

    /// Whether the newest beat names this strategy.
    pub(crate) fn has_strategy(&self, strategy: &str) -> bool {
        self.seen.contains_key(&format!("{MAY_LEAVE}{strategy}"))
    }

    /// For an observer.
    pub(crate) fn status(&self, now: BootTime) -> Vec<LoopStatus> {
        let one = |(name, seen): (&String, &Seen)| LoopStatus {
            name: name.clone(),
            progress: seen.progress,
            age_ms: u64::try_from(now.since(seen.moved_at).as_millis()).unwrap_or(u64::MAX),
            memory_bytes: seen.memory_bytes,
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
        loops: BTreeMap::new(),
    };

    fn at(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }

    fn beat(sequence: u64, loops: &[(&str, u64, u64)]) -> Beat {
        let one = |&(name, progress, nonce): &(&str, u64, u64)| LoopBeat {
            name: name.into(),
            progress,
            nonce,
            memory_bytes: 0,
        };
        Beat { epoch: 1, account: None, sequence, loops: loops.iter().map(one).collect() }
    }

    /// Beats at given times, then the verdict's variant at `end`.
    fn check(beats: &[(u64, Beat)], end: u64, expected: &str) {
        let mut loops = Loops::new(10, at(0));
        loops.issued(20);
        for (time, beat) in beats {
            loops.on_beat(beat, at(*time));
        }
        let verdict = format!("{:?}", loops.verdict(&LIMITS, 1, at(end)));
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

    /// All loops move at 0, then only beats come; the verdict at `end`.
    fn check_patience(own: &[(&str, u64, u64)], patience: u32, end: u64, expected: &str) {
        let ms = Duration::from_millis;
        let own = own.iter().map(|&(name, stall, replace)| {
            (name.to_owned(), LoopLimits { stall: ms(stall), replace: ms(replace) })
        });
        let limits = Limits { loops: own.collect(), ..LIMITS };
        let mut loops = Loops::new(1, at(0));
        loops.issued(1);
        let stuck = [("execution", 1, 1), ("store", 1, 1), ("strategy:a", 1, 1), ("strategy:b", 1, 1)];
        for number in 0..=end / 100 {
            // The rooms live; the strategies stand still.
            let moved = stuck.map(|(name, progress, nonce)| {
                (name, if name.contains(':') { progress } else { number + 1 }, nonce)
            });
            loops.on_beat(&beat(number + 1, &moved), at(number * 100));
        }
        let verdict = format!("{:?}", loops.verdict(&limits, patience, at(end)));
        assert!(verdict.starts_with(expected), "{verdict} is not {expected}: {own:?}", own = limits.loops);
    }

    #[test]
    fn a_loop_may_have_limits_of_its_own() {
        check_patience(&[], 1, 2000, "Stalled(\"loop strategy:a");
        check_patience(&[("strategy:a", 5000, 9000)], 1, 2000, "Stalled(\"loop strategy:b");
        check_patience(&[("strategy:*", 5000, 9000)], 1, 4900, "Advancing");
        check_patience(&[("strategy:*", 5000, 9000)], 1, 5000, "Stalled(\"loop strategy:a");
        check_patience(&[("strategy:*", 5000, 9000)], 1, 9000, "Hung(\"loop strategy:a");
        let both = [("strategy:*", 5000, 9000), ("strategy:b", 500, 1000)];
        check_patience(&both, 1, 500, "Stalled(\"loop strategy:b");
        check_patience(&both, 1, 1000, "Hung(\"loop strategy:b");
        // A room's name is no strategy's.
        check_patience(&[("execution", 500, 1000), ("strategy:*", 9000, 9000)], 1, 3000, "Advancing");
    }

    #[test]
    fn the_lease_ends_at_once_and_the_life_later() {
        check_patience(&[], 3, 1900, "Advancing");
        check_patience(&[], 3, 2000, "Stalled");
        check_patience(&[], 3, 3500, "PutOff(\"loop strategy:a");
        check_patience(&[], 3, 10_400, "PutOff");
        check_patience(&[], 3, 10_500, "Hung(\"loop strategy:a");
        check_patience(&[("strategy:*", 1000, 2000)], 3, 2000, "PutOff");
        check_patience(&[("strategy:*", 1000, 2000)], 3, 6000, "Hung");
    }

    #[test]
    fn strategies_are_told_by_what_they_hold() {
        let mut loops = Loops::new(1, at(0));
        let mut told = beat(1, &[("store", 1, 1), ("strategy:a", 1, 1), ("strategy:b", 1, 1)]);
        (told.loops[1].memory_bytes, told.loops[2].memory_bytes) = (5, 9);
        loops.on_beat(&told, at(0));
        assert_eq!(loops.strategies(), [("b".to_owned(), 9), ("a".to_owned(), 5)]);
        assert!(loops.has_strategy("a") && !loops.has_strategy("store"));
        assert_eq!(loops.status(at(0))[2].memory_bytes, 9);
        loops.on_beat(&beat(2, &[("store", 1, 1), ("strategy:b", 1, 1)]), at(1));
        assert_eq!(loops.strategies(), [("b".to_owned(), 0)]);
    }

    #[test]
    fn a_pause_of_our_own_ages_nobody() {
        let mut loops = Loops::new(1, at(0));
        loops.issued(1);
        loops.on_beat(&beat(1, &[("execution", 1, 1), ("store", 1, 1)]), at(0));
        loops.rebase(Duration::from_secs(10), at(10_500));
        assert_eq!(loops.verdict(&LIMITS, 1, at(11_000)), Verdict::Advancing);
        assert!(matches!(loops.verdict(&LIMITS, 1, at(12_000)), Verdict::Stalled(_)));
        // What was heard after most of the gap is not of the future.
        loops.on_beat(&beat(2, &[("execution", 2, 1), ("store", 2, 1)]), at(12_000));
        loops.rebase(Duration::from_secs(10), at(12_500));
        assert!(matches!(loops.verdict(&LIMITS, 1, at(14_500)), Verdict::Stalled(_)));
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
                let advancing = loops.verdict(&LIMITS, 1, at(now)) == Verdict::Advancing;
                prop_assert_eq!(advancing, !is_stuck, "{} ms after the first of {:?}", now, times);
            }
        }
    }
}
