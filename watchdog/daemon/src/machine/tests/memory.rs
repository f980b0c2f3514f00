//! Memory, starvation and clocks, in virtual time.

use super::*;
use crate::{memory::Condemned, starvation::Counts};

const HOUR_MS: u64 = 3_600_000;

/// The host has ended, and the next one is there and has a lease.
fn next_host(bench: &mut Bench, code: Option<i32>) {
    bench.is_alive = false;
    bench.tell(Input::HostEnded(Ending { code, signal: code.is_none().then_some(9) }));
    bench.run(50);
    bench.epoch += 1;
    bench.join();
    bench.is_alive = true;
    bench.run(1000);
}

/// A leased host fills up, is drained, ends, and the next one has a lease.
fn drain(bench: &mut Bench) {
    bench.memory(&[60, 85, 85, 85, 85, 85]);
    assert_eq!(bench.machine.state, State::Draining, "{:?}", bench.seen);
    next_host(bench, Some(30));
}

#[test]
fn memory_drains_then_kills_the_process_not_the_trading() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.memory(&[85, 85, 85, 85, 79, 80, 80, 80, 80]);
    bench.check(State::Leased, &[], &["Drain"]);
    bench.memory(&[80]);
    bench.check(
        State::Draining,
        &[
            "Withhold",
            "Drain",
            "Alert",
            "memory ran out, 1. time",
            "used=800 MB limit=1000 MB",
            "pressure=1.2 %",
        ],
        &["SignalKill"],
    );
    next_host(&mut bench, Some(30));
    bench.check(State::Leased, &["StartHost", "host restarted reason=memory at 80 %"], &["[KILL]"]);
    bench.memory(&[92, 92]);
    bench.check(State::Leased, &[], &["SignalKill"]);
    bench.memory(&[92]);
    bench.check(State::Restarting, &["SignalKill", "memory ran out, 2. time"], &["[KILL]"]);
    // One that does not drain in time: one breach.
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.memory(&[90; 5]);
    bench.run(10_000);
    bench.check(State::Restarting, &["Drain", "SignalKill"], &["2. time"]);
}

#[test]
fn a_fast_leak_is_not_drained_and_a_drain_is_outrun_once() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.memory(&[20, 32, 45, 57, 70]);
    bench.check(State::Restarting, &["SignalKill", "growing by 500 MB/s"], &["Drain {"]);
    assert_eq!(bench.machine.strain(bench.now().boot).memory_breaches, 1);
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.memory(&[81, 81, 81, 81, 81]);
    bench.check(State::Draining, &["Drain {"], &["SignalKill"]);
    bench.memory(&[82, 83, 84, 85]);
    bench.check(State::Restarting, &["SignalKill"], &["2. time"]);
    assert_eq!(bench.machine.strain(bench.now().boot).memory_breaches, 1);
}

#[test]
fn samples_while_a_compiling_child_ends_kill_no_host() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.memory(&[60, 94, 60, 94, 94, 91, 70, 99]);
    bench.check(State::Leased, &[], &["SignalKill", "Drain"]);
    // Nor do those of two hosts.
    next_host(&mut bench, Some(101));
    bench.memory(&[99, 99]);
    bench.check(State::Leased, &["StartHost"], &["SignalKill", "Drain"]);
    bench.memory(&[92]);
    bench.check(State::Restarting, &["SignalKill"], &["[KILL]", "Drain"]);
}

#[test]
fn a_new_host_has_no_memory_of_the_last() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.memory(&[85; 4]);
    bench.tell(Input::HostEnded(Ending { code: Some(101), signal: None }));
    assert_eq!(bench.machine.status(None, bench.now().boot).memory_percent, None);
    bench.run(50);
    bench.join();
    bench.run(1000);
    bench.memory(&[85]);
    bench.check(State::Leased, &[], &["Drain"]);
}

