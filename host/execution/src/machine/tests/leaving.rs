//! Symbols are left: what rests there may be replaced by hand meanwhile.

use sandpit_types::{Intent, OrderClass, OrderKind, OrderStatus, Price, Qty, Side, StrategyOrderId};

use super::{
    lives::to_limit,
    world::{World, secs, spy},
};

fn limit(usd: i64) -> OrderKind {
    OrderKind::Limit { limit_price: Price::new(usd.into()) }
}

fn pass(world: &mut World) {
    world.hear_all();
    world.calm_for(secs(30));
}

/// Ten shares are held, and this rests.
fn resting(side: Side, kind: OrderKind) -> World {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    pass(&mut world);
    world.submit_as(2, side, 10, kind, OrderClass::Simple);
    world.calm();
    pass(&mut world);
    world.calm_for(secs(60));
    world.told.clear();
    world
}

fn close(world: &mut World, id: u64) {
    world.intent(Intent::ClosePosition { id: StrategyOrderId(id), symbol: spy() });
}

fn status(world: &World, index: usize) -> OrderStatus {
    world.venue.orders[index].shown.status.clone()
}

fn check_flat(world: &World) {
    assert_eq!(world.venue.position(), Qty::ZERO);
    assert_eq!(world.machine.books.position(&spy()), Qty::ZERO);
    assert_eq!(world.machine.books.disputed(&spy()), None);
}

#[test]
fn the_exit_waits_for_what_took_the_place_of_the_cancelled_order() {
    for (asks_late, hides) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = resting(Side::Sell, limit(104));
        let hand = world.venue.replace_by_hand(1, to_limit(105)).expect("it can be");
        if !asks_late {
            close(&mut world, 3);
        }
        if hides {
            world.venue.hidden = Some(hand);
        }
        let replaced = world.venue.stream.pop_front();
        world.venue.stream.clear();
        world.venue.stream.extend(replaced);
        world.hear_all();
        world.calm();
        if asks_late {
            // It is known by then that another order took its place, and nothing else of that one.
            close(&mut world, 3);
            world.calm();
        }
        if hides {
            world.calm_for(secs(20));
            assert_eq!(world.venue.orders.len(), 3, "nobody knows what was sold meanwhile");
            world.venue.hidden = None;
        }
        world.calm_for(secs(50));
        assert_eq!(status(&world, hand), OrderStatus::Canceled);
        assert_eq!(world.venue.orders.len(), 4, "the exit");
        world.venue.fill(3, 10);
        pass(&mut world);
        world.calm_for(secs(100));
        check_flat(&world);
    }
}

#[test]
fn what_the_successor_sold_is_not_sold_again() {
    let mut world = resting(Side::Sell, limit(104));
    let hand = world.venue.replace_by_hand(1, to_limit(105)).expect("it can be");
    world.venue.stream.clear();
    close(&mut world, 3);
    world.calm();
    world.venue.fill(hand, 10);
    world.venue.stream.clear();
    world.calm_for(secs(300));
    assert_eq!(world.venue.orders.len(), 3, "nothing was left to sell");
    check_flat(&world);
}
