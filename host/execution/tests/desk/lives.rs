//! What the desk does, told from outside.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sandpit_broker::{BrokerError, Class};
use sandpit_cores::reconcile::Standing;
use sandpit_execution::{DeskEnd, DeskError, DeskInput, DeskOutput};
use sandpit_store::{OrderRow, Record, SubBookRow};
use sandpit_types::{
    BrokerOrder, BrokerOrderId, ClientOrderId, ExecutionId, Fill, HostEpoch, MarketTime, OrderKind,
    OrderRequest, OrderStatus, Qty, Refusal, Side, StrategyOrderId, Symbol, TimeInForce, Usd,
};
use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn the_records_of_another_account_are_refused_before_anything_is_taken_in() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    let life = async |account: &str, epoch: u64| {
        *broker.account.lock().expect("not poisoned") = account.to_owned();
        match Bench::start(&path, broker.clone(), epoch).await {
            Ok(bench) => {
                bench.tell(DeskInput::Stop).await;
                bench.end().await;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    };
    life("a", 1).await.expect("a fresh database takes the account");
    life("a", 2).await.expect("the same account");
    let refused = life("b", 3).await.expect_err("another account");
    assert!(
        refused.contains("the records of paper account a and this host trades paper account b"),
        "{refused}"
    );
    life("a", 4).await.expect("nothing was changed");
    let lives = store(&path).await.load().await.expect("reads").epochs;
    assert_eq!(lives, [1, 2, 4].map(HostEpoch).into(), "a life begins once the account is the same");
}

#[tokio::test]
async fn an_order_goes_out_and_its_fill_comes_back() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.submit(1).await;
    bench.hear_status(OrderStatus::New).await;
    let update = bench.broker.fill(0, 10);
    bench.tell(DeskInput::Update(update.clone())).await;
    bench.tell(DeskInput::Update(update)).await;
    let book = bench.hear(|output| matches!(output, DeskOutput::SubBook { .. })).await;
    assert!(matches!(book, DeskOutput::SubBook { qty: held, .. } if held == qty(10)));
    let fill = bench.hear(|output| matches!(output, DeskOutput::Fill { .. })).await;
    assert!(matches!(fill, DeskOutput::Fill { id: StrategyOrderId(1), .. }));
    bench.hear_status(OrderStatus::Filled).await;
    bench.tell(DeskInput::Probe(7)).await;
    let pulse = bench.pulse.clone();
    until(|| pulse.nonce() == 7).await;
    let counts = bench.stats.read();
    assert_eq!((counts.orders, counts.fills, counts.submits, counts.open), (1, 1, 1, 0));
    let (stats, store) = (bench.stats.clone(), bench.store.clone());
    bench.tell(DeskInput::Stop).await;
    assert_eq!(bench.end().await, DeskEnd::Stopped);
    assert_eq!(stats.read().fills, 1, "one fill, told twice by the stream");
    let id = ClientOrderId { strategy: name(), epoch: HostEpoch(1), sequence: 1 };
    let (row, executions) = store.order(&id).await.expect("reads").expect("is there");
    assert!(!row.is_open && executions.len() == 1, "{row:?}");
}

#[tokio::test]
async fn a_host_that_dies_mid_way_loses_and_doubles_nothing() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    broker.answers_lost.store(true, Ordering::SeqCst);
    let mut first = Bench::start(&path, broker.clone(), 1).await.expect("starts");
    first.submit(1).await;
    until(|| broker.orders().len() == 1).await;
    // Dies with the answer under way, as by SIGKILL; then the order fills while nobody looks.
    first.desk.abort();
    assert!(first.desk.await.expect_err("it was killed").is_cancelled());
    broker.fill(0, 4);
    broker.answers_lost.store(false, Ordering::SeqCst);

    let mut second = Bench::start(&path, broker.clone(), 2).await.expect("starts");
    assert_eq!((second.found.open, second.found.fills, second.found.adopted), (1, 1, 0));
    assert!(second.found.positions.is_empty(), "{:?}", second.found.positions);
    let update = broker.fill(0, 6);
    second.tell(DeskInput::Update(update)).await;
    second.hear_status(OrderStatus::Filled).await;
    second.submit(1).await;
    until(|| broker.orders().len() == 2).await;
    second.tell(DeskInput::Drain).await;
    // Nobody listens, which it may notice first.
    let end = second.end().await;
    assert!(matches!(end, DeskEnd::Stopped | DeskEnd::Drained { unresolved: 0 }), "{end:?}");

    let third = Bench::start(&path, broker.clone(), 3).await.expect("starts");
    assert_eq!((third.found.open, third.found.fills), (1, 0));
    assert!(third.found.positions.is_empty(), "{:?}", third.found.positions);
    assert_eq!(broker.orders().len(), 2);
}

