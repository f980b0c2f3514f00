//! Everything goes wrong at random, crashes included, and the books still end equal to the broker's.

use proptest::{prelude::*, test_runner::TestCaseError};
use sandpit_store::OrderRow;
use sandpit_types::{
    Change, Intent, MarketTime, OrderClass, OrderKind, OrderStatus, Price, Qty, Side, StrategyOrderId, Trail,
};

use super::{
    lives::{bracket, oco, oto, to_limit},
    world::{Post, World, name, qty, secs, spy},
};
use crate::{CancelScope, Deed, DeskInput, DeskOutput, Instruction};

/// One step of the storm.
#[derive(Clone, Debug)]
enum Step {
    Submit(Side, i64, u8),
    Replace(u64, Change),
    /// A replacement that is under way comes to its end.
    FinishReplace(usize),
    /// How the broker behaves from now on: bits.
    Habits(u8),
    Cancel(u64),
    CancelByHand(usize),
    NextPost(u8),
    /// Carries out one action that is under way; others overtake it.
    CarryOut(usize),
    Fill(usize, i64),
    CancelAtBroker(usize),
    /// Somebody replaces an order at the broker's own site.
    ReplaceAtBroker(usize, Change),
    /// One message of the stream is heard, out of order; it may be heard again.
    Hear(usize, bool),
    Forget(usize),
    Wait(u64),
    Disk(bool),
    Network(bool),
    StreamUp,
    StreamDown,
    Crash,
    /// The machine dies, and its disk has not the last commits.
    LosingCrash(usize),
    ClosePosition,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (any::<bool>(), 1_i64..20, 0_u8..8).prop_map(|(buys, shares, shape)| {
            Step::Submit(if buys { Side::Buy } else { Side::Sell }, shares, shape)
        }),
        3 => (0_u64..6, change()).prop_map(|(back, change)| Step::Replace(back, change)),
        2 => any::<usize>().prop_map(Step::FinishReplace),
        1 => (0_u8..32).prop_map(Step::Habits),
        1 => any::<usize>().prop_map(Step::CancelByHand),
        2 => (0_u64..20).prop_map(Step::Cancel),
        3 => (0_u8..7).prop_map(Step::NextPost),
        20 => any::<usize>().prop_map(Step::CarryOut),
        4 => (any::<usize>(), 1_i64..15).prop_map(|(index, shares)| Step::Fill(index, shares)),
        1 => any::<usize>().prop_map(Step::CancelAtBroker),
        2 => (any::<usize>(), change()).prop_map(|(which, change)| Step::ReplaceAtBroker(which, change)),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(index, again)| Step::Hear(index, again)),
        1 => any::<usize>().prop_map(Step::Forget),
        4 => (1_u64..40).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Disk),
        1 => any::<bool>().prop_map(Step::Network),
        1 => Just(Step::StreamUp),
        1 => Just(Step::StreamDown),
        1 => Just(Step::Crash),
        1 => (1_usize..8).prop_map(Step::LosingCrash),
        1 => Just(Step::ClosePosition),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (98_i64..102).prop_map(to_limit),
        (1_i64..25).prop_map(|shares| Change { qty: Some(qty(shares)), ..Change::default() }),
    ]
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

fn act(world: &mut World, step: &Step, next_id: &mut u64) {
    match step {
        Step::Submit(side, shares, which) => {
            *next_id += 1;
            let (kind, class) = shape(*side, *which);
            world.submit_as(*next_id, *side, *shares, kind, class);
        }
        Step::Replace(back, change) => {
            *next_id += 1;
            world.replace(next_id.saturating_sub(*back + 1), *next_id, *change);
        }
        Step::FinishReplace(which) => {
            let count = world.venue.orders.len();
            if count > 0 {
                world.venue.finish_replace(which % count);
            }
        }
        Step::Habits(bits) => {
            world.venue.replaces_slowly = bits & 1 != 0;
            world.venue.hides_ends_of_legs = bits & 2 != 0;
            world.venue.hides_legs = bits & 4 != 0;
            world.venue.lists_no_held = bits & 8 != 0;
            world.venue.renames = bits & 16 != 0;
        }
        Step::CancelByHand(which) => {
            let ids: Vec<_> = world.disk.orders.keys().cloned().collect();
            if !ids.is_empty() {
                let client_id = ids[which % ids.len()].clone();
                let (operator, reason) = ("ann".to_owned(), "why not".to_owned());
                let deed = Deed::Cancel(CancelScope::Order(client_id));
                let wish = Instruction { ticket: 1, operator, reason, deed };
                world.machine.input(DeskInput::Instruction(wish), world.now);
            }
        }
        Step::Cancel(back) => world.cancel(next_id.saturating_sub(*back)),
        Step::NextPost(which) => {
            world.next_post = match which {
                0 => Post::AnswerLost,
                1 => Post::Lost,
                2 => Post::Late(secs(30)),
                3 => Post::NoLease,
                4 => Post::Rejected,
                5 => Post::RejectedButThere,
                _ => Post::Works,
            };
        }
        Step::CarryOut(which) => {
            let new = world.turn();
            world.under_way.extend(new);
            if !world.under_way.is_empty() {
                let action = world.under_way.remove(which % world.under_way.len());
                world.run(vec![action]);
            }
        }
        Step::Fill(which, shares) => {
            let open = world.venue.open();
            if !open.is_empty() {
                world.venue.fill(open[which % open.len()], *shares);
            }
        }
        Step::CancelAtBroker(which) => {
            let open = world.venue.open();
            if !open.is_empty() {
                world.venue.cancel(open[which % open.len()]);
            }
        }
        Step::ReplaceAtBroker(which, change) => {
            let open = world.venue.open();
            if !open.is_empty() {
                world.venue.replace_by_hand(open[which % open.len()], *change);
            }
        }
        Step::Hear(which, again) => hear(world, *which, *again),
        Step::Forget(which) => {
            let heard = which % world.venue.stream.len().max(1);
            world.venue.stream.remove(heard);
        }
        Step::Wait(span) => {
            world.now = world.now + secs(*span);
            world.venue.arrive(world.now);
        }
        Step::Disk(works) => world.disk_works = *works,
        Step::Network(works) => world.network_works = *works,
        Step::StreamUp => world.machine.input(DeskInput::OrderStreamUp, world.now),
        Step::StreamDown => world.machine.input(DeskInput::OrderStreamDown, world.now),
        Step::Crash => crash(world, 0),
        Step::LosingCrash(commits) => crash(world, *commits),
        Step::ClosePosition => {
            *next_id += 1;
            world.intent(Intent::ClosePosition { id: StrategyOrderId(*next_id), symbol: spy() });
        }
    }
}

