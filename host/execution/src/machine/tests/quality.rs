//! How well orders fill, as it is counted; and the freeze that a signal wants.

use sandpit_store::facts;
use sandpit_types::{OrderClass, OrderKind, Price, Side, TimeInForce, Usd};

use super::{
    cash::settled,
    told,
    world::{World, market, name, secs},
    *,
};
use crate::{QualityCounts, machine::quality::IN_TIME};

fn counts(world: &World) -> QualityCounts {
    world.machine.stats.read().quality
}

/// Orders of this kind are sent; then `happens`, and 60 s pass. How many were due, and how many in time.
fn judged(kind: OrderKind, happens: impl FnOnce(&mut World)) -> (u64, u64) {
    let mut world = World::new();
    world.submit_as(1, Side::Buy, 10, kind, OrderClass::Simple);
    world.calm();
    happens(&mut world);
    world.hear_all();
    world.calm_for(secs(60));
    let QualityCounts { due, in_time, .. } = counts(&world);
    (due, in_time)
}

fn limit(cents: i64) -> OrderKind {
    OrderKind::Limit { limit_price: Price::from_nanos(cents * 10_000_000) }
}

#[test]
fn only_what_had_to_fill_is_judged_and_only_once() {
    let fill = |world: &mut World| world.venue.fill(0, 10);
    let late = |world: &mut World| {
        world.calm_for(IN_TIME + secs(1));
        world.venue.fill(0, 10);
    };
    let in_parts = |world: &mut World| {
        world.venue.fill(0, 9);
        world.calm_for(IN_TIME + secs(1));
        world.venue.fill(0, 1);
    };
    let cancel = |world: &mut World| {
        world.cancel(1);
        world.calm();
    };
    let expire = |world: &mut World| {
        world.venue.stand(0, sandpit_types::OrderStatus::Expired);
    };
    let nothing = |_: &mut World| {};
    assert_eq!(judged(OrderKind::Market, fill), (1, 1));
    assert_eq!(judged(OrderKind::Market, late), (1, 0), "late");
    assert_eq!(judged(OrderKind::Market, in_parts), (1, 0), "the last share was late");
    assert_eq!(judged(OrderKind::Market, nothing), (1, 0), "never");
    assert_eq!(judged(OrderKind::Market, cancel), (0, 0), "we took it back in time");
    assert_eq!(judged(OrderKind::Market, expire), (1, 0), "the broker ended it");
    // The quote is 99.99 to 100.01.
    assert_eq!(judged(limit(10_001), fill), (1, 1), "marketable");
    assert_eq!(judged(limit(10_001), nothing), (1, 0), "marketable");
    assert_eq!(judged(limit(10_000), nothing), (0, 0), "it rests");
    assert_eq!(judged(limit(10_000), fill), (0, 0), "it rests");
    let stop = OrderKind::Stop { stop_price: Price::new(101.into()) };
    assert_eq!(judged(stop, nothing), (0, 0), "it waits for its price");
}

#[test]
fn what_fills_cost_is_measured_from_the_quote_at_the_signal() {
    let mut world = World::new();
    world.submit(1, Side::Buy, 10);
    world.calm();
    world.calm_for(secs(2));
    // The venue's first price is 101, the middle of the quote 100.
    world.venue.fill(0, 10);
    world.hear_all();
    world.calm();
    let first = counts(&world);
    assert_eq!((first.fills, first.traded, first.slippage), (1, Usd::new(1010.into()), Usd::new(10.into())));
    assert_eq!((first.latency.count, first.latency.total), (1, secs(2)));
    // A sale at 101 is better than 100: that is no slippage, and takes none away.
    world.submit(2, Side::Sell, 10);
    world.calm();
    let sale = world.venue.newest();
    world.venue.fill(sale, 10);
    world.hear_all();
    world.calm();
    let both = counts(&world);
    assert_eq!((both.fills, both.traded, both.slippage), (2, Usd::new(2020.into()), first.slippage));
}

