//! Orders that belong together: who counts which share.

use sandpit_types::{
    BrokerOrder, BrokerOrderId, ClientOrderId, ExecutionId, HostEpoch, Leg, Links, MarketTime, OrderClass,
    OrderKind, OrderRequest, OrderStatus, Price, Qty, Side, StopLoss, StrategyName, StrategyOrderId, Symbol,
    TimeInForce,
};

use super::*;

pub(super) fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

fn qty(shares: i64) -> Qty {
    Qty::new(shares.into())
}

fn price(usd: i64) -> Price {
    Price::new(usd.into())
}

fn spy() -> Symbol {
    Symbol::new("SPY")
}

pub(super) fn id(sequence: u64) -> ClientOrderId {
    let strategy = StrategyName::parse("sma").expect("a name");
    ClientOrderId { strategy, epoch: HostEpoch(7), sequence }
}

pub(super) fn record(books: &mut Books, sequence: u64, class: OrderClass, replaces: Option<u64>) {
    let request = OrderRequest {
        client_id: id(sequence),
        symbol: spy(),
        side: Side::Buy,
        qty: qty(10),
        kind: OrderKind::Limit { limit_price: price(100) },
        time_in_force: TimeInForce::Gtc,
        extended_hours: false,
        class,
    };
    let links = Links { leg_of: None, replaces: replaces.map(id) };
    let strategy_id = StrategyOrderId(sequence);
    books.record(NewOrder { request, strategy_id, links, incarnation: 1 }, at(0)).expect("fresh");
    for leg in class.legs() {
        let leg_id = id(sequence + 1 + books.legs(&id(sequence)).count() as u64);
        books.record_leg(leg_id, &id(sequence), leg, at(0)).expect("fresh");
    }
    books.apply(&id(sequence), &OrderEvent::Sent).expect("recorded");
}

pub(super) fn shown(name: &str, status: OrderStatus, filled: i64) -> BrokerOrder {
    BrokerOrder {
        id: BrokerOrderId::new(name),
        client_id: name.to_owned(),
        symbol: spy(),
        side: Side::Buy,
        qty: Some(qty(10)),
        filled_qty: qty(filled),
        filled_avg_price: (filled > 0).then(|| price(100)),
        limit_price: Some(price(100)),
        stop_price: None,
        replaces: None,
        replaced_by: None,
        legs: Vec::new(),
        status,
        submitted_at: at(0),
        updated_at: at(1),
    }
}

/// Runs a script over an order `old` of 10 shares and its replacement `new`: each word is one report,
/// `order:status:filled` from REST or, with `:own` at the end, the stream's of an execution. `!` before it
/// means that it has to wait. Checks the position after it and the shares that may still come.
fn check_replace(script: &str, position: i64, pending: i64) {
    let mut books = Books::default();
    record(&mut books, 1, OrderClass::Simple, None);
    books.apply(&id(1), &OrderEvent::Accepted(shown("old", OrderStatus::New, 0))).expect("sent");
    record(&mut books, 2, OrderClass::Simple, Some(1));
    for (n, word) in script.split_whitespace().enumerate() {
        let (word, waits) = word.strip_prefix('!').map_or((word, false), |word| (word, true));
        let parts: Vec<&str> = word.split(':').collect();
        let status = match parts[1] {
            "pending" => OrderStatus::PendingReplace,
            "queued" => OrderStatus::PendingNew,
            "new" => OrderStatus::New,
            "part" => OrderStatus::PartiallyFilled,
            "replaced" => OrderStatus::Replaced,
            "filled" => OrderStatus::Filled,
            "rejected" => OrderStatus::Rejected,
            other => panic!("no status is called {other:?}"),
        };
        let order = shown(parts[0], status, parts[2].parse().expect(script));
        let own = parts.get(3).map(|own| qty(own.parse().expect(script)));
        let event = match own {
            Some(qty) => {
                let id = ExecutionId::new(format!("x{n}"));
                OrderEvent::Execution(Execution { id, qty, price: price(100), time: at(2) }, order)
            }
            None => OrderEvent::Snapshot(order),
        };
        let name = if parts[0] == "old" { id(1) } else { id(2) };
        let result = books.apply(&name, &event);
        assert_eq!(matches!(result, Err(BookError::TooEarly { .. })), waits, "{script}: {word}: {result:?}");
        assert!(waits || result.is_ok(), "{script}: {word}: {result:?}");
    }
    assert_eq!(books.position(&spy()), qty(position), "{script}");
    assert_eq!(books.pending(&spy(), Side::Buy), qty(pending), "{script}");
}

