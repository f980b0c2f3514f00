//! Every policy against a model of a broker in virtual time: chance decides about faults, executions and
//! orders that come late, and the watchdog may die at every step.

mod broker;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;
use broker::{Faults, Model, Working, failed, is_kept};

const STEP_MS: u64 = 10;
/// A single cancel of a round takes so much longer.
const EACH_MS: u64 = 100;
/// Orders come late, requests fail and orders cannot be cancelled until then.
const CALM_MS: u64 = 60_000;
/// The market touches nobody's price from then on.
const QUIET_MS: u64 = 250_000;
/// And everything has to be proved by then.
const END_MS: u64 = 420_000;

fn at(ms: u64) -> BootTime {
    BootTime::from_nanos(ms * 1_000_000)
}

/// A request on its way.
#[derive(Debug)]
struct Flight {
    life: usize,
    command: Command,
    starts: u64,
    lasts: u64,
    /// Orders that were open when they were listed, listed or not, and the list.
    listed: Option<(BTreeSet<String>, Sighting)>,
    report: Option<Report>,
    /// It fails before anything is listed.
    is_lost: bool,
    is_done: bool,
}

/// A watchdog, its lanes and the broker.
struct World {
    terms: Terms,
    proof: Proof,
    model: Model,
    lanes: [VecDeque<Flight>; 3],
    life: usize,
    /// As in the latch.
    is_ours: bool,
    sent: Vec<(u64, Command)>,
    lines: Vec<String>,
    /// Longest time of a request.
    delay_ms: u64,
}

impl World {
    fn new(scope: Scope, policy: Policy, model: Model, delay_ms: u64) -> Self {
        let terms =
            Terms { scope, policy, confirm: Duration::from_secs(60), requests_per_minute: 20 }.with(policy);
        let mut proof = Proof::of_kill(terms, false, at(0));
        let is_ours = !model.is_suspended;
        proof.owns_suspension(is_ours);
        let lanes = [VecDeque::new(), VecDeque::new(), VecDeque::new()];
        let (sent, lines) = (Vec::new(), Vec::new());
        Self { terms, proof, model, lanes, life: 0, is_ours, sent, lines, delay_ms }
    }

    /// The watchdog dies, and the next one begins from the latch. What it had sent still happens.
    fn die(&mut self) {
        self.life += 1;
        self.proof = Proof::new(self.terms, self.is_ours, at(self.model.ms));
    }

    fn step(&mut self) {
        self.model.ms += STEP_MS;
        self.model.live();
        let now = self.model.ms;
        for command in self.proof.due(at(now)) {
            self.send(command);
        }
        for lane in 0..self.lanes.len() {
            if let Some(mut flight) = self.lanes[lane].pop_front() {
                if flight.starts == 0 {
                    flight.starts = now;
                }
                self.fly(&mut flight);
                if now < flight.starts + flight.lasts {
                    self.lanes[lane].push_front(flight);
                } else if flight.life == self.life {
                    self.look_again(&mut flight);
                    self.hear(flight);
                }
            }
        }
    }

    fn send(&mut self, command: Command) {
        let lane = match &command {
            Command::CancelAll | Command::CancelEach(_) | Command::Touch => 1,
            Command::Read(_) => 2,
            _ => 0,
        };
        self.sent.push((self.model.ms, command.clone()));
        assert!(self.lanes[lane].len() < 5, "the lane is full: {:?}", self.lanes[lane]);
        let is_slow = self.model.ms < CALM_MS && self.model.chance.hits(self.model.faults.silent / 2);
        let each = if let Command::CancelEach(ids) = &command { ids.len() as u64 * EACH_MS } else { 0 };
        let lasts = each + if is_slow { 5000 } else { 30 + self.model.chance.below(self.delay_ms) };
        let (life, listed, report, is_lost, is_done) = (self.life, None, None, false, false);
        self.lanes[lane].push_back(Flight {
            life,
            command,
            starts: 0,
            lasts,
            listed,
            report,
            is_lost,
            is_done,
        });
    }

