//! Orders of every kind and class over real HTTP: how they are shown, listed, replaced and refused.

mod common;

use common::{Broker, Stream, secs, settings};
use sandpit_sim::Market;
use sandpit_types::Symbol;
use serde_json::{Value, json};

/// An order for one share of SPY, with these fields changed; null takes a field away.
fn order(change: Value) -> Value {
    let mut order = json!({"symbol": "SPY", "qty": 1, "side": "buy", "type": "limit", "limit_price": 99,
        "time_in_force": "day"});
    for (name, value) in change.as_object().expect("an object") {
        order[name] = value.clone();
    }
    order
}

fn bracket() -> Value {
    order(json!({"qty": 2, "order_class": "bracket", "take_profit": {"limit_price": 110},
        "stop_loss": {"stop_price": 95, "limit_price": "94.5"}}))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("an array, not {value}"))
}

fn taken(broker: &Broker, order: Value) -> Value {
    let answer = broker.post(order.clone());
    assert_eq!(answer.status, 200, "{order}: {}", answer.text);
    answer.body
}

/// A position of ten shares of SPY at 100.1.
fn with_position() -> Broker {
    let broker = Broker::in_session(settings());
    taken(&broker, order(json!({"qty": 10, "type": "market", "limit_price": null})));
    broker.pass(secs(20));
    broker
}

fn listening(broker: &Broker) -> Stream {
    let mut stream = broker.stream("/stream", &[]);
    stream.ask(json!({"action": "auth", "key": "K", "secret": "S"}));
    stream.ask(json!({"action": "listen", "data": {"streams": ["trade_updates"]}}));
    stream
}

#[test]
fn every_kind_is_shown_with_its_fields() {
    let broker = with_position();
    let check = |change: Value, expected: Value| {
        let order = taken(&broker, order(change.clone()));
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&order[name], value, "{name} of {change}");
        }
        assert_eq!(
            (&order["status"], &order["filled_qty"]),
            (&json!("pending_new"), &json!("0")),
            "{change}"
        );
        assert_eq!(order["order_type"], order["type"]);
        broker.call("DELETE", &format!("/v2/orders/{}", text(&order, "id")));
    };
    check(
        json!({"type": "stop", "stop_price": 105.5, "limit_price": null, "time_in_force": "gtc"}),
        json!({"type": "stop", "stop_price": "105.5", "limit_price": null, "time_in_force": "gtc",
            "order_class": "", "position_intent": "buy_to_open", "legs": null}),
    );
    check(
        json!({"type": "stop_limit", "stop_price": "105", "limit_price": "106.00"}),
        json!({"type": "stop_limit", "stop_price": "105", "limit_price": "106", "qty": "1"}),
    );
    check(
        json!({"type": "trailing_stop", "trail_percent": 1.50, "limit_price": null, "side": "sell"}),
        json!({"type": "trailing_stop", "trail_percent": "1.5", "trail_price": null, "limit_price": null,
            "position_intent": "sell_to_close"}),
    );
    check(
        json!({"type": "trailing_stop", "trail_price": "2", "limit_price": null, "side": "sell"}),
        json!({"type": "trailing_stop", "trail_percent": null, "trail_price": "2"}),
    );
    check(
        json!({"qty": null, "notional": "100.5", "type": "market", "limit_price": null}),
        json!({"qty": null, "notional": "100.5", "limit_price": null}),
    );
    check(json!({"qty": 0.123456789}), json!({"qty": "0.123456789", "notional": null}));
    check(
        json!({"extended_hours": true, "position_intent": "buy_to_open", "time_in_force": "gtc"}),
        json!({"extended_hours": true, "position_intent": "buy_to_open"}),
    );
    for time_in_force in ["ioc", "fok", "cls"] {
        check(json!({"time_in_force": time_in_force}), json!({"time_in_force": time_in_force}));
    }
}

