//! Legs, replacements and the odd ends of orders, against the broker in memory. Each case that somebody has
//! lived through is named after it.

use sandpit_store::{Actor, Audit};
use sandpit_types::{Change, Exit, Leg, OrderClass, OrderKind, OrderStatus, Price, Side, StopLoss, Trail};

use super::{
    told,
    venue::RESOLVED,
    world::{Post, World, name, qty, secs, spy},
    *,
};
use crate::{CancelScope, Deed, Instruction};

fn price(usd: i64) -> Price {
    Price::new(usd.into())
}

fn limit(usd: i64) -> OrderKind {
    OrderKind::Limit { limit_price: price(usd) }
}

const fn stop_loss(usd: Price) -> StopLoss {
    StopLoss { stop_price: usd, limit_price: None }
}

pub(super) fn bracket() -> OrderClass {
    OrderClass::Bracket { take_profit: price(104), stop_loss: stop_loss(price(98)) }
}

pub(super) fn oco() -> OrderClass {
    OrderClass::Oco { stop_loss: stop_loss(price(98)) }
}

pub(super) fn oto() -> OrderClass {
    OrderClass::Oto(Exit::StopLoss(stop_loss(price(98))))
}

pub(super) fn to_limit(usd: i64) -> Change {
    Change { limit_price: Some(price(usd)), ..Change::default() }
}

fn to_qty(shares: i64) -> Change {
    Change { qty: Some(qty(shares)), ..Change::default() }
}

/// A bracket of 10 shares that has been heard of wholly: the entry is order 0, its exits are 1 and 2.
fn with_bracket() -> World {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(100), bracket());
    world.calm();
    world.hear_all();
    world.calm();
    world
}

/// A limit order of 10 shares that works at the broker as order 0.
fn with_limit() -> World {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(100), OrderClass::Simple);
    world.calm();
    world.hear_all();
    world.calm();
    world
}

fn position(world: &World) -> Qty {
    world.machine.books.position(&spy())
}

/// What the strategy was told of legs.
fn told_of_legs(world: &World) -> Vec<(u64, Leg, String)> {
    let word = |output: &DeskOutput| match output {
        DeskOutput::Order { update, .. } => Some((update.id.0, update.leg?, format!("{:?}", update.status))),
        DeskOutput::Fill { id, leg, fill, .. } => Some((id.0, (*leg)?, format!("fill {}", fill.qty))),
        _ => None,
    };
    world.told.iter().filter_map(word).collect()
}

pub(super) fn audits(world: &World) -> Vec<String> {
    let line = |record: &Record| match record {
        Record::Audit(Audit { actor, action, detail, .. }) => {
            let who = match actor {
                Actor::Strategy(name) => name.as_str().to_owned(),
                Actor::Operator(name) => name.clone(),
                Actor::Host => "host".to_owned(),
                Actor::Broker => "broker".to_owned(),
            };
            Some(format!("{who}: {action}: {detail}"))
        }
        _ => None,
    };
    world.disk.story.iter().filter_map(line).collect()
}

/// Time passes, everything is found out, and then the books agree with the broker.
fn resolve(world: &mut World) {
    world.calm_for(RESOLVED);
    assert_eq!(position(world), world.venue.position());
    assert_eq!(world.machine.unresolved(), 0);
    assert_eq!(world.machine.books.open_count(), world.venue.open().len());
}

#[test]
fn legs_are_recorded_with_their_parent_and_told_under_its_id() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(100), bracket());
    let actions = world.turn();
    let [.., Action::Commit(records)] = actions.as_slice() else { panic!("{actions:?}") };
    let orders = records.iter().filter(|record| matches!(record, Record::Order(_))).count();
    assert_eq!(orders, 3, "one commit");
    world.run(actions);
    world.calm();
    assert_eq!(world.venue.posts.len(), 1, "legs are never sent");
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm();
    world.venue.fill(1, 10);
    world.hear_all();
    world.calm();
    let exit = |word: &str| (1, Leg::TakeProfit, word.to_owned());
    let other = |word: &str| (1, Leg::StopLoss, word.to_owned());
    let expected =
        [exit("Held"), other("Held"), exit("New"), exit("fill 10"), exit("Filled"), other("Canceled")];
    assert_eq!(told_of_legs(&world), expected);
    resolve(&mut world);
    assert_eq!(position(&world), Qty::ZERO);
    assert!(world.disk.orders.values().all(|row| !row.is_open));
}

