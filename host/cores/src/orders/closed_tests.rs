//! How long orders that are over are remembered.

use sandpit_types::{
    BrokerOrder, HostEpoch, Leg, MarketTime, OrderClass, OrderStatus, StrategyName, StrategyOrderId,
};

use super::{
    kin_tests::{at, bracket, id, leg, record, shown},
    *,
};

/// A time at which what was over at the last look is old.
fn later(books: &mut Books, now: &mut MarketTime) {
    *now = *now + REMEMBERED;
    books.forget_old(*now);
}

fn close(books: &mut Books, sequence: u64, status: OrderStatus) {
    let event = OrderEvent::Snapshot(shown(&format!("b{sequence}"), status, 0));
    books.apply(&id(sequence), &event).expect("it can be over");
}

fn is_there(books: &Books, sequence: u64) -> bool {
    books.order(&id(sequence)).is_some()
}

#[test]
fn an_order_that_is_over_is_remembered_for_a_while_and_its_id_for_longer() {
    let mut books = Books::default();
    let mut now = at(1_000);
    record(&mut books, 1, OrderClass::Simple, None);
    record(&mut books, 2, OrderClass::Simple, None);
    close(&mut books, 1, OrderStatus::Canceled);
    books.forget_old(now);
    now = now + (REMEMBERED - std::time::Duration::from_secs(1));
    books.forget_old(now);
    assert!(is_there(&books, 1), "a second too early");
    now = now + std::time::Duration::from_secs(60);
    books.forget_old(now);
    assert!(!is_there(&books, 1) && is_there(&books, 2), "only what is over");
    assert_eq!(books.by_broker_id(&shown("b1", OrderStatus::New, 0).id), None);
    let strategy = StrategyName::parse("sma").expect("a name");
    assert!(books.is_known(&strategy, StrategyOrderId(1)), "an id is used once");
    assert!(books.find(HostEpoch(7), &strategy, 1, StrategyOrderId(1)).is_none());
    let order = books.order(&id(2)).expect("open").request.clone();
    let again = NewOrder {
        request: sandpit_types::OrderRequest { client_id: id(3), ..order },
        strategy_id: StrategyOrderId(1),
        links: sandpit_types::Links::default(),
        incarnation: 1,
    };
    assert_eq!(books.record(again, now), Err(BookError::Duplicate { client_id: id(1) }));
}

#[test]
fn there_are_never_more_than_the_bound() {
    let mut books = Books::default();
    for sequence in 0..=MAX_CLOSED as u64 {
        record(&mut books, sequence, OrderClass::Simple, None);
        close(&mut books, sequence, OrderStatus::Canceled);
    }
    assert!(!is_there(&books, 0) && is_there(&books, 1));
}

#[test]
fn an_order_that_is_open_again_is_not_forgotten() {
    let mut books = Books::default();
    let mut now = at(0);
    record(&mut books, 1, OrderClass::Simple, None);
    books.apply(&id(1), &OrderEvent::OutcomeUnknown { at: now }).expect("it was sent");
    books.apply(&id(1), &OrderEvent::NotFound { at: at(100) }).expect("nobody knows it");
    assert_eq!(books.open_count(), 0);
    books.forget_old(now);
    close(&mut books, 1, OrderStatus::New);
    assert_eq!(books.open_count(), 1, "there after all");
    later(&mut books, &mut now);
    assert!(is_there(&books, 1));
    close(&mut books, 1, OrderStatus::Canceled);
    later(&mut books, &mut now);
    later(&mut books, &mut now);
    assert!(!is_there(&books, 1));
}

/// A bracket whose entry has filled: 2 is the exit with the profit, 3 the one that limits the loss.
fn bought(books: &mut Books) {
    record(books, 1, bracket(), None);
    let mut entry = shown("entry", OrderStatus::Filled, 10);
    entry.legs = vec![leg("profit", Leg::TakeProfit, OrderStatus::New, 0)];
    books.apply(&id(1), &OrderEvent::Snapshot(entry)).expect("it fills");
    for (sequence, name, role) in [(2, "profit", Leg::TakeProfit), (3, "loss", Leg::StopLoss)] {
        let event = OrderEvent::Snapshot(leg(name, role, OrderStatus::New, 0));
        books.apply(&id(sequence), &event).expect("it works");
    }
}

#[test]
fn an_entry_and_an_exit_that_is_over_are_kept_as_long_as_the_other_exit() {
    let mut books = Books::default();
    let mut now = at(0);
    bought(&mut books);
    let over = leg("profit", Leg::TakeProfit, OrderStatus::Canceled, 4);
    books.apply(&id(2), &OrderEvent::Snapshot(over)).expect("it ends");
    let left = books.order(&id(3)).map(|leg| books.to_fill(leg)).expect("open");
    for _ in 0..5 {
        later(&mut books, &mut now);
    }
    assert!(is_there(&books, 1) && is_there(&books, 2), "what is left for the other one to sell");
    assert_eq!(books.order(&id(3)).map(|leg| books.to_fill(leg)), Some(left));
    let over = leg("loss", Leg::StopLoss, OrderStatus::Canceled, 0);
    books.apply(&id(3), &OrderEvent::Snapshot(over)).expect("it ends");
    for _ in 0..2 {
        later(&mut books, &mut now);
    }
    assert!((1..=3).all(|sequence| !is_there(&books, sequence)));
    assert!(books.orders.is_empty() && books.legs.is_empty() && books.by_broker_id.is_empty());
}

#[test]
fn legs_that_were_not_made_and_their_entry_are_remembered_for_a_day() {
    let mut books = Books::default();
    let mut now = at(0);
    record(&mut books, 1, bracket(), None);
    close(&mut books, 1, OrderStatus::Canceled);
    for sequence in [2, 3] {
        books.apply(&id(sequence), &OrderEvent::NotMade).expect("it was not shown");
    }
    for _ in 0..60 {
        later(&mut books, &mut now);
    }
    let late = leg("late", Leg::StopLoss, OrderStatus::Filled, 0);
    assert_eq!(books.may_be_leg_of(&BrokerOrder { updated_at: now, ..late }), [id(1)]);
    for _ in 0..15 {
        later(&mut books, &mut now);
    }
    assert!((1..=3).all(|sequence| !is_there(&books, sequence)));
}

#[test]
fn the_first_and_the_last_of_a_line_are_kept_while_the_last_is_open() {
    let mut books = Books::default();
    let mut now = at(0);
    record(&mut books, 1, OrderClass::Simple, None);
    for sequence in 2..=4 {
        record(&mut books, sequence, OrderClass::Simple, Some(sequence - 1));
        close(&mut books, sequence - 1, OrderStatus::New);
        close(&mut books, sequence, OrderStatus::New);
        close(&mut books, sequence - 1, OrderStatus::Replaced);
    }
    for _ in 0..3 {
        later(&mut books, &mut now);
    }
    assert_eq!([1, 2, 3, 4].map(|sequence| is_there(&books, sequence)), [true, false, false, true]);
    let first = books.order(&id(1)).expect("kept");
    assert_eq!(books.standing(first).client_id(), &id(4), "what the strategy means by it");
    close(&mut books, 4, OrderStatus::Filled);
    for _ in 0..2 {
        later(&mut books, &mut now);
    }
    assert!(books.orders.is_empty() && books.replacements.is_empty());
}
