//! A backtest's edge against a host's: the same script, and the same is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use proptest::{prelude::*, test_runner::TestRunner};
use sandpit_broker::{GateError, Permit};
use sandpit_store::{Database, Store};
use sandpit_types::{
    Change, HostEpoch, Intent, MarketClock, MarketTime, OrderClass, OrderKind, Price, Pulse, Replace, Side,
    StrategyName, StrategyOrderId, Submit, TimeInForce, Trail,
};

use super::{
    chance::Chance,
    lives::{bracket, oco, oto, to_limit},
    local::Local,
    world::{Calm, Post, TIME_TO_LIVE, market, qty, spy},
};
use crate::{
    CancelScope, Deed, Desk, DeskConfig, DeskInput, DeskOutput, Instruction, StillDesk, introduction,
};

const START: MarketTime = MarketTime::from_secs(1_000_000);

struct Always;

impl Permit for Always {
    fn check(&self) -> Result<(), GateError> {
        Ok(())
    }
}

/// Time as the script has it.
struct ByScript(AtomicI64);

impl MarketClock for ByScript {
    fn now(&self) -> MarketTime {
        MarketTime::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn real_until(&self, _: MarketTime) -> Duration {
        Duration::MAX
    }
}

/// What a strategy wants; ids count back from the newest.
#[derive(Clone, Debug)]
enum Wish {
    Submit(Side, i64, u8),
    Again(u64),
    Replace(u64, Change),
    Cancel(u64),
    CancelAll,
    Leave,
}

#[derive(Clone, Debug)]
enum Step {
    Wishes(bool, Vec<Wish>),
    NextPosts(Vec<u8>),
    /// How the venue behaves from now on: bits.
    Habits(u8),
    FinishReplace(usize),
    Fill(usize, i64),
    CancelAtVenue(usize),
    Operator(u8, bool),
    Introduce(bool),
    Wait(u64),
}

fn side() -> impl Strategy<Value = Side> {
    any::<bool>().prop_map(|buys| if buys { Side::Buy } else { Side::Sell })
}

fn wish() -> impl Strategy<Value = Wish> {
    let change = prop_oneof![
        (98_i64..102).prop_map(to_limit),
        (1_i64..25).prop_map(|shares| Change { qty: Some(qty(shares)), ..Change::default() }),
    ];
    // Some are more than the gates let pass.
    let shares = prop_oneof![8 => 1_i64..20, 1 => Just(1_000_000)];
    prop_oneof![
        10 => (side(), shares, 0_u8..8).prop_map(|(side, shares, shape)| Wish::Submit(side, shares, shape)),
        1 => (0_u64..6).prop_map(Wish::Again),
        4 => (0_u64..6, change).prop_map(|(back, change)| Wish::Replace(back, change)),
        3 => (0_u64..8).prop_map(Wish::Cancel),
        1 => Just(Wish::CancelAll),
        1 => Just(Wish::Leave),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (any::<bool>(), prop::collection::vec(wish(), 1..6))
            .prop_map(|(who, all)| Step::Wishes(who, all)),
        1 => (any::<bool>(), prop::collection::vec(wish(), 30..50))
            .prop_map(|(who, all)| Step::Wishes(who, all)),
        3 => prop::collection::vec(0_u8..7, 1..4).prop_map(Step::NextPosts),
        1 => (0_u8..32).prop_map(Step::Habits),
        2 => any::<usize>().prop_map(Step::FinishReplace),
        10 => (any::<usize>(), 1_i64..15).prop_map(|(which, shares)| Step::Fill(which, shares)),
        2 => any::<usize>().prop_map(Step::CancelAtVenue),
        1 => (0_u8..6, any::<bool>()).prop_map(|(deed, who)| Step::Operator(deed, who)),
        1 => any::<bool>().prop_map(Step::Introduce),
        6 => (1_u64..90).prop_map(Step::Wait),
    ]
}

fn who(first: bool) -> StrategyName {
    StrategyName::parse(if first { "sma" } else { "other" }).expect("a name")
}

/// A kind and a class that fit the side.
fn shape(side: Side, which: u8) -> (OrderKind, OrderClass) {
    let at = |usd: i64| Price::new(usd.into());
    let limit = |limit_price| OrderKind::Limit { limit_price };
    match (which, side) {
        (0 | 1, Side::Buy) => (limit(at(100)), bracket()),
        (2, Side::Buy) => (limit(at(100)), oto()),
        (2, Side::Sell) => (limit(at(104)), oco()),
        (3, _) => (OrderKind::TrailingStop { trail: Trail::Price(at(1)) }, OrderClass::Simple),
        (4 | 5, _) => (limit(at(100)), OrderClass::Simple),
        (_, Side::Buy | Side::Sell) => (OrderKind::Market, OrderClass::Simple),
    }
}

/// Says the steps as inputs, and does at a venue what they say of it.
struct Script {
    now: MarketTime,
    newest: u64,
}

impl Script {
    fn intent(&mut self, wish: &Wish) -> Intent {
        let back = |newest: u64, back: u64| StrategyOrderId(newest.saturating_sub(back));
        match wish {
            Wish::Submit(side, shares, which) => {
                self.newest += 1;
                let (kind, class) = shape(*side, *which);
                let rests = kind != OrderKind::Market || class != OrderClass::Simple;
                let time_in_force = if rests { TimeInForce::Gtc } else { TimeInForce::Day };
                let submit = market(self.newest, *side, *shares);
                Intent::Submit(Submit { kind, class, time_in_force, ..submit })
            }
            Wish::Again(old) => Intent::Submit(market(back(self.newest, *old).0, Side::Buy, 1)),
            Wish::Replace(old, change) => {
                let id = back(self.newest, *old);
                self.newest += 1;
                let new_id = StrategyOrderId(self.newest);
                Intent::Replace(Replace { id, new_id, change: *change, time_to_live: TIME_TO_LIVE })
            }
            Wish::Cancel(old) => Intent::Cancel(back(self.newest, *old)),
            Wish::CancelAll => Intent::CancelAll,
            Wish::Leave => {
                self.newest += 1;
                Intent::ClosePosition { id: StrategyOrderId(self.newest), symbol: spy() }
            }
        }
    }