#[test]
fn what_waits_for_its_place_is_measured_from_the_moment_it_was_wanted() {
    let mut world = World::new();
    let submits = (1..=17).map(|id| {
        let submit = sandpit_types::Submit { time_in_force: TimeInForce::Day, ..market(id, Side::Buy, 1) };
        Intent::Submit(submit)
    });
    let (strategy, incarnation, intents) = (name(), 0, submits.collect());
    world.machine.input(DeskInput::Intents { strategy, incarnation, intents }, world.now);
    let began = world.now;
    let held = world.turn();
    assert_eq!(world.machine.planning.all().count(), 1, "16 are under way");
    world.now = began + secs(3);
    world.run(held);
    world.calm();
    let last = world.venue.newest();
    world.venue.fill(last, 1);
    world.hear_all();
    world.calm();
    let latency = counts(&world).latency;
    assert_eq!((latency.count, latency.total), (1, secs(3)));
    assert!(world.machine.quality.is_at_rest(), "what waits no more is forgotten");
}

#[test]
fn fees_and_missing_cash_are_shown() {
    let mut world = settled();
    assert_eq!(counts(&world).unexplained, Some(Usd::ZERO));
    world.venue.move_cash("FEE", -3);
    world.calm_for(secs(120));
    assert_eq!(counts(&world).fees, Usd::new(3.into()));
    assert_eq!(counts(&world).unexplained, Some(Usd::ZERO), "a fee explains itself");
    world.venue.unexplained = Usd::new((-101).into());
    world.calm_for(secs(60));
    assert_eq!(counts(&world).unexplained, Some(Usd::new((-101).into())), "in doubt");
    assert!(world.machine.books.frozen().is_none());
    world.calm_for(secs(330));
    assert!(world.machine.books.frozen().is_some());
    assert_eq!(counts(&world).unexplained, Some(Usd::new((-101).into())), "frozen");
    let mut world = settled();
    world.venue.unexplained = Usd::new((-101).into());
    world.calm_for(secs(60));
    world.venue.unexplained = Usd::ZERO;
    world.calm_for(secs(60));
    assert_eq!(counts(&world).unexplained, Some(Usd::ZERO), "it came back");
}

#[test]
fn a_signal_freezes_until_a_person_lifts_it() {
    let mut world = settled();
    let freeze = |world: &mut World, reason: &str| {
        world.machine.input(DeskInput::Freeze { reason: reason.into() }, world.now);
        world.calm();
    };
    freeze(&mut world, "balance: 7 USD");
    assert_eq!(world.machine.books.frozen(), Some("a signal fired: balance: 7 USD"));
    freeze(&mut world, "another one");
    assert_eq!(world.machine.books.frozen(), Some("a signal fired: balance: 7 USD"), "said once");
    assert_eq!(world.disk.notices("freeze").len(), 1);
    for _ in 0..2 {
        world.told.clear();
        world.submit(10 + u64::from(world.incarnation), Side::Buy, 1);
        world.calm();
        assert_eq!(told(&world)[0], "frozen");
        world.crash();
        world.calm_for(secs(30));
    }
    assert!(world.disk.facts().contains_key(facts::OPERATOR_FREEZE), "over lives");
    let (operator, reason, ticket) = ("ann".to_owned(), "looked".to_owned(), 1);
    let wish = crate::Instruction { ticket, operator, reason, deed: crate::Deed::Unfreeze };
    world.machine.input(DeskInput::Instruction(wish), world.now);
    world.calm();
    assert_eq!(world.machine.books.frozen(), None);
    // What a person froze is not taken over by a signal.
    let (operator, reason, ticket) = ("ann".to_owned(), "a look".to_owned(), 2);
    let wish = crate::Instruction { ticket, operator, reason, deed: crate::Deed::Freeze };
    world.machine.input(DeskInput::Instruction(wish), world.now);
    freeze(&mut world, "balance: 9 USD");
    assert_eq!(world.machine.books.frozen(), Some("ann froze it: a look"));
}