#[test]
fn shares_of_a_replaced_order_count_once() {
    // While both live, only one of them fills.
    check_replace("old:pending:0 new:queued:0", 0, 10);
    check_replace("old:pending:4 new:queued:0", 4, 6);
    // Its report includes what the old one has filled.
    check_replace("old:part:4:4 old:replaced:4 new:new:4", 4, 6);
    check_replace("old:part:4:4 old:replaced:4 new:part:7:3", 7, 3);
    check_replace("old:replaced:4 new:part:7:3 old:part:4:4", 7, 3);
    check_replace("old:replaced:4 new:filled:10", 10, 0);
    check_replace("new:queued:0 old:replaced:4 new:new:4 new:part:6:2 new:part:6 new:filled:10:4", 10, 0);
    // News in the wrong order: what the old one has filled has to be certain first.
    check_replace("old:part:4:4 !new:part:7:3 old:replaced:4 new:part:7:3", 7, 3);
    check_replace("!new:new:4 old:replaced:4 new:new:4", 4, 6);
    check_replace("old:replaced:4 new:part:7:3 old:part:5:1", 7, 3);
    // The old one fills first.
    check_replace("old:pending:0 new:queued:0 old:filled:10:10 new:rejected:0", 10, 0);
    check_replace("old:pending:4 new:rejected:0 old:part:4", 4, 6);
    // Its report counts from zero.
    check_replace("old:replaced:4 new:new:0 new:part:3:3", 7, 3);
    check_replace("old:replaced:4 new:part:3 new:filled:6:3", 10, 0);
    check_replace("old:replaced:4 new:filled:6", 10, 0);
    check_replace("old:replaced:4 new:part:5 new:filled:6", 10, 0);
}

#[test]
fn what_was_taken_over_is_known_after_a_restart() {
    for seen in [false, true] {
        let mut books = Books::default();
        record(&mut books, 1, OrderClass::Simple, None);
        books.apply(&id(1), &OrderEvent::Accepted(shown("old", OrderStatus::New, 4))).expect("sent");
        record(&mut books, 2, OrderClass::Simple, Some(1));
        books.apply(&id(1), &OrderEvent::Snapshot(shown("old", OrderStatus::Replaced, 4))).expect("sent");
        if seen {
            books.apply(&id(2), &OrderEvent::Accepted(shown("new", OrderStatus::New, 4))).expect("sent");
        }
        // The old one is over, so the next life does not load it.
        let order = books.order(&id(2)).expect("recorded").clone();
        let stored = StoredOrder {
            request: order.request.clone(),
            strategy_id: order.strategy_id,
            links: order.links.clone(),
            incarnation: order.incarnation,
            state: order.state().clone(),
            broker_id: order.broker_id().cloned(),
            filled_qty: order.filled().qty(),
            filled_notional: order.filled().notional(),
            unwanted: false,
            taken: order.taken().clone(),
            executions: std::collections::BTreeSet::new(),
            recorded_at: order.recorded_at,
        };
        let mut books = Books::default();
        books.restore(stored, at(10)).expect("fresh");
        assert_eq!(books.pending(&spy(), Side::Buy), qty(6));
        books
            .apply(&id(2), &OrderEvent::Snapshot(shown("new", OrderStatus::PartiallyFilled, 7)))
            .expect("known");
        assert_eq!(books.position(&spy()), qty(3), "of this one alone");
    }
}

