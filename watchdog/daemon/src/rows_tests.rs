use serde_json::json;

use super::*;

fn check(orders: Value, positions: Value, scope: Scope, open: &[&str], reserved: &[&str]) {
    check_both(orders, json!([]), positions, scope, open, reserved);
}

fn rows(list: &Value) -> &[Value] {
    list.as_array().expect("a list")
}

fn check_both(orders: Value, flat: Value, positions: Value, scope: Scope, open: &[&str], reserved: &[&str]) {
    let seen = sighting(rows(&orders), rows(&flat), &positions, scope).expect("lists");
    let held = |position: &&Position| position.held > 0 && !seen.foreign.contains(&position.symbol);
    let got: Vec<&str> = seen.open.iter().map(|order| order.id.as_str()).collect();
    let got_held = seen.positions.iter().filter(held).map(|position| position.symbol.as_str());
    assert_eq!((got, got_held.collect()), (open.to_vec(), reserved.to_vec()), "{orders} {positions}");
}

#[test]
fn legs_held_orders_and_reservations_are_open() {
    let account = Scope::Account;
    check(json!([]), json!([]), account, &[], &[]);
    check(json!([{"id": "a", "status": "pending_cancel"}]), json!([]), account, &["a"], &[]);
    check(json!([{"id": "a", "status": "a_word_of_tomorrow"}]), json!([]), account, &["a"], &[]);
    check(json!([{"id": "a", "status": "canceled"}]), json!([]), account, &[], &[]);
    let bracket = json!([{"id": "p", "status": "filled", "legs": [
        {"id": "t", "status": "new", "legs": null}, {"id": "s", "status": "held"}]}]);
    check(bracket, json!([]), account, &["t", "s"], &[]);
    let held = json!([{"symbol": "A", "qty": "10", "qty_available": "4"},
        {"symbol": "B", "qty": "-5", "qty_available": "-5"}, {"symbol": "C", "qty": "1"},
        {"symbol": "D", "qty": "-5", "qty_available": "0"},
        {"symbol": "E", "qty": "5", "qty_available": "?"}]);
    check(json!([]), held, account, &[], &["A", "D", "E"]);
    assert!(sighting(&[], &[], &json!({}), account).is_err());
    assert!(sighting(&[json!({"status": "new"})], &[], &json!([]), account).is_err());
    assert!(sighting(&[json!({"id": "../x", "status": "new"})], &[], &json!([]), account).is_err());
}

#[test]
fn scope_ours_leaves_manual_orders_alone() {
    let orders = json!([
        {"id": "a", "status": "new", "client_order_id": "sp-x-1", "symbol": "A",
            "legs": [{"id": "l", "status": "held"}]},
        {"id": "b", "status": "new", "client_order_id": "mine", "symbol": "B"}]);
    let positions = json!([{"symbol": "A", "qty": "2", "qty_available": "0"},
        {"symbol": "B", "qty": "2", "qty_available": "0"}]);
    check(orders, positions, Scope::Ours, &["a", "l"], &["A"]);
}

#[test]
fn scope_ours_sees_what_only_the_flat_list_shows() {
    let nested = json!([
        {"id": "m", "status": "new", "client_order_id": "mine", "symbol": "M", "order_class": "bracket",
            "legs": [{"id": "ml", "status": "held"}]}]);
    let flat = json!([
        // Ours, but not in the nested list.
        {"id": "a", "status": "held", "client_order_id": "sp-x-1", "symbol": "A"},
        // A leg whose parent is over: its id is the broker's, so it explains no reservation.
        {"id": "t", "status": "new", "client_order_id": "uuid", "symbol": "B", "order_class": "bracket"},
        // The leg of a foreign parent that is listed, and a foreign order of its own.
        {"id": "ml", "status": "held", "client_order_id": "uuid2", "symbol": "M", "order_class": "bracket"},
        {"id": "f", "status": "new", "client_order_id": "mine2", "symbol": "F", "order_class": ""}]);
    let held = |symbol: &str| json!({"symbol": symbol, "qty": "2", "qty_available": "0"});
    let positions = json!([held("A"), held("B"), held("M"), held("F")]);
    check_both(nested, flat, positions, Scope::Ours, &["a"], &["A", "B"]);
}

#[test]
fn a_foreign_order_explains_nothing_beside_an_exit_that_is_nobodys() {
    let foreign = json!([{"id": "m", "status": "new", "client_order_id": "mine", "symbol": "B"}]);
    let flat = json!([{"id": "m", "status": "new", "client_order_id": "mine", "symbol": "B"},
        {"id": "t", "status": "new", "client_order_id": "uuid", "symbol": "B", "order_class": "bracket"}]);
    let positions = json!([{"symbol": "B", "qty": "2", "qty_available": "0"}]);
    check_both(foreign.clone(), foreign.clone(), positions.clone(), Scope::Ours, &[], &[]);
    check_both(foreign, flat, positions, Scope::Ours, &[], &["B"]);
}

