//! The host lives, hangs, ends and comes back, and the lease with it.

use super::*;

#[test]
fn a_lease_follows_proof_and_is_renewed_four_times_a_second() {
    let mut bench = Bench::new(HostMode::Spawn, None);
    bench.run(1000);
    bench.check(State::Disarmed, &["Warm"], &["StartHost", "Grant"]);
    bench.files = ARMED;
    bench.run(50);
    bench.check(State::Starting, &["StartHost"], &["Grant"]);
    bench.join();
    bench.is_alive = false;
    bench.run(1000);
    bench.check(State::Starting, &["Accept", "Withhold"], &["Grant"]);
    bench.is_alive = true;
    bench.run(1000);
    bench.check(State::Leased, &["Grant"], &[]);
    bench.run(10_000);
    let nonces: Vec<u64> = bench
        .seen
        .iter()
        .filter_map(|o| if let Output::Grant { nonce, .. } = o { Some(*nonce) } else { None })
        .collect();
    assert!((39..=41).contains(&nonces.len()) && nonces.is_sorted_by(|a, b| a < b), "{nonces:?}");
    let left = bench.machine.status(None, bench.now().boot).lease_ms_left;
    assert!((1700..=2000).contains(&left), "{left}");
}

#[test]
fn disarming_takes_the_lease_and_leaves_the_host() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.files = Files { armed: Presence::Unknown, ..ARMED };
    bench.run(50);
    bench.check(State::Disarmed, &["Withhold"], &["Grant", "SignalKill"]);
    bench.files = ARMED;
    bench.run(200);
    bench.check(State::Leased, &["Grant"], &["StartHost"]);
}

#[test]
fn a_hang_is_noticed_then_replaced() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.is_alive = false;
    bench.run(1900);
    bench.check(State::Leased, &["Grant"], &["Withhold"]);
    bench.run(150);
    bench.check(State::Suspect, &["Withhold"], &["SignalKill"]);
    bench.run(1500);
    bench.check(State::Restarting, &["SignalKill"], &["Grant", "StartHost"]);
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.run(50);
    bench.check(State::Starting, &["StartHost", "host restarted reason=the host is silent"], &["[KILL]"]);
    // One that came back in time keeps its life.
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.is_alive = false;
    bench.run(2100);
    bench.is_alive = true;
    bench.run(100);
    bench.check(State::Leased, &["Withhold", "Grant"], &["SignalKill"]);
}

#[test]
fn a_pause_of_the_machine_is_no_hang() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.ms += 30_000;
    bench.run(1000);
    bench.check(State::Leased, &["stood still", "Grant"], &["SignalKill"]);
}

#[test]
fn what_comes_after_a_pause_is_not_put_off_by_it() {
    // A host that ended in its sleep is back at once.
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.is_alive = false;
    bench.ms += 90_000;
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.run(50);
    bench.check(State::Starting, &["stood still", "StartHost"], &[]);
    // One whose last beats are read after waking, and that hangs then, has its lease for 2 s and no more.
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.is_alive = false;
    bench.ms += 90_000;
    bench.beat();
    bench.run(2100);
    bench.check(State::Suspect, &["stood still", "Withhold"], &["SignalKill"]);
    bench.run(1500);
    bench.check(State::Restarting, &["SignalKill"], &["Grant"]);
}

#[test]
fn a_crash_is_restarted_at_once_and_a_row_of_them_kills() {
    let mut bench = Bench::leased(HostMode::Spawn);
    let end = |bench: &mut Bench| bench.tell(Input::HostEnded(Ending { code: Some(101), signal: None }));
    bench.is_alive = false;
    end(&mut bench);
    bench.check(State::Restarting, &[], &["StartHost"]);
    bench.run(50);
    bench.check(State::Starting, &["StartHost", "host restarted reason=code=101"], &[]);
    end(&mut bench);
    bench.run(50);
    bench.check(State::Restarting, &[], &["StartHost"]);
    bench.run(50);
    bench.check(State::Starting, &["StartHost"], &[]);
    bench.tell(Input::HostEnded(Ending { code: Some(31), signal: None }));
    bench.run(500);
    bench.check(State::Starting, &["StartHost"], &[]);
    end(&mut bench);
    bench.check(State::Killing, &["[KILL] layer=crash-loop", "WriteLatch", "Suspend"], &["StartHost"]);
}

