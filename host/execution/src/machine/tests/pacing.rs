//! Bursts wait in the plan, and symbols are left.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sandpit_types::{Intent, OrderKind, OrderStatus, Price, Reprice, Side, StrategyOrderId, Submit};

use super::{
    told,
    world::{Post, World, market, name, qty, secs, spy},
};
use crate::{DeskInput, DeskOutput, machine::Action};

/// As many POSTs of entries, and again of exits, may be under way.
const PLACES: usize = 16;

fn buy(id: u64, shares: i64, limit: i64) -> Submit {
    Submit {
        kind: OrderKind::Limit { limit_price: Price::new(limit.into()) },
        ..super::world::market(id, Side::Buy, shares)
    }
}

fn batch(world: &mut World, intents: Vec<Intent>) {
    let (strategy, incarnation) = (name(), world.incarnation);
    world.machine.input(DeskInput::Intents { strategy, incarnation, intents }, world.now);
}

/// Carries out commits until only POSTs are left; gives back the ids that are under way, in order.
fn posts(world: &mut World) -> Vec<u64> {
    for _ in 0..1_000 {
        let actions = world.turn();
        if actions.is_empty() {
            break;
        }
        let (posts, others): (Vec<Action>, _) =
            actions.into_iter().partition(|action| matches!(action, Action::Submit { .. }));
        world.under_way.extend(posts);
        world.run(others);
    }
    world.under_way.iter().filter_map(|action| posted(world, action)).collect()
}

fn posted(world: &World, action: &Action) -> Option<u64> {
    let Action::Submit { request, .. } = action else { return None };
    world.machine.books.order(&request.client_id)?.strategy_id.map(|id| id.0)
}

#[test]
fn a_burst_leaves_exits_first_and_then_by_size() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 100);
    world.calm();
    world.venue.fill(0, 100);
    world.hear_all();
    world.calm();
    let mut burst: Vec<Intent> = (0..40).map(|n| Intent::Submit(buy(100 + n, 1 + n as i64, 100))).collect();
    burst.push(Intent::Submit(super::world::market(50, Side::Sell, 60)));
    batch(&mut world, burst);
    let first = posts(&mut world);
    let largest: Vec<u64> = (0..PLACES as u64).map(|n| 139 - n).collect();
    assert_eq!(first, [vec![50], largest].concat());
    assert_eq!(world.machine.stats.read().planned, 40 - PLACES as u64);
    // A place becomes free: the next largest.
    let done = world.under_way.remove(1);
    world.run(vec![done]);
    assert_eq!(posts(&mut world).last(), Some(&123));
    assert_eq!(world.disk.orders.len(), 1 + 1 + PLACES + 1, "what waits is no order");
    world.calm();
    assert_eq!(world.venue.posts.len(), 42);
    assert_eq!(world.machine.stats.read().planned, 0);
}

#[test]
fn what_the_gates_have_left_is_for_exits_first() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 100);
    world.calm();
    world.venue.fill(0, 100);
    world.hear_all();
    world.calm();
    let places = PLACES as u64;
    let entries = (0..=places).map(|n| Intent::Submit(buy(100 + n, 1, 100)));
    let exits = (0..=places).map(|n| Intent::Submit(market(200 + n, Side::Sell, 1)));
    batch(&mut world, entries.chain(exits).collect());
    assert_eq!(posts(&mut world).len(), 2 * PLACES, "one of each waits");
    world.machine.review.left = Some(1);
    world.told.clear();
    let ended = [world.under_way.remove(0), world.under_way.pop().expect("the last")];
    world.run(ended.into());
    assert_eq!(posts(&mut world).last(), Some(&(200 + places)));
    assert!(told(&world).contains(&"order-rate".to_owned()), "the entry");
}

#[test]
fn one_order_with_nothing_waiting_is_recorded_at_once() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    assert_eq!(world.machine.books.open_count(), 1);
}

