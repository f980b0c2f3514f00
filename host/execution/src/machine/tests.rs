//! The machine against a broker, a disk and a network that fail, in virtual time.

mod storm;
mod world;

use sandpit_types::{OrderStatus, Refusal, Side};

use self::world::{Post, World, secs};
use super::*;

/// The statuses and refusals that the strategy was told, in order.
fn told(world: &World) -> Vec<String> {
    let word = |output: &DeskOutput| match output {
        DeskOutput::Order { update, .. } => Some(format!("{:?}", update.status)),
        DeskOutput::Fill { fill, .. } => Some(format!("fill {}", fill.qty)),
        DeskOutput::Refused { refusal, .. } => Some(refusal.to_string()),
        DeskOutput::SubBook { .. } | DeskOutput::Account(_) | DeskOutput::Alert(_) => None,
    };
    world.told.iter().filter_map(word).collect()
}

fn alerts(world: &World) -> usize {
    world.told.iter().filter(|output| matches!(output, DeskOutput::Alert(_))).count()
}

#[test]
fn an_order_leaves_only_after_its_record() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    let actions = world.turn();
    assert!(matches!(actions.as_slice(), [.., Action::Commit(_)]), "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Submit { .. })));
    assert!(world.told.is_empty(), "told before it was written");
    world.run(actions);
    world.calm();
    assert_eq!(world.venue.posts.len(), 1);
    assert_eq!(told(&world), ["PendingNew", "New"]);
}

#[test]
fn a_record_that_cannot_be_written_sends_nothing() {
    let mut world = World::new();
    world.disk_works = false;
    world.submit(1, Side::Buy, 10);
    world.calm_for(secs(5));
    world.submit(2, Side::Buy, 10);
    world.calm_for(secs(5));
    assert!(world.venue.posts.is_empty());
    assert_eq!(world.machine.books.open_count(), 0, "nothing stays reserved");
    assert_eq!(alerts(&world), 1);
    world.disk_works = true;
    world.calm_for(secs(30));
    assert_eq!(told(&world), ["not-recorded", "not-recorded"]);
    world.submit(3, Side::Buy, 10);
    world.calm();
    assert_eq!(world.venue.posts.len(), 1);
}

#[test]
fn what_the_broker_did_is_written_when_the_disk_works_again() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.disk_works = false;
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm_for(secs(5));
    world.disk_works = true;
    world.calm_for(secs(30));
    world.crash();
    assert_eq!(world.machine.books.position(&world::spy()), world::qty(10));
    assert_eq!(world.machine.books.open_count(), 0);
}

#[test]
fn an_unknown_outcome_is_resolved_by_asking() {
    let check = |post: Post, expected: &[&str], open: usize, alerted: usize| {
        let mut world = World::new();
        world.next_post = post;
        world.submit(1, Side::Buy, 10);
        world.calm_for(secs(50));
        assert_eq!(world.machine.books.open_count(), 1, "{post:?}: the exposure stays reserved for a minute");
        world.calm_for(secs(100));
        assert_eq!(told(&world), expected, "{post:?}");
        assert_eq!(world.machine.books.open_count(), open, "{post:?}");
        assert_eq!(alerts(&world), alerted, "{post:?}");
        assert!(world.venue.posts.values().all(|posts| *posts == 1), "{post:?}: sent again");
    };
    check(Post::AnswerLost, &["PendingNew", "New"], 1, 0);
    check(Post::Lost, &["PendingNew", "Rejected"], 0, 1);
    check(Post::Late(secs(40)), &["PendingNew", "New"], 1, 0);
}

#[test]
fn an_order_that_comes_to_light_after_all_counts_again() {
    let mut world = World::new();
    world.next_post = Post::Late(secs(300));
    world.submit(1, Side::Buy, 10);
    world.calm_for(secs(200));
    assert_eq!(world.machine.books.open_count(), 0);
    world.calm_for(secs(200));
    // There is nothing to poll for, so the stream tells.
    world.hear_all();
    world.calm();
    assert_eq!(world.machine.books.open_count(), 1);
    assert_eq!(alerts(&world), 2, "never arrived, and there after all");
}

#[test]
fn what_does_not_leave_is_refused_by_its_reason() {
    let check = |post: Post, expected: &[&str]| {
        let mut world = World::new();
        world.next_post = post;
        world.submit(1, Side::Buy, 10);
        world.calm_for(secs(100));
        assert_eq!(told(&world), expected, "{post:?}");
        assert_eq!(world.machine.books.open_count(), 0, "{post:?}");
    };
    check(Post::NoLease, &["PendingNew", "Canceled", "no-lease"]);
    check(Post::Rejected, &["PendingNew", "Rejected"]);
    check(Post::RejectedButThere, &["PendingNew", "Rejected", "fill 10", "Filled"]);
}

#[test]
fn a_late_intent_is_refused_not_sent() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    let commit = world.turn();
    world.now = world.now + world::TIME_TO_LIVE + secs(1);
    world.run(commit);
    world.calm();
    assert!(world.venue.posts.is_empty());
    assert_eq!(told(&world), ["PendingNew", "Canceled", "late"]);
}

