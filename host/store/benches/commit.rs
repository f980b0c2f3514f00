//! What a commit costs and how long a start takes: figures, one a line, `name value unit`.
//!
//! `cargo bench -p sandpit-store --bench commit`. An order with its line of the audit is committed every 5
//! ms, as on a busy day, so that the flusher and its checkpoints are in the figures; the waits between are
//! not.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sandpit_postgres::Server;
use sandpit_store::{Actor, Audit, Database, OrderChange, OrderRow, Record, Store, SubBookRow};
use sandpit_types::{
    ClientOrderId, ExecutionId, Fill, HostEpoch, Links, MarketTime, OrderClass, OrderKind, OrderRequest, Qty,
    Side, StrategyName, StrategyOrderId, Symbol, TimeInForce, Usd,
};

const COMMITS: u64 = 2_000;
const EVERY: Duration = Duration::from_millis(5);
const HISTORICAL: u64 = 10_000;
const OPEN: u64 = 500;

fn order(sequence: u64, is_open: bool) -> OrderRow {
    let strategy = StrategyName::parse("sma_cross").expect("a name");
    OrderRow {
        request: OrderRequest {
            client_id: ClientOrderId { strategy, epoch: HostEpoch(0x5eed), sequence },
            symbol: Symbol::new("SPY"),
            side: Side::Buy,
            qty: "10".parse().expect("qty"),
            kind: OrderKind::Limit { limit_price: "167.41".parse().expect("price") },
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: OrderClass::Simple,
        },
        strategy_id: Some(StrategyOrderId(sequence)),
        links: Links::default(),
        incarnation: 1,
        state: "\"recorded\"".into(),
        is_open,
        broker_id: None,
        filled_qty: Qty::ZERO,
        filled_notional: Usd::ZERO,
        recorded_at: time(sequence),
    }
}

fn time(sequence: u64) -> MarketTime {
    MarketTime::from_secs(1_381_152_600 + i64::try_from(sequence).expect("small"))
}

/// What the desk commits before it sends an order.
fn submit(sequence: u64) -> Vec<Record> {
    let row = order(sequence, true);
    let line = Audit {
        time: row.recorded_at,
        actor: Actor::Strategy(row.request.client_id.strategy.clone()),
        action: "submit",
        client_id: Some(row.request.client_id.clone()),
        symbol: Some(row.request.symbol.clone()),
        detail: "buy 10 SPY limit 167.41".into(),
    };
    vec![Record::Order(Box::new(row)), Record::Audit(line)]
}

/// The life of an order that is over.
fn life(sequence: u64) -> Vec<Record> {
    let row = order(sequence, false);
    let OrderRequest { client_id, symbol, side, qty, .. } = row.request.clone();
    let price = "167.41".parse().expect("price");
    let sub_book = SubBookRow {
        strategy: client_id.strategy.clone(),
        symbol: symbol.clone(),
        qty,
        cost: Usd::ZERO,
        cash: Usd::ZERO,
    };
    let execution_id = ExecutionId::new(format!("x{sequence}"));
    let fill =
        Fill { client_id: client_id.clone(), execution_id, symbol, side, qty, price, time: row.recorded_at };
    let change = OrderChange {
        client_id,
        state: "{\"terminal\":\"filled\"}".into(),
        is_open: false,
        broker_id: None,
        filled_qty: qty,
        filled_notional: Usd::ZERO,
        time: row.recorded_at,
        note: String::new(),
    };
    vec![
        Record::Order(Box::new(row)),
        Record::Fill { fill, after: sub_book },
        Record::Change(Box::new(change)),
    ]
}

async fn measure(name: &str, database: &Database) {
    let store = Store::open(database, Arc::default()).await.expect("opens");
    for sequence in 0..HISTORICAL / 100 {
        let lives = (0..100).flat_map(|number| life(sequence * 100 + number)).collect();
        store.commit(lives).await.expect("writes");
    }
    for sequence in HISTORICAL..HISTORICAL + OPEN {
        store.commit(submit(sequence)).await.expect("writes");
    }
    let mut took = Vec::new();
    let mut ticks = tokio::time::interval(EVERY);
    let first = HISTORICAL + OPEN;
    for sequence in first..first + COMMITS {
        ticks.tick().await;
        let records = submit(sequence);
        let start = Instant::now();
        // As the desk does it: by a task of its own.
        let store = store.clone();
        tokio::spawn(async move { store.commit(records).await }).await.expect("ends").expect("writes");
        took.push(start.elapsed());
    }
    took.sort_unstable();
    for percent in [50, 90, 99, 100] {
        let at = (took.len() * percent / 100).min(took.len() - 1);
        println!("{name}-commit-p{percent} {:.0} us", took[at].as_secs_f64() * 1e6);
    }
    store.close().await;
    let start = Instant::now();
    let store = Store::open(database, Arc::default()).await.expect("opens");
    let opened = start.elapsed();
    let stored = store.load().await.expect("reads");
    let all = start.elapsed();
    println!("{name}-open {:.1} ms", opened.as_secs_f64() * 1e3);
    println!("{name}-open-and-load {:.1} ms", all.as_secs_f64() * 1e3);
    println!("{name}-open-orders {} orders", stored.open_orders.len());
    store.close().await;
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = tempfile::tempdir().expect("tempdir");
    measure("sqlite", &Database::Sqlite(directory.path().join("host.db"))).await;
    let server = Server::new().unwrap_or_else(|error| panic!("{error}"));
    measure("postgres", &Database::Postgres(server.url().parse().expect("an address"))).await;
    let socket = server.socket_url();
    server.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public").expect("empties it");
    measure("postgres-socket", &Database::Postgres(socket.parse().expect("an address"))).await;
}
