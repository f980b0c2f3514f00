//! Orders that the disk has lost, or that somebody else has put in the place of ours.

use sandpit_types::{OrderClass, OrderKind, OrderStatus, Price, Qty, Side};

use crate::DeskOutput;

use super::{
    lives::{bracket, oco, to_limit},
    world::{Post, World, qty, secs, spy},
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

/// What may still be bought, and what is held, when everything is told.
fn check_rest(world: &World, pending: i64, held: i64) {
    assert_eq!(world.machine.books.pending(&spy(), Side::Buy), qty(pending));
    assert_eq!(world.machine.books.position(&spy()), qty(held));
    assert_eq!(world.machine.books.disputed(&spy()), None);
}

#[test]
fn what_was_replaced_twice_by_hand_is_found_by_the_broker_s_word() {
    for crashes in [false, true] {
        let mut world = World::new();
        world.submit_as(1, Side::Buy, 10, limit(100), OrderClass::Simple);
        world.calm();
        world.venue.fill(0, 3);
        pass(&mut world);
        let second = world.venue.replace_by_hand(0, to_limit(101)).expect("it can be");
        world.venue.fill(second, 2);
        let third = world.venue.replace_by_hand(second, to_limit(102)).expect("it can be");
        world.venue.stream.clear();
        if crashes {
            world.crash_with(|world| world.venue.hidden = Some(second));
            world.venue.hidden = None;
        }
        world.calm_for(secs(100));
        check_rest(&world, 5, 5);
        assert_eq!(world.machine.books.open_count(), 1);
        // A cancel of the strategy reaches what stands there now.
        if !crashes {
            world.cancel(1);
            pass(&mut world);
            assert_eq!(world.venue.orders[third].shown.status, OrderStatus::Canceled);
            check_rest(&world, 0, 5);
        }
        world.venue.cancel(third);
        pass(&mut world);
        assert!(world.disk.orders.values().all(|row| !row.is_open), "{:?}", world.disk.orders);
    }
}

#[test]
fn the_rest_of_a_replaced_order_is_reserved_until_the_new_one_is_found() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(100), OrderClass::Simple);
    world.calm();
    world.venue.fill(0, 3);
    pass(&mut world);
    let new = world.venue.replace_by_hand(0, to_limit(101)).expect("it can be");
    world.venue.hidden = Some(new);
    // Of the new one nothing is heard.
    let replaced = world.venue.stream.pop_front();
    world.venue.stream.clear();
    world.venue.stream.extend(replaced);
    world.hear_all();
    world.venue.lists_nothing = true;
    let asked = world.look_ups;
    for _ in 0..3 {
        world.calm_for(secs(600));
        check_rest(&world, 7, 3);
    }
    assert!(world.look_ups - asked < 40, "{}", world.look_ups - asked);
    let alerts = world.told.iter().filter(|output| matches!(output, crate::DeskOutput::Alert(_)));
    assert_eq!(alerts.count(), 1);
    // Another life knows it, too.
    world.crash();
    world.calm_for(secs(100));
    check_rest(&world, 7, 3);
    (world.venue.hidden, world.venue.lists_nothing) = (None, false);
    world.calm_for(secs(700));
    check_rest(&world, 7, 3);
    assert_eq!(world.machine.books.open_count(), 1);
    world.venue.fill(new, 7);
    pass(&mut world);
    check_rest(&world, 0, 10);
}

#[test]
fn what_is_replaced_by_hand_before_its_answer_came_is_found() {
    for hears in [true, false] {
        let mut world = World::new();
        world.next_post = Post::AnswerLost;
        world.submit_as(1, Side::Buy, 10, limit(100), OrderClass::Simple);
        let actions = world.turn();
        world.run(actions);
        let actions = world.turn();
        world.run(actions);
        let new = world.venue.replace_by_hand(0, to_limit(101)).expect("it can be");
        if hears {
            // The new one first.
            world.venue.stream.make_contiguous().reverse();
            world.hear_all();
        } else {
            world.venue.stream.clear();
        }
        world.calm_for(secs(100));
        check_rest(&world, 10, 0);
        assert_eq!(world.machine.books.open_count(), 1);
        assert_eq!(world.disk.notices("foreign-order"), [""; 0]);
        world.venue.fill(new, 10);
        pass(&mut world);
        check_rest(&world, 0, 10);
    }
}

