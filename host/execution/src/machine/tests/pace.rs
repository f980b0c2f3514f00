//! Questions that bring nothing new are asked ever more seldom: the budget of requests is for what does.

use sandpit_types::{OrderClass, OrderKind, Price, Side};

use super::{
    lives::{bracket, to_limit},
    world::{World, qty, secs},
};

fn limit() -> OrderKind {
    OrderKind::Limit { limit_price: Price::new(100.into()) }
}

fn turns(world: &mut World, count: u32) {
    for _ in 0..count {
        let actions = world.turn();
        world.run(actions);
    }
}

/// Look-ups in ten minutes that begin now.
fn look_ups(world: &mut World) -> u32 {
    let before = world.look_ups;
    world.calm_for(secs(600));
    world.look_ups - before
}

#[test]
fn a_replacement_that_does_not_come_to_its_end_is_asked_for_seldom() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(), OrderClass::Simple);
    world.calm();
    world.venue.fill(0, 3);
    world.hear_all();
    world.calm();
    world.venue.replaces_slowly = true;
    world.replace(1, 2, to_limit(101));
    turns(&mut world, 2);
    let newest = world.venue.newest();
    world.venue.orders[newest].shown.filled_qty = qty(3);
    world.venue.orders[newest].shown.filled_avg_price = Some(Price::new(100.into()));
    let asked = look_ups(&mut world);
    assert!((10..60).contains(&asked), "{asked}");
    world.venue.finish_replace(0);
    world.hear_all();
    world.calm_for(secs(5));
    let fills = i64::try_from(world.machine.books.open_count()).expect("few");
    assert_eq!(fills, 1, "what the stream tells counts at once");
}

#[test]
fn legs_that_are_never_shown_are_asked_for_seldom() {
    let mut world = World::new();
    world.venue.hides_legs = true;
    world.submit_as(1, Side::Buy, 10, limit(), bracket());
    turns(&mut world, 2);
    world.venue.tear_apart();
    let asked = look_ups(&mut world);
    assert!((10..60).contains(&asked), "{asked}");
}

#[test]
fn an_order_that_the_broker_has_forgotten_is_cancelled_seldom() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(), OrderClass::Simple);
    world.calm_for(secs(100));
    world.venue.orders.clear();
    world.cancel(1);
    world.calm_for(secs(20));
    let asked = look_ups(&mut world);
    assert!((1..6).contains(&asked), "{asked}");
}
