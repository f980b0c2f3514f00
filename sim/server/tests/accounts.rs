//! The account, its configuration, its activities and its worth over time.

mod common;

use common::{Broker, open, secs, settings};
use sandpit_sim::{Market, data::Tick};
use sandpit_types::{MarketEvent, MarketTime, Quote, SessionDay, Trade};
use serde_json::{Value, json};

fn market(symbol: &str, side: &str, qty: u32) -> Value {
    json!({"symbol": symbol, "side": side, "qty": qty, "type": "market", "time_in_force": "day"})
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("an array, not {value}"))
}

#[test]
fn every_field_of_the_account() {
    let broker = Broker::in_session(settings());
    let account = broker.get("/v2/account");
    let decimals = "buying_power regt_buying_power daytrading_buying_power effective_buying_power \
        non_marginable_buying_power options_buying_power bod_dtbp cash accrued_fees pending_transfer_in \
        pending_transfer_out pending_reg_taf_fees portfolio_value equity last_equity long_market_value \
        short_market_value position_market_value initial_margin maintenance_margin last_maintenance_margin \
        sma multiplier intraday_adjustments";
    for field in decimals.split_whitespace() {
        let value = text(&account, field);
        assert!(value.parse::<rust_decimal::Decimal>().is_ok(), "{field} is {value}");
    }
    for field in
        "trading_blocked transfers_blocked account_blocked trade_suspended_by_user pattern_day_trader"
            .split(' ')
    {
        assert_eq!(account[field], false, "{field}");
    }
    assert_eq!((&account["shorting_enabled"], &account["daytrade_count"]), (&json!(true), &json!(0)));
    assert_eq!((&account["status"], &account["currency"]), (&json!("ACTIVE"), &json!("USD")));
    assert_eq!((&account["cash"], &account["equity"]), (&json!("100000"), &json!("100000")));
    assert_eq!(account["balance_asof"], "2026-03-13", "the last close was Friday's");
    assert!(text(&account, "account_number").starts_with("PA") && text(&account, "id").len() == 36);
}

#[test]
fn configurations_are_read_and_changed() {
    let broker = Broker::in_session(settings());
    let path = "/v2/account/configurations";
    let before = broker.get(path);
    assert_eq!(before["max_margin_multiplier"], "4");
    let patch = |body: Value| broker.send("PATCH", path, Some("K"), &body.to_string());
    // What alpaca-py sends: the whole object, nulls included.
    let mut whole = before.clone();
    (whole["dtbp_check"], whole["pdt_check"], whole["no_shorting"]) = (Value::Null, Value::Null, json!(true));
    let after = patch(whole);
    let mut expected = before.clone();
    expected["no_shorting"] = json!(true);
    assert_eq!((after.status, after.body), (200, expected.clone()));
    for (field, value) in [
        ("pdt_check", "exit"),
        ("dtbp_check", "both"),
        ("trade_confirm_email", "none"),
        ("max_margin_multiplier", "2"),
    ] {
        expected[field] = value.into();
        assert_eq!(patch(json!({ field: value })).body, expected);
        assert_eq!(patch(json!({ field: "nonsense" })).status, 422, "{field}");
    }
    for field in
        ["fractional_trading", "suspend_trade", "ptp_no_exception_entry", "disable_overnight_trading"]
    {
        let value = !expected[field].as_bool().expect("a switch");
        expected[field] = value.into();
        assert_eq!(patch(json!({ field: value })).body, expected);
    }
    assert_eq!(broker.get(path), expected);
    assert_eq!(broker.post(market("SPY", "buy", 1)).status, 403, "suspended");
}