#[test]
fn a_replacement_that_the_broker_names_otherwise_counts_once() {
    let heard = [(false, false), (true, false), (true, true)];
    let cases = heard.into_iter().flat_map(|heard| [(heard, Post::Works), (heard, Post::AnswerLost)]);
    for ((hears_first, adopts_first), answer) in cases {
        let mut world = World::new();
        world.venue.renames = true;
        world.submit_as(1, Side::Buy, 10, limit(100), OrderClass::Simple);
        world.calm();
        world.venue.fill(0, 3);
        pass(&mut world);
        world.next_post = answer;
        world.replace(1, 2, to_limit(101));
        let actions = world.turn();
        world.run(actions);
        let actions = world.turn();
        // The PATCH arrives; what the stream tells is heard before its answer, or after.
        let outcomes: Vec<_> = actions.into_iter().filter_map(|action| world.carry_out(action)).collect();
        if hears_first {
            world.hear_all();
        }
        if adopts_first {
            world.calm();
        }
        for outcome in outcomes {
            world.machine.outcome(outcome, world.now);
        }
        pass(&mut world);
        world.calm_for(secs(200));
        check_rest(&world, 7, 3);
        assert_eq!(world.machine.books.open_count(), 1);
        world.venue.fill(1, 7);
        pass(&mut world);
        world.calm_for(secs(200));
        check_rest(&world, 0, 10);
        assert!(world.disk.orders.values().all(|row| !row.is_open));
    }
}

#[test]
fn a_leg_that_was_moved_twice_by_hand_counts_its_shares_once() {
    for (forgets, hears) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut world = World::new();
        world.submit_as(1, Side::Buy, 10, limit(100), bracket());
        world.calm();
        world.venue.fill(0, 10);
        pass(&mut world);
        if forgets {
            world.disk.forget_orders();
            world.crash();
            pass(&mut world);
        }
        world.venue.fill(1, 2);
        pass(&mut world);
        let second = world.venue.replace_by_hand(1, to_limit(105)).expect("it can be");
        let third = world.venue.replace_by_hand(second, to_limit(106)).expect("it can be");
        if !hears {
            world.venue.stream.clear();
        }
        // Its parent is seen before them.
        let parent = world.venue.whole(0);
        let id = world.machine.name_of(&parent).expect("it is ours");
        world.machine.absorb(&id, &sandpit_cores::orders::OrderEvent::Snapshot(parent), world.now, "seen");
        // What the store says of the last one comes first.
        let mut actions = world.turn();
        actions.reverse();
        world.run(actions);
        pass(&mut world);
        world.calm_for(secs(100));
        agree(&world, qty(8));
        world.venue.fill(third, 8);
        pass(&mut world);
        world.calm_for(secs(100));
        agree(&world, Qty::ZERO);
        assert!(world.disk.orders.values().all(|row| !row.is_open));
    }
}

#[test]
fn a_leg_that_was_taken_for_never_made_is_found_when_it_fills() {
    let mut world = World::new();
    world.venue.lacks_legs = true;
    world.submit_as(1, Side::Buy, 10, limit(100), bracket());
    world.calm();
    world.venue.fill(0, 10);
    pass(&mut world);
    world.calm_for(secs(200));
    assert_eq!(world.machine.books.open_count(), 0, "nobody expects them any more");
    world.venue.lacks_legs = false;
    world.venue.fill(2, 10);
    pass(&mut world);
    world.calm_for(secs(200));
    agree(&world, Qty::ZERO);
    assert_eq!(world.disk.notices("foreign-order"), [""; 0]);
    assert!(world.disk.orders.values().all(|row| !row.is_open));
}