    /// What the step says to the desk.
    fn input(&mut self, step: &Step) -> Option<DeskInput> {
        match step {
            Step::Wishes(first, wishes) => {
                let intents = wishes.iter().map(|wish| self.intent(wish)).collect();
                Some(DeskInput::Intents { strategy: who(*first), incarnation: 0, intents })
            }
            Step::Operator(deed, first) => {
                let deed = match deed {
                    0 => Deed::Freeze,
                    1 => Deed::Unfreeze,
                    2 => Deed::Pause(who(*first)),
                    3 => Deed::Resume(who(*first)),
                    4 => Deed::Cancel(CancelScope::Strategy(who(*first))),
                    _ => Deed::Cancel(CancelScope::All),
                };
                let (operator, reason) = ("ann".to_owned(), "why not".to_owned());
                Some(DeskInput::Instruction(Instruction { ticket: 1, operator, reason, deed }))
            }
            Step::Introduce(first) => Some(DeskInput::Introduce(who(*first))),
            Step::Wait(span) => {
                self.now = self.now + Duration::from_secs(*span);
                None
            }
            Step::NextPosts(_)
            | Step::Habits(_)
            | Step::FinishReplace(_)
            | Step::Fill(..)
            | Step::CancelAtVenue(_) => None,
        }
    }

