//! Orders that are over and that the next life of the host, or its books, do not have any more: their fills
//! are nobody else's.

use sandpit_types::{BrokerOrder, Change, OrderClass, OrderKind, Price, Qty, Side};

use super::{
    lives::{bracket, to_limit},
    world::{World, qty, secs, spy},
};

/// Longer ago than a start asks the broker for.
const LONG_AGO: std::time::Duration = secs(900);

/// A bracket of 10 shares, bought long ago; its exits are 1 and 2. The cash of the account has been agreed
/// upon.
fn bought() -> World {
    let mut world = World::new();
    let kind = OrderKind::Limit { limit_price: Price::new(100.into()) };
    world.submit_as(1, Side::Buy, 10, kind, bracket());
    world.calm();
    world.venue.fill(0, 10);
    pass(&mut world);
    world.calm_for(LONG_AGO);
    assert!(world.machine.cash.agreed().is_some(), "agreed at the first quiet reading");
    world
}

fn pass(world: &mut World) {
    world.hear_all();
    world.calm_for(secs(30));
}

/// Five more shares are bought, and time passes until the books do not have the order any more: the rows of
/// its fills are older than what is asked for.
fn until_forgotten(world: &mut World, shown: &BrokerOrder) {
    world.calm_for(LONG_AGO);
    world.submit(2, Side::Buy, 5);
    world.calm();
    world.venue.fill(world.venue.newest(), 5);
    pass(world);
    for _ in 0..60 {
        if world.machine.books.by_broker_id(&shown.id).is_none() {
            return;
        }
        world.calm_for(secs(60));
    }
    panic!("{} is remembered for ever", shown.id);
}

/// Everything is found out; nothing was taken for somebody else's, or counted twice.
fn check(mut world: World, held: Qty, case: &str) {
    world.identified = 0;
    world.calm_for(LONG_AGO);
    assert_eq!(world.venue.position(), held, "{case}");
    assert_eq!(world.machine.books.position(&spy()), held, "{case}");
    assert_eq!(world.machine.books.frozen(), None, "{case}");
    assert_eq!(world.machine.books.disputed(&spy()), None, "{case}");
    assert_eq!(world.disk.notices("foreign-order"), [""; 0], "{case}");
    assert_eq!(world.disk.notices("adopt"), [""; 0], "{case}");
    assert_eq!(world.identified, 0, "{case}: the broker cannot say whose it is");
    assert_eq!(world.machine.books.open_count(), world.venue.open().len(), "{case}");
}

#[test]
fn the_fill_of_a_leg_right_before_a_restart_is_counted_once() {
    for leg in [1, 2] {
        for shares in [10, 4] {
            let mut world = bought();
            world.venue.fill(leg, shares);
            world.hear_all();
            world.calm();
            world.crash();
            check(world, qty(10 - shares), &format!("leg {leg}, {shares} shares"));
        }
    }
}

#[test]
fn the_fill_of_what_took_the_place_of_a_leg_is_counted_once() {
    let moved = Change { limit_price: None, stop_price: Some(Price::new(90.into())), ..to_limit(0) };
    for (leg, change) in [(1, to_limit(105)), (2, moved)] {
        let mut world = bought();
        let new = world.venue.replace_by_hand(leg, change).expect("it can be");
        pass(&mut world);
        world.calm_for(LONG_AGO);
        let adopted = world.disk.notices("adopt").len();
        world.venue.fill(new, 10);
        world.hear_all();
        world.calm();
        world.crash();
        world.calm_for(LONG_AGO);
        assert_eq!(world.disk.notices("adopt").len(), adopted, "leg {leg}: once");
        world.disk.story.clear();
        check(world, Qty::ZERO, &format!("leg {leg}"));
    }
}

#[test]
fn a_leg_that_the_broker_shows_again_is_the_one_that_is_recorded() {
    let mut world = bought();
    world.venue.fill(1, 10);
    world.hear_all();
    world.calm();
    let said_again = world.venue.orders[1].shown.clone();
    world.crash();
    until_forgotten(&mut world, &said_again);
    world.machine.foreigner(&said_again, world.now);
    world.calm();
    let id = world.machine.name_of(&said_again).expect("it is in the books again");
    assert!(world.disk.orders.contains_key(&id));
    check(world, qty(5), "shown again");
}

#[test]
fn nobody_is_a_stranger_while_the_store_cannot_be_read() {
    let mut world = bought();
    world.venue.fill(1, 10);
    world.hear_all();
    world.calm();
    world.reads_work = false;
    world.crash();
    world.venue.place_by_hand();
    pass(&mut world);
    world.calm_for(LONG_AGO);
    assert_eq!(world.disk.notices("foreign-order"), [""; 0]);
    assert_eq!(world.identified, 0);
    assert_eq!(world.machine.books.position(&spy()), Qty::ZERO);
    world.reads_work = true;
    world.calm_for(LONG_AGO);
    assert_eq!(world.disk.notices("foreign-order").len(), 1, "the one that is");
    assert_eq!(world.machine.books.frozen(), None);
}

#[test]
fn an_order_of_a_strategy_that_is_long_over_stays_one_order() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, OrderKind::Market, OrderClass::Simple);
    world.calm();
    world.venue.fill(0, 10);
    pass(&mut world);
    let again = world.venue.whole(0);
    until_forgotten(&mut world, &again);
    let id = world.machine.name_of(&again).expect("it says so itself");
    let event = sandpit_cores::orders::OrderEvent::Snapshot(again);
    world.machine.absorb(&id, &event, world.now, "late");
    check(world, qty(15), "late");
}