#[test]
fn an_order_by_notional_never_has_a_quantity() {
    let broker = Broker::in_session(settings());
    let id =
        taken(&broker, order(json!({"qty": null, "notional": 50, "type": "market", "limit_price": null})));
    let filled = broker.get(&format!("/v2/orders/{}", text(&id, "id")));
    assert_eq!((&filled["status"], &filled["qty"]), (&json!("filled"), &Value::Null));
    assert_eq!((&filled["notional"], &filled["filled_qty"]), (&json!("50"), &json!("0.499500499")));
    let position = broker.get("/v2/positions/SPY");
    assert_eq!(position["qty"], "0.499500499");
    let row = &broker.get("/v2/account/activities/FILL")[0];
    assert_eq!((&row["type"], &row["leaves_qty"]), (&json!("fill"), &json!("0")));
}

#[test]
fn groups_are_answered_with_their_legs_and_listed_nested_or_flat() {
    let broker = Broker::in_session(settings());
    let entry = taken(&broker, bracket());
    assert_eq!((&entry["order_class"], &entry["status"]), (&json!("bracket"), &json!("pending_new")));
    let legs = list(&entry["legs"]);
    let shown: Vec<_> = legs.iter().map(|leg| (text(leg, "type"), text(leg, "status"))).collect();
    assert_eq!(shown, [("limit", "held"), ("stop_limit", "held")]);
    assert_eq!((&legs[0]["limit_price"], &legs[1]["stop_price"]), (&json!("110"), &json!("95")));
    assert_eq!((&legs[1]["limit_price"], &legs[0]["side"]), (&json!("94.5"), &json!("sell")));
    for leg in legs {
        assert_eq!((&leg["qty"], &leg["order_class"]), (&json!("2"), &json!("bracket")));
    }
    let id = text(&entry, "id");
    let ids = |path: &str| -> Vec<String> {
        list(&broker.get(path)).iter().map(|order| text(order, "id").to_owned()).collect()
    };
    let leg_ids: Vec<&str> = legs.iter().map(|leg| text(leg, "id")).collect();
    assert_eq!(ids("/v2/orders"), [id], "held legs are not among the open ones");
    assert_eq!(ids("/v2/orders?status=all&direction=asc"), [id, leg_ids[0], leg_ids[1]]);
    for path in ["/v2/orders?nested=true", "/v2/orders?status=all&nested=True"] {
        let orders = broker.get(path);
        assert_eq!(list(&orders).len(), 1, "{path}");
        assert_eq!(list(&orders[0]["legs"]).len(), 2, "{path}");
    }
    assert_eq!(broker.get(&format!("/v2/orders/{id}"))["legs"], Value::Null);
    assert_eq!(list(&broker.get(&format!("/v2/orders/{id}?nested=true"))["legs"]).len(), 2);
    let by_id = format!("/v2/orders:by_client_order_id?client_order_id={}", text(&entry, "client_order_id"));
    assert_eq!(list(&broker.get(&format!("{by_id}&nested=true"))["legs"]).len(), 2);

    let all = broker.call("DELETE", "/v2/orders");
    assert_eq!(all.status, 207);
    assert!(list(&all.body).iter().all(|one| one["status"] == 200), "legs go with their entry: {}", all.text);
    assert!(ids("/v2/orders").is_empty());
    let closed = broker.get("/v2/orders?status=closed&nested=true");
    assert_eq!(
        (&closed[0]["status"], &closed[0]["legs"][0]["status"]),
        (&json!("canceled"), &json!("canceled"))
    );
}

