//! A start that takes its time, and what comes meanwhile.

use super::*;

/// The host of a long life has ended; its successor was asked for and does not come.
fn stuck() -> Bench {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.run(40_000);
    bench.seen.clear();
    (bench.is_alive, bench.is_disk_stuck) = (false, true);
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.run(50);
    bench.check(State::Starting, &["StartHost"], &["Grant"]);
    bench
}

#[test]
fn a_kill_during_a_start_ends_the_host_that_appears() {
    let mut bench = stuck();
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "now".into() });
    bench.check(State::Killing, &["WriteLatch", "SignalKill", "Suspend"], &["sealed"]);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.files = LATCHED;
    bench.run(10_000);
    // A host may still appear: nobody says that there is none.
    bench.check(State::Killing, &[], &["sealed", "StartHost", "Grant"]);
    bench.spawned();
    bench.check(State::Killing, &["SignalKill"], &["sealed", "StartHost"]);
    bench.run(2000);
    bench.check(State::Killing, &["SignalKill"], &["sealed"]);
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.check(State::Killed, &["sealed"], &["StartHost"]);
    bench.run(60_000);
    bench.check(State::Killed, &[], &["StartHost", "Grant"]);
}

#[test]
fn a_start_that_fails_after_a_kill_seals_it() {
    let mut bench = stuck();
    bench.files = FLAGGED;
    bench.run(50);
    bench.tell(Input::SpawnFailed { cause: "it was taken back".into() });
    bench.check(State::Killing, &["could not be started"], &["sealed", "StartHost"]);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.check(State::Killed, &["sealed"], &["StartHost", "impossible"]);
}

#[test]
fn a_start_that_hangs_is_told_and_is_never_two() {
    let mut bench = stuck();
    bench.run(60_000);
    bench.check(State::Starting, &["host-crashed", "does not begin to run"], &["StartHost", "SignalKill"]);
    // Disarmed and armed again: still the same start.
    bench.files = DISARMED;
    bench.run(50);
    bench.check(State::Disarmed, &[], &["StartHost"]);
    bench.files = ARMED;
    bench.run(50);
    bench.check(State::Starting, &["armed"], &["StartHost"]);
    // What the disk took is not taken from the host's own time to start.
    bench.run(59_000);
    bench.spawned();
    bench.join();
    bench.run(2000);
    bench.is_alive = true;
    bench.run(500);
    bench.check(State::Leased, &["Grant"], &["StartHost", "SignalKill"]);
}

#[test]
fn a_stop_does_not_wait_for_a_start() {
    let mut bench = stuck();
    bench.tell(Input::Stop);
    bench.check(State::Starting, &["Exit"], &["SignalTerm"]);
}
