//! What people want of the desk: cancels of many orders, the freeze, and that they hear of it.

use sandpit_store::facts;
use sandpit_types::{
    ClientOrderId, HostEpoch, OrderKind, Price, Side, StrategyName, Symbol, TimeInForce, Usd,
};

use super::{
    cash::settled,
    lives::audits,
    told,
    world::{World, market, name, qty, secs, spy},
    *,
};
use crate::{Answer, CancelScope, Deed, Instruction};

fn limit(usd: i64) -> OrderKind {
    OrderKind::Limit { limit_price: Price::new(usd.into()) }
}

pub(super) fn instruct(world: &mut World, ticket: u64, deed: Deed) {
    let (operator, reason) = ("ann".to_owned(), "a look".to_owned());
    let wish = Instruction { ticket, operator, reason, deed };
    world.machine.input(DeskInput::Instruction(wish), world.now);
}

pub(super) fn answer(world: &World, ticket: u64) -> Option<&Answer> {
    world.told.iter().find_map(|told| match told {
        DeskOutput::Answer { ticket: of, answer } if *of == ticket => Some(answer),
        _ => None,
    })
}

pub(super) fn answered(world: &mut World, ticket: u64, deed: Deed) -> Answer {
    instruct(world, ticket, deed);
    world.calm();
    answer(world, ticket).expect("answered").clone()
}

/// A strategy's order that rests.
pub(super) fn rests(world: &mut World, strategy: &str, id: u64, symbol: &str) {
    let strategy = StrategyName::parse(strategy).expect("a name");
    let submit = sandpit_types::Submit {
        symbol: Symbol::new(symbol),
        kind: limit(99),
        time_in_force: TimeInForce::Gtc,
        ..market(id, Side::Buy, 1)
    };
    let intents = vec![Intent::Submit(submit)];
    world.machine.input(DeskInput::Intents { strategy, incarnation: 0, intents }, world.now);
    world.calm();
}

/// Two strategies with orders in two symbols, all resting.
fn busy() -> World {
    let mut world = World::new();
    for (strategy, id, symbol) in [("sma", 1, "SPY"), ("sma", 2, "QQQ"), ("other", 1, "SPY")] {
        rests(&mut world, strategy, id, symbol);
    }
    world.hear_all();
    assert_eq!(world.machine.books.open_count(), 3);
    world
}

fn left(world: &World) -> Vec<String> {
    let open = world.machine.books.open_orders();
    open.filter(|order| !order.is_unwanted())
        .map(|order| format!("{} {}", order.strategy(), order.request.symbol))
        .collect()
}

#[test]
fn a_cancel_reaches_what_it_means_and_nothing_else() {
    let check = |scope: CancelScope, count: usize, expected: &[&str], line: &str| {
        let mut world = busy();
        let Answer::Cancelling { orders, withdrawn: 0 } = answered(&mut world, 7, Deed::Cancel(scope)) else {
            panic!("{line}: {:?}", answer(&world, 7))
        };
        assert_eq!((orders.len(), left(&world)), (count, expected.iter().map(|&s| s.into()).collect()));
        let audits = audits(&world);
        assert!(audits.iter().any(|audit| audit == line), "{audits:?}");
        assert_eq!(audits.iter().filter(|audit| *audit == "ann: cancel: a look").count(), count);
        let before = world.venue.posts.len();
        world.hear_all();
        world.calm_for(secs(60));
        assert_eq!(
            (world.machine.books.open_count(), world.venue.posts.len()),
            (3 - count, before),
            "{line}"
        );
    };
    let other = StrategyName::parse("other").expect("a name");
    check(CancelScope::All, 3, &[], "ann: cancel: a look (all: 3 open, 0 waiting)");
    let line = "ann: cancel: a look (all of sma: 2 open, 0 waiting)";
    check(CancelScope::Strategy(name()), 2, &["other SPY"], line);
    let line = "ann: cancel: a look (all of other: 1 open, 0 waiting)";
    check(CancelScope::Strategy(other), 1, &["sma SPY", "sma QQQ"], line);
    let line = "ann: cancel: a look (all in SPY: 2 open, 0 waiting)";
    check(CancelScope::Symbol(spy()), 2, &["sma QQQ"], line);
}

#[test]
fn an_order_that_is_over_or_unknown_is_said_to_be() {
    let mut world = busy();
    let id = world.venue.orders[0].shown.ours().expect("ours");
    world.venue.fill(0, 1);
    world.hear_all();
    let over = answered(&mut world, 1, Deed::Cancel(CancelScope::Order(id)));
    assert_eq!(over, Answer::Over { status: OrderStatus::Filled, filled: qty(1) });
    let strange = ClientOrderId { strategy: name(), epoch: HostEpoch(99), sequence: 1 };
    assert_eq!(answered(&mut world, 2, Deed::Cancel(CancelScope::Order(strange))), Answer::Unknown);
    assert_eq!(left(&world).len(), 2);
}

#[test]
fn an_order_that_fills_while_it_is_cancelled_is_counted_once() {
    let mut world = busy();
    let id = world.venue.orders[0].shown.ours().expect("ours");
    instruct(&mut world, 1, Deed::Cancel(CancelScope::Order(id.clone())));
    world.venue.fill(0, 1);
    world.calm();
    assert_eq!(answer(&world, 1), Some(&Answer::Cancelling { orders: vec![id], withdrawn: 0 }));
    world.hear_all();
    world.calm_for(secs(60));
    assert_eq!(world.machine.books.position(&spy()), qty(1));
    assert_eq!(world.machine.books.open_count(), 2);
}

