//! Orders that the disk has lost, or that somebody else has put in the place of ours.

use sandpit_types::{OrderClass, OrderKind, Price, Qty, Side};

use super::{
    lives::{bracket, oco, to_limit},
    world::{World, qty, secs, spy},
};

fn limit(usd: i64) -> OrderKind {
    OrderKind::Limit { limit_price: Price::new(usd.into()) }
}

fn agree(world: &World, held: Qty) {
    assert_eq!(world.venue.position(), held);
    assert_eq!(world.machine.books.position(&spy()), held);
    assert_eq!(world.machine.books.disputed(&spy()), None);
}

fn pass(world: &mut World) {
    world.hear_all();
    world.calm_for(secs(30));
}

#[test]
fn a_bracket_that_the_disk_has_lost_is_adopted_with_its_legs() {
    for (fills_first, shows_legs) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = World::new();
        world.submit_as(1, Side::Buy, 10, limit(100), bracket());
        world.calm();
        pass(&mut world);
        if fills_first {
            world.venue.fill(0, 10);
        }
        world.venue.hides_legs = !shows_legs;
        world.disk.forget_orders();
        world.crash();
        pass(&mut world);
        assert_eq!(world.machine.books.open_count(), if fills_first { 2 } else { 3 });
        world.venue.fill(0, 10);
        pass(&mut world);
        agree(&world, qty(10));
        // Its legs are not forgotten once it is over.
        world.crash();
        pass(&mut world);
        world.venue.fill(2, 10);
        pass(&mut world);
        world.calm_for(secs(1_000));
        agree(&world, Qty::ZERO);
        assert_eq!(world.machine.books.open_count(), 0);
        world.crash();
        world.calm_for(secs(1_000));
        agree(&world, Qty::ZERO);
    }
}

#[test]
fn an_oco_that_the_disk_has_lost_reserves_what_it_may_sell_once() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    pass(&mut world);
    world.submit_as(2, Side::Sell, 10, limit(104), oco());
    world.calm();
    pass(&mut world);
    world.disk.forget_orders();
    world.crash();
    pass(&mut world);
    let to_fill: Qty =
        world.machine.books.open_orders().map(|order| world.machine.books.to_fill(order)).sum();
    assert_eq!(to_fill, qty(10));
}

#[test]
fn what_somebody_else_puts_in_the_place_of_an_order_is_ours() {
    for hears in [true, false] {
        let mut world = World::new();
        world.submit_as(1, Side::Buy, 10, limit(100), OrderClass::Simple);
        world.calm();
        world.venue.fill(0, 3);
        pass(&mut world);
        let new = world.venue.replace_by_hand(0, to_limit(101)).expect("it can be");
        if !hears {
            world.venue.stream.clear();
        }
        pass(&mut world);
        world.calm_for(secs(100));
        assert_eq!(world.machine.books.open_count(), 1);
        world.venue.fill(new, 7);
        pass(&mut world);
        world.calm_for(secs(100));
        agree(&world, qty(10));
    }
}

#[test]
fn a_stop_that_somebody_else_moves_is_still_the_stop() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(100), bracket());
    world.calm();
    world.venue.fill(0, 10);
    pass(&mut world);
    let moved = to_limit(0);
    let change =
        sandpit_types::Change { limit_price: None, stop_price: Some(Price::new(90.into())), ..moved };
    let new = world.venue.replace_by_hand(2, change).expect("it can be");
    pass(&mut world);
    assert_eq!(world.machine.books.open_count(), 2);
    world.crash();
    pass(&mut world);
    world.venue.fill(new, 10);
    pass(&mut world);
    world.calm_for(secs(100));
    agree(&world, Qty::ZERO);
}

#[test]
fn one_answer_without_legs_does_not_prove_that_there_are_none() {
    let mut world = World::new();
    world.venue.lacks_legs = true;
    world.submit_as(1, Side::Buy, 10, limit(100), bracket());
    world.calm();
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm_for(secs(20));
    assert_eq!(world.machine.books.open_count(), 2, "nobody knows yet");
    world.venue.lacks_legs = false;
    world.calm_for(secs(60));
    world.venue.fill(2, 10);
    pass(&mut world);
    world.calm_for(secs(100));
    agree(&world, Qty::ZERO);
    assert_eq!(world.machine.books.open_count(), 0);
}
