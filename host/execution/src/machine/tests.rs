//! The machine against a broker, a disk and a network that fail, in virtual time.

mod cash;
mod coming;
mod commits;
mod facts;
mod hearing;
mod leaving;
mod lines;
mod lives;
mod local;
mod lost;
mod operator;
mod pace;
mod pacing;
mod pause;
mod quality;
mod recall;
mod still;
mod storm;
mod venue;
mod world;

use sandpit_types::{Intent, OrderStatus, Qty, Refusal, Side, Signal};

use self::world::{Post, World, secs};
use super::*;

/// The statuses and refusals that the strategy was told, in order.
fn told(world: &World) -> Vec<String> {
    let word = |output: &DeskOutput| match output {
        DeskOutput::Order { update, .. } => Some(format!("{:?}", update.status)),
        DeskOutput::Fill { fill, .. } => Some(format!("fill {}", fill.qty)),
        DeskOutput::Refused { refusal, .. } => Some(refusal.to_string()),
        DeskOutput::SubBook { .. }
        | DeskOutput::Introduction { .. }
        | DeskOutput::Account(_)
        | DeskOutput::StreamSuspect { .. }
        | DeskOutput::Answer { .. }
        | DeskOutput::Alert(_) => None,
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
fn shares_of_an_order_taken_for_gone_are_found_though_the_stream_is_mute() {
    let mut world = World::new();
    world.next_post = Post::Late(secs(300));
    world.submit(1, Side::Buy, 10);
    world.calm_for(secs(310));
    assert_eq!(world.machine.books.open_count(), 0, "taken for gone");
    world.venue.fill(0, 10);
    world.venue.stream.clear();
    world.calm_for(secs(180));
    assert_eq!(world.machine.books.position(&world::spy()), world::qty(10));
    world.calm_for(secs(60));
    assert_eq!(world.machine.books.disputed(&world::spy()), None);
    assert_eq!(world.machine.stats.read().never_arrived, 1);

    // It is not there after all: asked once, and told once.
    let mut world = World::new();
    world.next_post = Post::Lost;
    world.submit(1, Side::Buy, 10);
    world.calm_for(secs(100));
    world.look_ups = 0;
    let mut by_hand = world.position();
    by_hand.qty = world::qty(7);
    for _ in 0..3 {
        world.machine.disputes.begin();
        world.machine.positions_read(Ok(vec![by_hand.clone()]), world.now);
        world.calm_for(secs(1));
    }
    assert_eq!((world.look_ups, world.machine.stats.read().never_arrived), (1, 1));
}

#[test]
fn an_order_that_comes_to_light_after_all_is_still_cancelled() {
    let mut world = World::new();
    world.next_post = Post::Late(secs(300));
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.cancel(1);
    world.calm_for(secs(200));
    assert_eq!(world.machine.books.open_count(), 0);
    world.calm_for(secs(200));
    world.hear_all();
    world.calm_for(secs(10));
    assert_eq!(world.venue.orders[0].shown.status, OrderStatus::Canceled);
}

#[test]
fn an_order_that_the_broker_has_forgotten_blocks_nothing_and_stays_reserved() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm_for(secs(100));
    // The account is reset.
    world.venue.orders.clear();
    world.venue.stream.clear();
    world.machine.input(DeskInput::OrderStreamDown, world.now);
    world.machine.input(DeskInput::OrderStreamUp, world.now);
    world.calm();
    assert!(world.machine.books.is_order_stream_up(), "every question is answered");
    assert_eq!((world.machine.books.open_count(), alerts(&world)), (1, 0), "one answer proves little");
    world.submit(2, Side::Buy, 10);
    world.calm();
    assert_eq!(world.venue.posts.len(), 2);
    world.calm_for(secs(70));
    assert_eq!((world.machine.books.open_count(), alerts(&world)), (2, 1));
    world.look_ups = 0;
    world.calm_for(secs(3600));
    assert_eq!(
        (world.machine.books.open_count(), alerts(&world)),
        (2, 1),
        "it is not over, and was told once"
    );
    assert!((5..=7).contains(&world.look_ups), "asked {} times in an hour", world.look_ups);
}

#[test]
fn entries_wait_for_every_answer_about_what_the_list_lacks() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.venue.fill(0, 10);
    world.venue.stream.clear();
    world.machine.input(DeskInput::OrderStreamUp, world.now);
    for action in world.turn() {
        world.run(vec![action]);
    }
    let look_up = world.turn();
    assert!(matches!(look_up.as_slice(), [Action::Ask { .. }]), "{look_up:?}");
    assert!(!world.machine.books.is_order_stream_up());
    world.network_works = false;
    world.run(look_up);
    world.calm_for(secs(20));
    assert!(!world.machine.books.is_order_stream_up(), "no answer is no answer");
    world.network_works = true;
    world.calm_for(secs(60));
    assert!(world.machine.books.is_order_stream_up());
    assert_eq!(world.machine.books.position(&world::spy()), world::qty(10));
}

