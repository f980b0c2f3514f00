//! What the tests write, and where.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use sandpit_records::{Backup, BackupDone, Place, RecordsError, Restore, RestoreDone, backup, restore};
use sandpit_store::{Actor, Audit, Database, OrderChange, OrderRow, Record, Store, SubBookRow};
use sandpit_types::{
    BrokerOrderId, ClientOrderId, ExecutionId, Fill, HostEpoch, Links, MarketTime, OrderClass, OrderKind,
    OrderRequest, Price, Pulse, Qty, Side, Signal, StopLoss, StrategyName, StrategyOrderId, Symbol,
    TimeInForce, Trail, Usd,
};

/// The first moment that anything happens.
pub(crate) const START: i64 = 1_773_667_800_123_456_789;

pub(crate) fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) async fn open(database: &Database) -> Store {
    let opened = Store::open(database, Arc::new(Pulse::default())).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

/// A time of day that goes on by a minute at each look.
pub(crate) fn now() -> MarketTime {
    use std::sync::atomic::{AtomicI64, Ordering};
    static MINUTES: AtomicI64 = AtomicI64::new(0);
    MarketTime::from_secs(1_773_667_800 + 60 * MINUTES.fetch_add(1, Ordering::Relaxed))
}

/// The present moment: a server verifies signatures against its own clock.
#[expect(clippy::disallowed_methods, reason = "signatures are made for now")]
pub(crate) fn real_now() -> MarketTime {
    jiff::Timestamp::now().into()
}

/// Orders `first` to `last`, each filled in two parts, and what goes with them.
pub(crate) async fn fill_books(store: &Store, first: u64, last: u64) {
    let start = Record::HostStart { epoch: HostEpoch(7), mode: "paper".into(), time: at(0) };
    store.commit(vec![start]).await.expect("kept");
    for sequence in first..=last {
        store.commit(trade(sequence)).await.expect("kept");
    }
}

fn at(sequence: u64) -> MarketTime {
    MarketTime::from_nanos(START + sequence as i64 * 1_000_000_000)
}

fn name() -> StrategyName {
    StrategyName::parse("sma").expect("a name")
}

fn trade(sequence: u64) -> Vec<Record> {
    let price: Price = "167.41000004".parse().expect("a price");
    let (qty, part): (Qty, Qty) = ("2.5".parse().expect("qty"), "1.25".parse().expect("qty"));
    let order = order(sequence, qty);
    let id = order.request.client_id.clone();
    let held = Qty::new(qty.get() * rust_decimal::Decimal::from(sequence));
    let book = SubBookRow {
        strategy: name(),
        symbol: Symbol::new("SPY"),
        qty: held,
        cost: price * held,
        cash: -(price * held),
    };
    let fill = |execution: &str| Record::Fill {
        fill: Fill {
            client_id: id.clone(),
            execution_id: ExecutionId::new(execution),
            symbol: Symbol::new("SPY"),
            side: Side::Buy,
            qty: part,
            price,
            time: at(sequence),
        },
        after: book.clone(),
    };
    let change = |state: &str, filled: Qty, is_open| {
        Record::Change(Box::new(OrderChange {
            client_id: id.clone(),
            state: state.into(),
            is_open,
            broker_id: Some(BrokerOrderId::new(format!("b-{sequence}"))),
            filled_qty: filled,
            filled_notional: price * filled,
            time: at(sequence),
            note: String::new(),
        }))
    };
    let signal = Signal { symbol: None, reason: format!("it \"crossed\", {sequence}\nand more: ä") };
    vec![
        Record::Order(Box::new(order)),
        change("{\"working\":\"new\"}", Qty::ZERO, true),
        fill("a"),
        fill("b"),
        change("{\"over\":\"filled\"}", qty, false),
        Record::Equity { time: at(sequence), equity: usd("100000.5"), cash: usd("-12.000000001") },
        Record::Signal { time: at(sequence), strategy: name(), signal },
    ]
}

/// What the host says in its audit log of such a trade.
pub(crate) fn audit_lines(sequence: u64) -> Vec<Record> {
    let client_id = order(sequence, Qty::ZERO).request.client_id;
    let line = |action| {
        let (time, client_id, symbol) = (at(sequence), Some(client_id.clone()), None);
        Record::Audit(Audit { time, actor: Actor::Host, action, client_id, symbol, detail: String::new() })
    };
    vec![line("submit"), line("fill")]
}

fn usd(text: &str) -> Usd {
    text.parse().expect("US dollars")
}

fn order(sequence: u64, qty: Qty) -> OrderRow {
    let price: Price = "170.25".parse().expect("a price");
    let loss = StopLoss { stop_price: price, limit_price: None };
    let kinds = [
        OrderKind::Market,
        OrderKind::Limit { limit_price: price },
        OrderKind::TrailingStop { trail: Trail::Percent("1.5".parse().expect("percent")) },
    ];
    let classes = [OrderClass::Simple, OrderClass::Bracket { take_profit: price, stop_loss: loss }];
    OrderRow {
        request: OrderRequest {
            client_id: ClientOrderId { strategy: name(), epoch: HostEpoch(7), sequence },
            symbol: Symbol::new("SPY"),
            side: Side::Buy,
            qty,
            kind: kinds[(sequence % 3) as usize],
            time_in_force: TimeInForce::Day,
            extended_hours: sequence.is_multiple_of(2),
            class: classes[(sequence % 2) as usize],
        },
        strategy_id: Some(StrategyOrderId(u64::MAX - sequence)),
        links: Links::default(),
        incarnation: 1,
        state: "\"recorded\"".into(),
        is_open: true,
        broker_id: None,
        filled_qty: Qty::ZERO,
        filled_notional: Usd::ZERO,
        recorded_at: at(sequence),
    }
}

pub(crate) fn path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

pub(crate) async fn back_up(
    database: &Database,
    folder: &Path,
    place: &Place,
    keep: Option<usize>,
) -> Result<BackupDone, RecordsError> {
    let keep = keep.map(|keep| keep.try_into().expect("not 0"));
    let path = path();
    backup(&Backup { database, mode: "paper", state_folder: folder, place, keep, now, path: &path }).await
}

pub(crate) async fn bring_back(
    database: &Database,
    folder: &Path,
    place: &Place,
    name: Option<&str>,
) -> Result<RestoreDone, RecordsError> {
    std::fs::create_dir_all(folder).expect("a folder");
    let path = path();
    restore(&Restore {
        database,
        mode: "paper",
        state_folder: folder,
        place,
        name,
        path: &path,
        states: "snapshots",
    })
    .await
}

/// What a database says of itself when nothing is wrong.
pub(crate) async fn sound(database: &Database) -> sandpit_store::Contents {
    let mut snapshot = Store::snapshot(database).await.expect("opens");
    let found = snapshot.inspect().await.expect("readable");
    assert_eq!((found.wrong, found.skipped), (vec![], vec![]), "{database}");
    let contents = snapshot.contents().await.expect("readable");
    snapshot.close().await;
    contents
}