#[test]
fn activities_raise_the_same_watermark() {
    let mut books = Books::default();
    record(&mut books, 1, OrderClass::Simple, None);
    books.apply(&id(1), &OrderEvent::Accepted(shown("old", OrderStatus::New, 0))).expect("sent");
    let row = |name: &str, shares: i64, cumulative: i64| OrderEvent::Activity {
        execution: Execution { id: ExecutionId::new(name), qty: qty(shares), price: price(100), time: at(3) },
        cumulative: qty(cumulative),
    };
    let mut check = |event: OrderEvent, fills: usize, position: i64| {
        let applied = books.apply(&id(1), &event).expect("possible");
        assert_eq!(applied.fills.len(), fills, "{event:?}");
        assert_eq!(books.position(&spy()), qty(position), "{event:?}");
    };
    let stream = |name: &str, shares: i64, filled: i64| {
        let execution =
            Execution { id: ExecutionId::new(name), qty: qty(shares), price: price(100), time: at(3) };
        OrderEvent::Execution(execution, shown("old", OrderStatus::PartiallyFilled, filled))
    };
    check(row("a1", 4, 4), 1, 4);
    check(row("a1", 4, 4), 0, 4);
    check(stream("x1", 4, 4), 0, 4);
    check(stream("x2", 2, 6), 1, 6);
    check(row("a2", 2, 6), 0, 6);
    check(OrderEvent::Snapshot(shown("old", OrderStatus::PartiallyFilled, 6)), 0, 6);
    // A row whose predecessor is missing has no price for it.
    let error = books.apply(&id(1), &row("a4", 1, 9)).expect_err("two shares are missing");
    assert!(matches!(error, BookError::NoPrice { .. }));
    assert_eq!(books.position(&spy()), qty(6));
    assert_eq!(
        *books.order(&id(1)).expect("there").state(),
        OrderState::Working(OrderStatus::PartiallyFilled)
    );
}

pub(super) fn bracket() -> OrderClass {
    let stop_loss = StopLoss { stop_price: price(98), limit_price: None };
    OrderClass::Bracket { take_profit: price(104), stop_loss }
}

pub(super) fn leg(name: &str, role: Leg, status: OrderStatus, filled: i64) -> BrokerOrder {
    let mut leg = shown(name, status, filled);
    leg.side = Side::Sell;
    (leg.limit_price, leg.stop_price) = match role {
        Leg::TakeProfit => (Some(price(104)), None),
        Leg::StopLoss => (None, Some(price(98))),
    };
    leg
}

#[test]
fn legs_are_found_by_role_then_by_the_brokers_id() {
    let mut books = Books::default();
    record(&mut books, 1, bracket(), None);
    let (profit, loss) =
        (leg("tp", Leg::TakeProfit, OrderStatus::Held, 0), leg("sl", Leg::StopLoss, OrderStatus::Held, 0));
    assert_eq!(books.leg_shown(&id(1), &loss), Some(&id(3)));
    assert_eq!(books.may_be_leg_of(&loss), [id(1)], "asked for, not reported as foreign");
    assert!(books.has_unseen_legs(&id(1)));
    for shown in [&profit, &loss] {
        let name = books.leg_shown(&id(1), shown).expect("a leg").clone();
        books.apply(&name, &OrderEvent::Snapshot(shown.clone())).expect("unseen");
    }
    assert_eq!(books.by_broker_id(&loss.id), Some(&id(3)));
    assert!(!books.has_unseen_legs(&id(1)));
    assert!(books.may_be_leg_of(&leg("other", Leg::StopLoss, OrderStatus::New, 0)).is_empty());
    assert_eq!(books.known_as(&id(3)), Some((StrategyOrderId(1), Some(Leg::StopLoss))));
    assert_eq!(*books.order(&id(3)).expect("a leg").state(), OrderState::Working(OrderStatus::Held));
}

#[test]
fn a_leg_that_the_broker_never_showed_is_concluded_with_its_parent_alone() {
    let mut books = Books::default();
    record(&mut books, 1, bracket(), None);
    books.apply(&id(1), &OrderEvent::Rejected).expect("possible");
    let symbol = books.order(&id(1)).expect("the entry").request.symbol.clone();
    let concluded = books.concluded_on(&symbol, 10);
    assert_eq!(concluded.iter().map(|order| order.client_id().clone()).collect::<Vec<_>>(), [id(1)]);
    books.apply(&id(1), &OrderEvent::NotFound { at: at(70) }).expect("possible");
    for leg in [2, 3] {
        let state = books.order(&id(leg)).expect("a leg").state().clone();
        assert_eq!(state, OrderState::Rejected { confirmed: true, cancel: false });
    }
}

