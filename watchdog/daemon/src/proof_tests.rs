use proptest::prelude::*;

use super::*;

const TERMS: Terms = Terms {
    scope: Scope::Account,
    policy: Policy::Cancel,
    confirm: Duration::from_secs(60),
    requests_per_minute: 20,
};

fn at(ms: u64) -> BootTime {
    BootTime::from_nanos(ms * 1_000_000)
}

fn sighting(open: &[String], reserved: &[String]) -> Sighting {
    let order = |id: &String| Order {
        id: id.clone(),
        symbol: "A".into(),
        kind: Kind::Other,
        buys: Some(true),
        left: None,
        group: 0,
    };
    let position =
        |symbol: &String| Position { symbol: symbol.clone(), key: symbol.clone(), qty: Some(1), held: 1 };
    Sighting {
        open: open.iter().map(order).collect(),
        positions: reserved.iter().map(position).collect(),
        ..Sighting::default()
    }
}

/// A broker in virtual time: answers `delay_ms` after the command.
struct Bench {
    proof: Proof,
    ms: u64,
    delay_ms: u64,
    waiting: Vec<(u64, u64, Command)>,
    open: Vec<String>,
    reserved: Vec<String>,
    is_down: bool,
    /// Somebody lifted the suspension.
    is_lifted: bool,
    /// A cancel takes effect.
    cancels: bool,
    sent: Vec<(u64, Command)>,
    lines: Vec<String>,
}

impl Bench {
    fn new(terms: Terms, open: usize) -> Self {
        Self {
            proof: Proof::new(terms, false, at(0)),
            ms: 0,
            delay_ms: 20,
            waiting: Vec::new(),
            open: (0..open).map(|n| format!("o{n}")).collect(),
            reserved: Vec::new(),
            is_down: false,
            is_lifted: false,
            cancels: true,
            sent: Vec::new(),
            lines: Vec::new(),
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            let due = self.proof.due(at(self.ms));
            for command in due {
                self.sent.push((self.ms, command.clone()));
                self.waiting.push((self.ms, self.ms + self.delay_ms, command));
            }
            let (ready, later): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.waiting).into_iter().partition(|(_, due, _)| *due <= self.ms);
            self.waiting = later;
            for (started, _, command) in ready {
                let report = self.answer(started, command);
                self.lines.extend(self.proof.on(report, at(self.ms)));
            }
            self.ms += 10;
        }
    }

    fn answer(&mut self, started: u64, command: Command) -> Report {
        let down = || Trouble::from("down");
        match command {
            Command::Warm => Report::Warmed(Ok(false)),
            Command::Touch => Report::Touched,
            Command::Lift => Report::Lifted(Ok(())),
            Command::CloseAll | Command::CloseEach(_) => Report::Closed(Ok(Closes::default())),
            Command::Account(ask) => unreachable!("the proof reads no account: {ask:?}"),
            Command::Check if self.is_down => Report::Checked(Err(down())),
            Command::Check => Report::Checked(Ok(!self.is_lifted)),
            Command::Suspend { .. } if self.is_down => Report::Suspended(Err(down())),
            Command::Suspend { .. } => {
                self.is_lifted = false;
                Report::Suspended(Ok(()))
            }
            Command::CancelAll | Command::CancelEach(_) if self.is_down => Report::Cancelled(Err(down())),
            Command::CancelAll => {
                let taken = self.open.len();
                if self.cancels {
                    self.open.clear();
                }
                Report::Cancelled(Ok(Cancels { taken, failed: Vec::new() }))
            }
            Command::CancelEach(ids) => {
                if self.cancels {
                    self.open.retain(|id| !ids.contains(id));
                }
                Report::Cancelled(Ok(Cancels { taken: ids.len(), failed: Vec::new() }))
            }
            Command::Read(_) => {
                let sighting = sighting(&self.open, &self.reserved);
                Report::Read {
                    started: at(started),
                    result: if self.is_down { Err(down()) } else { Ok(sighting) },
                }
            }
        }
    }

    /// Requests in the busiest minute.
    fn busiest(&self) -> usize {
        let cost = |command: &Command| match command {
            Command::Warm | Command::Touch | Command::Check | Command::CancelAll => 1,
            Command::Account(_) => 1,
            Command::Lift | Command::CloseAll => 1,
            Command::Suspend { asks } => 1 + usize::from(*asks),
            Command::CancelEach(ids) | Command::CloseEach(ids) => ids.len(),
            Command::Read(_) => self.proof.read_requests(),
        };
        let within = |from: u64| self.sent.iter().filter(move |(ms, _)| (from..from + 60_000).contains(ms));
        self.sent.iter().map(|(from, _)| within(*from).map(|(_, c)| cost(c)).sum()).max().unwrap_or(0)
    }

    #[track_caller]
    fn check(&self, level: BrokerProof) {
        assert_eq!(self.proof.level(), level, "{:?} {:?}", self.sent, self.lines);
    }
}