#[test]
fn activities_are_one_row_an_execution() {
    let broker = Broker::in_session(settings());
    for (side, qty) in [("buy", 5), ("buy", 3), ("sell", 4)] {
        assert_eq!(broker.post(market("SPY", side, qty)).status, 200);
        broker.pass(secs(20));
    }
    let rows = broker.get("/v2/account/activities");
    let quantities: Vec<&str> = list(&rows).iter().map(|row| text(row, "qty")).collect();
    assert_eq!(quantities, ["4", "3", "5"], "newest first");
    let newest = &rows[0];
    let order = broker.get(&format!("/v2/orders/{}", text(newest, "order_id")));
    assert_eq!(order["side"], "sell");
    let (digits, uuid) = text(newest, "id").split_once("::").expect("two halves");
    assert_eq!((digits, uuid.len()), ("20260316093050000", 36), "as New York reads the time");
    let mut shown = newest.clone();
    shown["id"] = Value::Null;
    assert_eq!(
        shown,
        json!({"id": null, "activity_type": "FILL", "transaction_time": "2026-03-16T13:30:50Z",
            "type": "fill",
            "price": "100", "qty": "4", "side": "sell", "symbol": "SPY", "leaves_qty": "0", "cum_qty": "4",
            "order_id": order["id"], "order_status": "filled"})
    );

    let check = |path: &str, expected: &[&str]| {
        let rows = broker.get(&format!("/v2/account/activities{path}"));
        let found: Vec<&str> = list(&rows).iter().map(|row| text(row, "qty")).collect();
        assert_eq!(found, expected, "{path}");
    };
    check("/FILL", &["4", "3", "5"]);
    check("/FEE", &[]);
    check("?activity_types=FEE%2CFILL&direction=asc", &["5", "3", "4"]);
    check("?category=trade_activity", &["4", "3", "5"]);
    check("?category=non_trade_activity", &[]);
    check("?date=2026-03-16", &["4", "3", "5"]);
    check("?date=2026-03-15", &[]);
    check("?after=2026-03-16T13:30:10Z", &["4", "3"]);
    check("?until=2026-03-16T13:30:50Z", &["3", "5"]);
    check("?after=2026-03-16", &["4", "3", "5"]);
    check("?until=2026-03-16", &[]);
    check("?page_size=2", &["4", "3"]);
    check(&format!("?page_size=2&page_token={}", text(&rows[1], "id")), &["5"]);
    check(&format!("?page_token={}&direction=asc", text(&rows[1], "id")), &["4"]);
    check(&format!("?page_token={}", text(&rows[2], "id")), &[]);
    for bad in ["?category=trade_activity&activity_types=FILL", "?page_token=a::b", "?page_size=0", "/OTHER"]
    {
        assert_eq!(broker.call("GET", &format!("/v2/account/activities{bad}")).status, 422, "{bad}");
    }
}

#[test]
fn fees_are_activities_the_day_after() {
    let broker = Broker::over(live(), two_days());
    broker.pass(secs(310));
    broker.post(market("SPY", "buy", 100));
    broker.pass(secs(10));
    broker.post(market("SPY", "sell", 100));
    broker.pass(secs(10));
    assert_eq!(broker.get("/v2/account/activities/FEE"), json!([]));
    broker.pass(secs(NEXT_OPEN - 330));
    let fees = broker.get("/v2/account/activities?category=non_trade_activity&direction=asc");
    assert!(!list(&fees).is_empty());
    for fee in list(&fees) {
        assert_eq!((&fee["activity_type"], &fee["status"]), (&json!("FEE"), &json!("executed")));
        assert_eq!((&fee["date"], &fee["currency"]), (&json!("2026-03-16"), &json!("USD")));
        assert!(text(fee, "net_amount").starts_with('-') && text(fee, "created_at") > "2026-03-17T", "{fee}");
    }
}

/// Real money's rules, fees included.
fn live() -> sandpit_sim::Settings {
    let mut settings = settings();
    settings.venue.realism = sandpit_venue::Realism {
        latency_max: Default::default(),
        latency_min: Default::default(),
        ..sandpit_venue::Realism::live()
    };
    settings
}

/// Seconds from the start to ten seconds after the open of the second day; the night is jumped over.
const NEXT_OPEN: u64 = 300 + 23_400 + 60 + 310;

/// The market of one day, and a day after it.
fn two_days() -> Market {
    let mut market = common::market();
    let at = |text: &str| MarketTime::parse(text).expect("a time");
    let next = SessionDay { open: at("2026-03-17T13:30:00Z"), close: at("2026-03-17T20:00:00Z") };
    market.days.push(next);
    market
}