#[test]
fn codes_that_forbid_a_restart_are_obeyed() {
    for code in [0, 10, 13] {
        let mut bench = Bench::leased(HostMode::Spawn);
        bench.is_alive = false;
        bench.tell(Input::HostEnded(Ending { code: Some(code), signal: None }));
        bench.run(60_000);
        bench.check(State::Armed, &["not restarted"], &["StartHost", "[KILL]", "impossible"]);
    }
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::HostEnded(Ending { code: Some(20), signal: None }));
    bench.check(State::Killing, &["[KILL] layer=trip", "WriteLatch"], &["SignalKill"]);
}

#[test]
fn there_is_one_host() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::HostJoined { pid: 999, epoch: 8, mode: "paper".into() });
    bench.check(State::Leased, &["Refuse"], &["Accept", "Withhold"]);
    // Its own second connection proves itself anew.
    bench.join();
    bench.check(State::Starting, &["Accept", "Withhold"], &[]);
    bench.run(500);
    bench.check(State::Leased, &["Grant"], &[]);
    let mut bench = Bench::new(HostMode::Spawn, None);
    bench.join();
    bench.check(State::Disarmed, &["Refuse"], &["Accept"]);
}

#[test]
fn an_attached_host_is_restarted_by_somebody_else() {
    let mut bench = Bench::new(HostMode::Attach, None);
    bench.files = ARMED;
    bench.run(50);
    bench.check(State::Armed, &[], &["StartHost"]);
    bench.join();
    bench.run(1000);
    bench.check(State::Leased, &["Grant"], &[]);
    bench.is_alive = false;
    bench.run(4000);
    bench.check(State::Restarting, &["SignalKill"], &[]);
    bench.tell(Input::HostEnded(Ending::default()));
    bench.run(1000);
    bench.check(State::Armed, &[], &["StartHost", "Grant"]);
    bench.pid += 1;
    bench.is_alive = true;
    bench.join();
    bench.run(1000);
    bench.check(State::Leased, &["host restarted", "Grant"], &[]);
}

#[test]
fn a_host_that_said_goodbye_is_waited_for_and_not_started_again() {
    for (code, signal) in [(Some(0), None), (None, Some(9)), (None, None)] {
        let mut bench = Bench::leased(HostMode::Spawn);
        bench.tell(Input::Bye { reason: "as asked".into() });
        bench.tell(Input::HostLeft);
        bench.is_alive = false;
        bench.run(9000);
        bench.check(State::Draining, &["Withhold"], &["Grant", "SignalKill", "Drain {"]);
        bench.run(1000);
        bench.check(State::Restarting, &["SignalKill"], &[]);
        bench.tell(Input::HostEnded(Ending { code, signal }));
        bench.run(20_000);
        bench.check(State::Armed, &["not restarted"], &["StartHost", "impossible"]);
    }
}

/// A broker that half works lets no host start, for hours: whoever runs it starts it again and again.
#[test]
fn starts_that_come_to_nothing_are_no_crash_loop() {
    let mut bench = Bench::leased(HostMode::Attach);
    for _ in 0..200 {
        bench.tell(Input::Bye { reason: "the broker does not answer".into() });
        bench.tell(Input::HostLeft);
        bench.tell(Input::HostEnded(Ending::default()));
        bench.run(15_000);
        bench.check(State::Armed, &["said goodbye"], &["[KILL]", "host-ended", "not restarted"]);
        bench.pid += 1;
        bench.join();
        bench.run(100);
    }
    bench.run(1000);
    bench.check(State::Leased, &["Grant"], &[]);
}

#[test]
fn stopping_takes_the_host_along_within_a_bound() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Stop);
    bench.check(State::Stopping, &["Withhold", "SignalTerm"], &["Exit", "SignalKill"]);
    bench.tell(Input::HostEnded(Ending { code: Some(0), signal: None }));
    bench.check(State::Stopping, &["Exit"], &["StartHost"]);
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Stop);
    bench.run(9000);
    bench.check(State::Stopping, &[], &["SignalKill"]);
    bench.run(1000);
    bench.check(State::Stopping, &["SignalKill", "Exit"], &[]);
    let mut bench = Bench::leased(HostMode::Attach);
    bench.tell(Input::Stop);
    bench.check(State::Leased, &["Exit"], &["SignalTerm", "SignalKill"]);
    let mut bench = Bench::killed();
    bench.tell(Input::Stop);
    bench.check(State::Killed, &["some seconds are left"], &["Exit"]);
    bench.tell(Input::Stop);
    bench.check(State::Killed, &["Exit"], &[]);
    // A kill outranks the stop, and is on disk before the end.
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Stop);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "now".into() });
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.check(State::Killing, &["WriteLatch", "SignalKill"], &["Exit"]);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.check(State::Killed, &[], &["Exit"]);
    (bench.files, bench.is_alive) = (LATCHED, false);
    bench.run(10_000);
    bench.check(State::Killed, &["Exit"], &[]);
}

