//! What a human is told, and when.

use super::*;

/// Keys of the alerts since the last call.
fn told(bench: &mut Bench) -> Vec<&'static str> {
    let key = |output: Output| match output {
        Output::Alert(alert) => Some(alert.key),
        _ => None,
    };
    bench.seen.drain(..).filter_map(key).collect()
}

fn read(bench: &mut Bench, open: usize) {
    let started = bench.now().boot;
    let result = Ok(Sighting::of_orders(open));
    bench.tell(Input::Broker(Report::Read { started, result }));
}

fn latch() -> Latch {
    let reason = "too hot".into();
    Latch { at_unix_s: 1, layer: Layer::Chat, reason, epoch: 1, suspended: false, policy: Policy::Cancel }
}

#[test]
fn a_start_says_how_it_stands() {
    let mut bench = Bench::new(HostMode::Attach, None);
    bench.run(50);
    assert!(bench.saw("the watchdog started, not armed"));
    assert_eq!(told(&mut bench), ["started"]);
    bench.files = ARMED;
    bench.run(100);
    assert_eq!(told(&mut bench), ["armed"]);
    bench.files = DISARMED;
    bench.run(100);
    assert_eq!(told(&mut bench), ["disarmed"]);
    let mut bench = Bench::new(HostMode::Attach, Some(latch()));
    bench.files = LATCHED;
    bench.run(100);
    assert!(bench.saw("started killed: by chat, too hot"));
    assert_eq!(told(&mut bench), ["started-killed"]);
}

#[test]
fn a_kill_is_told_step_by_step() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Kill { layer: Layer::Panic, reason: "fire".into() });
    assert!(bench.saw("killed by panic: fire (scope account, policy cancel)"));
    bench.is_alive = false;
    bench.files = FLAGGED;
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.tell(Input::LatchWritten(Err("no space".into())));
    assert_eq!(told(&mut bench), ["kill", "latch-unwritten"]);
    bench.tell(Input::LatchWritten(Err("no space".into())));
    bench.tell(Input::LatchWritten(Ok(())));
    bench.files = LATCHED;
    assert_eq!(told(&mut bench), ["latch-written"]);
    // Nobody hears from the broker: said after a minute, and every minute.
    bench.run(59_000);
    assert_eq!(told(&mut bench), [""; 0]);
    bench.run(2000);
    assert_eq!(told(&mut bench), ["pending"]);
    bench.run(60_000);
    assert_eq!(told(&mut bench), ["pending"]);
    read(&mut bench, 0);
    assert_eq!(told(&mut bench), ["zero-seen"]);
    read(&mut bench, 1);
    assert_eq!(told(&mut bench), ["pending"], "something is open again: at once");
    for _ in 0..8 {
        bench.run(15_000);
        read(&mut bench, 0);
    }
    assert_eq!(told(&mut bench), ["zero-seen", "confirmed"]);
    bench.files = ARMED;
    bench.run(100);
    assert_eq!(told(&mut bench), ["re-armed"], "and not armed besides");
}

#[test]
fn a_latch_that_hangs_on_the_disk_is_told() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "now".into() });
    bench.is_alive = false;
    bench.run(4_950);
    assert_eq!(told(&mut bench), ["kill"]);
    bench.run(50);
    assert_eq!(told(&mut bench), ["latch-unwritten"]);
    bench.run(20_000);
    assert_eq!(told(&mut bench), [""; 0]);
    bench.tell(Input::LatchWritten(Ok(())));
    assert_eq!(told(&mut bench), ["latch-written"]);
}

#[test]
fn a_host_that_is_lost_is_told_and_so_is_the_next() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::HostEnded(Ending { code: Some(101), signal: None }));
    assert_eq!(told(&mut bench), ["host-crashed"]);
    bench.run(200);
    bench.join();
    bench.run(1000);
    assert_eq!((bench.machine.state, told(&mut bench)), (State::Leased, vec!["host-back"]));
    bench.is_alive = false;
    bench.run(4000);
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    assert_eq!(told(&mut bench), ["host-replaced"], "its end is no crash besides");

    let mut bench = Bench::leased(HostMode::Spawn);
    bench.memory(&[85; 5]);
    bench.tell(Input::HostEnded(Ending { code: Some(30), signal: None }));
    assert_eq!(told(&mut bench), ["memory", "host-drained"]);

    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::HostEnded(Ending { code: Some(10), signal: None }));
    assert_eq!(told(&mut bench), ["host-ended"]);

    // Who stops it knows.
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Stop);
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(15) }));
    assert_eq!(told(&mut bench), [""; 0]);
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::HostEnded(Ending { code: Some(0), signal: None }));
    assert_eq!(told(&mut bench), [""; 0]);
}

#[test]
fn a_crash_loop_is_told_as_such() {
    let mut bench = Bench::leased(HostMode::Spawn);
    for _ in 0..8 {
        bench.tell(Input::HostEnded(Ending { code: Some(101), signal: None }));
        bench.run(600);
    }
    let told = told(&mut bench);
    assert!(told.ends_with(&["crash-loop", "kill"]), "{told:?}");
}

