//! A database that refuses, hangs, or is away for long.

use sandpit_store::{Record, StoreError};
use sandpit_types::{Qty, Side};

use super::{super::*, alerts, told, world, world::World, world::secs};

/// Two orders at the broker, of which the first has filled a part.
fn traded() -> (World, ClientOrderId) {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.submit(2, Side::Buy, 5);
    world.calm();
    world.told.clear();
    let first = world.disk.orders.keys().next().expect("two orders").clone();
    (world, first)
}

#[test]
fn what_the_database_never_takes_is_put_aside_and_all_else_goes_on() {
    let (mut world, first) = traded();
    world.disk.poison = Some(first.clone());
    world.venue.fill(0, 4);
    world.venue.fill(1, 5);
    world.hear_all();
    // An exit in the same commit as what is refused.
    world.submit(3, Side::Sell, 2);
    world.calm();
    assert_eq!(world.venue.posts.len(), 3, "{:?}", told(&world));
    assert_eq!(world.disk.fills.len(), 1, "the other order's");
    let put_aside = world.disk.notices("put-aside");
    assert!(put_aside.len() == 1 && put_aside[0].contains(&first.to_string()), "{put_aside:?}");
    assert_eq!((alerts(&world), world.machine.stats.read().put_aside), (1, 4));
    assert!(world.machine.is_saved());
    let held = world.disk.sub_books.values().map(|row| row.qty).collect::<Vec<_>>();
    assert_eq!(held, [world.machine.books.position(&world::spy())], "as it stands, not as it stood");
    // From now on it goes by itself: no other commit fails for it.
    let failed = world.machine.stats.read().failed_commits;
    world.venue.fill(0, 1);
    world.hear_all();
    world.submit(4, Side::Sell, 2);
    world.calm();
    assert_eq!(world.venue.posts.len(), 4);
    assert_eq!(world.machine.stats.read().failed_commits, failed + 1);
    // And back, when the database takes it.
    world.disk.poison = None;
    world.venue.fill(0, 5);
    world.hear_all();
    world.calm();
    world.crash();
    assert_eq!(world.machine.books.position(&world::spy()), world::qty(15));
}

#[test]
fn an_order_whose_row_is_gone_is_written_again_before_its_change() {
    let (mut world, first) = traded();
    world.disk.has_constraints = true;
    world.disk.orders.remove(&first);
    world.venue.fill(0, 4);
    world.hear_all();
    world.submit(3, Side::Sell, 2);
    world.calm();
    assert_eq!(world.venue.posts.len(), 3);
    assert_eq!(world.disk.orders[&first].filled_qty, world::qty(4));
    assert_eq!((alerts(&world), world.disk.notices("put-aside").len()), (0, 0));
}

#[test]
fn a_commit_that_hangs_stops_orders_and_is_waited_for() {
    let (mut world, _) = traded();
    world.venue.fill(0, 4);
    world.hear_all();
    let commit = world.turn();
    assert!(matches!(commit.as_slice(), [Action::Commit(_)]), "{commit:?}");
    world.calm_for(secs(2));
    assert_eq!(alerts(&world), 0);
    world.calm_for(secs(2));
    world.calm_for(secs(60));
    assert_eq!((alerts(&world), world.machine.stats.read().late_commits), (1, 1));
    world.submit(3, Side::Sell, 2);
    world.calm();
    assert_eq!(told(&world), ["not-recorded"], "nothing is told before its record, but that it is refused");
    world.run(commit);
    world.calm();
    assert!(told(&world).contains(&"fill 4".to_owned()), "{:?}", told(&world));
    world.submit(4, Side::Sell, 2);
    world.calm();
    assert_eq!(world.venue.posts.len(), 3);
}

#[test]
fn what_waits_in_an_outage_is_bounded_and_its_beginning_is_kept() {
    let (mut world, _) = traded();
    world.disk_works = false;
    world.venue.fill(0, 4);
    world.hear_all();
    world.calm();
    for equity in 0..500 {
        world.machine.review.facts.push(("peak-equity", equity.to_string()));
        world.calm_for(secs(20));
    }
    let mut ledger = Ledger::new(secs(3));
    let fact = |n: u32| Record::Fact { name: "peak-equity", value: Some(n.to_string()) };
    ledger.record(fact(0));
    assert!(matches!(ledger.next(world.now), Next::Commit(_)));
    ledger.record(Record::Alert { time: world.now, text: "first".into() });
    ledger.failed(world.now, 0);
    for n in 1..10_000 {
        ledger.record(fact(n));
    }
    let Next::Commit(records) = ledger.next(world.now + secs(60)) else { panic!("it is time") };
    assert_eq!(records.iter().filter(|record| matches!(record, Record::Fact { .. })).count(), 1);
    assert!(records.contains(&fact(9_999)));
    // Effects: what is held is the newest word, fills are forgotten when there are too many.
    let sub_book = |shares: i64| {
        let (strategy, symbol) = (world::name(), world::spy());
        let (qty, avg_price) = (Qty::new(shares.into()), sandpit_types::Price::ZERO);
        Then::Tell(Box::new(DeskOutput::SubBook { strategy, symbol, qty, avg_price }))
    };
    let other = || Then::Tell(Box::new(DeskOutput::Alert("any".into())));
    ledger.then(sub_book(1));
    let kept = (0..20_000).filter(|_| ledger.then(other())).count();
    assert_eq!(kept, 9_999, "one place is the sub-book's");
    assert!(ledger.then(sub_book(2)), "it takes the place of the older word");
    ledger.committed();
    while let Next::Commit(_) = ledger.next(world.now + secs(60)) {
        let then = ledger.committed();
        assert!(then.len() <= 10_000);
    }
    // The first alert of the outage is written when it is over.
    world.disk_works = true;
    world.calm_for(secs(30));
    let is_first =
        |record: &Record| matches!(record, Record::Alert { text, .. } if text.contains("disk is full"));
    assert_eq!(world.disk.story.iter().filter(|record| is_first(record)).count(), 1);
}

#[test]
fn a_database_that_is_lost_for_good_ends_the_desk() {
    let (mut world, _) = traded();
    world.venue.fill(0, 4);
    world.hear_all();
    world.turn();
    let lost = StoreError::Vanished { database: "db".into() };
    assert!(lost.is_final());
    world.machine.outcome(Outcome::Committed(Err(lost)), world.now);
    assert_eq!(world.machine.mode, Mode::Stopping);
    assert!(world.machine.broken.as_deref().is_some_and(|why| why.contains("moved")));
}
