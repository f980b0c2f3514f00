//! Orders and positions over real HTTP, and their trade updates over a real WebSocket.

mod common;

use common::{Broker, secs, settings};
use sandpit_types::Usd;
use serde_json::{Value, json};

fn limit(symbol: &str, side: &str, qty: u32, price: f64) -> Value {
    json!({"symbol": symbol, "side": side, "qty": qty, "type": "limit", "limit_price": price,
        "time_in_force": "day"})
}

fn market(symbol: &str, side: &str, qty: u32) -> Value {
    json!({"symbol": symbol, "side": side, "qty": qty, "type": "market", "time_in_force": "day"})
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

#[test]
fn a_market_order_fills_and_is_told() {
    let broker = Broker::in_session(settings());
    let mut updates = broker.stream("/stream", &[]);
    let old_shape = json!({"action": "authenticate", "data": {"key_id": "K", "secret_key": "S"}});
    assert_eq!(updates.ask(old_shape)["data"]["status"], "authorized");
    let listen = json!({"action": "listen", "data": {"streams": ["trade_updates"]}});
    assert_eq!(updates.ask(listen), json!({"stream": "listening", "data": {"streams": ["trade_updates"]}}));

    let mut order = market("SPY", "buy", 10);
    order["client_order_id"] = "mine".into();
    let answer = broker.post(order);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body.as_object().map(serde_json::Map::len), Some(36), "every key is present");
    let id = text(&answer.body, "id").to_owned();

    let mut events = Vec::new();
    while events.last().is_none_or(|event| event != "fill") {
        let frame = updates.frame();
        assert!(frame.is_binary(), "paper accounts get binary frames");
        let update: Value = serde_json::from_slice(&frame.into_data()).expect("JSON");
        assert_eq!(
            (&update["stream"], &update["data"]["order"]["id"]),
            (&json!("trade_updates"), &json!(id))
        );
        events.push(text(&update["data"], "event").to_owned());
        if events.last().is_some_and(|event| event == "fill") {
            let data = &update["data"];
            assert_eq!((&data["price"], &data["qty"]), (&json!("100.1"), &json!("10")));
            assert_eq!((&data["position_qty"], &data["order"]["filled_qty"]), (&json!("10"), &json!("10")));
            assert!(data["execution_id"].is_string());
        }
    }
    assert_eq!(events, ["pending_new", "new", "fill"]);

    for path in [
        format!("/v2/orders/{id}"),
        format!("/v2/orders/{}?nested=True", id.replace('-', "")),
        "/v2/orders:by_client_order_id?client_order_id=mine".to_owned(),
    ] {
        let order = broker.get(&path);
        assert_eq!(
            (&order["status"], &order["filled_avg_price"]),
            (&json!("filled"), &json!("100.1")),
            "{path}"
        );
    }
    let position = broker.get("/v2/positions/SPY");
    assert_eq!((&position["qty"], &position["avg_entry_price"]), (&json!("10"), &json!("100.1")));
    assert_eq!((&position["side"], &position["cost_basis"]), (&json!("long"), &json!("1001")));
    let account = broker.get("/v2/account");
    assert_eq!(account["cash"], "98999");
    let sum = |field: &str| text(&account, field).parse::<Usd>().expect("money");
    assert_eq!(sum("equity"), sum("cash") + sum("long_market_value"));
    let status = broker.status();
    assert_eq!((&status["orders_accepted"], &status["fills"]), (&json!(1), &json!(1)));
    assert_eq!(status["trade_streams"], 1);
}