use BrokerProof::{ConfirmedZero, PendingAtBroker, ZeroSeen};

#[test]
fn suspend_cancel_zero_confirmed() {
    let mut bench = Bench::new(TERMS, 500);
    bench.check(PendingAtBroker);
    bench.run(300);
    assert_eq!(bench.sent[0], (0, Command::Suspend { asks: false }));
    assert_eq!(bench.sent[1].1, Command::CancelAll);
    assert!(bench.sent[1].0 <= 200);
    bench.check(ZeroSeen);
    assert!(
        bench.lines.iter().any(|line| line.starts_with("ZERO_SEEN open=0 after_ms=")),
        "{:?}",
        bench.lines
    );
    bench.run(59_000);
    bench.check(ZeroSeen);
    bench.run(10_000);
    bench.check(ConfirmedZero);
    bench.run(600_000);
    bench.check(ConfirmedZero);
    assert!(bench.busiest() <= 20 + 4 + 5 + 1, "{}", bench.busiest());
}

#[test]
fn a_suspension_that_somebody_lifts_is_put_back() {
    for open in [0, 1] {
        let mut bench = Bench::new(TERMS, open);
        // With an order that cannot be cancelled as well as with the proof complete.
        bench.cancels = false;
        bench.run(200_000);
        bench.sent.clear();
        bench.is_lifted = true;
        bench.run(19_000);
        assert!(!bench.is_lifted, "{:?}", bench.sent);
        assert!(bench.lines.iter().any(|line| line.contains("lifted by somebody")), "{:?}", bench.lines);
    }
}

#[test]
fn only_the_first_suspension_of_a_kill_asks() {
    let mut bench = Bench::new(TERMS, 0);
    bench.proof = Proof::of_kill(TERMS, false, at(0));
    bench.is_down = true;
    bench.run(3000);
    let asks: Vec<bool> = bench
        .sent
        .iter()
        .filter_map(|(_, c)| if let Command::Suspend { asks } = c { Some(*asks) } else { None })
        .collect();
    assert!(asks.len() > 2 && asks[0] && !asks[1..].contains(&true), "{asks:?}");
}

#[test]
fn a_living_host_caps_the_proof_and_its_end_opens_the_window() {
    let mut bench = Bench::new(TERMS, 0);
    bench.proof = Proof::of_kill(TERMS, true, at(0));
    bench.run(300_000);
    bench.check(ZeroSeen);
    bench.proof.host_is(false);
    bench.run(59_000);
    bench.check(ZeroSeen);
    bench.run(20_000);
    bench.check(ConfirmedZero);
}

#[test]
fn a_further_kill_does_everything_again() {
    let mut bench = Bench::new(TERMS, 0);
    bench.run(100_000);
    bench.check(ConfirmedZero);
    bench.sent.clear();
    bench.proof.insist(at(bench.ms));
    bench.run(500);
    bench.check(ZeroSeen);
    for command in [Command::Suspend { asks: false }, Command::CancelAll, Command::Read(Policy::Cancel)] {
        assert!(bench.sent.iter().any(|(_, sent)| *sent == command), "{command:?} in {:?}", bench.sent);
    }
}

#[test]
fn no_step_waits_longer_than_200_ms_for_another() {
    let mut bench = Bench::new(TERMS, 1);
    bench.delay_ms = 100_000;
    bench.run(1000);
    let times: Vec<u64> = bench.sent.iter().map(|(ms, _)| *ms).collect();
    assert_eq!(times, [0, 200, 400], "{:?}", bench.sent);
}

