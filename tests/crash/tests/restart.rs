//! A host that starts with 500 open orders and 10,000 of the past trades again within a second.

use std::{sync::Arc, time::Duration};

use sandpit_crash::{
    broker::SYMBOLS,
    rig::{Rig, STRATEGIES, Setup},
    waiting::wait_for,
};
use sandpit_store::{Database, OrderChange, OrderRow, Record, Store, SubBookRow};
use sandpit_system_tests::monotonic_ms;
use sandpit_types::{
    BrokerOrderId, ClientOrderId, ExecutionId, Fill, HostEpoch, Links, MarketTime, OrderClass, OrderKind,
    OrderRequest, Pulse, Qty, Side, StrategyName, StrategyOrderId, Symbol, TimeInForce, Usd,
};
use serde_json::json;

/// Orders of the past, each with its fill and its changes; an even number, so that what was bought was sold.
const PAST: u64 = 10_000;
/// Orders that are open at the broker.
const OPEN: u64 = 500;
/// Of these, how many are the second strategy's: as many as it has at the most, so that it cancels one and then sends.
const OPEN_OF_THE_SECOND: u64 = 16;
/// Records of one commit.
const BATCH: usize = 2_000;
/// Orders that one key of the broker may send in a minute, with a good margin.
const ORDERS_A_KEY: u64 = 150;
/// The life that sent all of them.
const EPOCH: HostEpoch = HostEpoch(0xbead);
/// The goal is a second, on a machine that does nothing else; this holds on one that is busy with other tests, and
/// with a host that was not built to be fast.
const BOUND: Duration = Duration::from_secs(6);

fn one() -> Qty {
    "1".parse().expect("a quantity")
}

fn hundred() -> Usd {
    "100".parse().expect("an amount")
}

fn row(
    sequence: u64,
    strategy: &StrategyName,
    symbol: &str,
    side: Side,
    price: &str,
    at: MarketTime,
) -> OrderRow {
    let request = OrderRequest {
        client_id: ClientOrderId { strategy: strategy.clone(), epoch: EPOCH, sequence },
        symbol: Symbol::new(symbol),
        side,
        qty: one(),
        kind: OrderKind::Limit { limit_price: price.parse().expect("a price") },
        time_in_force: TimeInForce::Gtc,
        extended_hours: false,
        class: OrderClass::Simple,
    };
    OrderRow {
        request,
        strategy_id: Some(StrategyOrderId(sequence)),
        links: Links::default(),
        incarnation: 0,
        state: "\"recorded\"".into(),
        is_open: true,
        broker_id: None,
        filled_qty: Qty::ZERO,
        filled_notional: Usd::ZERO,
        recorded_at: at,
    }
}

fn change(row: &OrderRow, broker_id: &str, state: &str, filled: bool) -> Record {
    let notional = if filled { hundred() } else { Usd::ZERO };
    Record::Change(Box::new(OrderChange {
        client_id: row.request.client_id.clone(),
        state: state.into(),
        is_open: !filled,
        broker_id: Some(BrokerOrderId::new(broker_id)),
        filled_qty: if filled { one() } else { Qty::ZERO },
        filled_notional: notional,
        time: row.recorded_at,
        note: "seeded".into(),
    }))
}

/// One order of the past, from its record to its fill. Every second one sells what the one before has bought.
fn past(sequence: u64, strategies: &[StrategyName], end: MarketTime) -> Vec<Record> {
    let pair = usize::try_from(sequence / 2).expect("a small number");
    let (strategy, symbol) = (&strategies[pair % STRATEGIES.len()], SYMBOLS[pair % SYMBOLS.len()]);
    let side = if sequence.is_multiple_of(2) { Side::Buy } else { Side::Sell };
    let at = end - Duration::from_secs(60 * (PAST + 60 - sequence));
    let (row, id) = (row(sequence, strategy, symbol, side, "100", at), format!("past-{sequence}"));
    let (qty, usd) = match side {
        Side::Buy => (one(), hundred()),
        Side::Sell => (Qty::ZERO, Usd::ZERO),
    };
    let (name, symbol) = (strategy.clone(), row.request.symbol.clone());
    let fill = Fill {
        client_id: row.request.client_id.clone(),
        execution_id: ExecutionId::new(format!("x-{sequence}")),
        symbol: symbol.clone(),
        side,
        qty: one(),
        price: "100".parse().expect("a price"),
        time: at,
    };
    let after = SubBookRow { strategy: name, symbol, qty, cost: usd, cash: -usd };
    let working = change(&row, &id, "{\"working\":\"new\"}", false);
    let filled = change(&row, &id, "{\"terminal\":\"filled\"}", true);
    vec![Record::Order(Box::new(row)), working, Record::Fill { fill, after }, filled]
}

