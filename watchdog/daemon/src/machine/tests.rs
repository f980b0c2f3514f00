mod alerts;
mod limits;
mod memory;
mod policies;

use std::collections::BTreeMap;

use proptest::prelude::*;
use sandpit_contract::{Beat, BrokerProof, DrillOutcome, DrillStatus, LoopBeat, Policy};

use super::{table::Action as A, *};
use crate::{
    limits::{Ask, Told, tests::steady},
    liveness::Limits,
    memory::Usage,
    proof::{Command, Report, Scope, Sighting, Terms, Unread},
};

fn settings(mode: HostMode) -> Settings {
    let ms = Duration::from_millis;
    Settings {
        mode,
        limits: Limits { stall: ms(2000), replace: ms(3500), start: ms(60_000), loops: BTreeMap::new() },
        restart_backoff: vec![ms(100), ms(500)],
        terms: Terms {
            scope: Scope::Account,
            policy: Policy::Cancel,
            confirm: ms(60_000),
            requests_per_minute: 20,
        },
        drain_percent: 80,
        kill_percent: 92,
        first_nonce: 100,
        account_limits: crate::limits::Terms::CEILINGS,
    }
}

const ARMED: Files = Files { flag: Presence::Absent, armed: Presence::Present, latch: Presence::Absent };
const DISARMED: Files = Files { armed: Presence::Absent, ..ARMED };
const FLAGGED: Files = Files { flag: Presence::Present, ..ARMED };
const LATCHED: Files = Files { latch: Presence::Present, ..DISARMED };

/// A machine in virtual time, with a host that answers as long as `is_alive` and a disk and broker that are
/// told when.
struct Bench {
    machine: Machine,
    ms: u64,
    files: Files,
    is_alive: bool,
    epoch: u64,
    pid: u32,
    newest_nonce: u64,
    sequence: u64,
    /// What the host's strategies hold, by name.
    strategies: Vec<(&'static str, u64)>,
    /// How far the wall clock has been set.
    clock_set_s: i64,
    /// What the broker says when the account is read.
    account: Result<bool, Unread>,
    /// What the broker says to the limits, and what the host calls its account.
    reading: fn(&Ask) -> Told,
    host_account: Option<String>,
    /// A host can be started.
    can_start: bool,
    seen: Vec<Output>,
}

impl Bench {
    fn new(mode: HostMode, latch: Option<Latch>) -> Self {
        let now = Now { boot: BootTime::from_nanos(0), unix_s: 1000 };
        Self {
            machine: Machine::new(settings(mode), latch, now),
            ms: 0,
            files: DISARMED,
            is_alive: true,
            epoch: 7,
            pid: 41,
            newest_nonce: 0,
            sequence: 0,
            strategies: Vec::new(),
            clock_set_s: 0,
            account: Ok(false),
            reading: steady,
            host_account: None,
            can_start: true,
            seen: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        let unix_s = (1_000_000 + self.ms / 1000).saturating_add_signed(self.clock_set_s);
        Now { boot: BootTime::from_nanos(self.ms * 1_000_000), unix_s }
    }

    fn tell(&mut self, input: Input) {
        let outputs = self.machine.on(input, self.now());
        for output in outputs {
            self.seen.push(output.clone());
            match output {
                Output::Grant { nonce, .. } | Output::Withhold { nonce, .. } => self.newest_nonce = nonce,
                Output::Broker(Command::Warm) => {
                    self.tell(Input::Broker(Report::Warmed(self.account.clone())));
                }
                Output::Broker(Command::Account(ask)) => {
                    let told = (self.reading)(&ask);
                    self.tell(Input::Broker(Report::Account { told: Box::new(told), requests: 1 }));
                }
                Output::StartHost if !self.can_start => {
                    assert!(self.seen.len() < 10_000, "it never comes back to the loop");
                    self.tell(Input::SpawnFailed { cause: "no such file".into() });
                }
                Output::StartHost => {
                    self.pid += 1;
                    self.tell(Input::HostSpawned { pid: self.pid });
                }
                Output::Drain { .. } | Output::Accept | Output::Refuse { .. } | Output::SignalKill => {}
                Output::SignalTerm | Output::WriteLatch(_) | Output::Broker(_) | Output::Log(..) => {}
                Output::Marked(..) => {}
                Output::Alert(alert) => {
                    let kind = Kind::of(alert.key).unwrap_or_else(|| panic!("{alert:?} is in no table"));
                    assert_eq!(kind.severity, alert.severity);
                }
                Output::Quarantine { .. } => {}
                Output::StartDrill | Output::KeepLimits(_) | Output::KeepQuarantines(_) => {}
                Output::Exit => {}
            }
        }
    }

    fn join(&mut self) {
        self.tell(Input::HostJoined { pid: self.pid, epoch: self.epoch, mode: "paper".into() });
        self.sequence = 0;
    }

    /// Turns of 50 ms, with a beat in each while the host lives.
    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 50 {
            self.ms += 50;
            self.tell(Input::Files(self.files));
            self.tell(Input::Tick);
            if self.is_alive {
                self.sequence += 1;
                let one = |name: &str| LoopBeat {
                    name: name.into(),
                    progress: self.sequence,
                    nonce: self.newest_nonce,
                    memory_bytes: 0,
                };
                let mut loops = vec![one("execution"), one("ingest"), one("store")];
                loops.extend(self.strategies.iter().map(|(name, memory_bytes)| LoopBeat {
                    memory_bytes: *memory_bytes,
                    ..one(&format!("strategy:{name}"))
                }));
                self.tell(Input::Beat(Beat {
                    epoch: self.epoch,
                    account: self.host_account.clone(),
                    sequence: self.sequence,
                    loops,
                }));
            }
        }
    }

