//! What a kill does, in which order, and who leads out of it.

use super::*;

#[test]
fn a_kill_fences_first_and_waits_for_nothing() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Broker(Report::Warmed(Ok(false))));
    bench.files = FLAGGED;
    bench.tell(Input::Files(FLAGGED));
    let position =
        |word: &str| bench.seen.iter().position(|o| format!("{o:?}").starts_with(word)).expect(word);
    assert!(position("Withhold") < position("WriteLatch"));
    assert!(position("WriteLatch") < position("SignalKill"));
    assert!(position("SignalKill") < position("Broker(Suspend { asks: true })"));
    assert!(bench.saw("suspended: true") && bench.saw("epoch: 7"));
    bench.run(200);
    bench.check(State::Killing, &["CancelAll", "[KILL] layer=flag"], &["Grant", "StartHost"]);
    bench.run(200);
    bench.check(State::Killing, &["Broker(Read("], &[]);
    // An unkillable host is signalled again; the latch is tried again.
    bench.tell(Input::LatchWritten(Err("no space".into())));
    bench.run(2000);
    bench.check(State::Killing, &["SignalKill", "WriteLatch"], &["Grant"]);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.check(State::Killing, &["latch written"], &["sealed"]);
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.check(State::Killed, &["[KILL] host gone signal=9", "sealed"], &["StartHost"]);
}

#[test]
fn a_suspension_that_was_there_before_is_not_ours() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Broker(Report::Warmed(Ok(true))));
    bench.tell(Input::Trip { reason: "limit".into() });
    bench.check(
        State::Killing,
        &["suspended: false", "Broker(Suspend", "[KILL] layer=trip reason=limit"],
        &[],
    );
}

#[test]
fn only_a_human_leads_out_of_a_kill() {
    let mut bench = Bench::killed();
    bench.seen.clear();
    for files in [FLAGGED, ARMED, DISARMED, LATCHED] {
        // `armed` next to the latch, or next to the flag, is no permission.
        bench.files = Files { latch: Presence::Present, ..files };
        bench.run(10_000);
        bench.check(State::Killed, &[], &["Grant", "StartHost", "impossible"]);
    }
    // Without the latch the flag still stands, and so does the kill.
    bench.files = FLAGGED;
    bench.run(1000);
    bench.check(State::Killing, &["[KILL] again layer=flag", "WriteLatch"], &["StartHost"]);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.run(1000);
    bench.check(State::Killing, &["the latch is not there", "WriteLatch"], &["StartHost"]);
    bench.files = ARMED;
    bench.run(1000);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.run(1000);
    bench.check(
        State::Killing,
        &["sealed", "the latch is not there", "WriteLatch"],
        &["StartHost", "re-armed"],
    );
    bench.tell(Input::LatchWritten(Ok(())));
    bench.files = LATCHED;
    bench.run(50);
    bench.files = ARMED;
    bench.run(50);
    bench.check(State::Starting, &["re-armed", "StartHost"], &["impossible"]);
}

#[test]
fn an_armed_file_that_the_kill_could_not_remove_is_no_permission() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "test".into() });
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.is_alive = false;
    for _ in 0..5 {
        bench.tell(Input::LatchWritten(Err("read-only".into())));
        bench.run(2000);
    }
    bench.check(State::Killing, &["WriteLatch"], &["Grant", "StartHost"]);
}

#[test]
fn a_latch_of_an_earlier_life_starts_killed_and_seeks_the_proof() {
    let latch = Latch {
        at_unix_s: 5,
        layer: Layer::Flag,
        reason: "x".into(),
        epoch: 3,
        suspended: true,
        policy: Policy::Cancel,
    };
    let mut bench = Bench::new(HostMode::Spawn, Some(latch));
    bench.files = LATCHED;
    bench.run(1000);
    bench.check(State::Killed, &["Suspend", "CancelAll", "Read"], &["StartHost", "WriteLatch"]);
    let status = bench.machine.status(None, bench.now().boot);
    assert_eq!(status.broker, Some(BrokerProof::PendingAtBroker));
    assert_eq!(status.kill.map(|kill| kill.at_unix_s), Some(5));
}

#[test]
fn a_host_that_comes_to_a_killed_watchdog_is_killed() {
    let latch = Latch {
        at_unix_s: 5,
        layer: Layer::Flag,
        reason: "x".into(),
        epoch: 3,
        suspended: true,
        policy: Policy::Cancel,
    };
    let mut bench = Bench::new(HostMode::Attach, Some(latch));
    bench.files = LATCHED;
    bench.join();
    bench.check(State::Killing, &["Accept", "SignalKill"], &["Grant"]);
    bench.tell(Input::HostEnded(Ending::default()));
    bench.check(State::Killed, &["host gone"], &["impossible"]);
}

#[test]
fn a_stop_leaves_a_kill_the_time_to_reach_the_broker() {
    let zero = |bench: &Bench| Report::Read { started: bench.now().boot, result: Ok(Sighting::default()) };
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Kill { layer: Layer::Panic, reason: "fire".into() });
    bench.tell(Input::Stop);
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.tell(Input::LatchWritten(Ok(())));
    bench.is_alive = false;
    bench.files = LATCHED;
    bench.run(1000);
    bench.check(State::Killed, &["Suspend", "CancelAll", "Read"], &["Exit"]);
    bench.tell(Input::Broker(zero(&bench)));
    bench.run(50);
    bench.check(State::Killed, &["ZERO_SEEN", "Exit"], &[]);
    // With nothing pending nobody waits.
    let mut bench = Bench::killed();
    bench.run(1000);
    bench.tell(Input::Broker(zero(&bench)));
    bench.seen.clear();
    bench.tell(Input::Stop);
    bench.check(State::Killed, &["Exit"], &[]);
}