#[test]
fn the_worth_of_the_account_over_time() {
    let broker = Broker::over(settings(), two_days());
    broker.pass(secs(310));
    broker.post(market("SPY", "buy", 100));
    broker.pass(secs(600));
    let history = broker.get("/v2/account/portfolio/history?period=1D&timeframe=1Min");
    assert_eq!((&history["timeframe"], &history["base_value"]), (&json!("1Min"), &json!(100_000.0)));
    let length = list(&history["timestamp"]).len();
    assert_eq!(length, 11, "9:30 to 9:40");
    for field in ["equity", "profit_loss", "profit_loss_pct"] {
        assert_eq!(list(&history[field]).len(), length, "{field}");
        assert!(list(&history[field]).iter().all(Value::is_number), "{field}: {history}");
    }
    assert_eq!(history["timestamp"][0], open().as_millis() / 1_000);
    let worth = text(&broker.get("/v2/account"), "equity").parse::<f64>().expect("a number");
    assert_eq!(history["equity"][length - 1], worth);
    assert!(history.get("base_value_asof").is_none(), "the account is new");

    broker.pass(secs(NEXT_OPEN - 910));
    let day = broker.get("/v2/account/portfolio/history?period=1D");
    assert_eq!((&day["timeframe"], &day["base_value_asof"]), (&json!("1Min"), &json!("2026-03-16")));
    let month = broker.get("/v2/account/portfolio/history");
    assert_eq!((&month["timeframe"], list(&month["equity"]).len()), (&json!("1D"), 2));
    assert_eq!(month["cashflow"], json!({}));
    let start = "start=2026-03-16T04:00:00Z&end=2026-03-16T23:00:00Z";
    let first = broker.get(&format!("/v2/account/portfolio/history?{start}&timeframe=1H"));
    assert_eq!(list(&first["timestamp"]).len(), 8, "9:30 to 15:30, and the close");
    let span = "start=2026-03-16T15:00:00Z&end=2026-03-16T17:00:00Z";
    let some = broker.get(&format!("/v2/account/portfolio/history?{span}&timeframe=15Min"));
    let first = MarketTime::parse("2026-03-16T15:00:00Z").expect("a time").as_millis() / 1_000;
    assert_eq!((list(&some["timestamp"]).len(), &some["timestamp"][0]), (9, &json!(first)));
    let days = broker.get("/v2/account/portfolio/history?timeframe=1D&pnl_reset=no_reset");
    let number = |value: &Value| value.as_f64().expect("a number");
    let profit = number(&days["equity"][1]) - number(&days["base_value"]);
    assert!((number(&days["profit_loss"][1]) - profit).abs() < 0.001, "{days}");
    for (query, count) in [
        ("period=2D&timeframe=15Min", 27 + 1),
        ("period=2D&timeframe=15Min&extended_hours=true", 65 + 23),
        ("period=1W&timeframe=1H&intraday_reporting=continuous", 34),
    ] {
        let history = broker.get(&format!("/v2/account/portfolio/history?{query}"));
        assert_eq!(list(&history["equity"]).len(), count, "{query}");
    }
    for bad in [
        "period=1X",
        "timeframe=2Min",
        "period=1A&timeframe=1Min",
        "pnl_reset=never",
        "start=2026-03-17&end=2026-03-16T00:00:00Z",
        "period=1D&start=2026-03-16&end=2026-03-17",
    ] {
        let answer = broker.call("GET", &format!("/v2/account/portfolio/history?{bad}"));
        assert_eq!((answer.status, &answer.body["code"]), (422, &json!(40_010_001)), "{bad}");
    }
}

#[test]
fn each_minute_is_valued_at_its_end_however_far_the_clock_jumps() {
    let market = common::market();
    let symbol = market.symbols[0].clone();
    let quote =
        Quote { symbol: symbol.clone(), time: open(), bid: 99.9, bid_size: 100, ask: 100.0, ask_size: 100 };
    // A trade in the middle of each minute, one dollar higher than the one before.
    let trades = (0..5_u8).map(move |minute| {
        let time = open() + secs(60 * u64::from(minute) + 30);
        Trade { symbol: symbol.clone(), time, price: 100.0 + f64::from(minute), size: 1 }
    });
    let trades = trades.map(MarketEvent::Trade);
    let events = std::iter::once(MarketEvent::Quote(quote)).chain(trades).map(Tick::new);
    let broker = Broker::over(settings(), Market { feed: Box::new(events), ..market });
    broker.pass(secs(310));
    broker.post(self::market("SPY", "buy", 10));
    broker.pass(secs(290 + 60));
    let history = broker.get("/v2/account/portfolio/history?period=1D&timeframe=1Min");
    let gains: Vec<f64> =
        list(&history["profit_loss"]).iter().map(|gain| gain.as_f64().expect("a number")).collect();
    assert_eq!(gains, [0.0, 10.0, 20.0, 30.0, 40.0, 40.0, 40.0]);
}

#[test]
fn positions_count_the_day_apart() {
    let broker = Broker::over(settings(), two_days());
    broker.pass(secs(310));
    broker.post(market("SPY", "buy", 10));
    broker.pass(secs(60));
    let position = broker.get("/v2/positions/SPY");
    let fields = "asset_id symbol exchange asset_class asset_marginable qty qty_available avg_entry_price \
        side market_value cost_basis unrealized_pl unrealized_plpc unrealized_intraday_pl \
        unrealized_intraday_plpc current_price lastday_price change_today";
    for field in fields.split_whitespace() {
        assert!(position.get(field).is_some(), "{field}");
    }
    assert_eq!(position["lastday_price"], Value::Null, "nothing was seen of the day before");
    assert_eq!(position["unrealized_intraday_pl"], position["unrealized_pl"]);

    // The next day the same shares are at last day's price still.
    broker.pass(secs(NEXT_OPEN - 370));
    let position = broker.get("/v2/positions/SPY");
    assert_eq!(position["lastday_price"], position["current_price"]);
    assert_eq!((&position["unrealized_intraday_pl"], &position["change_today"]), (&json!("0"), &json!("0")));
    assert_eq!(position["unrealized_intraday_plpc"], "0");
    let id = text(&position, "asset_id");
    assert_eq!(broker.get(&format!("/v2/positions/{id}")), position);
    assert_eq!(broker.get("/v2/positions"), json!([position]));
}
