//! The store over real files.

use std::{path::Path, sync::Arc};

use sandpit_store::{OrderChange, OrderRow, Record, Store, StoreError, SubBookRow};
use sandpit_types::{
    BrokerOrderId, ClientOrderId, ExecutionId, Fill, HostEpoch, MarketTime, OrderKind, OrderRequest, Pulse,
    Qty, Refusal, Side, Signal, StrategyName, StrategyOrderId, Symbol, TimeInForce, Usd,
};

fn name() -> StrategyName {
    StrategyName::parse("sma").expect("a name")
}

fn order(sequence: u64) -> OrderRow {
    OrderRow {
        request: OrderRequest {
            client_id: ClientOrderId { strategy: name(), epoch: HostEpoch(u64::MAX), sequence },
            symbol: Symbol::new("SPY"),
            side: Side::Sell,
            qty: "10.000000001".parse().expect("qty"),
            kind: OrderKind::Limit { limit_price: "167.41".parse().expect("price") },
            time_in_force: TimeInForce::Ioc,
            extended_hours: true,
            class: sandpit_types::OrderClass::Simple,
        },
        strategy_id: Some(StrategyOrderId(u64::MAX - sequence)),
        links: sandpit_types::Links::default(),
        incarnation: u32::MAX,
        state: "\"recorded\"".into(),
        is_open: true,
        broker_id: None,
        filled_qty: Qty::ZERO,
        filled_notional: Usd::ZERO,
        recorded_at: MarketTime::from_nanos(1_381_152_600_123_456_789),
    }
}

fn change(row: &OrderRow, state: &str, is_open: bool) -> OrderChange {
    OrderChange {
        client_id: row.request.client_id.clone(),
        state: state.into(),
        is_open,
        broker_id: Some(BrokerOrderId::new("b1")),
        filled_qty: "4".parse().expect("qty"),
        filled_notional: "669.64".parse().expect("usd"),
        time: MarketTime::from_secs(1),
        note: String::new(),
    }
}

fn fill(row: &OrderRow, execution: &str) -> Record {
    let fill = Fill {
        client_id: row.request.client_id.clone(),
        execution_id: ExecutionId::new(execution),
        symbol: Symbol::new("SPY"),
        side: Side::Sell,
        qty: "4".parse().expect("qty"),
        price: "167.41".parse().expect("price"),
        time: MarketTime::from_secs(2),
    };
    Record::Fill { fill, after: sub_book() }
}

fn sub_book() -> SubBookRow {
    SubBookRow {
        strategy: name(),
        symbol: Symbol::new("SPY"),
        qty: "-4".parse().expect("qty"),
        cost: "-669.64".parse().expect("usd"),
        cash: "670.64".parse().expect("usd"),
    }
}

async fn open(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, Arc::new(Pulse::default())).await
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_death() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("state/host.db");
    let (first, second) = (order(1), order(2));
    {
        let store = open(&path).await.expect("opens");
        store
            .commit(vec![Record::Order(Box::new(first.clone())), Record::Order(Box::new(second.clone()))])
            .await
            .expect("writes");
        let partly = change(&first, "{\"working\":\"partially_filled\"}", true);
        store.commit(vec![fill(&first, "x1"), Record::Change(Box::new(partly))]).await.expect("writes");
        let over = change(&second, "{\"terminal\":\"canceled\"}", false);
        store.commit(vec![Record::Change(Box::new(over))]).await.expect("writes");
        // Dropped without close while the file is in use, as far as one process can.
        std::mem::forget(store);
    }
    let store = open(&path).await.expect("opens again");
    let stored = store.load().await.expect("reads");
    let (row, executions) = stored.open_orders.first().expect("the open one").clone();
    assert_eq!(stored.open_orders.len(), 1);
    let expected = OrderRow {
        state: "{\"working\":\"partially_filled\"}".into(),
        broker_id: Some(BrokerOrderId::new("b1")),
        filled_qty: "4".parse().expect("qty"),
        filled_notional: "669.64".parse().expect("usd"),
        ..first
    };
    assert_eq!(row, expected);
    assert_eq!(executions.into_iter().collect::<Vec<_>>(), [ExecutionId::new("x1")]);
    assert_eq!(stored.sub_books, [sub_book()]);
    let (closed, _) = store.order(&second.request.client_id).await.expect("reads").expect("is there");
    assert!(!closed.is_open);
    assert!(store.order(&order(3).request.client_id).await.expect("reads").is_none());
}