    /// Orders are listed at a third of the way, everything else happens at two thirds.
    fn fly(&mut self, flight: &mut Flight) {
        let gone = self.model.ms - flight.starts;
        let is_read = matches!(flight.command, Command::Read(_));
        if is_read && flight.listed.is_none() && gone >= flight.lasts / 3 {
            let (all, seen) = self.list();
            // As the lane does, which may fail before.
            let odds = self.model.faults.broken + self.model.faults.busy;
            flight.is_lost = self.model.ms < CALM_MS && self.model.chance.hits(odds);
            if !flight.is_lost && flight.life == self.life {
                let report = Report::Listed { started: at(flight.starts), open: seen.open.clone() };
                self.lines.extend(self.proof.on(report, at(self.model.ms)));
            }
            flight.listed = Some((all, seen));
        }
        if flight.is_done || gone < flight.lasts * 2 / 3 {
            return;
        }
        flight.is_done = true;
        flight.report = match (&flight.command, &mut flight.listed) {
            (Command::Read(_), Some((_, seen))) => {
                let positions = self.model.positions.iter().map(|(symbol, qty)| Position {
                    symbol: symbol.clone(),
                    key: symbol.clone(),
                    qty: Some(*qty),
                    held: self.model.held(symbol),
                });
                seen.positions = positions.collect();
                let is_open = self.model.opens_at <= self.model.ms;
                seen.market = Some(Market { is_open, next_open: "T".into() });
                let Faults { blind, blind_until, .. } = self.model.faults;
                let is_blind = self.model.ms < blind_until && self.model.chance.hits(blind);
                let fails = flight.is_lost || is_blind;
                let result = if fails { Err("429".into()) } else { Ok(seen.clone()) };
                Some(Report::Read { started: at(flight.starts), result })
            }
            (command, _) => self.model.act(command).or_else(|| Some(failed(command, "silent".into()))),
        };
    }

    fn in_scope(&self, one: &Working) -> bool {
        self.terms.scope == Scope::Account || one.is_ours
    }

    fn list(&self) -> (BTreeSet<String>, Sighting) {
        let all = self.model.working.iter().filter(|one| self.in_scope(one));
        let is_listed = |one: &&Working| one.hidden_until <= self.model.ms;
        let foreign = self.model.working.iter().filter(|one| !self.in_scope(one));
        let seen = Sighting {
            open: all.clone().filter(is_listed).map(|one| one.order.clone()).collect(),
            foreign: foreign.map(|one| one.order.symbol.clone()).collect(),
            ..Sighting::default()
        };
        (all.map(|one| one.order.id.clone()).collect(), seen)
    }

    /// The second list, where the policy may leave orders.
    fn look_again(&self, flight: &mut Flight) {
        if let Some(Report::Read { result: Ok(seen), .. }) = &mut flight.report
            && self.terms.policy == Policy::CancelKeepStops
        {
            let (_, now) = self.list();
            let left = |seen: &Sighting, id: &str| {
                seen.open.iter().find(|order| order.id == id).map(|order| order.left)
            };
            seen.is_moving = seen.open.iter().any(|order| left(&now, &order.id) != Some(order.left));
            let is_new = |order: &Order| left(seen, &order.id).is_none();
            let new: Vec<Order> = now.open.into_iter().filter(is_new).collect();
            seen.open.extend(new);
        }
    }

    fn hear(&mut self, flight: Flight) {
        let is_read = matches!(flight.report, Some(Report::Read { result: Ok(_), .. }));
        let before = self.still_open(flight.listed.as_ref());
        let report = flight.report.expect("it was done");
        self.lines.extend(self.proof.on(report, at(self.model.ms)));
        if is_read && self.proof.level() != BrokerProof::PendingAtBroker {
            assert!(before.is_empty(), "{} with {before:?}: {}", self.proof.level().word(), self.story());
            let listed = flight.listed.expect("a read");
            assert!(
                self.terms.policy != Policy::Flatten || listed.1.positions.is_empty(),
                "{}",
                self.story()
            );
        }
    }