#[tokio::test]
async fn a_probe_is_answered_while_the_broker_hangs() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.broker.hangs.store(true, Ordering::SeqCst);
    bench.submit(1).await;
    bench.tell(DeskInput::Probe(9)).await;
    let pulse = bench.pulse.clone();
    until(|| pulse.nonce() == 9).await;
    bench.tell(DeskInput::Drain).await;
    // The drain is bounded although the outcome stays unknown.
    assert_eq!(bench.ends_by_itself().await, DeskEnd::Drained { unresolved: 1 });
}

#[tokio::test]
async fn nothing_is_sent_that_the_store_does_not_take() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.submit(1).await;
    bench.hear_status(OrderStatus::New).await;
    bench.store.clone().close().await;
    bench.ask(2).await;
    let refused = bench.hear(|output| matches!(output, DeskOutput::Refused { .. })).await;
    assert!(matches!(refused, DeskOutput::Refused { refusal: Refusal::NotRecorded, .. }), "{refused:?}");
    assert_eq!(bench.broker.orders().len(), 1);
}

#[tokio::test]
async fn a_defect_of_the_adapter_leaves_the_outcome_unknown_not_forgotten() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.broker.panics.store(true, Ordering::SeqCst);
    bench.submit(1).await;
    bench.hear_status(OrderStatus::Rejected).await;
    let counts = bench.stats.read();
    assert_eq!((counts.unknown, counts.never_arrived, counts.open), (1, 1, 0));
    bench.submit(2).await;
    bench.hear_status(OrderStatus::New).await;
}

#[tokio::test]
async fn a_desk_that_cannot_reconcile_does_not_start() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    broker.unauthorized.store(true, Ordering::SeqCst);
    let error = Bench::start(&path, broker, 1).await.err().expect("does not start");
    assert!(matches!(error, DeskError::Broker(BrokerError::Unauthorized { .. })), "{error}");
}

#[tokio::test]
async fn a_defect_anywhere_else_ends_the_desk() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.submit(1).await;
    bench.broker.panics_at_positions.store(true, Ordering::SeqCst);
    assert_eq!(bench.ends_by_itself().await, DeskEnd::Stopped);
}

#[tokio::test]
async fn a_start_does_not_wait_for_orders_that_ended_overnight() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    let mut first = Bench::start(&path, broker.clone(), 1).await.expect("starts");
    for id in 1..=3 {
        first.submit(id).await;
        first.hear_status(OrderStatus::New).await;
    }
    first.desk.abort();
    assert!(first.desk.await.expect_err("it was killed").is_cancelled());
    (0..3).for_each(|index| drop(broker.fill(index, 10)));
    broker.look_ups_hang.store(true, Ordering::SeqCst);

    let start = Bench::start(&path, broker.clone(), 2);
    let mut second = tokio::time::timeout(PATIENCE, start).await.expect("in time").expect("starts");
    // Their fills are among the activities, their ends are still to be asked for.
    assert_eq!((second.found.open, second.found.missing, second.found.fills), (3, 3, 3));
    assert!(second.found.positions.is_empty(), "they may be the reason: {:?}", second.found.positions);
    assert!(second.found.account.equity.is_positive());
    until(|| broker.look_ups.load(Ordering::SeqCst) >= 3).await;
    second.ask(1).await;
    let refused = second.hear(|output| matches!(output, DeskOutput::Refused { .. })).await;
    assert!(matches!(refused, DeskOutput::Refused { refusal: Refusal::OrderStreamDown, .. }), "{refused:?}");
    assert_eq!(second.stats.read().open, 3, "their exposure stays reserved");
    broker.look_ups_hang.store(false, Ordering::SeqCst);
    second.submit(12).await;
    let counts = second.stats.read();
    assert_eq!((counts.fills, counts.open, counts.alerts), (3, 1, 0));
}