#[test]
fn legs_appear_on_the_stream_before_the_answer_to_the_post() {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, limit(100), bracket());
    world.accept_without_answer();
    world.venue.fill(0, 10);
    world.venue.fill(1, 4);
    world.hear_all();
    world.calm_for(secs(10));
    assert_eq!(position(&world), qty(6));
    assert!(world.disk.notices("foreign-order").is_empty());
    resolve(&mut world);
}

#[test]
fn legs_that_the_answer_does_not_show_are_asked_for() {
    let mut world = World::new();
    world.venue.hides_legs = true;
    world.submit_as(1, Side::Buy, 10, limit(100), bracket());
    world.calm_for(secs(10));
    assert!(!world.machine.books.open_orders().any(|order| order.broker_id().is_none()));
    world.venue.fill(0, 10);
    world.venue.fill(2, 10);
    resolve(&mut world);
    assert_eq!((position(&world), alerts(&world)), (Qty::ZERO, 0));
}

#[test]
fn a_bracket_of_unknown_outcome_is_resolved_with_its_legs() {
    let check = |post: Post, open: usize| {
        let mut world = World::new();
        world.next_post = post;
        world.submit_as(1, Side::Buy, 10, limit(100), bracket());
        world.calm_for(secs(50));
        assert_eq!(world.machine.books.open_count(), 3, "{post:?}: reserved");
        resolve(&mut world);
        assert_eq!(world.machine.books.open_count(), open, "{post:?}");
        assert_eq!(world.disk.orders.values().filter(|row| row.is_open).count(), open, "{post:?}");
    };
    check(Post::AnswerLost, 3);
    check(Post::Late(secs(40)), 3);
    check(Post::Lost, 0);
}

#[test]
fn a_bracket_that_does_not_leave_leaves_no_leg_behind() {
    for post in [Post::NoLease, Post::Rejected] {
        let mut world = World::new();
        world.next_post = post;
        world.submit_as(1, Side::Buy, 10, limit(100), bracket());
        resolve(&mut world);
        assert_eq!(world.machine.books.open_count(), 0, "{post:?}");
        assert!(world.disk.orders.values().all(|row| !row.is_open), "{post:?}");
    }
}

#[test]
fn alpaca_py_198_the_end_of_the_stop_loss_is_not_streamed() {
    let mut world = with_bracket();
    world.venue.hides_ends_of_legs = true;
    world.venue.fill(0, 10);
    world.venue.fill(1, 10);
    world.hear_all();
    world.calm_for(secs(3));
    assert_eq!(world.machine.books.open_count(), 0, "its sibling's end is reason to ask");
    world.calm_for(secs(3600));
    assert_eq!(world.suspicions(), 0, "that is no fault of the connection");
}

#[test]
fn alpaca_trade_api_python_322_held_legs_are_missing_in_lists() {
    let mut world = with_bracket();
    world.venue.lists_no_held = true;
    world.machine.input(DeskInput::OrderStreamUp, world.now);
    world.calm_for(secs(300));
    assert_eq!(world.machine.books.open_count(), 3, "held is open, listed or not");
    assert!(world.machine.books.is_order_stream_up());
    assert_eq!(alerts(&world), 0);
}

#[test]
fn exits_of_a_bracket_survive_a_restart_and_are_cancelled_by_their_parents_id() {
    let mut world = with_bracket();
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm();
    world.crash();
    world.calm_for(secs(10));
    assert_eq!(world.machine.books.open_count(), 2);
    world.told.clear();
    world.cancel(1);
    resolve(&mut world);
    assert_eq!(world.machine.books.open_count(), 0);
    assert!(told_of_legs(&world).contains(&(1, Leg::StopLoss, "Canceled".to_owned())));
}