    /// Orders in scope that were open throughout the read and that the policy does not keep.
    fn still_open(&self, listed: Option<&(BTreeSet<String>, Sighting)>) -> Vec<Order> {
        let Some((all, _)) = listed else {
            return Vec::new();
        };
        let model = &self.model;
        let was_open = |one: &&Working| all.contains(&one.order.id);
        let may_stay = |one: &Working| {
            self.terms.policy == Policy::CancelKeepStops && is_kept(&model.working, &model.positions, one)
        };
        let left = model.working.iter().filter(was_open).filter(|one| !may_stay(one));
        left.map(|one| one.order.clone()).collect()
    }

    fn story(&self) -> String {
        format!(
            "at {} ms in life {}: {:#?} {:?} {:?} suspended={} {:#?}",
            self.model.ms,
            self.life,
            self.lines,
            self.sent.iter().rev().take(20).collect::<Vec<_>>(),
            self.model.positions,
            self.model.is_suspended,
            self.model.working
        )
    }

    fn run_to(&mut self, ms: u64) {
        while self.model.ms < ms {
            self.step();
        }
    }

    /// What has to be true in the end.
    #[track_caller]
    fn check(&mut self) {
        self.run_to(END_MS);
        let goal = match self.terms.policy {
            Policy::Cancel => BrokerProof::ConfirmedZero,
            Policy::CancelKeepStops => BrokerProof::StopsOnly,
            Policy::Flatten => BrokerProof::Flat,
        };
        assert_eq!(self.proof.level(), goal, "{}", self.story());
        let is_account = self.terms.scope == Scope::Account;
        assert_eq!(self.model.is_suspended, is_account, "{}", self.story());
        let touched = |command: &Command| matches!(command, Command::CancelAll | Command::Suspend { .. });
        let bulk = self.sent.iter().filter(|(_, command)| touched(command)).count();
        assert!(is_account || bulk == 0, "{}", self.story());
        if self.terms.policy == Policy::CancelKeepStops {
            let all = self.sent.iter().any(|(_, c)| matches!(c, Command::CancelAll | Command::CloseAll));
            assert!(
                !all && self.model.unprotected.is_empty(),
                "{:?} {}",
                self.model.unprotected,
                self.story()
            );
        }
        let within = |from: u64| self.sent.iter().filter(move |(ms, _)| (from..from + 60_000).contains(ms));
        let cost = |command: &Command| match command {
            Command::Suspend { asks } => 1 + usize::from(*asks),
            Command::CancelEach(ids) | Command::CloseEach(ids) => ids.len(),
            Command::Read(_) => self.proof.read_requests(),
            _ => 1,
        };
        // Each life begins with a burst of its own.
        let lives = 1 + self.life;
        let busiest = self.sent.iter().map(|(from, _)| within(*from).map(|(_, c)| cost(c)).sum::<usize>());
        assert!(busiest.max().unwrap_or(0) <= 120 + 60 * lives, "{}", self.story());
    }
}

/// The policies and scopes that the configuration allows.
const WAYS: [(Scope, Policy); 5] = [
    (Scope::Account, Policy::Cancel),
    (Scope::Account, Policy::CancelKeepStops),
    (Scope::Account, Policy::Flatten),
    (Scope::Ours, Policy::Cancel),
    (Scope::Ours, Policy::CancelKeepStops),
];

/// What goes wrong in each row of the table.
fn table() -> Vec<(&'static str, Faults)> {
    let none = Faults::default();
    vec![
        ("nothing", none),
        ("orders of the dead host land late", Faults { late: 150, ..none }),
        ("cancels stay pending", Faults { dying: 600, ..none }),
        ("bulk requests are done in part, and orders are not listed", Faults { row: 300, ..none }),
        ("429", Faults { busy: 300, ..none }),
        ("5xx", Faults { broken: 300, ..none }),
        ("positions fail", Faults { blind: 1000, blind_until: CALM_MS, row: 100, dying: 100, ..none }),
        ("no answers", Faults { silent: 300, ..none }),
    ]
}

#[test]
fn every_policy_ends_in_its_word() {
    for (scope, policy) in WAYS {
        for (row, (what, faults)) in table().into_iter().enumerate() {
            println!("{scope:?} {policy:?}: {what}");
            let model = Model::new(row as u64, faults, 12, scope == Scope::Ours);
            World::new(scope, policy, model, 200).check();
        }
    }
}