    /// What the step says to a venue.
    fn at_venue(&self, step: &Step, local: &Local) {
        let inner = &mut *local.lock();
        let venue = &mut inner.venue;
        venue.arrive(self.now);
        let open = venue.open();
        let one = |which: usize| (!open.is_empty()).then(|| open[which % open.len()]);
        match step {
            Step::NextPosts(posts) => inner.posts.extend(posts.iter().map(|which| match which {
                0 => Post::AnswerLost,
                1 => Post::Lost,
                2 => Post::NoLease,
                3 => Post::Rejected,
                4 => Post::RejectedButThere,
                _ => Post::Works,
            })),
            Step::Habits(bits) => {
                venue.replaces_slowly = bits & 1 != 0;
                venue.hides_ends_of_legs = bits & 2 != 0;
                venue.hides_legs = bits & 4 != 0;
                venue.queues = bits & 8 != 0;
                inner.fills_at_once = bits & 16 != 0;
            }
            Step::FinishReplace(which) => {
                if !venue.orders.is_empty() {
                    venue.finish_replace(which % venue.orders.len());
                }
            }
            Step::Fill(which, shares) => {
                if let Some(index) = one(*which) {
                    venue.route(index);
                    venue.fill(index, *shares);
                }
            }
            Step::CancelAtVenue(which) => {
                one(*which).map(|index| venue.cancel(index));
            }
            Step::Wishes(..) | Step::Operator(..) | Step::Introduce(_) | Step::Wait(_) => {}
        }
    }
}

/// What came of a run: what was told at each step, what each strategy knows in the end, and the books.
#[derive(Debug, PartialEq)]
struct Told {
    steps: Vec<Vec<DeskOutput>>,
    known: Vec<DeskOutput>,
    books: String,
}

/// What is told to strategies, and to whoever gave an instruction.
fn to_strategies(mut told: Vec<DeskOutput>) -> Vec<DeskOutput> {
    told.retain(|output| match output {
        DeskOutput::Order { .. }
        | DeskOutput::Fill { .. }
        | DeskOutput::Refused { .. }
        | DeskOutput::SubBook { .. }
        | DeskOutput::Introduction { .. }
        | DeskOutput::Answer { .. } => true,
        DeskOutput::Account(_) | DeskOutput::StreamSuspect { .. } | DeskOutput::Alert(_) => false,
    });
    told
}

fn ends(steps: Vec<Vec<DeskOutput>>, books: &super::Books) -> Told {
    let known = [true, false].map(|first| introduction(books, &who(first))).to_vec();
    Told { steps: steps.into_iter().map(to_strategies).collect(), known, books: format!("{books:#?}") }
}

fn still(config: DeskConfig, steps: &[Step]) -> Told {
    let local = Local::default();
    let mut script = Script { now: START, newest: 0 };
    let mut desk = StillDesk::new(config, Arc::new(local.clone()), Calm::default(), Arc::new(Always), 1);
    local.lock().venue.arrive(START);
    desk.open(START).expect("opens");
    desk.machine_mut().chance = Chance(7);
    let mut all = Vec::new();
    for step in steps {
        let input = script.input(step);
        script.at_venue(step, &local);
        if let Some(input) = input {
            desk.input(input, script.now);
        }
        let mut told = Vec::new();
        desk.turn(script.now, &mut told);
        all.push(told);
    }
    ends(all, desk.books())
}

async fn hosted(config: DeskConfig, steps: &[Step]) -> Told {
    let local = Local::default();
    let mut script = Script { now: START, newest: 0 };
    let place = tempfile::tempdir().expect("a directory");
    let database = Database::Sqlite(place.path().join("host.db"));
    let store = Store::open(&database, Arc::new(Pulse::default())).await.expect("opens");
    let clock = Arc::new(ByScript(AtomicI64::new(START.as_nanos())));
    let (broker, permit, pulse) = (Arc::new(local.clone()), Arc::new(Always), Arc::new(Pulse::default()));
    local.lock().venue.arrive(START);
    let mut desk = Desk::new(config, broker, store, Calm::default(), permit, clock.clone(), pulse, 1);
    desk.reconcile().await.expect("reconciles");
    desk.hand(DeskInput::OrderStreamUp);
    desk.rest(|| local.heard(), &mut Vec::new()).await;
    desk.machine_mut().chance = Chance(7);
    let mut all = Vec::new();
    for step in steps {
        let input = script.input(step);
        script.at_venue(step, &local);
        clock.0.store(script.now.as_nanos(), Ordering::SeqCst);
        if let Some(input) = input {
            desk.hand(input);
        }
        let mut told = Vec::new();
        desk.rest(|| local.heard(), &mut told).await;
        all.push(told);
    }
    ends(all, desk.books())
}

/// Cases of a run that asks for no other number (`PROPTEST_CASES`).
const CASES: u32 = 24;

#[test]
fn a_backtest_tells_strategies_what_a_host_tells() {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = asked.unwrap_or(CASES);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = ProptestConfig { cases, ..ProptestConfig::with_source_file(file!()) };
    let mut runner = TestRunner::new(config);
    let script = (any::<bool>(), prop::collection::vec(step(), 1..60));
    let result = runner.run(&script, |(far, steps)| {
        let epoch = HostEpoch(1);
        let config = if far { DeskConfig::still(epoch) } else { DeskConfig::new(epoch) };
        let hosted = runtime.block_on(hosted(config.clone(), &steps));
        let still = still(config, &steps);
        for (number, step) in steps.iter().enumerate() {
            prop_assert_eq!(&hosted.steps[number], &still.steps[number], "step {}, {:?}", number, step);
        }
        prop_assert_eq!(&hosted.known, &still.known);
        prop_assert_eq!(&hosted.books, &still.books);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// How much is remembered beside the books, in words.
fn remembered(desk: &mut StillDesk<Local, Calm>) -> usize {
    let machine = desk.machine_mut();
    let beside = (&machine.hearing, &machine.errands, &machine.quality, &machine.sends, &machine.recalls);
    let more = (&machine.rows, &machine.fetching, &machine.disputes, &machine.foreign);
    let legs = (&machine.lacking_legs, &machine.unshown);
    format!("{beside:?} {more:?} {legs:?}").len()
}

#[test]
fn what_is_over_is_forgotten_and_nobody_becomes_a_stranger() {
    let local = Local::default();
    let mut config = DeskConfig::still(HostEpoch(1));
    // Far longer than the books remember, so that rows tell of orders that are forgotten.
    config.activities_every = Duration::from_secs(7_200);
    let mut desk = StillDesk::new(config, Arc::new(local.clone()), Calm::default(), Arc::new(Always), 1);
    let mut now = START;
    desk.open(now).expect("opens");
    (local.lock().fills_at_once, local.lock().lists_fills) = (true, true);
    let (mut sizes, mut first) = (Vec::new(), None);
    for id in 1..=600 {
        now = now + Duration::from_secs(60);
        local.lock().venue.arrive(now);
        let intents = vec![Intent::Submit(market(id, Side::Buy, 5))];
        desk.input(DeskInput::Intents { strategy: who(true), incarnation: 0, intents }, now);
        let mut told = Vec::new();
        desk.turn(now, &mut told);
        let fill = told.iter().find_map(|output| match output {
            DeskOutput::Fill { fill, .. } => Some(fill.client_id.clone()),
            _ => None,
        });
        let fill = fill.expect("it is told of in the same turn");
        assert!(desk.books().order(&fill).is_some(), "{id}");
        first.get_or_insert(fill);
        if id % 200 == 0 {
            sizes.push(remembered(&mut desk));
        }
    }
    assert!(desk.books().order(&first.expect("there was one")).is_none());
    assert!(sizes[2] < sizes[0] + 200, "{sizes:?}");
    let counts = desk.stats().read();
    let odd = (counts.foreign, counts.adopted, counts.unknown, counts.differences, counts.alerts);
    assert_eq!((counts.fills, odd), (600, (0, 0, 0, 0, 0)));
    assert!(desk.deadline().is_some_and(|at| at > now && at <= now + Duration::from_secs(60)));
}