#[test]
fn shares_of_exits_that_filled_while_no_host_ran_are_counted() {
    let mut world = with_bracket();
    world.venue.fill(0, 10);
    world.venue.fill(2, 10);
    world.venue.stream.clear();
    world.crash();
    resolve(&mut world);
    assert_eq!((position(&world), world.machine.books.open_count()), (Qty::ZERO, 0));
}

#[test]
fn a_cancelled_entry_ends_its_exits() {
    let mut world = with_bracket();
    world.cancel(1);
    world.calm_for(secs(5));
    assert_eq!((world.machine.books.open_count(), world.venue.open().len()), (0, 0));
    assert_eq!(world.machine.stats.read().cancels, 1, "the broker ends the rest");
}

#[test]
fn cancel_all_that_comes_too_late_for_an_entry_cancels_its_exits() {
    let mut world = with_bracket();
    world.machine.input(DeskInput::CancelStrategy(name()), world.now);
    world.venue.fill(0, 10);
    world.hear_all();
    resolve(&mut world);
    assert_eq!((position(&world), world.machine.books.open_count()), (qty(10), 0));
}

#[test]
fn exits_add_nothing_to_what_the_position_may_become() {
    let mut world = with_bracket();
    let worst = |world: &World| world.machine.books.worst_position(&spy());
    let pending = |world: &World| world.machine.books.pending(&spy(), Side::Sell);
    assert_eq!((worst(&world), pending(&world)), (qty(10), Qty::ZERO));
    world.venue.fill(0, 10);
    world.hear_all();
    assert_eq!((worst(&world), pending(&world)), (qty(10), qty(10)), "one of both fills");
    world.venue.fill(1, 4);
    world.hear_all();
    assert_eq!((worst(&world), pending(&world)), (qty(6), qty(6)));

    // Two exits of which the order itself is one.
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    world.hear_all();
    world.submit_as(2, Side::Sell, 10, limit(104), oco());
    world.calm();
    assert_eq!((worst(&world), pending(&world)), (qty(10), qty(10)));
    world.venue.fill(1, 4);
    world.hear_all();
    assert_eq!((worst(&world), pending(&world)), (qty(6), qty(6)));
}

#[test]
fn a_replacement_takes_the_place_and_no_share_counts_twice() {
    for counts_apart in [false, true] {
        for (before, after) in [(0, 10), (3, 7), (6, 4), (6, 1)] {
            let mut world = with_limit();
            world.venue.counts_apart = counts_apart;
            world.venue.fill(0, before);
            world.hear_all();
            world.replace(1, 2, to_limit(101));
            world.calm();
            world.hear_all();
            world.calm();
            assert_eq!(world.venue.posts.values().max(), Some(&1));
            assert_eq!(position(&world), qty(before), "{counts_apart} {before}");
            assert_eq!(world.machine.books.pending(&spy(), Side::Buy), qty(10 - before));
            world.venue.fill(1, after);
            world.hear_all();
            world.calm();
            assert_eq!(position(&world), world.venue.position(), "{counts_apart} {before} {after}");
            resolve(&mut world);
        }
    }
}

#[test]
fn alpaca_api_165_the_quantity_of_a_replacement_is_the_total() {
    let mut world = with_limit();
    world.venue.fill(0, 4);
    world.hear_all();
    world.replace(1, 2, to_qty(12));
    world.calm();
    world.hear_all();
    world.calm();
    assert_eq!(world.machine.books.worst_position(&spy()), qty(12));
    world.venue.fill(1, i64::MAX);
    world.hear_all();
    resolve(&mut world);
    assert_eq!(position(&world), qty(12));
}

#[test]
fn the_old_order_fills_before_its_replacement_arrives() {
    let mut world = with_limit();
    world.venue.replaces_slowly = true;
    world.replace(1, 2, to_limit(101));
    world.calm();
    assert_eq!(world.machine.books.worst_position(&spy()), qty(10), "only one of both fills");
    world.venue.fill(0, 10);
    world.venue.finish_replace(0);
    world.hear_all();
    resolve(&mut world);
    assert_eq!((position(&world), world.machine.books.open_count()), (qty(10), 0));
    assert_eq!(told(&world).last().map(String::as_str), Some("Rejected"), "the replacement");
}