/// So many working entries, and a stop on each side of them that the policy may keep; nothing is executed.
fn crowded(scope: Scope, policy: Policy, entries: usize, faults: Faults) -> World {
    let mut model = Model::new(1, faults, 0, false);
    model.opens_at = u64::MAX;
    model.positions = BTreeMap::from([("L1".into(), 10), ("S1".into(), -10)]);
    model.put("L1", Kind::Stop, false, 10, None);
    for _ in 0..entries {
        model.put("L2", Kind::Other, true, 1, None);
    }
    model.put("S1", Kind::Stop, true, 10, None);
    World::new(scope, policy, model, 200)
}

/// Runs until only so many orders are open, and says when that was.
fn emptied(world: &mut World, kept: usize, at_most_ms: u64) -> u64 {
    while world.model.working.len() > kept {
        assert!(world.model.ms < at_most_ms, "{} are open", world.model.working.len());
        world.step();
    }
    world.model.ms
}

/// Where orders are cancelled one by one: scope, policy, and how many of a crowd stay.
const SINGLE: [(Scope, Policy, usize); 3] = [
    (Scope::Ours, Policy::Cancel, 0),
    (Scope::Ours, Policy::CancelKeepStops, 2),
    (Scope::Account, Policy::CancelKeepStops, 2),
];

#[test]
fn single_cancels_use_what_the_broker_grants() {
    for (scope, policy, kept) in SINGLE {
        for (entries, seconds) in [(20, 4), (50, 9), (100, 38), (500, 280)] {
            let mut world = crowded(scope, policy, entries, Faults::default());
            let took = emptied(&mut world, kept, seconds * 1000);
            let read = |(_, command): &&(u64, Command)| matches!(command, Command::Read(_));
            let reads: Vec<u64> = world.sent.iter().filter(read).map(|(ms, _)| *ms).collect();
            println!("{scope:?} {policy:?}: {entries} orders took {took} ms and {} reads", reads.len());
            // They are not starved meanwhile.
            let longest = reads.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
            assert!(longest <= 20_000, "{longest} ms without a read");
            world.check();
        }
    }
}

#[test]
fn what_is_listed_is_cancelled_though_the_positions_fail() {
    let blind = Faults { blind: 1000, blind_until: 300_000, ..Faults::default() };
    for (scope, policy, kept) in SINGLE {
        for (entries, seconds) in [(1, 1), (20, 4), (100, 50), (500, 300)] {
            let mut world = crowded(scope, policy, entries, blind);
            let took = emptied(&mut world, kept, seconds * 1000);
            println!("{scope:?} {policy:?}: {entries} orders took {took} ms without the positions");
            // And nothing is called zero before they are read.
            world.run_to(300_000);
            assert_eq!(world.proof.level(), BrokerProof::PendingAtBroker, "{}", world.story());
            world.check();
        }
    }
}

#[test]
fn a_bulk_cancel_that_was_lost_is_repeated_though_the_positions_fail() {
    let blind = Faults { blind: 1000, blind_until: 300_000, ..Faults::default() };
    // Closing orders wait for the market.
    for (policy, kept) in [(Policy::Cancel, 0), (Policy::Flatten, 2)] {
        let mut world = crowded(Scope::Account, policy, 3, blind);
        let one = world.model.working[1].clone();
        world.run_to(2000);
        // It was taken, and the broker lost it.
        world.model.working.push(one);
        assert_eq!(world.model.working.len(), kept + 1, "{}", world.story());
        emptied(&mut world, kept, 17_000);
        assert_eq!(world.proof.level(), BrokerProof::PendingAtBroker, "{}", world.story());
    }
}

