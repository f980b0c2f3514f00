//! Symbols are left: what rests there may be replaced by hand meanwhile.

use sandpit_types::{
    Intent, OrderClass, OrderKind, OrderStatus, Price, Qty, Side, StrategyName, StrategyOrderId, Submit,
};

use super::{
    lives::to_limit,
    world::{Post, World, market, name, qty, secs, spy},
};
use crate::{CancelScope, Deed, DeskInput, Instruction, machine::Action};

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
        // The broker loses the first cancels of the new one: that the old one is over is known.
        world.lost_cancels = 2;
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
        for _ in 0..50 {
            world.calm_for(secs(1));
            let is_over = status(&world, hand) == OrderStatus::Canceled;
            assert!(is_over || world.venue.orders.len() == 3, "the exit left beside it");
        }
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

fn stop(usd: i64) -> OrderKind {
    OrderKind::Stop { stop_price: Price::new(usd.into()) }
}

#[test]
fn a_drain_that_meets_a_position_without_its_stop_lets_the_exit_leave() {
    let mut world = resting(Side::Sell, stop(90));
    close(&mut world, 3);
    let actions = world.turn();
    world.run(actions);
    world.machine.input(DeskInput::Drain, world.now);
    assert!(!world.machine.is_drained());
    pass(&mut world);
    assert_eq!(status(&world, 1), OrderStatus::Canceled);
    assert_eq!(world.venue.orders.len(), 3, "the exit");
    assert!(world.machine.is_drained());
    world.venue.fill(2, 10);
    pass(&mut world);
    check_flat(&world);
}

/// A symbol is being left, and the exit waits for a place behind these.
fn waiting_exit() -> (World, Vec<Action>) {
    let mut world = resting(Side::Sell, stop(90));
    let other = |world: &mut World, orders: Vec<Submit>| {
        let (strategy, incarnation) = (StrategyName::new("other"), 1);
        let intents = orders.into_iter().map(Intent::Submit).collect();
        world.machine.input(DeskInput::Intents { strategy, incarnation, intents }, world.now);
    };
    other(&mut world, vec![market(1, Side::Buy, 16)]);
    world.calm();
    world.venue.fill(2, 16);
    pass(&mut world);
    // The exits of the other strategy take all places.
    other(&mut world, (2..18).map(|id| market(id, Side::Sell, 1)).collect());
    let mut posts = Vec::new();
    while posts.len() < 16 {
        let (new, others) = world.turn().into_iter().partition(|on| matches!(on, Action::Submit { .. }));
        let new: Vec<Action> = new;
        posts.extend(new);
        world.run(others);
    }
    close(&mut world, 3);
    world.calm();
    world.hear_all();
    world.calm();
    assert_eq!(world.machine.stats.read().planned, 1);
    assert_eq!((status(&world, 1), world.venue.orders.len()), (OrderStatus::Canceled, 3));
    (world, posts)
}

fn check_exit(world: &World) {
    let exit = world.venue.orders.last().map(|order| (order.shown.side, order.shown.qty));
    assert_eq!(exit, Some((Side::Sell, Some(qty(10)))));
}

#[test]
fn an_exit_that_waits_for_its_place_leaves_in_a_drain() {
    let (mut world, posts) = waiting_exit();
    world.machine.input(DeskInput::Drain, world.now);
    world.calm();
    assert!(!world.machine.is_drained());
    world.run(posts);
    world.calm();
    check_exit(&world);
    assert!(world.machine.is_drained());
}
/// A successor has intents of its own, in a symbol that is not being left.
fn succeed(world: &mut World) {
    world.incarnation += 1;
    world.cancel(77);
}

#[test]
fn a_new_life_takes_over_what_is_being_left() {
    for (early, late) in [(true, false), (false, true), (true, true)] {
        let mut world = resting(Side::Sell, stop(90));
        close(&mut world, 3);
        let cancels = world.turn();
        if early {
            succeed(&mut world);
            // It asks for the same, as one that was told again what came before would.
            close(&mut world, 3);
        }
        world.run(cancels);
        world.calm();
        if late {
            succeed(&mut world);
        }
        pass(&mut world);
        assert_eq!((status(&world, 1), world.venue.orders.len()), (OrderStatus::Canceled, 3), "the exit");
        world.venue.fill(2, 10);
        pass(&mut world);
        check_flat(&world);
        let expected = if early { 1 } else { 0 };
        assert_eq!(super::told(&world).iter().filter(|word| *word == "duplicate-id").count(), expected);
    }
}

#[test]
fn an_exit_that_waits_for_its_place_passes_to_a_new_life() {
    let (mut world, posts) = waiting_exit();
    succeed(&mut world);
    world.run(posts);
    world.calm();
    check_exit(&world);
}

