//! Orders that take each other's place: who stands there, and what it costs to know.

use proptest::prelude::*;
use sandpit_types::{
    BrokerOrder, BrokerOrderId, ClientOrderId, HostEpoch, Links, MarketTime, OrderClass, OrderKind,
    OrderRequest, OrderStatus, Qty, Side, StrategyName, StrategyOrderId, Symbol, TimeInForce,
};

use super::{line::steps, *};

fn id(sequence: u64) -> ClientOrderId {
    let strategy = StrategyName::parse("sma").expect("a name");
    ClientOrderId { strategy, epoch: HostEpoch(7), sequence }
}

fn qty(shares: i64) -> Qty {
    Qty::new(shares.into())
}

fn request(sequence: u64) -> OrderRequest {
    OrderRequest {
        client_id: id(sequence),
        symbol: Symbol::new("SPY"),
        side: Side::Buy,
        qty: qty(10),
        kind: OrderKind::Market,
        time_in_force: TimeInForce::Gtc,
        extended_hours: false,
        class: OrderClass::Simple,
    }
}

fn links(replaces: Option<u64>) -> Links {
    Links { leg_of: None, replaces: replaces.map(id) }
}

fn record(books: &mut Books, sequence: u64, replaces: Option<u64>) {
    let strategy_id = StrategyOrderId(sequence);
    let new = NewOrder { request: request(sequence), strategy_id, links: links(replaces), incarnation: 1 };
    books.record(new, MarketTime::EPOCH).expect("fresh");
    books.apply(&id(sequence), &OrderEvent::Sent).expect("recorded");
}

fn restore(books: &mut Books, sequence: u64, replaces: Option<u64>) {
    let stored = StoredOrder {
        request: request(sequence),
        strategy_id: None,
        links: links(replaces),
        incarnation: 1,
        state: OrderState::Working(OrderStatus::New),
        broker_id: Some(broker_id(sequence)),
        filled_qty: Qty::ZERO,
        filled_notional: sandpit_types::Usd::ZERO,
        unwanted: false,
        taken: Taken::default(),
        executions: std::collections::BTreeSet::new(),
        recorded_at: MarketTime::EPOCH,
    };
    books.restore(stored, MarketTime::EPOCH).expect("fresh");
}

fn broker_id(sequence: u64) -> BrokerOrderId {
    BrokerOrderId::new(format!("b{sequence}"))
}

fn shown(sequence: u64, status: OrderStatus) -> BrokerOrder {
    BrokerOrder {
        id: broker_id(sequence),
        client_id: id(sequence).to_string(),
        symbol: Symbol::new("SPY"),
        side: Side::Buy,
        qty: Some(qty(10)),
        filled_qty: Qty::ZERO,
        filled_avg_price: None,
        limit_price: None,
        stop_price: None,
        replaces: None,
        replaced_by: None,
        legs: Vec::new(),
        status,
        submitted_at: MarketTime::EPOCH,
        updated_at: MarketTime::from_secs(1),
    }
}

fn see(books: &mut Books, sequence: u64, status: OrderStatus) -> Applied {
    books.apply(&id(sequence), &OrderEvent::Snapshot(shown(sequence, status))).expect("it can stand there")
}

/// Who stands in the place of an order, by walking from one to the next.
fn walked(books: &Books, from: u64) -> ClientOrderId {
    let failed = OrderState::Terminal(OrderStatus::Rejected);
    let next = |at: &ClientOrderId| {
        let is_over = *books.order(at)?.state() == OrderState::Terminal(OrderStatus::Replaced);
        let has_come = |next: &&Order| !next.state().is_concluded() && *next.state() != failed;
        let next = books.replacements(at).find(has_come).filter(|_| is_over)?;
        Some(next.client_id().clone())
    };
    std::iter::successors(Some(id(from)), next).last().expect("itself")
}