#[test]
fn a_watchdog_that_dies_at_any_step_is_followed_by_one_that_ends_it() {
    for (scope, policy) in WAYS {
        let model = || Model::new(7, Faults { late: 50, dying: 200, row: 100, ..Faults::default() }, 8, true);
        let mut whole = World::new(scope, policy, model(), 200);
        whole.run_to(90_000);
        let moments: BTreeSet<u64> = whole.sent.iter().map(|(ms, _)| *ms).take(40).collect();
        // Just sent, on its way, and about to be answered.
        for moment in moments.iter().flat_map(|ms| [ms + 10, ms + 60, ms + 150]) {
            println!("{scope:?} {policy:?}: dies at {moment} ms");
            let mut world = World::new(scope, policy, model(), 200);
            world.run_to(moment);
            world.die();
            world.check();
        }
    }
}

#[test]
fn flatten_waits_for_the_market_and_says_so() {
    let mut model = Model::new(3, Faults::default(), 0, false);
    model.positions = BTreeMap::from([("L1".into(), 10), ("S1".into(), -10)]);
    model.opens_at = 200_000;
    let mut world = World::new(Scope::Account, Policy::Flatten, model, 200);
    world.run_to(199_000);
    let closes = |world: &World| {
        world.sent.iter().filter(|(_, c)| matches!(c, Command::CloseAll | Command::CloseEach(_))).count()
    };
    assert_eq!(closes(&world), 1, "{}", world.story());
    let waits = "open=2 positions=2 reserved=0";
    assert!(world.lines.iter().any(|line| line.contains(waits) && line.contains("it opens at T")));
    assert!(!world.model.is_suspended);
    // A new life finds them at work and leaves them there.
    world.die();
    world.run_to(199_900);
    assert_eq!(closes(&world), 1, "{}", world.story());
    world.check();
}

#[test]
fn a_position_that_comes_after_flat_is_closed_and_the_suspension_put_back() {
    let model = Model::new(3, Faults::default(), 4, false);
    let mut world = World::new(Scope::Account, Policy::Flatten, model, 200);
    world.run_to(150_000);
    assert_eq!(world.proof.level(), BrokerProof::Flat, "{}", world.story());
    world.model.positions.insert("L1".into(), 5);
    world.run_to(170_000);
    assert!(world.sent.iter().any(|(_, command)| *command == Command::Lift), "{}", world.story());
    world.check();
    // With a watchdog of a next life, too.
    world.model.positions.insert("S1".into(), -5);
    world.die();
    world.model.ms = 100_000;
    world.sent.clear();
    world.proof = Proof::new(world.terms, true, at(100_000));
    world.check();
}

#[test]
fn somebody_elses_suspension_is_not_lifted() {
    let mut model = Model::new(3, Faults::default(), 0, false);
    model.positions = BTreeMap::from([("L1".into(), 10)]);
    model.is_suspended = true;
    let mut world = World::new(Scope::Account, Policy::Flatten, model, 200);
    world.run_to(120_000);
    assert!(world.model.is_suspended && world.proof.level() == BrokerProof::PendingAtBroker);
    assert!(!world.sent.iter().any(|(_, command)| *command == Command::Lift), "{}", world.story());
    assert!(world.lines.iter().any(|line| line.contains("somebody else suspended")), "{}", world.story());
    world.model.is_suspended = false;
    world.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whatever the broker does, no word is said that it does not bear out, and in the end it is.
    #[test]
    fn no_word_without_its_truth(
        seed in any::<u64>(),
        way in 0..WAYS.len(),
        orders in 0u64..40,
        odds in proptest::array::uniform6(0u64..200),
        blind in 0u64..=1000,
        deaths in proptest::collection::vec(0u64..80_000, 0..4),
        delay_ms in 1u64..800,
        opens_at in prop_oneof![Just(0u64), 0u64..100_000],
    ) {
        let (scope, policy) = WAYS[way];
        let [silent, busy, broken, row, late, dying] = odds;
        let faults = Faults { silent, busy, broken, row, late, dying, blind, blind_until: CALM_MS };
        let mut model = Model::new(seed, faults, orders, scope == Scope::Ours);
        model.opens_at = opens_at;
        let mut world = World::new(scope, policy, model, delay_ms);
        let mut deaths = deaths;
        deaths.sort_unstable();
        for death in deaths {
            world.run_to(death);
            world.die();
        }
        world.check();
    }
}