/// Runs a script of position reads and fills over an order of 100 shares: `begin` starts a read, `read=N`
/// ends it with N shares at the broker, `fill=N` is a fill of ours as we hear of it, `down` and `up` are the
/// stream's.
fn check_dispute(script: &str, disputed: Option<i64>, alerted: usize, ended: usize) {
    let mut world = World::new();
    world.submit(1, Side::Buy, 100);
    world.calm();
    for word in script.split_whitespace() {
        match word.split_once('=') {
            Some(("read", shares)) => {
                let mut at_broker = world.position();
                at_broker.qty = world::qty(shares.parse().expect(script));
                world.machine.positions_read(Ok(vec![at_broker]), world.now);
            }
            Some(("fill", shares)) => {
                world.venue.fill(0, shares.parse().expect(script));
                world.hear_all();
            }
            None if word == "down" => world.machine.input(DeskInput::OrderStreamDown, world.now),
            None if word == "up" => {
                world.machine.input(DeskInput::OrderStreamUp, world.now);
                world.calm();
            }
            _ => world.machine.disputes.begin(),
        }
    }
    assert_eq!(world.machine.books.disputed(&world::spy()), disputed.map(world::qty), "{script}");
    for action in world.turn() {
        if let Action::Commit(_) = action {
            world.run(vec![action]);
        }
    }
    assert_eq!(alerts(&world), alerted, "{script}");
    assert_eq!(world.disk.notices("dispute-over").len(), ended, "{script}");
}

#[test]
fn a_difference_from_the_broker_is_disputed_when_it_lasts() {
    check_dispute("begin read=10", None, 0, 0);
    check_dispute("begin read=10 begin read=10", Some(10), 1, 0);
    check_dispute("begin read=10 begin read=11", Some(11), 1, 0);
    // A fill that one side has seen before the other.
    check_dispute("begin read=4 fill=4 begin read=4", None, 0, 0);
    check_dispute("begin read=4 begin fill=4 read=4", None, 0, 0);
    check_dispute("begin read=4 begin fill=4 read=9", None, 0, 0);
    check_dispute("begin read=4 fill=4 begin read=8 fill=4 begin read=12 fill=4", None, 0, 0);
    check_dispute("begin read=4 begin fill=4 read=9 begin read=9", None, 0, 0);
    check_dispute("begin read=4 begin fill=4 read=9 begin read=9 begin read=9", Some(9), 1, 0);
    // Unheard fills may be the reason.
    check_dispute("down begin read=10 begin read=10 begin read=10", None, 0, 0);
    check_dispute("down begin read=10 begin read=10 up begin read=10", None, 0, 0);
    check_dispute("down begin read=10 up begin read=10 begin read=10", Some(10), 1, 0);
    // It follows the broker, and our fills in between.
    check_dispute("begin read=10 begin read=10 begin read=12 begin read=12", Some(12), 1, 0);
    check_dispute("begin read=10 begin read=10 fill=4", Some(14), 1, 0);
    check_dispute("begin read=10 begin read=10 fill=4 begin read=14", Some(14), 1, 0);
    // It ends when a read agrees that no fill has blurred; then a new one is told again.
    check_dispute("begin read=10 begin read=10 begin fill=4 read=4", Some(14), 1, 0);
    check_dispute("begin read=10 begin read=10 begin read=0", None, 1, 1);
    check_dispute("begin read=10 begin read=10 begin read=0 begin read=10 begin read=10", Some(10), 2, 1);
}