#[test]
fn a_broker_that_is_silent_or_refuses_is_told_and_so_is_its_return() {
    let mut bench = Bench::new(HostMode::Attach, None);
    bench.account = Err(Unread::Other("timeout".into()));
    bench.files = ARMED;
    bench.run(50);
    bench.join();
    assert_eq!(told(&mut bench), ["started"]);
    bench.run(59_000);
    assert_eq!(told(&mut bench), [""; 0]);
    bench.run(2000);
    assert!(bench.saw("no lease for a minute: the watchdog has not read the account"));
    assert_eq!(told(&mut bench), ["lease-withheld"]);
    bench.run(61_000);
    assert_eq!(told(&mut bench), ["broker-silent"], "each once");
    bench.account = Ok(false);
    bench.run(4000);
    assert_eq!(told(&mut bench), ["broker-back", "lease-back"]);
    bench.account = Err(Unread::KeyRefused("401".into()));
    bench.run(70_000);
    assert_eq!(told(&mut bench), ["key-refused"]);
    bench.account = Ok(false);
    bench.run(4000);
    assert_eq!(told(&mut bench), ["broker-back"]);
}

#[test]
fn the_silence_before_a_kill_is_not_that_of_its_proof() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.account = Err(Unread::Other("timeout".into()));
    bench.run(61_000);
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "x".into() });
    read(&mut bench, 0);
    told(&mut bench);
    for _ in 0..12 {
        bench.run(15_000);
        read(&mut bench, 0);
    }
    assert!(!told(&mut bench).contains(&"broker-silent"));
}

#[test]
fn a_pause_of_the_machine_is_told() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.ms += 30_000;
    bench.run(50);
    assert_eq!(told(&mut bench), ["pause"]);
}

#[test]
fn a_host_that_does_not_come_back_is_told_after_a_minute() {
    let mut bench = Bench::leased(HostMode::Attach);
    bench.tell(Input::HostEnded(Ending { code: Some(101), signal: None }));
    assert_eq!(told(&mut bench), ["host-crashed"]);
    bench.run(59_000);
    assert_eq!(told(&mut bench), [""; 0]);
    bench.run(2000);
    assert_eq!(told(&mut bench), ["host-missing"]);
    bench.run(600_000);
    assert_eq!(told(&mut bench), [""; 0], "once");
    bench.join();
    bench.run(1000);
    assert_eq!(told(&mut bench), ["host-seen", "host-back"]);
    // One that hung and was killed, and is not back; its connection ends with it.
    bench.is_alive = false;
    bench.run(4000);
    bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
    bench.run(61_000);
    assert_eq!(told(&mut bench), ["host-replaced", "host-missing"]);
    bench.files = DISARMED;
    bench.run(100);
    assert_eq!(told(&mut bench), ["host-seen", "disarmed"][..].iter().rev().copied().collect::<Vec<_>>());

    // One that never came since the machine has booted.
    let mut bench = Bench::new(HostMode::Attach, None);
    bench.files = ARMED;
    bench.run(61_000);
    assert_eq!(told(&mut bench), ["started", "host-missing"]);

    // Whoever ends it in order knows; nor is one missed that is not wanted.
    let mut bench = Bench::leased(HostMode::Attach);
    bench.tell(Input::Bye { reason: "SIGTERM".into() });
    bench.tell(Input::HostEnded(Ending::default()));
    bench.run(120_000);
    assert_eq!(told(&mut bench), [""; 0]);
    bench.join();
    bench.run(1000);
    bench.tell(Input::HostEnded(Ending::default()));
    bench.run(61_000);
    assert_eq!(told(&mut bench), ["host-crashed", "host-missing"], "the next one is not excused");
    let mut bench = Bench::new(HostMode::Attach, None);
    bench.run(200_000);
    assert_eq!(told(&mut bench), ["started"]);
}

#[test]
fn memory_that_is_full_and_not_drained_is_told() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.machine.settings.drain_percent = 98;
    bench.machine.settings.kill_percent = 99;
    let hold = |bench: &mut Bench, percent: u32, seconds: u64| {
        (0..seconds).for_each(|_| {
            bench.memory(&[percent]);
            bench.run(750);
        });
    };
    hold(&mut bench, 85, 60);
    assert_eq!(told(&mut bench), [""; 0]);
    hold(&mut bench, 86, 14);
    assert_eq!(told(&mut bench), [""; 0]);
    hold(&mut bench, 86, 20);
    assert_eq!(told(&mut bench), ["memory-full"]);
    hold(&mut bench, 82, 20);
    assert_eq!(told(&mut bench), [""; 0], "not yet");
    hold(&mut bench, 79, 2);
    assert_eq!(told(&mut bench), ["memory-roomy"]);
}

#[test]
fn pings_that_are_lost_are_told() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Ping(Some("no answer".into())));
    bench.tell(Input::Ping(None));
    assert_eq!(told(&mut bench), ["ping-lost", "ping-back"]);
}