#[test]
fn the_old_order_fills_in_part_while_it_is_replaced_in_any_order_of_news() {
    for reversed in [false, true] {
        let mut world = with_limit();
        world.venue.replaces_slowly = true;
        world.replace(1, 2, to_limit(101));
        world.calm();
        world.venue.fill(0, 4);
        world.venue.finish_replace(0);
        world.venue.fill(1, 3);
        if reversed {
            world.venue.stream = world.venue.stream.drain(..).rev().collect();
        }
        world.hear_all();
        resolve(&mut world);
        assert_eq!(position(&world), qty(7));
    }
}

#[test]
fn alpaca_trade_api_python_306_a_replacement_right_after_the_post_is_not_sent() {
    let mut world = World::new();
    world.venue.queues = true;
    world.submit_as(1, Side::Buy, 10, limit(100), OrderClass::Simple);
    world.replace(1, 2, to_limit(101));
    world.calm();
    world.replace(1, 3, to_limit(101));
    world.calm();
    assert_eq!(told(&world).iter().filter(|word| *word == "not-replaceable").count(), 2);
    assert_eq!(world.venue.posts.len(), 1);
}

#[test]
fn a_replacement_of_unknown_outcome_is_asked_for_and_never_repeated() {
    let check = |post: Post, standing: usize| {
        let mut world = with_limit();
        world.next_post = post;
        world.replace(1, 2, to_limit(101));
        world.calm_for(secs(50));
        assert_eq!(world.machine.books.worst_position(&spy()), qty(10), "{post:?}");
        resolve(&mut world);
        world.venue.fill(standing, 10);
        world.hear_all();
        resolve(&mut world);
        assert_eq!(position(&world), qty(10), "{post:?}");
    };
    check(Post::AnswerLost, 1);
    check(Post::Late(secs(40)), 1);
    check(Post::Lost, 0);
    check(Post::Rejected, 0);
    check(Post::NoLease, 0);
    check(Post::RejectedButThere, 1);
}

#[test]
fn what_cannot_be_replaced_is_refused() {
    let check = |change: Change, expected: &str| {
        let mut world = with_limit();
        world.venue.fill(0, 4);
        world.hear_all();
        world.replace(1, 2, change);
        world.calm();
        assert_eq!(told(&world).last().map(String::as_str), Some(expected), "{change:?}");
        assert_eq!(world.venue.posts.len(), 1, "{change:?}");
    };
    check(Change::default(), "not-replaceable");
    check(to_limit(100), "not-replaceable");
    check(to_qty(4), "not-replaceable");
    check(Change { qty: Some("10.5".parse().expect("a quantity")), ..Change::default() }, "not-replaceable");
    check(Change { stop_price: Some(price(99)), ..Change::default() }, "unsupported-order");
    let mut world = with_limit();
    world.replace(7, 2, to_limit(101));
    world.calm();
    assert_eq!(told(&world).last().map(String::as_str), Some("unknown-order"));
    world.cancel(1);
    world.lost_cancels = 1;
    world.replace(1, 2, to_limit(101));
    world.calm();
    assert!(told(&world).contains(&"not-replaceable".to_owned()), "it is being cancelled");
    let mut world = with_bracket();
    world.replace(1, 2, to_qty(5));
    world.calm();
    assert_eq!(told(&world).last().map(String::as_str), Some("not-replaceable"), "a bracket keeps its size");
}

#[test]
fn a_cancel_while_a_replacement_is_under_way_means_both() {
    for id in [1, 2] {
        let mut world = with_limit();
        world.venue.replaces_slowly = true;
        world.replace(1, 2, to_limit(101));
        world.calm();
        world.cancel(id);
        world.calm_for(secs(5));
        world.venue.finish_replace(0);
        world.hear_all();
        resolve(&mut world);
        assert_eq!(world.venue.open().len(), 0, "cancelled by {id}");
    }
    // Afterwards the old id means what took its place.
    let mut world = with_limit();
    world.replace(1, 2, to_limit(101));
    world.calm();
    world.hear_all();
    world.cancel(1);
    resolve(&mut world);
    assert_eq!(world.venue.open().len(), 0);
}