#[test]
fn a_kill_that_is_heard_with_the_stop_is_on_disk_before_the_end() {
    let mut bench = Bench::leased(HostMode::Attach);
    bench.is_alive = false;
    bench.tell(Input::Stop);
    bench.check(State::Leased, &["Exit"], &[]);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "now".into() });
    bench.check(State::Killing, &["Remain", "WriteLatch", "SignalKill"], &["Exit"]);
    bench.tell(Input::HostEnded(Ending::default()));
    bench.tell(Input::LatchWritten(Ok(())));
    bench.check(State::Killed, &["sealed"], &["Exit"]);
    bench.files = LATCHED;
    bench.run(10_000);
    bench.check(State::Killed, &["Exit"], &[]);
    // A disk that does not answer keeps it for some seconds only.
    let mut bench = Bench::new(HostMode::Attach, None);
    bench.tell(Input::Stop);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "now".into() });
    bench.seen.clear();
    bench.run(9_900);
    bench.check(State::Killing, &[], &["Exit"]);
    bench.run(100);
    bench.check(State::Killing, &["Exit"], &[]);
    // Another reason while it ends killed: the newer latch, too.
    let mut bench = Bench::killed();
    bench.tell(Input::Stop);
    bench.tell(Input::Stop);
    bench.check(State::Killed, &["Exit"], &[]);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "now".into() });
    bench.check(State::Killing, &["Remain", "WriteLatch"], &["Exit"]);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.run(10_050);
    bench.check(State::Killed, &["Exit"], &[]);
}

#[test]
fn a_host_that_cannot_be_started_after_a_long_life_leaves_the_loop_alive() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.run(40_000);
    bench.seen.clear();
    (bench.is_alive, bench.can_start) = (false, false);
    bench.tell(Input::HostEnded(Ending { code: Some(101), signal: None }));
    bench.check(State::Restarting, &[], &["StartHost"]);
    bench.run(50);
    bench.check(State::Restarting, &["StartHost", "could not be started"], &["[KILL]"]);
    // The long life counts once; then the back-off of 100 and 500 ms ends in a kill.
    bench.run(700);
    bench.check(State::Killing, &["[KILL] layer=crash-loop"], &[]);
}

#[test]
fn a_broker_that_is_away_is_waited_for_and_never_a_crash_loop() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.is_alive = false;
    for _ in 0..20 {
        bench.tell(Input::HostEnded(Ending { code: Some(15), signal: None }));
        bench.run(4900);
        bench.check(State::Restarting, &[], &["StartHost", "[KILL]"]);
        bench.run(100);
        bench.check(State::Starting, &["StartHost"], &["[KILL]"]);
    }
}

#[test]
fn an_address_that_is_not_free_yet_is_tried_again_after_a_crash_only() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.is_alive = false;
    let end =
        |bench: &mut Bench, code| bench.tell(Input::HostEnded(Ending { code: Some(code), signal: None }));
    end(&mut bench, 101);
    bench.run(50);
    end(&mut bench, 13);
    bench.run(100);
    bench.check(State::Starting, &["StartHost"], &["not restarted"]);
    let mut bench = Bench::new(HostMode::Spawn, None);
    bench.files = ARMED;
    bench.run(50);
    end(&mut bench, 13);
    bench.run(60_000);
    bench.check(State::Armed, &["not restarted"], &["[KILL]"]);
}

#[test]
fn a_pause_takes_nobodys_time() {
    let mut bench = Bench::new(HostMode::Spawn, None);
    bench.files = ARMED;
    bench.run(50);
    bench.ms += 60_000;
    bench.run(1000);
    bench.check(State::Starting, &["stood still"], &["SignalKill"]);
}

#[test]
fn a_file_that_cannot_be_seen_is_named() {
    let mut bench = Bench::new(HostMode::Attach, None);
    bench.files = Files { flag: Presence::Unknown, ..ARMED };
    bench.join();
    bench.run(1000);
    bench.check(State::Disarmed, &["Withhold { reason: \"the kill flag cannot be seen"], &["Grant"]);
}