#[tokio::test]
async fn an_order_that_the_list_has_twice_is_one_order() {
    let check = async |is_stored: bool| {
        let (_directory, path) = place();
        let broker = Arc::new(FakeBroker::default());
        let request = OrderRequest {
            client_id: ClientOrderId { strategy: name(), epoch: HostEpoch(1), sequence: 1 },
            symbol: Symbol::new("SPY"),
            side: Side::Buy,
            qty: qty(10),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: sandpit_types::OrderClass::Simple,
        };
        broker.accept(&request);
        broker.lists_twice.store(true, Ordering::SeqCst);
        if is_stored {
            let row = OrderRow {
                request,
                strategy_id: Some(StrategyOrderId(1)),
                links: sandpit_types::Links::default(),
                incarnation: 0,
                state: "\"not_sent\"".into(),
                is_open: false,
                broker_id: None,
                filled_qty: Qty::ZERO,
                filled_notional: Usd::ZERO,
                recorded_at: MarketTime::EPOCH,
            };
            store(&path).await.commit(vec![Record::Order(Box::new(row))]).await.expect("writes");
        }
        let bench = Bench::start(&path, broker, 2).await.expect("starts");
        assert_eq!((bench.found.open, bench.found.adopted), (1, usize::from(!is_stored)));
    };
    check(true).await;
    check(false).await;
}

const OPEN: usize = 500;
const HISTORICAL: usize = 10_000;
/// What a request takes on its way, there and back.
const LATENCY: Duration = Duration::from_millis(30);
/// How long a start may take with so many orders.
const START_WITHIN: Duration = Duration::from_secs(1);
/// Requests of a start that finds nothing missing: account, open orders, recent orders; positions,
/// activities.
const START_REQUESTS: usize = 5;

/// A database with a past, and the broker's side of what is open of it.
async fn past(path: &Path, latency: Duration) -> Arc<FakeBroker> {
    let broker = FakeBroker { latency, ..FakeBroker::default() };
    let mut records = Vec::new();
    for sequence in 1..=(HISTORICAL + OPEN) as u64 {
        let request = OrderRequest {
            client_id: ClientOrderId { strategy: name(), epoch: HostEpoch(1), sequence },
            symbol: Symbol::new("SPY"),
            side: if sequence % 2 == 0 { Side::Buy } else { Side::Sell },
            qty: qty(10),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: sandpit_types::OrderClass::Simple,
        };
        let is_open = sequence > HISTORICAL as u64;
        let at_broker = is_open.then(|| broker.accept(&request));
        let state = if is_open { "{\"working\":\"new\"}" } else { "{\"terminal\":\"filled\"}" };
        let filled_qty = if is_open { Qty::ZERO } else { qty(10) };
        let fill = Fill {
            client_id: request.client_id.clone(),
            execution_id: ExecutionId::new(format!("x{sequence}")),
            symbol: request.symbol.clone(),
            side: request.side,
            qty: qty(10),
            price: PRICE,
            time: MarketTime::from_secs(1_000_000),
        };
        records.push(Record::Order(Box::new(OrderRow {
            request,
            strategy_id: Some(StrategyOrderId(sequence)),
            links: sandpit_types::Links::default(),
            incarnation: 0,
            state: state.into(),
            is_open,
            broker_id: at_broker.map(|shown| shown.id),
            filled_qty,
            filled_notional: PRICE * filled_qty,
            recorded_at: MarketTime::from_secs(1_000_000),
        })));
        if !is_open {
            let after = SubBookRow {
                strategy: name(),
                symbol: fill.symbol.clone(),
                qty: Qty::ZERO,
                cost: Usd::ZERO,
                cash: Usd::ZERO,
            };
            records.push(Record::Fill { fill, after });
        }
    }
    let store = store(path).await;
    store.commit(records).await.expect("writes");
    store.close().await;
    Arc::new(broker)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_with_many_orders_takes_few_requests_and_less_than_a_second() {
    let (_directory, path) = place();
    let broker = past(&path, LATENCY).await;
    let start = Instant::now();
    let mut bench = Bench::start(&path, broker, 2).await.expect("starts");
    bench.submit(1).await;
    let took = start.elapsed();
    println!("{OPEN} open and {HISTORICAL} historical orders: trading after {took:?}");
    assert_eq!((bench.found.open, bench.found.missing, bench.found.adopted), (OPEN, 0, 0));
    assert!(bench.found.positions.is_empty(), "{:?}", bench.found.positions);
    assert!(took < START_WITHIN, "{took:?}");
    assert_eq!(bench.start_requests, START_REQUESTS);
}

#[tokio::test]
async fn many_orders_that_ended_overnight_take_one_question_more() {
    let (_directory, path) = place();
    let broker = past(&path, Duration::ZERO).await;
    broker.submitted_at(MarketTime::from_secs(1_000_000));
    (0..OPEN).for_each(|index| drop(broker.fill(index, 10)));
    let mut desk = Bench::start(&path, broker.clone(), 2).await.expect("starts");
    assert_eq!((desk.found.open, desk.found.missing, desk.found.fills), (0, 0, OPEN));
    assert_eq!(broker.look_ups.load(Ordering::SeqCst), 0, "none by itself");
    desk.submit(1).await;
}

/// lumibot#395: whatever the machine forgot when it died is found at the broker.
#[tokio::test]
async fn an_order_that_ended_before_its_record_was_on_the_disk_is_adopted_with_its_fill() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    let request = |sequence| OrderRequest {
        client_id: ClientOrderId { strategy: name(), epoch: HostEpoch(1), sequence },
        symbol: Symbol::new("SPY"),
        side: Side::Buy,
        qty: qty(10),
        kind: OrderKind::Market,
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        class: sandpit_types::OrderClass::Simple,
    };
    broker.accept(&request(1));
    broker.accept(&request(2));
    broker.submitted_at(MarketTime::from_secs(1_000_000));
    broker.fill(0, 10);
    let bench = Bench::start(&path, broker, 2).await.expect("starts");
    assert_eq!((bench.found.open, bench.found.adopted, bench.found.fills), (1, 2, 1));
    assert!(bench.found.positions.is_empty(), "{:?}", bench.found.positions);
}

