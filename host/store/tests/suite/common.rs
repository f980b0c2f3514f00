//! What the tests write, and where.

use std::{path::Path, sync::Arc};

use sandpit_postgres::{Options, Server};
use sandpit_store::{Database, OrderChange, OrderRow, Record, Store, StoreError, SubBookRow};
use sandpit_types::{
    BrokerOrderId, ClientOrderId, ExecutionId, Fill, HostEpoch, Links, MarketTime, OrderClass, OrderKind,
    OrderRequest, Pulse, Qty, Side, StrategyName, StrategyOrderId, Symbol, TimeInForce, Usd,
};

/// A server whose commits need not outlive a power cut.
pub(crate) fn server() -> Server {
    Server::with(Options { fsync: false }).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn postgres(url: &str) -> Database {
    Database::Postgres(url.parse().expect("an address"))
}

/// The same on an SQLite file and on a PostgreSQL server.
pub(crate) async fn on_both(test: impl AsyncFn(Database)) {
    let directory = tempfile::tempdir().expect("tempdir");
    test(Database::Sqlite(directory.path().join("state/host.db"))).await;
    let server = server();
    test(postgres(&server.url())).await;
}

pub(crate) async fn open(database: &Database) -> Store {
    try_open(database).await.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn try_open(database: &Database) -> Result<Store, StoreError> {
    Store::open(database, Arc::new(Pulse::default())).await
}

pub(crate) async fn open_file(path: &Path) -> Result<Store, StoreError> {
    try_open(&Database::Sqlite(path.to_owned())).await
}

/// The one number that a statement returns, read past the store.
pub(crate) async fn number(path: &Path, select: &'static str) -> i64 {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    sqlx::query_scalar(select).fetch_one(&pool).await.expect("one row")
}

pub(crate) fn name() -> StrategyName {
    StrategyName::parse("sma").expect("a name")
}

pub(crate) fn order(sequence: u64) -> OrderRow {
    OrderRow {
        request: OrderRequest {
            client_id: ClientOrderId { strategy: name(), epoch: HostEpoch(u64::MAX), sequence },
            symbol: Symbol::new("SPY"),
            side: Side::Sell,
            qty: "10.000000001".parse().expect("qty"),
            kind: OrderKind::Limit { limit_price: "167.41".parse().expect("price") },
            time_in_force: TimeInForce::Ioc,
            extended_hours: true,
            class: OrderClass::Simple,
        },
        strategy_id: Some(StrategyOrderId(u64::MAX - sequence)),
        links: Links::default(),
        incarnation: u32::MAX,
        state: "\"recorded\"".into(),
        is_open: true,
        broker_id: None,
        filled_qty: Qty::ZERO,
        filled_notional: Usd::ZERO,
        recorded_at: MarketTime::from_nanos(1_381_152_600_123_456_789 + sequence as i64),
    }
}

pub(crate) fn recorded(row: &OrderRow) -> Record {
    Record::Order(Box::new(row.clone()))
}

pub(crate) fn change(row: &OrderRow, state: &str, is_open: bool) -> OrderChange {
    OrderChange {
        client_id: row.request.client_id.clone(),
        state: state.into(),
        is_open,
        broker_id: Some(BrokerOrderId::new(format!("b{}", row.request.client_id.sequence))),
        filled_qty: "4".parse().expect("qty"),
        filled_notional: "669.64".parse().expect("usd"),
        time: MarketTime::from_secs(1),
        note: String::new(),
    }
}

pub(crate) fn changed(row: &OrderRow, state: &str, is_open: bool) -> Record {
    Record::Change(Box::new(change(row, state, is_open)))
}

pub(crate) fn fill(row: &OrderRow, execution: &str) -> Record {
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

pub(crate) fn sub_book() -> SubBookRow {
    SubBookRow {
        strategy: name(),
        symbol: Symbol::new("SPY"),
        qty: "-4".parse().expect("qty"),
        cost: "-669.64".parse().expect("usd"),
        cash: "670.64".parse().expect("usd"),
    }
}
