mod alerts;
mod chance;
mod drills;
mod hosts;
mod kills;
mod limits;
mod memory;
mod pairs;
mod policies;
mod start;

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
    /// A start is answered when the test says so.
    is_disk_stuck: bool,
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
            is_disk_stuck: false,
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
                Output::StartHost if self.is_disk_stuck => {}
                Output::StartHost if !self.can_start => {
                    assert!(self.seen.len() < 10_000, "it never comes back to the loop");
                    self.tell(Input::SpawnFailed { cause: "no such file".into() });
                }
                Output::StartHost => self.spawned(),
                Output::Drain { .. } | Output::Accept | Output::Refuse { .. } | Output::SignalKill => {}
                Output::SignalTerm | Output::WriteLatch(_) | Output::Broker(_) | Output::Log(..) => {}
                Output::Marked(..) => {}
                Output::Alert(alert) => {
                    let kind = Kind::of(alert.key).unwrap_or_else(|| panic!("{alert:?} is in no table"));
                    assert_eq!(kind.severity, alert.severity);
                }
                Output::Quarantine { .. } => {}
                Output::StartDrill | Output::KeepLimits(_) | Output::KeepQuarantines(_) => {}
                Output::Exit | Output::Remain => {}
            }
        }
    }

    fn spawned(&mut self) {
        self.pid += 1;
        self.tell(Input::HostSpawned { pid: self.pid });
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
                self.beat();
            }
        }
    }

    /// Every loop has moved since the last one.
    fn beat(&mut self) {
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