/// The POST is on its way for so long that its host has concluded that it never arrived, and died.
#[test]
fn legs_of_an_order_that_was_taken_for_gone_in_an_earlier_life_are_its_legs() {
    for moves_one in [false, true] {
        let mut world = World::new();
        world.next_post = Post::Late(secs(300));
        world.submit_as(1, Side::Buy, 10, limit(100), bracket());
        world.calm();
        world.calm_for(secs(200));
        assert!(world.disk.orders.values().all(|row| !row.is_open), "nothing came of it");
        world.crash();
        world.calm_for(secs(200));
        world.venue.fill(0, 10);
        if moves_one {
            world.venue.replace_by_hand(1, to_limit(103)).expect("it is open");
        }
        pass(&mut world);
        agree(&world, qty(10));
        assert_eq!(world.machine.books.open_count(), 2, "its exits");
        world.venue.fill(if moves_one { 3 } else { 1 }, 10);
        pass(&mut world);
        world.calm_for(secs(200));
        agree(&world, Qty::ZERO);
        assert!(world.disk.orders.values().all(|row| !row.is_open));
    }
}

/// Holds 10, bought a minute ago.
fn held() -> World {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    pass(&mut world);
    world.calm_for(secs(60));
    world
}

#[test]
fn one_answer_that_lacks_an_order_does_not_put_its_cancel_off() {
    let mut world = held();
    world.submit_as(2, Side::Sell, 10, limit(104), OrderClass::Simple);
    world.calm();
    pass(&mut world);
    world.calm_for(secs(120));
    world.lost_cancels = 1;
    world.venue.hidden = Some(1);
    world.cancel(2);
    world.calm();
    world.calm_for(secs(2));
    world.venue.hidden = None;
    world.calm_for(secs(58));
    assert_eq!(world.venue.orders[1].shown.status, OrderStatus::Canceled);
}

#[test]
fn an_order_that_is_shown_again_is_cancelled_at_once_and_one_that_is_not_is_seldom_asked_for() {
    let mut world = held();
    world.submit_as(2, Side::Sell, 10, limit(104), OrderClass::Simple);
    world.calm();
    pass(&mut world);
    world.calm_for(secs(120));
    (world.venue.hidden, world.venue.lists_nothing) = (Some(1), true);
    world.cancel(2);
    world.calm_for(secs(300));
    world.look_ups = 0;
    world.calm_for(secs(3_600));
    assert!(world.look_ups <= 7, "{}", world.look_ups);
    assert_eq!(world.venue.orders[1].shown.status, OrderStatus::New);
    (world.venue.hidden, world.venue.lists_nothing) = (None, false);
    world.calm_for(secs(60));
    assert_eq!(world.venue.orders[1].shown.status, OrderStatus::Canceled);
}

#[test]
fn what_was_moved_twice_by_hand_and_filled_freezes_nothing() {
    for wait in [0, 3, 7, 11, 17, 23, 29] {
        let mut world = held();
        world.submit_as(2, Side::Buy, 10, limit(100), OrderClass::Simple);
        world.calm();
        pass(&mut world);
        world.calm_for(secs(60 + wait));
        let second = world.venue.replace_by_hand(1, to_limit(101)).expect("it can be");
        let third = world.venue.replace_by_hand(second, to_limit(102)).expect("it can be");
        world.venue.fill(third, 10);
        world.venue.stream.clear();
        world.calm_for(secs(900));
        assert_eq!(world.machine.books.frozen(), None, "{wait}");
        agree(&world, qty(20));
    }
}

#[test]
fn what_took_an_order_s_place_and_is_gone_is_seldom_asked_for_in_the_next_life() {
    let mut world = World::new();
    world.submit_as(2, Side::Buy, 10, limit(100), OrderClass::Simple);
    world.calm();
    pass(&mut world);
    world.calm_for(secs(60));
    let second = world.venue.replace_by_hand(0, to_limit(101)).expect("it can be");
    (world.venue.hidden, world.venue.lists_nothing) = (Some(second), true);
    world.venue.stream.clear();
    pass(&mut world);
    world.calm_for(secs(120));
    // The account is reset: the broker knows nothing any more.
    world.venue.hidden = None;
    world.crash_with(|world| world.venue.orders.clear());
    world.calm_for(secs(120));
    world.look_ups = 0;
    world.calm_for(secs(600));
    assert!(world.look_ups < 10, "{}", world.look_ups);
    let is_said =
        |told: &&DeskOutput| matches!(told, DeskOutput::Alert(text) if text.contains("was replaced by"));
    assert!(world.told.iter().any(|told| is_said(&told)));
}