#[test]
fn an_order_that_lands_late_is_cancelled_and_opens_a_new_window() {
    let mut bench = Bench::new(TERMS, 0);
    bench.run(30_000);
    bench.check(ZeroSeen);
    bench.open.push("late".into());
    bench.cancels = false;
    bench.run(7000);
    bench.check(PendingAtBroker);
    bench.cancels = true;
    bench.run(10_000);
    bench.check(ZeroSeen);
    bench.run(50_000);
    bench.check(ZeroSeen);
    bench.run(20_000);
    bench.check(ConfirmedZero);
    bench.open.push("very late".into());
    bench.run(12_200);
    assert!(bench.lines.iter().any(|line| line.starts_with("PENDING_AT_BROKER open=1")), "{:?}", bench.lines);
    bench.run(1000);
    bench.check(ZeroSeen);
}

#[test]
fn hidden_legs_and_endless_cancels_stay_pending() {
    let mut bench = Bench::new(TERMS, 0);
    bench.reserved.push("AAPL".into());
    bench.run(120_000);
    bench.check(PendingAtBroker);
    let mut bench = Bench::new(TERMS, 3);
    bench.cancels = false;
    bench.run(600_000);
    bench.check(PendingAtBroker);
    assert!(bench.sent.iter().any(|(_, command)| matches!(command, Command::CancelEach(_))));
    assert!(bench.busiest() <= 180, "{}", bench.busiest());
}

#[test]
fn a_broker_that_is_down_is_tried_for_ever_and_gently() {
    let mut bench = Bench::new(TERMS, 2);
    bench.is_down = true;
    bench.run(300_000);
    bench.check(PendingAtBroker);
    assert!(bench.busiest() <= 80, "{}", bench.busiest());
    bench.is_down = false;
    bench.run(21_000);
    bench.check(ZeroSeen);
    // A failed read within the window opens a new one.
    bench.run(40_000);
    bench.is_down = true;
    bench.run(7000);
    bench.is_down = false;
    bench.run(40_000);
    bench.check(ZeroSeen);
    bench.run(40_000);
    bench.check(ConfirmedZero);
}

#[test]
fn scope_ours_never_suspends_and_names_each_order() {
    let mut bench = Bench::new(Terms { scope: Scope::Ours, ..TERMS }, 70);
    bench.run(60_000);
    bench.check(ZeroSeen);
    assert!(
        bench.sent.iter().all(|(_, c)| !matches!(c, Command::Suspend { .. } | Command::CancelAll)),
        "{:?}",
        bench.sent
    );
    assert!(bench.busiest() <= 180, "{}", bench.busiest());
}

#[test]
fn a_short_window_for_drills_still_needs_three_reads() {
    let mut bench = Bench::new(Terms { confirm: Duration::from_secs(1), ..TERMS }, 1);
    bench.run(1000);
    bench.check(ZeroSeen);
    bench.run(1000);
    bench.check(ConfirmedZero);
}

#[test]
fn an_answer_to_an_earlier_kill_is_no_proof() {
    let mut proof = Proof::new(TERMS, false, at(1000));
    proof.on(Report::Read { started: at(999), result: Ok(Sighting::default()) }, at(1001));
    assert_eq!(proof.level(), PendingAtBroker);
}

proptest! {
    /// Confirmed means: a whole window of reads, every one of which showed nothing.
    #[test]
    fn never_confirmed_with_an_open_order_within_the_window(
        steps in proptest::collection::vec((0u64..8000, 0usize..10), 1..80),
    ) {
        let mut proof = Proof::new(TERMS, false, at(0));
        let (mut ms, mut last_open) = (0, 0);
        for (gap, open) in steps {
            ms += gap;
            let open = open.saturating_sub(8);
            if open > 0 {
                last_open = ms;
            }
            let sighting = sighting(&vec!["x".into(); open], &[]);
            proof.due(at(ms));
            proof.on(Report::Read { started: at(ms), result: Ok(sighting) }, at(ms));
            let confirmed = proof.level() == ConfirmedZero;
            let quiet_ms = ms - last_open;
            prop_assert!(!confirmed || quiet_ms >= 60_000, "confirmed {quiet_ms} ms after an open order");
        }
    }
}