#[test]
fn what_waits_can_be_cancelled_and_its_id_is_taken() {
    let mut world = World::new();
    batch(&mut world, (0..20).map(|n| Intent::Submit(buy(n, 1, 100))).collect());
    assert_eq!(posts(&mut world).len(), PLACES);
    world.told.clear();
    world.cancel(18);
    batch(
        &mut world,
        vec![
            Intent::Submit(buy(19, 5, 100)),
            Intent::Submit(buy(30, 5, 100)),
            Intent::Cancel(StrategyOrderId(30)),
        ],
    );
    posts(&mut world);
    assert_eq!(told(&world), ["Canceled", "duplicate-id", "Canceled"]);
    world.calm();
    assert_eq!(world.venue.posts.len(), 19);
    world.told.clear();
    world.submit(19, Side::Buy, 1);
    world.calm();
    assert_eq!(told(&world), ["duplicate-id"]);
}

#[test]
fn what_waits_too_long_is_late_and_what_follows_the_market_is_priced_anew() {
    let mut world = World::new();
    let worst = Price::new(102.into());
    let follows = Submit { reprice: Some(Reprice { worst }), ..buy(1, 1, 99) };
    let mut burst: Vec<Intent> = (10..10 + PLACES as u64).map(|n| Intent::Submit(buy(n, 9, 100))).collect();
    burst.extend([
        Intent::Submit(follows.clone()),
        Intent::Submit(Submit { id: StrategyOrderId(2), time_to_live: secs(3), ..follows }),
    ]);
    batch(&mut world, burst);
    assert_eq!(posts(&mut world).len(), PLACES);
    world.told.clear();
    world.now = world.now + secs(4);
    posts(&mut world);
    assert_eq!(told(&world), ["late"]);
    world.calm();
    let mut orders = world.disk.orders.values();
    let last = orders.find(|row| row.strategy_id == Some(StrategyOrderId(1))).expect("it left");
    assert_eq!(last.request.kind.limit_price(), Some("100.01".parse().expect("a price")));
}

#[test]
fn a_drain_a_freeze_and_a_removal_drop_what_waits() {
    let burst = |world: &mut World| {
        batch(world, (0..20).map(|n| Intent::Submit(buy(n, 1, 100))).collect());
        assert_eq!(posts(world).len(), PLACES);
        world.told.clear();
    };
    let mut world = World::new();
    burst(&mut world);
    world.machine.input(DeskInput::Drain, world.now);
    posts(&mut world);
    assert_eq!(told(&world), ["frozen"; 4]);

    let mut world = World::new();
    burst(&mut world);
    world.machine.books.set_frozen(Some("cash differs".into()));
    posts(&mut world);
    assert_eq!(told(&world), ["frozen"; 4]);

    // Exits go on through a freeze.
    let mut world = World::new();
    world.submit(100, Side::Buy, 20);
    world.calm();
    world.venue.fill(0, 20);
    world.hear_all();
    world.calm();
    batch(&mut world, (0..20).map(|id| Intent::Submit(market(id, Side::Sell, 1))).collect());
    assert_eq!(posts(&mut world).len(), PLACES);
    world.machine.books.set_frozen(Some("cash differs".into()));
    world.calm();
    assert_eq!(world.venue.posts.len(), 1 + 20);

    let mut world = World::new();
    burst(&mut world);
    world.machine.input(DeskInput::CancelStrategy(name()), world.now);
    posts(&mut world);
    assert_eq!(told(&world).iter().filter(|word| *word == "Canceled").count(), 4);
}

#[test]
fn of_a_strategy_that_keeps_its_orders_only_what_waits_is_withdrawn() {
    let mut world = World::new();
    batch(&mut world, (0..20).map(|n| Intent::Submit(buy(n, 1, 100))).collect());
    assert_eq!(posts(&mut world).len(), PLACES);
    world.told.clear();
    world.machine.input(DeskInput::WithdrawPlanned(name()), world.now);
    while let Some(post) = world.under_way.pop() {
        world.run(vec![post]);
        world.calm();
    }
    assert_eq!(told(&world).iter().filter(|word| *word == "Canceled").count(), 4);
    assert_eq!((world.venue.posts.len(), world.machine.books.open_count()), (PLACES, PLACES));
    assert_eq!(world.machine.stats.read().planned, 0);
}