#[test]
fn resting_orders_are_listed_and_cancelled() {
    let broker = Broker::in_session(settings());
    let mut ids = Vec::new();
    for (symbol, price) in [("SPY", 99.0), ("IBM", 49.0), ("SPY", 98.0)] {
        let answer = broker.post(limit(symbol, "buy", 1, price));
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("pending_new")), "{}", answer.text);
        let id = text(&answer.body, "id").to_owned();
        assert_eq!(broker.get(&format!("/v2/orders/{id}"))["status"], "new");
        ids.push(id);
        broker.pass(secs(1));
    }
    let list = |query: &str| -> Vec<usize> {
        let orders = broker.get(&format!("/v2/orders{query}"));
        let place = |order: &Value| ids.iter().position(|id| *id == order["id"]).expect("one of ours");
        orders.as_array().expect("an array").iter().map(place).collect()
    };
    assert_eq!(list(""), [2, 1, 0], "open, newest first");
    assert_eq!(list("?direction=asc&limit=2"), [0, 1]);
    assert_eq!(list("?symbols=SPY%2CQQQ&nested=True"), [2, 0]);
    assert_eq!(list("?side=sell"), [0_usize; 0]);
    let second = broker.get(&format!("/v2/orders/{}", ids[1]));
    let stamp = text(&second, "submitted_at").replace(':', "%3A");
    assert_eq!(list(&format!("?after={stamp}")), [2], "exclusive");
    assert_eq!(list(&format!("?until={stamp}")), [0], "exclusive");

    let cancel = broker.call("DELETE", &format!("/v2/orders/{}", ids[0]));
    assert_eq!((cancel.status, cancel.text.as_str()), (204, ""));
    let again = broker.call("DELETE", &format!("/v2/orders/{}", ids[0]));
    assert_eq!((again.status, &again.body["code"]), (422, &json!(42_210_000)));
    assert_eq!(again.body["message"], "order is already in \"canceled\" state");
    assert_eq!(list("?status=closed"), [0]);

    let all = broker.call("DELETE", "/v2/orders");
    assert_eq!(all.status, 207);
    assert_eq!(all.body, json!([{"id": ids[1], "status": 200}, {"id": ids[2], "status": 200}]));
    assert_eq!(broker.call("DELETE", "/v2/orders").body, json!([]));
    assert_eq!(list("?status=all"), [2, 1, 0]);
    let status = broker.status();
    assert_eq!((&status["open_orders"], &status["cancels"]), (&json!(0), &json!(3)));
}

#[test]
fn positions_are_closed_in_part_and_wholly() {
    let broker = Broker::in_session(settings());
    for (symbol, qty) in [("SPY", 10), ("IBM", 4)] {
        assert_eq!(broker.post(market(symbol, "buy", qty)).status, 200);
    }
    broker.pass(secs(20));
    let half = broker.call("DELETE", "/v2/positions/SPY?percentage=50");
    assert_eq!((half.status, &half.body["side"], &half.body["qty"]), (200, &json!("sell"), &json!("5")));
    let some = broker.call("DELETE", "/v2/positions/SPY?qty=2");
    assert_eq!((some.status, &some.body["qty"]), (200, &json!("2")));
    assert_eq!(broker.get("/v2/positions/SPY")["qty"], "3");
    for bad in ["?qty=1&percentage=1", "?qty=x", "?percentage=0", "?percentage=101"] {
        assert_eq!(broker.call("DELETE", &format!("/v2/positions/SPY{bad}")).status, 422, "{bad}");
    }

    assert_eq!(broker.post(limit("IBM", "sell", 4, 60.0)).status, 200);
    let reserved = broker.call("DELETE", "/v2/positions");
    assert_eq!(reserved.status, 207);
    let results = reserved.body.as_array().expect("an array");
    let of = |symbol: &str| results.iter().find(|result| result["symbol"] == symbol).expect("each has one");
    assert_eq!((&of("SPY")["status"], &of("SPY")["body"]["qty"]), (&json!(200), &json!("3")));
    assert_eq!((&of("IBM")["status"], &of("IBM")["body"]["code"]), (&json!(403), &json!(40_310_000)));
    assert_eq!(of("IBM")["body"]["available"], "0");

    let rest = broker.call("DELETE", "/v2/positions?cancel_orders=True");
    assert_eq!((rest.status, &rest.body[0]["status"]), (207, &json!(200)), "{}", rest.text);
    broker.pass(secs(20));
    assert_eq!(broker.get("/v2/positions"), json!([]));
    let gone = broker.call("GET", "/v2/positions/SPY");
    assert_eq!((gone.status, &gone.body["message"]), (404, &json!("position does not exist")));
}

#[test]
fn what_is_wrong_is_rejected_with_the_brokers_code() {
    let broker = Broker::in_session(settings());
    let mut taken = limit("SPY", "buy", 1, 90.0);
    taken["client_order_id"] = "used".into();
    assert_eq!(broker.post(taken.clone()).status, 200);
    let check = |change: Value, status: u16, code: i64, message: &str| {
        let mut order = limit("SPY", "buy", 1, 90.0);
        for (name, value) in change.as_object().expect("an object") {
            order[name] = value.clone();
        }
        let answer = broker.post(order);
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (status, &json!(code)),
            "{change}: {}",
            answer.text
        );
        assert!(text(&answer.body, "message").contains(message), "{change}: {}", answer.text);
    };
    check(json!({"qty": null}), 422, 40_010_001, "qty or notional is required");
    check(json!({"qty": "0"}), 422, 40_010_001, "qty must be > 0");
    check(json!({"type": "iceberg"}), 422, 40_010_001, "invalid order type");
    check(json!({"order_class": "mleg"}), 422, 40_010_001, "invalid order_class");
    check(json!({"limit_price": 90.123}), 422, 42_210_000, "sub-penny");
    check(json!({"symbol": "ZZZZ"}), 422, 42_210_000, "asset \"ZZZZ\" not found");
    check(json!({"client_order_id": "used"}), 422, 42_210_000, "must be unique");
    check(json!({"qty": 100_000}), 403, 40_310_000, "insufficient buying power");
    check(json!({"client_order_id": "x".repeat(129)}), 422, 40_010_001, "no more than 128");
    check(json!({"symbol": 5}), 400, 40_010_000, "request body format is invalid");
    check(json!({"client_order_id": "x".repeat(70_000)}), 413, 41_310_000, "request body is too large");
    for body in ["", "{", "[]", "{\"qty\":1e400}", "\u{0}"] {
        assert_eq!(broker.send("POST", "/v2/orders", Some("K"), body).status, 400, "{body:?}");
    }
    assert_eq!(broker.status()["orders_rejected"], 15, "what is too large is not read");
    let missing = broker.call("GET", "/v2/orders/b0b6dd9d-8b9b-48a9-ba46-b9d54906e415");
    assert_eq!((missing.status, &missing.body["code"]), (404, &json!(40_410_000)));
    assert_eq!(broker.call("GET", "/v2/orders/not-an-id").status, 422);
}