#[test]
fn a_difference_at_the_start_is_disputed_at_once() {
    let mut world = World::new();
    let mut at_broker = world.position();
    at_broker.qty = world::qty(7);
    let found = world.machine.first_positions(&[at_broker.clone()], world.now);
    assert_eq!(found.len(), 1);
    world.calm();
    assert_eq!(alerts(&world), 1);
    world.calm_for(secs(60));
    assert_eq!(world.machine.books.disputed(&world::spy()), None, "the broker holds nothing after all");

    // An order that is open may be the reason: nobody is told before it is certain.
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    assert!(world.machine.first_positions(&[at_broker], world.now).is_empty());
    assert_eq!(world.machine.books.disputed(&world::spy()), Some(Qty::new(7.into())));
    world.calm_for(secs(60));
    assert_eq!((world.machine.books.disputed(&world::spy()), alerts(&world)), (None, 0));
    assert!(world.disk.notices("dispute-over").is_empty());
}

#[test]
fn the_account_is_as_old_as_the_question() {
    let mut world = World::new();
    let asked_at = world.now + secs(10);
    world.now = asked_at;
    let read = world.turn();
    world.now = world.now + secs(5);
    world.run(read);
    assert_eq!(world.machine.review.asked_at, Some(asked_at));
}

#[test]
fn rows_of_a_strategy_that_is_refused_on_every_quote_are_bounded() {
    let mut world = World::new();
    world.now = world.now.minute() + secs(60);
    world.machine.input(DeskInput::OrderStreamDown, world.now);
    for id in 0..500 {
        world.submit(id, Side::Buy, 10);
        world.intent(Intent::Signal(Signal { symbol: None, reason: "again".into() }));
    }
    world.calm();
    assert_eq!(told(&world).len(), 500, "the strategy is told each refusal");
    let count = |world: &World, fits: fn(&Record) -> bool| {
        world.disk.story.iter().filter(|record| fits(record)).count() as u64
    };
    let refusals = |record: &Record| matches!(record, Record::Refusal { .. });
    let signals = |record: &Record| matches!(record, Record::Signal { .. });
    let kept = super::story::MAX_ROWS_PER_MINUTE;
    assert_eq!((count(&world, refusals), count(&world, signals)), (kept, kept));
    let counts = world.machine.stats.read().strategies[&world::name()].clone();
    assert_eq!((counts.refused, counts.not_kept), (500, 1000 - 2 * kept));
    assert!(world.disk.notices("not-kept").is_empty());
    world.calm_for(secs(60));
    assert_eq!(world.disk.notices("not-kept").len(), 1);
    assert!(world.disk.notices("not-kept")[0].ends_with("440 refusals and 440 signals are not kept"));
    // The next minute has its own, and a stop does not forget it.
    for id in 0..=kept {
        world.submit(id, Side::Buy, 10);
    }
    world.machine.input(DeskInput::Stop, world.now);
    world.calm();
    assert_eq!(count(&world, refusals), 2 * kept);
    assert_eq!(world.disk.notices("not-kept").len(), 2);
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
        sends.admit(
            id(sequence),
            Terms { deadline: MarketTime::EPOCH, reduces: sequence == 39, as_exit: sequence == 39 },
        );
        sends.ready(id(sequence));
    }
    assert_eq!(sends.next().map(|(id, _)| id.sequence), Some(39));
    let started = std::iter::from_fn(|| sends.next()).count();
    assert_eq!(started, 16, "and no more entries than may be under way");
    sends.ended(&id(0));
    assert_eq!(sends.next().map(|(id, _)| id.sequence), Some(16));
    assert!(sends.next().is_none());
}