#[test]
fn the_exits_of_an_entry_go_on_with_its_replacement() {
    let mut world = with_bracket();
    world.replace(1, 2, to_limit(101));
    world.calm();
    world.hear_all();
    world.calm();
    assert_eq!(world.machine.books.open_count(), 3);
    world.told.clear();
    world.venue.fill(3, 10);
    world.venue.fill(1, 10);
    world.hear_all();
    resolve(&mut world);
    assert_eq!(position(&world), Qty::ZERO);
    assert!(told_of_legs(&world).contains(&(1, Leg::TakeProfit, "fill 10".to_owned())));
}

#[test]
fn a_restart_in_the_middle_of_a_replacement_loses_and_doubles_nothing() {
    for steps in 0..4 {
        for counts_apart in [false, true] {
            let mut world = with_limit();
            world.venue.counts_apart = counts_apart;
            world.venue.replaces_slowly = true;
            world.venue.fill(0, 3);
            world.hear_all();
            world.replace(1, 2, to_limit(101));
            for _ in 0..steps {
                let actions = world.turn();
                world.run(actions);
            }
            world.venue.fill(0, 2);
            world.venue.finish_replace(0);
            world.venue.stream.clear();
            world.crash();
            world.calm_for(secs(100));
            world.venue.fill(world.venue.newest(), 5);
            world.venue.stream.clear();
            world.crash();
            resolve(&mut world);
            assert_eq!(position(&world), qty(10), "after {steps} steps, apart: {counts_apart}");
        }
    }
}

#[test]
fn alpaca_api_111_pending_cancel_for_ever_stays_open_and_is_asked_for() {
    let mut world = with_limit();
    world.venue.stand(0, OrderStatus::PendingCancel);
    world.hear_all();
    world.calm_for(secs(3600));
    assert_eq!(world.machine.books.open_count(), 1, "no end without the broker's word");
    assert_eq!(world.machine.books.pending(&spy(), Side::Buy), qty(10));
    world.venue.fill(0, 10);
    resolve(&mut world);
    assert_eq!(position(&world), qty(10));
}

#[test]
fn done_for_day_is_no_end() {
    let mut world = with_limit();
    world.venue.stand(0, OrderStatus::DoneForDay);
    world.hear_all();
    world.calm_for(secs(3600));
    assert_eq!(world.machine.books.open_count(), 1);
}

#[test]
fn alpaca_api_71_filled_and_cancelled_at_once_is_filled() {
    let mut world = with_limit();
    world.venue.cancel(0);
    let mut filled = world.venue.stream.back().expect("told").clone();
    world.hear_all();
    filled.order.status = OrderStatus::Filled;
    filled.order.filled_qty = qty(10);
    filled.order.filled_avg_price = Some(price(100));
    world.machine.input(DeskInput::Update(filled), world.now);
    world.calm();
    assert_eq!(position(&world), qty(10));
    assert_eq!(told(&world).last().map(String::as_str), Some("Filled"));
}

#[test]
fn nautilus_trader_4564_a_second_order_under_one_id_is_told_to_a_human() {
    let mut world = with_limit();
    let mut twin = world.venue.orders[0].shown.clone();
    twin.id = BrokerOrderId::new("another");
    world.machine.listed(Ok(vec![twin]), world.now);
    world.calm();
    assert_eq!((alerts(&world), world.machine.books.open_count()), (1, 1));
}

#[test]
fn lean_41_a_repeated_fill_counts_once() {
    let mut world = with_limit();
    world.venue.fill(0, 4);
    for _ in 0..3 {
        let update = world.venue.stream.back().expect("told").clone();
        world.machine.input(DeskInput::Update(update), world.now);
    }
    world.hear_all();
    world.calm_for(secs(60));
    assert_eq!(position(&world), qty(4));
    assert_eq!(told(&world).iter().filter(|word| *word == "fill 4").count(), 1);
}