#[test]
fn what_a_kill_could_not_reach_is_not_traded() {
    let key = || Err(Unread::KeyRefused("401".into()));
    for (account, why) in [(Err(Unread::Other("down".into())), "has not read the account"), (key(), "key")] {
        let mut bench = Bench::new(HostMode::Spawn, None);
        (bench.files, bench.account) = (ARMED, account);
        bench.run(50);
        bench.join();
        bench.run(200_000);
        bench.check(State::Starting, &["Withhold", why], &["Grant", "SignalKill", "[KILL]"]);
        bench.account = Ok(false);
        bench.run(3100);
        bench.check(State::Leased, &["Grant"], &[]);
        // A broker that is away later is none of the host's business; a key that is refused is.
        bench.account = Err(Unread::Other("down".into()));
        bench.run(61_000);
        bench.check(State::Leased, &["Grant", "did not answer"], &["Withhold"]);
        bench.account = key();
        bench.run(3100);
        bench.check(State::Suspect, &["Withhold { reason: \"the broker refuses"], &["SignalKill"]);
        bench.run(60_000);
        bench.check(State::Suspect, &["Withhold"], &["Grant", "SignalKill"]);
        bench.account = Ok(false);
        bench.run(3100);
        bench.check(State::Leased, &["Grant"], &[]);
    }
}

#[test]
fn another_reason_while_killed_writes_a_fresh_latch() {
    // An operator's `arm` has read the latch; a trip, an operator or the flag comes before it removes it.
    let trip = Input::Trip { reason: "limit".into() };
    let operator = Input::Kill { layer: Layer::Operator, reason: "stop".into() };
    let flag = Input::Files(Files { flag: Presence::Present, ..LATCHED });
    for (input, layer) in [(trip, "trip"), (operator, "operator"), (flag, "flag")] {
        let mut bench = Bench::killed();
        bench.files = LATCHED;
        bench.run(1000);
        bench.seen.clear();
        bench.tell(input);
        bench.check(State::Killing, &["WriteLatch", &format!("[KILL] again layer={layer}")], &[]);
        bench.files = ARMED;
        bench.run(1000);
        bench.tell(Input::LatchWritten(Ok(())));
        // Gone again without having been seen: that was not an `arm` which has read it.
        bench.run(50);
        bench.check(State::Killing, &["the latch is not there", "WriteLatch"], &["re-armed", "StartHost"]);
        bench.tell(Input::LatchWritten(Ok(())));
        bench.files = LATCHED;
        bench.run(50);
        bench.check(State::Killed, &["sealed"], &["StartHost", "WriteLatch"]);
    }
    // While one is being written, the fresh one comes after it.
    let mut bench = Bench::leased(HostMode::Attach);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "one".into() });
    bench.check(State::Killing, &["WriteLatch"], &[]);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "two".into() });
    bench.check(State::Killing, &["again"], &["WriteLatch"]);
    bench.tell(Input::HostEnded(Ending::default()));
    bench.tell(Input::LatchWritten(Ok(())));
    bench.check(State::Killing, &["WriteLatch"], &["sealed"]);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.check(State::Killed, &["sealed"], &["WriteLatch"]);
}

#[test]
fn the_proof_waits_for_the_end_of_the_host() {
    let mut bench = Bench::leased(HostMode::Attach);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "now".into() });
    let zeros = |bench: &mut Bench, seconds: u64| {
        for _ in 0..seconds {
            bench.run(1000);
            let started = bench.now().boot;
            bench.tell(Input::Broker(Report::Read { started, result: Ok(Sighting::default()) }));
        }
        bench.machine.status(None, bench.now().boot).broker
    };
    assert_eq!(zeros(&mut bench, 200), Some(BrokerProof::ZeroSeen));
    bench.tell(Input::HostEnded(Ending::default()));
    bench.tell(Input::LatchWritten(Ok(())));
    bench.is_alive = false;
    assert_eq!(zeros(&mut bench, 59), Some(BrokerProof::ZeroSeen));
    assert_eq!(zeros(&mut bench, 5), Some(BrokerProof::ConfirmedZero));
    // Another host comes, and may have sent before it is killed.
    bench.pid += 1;
    bench.join();
    assert_eq!(zeros(&mut bench, 100), Some(BrokerProof::ZeroSeen));
}

#[test]
fn a_suspension_is_ours_when_the_broker_says_so() {
    // Unknown at the kill, and then told: the latch is written once more.
    let mut bench = Bench::new(HostMode::Spawn, None);
    bench.account = Err(Unread::Other("down".into()));
    bench.run(50);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "x".into() });
    bench.check(State::Killing, &["suspended: false"], &["suspended: true"]);
    bench.tell(Input::Broker(Report::SuspendedBefore(false)));
    bench.tell(Input::LatchWritten(Ok(())));
    bench.check(State::Killing, &["suspended: true"], &["sealed"]);
    // Known at the kill, but somebody else was faster.
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "x".into() });
    bench.tell(Input::LatchWritten(Ok(())));
    bench.check(State::Killing, &["suspended: true"], &["suspended: false"]);
    bench.tell(Input::Broker(Report::SuspendedBefore(true)));
    bench.check(State::Killing, &["suspended: false"], &[]);
    bench.tell(Input::LatchWritten(Ok(())));
    bench.tell(Input::Broker(Report::SuspendedBefore(true)));
    bench.check(State::Killing, &[], &["WriteLatch"]);
}

#[test]
fn a_command_that_finds_no_lane_is_an_answer() {
    let mut bench = Bench::killed();
    bench.seen.clear();
    bench.tell(Input::Broker(Report::Suspended(Err("the lane is full".into()))));
    bench.run(300);
    assert!(bench.saw("Broker(Suspend"), "{:?}", bench.seen);
}