#[tokio::test]
async fn a_commit_is_all_or_nothing_and_fails_alone() {
    let directory = tempfile::tempdir().expect("tempdir");
    let store = open(&directory.path().join("host.db")).await.expect("opens");
    let row = order(1);
    store.commit(vec![Record::Order(Box::new(row.clone()))]).await.expect("writes");
    store.commit(vec![fill(&row, "x1")]).await.expect("writes");
    // Queued together: the third takes a strategy's id again, the second and the fourth change an order that
    // is not there.
    let mut twin = order(2);
    twin.strategy_id = row.strategy_id;
    let stranger = change(&order(9), "\"x\"", true);
    let (good, half, duplicate, unknown) = tokio::join!(
        store.commit(vec![fill(&row, "x2")]),
        store.commit(vec![Record::Order(Box::new(order(3))), Record::Change(Box::new(stranger.clone()))]),
        store.commit(vec![Record::Order(Box::new(twin))]),
        store.commit(vec![Record::Change(Box::new(stranger))]),
    );
    good.expect("is not touched by the others");
    for bad in [half, duplicate, unknown] {
        assert!(matches!(bad, Err(StoreError::Write { .. })), "{bad:?}");
    }
    store.commit(vec![fill(&row, "x1")]).await.expect("a fill again is the same fill");
    let working = change(&row, "{\"working\":\"new\"}", true);
    store.commit(vec![Record::Change(Box::new(working.clone()))]).await.expect("writes");
    store.commit(vec![Record::Order(Box::new(row.clone()))]).await.expect("an order again is the same order");
    let (stored, _) = store.order(&row.request.client_id).await.expect("reads").expect("is there");
    assert_eq!(stored.state, working.state, "what followed stands");
    let (_, executions) = store.order(&row.request.client_id).await.expect("reads").expect("is there");
    assert_eq!(executions.len(), 2);
    assert!(store.order(&order(3).request.client_id).await.expect("reads").is_none(), "half a commit");
}

#[tokio::test]
async fn every_kind_of_record_is_kept() {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    let store = open(&path).await.expect("opens");
    let time = MarketTime::from_secs(1);
    let row = order(1);
    let signal = Signal { symbol: None, reason: "crossed".into() };
    let records = vec![
        Record::HostStart { epoch: HostEpoch(1), mode: "paper".into(), time },
        Record::Order(Box::new(row.clone())),
        fill(&row, "x1"),
        Record::Equity { time, equity: "100001".parse().expect("usd"), cash: Usd::ZERO },
        Record::Refusal { time, strategy: name(), id: StrategyOrderId(1), refusal: Refusal::Late },
        Record::Signal { time, strategy: name(), signal },
        Record::Notice { time, subject: "foreign-order", detail: "by hand".into() },
    ];
    store.commit(records).await.expect("writes");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    let check = async |select: &'static str, expected: &str| {
        let found: String = sqlx::query_scalar(select).fetch_one(&pool).await.expect("one row");
        assert_eq!(found, expected, "{select}");
    };
    check("SELECT mode FROM host_starts", "paper").await;
    check("SELECT equity FROM equity", "100001").await;
    check("SELECT reason FROM refusals", "late").await;
    check("SELECT reason FROM signals", "crossed").await;
    check("SELECT subject FROM notices", "foreign-order").await;
    check("SELECT execution_id FROM fills", "x1").await;
}

#[tokio::test]
async fn what_cannot_be_opened_says_what_to_do() {
    let directory = tempfile::tempdir().expect("tempdir");
    let check = async |path: &Path, words: &str| {
        let error = open(path).await.expect_err("cannot be opened");
        assert!(error.to_string().contains(words), "{error}");
    };
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").expect("writes");
    check(&file.join("host.db"), "make its directory exist and writable").await;
    check(directory.path(), "make its directory exist and writable").await;
    let garbage = directory.path().join("garbage.db");
    std::fs::write(&garbage, "this is no database, whatever its name says. ".repeat(100)).expect("writes");
    check(&garbage, "move it away").await;
    assert!(std::fs::read_to_string(&garbage).expect("reads").starts_with("this is"), "was changed");

    let newer = directory.path().join("newer.db");
    open(&newer).await.expect("opens").close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&newer);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    sqlx::query(
        "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success, checksum, \
         execution_time FROM _sqlx_migrations LIMIT 1",
    )
    .execute(&pool)
    .await
    .expect("writes");
    pool.close().await;
    check(&newer, "another version of sandpit").await;
}

#[tokio::test]
async fn probes_go_through_the_queue() {
    let directory = tempfile::tempdir().expect("tempdir");
    let pulse = Arc::new(Pulse::default());
    let store = Store::open(&directory.path().join("host.db"), pulse.clone()).await.expect("opens");
    assert!(store.probe(42));
    store.commit(vec![Record::Order(Box::new(order(1)))]).await.expect("writes");
    store.commit(vec![]).await.expect("writes nothing");
    assert_eq!(pulse.nonce(), 42);
    assert!(pulse.progress() >= 2);
    let other = store.clone();
    store.close().await;
    assert!(matches!(other.commit(vec![]).await, Err(StoreError::Closed)));
    assert!(!other.probe(43));
}