#[test]
fn a_new_life_takes_over_what_waits() {
    let mut world = World::new();
    batch(&mut world, (0..40).map(|n| Intent::Submit(buy(n, 1, 100))).collect());
    assert_eq!(posts(&mut world).len(), PLACES);
    world.told.clear();
    world.incarnation += 1;
    // The twin of one that waits, one of its own, and one that it does not want any more.
    let own = [Intent::Submit(buy(39, 1, 100)), Intent::Submit(buy(50, 1, 100))];
    batch(&mut world, own.into_iter().chain([Intent::Cancel(StrategyOrderId(38))]).collect());
    world.calm();
    assert_eq!(told(&world)[..2], ["duplicate-id", "Canceled"]);
    while let Some(post) = world.under_way.pop() {
        world.run(vec![post]);
        world.calm();
    }
    assert_eq!(world.venue.posts.len(), 40, "39 of the first life, one of the second");
    // They are the second life's orders now: it is told of them, and their ids are taken.
    world.told.clear();
    world.submit(37, Side::Buy, 1);
    world.cancel(37);
    world.calm();
    world.hear_all();
    world.calm();
    let told = told(&world);
    assert_eq!(told[0], "duplicate-id");
    assert!(told.contains(&"Canceled".to_owned()), "{told:?}");
    assert_eq!(world.venue.posts.len(), 40);
}

#[test]
fn exits_that_the_gates_take_for_entries_do_not_leave_all_at_once() {
    let mut world = World::new();
    world.submit(1, Side::Sell, 100);
    world.calm();
    world.venue.fill(0, 100);
    world.hear_all();
    world.calm();
    // By the books they buy back; the gates of this world see shares held.
    batch(&mut world, (2..42).map(|id| Intent::Submit(market(id, Side::Buy, 1))).collect());
    let mut under_way = 0;
    for _ in 0..20 {
        for action in world.turn() {
            match action {
                Action::Submit { .. } => under_way += 1,
                other => world.run(vec![other]),
            }
        }
    }
    assert_eq!((under_way, world.machine.books.open_count()), (PLACES, PLACES));
}