#[test]
fn the_exit_of_a_strategy_that_was_taken_away_leaves_all_the_same() {
    let (mut world, posts) = waiting_exit();
    world.machine.input(DeskInput::WithdrawPlanned(name()), world.now);
    world.run(posts);
    world.calm();
    check_exit(&world);
}

#[test]
fn an_order_of_unknown_outcome_does_not_make_the_exit_late() {
    for wait in [0, 1, 7, 20, 33] {
        let mut world = resting(Side::Sell, stop(90));
        world.next_post = Post::Lost;
        world.submit_as(3, Side::Sell, 1, limit(104), OrderClass::Simple);
        world.calm();
        let sent = world.now;
        world.calm_for(secs(wait));
        close(&mut world, 4);
        world.calm();
        assert_eq!(status(&world, 1), OrderStatus::Canceled);
        while world.venue.orders.len() == 2 && world.now.since(sent) < secs(200) {
            world.calm_for(secs(1));
        }
        assert!(world.now.since(sent) <= secs(61), "{:?}", world.now.since(sent));
        let exit = world.venue.orders.last().map(|order| (order.shown.side, order.shown.qty));
        assert_eq!(exit, Some((Side::Sell, Some(qty(10)))));
    }
}

/// How a wish to cancel meets an order that is replaced by hand.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Quarantine,
    One,
    All,
    ByHand,
}

fn wish(world: &mut World, wish: Wish) {
    match wish {
        Wish::Quarantine => world.machine.input(DeskInput::CancelStrategy(name()), world.now),
        Wish::One => world.cancel(2),
        Wish::All => world.intent(Intent::CancelAll),
        Wish::ByHand => {
            let client_id = world.machine.name_of(&world.venue.orders[1].shown).expect("it is ours");
            let (operator, reason) = ("me".to_owned(), "test".to_owned());
            let deed = Deed::Cancel(CancelScope::Order(client_id));
            let wish = Instruction { ticket: 1, operator, reason, deed };
            world.machine.input(DeskInput::Instruction(wish), world.now);
        }
    }
}

#[test]
fn who_wants_an_order_cancelled_gets_what_took_its_place_cancelled() {
    for how in [Wish::Quarantine, Wish::One, Wish::All, Wish::ByHand] {
        // Nothing is heard of it, the end of the old one is heard before the wish, or all is heard after it,
        // the new one first; the host dies after it; the new one is replaced once more.
        for case in 0..24 {
            let (hears, dies, again) = (case % 3, case / 3 % 2 == 1, case / 6);
            let mut world = resting(Side::Buy, limit(100));
            let mut hand = world.venue.replace_by_hand(1, to_limit(101)).expect("it can be");
            match hears {
                0 => world.venue.stream.clear(),
                1 => {
                    let replaced = world.venue.stream.pop_front();
                    world.venue.stream.clear();
                    world.venue.stream.extend(replaced);
                    world.hear_all();
                }
                _ => world.venue.stream.make_contiguous().reverse(),
            }
            if again == 1 {
                hand = world.venue.replace_by_hand(hand, to_limit(102)).expect("it can be");
            }
            (world.venue.lists_nothing, world.venue.hidden) = (true, Some(hand));
            wish(&mut world, how);
            if hears == 2
                && let Some(new) = world.venue.stream.pop_front()
            {
                // The new one is taken in before the old one is over.
                world.machine.input(DeskInput::Update(new), world.now);
            }
            world.calm();
            world.hear_all();
            world.calm_for(secs(20));
            if again == 2 {
                world.venue.hidden = None;
                hand = world.venue.replace_by_hand(hand, to_limit(102)).unwrap_or(hand);
            }
            if again == 3 {
                // It is asked for again long after.
                world.calm_for(secs(700));
            }
            if dies {
                world.crash();
            }
            (world.venue.lists_nothing, world.venue.hidden) = (false, None);
            world.calm_for(secs(900));
            let stands = (how, hears, dies, again);
            assert_eq!(status(&world, hand), OrderStatus::Canceled, "{stands:?}");
            assert_eq!(world.machine.books.open_count(), 0, "{stands:?}");
            assert!(world.disk.orders.values().all(|row| !row.is_open), "{stands:?}");
            assert!(!super::told(&world).contains(&"unknown-order".to_owned()), "{stands:?}");
        }
    }
}

#[test]
fn what_took_the_place_of_an_order_that_nobody_wants_cancelled_stays() {
    let mut world = resting(Side::Buy, limit(100));
    let hand = world.venue.replace_by_hand(1, to_limit(101)).expect("it can be");
    pass(&mut world);
    world.crash();
    world.calm_for(secs(900));
    assert_eq!(status(&world, hand), OrderStatus::New);
}