fn crash(world: &mut World, lost_commits: usize) {
    // The next host finds disk and network working, or it would not start.
    (world.disk_works, world.network_works) = (true, true);
    world.next_post = Post::Works;
    if lost_commits > 0 {
        world.disk.lose(lost_commits);
        // A machine takes a while to start again: what was on its way has arrived, or never will.
        world.now = world.now + secs(30);
        world.venue.arrive(world.now);
        // What is read back from the broker is told to a strategy that has lost its own memory, too.
        world.told.clear();
    }
    world.crash();
}

fn hear(world: &mut World, which: usize, again: bool) {
    if world.venue.stream.is_empty() {
        return;
    }
    let which = which % world.venue.stream.len();
    let update = world.venue.stream[which].clone();
    if !again {
        world.venue.stream.remove(which);
    }
    world.machine.input(DeskInput::Update(update), world.now);
}

/// Faults end, the market closes, and the desk gets the time to find out.
fn settle(world: &mut World) {
    (world.disk_works, world.network_works, world.next_post) = (true, true, Post::Works);
    // A symbol that is being left may be left until then: no exit comes after the close.
    world.calm_for(secs(160));
    for index in 0..world.venue.orders.len() {
        world.venue.finish_replace(index);
    }
    for index in world.venue.open() {
        world.venue.cancel(index);
    }
    world.machine.input(DeskInput::OrderStreamUp, world.now);
    world.calm_for(secs(300));
}

/// Cases of a run that asks for no other number (`PROPTEST_CASES`).
const CASES: u32 = 10_000;

fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(CASES), ..ProptestConfig::default() }
}

/// Requests that the broker allows, per minute of what has passed since `from`, and a burst more.
fn keep_within_budget(world: &World, from: MarketTime) -> Result<(), TestCaseError> {
    const A_MINUTE: u64 = 160;
    let minutes = world.now.since(from).as_secs() / 60 + 1;
    let asked = u64::from(world.look_ups);
    prop_assert!(asked < A_MINUTE * minutes, "{asked} look-ups in {minutes} minutes");
    Ok(())
}

/// The books, the disk and the broker say the same, and nothing is open. What the disk lost may be gone at
/// the broker before anybody has seen it there.
fn agree(world: &World, may_miss: bool) -> Result<(), TestCaseError> {
    prop_assert_eq!(world.machine.unresolved(), 0);
    prop_assert_eq!(world.machine.books.open_count(), 0, "open in the books, over at the broker");
    prop_assert_eq!(world.machine.books.position(&spy()), world.venue.position());
    prop_assert_eq!(world.machine.books.disputed(&spy()), None);
    prop_assert_eq!(world.machine.books.frozen(), None, "money that nothing explains");
    let stored = world.disk.sub_books.get(&(name(), spy())).map_or(Qty::ZERO, |row| row.qty);
    prop_assert_eq!(stored, world.venue.position(), "the disk is behind");
    let mut told = std::collections::BTreeMap::<_, Qty>::new();
    for output in &world.told {
        if let DeskOutput::Fill { fill, .. } = output {
            *told.entry(fill.client_id.clone()).or_default() += fill.qty;
        }
    }
    for (index, order) in world.venue.orders.iter().enumerate() {
        let is_it = |row: &&OrderRow| row.broker_id.as_ref() == Some(&order.shown.id);
        let own = world.venue.own(index);
        let Some(row) = world.disk.orders.values().find(is_it) else {
            // Nobody has heard of it while it was there, or it has not taken the place that it was to take.
            let came = order.shown.ours().is_some() || order.shown.status != OrderStatus::Rejected;
            prop_assert!((may_miss || !came) && own.is_zero(), "no row of {}", order.shown.client_id);
            continue;
        };
        prop_assert_eq!(row.filled_qty, own, "{}", row.request.client_id);
        let told = told.get(&row.request.client_id).copied().unwrap_or_default();
        prop_assert!(told <= own, "a fill was told twice");
    }
    for row in world.disk.orders.values() {
        prop_assert!(!row.is_open, "{} is open for ever", row.request.client_id);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn nothing_is_lost_and_nothing_is_doubled(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        let (mut next_id, from) = (0, world.now);
        for step in &steps {
            act(&mut world, step, &mut next_id);
        }
        settle(&mut world);
        agree(&world, steps.iter().any(|step| matches!(step, Step::LosingCrash(_))))?;
        keep_within_budget(&world, from)?;
    }
}