#[test]
fn a_filled_entry_lets_its_exits_go() {
    let broker = Broker::in_session(settings());
    let mut stream = listening(&broker);
    let mut entry = bracket();
    (entry["type"], entry["limit_price"]) = (json!("market"), Value::Null);
    let answer = taken(&broker, entry);
    assert_eq!(answer["filled_qty"], "0", "as it stood when it was taken");
    let mut told = Vec::new();
    while told.len() < 4 {
        let update = stream.hear();
        let order = &update["data"]["order"];
        told.push(format!("{} {}", text(&update["data"], "event"), text(order, "type")));
    }
    assert_eq!(told, ["pending_new market", "new market", "fill market", "new limit"]);
    let open = broker.get("/v2/orders");
    assert_eq!((list(&open).len(), &open[0]["limit_price"]), (1, &json!("110")));
    assert_eq!(
        broker.get("/v2/orders?nested=true"),
        json!([]),
        "the group belongs to its entry, which is done"
    );
    let exits = &broker.get(&format!("/v2/orders/{}?nested=true", text(&answer, "id")))["legs"];
    let statuses: Vec<&str> = list(exits).iter().map(|leg| text(leg, "status")).collect();
    assert_eq!(statuses, ["new", "held"]);

    // The stop's price may change, its quantity may not.
    let stop = format!("/v2/orders/{}", text(&exits[1], "id"));
    let patch = |body: Value| broker.send("PATCH", &stop, Some("K"), &body.to_string());
    let refused = patch(json!({"qty": 1}));
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!(42_210_000)));
    assert_eq!(refused.body["message"], "qty cannot be changed for advanced orders");
    let changed = patch(json!({"stop_price": 96}));
    assert_eq!((changed.status, &changed.body["stop_price"]), (200, &json!("96")), "{}", changed.text);
    // Closing what the exits hold needs them out of the way.
    let held = broker.call("DELETE", "/v2/positions/SPY");
    assert_eq!((held.status, &held.body["held_for_orders"]), (403, &json!("2")));
    let closed = broker.call("DELETE", "/v2/positions?cancel_orders=true");
    assert_eq!((closed.status, &closed.body[0]["status"]), (207, &json!(200)), "{}", closed.text);
    assert_eq!(broker.get("/v2/positions"), json!([]));
}

