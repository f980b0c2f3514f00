use sandpit_store::{OrderRead, OrderRow};
use sandpit_types::{
    BrokerOrderId, ClientOrderId, ExecutionId, Fill, HostEpoch, Leg, Links, MarketTime, OrderClass,
    OrderKind, OrderRequest, Price, Qty, Side, StopLoss, StrategyName, StrategyOrderId, Symbol, TimeInForce,
    Trail, Usd,
};

use super::*;

/// Compares what stands under each column's name; what is empty is left out.
fn check(columns: &[Column], cells: &[Cell], expected: &[(&str, &str)]) {
    assert_eq!(cells.len(), columns.len());
    let mut found = Vec::new();
    for (cell, column) in cells.iter().zip(columns) {
        let (kind, text) = match cell {
            Cell::Nothing if column.is_optional => continue,
            Cell::Nothing => panic!("{column:?} is empty"),
            Cell::Text(text) => (Kind::Text, text.clone()),
            Cell::Decimal(decimal) => (Kind::Decimal, decimal.to_string()),
            Cell::Time(time) => (Kind::Time, time.to_string()),
            Cell::Number(number) => (Kind::Number, number.to_string()),
            Cell::Flag(flag) => (Kind::Flag, flag.to_string()),
        };
        assert_eq!(kind, column.kind, "{column:?}");
        found.push((column.name, text));
    }
    let expected: Vec<_> = expected.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    assert_eq!(found, expected);
}

fn id(sequence: u64) -> ClientOrderId {
    ClientOrderId { strategy: StrategyName::parse("a").expect("a name"), epoch: HostEpoch(1), sequence }
}

fn price(whole: i64) -> Price {
    Price::new(whole.into())
}

fn order(kind: OrderKind, class: OrderClass) -> Vec<Cell> {
    let request = OrderRequest {
        client_id: id(1),
        symbol: Symbol::new("SPY"),
        side: Side::Buy,
        qty: Qty::new(10.into()),
        kind,
        time_in_force: TimeInForce::Day,
        extended_hours: true,
        class,
    };
    let order = OrderRow {
        request,
        strategy_id: Some(StrategyOrderId(3)),
        links: Links { leg_of: Some((id(4), Leg::StopLoss)), replaces: Some(id(5)) },
        incarnation: 6,
        state: "working".to_owned(),
        is_open: false,
        broker_id: Some(BrokerOrderId::new("b")),
        filled_qty: Qty::new(7.into()),
        filled_notional: Usd::new(777.into()),
        recorded_at: MarketTime::from_secs(8),
    };
    rows::order(OrderRead { order, changed_at: MarketTime::from_secs(9) })
}

/// The expected columns of such an order, with what its kind and class add.
fn columns<'a>(kind: &[(&'a str, &'a str)], class: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let head = [
        ("client_id", "sp-a-0000000000000001-1"),
        ("strategy", "a"),
        ("epoch", "0000000000000001"),
        ("incarnation", "6"),
        ("strategy_id", "3"),
        ("symbol", "SPY"),
        ("side", "buy"),
        ("qty", "10"),
    ];
    let tail = [
        ("time_in_force", "day"),
        ("extended_hours", "true"),
        ("leg_of", "sp-a-0000000000000001-4"),
        ("leg", "stop_loss"),
        ("replaces", "sp-a-0000000000000001-5"),
        ("state", "working"),
        ("is_open", "false"),
        ("broker_id", "b"),
        ("filled_qty", "7"),
        ("filled_notional", "777"),
        ("recorded_at", "1970-01-01T00:00:08Z"),
        ("changed_at", "1970-01-01T00:00:09Z"),
    ];
    [&head, kind, class, &tail].concat()
}

#[test]
fn each_column_of_an_order_has_what_its_name_says() {
    let stop_loss = StopLoss { stop_price: price(13), limit_price: Some(price(14)) };
    check(
        rows::ORDERS,
        &order(
            OrderKind::StopLimit { stop_price: price(11), limit_price: price(12) },
            OrderClass::Bracket { take_profit: price(15), stop_loss },
        ),
        &columns(
            &[("kind", "stop_limit"), ("limit_price", "12"), ("stop_price", "11")],
            &[("class", "bracket"), ("take_profit", "15"), ("stop_loss", "13"), ("stop_loss_limit", "14")],
        ),
    );
    let simple = [("class", "simple")];
    let trailing = |trail| order(OrderKind::TrailingStop { trail }, OrderClass::Simple);
    check(
        rows::ORDERS,
        &trailing(Trail::Price(price(16))),
        &columns(&[("kind", "trailing_stop"), ("trail_price", "16")], &simple),
    );
    check(
        rows::ORDERS,
        &trailing(Trail::Percent(17.into())),
        &columns(&[("kind", "trailing_stop"), ("trail_percent", "17")], &simple),
    );
}

#[test]
fn each_column_of_a_fill_has_what_its_name_says() {
    let fill = Fill {
        client_id: id(1),
        execution_id: ExecutionId::new("e"),
        symbol: Symbol::new("SPY"),
        side: Side::Sell,
        qty: Qty::new(2.into()),
        price: price(3),
        time: MarketTime::from_secs(4),
    };
    let expected = [
        ("client_id", "sp-a-0000000000000001-1"),
        ("execution_id", "e"),
        ("strategy", "a"),
        ("symbol", "SPY"),
        ("side", "sell"),
        ("qty", "2"),
        ("price", "3"),
        ("time", "1970-01-01T00:00:04Z"),
    ];
    check(rows::FILLS, &rows::fill(fill), &expected);
}