#[test]
fn a_place_that_sees_thousands_of_orders_costs_no_more_than_one_that_sees_two() {
    const ORDERS: u64 = 10_000;
    let mut books = Books::default();
    record(&mut books, 0, None);
    see(&mut books, 0, OrderStatus::New);
    for sequence in 1..=ORDERS {
        steps::taken();
        record(&mut books, sequence, Some(sequence - 1));
        see(&mut books, sequence, OrderStatus::New);
        see(&mut books, sequence - 1, OrderStatus::Replaced);
        assert!(steps::taken() <= 16, "at {sequence}");
    }
    let first = books.order(&id(0)).expect("the first");
    assert_eq!(books.standing(first).client_id(), &id(ORDERS));
    assert_eq!(books.origin(&id(ORDERS)), &id(0));
    assert_eq!(books.legs(&id(ORDERS)).count(), 0);
    assert!(books.is_settled(first) && !books.is_settled(books.standing(first)));
    assert_eq!(steps::taken(), 0, "nobody walks along it");
    // An old one is seen again.
    see(&mut books, 1, OrderStatus::Replaced);
    assert!(steps::taken() <= 4);
    assert_eq!(books.line(&id(5)).count() as u64, ORDERS + 1);
}

#[test]
fn what_the_books_have_forgotten_leaves_no_gap() {
    let mut books = Books::default();
    let orders = MAX_CLOSED as u64 + 100;
    record(&mut books, 0, None);
    see(&mut books, 0, OrderStatus::New);
    for sequence in 1..=orders {
        record(&mut books, sequence, Some(sequence - 1));
        see(&mut books, sequence, OrderStatus::New);
        see(&mut books, sequence - 1, OrderStatus::Replaced);
    }
    assert!(books.order(&id(1)).is_none() && books.order(&id(99)).is_none());
    let last = id(orders);
    let line: Vec<_> = books.line(&last).map(Order::client_id).collect();
    assert_eq!((line[0], line[line.len() - 1]), (&id(0), &last), "both ends are needed");
    let old = books.order(&id(orders - MAX_CLOSED as u64)).expect("one of the last");
    assert_eq!(books.standing(old).client_id(), &id(orders));
}

#[derive(Clone, Debug)]
enum Step {
    See(usize, OrderStatus),
    NotFound(usize),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    let status = prop_oneof![
        3 => Just(OrderStatus::New),
        6 => Just(OrderStatus::Replaced),
        1 => Just(OrderStatus::Rejected),
        1 => Just(OrderStatus::Filled),
    ];
    prop_oneof![
        9 => (any::<usize>(), status).prop_map(|(which, status)| Step::See(which, status)),
        1 => any::<usize>().prop_map(Step::NotFound),
    ]
}

proptest! {
    #[test]
    fn who_stands_where_is_what_walking_would_find(
        parents in prop::collection::vec(any::<usize>(), 1..12),
        order in any::<u64>(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let replaces = |sequence: u64| {
            let parent = parents[usize::try_from(sequence).expect("few") - 1];
            parent as u64 % sequence
        };
        let count = parents.len() as u64 + 1;
        let mut books = Books::default();
        // Read back in any order.
        let mut sequences: Vec<u64> = (0..count).collect();
        sequences.sort_by_key(|sequence| (sequence + 1).wrapping_mul(order | 1));
        for sequence in sequences {
            restore(&mut books, sequence, (sequence > 0).then(|| replaces(sequence)));
        }
        for step in steps {
            match step {
                Step::See(which, status) => {
                    see(&mut books, which as u64 % count, status);
                }
                Step::NotFound(which) => {
                    let event = OrderEvent::NotFound { at: MarketTime::from_secs(1_000) };
                    books.apply(&id(which as u64 % count), &event).expect("asked");
                }
            }
            for sequence in 0..count {
                let own = id(sequence);
                let order = books.order(&own).expect("few are never forgotten");
                prop_assert_eq!(books.standing(order).client_id(), &walked(&books, sequence));
                prop_assert_eq!(books.origin(&own), &id(0));
                let stood = books.line(&own).any(|other| *other.client_id() == own);
                prop_assert_eq!(books.is_in_line(&own), stood);
            }
        }
    }
}
