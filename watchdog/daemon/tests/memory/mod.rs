//! Real processes: a host that leaks, and everything standing still at once.

use std::{fs, time::Duration};

use sandpit_contract::{State, Status};

use crate::{
    SECOND,
    bench::{Bench, Dog, boot_ms, bound, signal},
};

/// Megabytes that the host may use.
const BUDGET_MB: u64 = 200;

/// A watchdog with that budget, and the first host's status.
fn leaking() -> (Bench, Dog, Status) {
    let bench = Bench::new("spawn");
    bench.write_config(&format!("{}[memory]\nbudget_mb = {BUDGET_MB}\n", bench.config_text()));
    fs::write(bench.state("strategies"), "a 10\nb 700\n").expect("a word to the fake host");
    bench.arm();
    let dog = bench.run();
    let first = bench.leased(10 * SECOND);
    (bench, dog, first)
}

/// The host comes to so many megabytes within so many steps of ten milliseconds, and then takes so many
/// kilobytes in each; until another one has a lease. How long that takes from the line that says `words`.
fn leak(bench: &Bench, dog: &Dog, [from_mb, steps, kb]: [u64; 3], words: &str) -> (Status, i64) {
    let before = bench.leased(10 * SECOND);
    fs::write(bench.state("leak"), format!("{from_mb} {steps} {kb}")).expect("a word to the fake host");
    dog.line(words, 20 * SECOND);
    let start = boot_ms();
    let after =
        bench.wait(10 * SECOND, |status| status.state == State::Leased && status.host_pid != before.host_pid);
    (after, boot_ms() - start)
}

#[test]
fn a_slow_leak_is_drained_a_fast_one_killed_and_the_largest_strategy_pays() {
    let (bench, dog, first) = leaking();
    let held = |status: &Status| {
        status.loops.iter().map(|one| (one.name.clone(), one.memory_bytes >> 20)).collect::<Vec<_>>()
    };
    assert_eq!(held(&first)[2..], [("strategy:a".to_owned(), 10), ("strategy:b".to_owned(), 700)]);
    // 200 kB a second from just below 80 %.
    let (second, slow_ms) =
        leak(&bench, &dog, [BUDGET_MB * 79 / 100, 600, 2], "host drained: memory at 80 %");
    assert_eq!((second.strain.memory_breaches, second.host_restarts), (1, 1));
    assert_eq!(held(&second), held(&first), "the first time nobody is blamed");
    // 100 MB a second from nothing: the limit is two seconds away.
    let (third, fast_ms) = leak(&bench, &dog, [0, 1, 1000], "signal=9 pid=");
    assert_eq!(third.strain.memory_breaches, 2);
    dog.line("strategy b is quarantined", 5 * SECOND);
    let quarantined = fs::read_to_string(bench.state("quarantined")).expect("it was told");
    assert!(quarantined.lines().all(|line| line == "b"), "{quarantined}");
    let left = bench.leased(5 * SECOND);
    assert_eq!(held(&left)[2..], [("strategy:a".to_owned(), 10)]);
    println!("breach -> trading again: drained {slow_ms} ms, killed {fast_ms} ms");
    assert!(slow_ms <= 3000 && fast_ms <= 3000, "{slow_ms} {fast_ms}");
}

#[test]
fn memory_that_keeps_running_out_is_a_kill() {
    let (bench, dog, _) = leaking();
    for breach in 1..=3 {
        let (after, _) = leak(&bench, &dog, [BUDGET_MB * 95 / 100, 1, 0], "signal=9 pid=");
        assert_eq!(after.strain.memory_breaches, breach);
    }
    fs::write(bench.state("leak"), format!("{} 1 0", BUDGET_MB * 95 / 100)).expect("a word to the fake host");
    dog.line("[KILL] layer=crash-loop reason=memory keeps running out", 20 * SECOND);
    dog.line("[KILL] sealed", 5 * SECOND);
    assert_eq!(bench.host_starts(), 4);
}

#[test]
fn everything_stands_still_and_goes_on() {
    let bench = Bench::new("spawn");
    bench.arm();
    let dog = bench.run();
    let pid = bench.leased(10 * SECOND).host_pid.expect("a host");
    for stop_host_first in [true, false] {
        let mut both = [pid, dog.pid()];
        if !stop_host_first {
            both.reverse();
        }
        both.iter().for_each(|pid| signal(*pid, "STOP"));
        // Longer than any loop may live.
        bound(Duration::from_secs(5), || false);
        both.iter().for_each(|pid| signal(*pid, "CONT"));
        dog.line("the watchdog stood still for", 5 * SECOND);
        let status = bench.leased(5 * SECOND);
        assert_eq!((status.host_pid, status.host_restarts), (Some(pid), 0));
    }
    assert_eq!(bench.host_starts(), 1);
}