#[test]
fn a_parent_is_kept_as_long_as_its_legs() {
    let mut books = Books::default();
    record(&mut books, 1, bracket(), None);
    books.apply(&id(1), &OrderEvent::Accepted(shown("p", OrderStatus::Filled, 10))).expect("sent");
    let is_settled = |books: &Books| books.is_settled(books.order(&id(1)).expect("there"));
    assert!(!is_settled(&books));
    for leg in [id(2), id(3)] {
        books.apply(&leg, &OrderEvent::NotMade).expect("unseen");
    }
    assert!(is_settled(&books));
}

#[test]
fn what_the_rule_against_trades_with_oneself_leaves_alone() {
    let mut books = Books::default();
    record(&mut books, 1, bracket(), None);
    record(&mut books, 9, OrderClass::Simple, None);
    let is_exempt = |sequence| books.order(&id(sequence)).expect("there").is_exempt_from_self_cross();
    assert_eq!([1, 2, 3, 9].map(is_exempt), [true, true, true, false]);
}

#[test]
fn a_late_report_of_a_replacement_does_not_tell_how_the_broker_counts() {
    let mut books = Books::default();
    record(&mut books, 1, OrderClass::Simple, None);
    record(&mut books, 2, OrderClass::Simple, Some(1));
    let stamped = |mut order: BrokerOrder, secs: i64| {
        order.updated_at = at(secs);
        order.filled_avg_price = Some(price(100));
        OrderEvent::Snapshot(order)
    };
    books.apply(&id(1), &stamped(shown("old", OrderStatus::Replaced, 5), 20)).expect("sent");
    let mut late = shown("new", OrderStatus::New, 3);
    late.replaces = Some(BrokerOrderId::new("old"));
    books.apply(&id(2), &stamped(late.clone(), 10)).expect("sent");
    (late.filled_qty, late.status) = (qty(10), OrderStatus::Filled);
    books.apply(&id(2), &stamped(late, 30)).expect("working");
    assert_eq!(books.position(&spy()), qty(10));
}

#[test]
fn what_a_replacement_takes_over_is_named_when_it_changes() {
    let mut books = Books::default();
    record(&mut books, 1, OrderClass::Simple, None);
    record(&mut books, 2, OrderClass::Simple, Some(1));
    let mut old = shown("old", OrderStatus::PartiallyFilled, 5);
    old.filled_avg_price = Some(price(100));
    let applied = books.apply(&id(1), &OrderEvent::Snapshot(old.clone())).expect("sent");
    assert_eq!(applied.replacements, [id(2)], "so that it is recorded");
    assert_eq!(books.update(&id(2), at(1)).expect("named").filled_qty, qty(5), "the total");
    old.status = OrderStatus::Replaced;
    let applied = books.apply(&id(1), &OrderEvent::Snapshot(old.clone())).expect("working");
    assert_eq!(applied.replacements, [id(2)], "now it is certain");
    let applied = books.apply(&id(1), &OrderEvent::Snapshot(old)).expect("over");
    assert!(applied.replacements.is_empty());
}

#[test]
fn what_is_open_goes_by_the_names_that_the_strategy_knows() {
    let mut books = Books::default();
    record(&mut books, 1, bracket(), None);
    record(&mut books, 9, OrderClass::Simple, None);
    let strategy = id(1).strategy;
    let told = |books: &Books| -> Vec<(u64, Option<Leg>)> {
        books.open_as_told(&strategy).map(|(name, leg, _)| (name.0, leg)).collect()
    };
    let legs = [(1, Some(Leg::TakeProfit)), (1, Some(Leg::StopLoss))];
    assert_eq!(told(&books), [(1, None), legs[0], legs[1], (9, None)]);
    let mut filled = shown("p", OrderStatus::Filled, 10);
    filled.filled_avg_price = Some(price(100));
    books.apply(&id(1), &OrderEvent::Accepted(filled)).expect("sent");
    assert_eq!(told(&books), [legs[0], legs[1], (9, None)], "the exits of what has filled");
    // A later life knows them by the same name.
    books.begin_life(HostEpoch(8), &strategy, 0);
    assert_eq!(told(&books), [legs[0], legs[1], (9, None)]);
    let meant = books.find(HostEpoch(8), &strategy, 0, StrategyOrderId(1)).map(Order::client_id);
    assert_eq!(meant, Some(&id(1)));
}
