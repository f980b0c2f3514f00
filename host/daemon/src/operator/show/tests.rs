use sandpit_monitor::{
    BudgetFigures, HoldingFigures, OpenOrderFigures, OrderFigures, PositionFigures, RefusedFigures, Snapshot,
    StrategyFigures, StreamFigures,
};

use super::*;
use crate::operator::table::WIDTH;

fn order(sequence: u32, symbol: &str, limit: Option<&str>, stop: Option<&str>) -> OpenOrderFigures {
    OpenOrderFigures {
        client_order_id: format!("sp-sma_cross-00000000000000ff-{sequence}"),
        strategy: "sma_cross".into(),
        symbol: symbol.into(),
        side: "buy".into(),
        qty: "10".into(),
        filled_qty: "2.5".into(),
        kind: "market".into(),
        limit_price: limit.map(str::to_owned),
        stop_price: stop.map(str::to_owned),
        status: "new".into(),
        since: "2026-03-16T14:00:00Z".into(),
        age_secs: 192.0,
    }
}

fn snapshot() -> Value {
    let holding = |strategy: &str, qty: &str| HoldingFigures {
        strategy: strategy.into(),
        qty: qty.into(),
        average_price: "100.5".into(),
        value_usd: Some(1_010.0),
        unrealised_usd: Some(5.0),
    };
    let strategy = |name: &str, state: &str, error: Option<String>| StrategyFigures {
        name: name.into(),
        state: state.into(),
        last_error: error,
        strikes: 3,
        realised_usd: -12.5,
        unrealised_usd: Some(5.0),
        paused: (name == "sma_cross").then(|| "ann paused it: the spread".to_owned()),
        ..StrategyFigures::default()
    };
    let stream = |name: &str, health: &str| StreamFigures {
        name: name.into(),
        state: "live".into(),
        health: health.into(),
        ..StreamFigures::default()
    };
    let snapshot = Snapshot {
        market_time: "2026-03-16T14:03:12Z".into(),
        mode: "paper".into(),
        epoch: "00000000000000ff".into(),
        pid: 4321,
        reconciled: true,
        frozen: Some("ann froze it: a look".into()),
        paused: [("sma_cross".to_owned(), "ann paused it: the spread".to_owned())].into(),
        lease_ms_left: Some(1_840),
        equity_usd: Some(100_012.0),
        equity_start_usd: Some(100_000.0),
        rss_bytes: 64 << 20,
        orders: OrderFigures { open: 2, submitted: 40, fills: 38, ..OrderFigures::default() },
        strategies: vec![
            strategy("sma_cross", "running", None),
            strategy("pairs", "quarantined", Some("it trapped: ".to_owned() + &"x".repeat(200))),
        ],
        refused: vec![RefusedFigures { plugin: "bad".into(), reason: "it is no component".into() }],
        streams: vec![stream("market-data", "live"), stream("trade-updates", "")],
        budgets: vec![BudgetFigures { name: "trading".into(), used: 3, limit: 160, ..Default::default() }],
        positions: vec![PositionFigures {
            symbol: "SPY".into(),
            qty: "20".into(),
            value_usd: Some(2_020.0),
            unrealised_usd: Some(10.0),
            holdings: vec![holding("pairs", "10"), holding("sma_cross", "10")],
        }],
        open_orders: vec![
            order(1, "SPY", None, None),
            order(2, "QQQ", Some("99.5"), None),
            order(3, "QQQ", Some("98"), Some("98.5")),
        ],
        ..Snapshot::default()
    };
    serde_json::to_value(snapshot).expect("figures")
}

/// The table as it is, and no line wider than a window.
fn check(told: &Told, expected: &str) {
    assert_eq!(told.text, expected.trim_matches('\n'), "\n{}", told.text);
    assert!(told.text.lines().all(|line| line.chars().count() <= WIDTH), "{}", told.text);
}