fn order(kind: &str, side: &str, qty: &str, filled: &str) -> Value {
    json!({"id": "a", "symbol": "A", "status": "new", "type": kind, "side": side, "qty": qty,
        "filled_qty": filled, "time_in_force": "day", "order_class": ""})
}

fn one(row: Value) -> Order {
    let mut seen = sighting(&[row], &[], &json!([]), Scope::Account).expect("lists");
    seen.open.remove(0)
}

#[test]
fn an_order_is_read_as_far_as_a_policy_asks() {
    let stop = one(order("stop_limit", "sell", "1.5", "0.25"));
    assert_eq!((stop.kind, stop.buys, stop.left), (Kind::Stop, Some(false), Some(1_250_000_000)));
    assert_eq!(one(order("stop", "buy", "1", "0")).kind, Kind::Stop);
    assert_eq!(one(order("trailing_stop", "buy", "1", "0")).kind, Kind::Stop);
    assert_eq!(one(order("limit", "buy", "1", "0")).kind, Kind::Other);
    assert_eq!(one(order("market", "buy", "1", "0")).kind, Kind::Market);
    for (key, value) in [("time_in_force", "cls"), ("time_in_force", "opg"), ("order_class", "bracket")] {
        let mut row = order("market", "buy", "1", "0");
        row[key] = value.into();
        assert_eq!(one(row).kind, Kind::Other, "{key} {value}");
    }
    let mut row = order("market", "sideways", "1", "0");
    (row["qty"], row["notional"]) = (Value::Null, "100".into());
    let money = one(row);
    assert_eq!((money.buys, money.left), (None, None));
}

#[test]
fn legs_of_a_parent_that_is_over_find_each_other_by_their_size() {
    let leg = |id: &str, kind: &str, qty: &str, side: &str| {
        let mut row = order(kind, side, qty, "0");
        (row["id"], row["order_class"]) = (id.into(), "bracket".into());
        row
    };
    let flat = [
        leg("t1", "limit", "5", "sell"),
        leg("s1", "stop", "5", "sell"),
        leg("t2", "limit", "7", "sell"),
        leg("s2", "stop", "7", "sell"),
        leg("t3", "limit", "9", "sell"),
        leg("s4", "stop", "5", "buy"),
    ];
    let seen = sighting(&[], &flat, &json!([]), Scope::Account).expect("lists");
    let group = |id: &str| seen.open.iter().find(|order| order.id == id).expect(id).group;
    assert_eq!((group("t1"), group("t2")), (group("s1"), group("s2")));
    let all: BTreeSet<usize> = ["s1", "s2", "t3", "s4"].map(group).into();
    assert_eq!(all.len(), 4);
}

#[test]
fn a_position_is_its_signed_size_and_what_is_held_of_it() {
    let one = |row: Value| position(&row).map(|position| (position.key, position.qty, position.held));
    let nano = 1_000_000_000;
    let long = json!({"symbol": "A", "asset_id": "0-a", "qty": "2.5", "qty_available": "1", "side": "long"});
    assert_eq!(one(long), Some(("0-a".into(), Some(5 * nano / 2), 3 * nano / 2)));
    let short =
        json!({"symbol": "B/C", "asset_id": "?", "qty": "-2", "qty_available": "-2", "side": "short"});
    assert_eq!(one(short), Some(("B/C".into(), Some(-2 * nano), 0)));
    assert_eq!(one(json!({"symbol": "A", "qty": "0"})), None);
    assert_eq!(one(json!({"symbol": "A", "qty": "x"})), Some(("A".into(), None, 0)));
    for text in ["", "-", "1e5", "1.2.3", "NaN", "+1", "9999999999999999999999999"] {
        assert_eq!(number(&json!({"qty": text}), "qty"), None, "{text}");
    }
}

#[test]
fn an_order_that_changes_between_the_lists_is_told() {
    let moved = |nested: Value, flat: Value| {
        sighting(rows(&nested), rows(&flat), &json!([]), Scope::Account).expect("lists").is_moving
    };
    let half = || order("stop", "sell", "5", "2");
    assert!(!moved(json!([half()]), json!([half()])));
    assert!(moved(json!([half()]), json!([order("stop", "sell", "5", "3")])));
    assert!(moved(json!([half()]), json!([])));
    let mut held = half();
    held["status"] = "held".into();
    let bracket = json!([{"id": "p", "status": "filled", "legs": [held]}]);
    assert!(!moved(bracket.clone(), json!([])));
    assert!(moved(bracket, json!([order("stop", "sell", "4", "2")])));
}
