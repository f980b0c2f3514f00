//! An account that is not known withholds the lease, and says so once.

use super::*;
use crate::limits::Reading;

fn with(ask: &Ask, change: impl FnOnce(Reading) -> Reading) -> Told {
    match steady(ask) {
        Told::Account(Ok(reading)) => Told::Account(Ok(change(reading))),
        told => told,
    }
}

fn worthless(ask: &Ask) -> Told {
    with(ask, |reading| Reading { equity: None, ..reading })
}

fn strange(ask: &Ask) -> Told {
    with(ask, |reading| Reading { account: Some("acc-strange".into()), ..reading })
}

fn away(ask: &Ask) -> Told {
    Told::failed(ask, "away".into())
}

/// Alerts about the account since the last call.
fn told(bench: &mut Bench) -> Vec<&'static str> {
    let key = |output: Output| match output {
        Output::Alert(alert) if alert.key.starts_with("limits-") => Some(alert.key),
        _ => None,
    };
    bench.seen.drain(..).filter_map(key).collect()
}

fn host_is_of(bench: &mut Bench, account: &str) {
    bench.host_account = Some(account.into());
}

#[test]
fn each_reason_withholds_within_a_turn_and_is_told_once() {
    type Change = fn(&mut Bench);
    let unknown: Change = |bench| bench.reading = worthless;
    let stranger: Change = |bench| bench.reading = strange;
    let other_host: Change = |bench| host_is_of(bench, "acc-other");
    let blind: Change = |bench| bench.reading = away;
    for (change, key, words, within_ms) in [
        (unknown, "limits-unknown", "equity is missing", 10_050),
        (stranger, "limits-account", "shows account …ange", 10_050),
        (other_host, "limits-account", "the host trades account …ther", 50),
        (blind, "limits-blind", "cannot see the account since", 120_050),
    ] {
        let mut bench = Bench::leased(HostMode::Spawn);
        host_is_of(&mut bench, "acc-steady");
        bench.run(1000);
        bench.check(State::Leased, &["Grant"], &["Withhold"]);
        change(&mut bench);
        let mut ms = 0;
        while bench.machine.limits.block(bench.now().boot).is_none() {
            assert!(ms < within_ms, "{key}: {ms} ms");
            assert_eq!(bench.machine.state, State::Leased, "{key}");
            bench.run(50);
            ms += 50;
        }
        bench.run(50);
        assert!(bench.saw("Withhold") && bench.saw(words), "{key}: {:?}", bench.seen);
        assert_eq!((bench.machine.state, told(&mut bench)), (State::Suspect, vec![key]));
        bench.run(600_000);
        assert!(!bench.saw("Grant") && !bench.saw("SignalKill"), "{key}");
        assert_eq!(told(&mut bench), [""; 0], "{key}: once");
        bench.reading = steady;
        host_is_of(&mut bench, "acc-steady");
        bench.run(90_000);
        assert!(bench.saw("Grant"), "{key}");
        assert_eq!((bench.machine.state, told(&mut bench)), (State::Leased, vec!["limits-clear"]));
    }
}

#[test]
fn one_reason_after_another_is_told_as_such_and_over_once() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.reading = worthless;
    bench.run(20_000);
    bench.reading = strange;
    bench.run(60_000);
    bench.reading = worthless;
    bench.run(60_000);
    bench.reading = away;
    bench.run(300_000);
    bench.check(State::Suspect, &[], &[]);
    let mut bench = Bench::leased(HostMode::Spawn);
    for (reading, key) in [(worthless as fn(&Ask) -> Told, "limits-unknown"), (strange, "limits-account")] {
        bench.reading = reading;
        bench.run(60_000);
        assert_eq!((bench.machine.state, told(&mut bench)), (State::Suspect, vec![key]));
    }
    bench.reading = steady;
    bench.run(120_000);
    assert_eq!(bench.machine.state, State::Leased);
    assert_eq!(told(&mut bench).last(), Some(&"limits-clear"));
}

#[test]
fn an_arming_begins_the_blind_clock_anew() {
    let mut bench = Bench::killed();
    bench.files = LATCHED;
    bench.run(600_000);
    (bench.reading, bench.files, bench.is_alive) = (away, ARMED, true);
    bench.seen.clear();
    bench.run(50);
    bench.join();
    bench.run(119_000);
    assert!(bench.saw("re-armed") && bench.saw("not read yet") && !bench.saw("Grant"));
    assert_eq!(told(&mut bench), [""; 0]);
    bench.run(2000);
    assert_eq!(told(&mut bench), ["limits-blind"]);
    bench.reading = steady;
    bench.run(60_000);
    assert_eq!((bench.machine.state, told(&mut bench)), (State::Leased, vec!["limits-clear"]));
}

#[test]
fn only_the_cancels_connection_is_touched_because_reads_go_on_unarmed() {
    let mut bench = Bench::new(HostMode::Attach, None);
    bench.run(50);
    bench.seen.clear();
    bench.run(60_000);
    let count = |wanted: fn(&Command) -> bool| {
        bench.seen.iter().filter(|one| matches!(one, Output::Broker(command) if wanted(command))).count()
    };
    assert_eq!(count(|command| *command == Command::Touch), 1);
    assert!(count(|command| *command == Command::Account(Ask::Account)) >= 5);
}

#[test]
fn a_kill_is_never_left_without_a_latch() {
    let gone = |bench: &mut Bench| {
        bench.files = LATCHED;
        bench.run(1000);
        bench.files = DISARMED;
        bench.seen.clear();
        bench.run(50);
        // Maybe an `arm` between its two steps.
        bench.check(State::Killed, &[], &["WriteLatch"]);
    };
    let mut bench = Bench::killed();
    gone(&mut bench);
    bench.run(50);
    bench.check(State::Killing, &["WriteLatch"], &["re-armed"]);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.check(State::Killed, &["sealed"], &[]);
    let mut bench = Bench::killed();
    gone(&mut bench);
    bench.files = ARMED;
    bench.run(50);
    assert!(bench.saw("re-armed"));
    // What lies beside a latch arms nobody.
    let mut bench = Bench::killed();
    bench.files = Files { armed: Presence::Present, ..LATCHED };
    bench.run(600_000);
    bench.check(State::Killed, &[], &["re-armed", "Grant", "StartHost"]);
}