#[test]
fn trading_signals_1178_and_hummingbot_3374_a_post_is_never_repeated() {
    let mut world = World::new();
    for (id, post) in
        [Post::Lost, Post::AnswerLost, Post::Late(secs(20)), Post::Rejected].into_iter().enumerate()
    {
        world.next_post = post;
        world.submit(id as u64, Side::Buy, 10);
        world.calm_for(secs(100));
    }
    // The world panics at a second POST under one id.
    assert_eq!(world.venue.posts.len(), 4);
    assert!(world.venue.posts.values().all(|count| *count == 1));
}

#[test]
fn freqtrade_11461_an_order_is_over_only_by_the_brokers_word() {
    let mut world = with_limit();
    world.lost_cancels = u32::MAX;
    world.cancel(1);
    world.calm_for(secs(3600));
    assert_eq!(world.machine.books.open_count(), 1, "asked for and never confirmed");
    world.venue.fill(0, 10);
    resolve(&mut world);
    assert_eq!(position(&world), qty(10));
}

#[test]
fn a_trade_that_is_taken_back_is_not_booked_but_told() {
    for word in ["trade_bust", "trade_correct"] {
        let mut world = with_limit();
        world.venue.fill(0, 4);
        world.hear_all();
        world.calm();
        world.venue.tell_oddity(0, word, 4);
        let update = world.venue.stream.pop_front().expect("told");
        world.machine.input(DeskInput::Update(update), world.now);
        assert!(world.machine.books.disputed(&spy()).is_some(), "{word}: only what reduces is sent");
        world.calm();
        assert_eq!((position(&world), alerts(&world)), (qty(4), 1), "{word}");
        world.calm_for(secs(120));
        assert_eq!(world.machine.books.disputed(&spy()), None, "{word}: the positions agree");
    }
}

#[test]
fn a_trailing_stop_lives_like_any_order() {
    let mut world = World::new();
    let kind = OrderKind::TrailingStop { trail: Trail::Price(price(1)) };
    world.submit_as(1, Side::Sell, 10, kind, OrderClass::Simple);
    world.calm();
    world.venue.fill(0, 10);
    world.hear_all();
    resolve(&mut world);
    assert_eq!(position(&world), qty(-10));
}

#[test]
fn the_audit_log_has_one_shape_for_an_operators_cancel_and_a_bots_fill() {
    let mut world = with_limit();
    world.venue.fill(0, 4);
    world.hear_all();
    let client_id = world.venue.orders[0].shown.ours().expect("ours");
    let operator = "ann".to_owned();
    let by_hand = |client_id| {
        DeskInput::Instruction(Instruction {
            ticket: 1,
            operator: operator.clone(),
            reason: "too large".into(),
            deed: Deed::Cancel(CancelScope::Order(client_id)),
        })
    };
    world.machine.input(by_hand(client_id.clone()), world.now);
    resolve(&mut world);
    world.machine.input(by_hand(client_id), world.now);
    world.submit_as(2, Side::Buy, 10, limit(100), OrderClass::Simple);
    world.calm();
    world.venue.cancel(1);
    world.hear_all();
    resolve(&mut world);
    let expected = [
        "sma: submit: buy 10 limit 100 gtc",
        "broker: fill: buy 4 at 101",
        "ann: cancel: too large",
        "ann: cancel: too large (nothing of it is open)",
        "sma: submit: buy 10 limit 100 gtc",
        "broker: end: cancelled by the broker or by somebody past us, 0 of 10 filled",
    ];
    assert_eq!(audits(&world), expected);
}

#[test]
fn the_story_of_an_order_that_was_not_recorded_is_not_told() {
    let mut world = World::new();
    world.disk_works = false;
    world.submit_as(1, Side::Buy, 10, limit(100), bracket());
    world.calm_for(secs(5));
    assert_eq!(world.machine.books.open_count(), 0);
    world.disk_works = true;
    world.calm_for(secs(60));
    assert!(audits(&world).is_empty());
    assert!(world.disk.orders.is_empty(), "nor are its legs");
    assert!(world.venue.posts.is_empty());
}