#[test]
fn the_brokers_word_for_a_pause_is_taken_but_bounded() {
    for (asked, at_least, at_most) in [(0, 250, 400), (3, 3000, 3200), (3600, 15_000, 15_200)] {
        let mut bench = Bench::new(TERMS, 1);
        bench.cancels = false;
        bench.run(200);
        bench.sent.clear();
        let pause = Some(Duration::from_secs(asked));
        bench.proof.on(Report::Cancelled(Err(Trouble { pause, ..Trouble::from("429") })), at(bench.ms));
        let from = bench.ms;
        bench.run(20_000);
        let is_cancel = |c: &Command| matches!(c, Command::CancelAll | Command::CancelEach(_));
        let next = bench.sent.iter().find(|(_, c)| is_cancel(c)).expect("tried again").0 - from;
        assert!((at_least..=at_most).contains(&next), "{asked} s: after {next} ms");
        // The reads have a pause of their own.
        let reads = bench.sent.iter().filter(|(ms, c)| *ms < from + 1000 && matches!(c, Command::Read(_)));
        assert!(reads.count() >= 2, "{:?}", bench.sent);
    }
}

#[test]
fn what_fails_in_bulk_is_cancelled_one_by_one_at_once() {
    let mut proof = Proof::new(TERMS, false, at(0));
    let sent = proof.due(at(200));
    assert!(sent.contains(&Command::CancelAll), "{sent:?}");
    let failed: Vec<String> = (0..25).map(|n| format!("o{n}")).collect();
    proof.on(Report::Cancelled(Ok(Cancels { taken: 3, failed: failed.clone() })), at(210));
    assert_eq!(proof.due(at(210))[..1], [Command::CancelEach(failed[..20].to_vec())]);
    proof.on(Report::Cancelled(Ok(Cancels { taken: 20, failed: Vec::new() })), at(220));
    assert!(proof.due(at(220)).contains(&Command::CancelEach(failed[20..].to_vec())));
}

#[test]
fn the_cancel_lane_is_kept_warm_once_it_is_idle() {
    let mut bench = Bench::new(TERMS, 1);
    bench.run(600_000);
    let touches: Vec<u64> =
        bench.sent.iter().filter(|(_, c)| *c == Command::Touch).map(|(ms, _)| *ms).collect();
    assert!((9..=10).contains(&touches.len()), "{touches:?}");
}

/// A closing order that nothing executes is replaced, rarer each time.
#[test]
fn a_closing_order_that_stands_still_is_replaced() {
    let mut proof = Proof::of_kill(Terms { policy: Policy::Flatten, ..TERMS }, false, at(0));
    let (mut id, mut cancels, mut closes) = (0, 0, Vec::new());
    for ms in (0..400_000).step_by(10) {
        for command in proof.due(at(ms)) {
            let report = match command {
                Command::CancelAll | Command::CancelEach(_) => {
                    (id, cancels) = (closes.len(), closes.len());
                    Report::Cancelled(Ok(Cancels::default()))
                }
                Command::CloseAll | Command::CloseEach(_) => {
                    closes.push(ms);
                    Report::Closed(Ok(Closes { taken: 1, ..Closes::default() }))
                }
                Command::Read(_) => {
                    let mut seen = sighting(&[], &["A".into()]);
                    seen.positions[0].held = 0;
                    if closes.len() > cancels {
                        seen.open = Sighting::of_orders(1_usize).open;
                        let left = Some(1);
                        let closing =
                            Order { id: format!("c{id}"), kind: Kind::Market, left, ..seen.open.remove(0) };
                        seen.open.push(Order { buys: Some(false), ..closing });
                        seen.positions[0].held = 1;
                    }
                    Report::Read { started: at(ms), result: Ok(seen) }
                }
                other => panic!("{other:?}"),
            };
            proof.on(report, at(ms));
        }
    }
    assert_eq!(proof.level(), PendingAtBroker);
    let gaps: Vec<u64> = closes.windows(2).map(|pair| (pair[1] - pair[0]) / 1000).collect();
    assert!((2..=4).contains(&gaps.len()) && gaps.is_sorted() && gaps[0] >= 30, "{gaps:?}");
}