    /// A sample, of a limit of 1000 MB, now.
    fn sample(&mut self, percent: u32) {
        let used = u64::from(percent) * (10 << 20);
        self.tell(Input::Memory(Usage { used, limit: 1000 << 20, rss: used, psi_permille: Some(12) }));
    }

    /// Samples, each a quarter of a second after the one before.
    fn memory(&mut self, percents: &[u32]) {
        for percent in percents {
            self.run(250);
            self.sample(*percent);
        }
    }

    fn leased(mode: HostMode) -> Self {
        let mut bench = Self::new(mode, None);
        bench.files = ARMED;
        bench.run(50);
        bench.join();
        bench.run(1000);
        assert_eq!(bench.machine.state, State::Leased);
        bench.seen.clear();
        bench
    }

    fn killed() -> Self {
        let mut bench = Self::leased(HostMode::Spawn);
        bench.files = FLAGGED;
        bench.run(50);
        bench.is_alive = false;
        bench.tell(Input::HostEnded(Ending { code: None, signal: Some(9) }));
        bench.tell(Input::LatchWritten(Ok(())));
        bench.files = Files { flag: Presence::Present, ..LATCHED };
        bench.run(50);
        assert_eq!(bench.machine.state, State::Killed);
        bench
    }

    fn saw(&self, word: &str) -> bool {
        self.seen.iter().any(|output| format!("{output:?}").contains(word))
    }