#[test]
fn the_second_time_the_largest_strategy_is_quarantined() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.strategies = vec![("a", 10 << 20), ("b", 700 << 20), ("c", 9 << 20)];
    bench.run(1000);
    drain(&mut bench);
    bench.check(State::Leased, &["largest=b 700 MB, a 10 MB, c 9 MB"], &["Quarantine"]);
    bench.memory(&[60, 85, 85, 85, 85, 85]);
    bench.check(State::Draining, &["strategy b is to be quarantined"], &["Quarantine {"]);
    // Not told to the one that is being ended, nor taken from it that its loops are gone.
    bench.strategies.clear();
    bench.run(2000);
    bench.check(State::Draining, &[], &["Quarantine {", "shows it no more"]);
    assert_eq!(bench.machine.strain(bench.now().boot).quarantining, ["b"]);
    bench.strategies = vec![("a", 1), ("b", 1), ("c", 1)];
    next_host(&mut bench, Some(30));
    let position =
        |word: &str| bench.seen.iter().position(|o| format!("{o:?}").starts_with(word)).expect(word);
    assert!(position("Accept") < position("Quarantine { strategy: \"b\""));
    assert!(position("Quarantine") < position("Grant"));
    // It is asked for once a second until the host shows it no more.
    bench.seen.clear();
    bench.run(5000);
    let asked = bench.seen.iter().filter(|output| matches!(output, Output::Quarantine { .. })).count();
    assert!((4..=6).contains(&asked), "{asked}");
    bench.strategies.remove(1);
    bench.run(100);
    bench.check(State::Leased, &["strategy b is quarantined"], &["does not quarantine"]);
    bench.run(60_000);
    bench.check(State::Leased, &[], &["Quarantine {"]);
}

/// Who is kept for a next life of the watchdog, of the newest word on it.
fn kept(bench: &Bench) -> Option<Vec<Condemned>> {
    bench.seen.iter().rev().find_map(|output| match output {
        Output::KeepQuarantines(kept) => Some(kept.clone()),
        _ => None,
    })
}

#[test]
fn a_quarantine_that_waits_outlives_the_watchdog_and_an_arming() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.strategies = vec![("a", 10 << 20), ("b", 700 << 20)];
    bench.run(1000);
    drain(&mut bench);
    assert_eq!(kept(&bench), None);
    bench.memory(&[60, 85, 85, 85, 85, 85]);
    let waiting = kept(&bench).expect("kept as soon as it is wanted");
    assert_eq!(waiting.iter().map(|one| one.strategy.as_str()).collect::<Vec<_>>(), ["b"]);
    // The watchdog dies with that host; the next one is armed anew.
    let mut next = Bench::new(HostMode::Spawn, None);
    next.strategies = vec![("a", 1), ("b", 1)];
    next.machine.await_quarantines(waiting);
    next.machine.memory.reset();
    next.files = ARMED;
    next.run(50);
    next.join();
    next.run(1000);
    next.check(State::Leased, &["Quarantine { strategy: \"b\"", "Grant"], &["KeepQuarantines"]);
    assert_eq!(next.machine.strain(next.now().boot).quarantining, ["b"]);
    next.strategies.remove(1);
    next.run(100);
    assert_eq!(kept(&next), Some(Vec::new()), "the host has obeyed");
    // So has it when a human is told that no host does.
    let one = Condemned { strategy: "a".into(), reason: "memory".into() };
    next.machine.await_quarantines(vec![one]);
    next_host(&mut next, Some(101));
    next.seen.clear();
    next.run(31_000);
    assert_eq!((kept(&next), next.saw("does not quarantine strategy a")), (Some(Vec::new()), true));
}

#[test]
fn a_host_that_does_not_obey_is_told_of_within_a_bound() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.strategies = vec![("a", 10 << 20)];
    bench.run(1000);
    drain(&mut bench);
    drain(&mut bench);
    bench.check(State::Leased, &["Quarantine { strategy: \"a\""], &[]);
    // A host that is replaced before it obeys is followed by one that is told, too.
    next_host(&mut bench, Some(101));
    bench.check(State::Leased, &["Quarantine { strategy: \"a\""], &["does not quarantine"]);
    bench.run(28_000);
    bench.check(State::Leased, &["Quarantine {"], &["does not quarantine"]);
    bench.run(2000);
    bench.check(State::Leased, &["Alert", "the host does not quarantine strategy a"], &[]);
    bench.run(60_000);
    bench.check(State::Leased, &["Grant"], &["Quarantine {", "does not quarantine"]);
}