#[test]
fn what_waits_is_withdrawn_with_the_rest() {
    let mut world = World::new();
    let submits = (1..=20).map(|id| Intent::Submit(market(id, Side::Buy, 1))).collect();
    let (strategy, incarnation) = (name(), 0);
    world.machine.input(DeskInput::Intents { strategy, incarnation, intents: submits }, world.now);
    let Answer::Cancelling { withdrawn, .. } = answered(&mut world, 1, Deed::Cancel(CancelScope::All)) else {
        panic!("{:?}", world.told)
    };
    assert_eq!(withdrawn, 4, "16 entries are under way");
    assert!(world.machine.planning.is_empty());
    assert!(world.venue.posts.len() <= 16);
}

#[test]
fn an_answer_follows_its_record() {
    let mut world = World::new();
    world.disk_works = false;
    instruct(&mut world, 1, Deed::Freeze);
    world.calm_for(secs(5));
    assert_eq!(answer(&world, 1), None, "it is not written");
    assert!(world.machine.books.frozen().is_some(), "it holds all the same");
    world.disk_works = true;
    world.calm_for(secs(60));
    assert!(matches!(answer(&world, 1), Some(Answer::Frozen { before: None, .. })));
}

#[test]
fn a_freeze_by_hand_holds_over_lives_until_a_hand_lifts_it() {
    let mut world = settled();
    rests(&mut world, "sma", 2, "QQQ");
    let agreed = world.disk.facts()[facts::AGREED_CASH].clone();
    let Answer::Frozen { before: None, orders } = answered(&mut world, 1, Deed::Freeze) else {
        panic!("{:?}", world.told)
    };
    assert_eq!(orders.len(), 1, "the entry that rests");
    for life in 0..3 {
        let frozen = world.machine.books.frozen().expect("frozen").to_owned();
        assert_eq!(frozen, "ann froze it: a look", "life {life}");
        world.told.clear();
        world.submit(10 + life, Side::Buy, 1);
        world.calm();
        assert_eq!(told(&world), ["frozen"], "life {life}");
        world.submit(20 + life, Side::Sell, 1);
        world.calm();
        assert_eq!(told(&world)[1..], ["PendingNew", "New"], "life {life}: an exit leaves");
        world.crash();
        world.calm_for(secs(30));
    }
    let again = answered(&mut world, 2, Deed::Freeze);
    assert!(matches!(again, Answer::Frozen { before: Some(_), .. }), "{again:?}");
    let was = "ann froze it: a look".to_owned();
    assert_eq!(answered(&mut world, 3, Deed::Unfreeze), Answer::Unfrozen { was });
    assert_eq!(answered(&mut world, 4, Deed::Unfreeze), Answer::NotFrozen);
    world.crash();
    world.calm_for(secs(30));
    world.told.clear();
    world.submit(30, Side::Buy, 1);
    world.calm();
    assert_eq!(told(&world), ["PendingNew", "New"]);
    assert!(world.disk.facts().contains_key(facts::AGREED_CASH) && !agreed.is_empty());
}

#[test]
fn a_hand_does_not_lift_what_cash_froze_nor_forget_what_was_agreed_upon() {
    for by_hand_too in [false, true] {
        let mut world = settled();
        if by_hand_too {
            answered(&mut world, 1, Deed::Freeze);
        }
        world.venue.unexplained = Usd::new((-101).into());
        world.calm_for(secs(330));
        let agreed = world.disk.facts()[facts::AGREED_CASH].clone();
        for ticket in 2..4 {
            let kept = answered(&mut world, ticket, Deed::Unfreeze);
            let Answer::StaysFrozen { reason } = kept else { panic!("{kept:?}") };
            assert!(reason.contains("-101 USD are not explained"), "{reason}");
            let frozen = world.machine.books.frozen().expect("frozen");
            assert_eq!(frozen.contains("ann froze it"), by_hand_too, "{frozen}");
            assert_eq!(world.disk.facts()[facts::AGREED_CASH], agreed);
            world.crash();
            world.calm_for(secs(30));
        }
    }
}

/// Else a freeze and its end would have missing money forgotten.
#[test]
fn a_freeze_by_hand_and_its_end_hide_no_missing_cash() {
    for dies in [false, true] {
        let mut world = settled();
        world.venue.unexplained = Usd::new((-101).into());
        world.calm_for(secs(30));
        answered(&mut world, 1, Deed::Freeze);
        world.calm_for(secs(30));
        answered(&mut world, 2, Deed::Unfreeze);
        if dies {
            world.crash();
        }
        world.calm_for(secs(330));
        let frozen = world.machine.books.frozen().expect("cash is missing all the same");
        assert!(frozen.contains("-101 USD are not explained"), "{frozen}");
    }
}

#[test]
fn a_cancel_of_an_order_with_legs_takes_them_along() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(100), super::lives::bracket());
    world.calm();
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm();
    let id = world.venue.orders[0].shown.ours().expect("ours");
    let Answer::Cancelling { orders, .. } = answered(&mut world, 1, Deed::Cancel(CancelScope::Order(id)))
    else {
        panic!("{:?}", world.told)
    };
    assert_eq!(orders.len(), 2, "its exits");
    world.hear_all();
    world.calm_for(secs(60));
    assert_eq!(world.machine.books.open_count(), 0);
}