/// The names of the fields, which programs rely on.
fn fields(value: &Value) -> String {
    let names = value.as_object().expect("an object").keys();
    names.map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_status_is_one_screen() {
    let told = status(&snapshot());
    check(
        &told,
        "
host         paper, books reconciled, pid 4321, epoch 00000000000000ff
market time  2026-03-16T14:03:12Z
lease        1.8 s left
frozen       YES: ann froze it: a look
equity       100012.00 USD, +12.00 in this life of the host
orders       2 open, 0 waiting, 0 of unknown outcome
so far       40 sent, 38 fills, 0 rejected, 0 refused by a gate
strategies   1 running, 1 quarantined
paused       sma_cross: ann paused it: the spread
not used     bad: it is no component
stream       market-data live, data live
stream       trade-updates live
requests     trading 3 of 160 a minute
memory       64 MiB
",
    );
    assert_eq!(
        fields(&told.json),
        "budgets epoch equity_start_usd equity_usd frozen lease_ms_left market_time mode orders \
         paused pid reconciled refused_plugins rss_bytes strategies streams"
    );
    assert_eq!(fields(&told.json["orders"]), "cancels fills open planned refused rejected submitted unknown");
    assert_eq!(fields(&told.json["strategies"]), "quarantined resting running stopped");
    assert_eq!(fields(&told.json["streams"][0]), "health name state");
    assert_eq!(fields(&told.json["budgets"][0]), "limit name queued used");
}

#[test]
fn orders_have_their_price_and_age_and_can_be_chosen() {
    let told = orders(&snapshot(), None, None);
    check(
        &told,
        "
SYMBOL  SIDE  QTY  FILLED  PRICE                 AGE  STATUS  ORDER
SPY     buy    10     2.5  market              3m12s  new     sp-sma_cross-00000000000000ff-1
QQQ     buy    10     2.5  limit 99.5          3m12s  new     sp-sma_cross-00000000000000ff-2
QQQ     buy    10     2.5  stop 98.5 limit 98  3m12s  new     sp-sma_cross-00000000000000ff-3
",
    );
    let row = &told.json["orders"][0];
    assert_eq!(
        fields(row),
        "age_secs client_order_id filled_qty kind limit_price qty side since status stop_price strategy \
         symbol"
    );
    let count = |strategy, symbol| {
        orders(&snapshot(), strategy, symbol).json["orders"].as_array().map(Vec::len).expect("a list")
    };
    assert_eq!((count(Some("sma_cross"), Some("QQQ")), count(None, Some("SPY"))), (2, 1));
    check(&orders(&snapshot(), Some("pairs"), None), "no order is open");
}

#[test]
fn a_position_has_a_row_for_each_who_holds_of_it() {
    let told = positions(&snapshot());
    check(
        &told,
        "
SYMBOL  QTY  AVERAGE  VALUE USD  GAIN USD  STRATEGY
SPY      10    100.5    1010.00      5.00  pairs
SPY      10    100.5    1010.00      5.00  sma_cross
",
    );
    let position = &told.json["positions"][0];
    assert_eq!(fields(position), "holdings qty symbol unrealised_usd value_usd");
    assert_eq!(fields(&position["holdings"][0]), "average_price qty strategy unrealised_usd value_usd");
}

#[test]
fn a_strategys_last_error_is_cut_off_for_people_only() {
    let told = strategies(&snapshot());
    let lines: Vec<&str> = told.text.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "STRATEGY   STATE            STRIKES  ORDERS  FILLS  REALISED  UNREALISED  LAST ERROR",
            "sma_cross  running, paused        3       0      0    -12.50        5.00  -",
        ]
    );
    assert!(lines[2].contains("quarantined") && lines[2].ends_with('…'), "{}", lines[2]);
    assert_eq!(lines[3], "paused    sma_cross: ann paused it: the spread");
    assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{}", told.text);
    let pairs = &told.json["strategies"][1];
    assert_eq!(pairs["last_error"].as_str().map(str::len), Some(212));
    assert_eq!(
        fields(pairs),
        "events fills intents last_error name orders paused realised_usd reason refused state strikes \
         symbols unrealised_usd"
    );
    assert_eq!(strategy_names(&snapshot()), ["sma_cross", "pairs"]);
}

#[test]
fn an_age_is_as_long_as_it_needs() {
    let check = |secs: f64, expected: &str| assert_eq!(age(secs), expected);
    check(-1.0, "0s");
    check(59.9, "59s");
    check(3_599.0, "59m59s");
    check(3_600.0 * 5.0 + 61.0, "5h01m");
    check(86_400.0 * 3.0, "3d00h");
}