#[test]
fn a_host_whose_strategies_hold_nothing_is_told_of() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.strategies = vec![("a", 0)];
    bench.run(1000);
    drain(&mut bench);
    drain(&mut bench);
    bench.check(State::Leased, &["no strategy says that it holds memory"], &["Quarantine {"]);
}

#[test]
fn the_fourth_time_within_the_hour_is_a_kill_and_drains_are_no_crashes() {
    let mut bench = Bench::leased(HostMode::Spawn);
    (0..3).for_each(|_| drain(&mut bench));
    // The back-off of the tests has two steps; none was used.
    assert_eq!(bench.machine.status(None, bench.now().boot).host_restarts, 3);
    bench.check(State::Leased, &["3. time"], &["[KILL]"]);
    bench.memory(&[60, 85, 85, 85, 85, 85]);
    bench.check(
        State::Killing,
        &["[KILL] layer=crash-loop reason=memory keeps running out: 4 times", "WriteLatch"],
        &["Drain {", "StartHost"],
    );
    // An hour later than the first it is the third only.
    let mut bench = Bench::leased(HostMode::Spawn);
    (0..3).for_each(|_| drain(&mut bench));
    bench.run(HOUR_MS);
    bench.seen.clear();
    drain(&mut bench);
    bench.check(State::Leased, &["1. time"], &["[KILL]", "Quarantine {"]);
    // A human who arms again has looked at it.
    let mut bench = Bench::leased(HostMode::Spawn);
    (0..3).for_each(|_| drain(&mut bench));
    bench.files = FLAGGED;
    bench.run(50);
    bench.is_alive = false;
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.tell(Input::LatchWritten(Ok(())));
    bench.files = LATCHED;
    bench.run(50);
    bench.files = ARMED;
    bench.run(50);
    bench.check(State::Starting, &["re-armed"], &[]);
    assert_eq!(bench.machine.strain(bench.now().boot).memory_breaches, 0);
}

#[test]
fn a_kill_from_outside_with_full_memory_is_a_breach() {
    let end = |bench: &mut Bench, percent: u32, signal: i32| {
        bench.memory(&[percent]);
        bench.is_alive = false;
        bench.tell(Input::HostEnded(Ending { code: None, signal: Some(signal) }));
        bench.run(50);
        bench.is_alive = true;
        bench.join();
        bench.run(1000);
        bench.machine.strain(bench.now().boot).memory_breaches
    };
    for (percent, signal, expected) in [(85, 9, 1), (85, 11, 0), (79, 9, 0)] {
        let mut bench = Bench::leased(HostMode::Spawn);
        assert_eq!(end(&mut bench, percent, signal), expected, "{percent} {signal}");
        bench.check(State::Leased, &["StartHost"], &["impossible"]);
    }
    // How a host ended that somebody else runs is not told: without a goodbye it was ended.
    for (percent, said_bye, expected) in [(85, false, 1), (79, false, 0), (85, true, 0)] {
        let mut bench = Bench::leased(HostMode::Attach);
        bench.memory(&[percent]);
        if said_bye {
            bench.tell(Input::Bye { reason: "as asked".into() });
        }
        bench.is_alive = false;
        bench.tell(Input::HostEnded(Ending::default()));
        bench.run(50);
        let breaches = bench.machine.strain(bench.now().boot).memory_breaches;
        assert_eq!(breaches, expected, "{percent} {said_bye}");
    }
    let mut bench = Bench::leased(HostMode::Spawn);
    (0..3).for_each(|_| {
        end(&mut bench, 85, 9);
    });
    bench.check(State::Leased, &[], &["[KILL]"]);
    bench.memory(&[85]);
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.check(State::Killing, &["[KILL] layer=crash-loop", "WriteLatch"], &["StartHost"]);
}

#[test]
fn an_end_for_good_after_a_drain_forgives_no_later_crash() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.memory(&[85; 5]);
    bench.is_alive = false;
    bench.tell(Input::HostEnded(Ending { code: Some(0), signal: None }));
    bench.check(State::Armed, &["not restarted"], &[]);
    assert!(!bench.machine.memory.took_host());
}