/// An order that the broker has, too.
fn open(rig: &Rig, sequence: u64, strategies: &[StrategyName], at: MarketTime) -> Vec<Record> {
    let (strategy, symbol) = if sequence < PAST + OPEN_OF_THE_SECOND {
        (&strategies[1], SYMBOLS[1])
    } else {
        (&strategies[0], SYMBOLS[0])
    };
    let row = row(sequence, strategy, symbol, Side::Buy, "10", at);
    let order = json!({
        "client_order_id": row.request.client_id.to_string(),
        "symbol": symbol,
        "side": "buy",
        "type": "limit",
        "limit_price": "10",
        "qty": "1",
        "time_in_force": "gtc",
    });
    let key = format!("key-{}", sequence / ORDERS_A_KEY);
    let taken = rig.broker.submit(&key, &order).expect("the broker takes it");
    let change = change(&row, taken["id"].as_str().expect("an id"), "{\"working\":\"new\"}", false);
    vec![Record::Order(Box::new(row)), change]
}

/// Fills broker and database.
fn seed(rig: &Rig) {
    let names = STRATEGIES.map(|name| StrategyName::parse(name).expect("a name"));
    let clock = rig.broker.get("/sim/clock").expect("the broker answers");
    let now = MarketTime::parse(clock["market_time"].as_str().expect("a time")).expect("a time");
    let path = rig.state_dir().join("paper/sandpit.db");
    let mut records = vec![Record::HostStart { epoch: EPOCH, mode: "paper".into(), time: now }];
    records.extend((0..PAST).flat_map(|sequence| past(sequence, &names, now)));
    records.extend((PAST..PAST + OPEN).flat_map(|sequence| open(rig, sequence, &names, now)));
    let write = async {
        let store = Store::open(&Database::Sqlite(path), Arc::new(Pulse::default())).await.expect("opens");
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            store.commit(records.by_ref().take(BATCH).collect()).await.expect("writes");
        }
        store.close().await;
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(write);
}

#[test]
fn trading_again_with_500_open_orders_and_10_000_of_the_past() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let parameters = ["works = false", "works = true\nsimple = true"];
    let setup = Setup { with_faults: false, parameters, ..Setup::new(3, 1) };
    let mut rig = Rig::start(folder.path(), setup).expect("a rig");
    seed(&rig);
    assert_eq!(rig.broker.figure("open_orders").expect("the broker answers"), OPEN);
    // What is compiled once is not compiled again at a restart.
    rig.start_host(None).expect("starts");
    rig.reconciled().expect("comes up").expect("stays up");
    rig.kill_host().expect("dies");

    let accepted = |rig: &Rig| rig.broker.figure("orders_accepted").expect("the broker answers");
    let (before, start) = (accepted(&rig), monotonic_ms());
    rig.start_host(None).expect("starts");
    rig.reconciled().expect("comes up").unwrap_or_else(|| panic!("it ended\n{}", rig.log()));
    let reconciled = monotonic_ms() - start;
    let traded = wait_for("an order", BOUND, || {
        // A market that runs as fast as a clock has no quote when one is wanted.
        SYMBOLS.iter().skip(1).step_by(2).try_for_each(|symbol| rig.broker.tell_quote(symbol, 100))?;
        Ok((accepted(&rig) > before).then_some(()))
    });
    let trading = monotonic_ms() - start;
    assert!(traded.is_ok(), "it does not trade\n{}", rig.log());
    println!("restart_to_reconciled_500_open {reconciled} ms\nrestart_to_trading_500_open {trading} ms");
    assert!(Duration::from_millis(trading) <= BOUND, "{trading} ms\n{}", rig.log());
}