    #[track_caller]
    fn check(&mut self, state: State, seen: &[&str], not: &[&str]) {
        assert_eq!(self.machine.state, state, "{:?}", self.seen);
        for word in seen {
            assert!(self.saw(word), "{word} is missing: {:?}", self.seen);
        }
        for word in not {
            assert!(!self.saw(word), "{word} is there: {:?}", self.seen);
        }
        self.seen.clear();
    }
}

fn letter(action: A) -> char {
    match action {
        A::Stay => '.',
        A::Impossible => '-',
        A::Kill => 'K',
        A::KillAgain => 'k',
        A::KillMore => 'm',
        A::Seal => 'E',
        A::Rearm => 'M',
        A::Begin => 'B',
        A::Await => 'A',
        A::Lease => 'L',
        A::Suspect => 'U',
        A::Drain => 'D',
        A::LetGo => 'l',
        A::Replace => 'R',
        A::SignalKill => 's',
        A::Schedule => 'S',
        A::Restart => 'T',
        A::Rest => 'r',
        A::RestIfGone => 'g',
        A::Stop => 'Q',
        A::StopAfterKill => 'q',
        A::Exit => 'X',
        A::KillAndExit => 'x',
    }
}

#[test]
fn every_pair_of_the_table() {
    // Columns as above. `.` stay, `-` impossible, K kill, k kill again, m kill more, s SIGKILL, B
    // begin, A await, L lease, U suspect, D drain, l let go, R replace, S schedule, T restart, r
    // rest, g rest if gone, E seal, M re-arm, Q stop, q stop after the kill, X exit, x SIGKILL and
    // exit.
    let table = [
        (State::Disarmed, "B.-K.....s..--Q."),
        (State::Armed, "-r-KA---..----Q."),
        (State::Starting, "-r-K.L.R.RSr-RQl"),
        (State::Leased, "-r-KA.URDRSr--Ql"),
        (State::Suspect, "-r-KAL.RDRSr--Ql"),
        (State::Draining, "..-K.....RSr-RQ."),
        (State::Restarting, ".g-K......Sr-TQ."),
        (State::Stopping, "..-K......XX-xX."),
        (State::Killing, "---mk.......Ekq."),
        (State::Killed, "--Mmk---..----X."),
    ];
    for (state, row) in table {
        assert_eq!(
            pairs::EVENTS.map(|event| letter(decide(state, event))).iter().collect::<String>(),
            row,
            "{state:?}"
        );
    }
}

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

#[test]
fn stopping_takes_the_host_along_within_a_bound() {
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Stop);
    bench.check(State::Stopping, &["Withhold", "SignalTerm"], &["Exit", "SignalKill"]);
    bench.tell(Input::HostEnded(Ending { code: Some(0), signal: None }));
    bench.check(State::Stopping, &["Exit"], &["StartHost"]);
    let mut bench = Bench::leased(HostMode::Spawn);
    bench.tell(Input::Stop);
    bench.run(10_000);
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

#[derive(Clone, Debug)]
enum Move {
    Run(u64),
    Files(Files),
    Alive(bool),
    Join(u32),
    End(Option<i32>),
    Latch(bool),
    Trip,
    Bye,
    Left,
    Memory(u32),
    Read(usize),
    Account(u8),
    Fail,
    Stop,
    Pause(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let presence = || prop_oneof![Just(Presence::Absent), Just(Presence::Present), Just(Presence::Unknown)];
    let files =
        (presence(), presence(), presence()).prop_map(|(flag, armed, latch)| Files { flag, armed, latch });
    let code = prop_oneof![Just(0), Just(10), Just(13), Just(15), Just(20), Just(30), Just(101)];
    let one = prop_oneof![
        6 => (1u64..60).prop_map(|turns| Move::Run(turns * 50)),
        3 => Just(Move::Files(ARMED)),
        1 => files.prop_map(Move::Files),
        2 => any::<bool>().prop_map(Move::Alive),
        4 => (0u32..2).prop_map(Move::Join),
        2 => proptest::option::of(code).prop_map(Move::End),
        2 => any::<bool>().prop_map(Move::Latch),
        1 => Just(Move::Trip),
        1 => Just(Move::Bye),
        1 => Just(Move::Left),
        1 => (70u32..100).prop_map(Move::Memory),
        2 => (0usize..3).prop_map(Move::Read),
        1 => (0u8..4).prop_map(Move::Account),
        1 => Just(Move::Fail),
        1 => Just(Move::Stop),
        1 => (0u64..20_000).prop_map(Move::Pause),
    ];
    proptest::collection::vec(one, 1..60)
}

fn make(bench: &mut Bench, one: &Move) {
    match one {
        Move::Run(ms) => bench.run(*ms),
        Move::Files(files) => {
            bench.files = *files;
            bench.tell(Input::Files(*files));
        }
        Move::Alive(is_alive) => bench.is_alive = *is_alive,
        Move::Join(offset) => {
            bench.epoch += 1;
            bench.tell(Input::HostJoined {
                pid: bench.pid + offset,
                epoch: bench.epoch,
                mode: "paper".into(),
            });
        }
        Move::End(code) if bench.machine.host.is_some() => {
            let signal = code.is_none().then_some(9);
            bench.tell(Input::HostEnded(Ending { code: *code, signal }));
        }
        Move::End(_) => {}
        Move::Latch(true) => bench.tell(Input::LatchWritten(Ok(()))),
        Move::Latch(false) => bench.tell(Input::LatchWritten(Err("no".into()))),
        Move::Trip => bench.tell(Input::Trip { reason: "t".into() }),
        Move::Bye => bench.tell(Input::Bye { reason: "b".into() }),
        Move::Left => bench.tell(Input::HostLeft),
        Move::Memory(percent) => bench.sample(*percent),
        Move::Read(open) => {
            let sighting = Sighting::of_orders(*open);
            let started = bench.now().boot;
            bench.tell(Input::Broker(Report::Read { started, result: Ok(sighting) }));
        }
        Move::Account(kind) => {
            bench.account = match kind {
                0 => Err(Unread::KeyRefused("403".into())),
                1 => Err(Unread::Other("down".into())),
                _ => Ok(false),
            };
        }
        Move::Fail => bench.tell(Input::Broker(Report::Cancelled(Err("5xx".into())))),
        Move::Stop => bench.tell(Input::Stop),
        Move::Pause(ms) => bench.ms += ms,
    }
}

proptest! {
    /// The promises of the fence, over anything that may happen in any order.
    #[test]
    fn the_fence_holds(script in moves(), is_spawn in any::<bool>()) {
        let mut bench = Bench::new(if is_spawn { HostMode::Spawn } else { HostMode::Attach }, None);
        for one in &script {
            let was_killed = bench.machine.kill.is_some();
            // The key may be refused behind the last grant of one move.
            let was_read = bench.machine.account == Account::Read;
            bench.seen.clear();
            make(&mut bench, one);
            let granted = bench.saw("Grant {");
            let re_armed = bench.saw("re-armed by an operator");
            prop_assert!(!bench.saw("impossible"), "{:?}", bench.seen);
            if granted {
                prop_assert!(bench.files == ARMED, "a lease while {:?}", bench.files);
                let account = bench.machine.account;
                let is_read = was_read || account == Account::Read;
                prop_assert!(is_read, "a lease with an account that is {account:?}");
                prop_assert!(!was_killed || re_armed, "a lease after a kill");
            }
            if was_killed && !re_armed {
                prop_assert!(bench.machine.kill.is_some(), "un-killed by nobody");
                prop_assert!(!bench.saw("StartHost"), "a host started while killed");
            }
            if re_armed {
                prop_assert!(bench.files == ARMED);
            }
            let state = bench.machine.state;
            prop_assert_eq!(bench.machine.kill.is_some(), matches!(state, State::Killing | State::Killed));
            prop_assert!(state != State::Armed || bench.machine.host.is_none());
            // A loop that stands still for long has no lease, whatever came between.
            let loops = bench.machine.status(None, bench.now().boot).loops;
            let is_stuck = loops.iter().any(|one| one.age_ms > 2100);
            bench.seen.clear();
            bench.tell(Input::Tick);
            let is_granted = bench.saw("Grant {") && !bench.saw("stood still");
            prop_assert!(!(is_stuck && is_granted), "a lease for a stuck loop");
        }
    }
}

#[test]
fn a_command_that_finds_no_lane_is_an_answer() {
    let mut bench = Bench::killed();
    bench.seen.clear();
    bench.tell(Input::Broker(Report::Suspended(Err("the lane is full".into()))));
    bench.run(300);
    assert!(bench.saw("Broker(Suspend"), "{:?}", bench.seen);
}

#[path = "pairs_tests.rs"]
mod pairs;

#[test]
fn drills_are_held_while_nothing_is_killed_and_their_results_are_told() {
    let hour = Duration::from_secs(3600);
    let drill = |outcome| DrillStatus { at_unix_s: 7, outcome, text: "figures".into() };
    let alerts = |bench: &Bench| {
        let alert = |output: &Output| match output {
            Output::Alert(alert) if alert.key.starts_with("drill") => Some(alert.key),
            _ => None,
        };
        bench.seen.iter().filter_map(alert).collect::<Vec<_>>()
    };
    let starts = |bench: &Bench| bench.seen.iter().filter(|output| **output == Output::StartDrill).count();
    let mut bench = Bench::leased(HostMode::Spawn);
    let now = bench.now();
    bench.machine.plan_drills(Some(hour), Some(drill(DrillOutcome::WithinBounds)), Now { unix_s: 7, ..now });
    bench.run(3_550_000);
    assert_eq!(starts(&bench), 0, "not yet");
    bench.run(100_000);
    assert_eq!(starts(&bench), 1, "once, and it runs");
    bench.tell(Input::Drilled(drill(DrillOutcome::Slow)));
    bench.tell(Input::DrillEnded("it ended with exit status: 16".into()));
    assert_eq!(alerts(&bench), ["drill-slow"]);
    assert_eq!(bench.machine.status(None, bench.now().boot).last_drill, Some(drill(DrillOutcome::Slow)));
    // A kill is in force when the next one is due.
    bench.tell(Input::Kill { layer: Layer::Operator, reason: "x".into() });
    bench.run(5_500_000);
    assert_eq!((starts(&bench), alerts(&bench)), (1, vec!["drill-slow", "drill-overdue"]));
    // A drill that says nothing.
    let mut bench = Bench::leased(HostMode::Spawn);
    let now = bench.now();
    let later = Now { unix_s: 1_000_000, ..now };
    bench.machine.plan_drills(Some(hour), Some(drill(DrillOutcome::WithinBounds)), later);
    bench.run(100);
    assert_eq!(starts(&bench), 1, "the last one was long ago");
    bench.tell(Input::DrillEnded("it was killed".into()));
    let last = bench.machine.status(None, bench.now().boot).last_drill.expect("known");
    assert!(last.outcome == DrillOutcome::Failed && last.text.contains("it was killed"), "{last:?}");
    bench.tell(Input::Drilled(drill(DrillOutcome::Failed)));
    bench.tell(Input::Drilled(drill(DrillOutcome::WithinBounds)));
    bench.tell(Input::Drilled(drill(DrillOutcome::WithinBounds)));
    assert_eq!(alerts(&bench), ["drill-overdue", "drill-failed", "drill-failed", "drill-passed"]);
}