/// Beside a host that stands still from now on: counts of a machine on which somebody always waits and the
/// hypervisor takes `steal_percent`. The milliseconds until the lease is gone, and until the host is
/// replaced.
fn starved(steal_percent: u64) -> (u64, u64, bool) {
    let mut bench = Bench::leased(HostMode::Spawn);
    let (mut withheld, start) = (None, bench.ms);
    while bench.machine.state != State::Restarting {
        assert!(bench.ms < start + 60_000, "never replaced");
        if (bench.ms - start).is_multiple_of(250) {
            let ticks = bench.ms / 10;
            let counts = Counts {
                waited_us: Some(bench.ms * 1000),
                steal: Some((ticks * steal_percent / 100, ticks)),
            };
            bench.tell(Input::Machine(counts));
        }
        bench.is_alive = bench.ms < start + 1000;
        bench.run(50);
        if bench.machine.state == State::Suspect {
            withheld.get_or_insert(bench.ms - start - 1000);
        }
    }
    let said = bench.saw("the machine is starved: cpu pressure 100.0 %, steal");
    assert_eq!(said, bench.saw("the host is not replaced yet"));
    (withheld.expect("suspect first"), bench.ms - start - 1000, said)
}

#[test]
fn a_starved_machine_costs_the_lease_at_once_and_the_process_later() {
    assert_eq!(starved(0), (2000, 3500, false), "busy is not starved");
    assert_eq!(starved(40), (2000, 10_500, true));
}

#[test]
fn late_turns_are_starvation() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.is_alive = false;
    // The watchdog itself gets a turn every 400 ms.
    for _ in 0..20 {
        bench.ms += 350;
        bench.run(50);
    }
    bench.check(State::Suspect, &["Withhold", "own turns late"], &["SignalKill", "stood still for"]);
    assert!(bench.machine.strain(bench.now().boot).starved);
    for _ in 0..10 {
        bench.ms += 350;
        bench.run(50);
    }
    bench.check(State::Restarting, &["SignalKill"], &[]);
}

#[test]
fn a_clock_that_is_set_changes_nothing() {
    let script = |set: &[i64]| {
        let mut bench = Bench::leased(HostMode::Spawn);
        let turn = |bench: &mut Bench, ms: u64| {
            for n in 0..ms / 50 {
                bench.clock_set_s = set[n as usize % set.len()];
                bench.run(50);
            }
        };
        turn(&mut bench, 60_000);
        bench.memory(&[85; 5]);
        next_host(&mut bench, Some(30));
        turn(&mut bench, 5000);
        bench.is_alive = false;
        turn(&mut bench, 3000);
        bench.is_alive = true;
        turn(&mut bench, 5000);
        bench.is_alive = false;
        turn(&mut bench, 5000);
        bench.files = FLAGGED;
        turn(&mut bench, 3000);
        // The record of a kill has the time of the wall.
        for output in &mut bench.seen {
            if let Output::WriteLatch(latch) = output {
                latch.at_unix_s = 0;
            }
        }
        bench.seen
    };
    let still = script(&[0]);
    assert!(still.len() > 300);
    for set in [&[-86_400i64, 86_400][..], &[0, i64::from(i32::MAX)], &[-1_000_000_000]] {
        assert_eq!(script(set), still, "{set:?}");
    }
}

#[test]
fn a_pause_of_everything_is_nobodys_fault() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.strategies = vec![("a", 1)];
    bench.run(1000);
    bench.memory(&[60; 8]);
    for ms in [1100, 5000, 3_600_000, 86_400_000] {
        bench.ms += ms;
        bench.sample(60);
        bench.run(1500);
        bench.memory(&[60; 3]);
        bench.check(State::Leased, &["stood still", "Grant"], &["SignalKill", "Drain", "Withhold"]);
    }
    // A drain that slept has its time still before it.
    bench.memory(&[85; 5]);
    bench.check(State::Draining, &["Drain"], &[]);
    bench.ms += 60_000;
    bench.run(9000);
    bench.check(State::Draining, &["stood still"], &["SignalKill"]);
    bench.run(1500);
    bench.check(State::Restarting, &["SignalKill"], &[]);
}