#[test]
fn a_symbol_is_left_once_the_broker_has_ended_what_was_open() {
    let leave = |id| Intent::ClosePosition { id: StrategyOrderId(id), symbol: spy() };
    let mut world = World::new();
    batch(&mut world, vec![leave(1)]);
    world.calm();
    assert_eq!(told(&world), ["no-position"]);

    world.submit(2, Side::Buy, 10);
    world.submit(3, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm();
    world.lost_cancels = 1;
    batch(&mut world, vec![leave(4), leave(5), leave(4)]);
    world.calm();
    assert_eq!(world.venue.posts.len(), 2, "not before the other order is over");
    // It fills in part while it is being cancelled.
    world.venue.fill(1, 4);
    world.hear_all();
    world.calm_for(secs(10));
    world.hear_all();
    world.calm();
    assert_eq!(world.venue.posts.len(), 3);
    let exit = &world.venue.orders[2].shown;
    assert_eq!((exit.side, exit.qty), (Side::Sell, Some(qty(14))));
    world.venue.fill(2, 14);
    world.hear_all();
    world.calm();
    assert!(world.machine.books.position(&spy()).is_zero());
    let refused: Vec<String> = told(&world).into_iter().filter(|word| word.contains('-')).collect();
    assert_eq!(refused, ["no-position", "duplicate-id", "duplicate-id"]);
}

#[test]
fn leaving_takes_back_what_waits_goes_on_in_a_drain_and_ends_in_a_stop() {
    for stops in [false, true] {
        leave_while_the_host_ends(stops);
    }
}

fn leave_while_the_host_ends(stops: bool) {
    let mut world = World::new();
    world.submit(60, Side::Buy, 7);
    world.calm();
    world.venue.fill(0, 7);
    world.hear_all();
    world.calm();
    world.lost_cancels = 16;
    batch(&mut world, (0..20).map(|id| Intent::Submit(buy(id, 1, 100))).collect());
    posts(&mut world);
    world.told.clear();
    batch(&mut world, vec![Intent::ClosePosition { id: StrategyOrderId(50), symbol: spy() }]);
    posts(&mut world);
    assert_eq!(told(&world).iter().filter(|word| *word == "Canceled").count(), 4);
    world.told.clear();
    world.machine.input(if stops { DeskInput::Stop } else { DeskInput::Drain }, world.now);
    posts(&mut world);
    if stops {
        assert_eq!(told(&world), ["frozen"]);
        return;
    }
    world.intent(Intent::ClosePosition { id: StrategyOrderId(51), symbol: spy() });
    batch(&mut world, vec![Intent::Submit(buy(52, 1, 100))]);
    posts(&mut world);
    assert_eq!(told(&world), ["frozen", "frozen"], "nothing new begins");
    assert!(!world.machine.is_drained());
    // What was on its way is placed, and cancelled at the second attempt.
    world.calm_for(secs(60));
    let exit = world.venue.orders.last().map(|order| (order.shown.side, order.shown.qty));
    assert_eq!(exit, Some((Side::Sell, Some(qty(7)))));
    assert!(world.machine.is_drained());
}

#[test]
fn nothing_new_comes_into_a_symbol_that_is_being_left() {
    let mut world = World::new();
    let leave = Intent::ClosePosition { id: StrategyOrderId(3), symbol: spy() };
    for id in [1, 2] {
        world.submit(id, Side::Buy, 10);
    }
    world.calm();
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm();
    world.told.clear();
    world.lost_cancels = 1;
    batch(&mut world, vec![leave, Intent::Submit(market(4, Side::Buy, 5))]);
    world.calm();
    world.now = world.now + secs(1);
    batch(&mut world, vec![Intent::Submit(buy(5, 5, 99))]);
    let mut other = buy(6, 5, 99);
    other.symbol = sandpit_types::Symbol::new("QQQ");
    batch(&mut world, vec![Intent::Submit(other)]);
    world.calm();
    let refused: Vec<String> = told(&world).into_iter().filter(|word| word == "closing").collect();
    assert_eq!((refused.len(), world.venue.posts.len()), (2, 3), "another symbol is open to orders");
    world.calm_for(secs(10));
    world.hear_all();
    world.calm();
    assert_eq!(world.venue.posts.len(), 4, "the exit");
    // It is on its way: what comes now is a new position.
    batch(&mut world, vec![Intent::Submit(market(7, Side::Buy, 5))]);
    world.calm();
    assert_eq!(world.venue.posts.len(), 5);
}

#[test]
fn leaving_gives_up_when_a_cancel_hangs_or_is_not_wanted_any_more() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.lost_cancels = u32::MAX;
    batch(&mut world, vec![Intent::ClosePosition { id: StrategyOrderId(2), symbol: spy() }]);
    world.calm_for(secs(110));
    assert!(!told(&world).contains(&"late".to_owned()));
    world.calm_for(secs(20));
    assert!(told(&world).contains(&"late".to_owned()));

    batch(&mut world, vec![Intent::ClosePosition { id: StrategyOrderId(3), symbol: spy() }]);
    world.told.clear();
    world.cancel(3);
    world.calm();
    assert_eq!(told(&world), ["Canceled"]);
}

/// One step of a busy time.
#[derive(Clone, Debug)]
enum Step {
    Batch(Vec<(bool, i64, u64)>),
    Cancel(u64),
    CancelAll,
    Leave,
    /// Carries out one action that is under way.
    CarryOut(usize),
    NextPost(u8),
    Wait(u64),
    Disk(bool),
    Freeze(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((any::<bool>(), 1_i64..50, 0_u64..30), 1..25).prop_map(Step::Batch),
        1 => (0_u64..40).prop_map(Step::Cancel),
        1 => Just(Step::CancelAll),
        1 => Just(Step::Leave),
        12 => any::<usize>().prop_map(Step::CarryOut),
        2 => (0_u8..4).prop_map(Step::NextPost),
        2 => (0_u64..5).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Disk),
        1 => any::<bool>().prop_map(Step::Freeze),
    ]
}