#[tokio::test]
async fn a_freeze_is_recorded_and_survives_a_restart() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    let mut first = Bench::start(&path, broker.clone(), 1).await.expect("starts");
    first.submit(1).await;
    first.hear_status(OrderStatus::New).await;
    broker.unexplained.store(-1_000, Ordering::SeqCst);
    first.hear(|output| matches!(output, DeskOutput::Alert(text) if text.starts_with("frozen"))).await;
    assert!(first.stats.read().frozen.is_some());
    first.tell(DeskInput::Stop).await;
    first.end().await;

    let mut second = Bench::start(&path, broker, 2).await.expect("starts");
    second.hear(|output| matches!(output, DeskOutput::Alert(text) if text.starts_with("still frozen"))).await;
    assert!(second.stats.read().frozen.is_some());
}

#[tokio::test]
async fn an_account_is_not_measured_before_the_activities_were_read() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    let mut first = Bench::start(&path, broker.clone(), 1).await.expect("starts");
    first.submit(1).await;
    first.tell(DeskInput::Stop).await;
    first.end().await;
    // More than the start tries.
    broker.activities_fail.store(7, Ordering::SeqCst);
    broker.transferred.store(-20_000, Ordering::SeqCst);
    let mut second = Bench::start(&path, broker.clone(), 2).await.expect("starts without them");
    assert_eq!(second.measured.lock().expect("no panic holds it").len(), 0);
    second.submit(1).await;
    let measured = second.measured.lock().expect("no panic holds it").clone();
    assert_eq!(
        measured.first(),
        Some(&(Usd::new((-20_000).into()), Standing::Explained)),
        "after the transfer"
    );
    assert_eq!(broker.activities_fail.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn whose_order_filled_is_asked_without_using_what_is_kept_for_exits() {
    const STRANGERS: usize = 40;
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    let mut bench = Bench::start(&path, broker.clone(), 1).await.expect("starts");
    bench.submit(1).await;
    bench.hear_status(OrderStatus::New).await;
    let ours = broker.orders()[0].clone();
    for stranger in 1..=STRANGERS {
        let id = BrokerOrderId::new(format!("b{stranger}"));
        let order = BrokerOrder { id, client_id: format!("by-hand-{stranger}"), ..ours.clone() };
        broker.orders.lock().expect("no panic holds it").push(order);
        broker.fill(stranger, 10);
    }
    let asked = || {
        let asked = broker.asked.lock().expect("no panic holds it");
        asked.iter().fold((0, 0), |(polls, exits), class| match class {
            Class::Poll => (polls + 1, exits),
            Class::Reduce => (polls, exits + 1),
            Class::Cancel | Class::Enter => panic!("a question about an order as {class:?}"),
        })
    };
    until(|| asked().0 == STRANGERS).await;
    assert_eq!(asked().1, 0, "questions in the lane of exits");
}