#[test]
fn an_oco_is_its_take_profit() {
    let broker = with_position();
    let oco = order(json!({"side": "sell", "qty": 10, "limit_price": null, "order_class": "oco",
        "time_in_force": "gtc", "take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}}));
    let answer = taken(&broker, oco);
    assert_eq!((&answer["limit_price"], &answer["order_class"]), (&json!("120"), &json!("oco")));
    let legs = list(&answer["legs"]);
    assert_eq!((legs.len(), &legs[0]["type"], &legs[0]["status"]), (1, &json!("stop"), &json!("held")));
    assert_eq!(broker.get("/v2/positions/SPY")["qty_available"], "0", "the shares are reserved once");
    let oto = order(json!({"symbol": "IBM", "limit_price": 40, "order_class": "oto",
        "stop_loss": {"stop_price": 35}}));
    assert_eq!(list(&taken(&broker, oto)["legs"]).len(), 1);
}

#[test]
fn a_replaced_order_gets_a_new_id() {
    let broker = Broker::in_session(settings());
    let mut stream = listening(&broker);
    let old = taken(&broker, order(json!({"client_order_id": "first"})));
    let patch = |id: &str, body: Value| {
        broker.send("PATCH", &format!("/v2/orders/{id}"), Some("K"), &body.to_string())
    };
    let id = text(&old, "id").to_owned();
    let new =
        patch(&id.replace('-', ""), json!({"limit_price": 98.5, "qty": "2", "client_order_id": "second"}));
    assert_eq!(new.status, 200, "{}", new.text);
    assert_eq!((&new.body["replaces"], &new.body["limit_price"]), (&json!(id), &json!("98.5")));
    assert_eq!((&new.body["qty"], &new.body["client_order_id"]), (&json!("2"), &json!("second")));
    let new_id = text(&new.body, "id").to_owned();
    assert_ne!(new_id, id);
    let old = broker.get(&format!("/v2/orders/{id}"));
    assert_eq!((&old["status"], &old["replaced_by"]), (&json!("replaced"), &json!(new_id)));
    assert!(old["replaced_at"].is_string());
    assert_eq!(broker.get("/v2/orders:by_client_order_id?client_order_id=second")["id"], json!(new_id));
    let mut told = Vec::new();
    while told.len() < 4 {
        let update = stream.hear();
        let order = &update["data"]["order"];
        told.push(format!("{} {}", text(&update["data"], "event"), text(order, "limit_price")));
    }
    assert_eq!(
        told,
        ["pending_new 99", "new 99", "replaced 99", "new 98.5"],
        "the old price is the old order's"
    );

    let check = |id: &str, body: Value, status: u16, code: i64, message: &str| {
        let answer = patch(id, body.clone());
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{body}: {}", answer.text);
        assert!(text(&answer.body, "message").contains(message), "{body}: {}", answer.text);
    };
    check(&new_id, json!({}), 422, 42_210_000, "order parameters are not changed");
    check(&new_id, json!({"limit_price": "98.5"}), 422, 42_210_000, "order parameters are not changed");
    check(&new_id, json!({"limit_price": "98.555"}), 422, 42_210_000, "sub-penny");
    check(&new_id, json!({"client_order_id": "first"}), 422, 42_210_000, "must be unique");
    check(&new_id, json!({"qty": 1_000_000}), 403, 40_310_000, "insufficient buying power");
    check(&new_id, json!({"qty": "many"}), 422, 40_010_001, "invalid qty");
    check(&id, json!({"limit_price": 97}), 422, 42_210_000, "order already replaced");
    check("b0b6dd9d-8b9b-48a9-ba46-b9d54906e415", json!({"qty": 3}), 404, 40_410_000, "order not found for");
    check("nonsense", json!({"qty": 3}), 422, 40_010_001, "order_id is missing");
    broker.call("DELETE", &format!("/v2/orders/{new_id}"));
    check(&new_id, json!({"qty": 3}), 422, 40_010_001, "order is not open");

    let closed = Broker::start(settings());
    let queued = taken(&closed, order(json!({})));
    assert_eq!(queued["status"], "accepted");
    let path = format!("/v2/orders/{}", text(&queued, "id"));
    let answer = closed.send("PATCH", &path, Some("K"), r#"{"qty":2}"#);
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!(40_010_001)));
    assert!(text(&answer.body, "message").contains("isn't sent to exchange yet"), "{}", answer.text);
}

#[test]
fn what_is_refused_is_refused_in_the_brokers_words() {
    let symbols = ["SPY", "IBM", "DIA", "DIS"].map(Symbol::new).to_vec();
    let broker = Broker::over(settings(), Market { symbols, ..common::market() });
    broker.pass(secs(310));
    taken(&broker, order(json!({"symbol": "IBM", "limit_price": 45})));
    taken(&broker, order(json!({"qty": 10, "type": "market", "limit_price": null})));
    broker.pass(secs(20));
    let check = |change: Value, status: u16, code: i64, message: &str| {
        let answer = broker.post(order(change.clone()));
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (status, &json!(code)),
            "{change}: {}",
            answer.text
        );
        assert!(text(&answer.body, "message").contains(message), "{change}: {}", answer.text);
    };
    let bad = |change: Value, message: &str| check(change, 422, 42_210_000, message);
    let no = |change: Value, message: &str| check(change, 403, 40_310_000, message);
    let wrong = |change: Value, message: &str| check(change, 422, 40_010_001, message);

    bad(json!({"qty": 0.5, "time_in_force": "gtc"}), "fractional orders must be DAY orders");
    bad(
        json!({"qty": 1.5, "order_class": "oto", "take_profit": {"limit_price": 120}}),
        "fractional orders must be simple orders",
    );
    bad(
        json!({"qty": 0.5, "type": "trailing_stop", "limit_price": null, "trail_price": 1}),
        "fractional orders must be market, limit, stop, or stop_limit orders",
    );
    bad(
        json!({"extended_hours": true, "type": "market", "limit_price": null}),
        "extended hours order must be",
    );
    bad(json!({"extended_hours": true, "time_in_force": "ioc"}), "DAY or GTC limit orders");
    bad(
        json!({"order_class": "bracket", "take_profit": {"limit_price": 90},
            "stop_loss": {"stop_price": 95}}),
        "take_profit.limit_price must be > stop_loss.stop_price",
    );
    bad(
        json!({"order_class": "bracket", "take_profit": {"limit_price": 110},
            "stop_loss": {"stop_price": 99}}),
        "stop price must not be greater than base price / 1.001",
    );
    bad(
        json!({"position_intent": "sell_to_close"}),
        "position intent mismatch, inferred: buy_to_open, specified: sell_to_close",
    );
    bad(json!({"limit_price": 90.001}), "invalid limit_price 90.001. sub-penny increment does not fulfill");
    bad(json!({"type": "stop", "limit_price": null, "stop_price": 190.001}), "invalid stop_price 190.001");
    bad(json!({"symbol": "NOPE"}), "asset \"NOPE\" not found");
    wrong(
        json!({"type": "trailing_stop", "limit_price": null, "trail_percent": 0.05}),
        "trail_percent must be greater than or equal to 0.1",
    );
    wrong(json!({"qty": 0}), "qty must be > 0");
    wrong(json!({"client_order_id": "x".repeat(129)}), "client_order_id must be no more than 128 characters");
    no(json!({"time_in_force": "opg"}), "opg orders must be submitted after 7:00pm and before 9:28am");
    no(json!({"symbol": "DIA", "qty": 0.5}), "asset \"DIA\" is not fractionable");
    no(json!({"symbol": "DIS", "side": "sell"}), "asset \"DIS\" cannot be sold short");
    no(
        json!({"symbol": "IBM", "side": "sell", "limit_price": 60}),
        "cannot open a short sell while a long buy order is open",
    );
    no(json!({"qty": 100_000}), "insufficient buying power");
    no(
        json!({"side": "sell", "qty": 16, "limit_price": 120}),
        "insufficient qty available for order (requested: 16, available: 10)",
    );
    taken(&broker, order(json!({"side": "sell", "qty": 10, "limit_price": 120})));
    let answer = broker.post(order(json!({"type": "market", "limit_price": null})));
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert_eq!(answer.body["message"], "potential wash trade detected. use complex orders");
    assert_eq!(answer.body["reject_reason"], "opposite side limit order exists");
    assert!(answer.body["existing_order_id"].is_string());
    let answer = broker.post(order(json!({"side": "sell", "limit_price": 121})));
    let fields =
        ["available", "existing_qty", "held_for_orders", "symbol"].map(|name| text(&answer.body, name));
    assert_eq!((answer.status, fields), (403, ["0", "10", "10", "SPY"]));
    assert_eq!(list(&answer.body["related_orders"]).len(), 1);
}

#[test]
fn with_latency_requests_are_only_requests() {
    let mut settings = settings();
    settings.venue.realism = sandpit_venue::Realism::live();
    let broker = Broker::in_session(settings);
    let mut stream = listening(&broker);
    let arrive = || broker.pass(std::time::Duration::from_millis(100));
    let status = |id: &str| text(&broker.get(&format!("/v2/orders/{id}")), "status").to_owned();
    let id = text(&taken(&broker, order(json!({}))), "id").to_owned();
    assert_eq!(status(&id), "pending_new");
    let early = broker.send("PATCH", &format!("/v2/orders/{id}"), Some("K"), r#"{"limit_price":98}"#);
    assert_eq!(early.status, 422, "not sent to the exchange yet: {}", early.text);
    arrive();
    assert_eq!(status(&id), "new");
    let change = broker.send("PATCH", &format!("/v2/orders/{id}"), Some("K"), r#"{"limit_price":98}"#);
    assert_eq!((change.status, &change.body["status"]), (200, &json!("pending_new")), "{}", change.text);
    assert_eq!(status(&id), "pending_replace");
    assert_eq!(broker.call("DELETE", &format!("/v2/orders/{id}")).status, 422);
    arrive();
    let new_id = text(&change.body, "id").to_owned();
    assert_eq!((status(&id), status(&new_id)), ("replaced".into(), "new".into()));
    for _ in 0..2 {
        let cancel = broker.call("DELETE", &format!("/v2/orders/{new_id}"));
        assert_eq!((cancel.status, cancel.text.as_str()), (204, ""));
        assert_eq!(status(&new_id), "pending_cancel");
    }
    arrive();
    assert_eq!(status(&new_id), "canceled");
    let mut told = Vec::new();
    while told.last().is_none_or(|event| event != "canceled") {
        told.push(text(&stream.hear()["data"], "event").to_owned());
    }
    assert_eq!(
        told,
        ["pending_new", "new", "pending_replace", "replaced", "new", "pending_cancel", "canceled"]
    );
}