#[test]
fn races_of_fill_answer_and_cancel() {
    // The stream is faster than the answer.
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.accept_without_answer();
    world.venue.fill(0, 4);
    world.hear_all();
    world.calm();
    assert_eq!(told(&world), ["PendingNew", "New", "fill 4", "PartiallyFilled"]);
    assert_eq!(world.machine.books.position(&world::spy()), world::qty(4));

    // A cancel before the answer is remembered.
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.accept_without_answer();
    world.cancel(1);
    world.hear_all();
    world.calm_for(secs(10));
    assert_eq!(told(&world).last().map(String::as_str), Some("Canceled"));
    assert_eq!(world.venue.orders[0].shown.status, OrderStatus::Canceled);

    // A cancel before the order left: it never does.
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.cancel(1);
    world.calm();
    assert!(world.venue.posts.is_empty());
    assert_eq!(told(&world), ["PendingNew", "Canceled"]);

    // The cancel comes after the fill.
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    world.cancel(1);
    world.calm_for(secs(10));
    assert_eq!(told(&world).iter().filter(|word| *word == "fill 10").count(), 1);
    assert_eq!(world.machine.books.open_count(), 0);
    world.cancel(1);
    world.calm();
    assert_eq!(told(&world).last().map(String::as_str), Some("unknown-order"));
}

#[test]
fn a_lost_cancel_is_repeated_until_its_end_is_seen() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.lost_cancels = 3;
    world.machine.input(DeskInput::CancelStrategy(world::name()), world.now);
    world.calm_for(secs(60));
    assert_eq!(world.lost_cancels, 0);
    assert_eq!(told(&world).last().map(String::as_str), Some("Canceled"));
}

#[test]
fn a_fill_that_the_stream_never_told_is_found_by_polling() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    world.venue.stream.clear();
    world.calm_for(secs(60));
    assert_eq!(told(&world), ["PendingNew", "New", "fill 10", "Filled"]);
}

#[test]
fn entries_wait_until_the_stream_has_caught_up() {
    let mut world = World::new();
    assert!(world.machine.books.is_order_stream_up());
    world.machine.input(DeskInput::OrderStreamDown, world.now);
    world.submit(1, Side::Buy, 10);
    world.calm();
    assert_eq!(told(&world), ["order-stream-down"]);
    world.machine.input(DeskInput::OrderStreamUp, world.now);
    world.submit(2, Side::Buy, 10);
    world.calm();
    assert_eq!(told(&world), ["order-stream-down", "order-stream-down"], "not before the broker was asked");
    world.submit(3, Side::Buy, 10);
    world.calm();
    assert_eq!(world.venue.posts.len(), 1);
}

#[test]
fn an_id_is_one_order_in_one_life() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.submit(1, Side::Buy, 10);
    world.calm();
    assert_eq!(world.venue.posts.len(), 1);
    assert_eq!(told(&world).iter().filter(|word| **word == Refusal::DuplicateId.to_string()).count(), 2);
    world.incarnation += 1;
    world.submit(1, Side::Buy, 10);
    world.calm();
    assert_eq!(world.venue.posts.len(), 2);
}

#[test]
fn an_order_that_the_disk_lost_is_adopted_with_its_fills() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 4);
    world.disk = world::Disk::default();
    world.crash();
    world.calm_for(secs(10));
    assert_eq!(world.machine.books.position(&world::spy()), world::qty(4));
    assert_eq!(world.machine.books.open_count(), 1);
    // The same execution again, by the stream.
    world.hear_all();
    world.calm();
    assert_eq!(world.machine.books.position(&world::spy()), world::qty(4));
}

#[test]
fn a_drain_takes_no_orders_and_a_foreign_order_is_left_alone() {
    let mut world = World::new();
    world.venue.place_by_hand();
    world.machine.input(DeskInput::OrderStreamUp, world.now);
    world.calm();
    assert_eq!(world.machine.books.open_count(), 0);
    world.machine.input(DeskInput::Drain, world.now);
    world.submit(1, Side::Buy, 10);
    world.calm();
    assert_eq!(told(&world), ["frozen"]);
    assert_eq!(world.machine.unresolved(), 0);
}

#[test]
fn reducing_orders_do_not_wait_behind_entries() {
    use super::sends::{Sends, Terms};
    let mut sends = Sends::default();
    let id =
        |sequence| ClientOrderId { strategy: world::name(), epoch: sandpit_types::HostEpoch(1), sequence };
    for sequence in 0..40 {
        sends.admit(id(sequence), Terms { deadline: MarketTime::EPOCH, reduces: sequence == 39 });
        sends.ready(id(sequence));
    }
    assert_eq!(sends.next().map(|(id, _)| id.sequence), Some(39));
    let started = std::iter::from_fn(|| sends.next()).count();
    assert_eq!(started, 16, "and no more entries than may be under way");
    sends.ended(&id(0));
    assert_eq!(sends.next().map(|(id, _)| id.sequence), Some(16));
    assert!(sends.next().is_none());
}