#[test]
fn a_suspended_account_takes_no_orders_but_cancels() {
    let broker = Broker::in_session(settings());
    let resting = broker.post(limit("SPY", "buy", 1, 90.0));
    let configure =
        |body: Value| broker.send("PATCH", "/v2/account/configurations", Some("K"), &body.to_string());
    let changed = configure(json!({"suspend_trade": true, "pdt_check": null, "no_shorting": null}));
    assert_eq!((changed.status, &changed.body["suspend_trade"]), (200, &json!(true)));
    let rejected = broker.post(market("SPY", "buy", 1));
    assert_eq!((rejected.status, &rejected.body["code"]), (403, &json!(40_310_000)));
    assert_eq!(broker.get("/v2/account")["trade_suspended_by_user"], true);
    let cancel = broker.call("DELETE", &format!("/v2/orders/{}", text(&resting.body, "id")));
    assert_eq!(cancel.status, 204);
    configure(json!({"suspend_trade": false}));
    assert_eq!(broker.post(market("SPY", "buy", 1)).status, 200);
    assert_eq!(configure(json!({"trade_confirm_email": "maybe"})).status, 422);
}

#[test]
fn an_account_without_shorting_sells_only_what_it_has() {
    let broker = Broker::in_session(settings());
    let configure =
        |body: Value| broker.send("PATCH", "/v2/account/configurations", Some("K"), &body.to_string());
    assert_eq!(configure(json!({"no_shorting": true})).body["no_shorting"], true);
    assert_eq!(broker.get("/v2/account")["shorting_enabled"], false);
    let rejected = broker.post(market("SPY", "sell", 1));
    assert_eq!((rejected.status, &rejected.body["code"]), (403, &json!(40_310_000)), "{}", rejected.text);
    configure(json!({"no_shorting": false}));
    assert_eq!(broker.get("/v2/account")["shorting_enabled"], true);
    assert_eq!(broker.post(market("SPY", "sell", 1)).status, 200);
}

#[test]
fn lists_begin_after_and_end_before_an_order() {
    let broker = Broker::in_session(settings());
    // All in one moment: times would not tell them apart.
    let ids: Vec<String> =
        (0..4).map(|_| text(&broker.post(limit("SPY", "buy", 1, 90.0)).body, "id").to_owned()).collect();
    let check = |query: &str, expected: &[usize]| {
        let found = broker.get(&format!("/v2/orders?{query}"));
        let found: Vec<&str> =
            found.as_array().expect("a list").iter().map(|order| text(order, "id")).collect();
        let expected: Vec<&str> = expected.iter().map(|&number| ids[number].as_str()).collect();
        assert_eq!(found, expected, "{query}");
    };
    let [first, second, _, last] = ids.as_slice() else { panic!("{ids:?}") };
    check(&format!("before_order_id={last}"), &[2, 1, 0]);
    check(&format!("before_order_id={last}&limit=1&status=all"), &[2]);
    check(&format!("after_order_id={second}&direction=asc"), &[2, 3]);
    check(&format!("after_order_id={first}&before_order_id={last}"), &[2, 1]);
    check(&format!("after_order_id={last}"), &[]);
    let none = "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415";
    for bad in [
        format!("before_order_id={first}&until=2026-03-17"),
        format!("after_order_id={first}&after=2026-03-01"),
        format!("after_order_id={none}"),
        "before_order_id=x".to_owned(),
    ] {
        assert_eq!(broker.call("GET", &format!("/v2/orders?{bad}")).status, 422, "{bad}");
    }
}