/// Acts one step; notes under `ends` when the orders that it asks for become late.
fn act(world: &mut World, step: Step, next_id: &mut u64, ends: &mut BTreeMap<u64, u64>) {
    let now = world.now;
    match step {
        Step::Batch(orders) => {
            let intents = orders.into_iter().map(|(buys, shares, lasts)| {
                *next_id += 1;
                ends.insert(*next_id, now.as_nanos() as u64 + lasts * 1_000_000_000);
                let side = if buys { Side::Buy } else { Side::Sell };
                let market = super::world::market(*next_id, side, shares);
                Intent::Submit(Submit { time_to_live: secs(lasts), ..market })
            });
            let intents = intents.collect();
            batch(world, intents);
        }
        Step::Cancel(back) => world.cancel(next_id.saturating_sub(back)),
        Step::CancelAll => world.intent(Intent::CancelAll),
        Step::Leave => {
            *next_id += 1;
            ends.insert(*next_id, u64::MAX);
            world.intent(Intent::ClosePosition { id: StrategyOrderId(*next_id), symbol: spy() });
        }
        Step::CarryOut(which) => {
            let new = world.turn();
            world.under_way.extend(new);
            if !world.under_way.is_empty() {
                let action = world.under_way.remove(which % world.under_way.len());
                world.run(vec![action]);
            }
        }
        Step::NextPost(which) => {
            world.next_post =
                [Post::AnswerLost, Post::Rejected, Post::NoLease, Post::Works][usize::from(which)];
        }
        Step::Wait(span) => world.now = now + secs(span),
        Step::Disk(works) => world.disk_works = works,
        Step::Freeze(is_frozen) => {
            world.machine.books.set_frozen(is_frozen.then(|| "cash differs".to_owned()));
        }
    }
}

proptest! {
    /// Every order that is asked for ends as an order, a refusal or a cancel, at once or later, never twice
    /// as an order; no more POSTs are under way than may be; none leaves late.
    #[test]
    fn nothing_is_lost_too_many_or_late(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        let (mut next_id, mut ends) = (0, BTreeMap::new());
        let mut seen = BTreeSet::new();
        for step in steps {
            act(&mut world, step, &mut next_id, &mut ends);
            let new = world.turn();
            for action in &new {
                if let (Some(id), Action::Submit { deadline, .. }) = (posted(&world, action), action) {
                    prop_assert!(seen.insert(id), "{} left twice", id);
                    prop_assert!(world.now <= *deadline, "{} left late", id);
                    prop_assert!(deadline.as_nanos() as u64 <= ends[&id], "{} was given more time", id);
                }
            }
            world.under_way.extend(new);
            let posts = world.under_way.iter().filter(|action| matches!(action, Action::Submit { .. }));
            prop_assert!(posts.count() <= 2 * PLACES);
        }
        (world.disk_works, world.next_post) = (true, Post::Works);
        world.machine.books.set_frozen(None);
        world.calm_for(secs(100));
        world.intent(Intent::CancelAll);
        world.calm_for(secs(200));
        prop_assert_eq!(world.machine.stats.read().planned, 0);
        let mut ended = BTreeSet::new();
        for output in &world.told {
            match output {
                DeskOutput::Refused { id, .. } => { ended.insert(id.0); }
                DeskOutput::Order { update, .. } if update.status == OrderStatus::Canceled => {
                    ended.insert(update.id.0);
                }
                _ => {}
            }
        }
        for row in world.disk.orders.values() {
            ended.extend(row.strategy_id.map(|id| id.0));
        }
        for id in ends.keys() {
            prop_assert!(ended.contains(id), "{} was lost", id);
        }
    }
}
