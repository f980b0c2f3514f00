use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

/// A real HTTP server on loopback: answers the connections' requests in turn with `answers`, and tells each
/// request as `METHOD PATH BODY`.
fn serve<T: Into<String> + Send + 'static>(answers: Vec<(u16, T)>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let body = body.into();
            let (stream, _) = listener.accept().expect("a client");
            let mut reader = BufReader::new(stream.try_clone().expect("a descriptor"));
            let mut line = String::new();
            reader.read_line(&mut line).expect("a request line");
            let mut length = 0;
            let mut has_key = false;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).expect("a header");
                let header = header.trim().to_ascii_lowercase();
                if header.is_empty() {
                    break;
                }
                has_key |= header == "apca-api-key-id: key";
                if let Some(value) = header.strip_prefix("content-length: ") {
                    length = value.parse().expect("a number");
                }
            }
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).expect("a body");
            let request = line.trim().trim_end_matches(" HTTP/1.1");
            assert!(has_key, "no key in {request}");
            let body_sent = String::from_utf8(sent).expect("text");
            tell.send(format!("{request} {body_sent}").trim().to_owned()).expect("the test listens");
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
            let extra = "Location: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n";
            write!(&stream, "{head}{extra}{body}").expect("answered");
        }
    });
    (address, told)
}

fn client(address: &str) -> Client {
    client_of(address, Scope::Account)
}

fn client_of(address: &str, scope: Scope) -> Client {
    let credentials = Credentials { key_id: "key".into(), secret_key: "secret".into() };
    Client::new(address, credentials, scope)
}

#[test]
fn requests_are_what_the_broker_documents() {
    let (address, told) = serve(vec![
        (200, r#"{"suspend_trade":true}"#),
        (200, r#"{"suspend_trade":false,"no_shorting":false}"#),
        (207, r#"[{"id":"a","status":200},{"id":"b","status":422,"body":{}}]"#),
        (204, ""),
        (422, r#"{"code":42210000,"message":"order is already in \"filled\" state"}"#),
        (200, "[]"),
        (200, "[]"),
    ]);
    let client = client(&address);
    client.suspend(true).expect("suspended");
    assert!(!client.is_suspended().expect("answered"));
    assert_eq!(client.cancel_all().expect("taken"), 1);
    assert_eq!(client.cancel_each(&["x".into(), "y".into()]).expect("taken"), 1);
    assert_eq!(client.look().expect("read"), Sighting::default());
    let requests: Vec<String> = told.iter().collect();
    assert_eq!(
        requests,
        [
            r#"PATCH /v2/account/configurations {"suspend_trade":true}"#,
            "GET /v2/account/configurations",
            "DELETE /v2/orders",
            "DELETE /v2/orders/x",
            "DELETE /v2/orders/y",
            "GET /v2/orders?status=open&limit=500&direction=desc&nested=true",
            "GET /v2/positions",
        ]
    );
}

#[test]
fn what_is_no_success_is_an_error() {
    let (address, _told) = serve(vec![
        (200, r#"{"suspend_trade":false}"#),
        (200, r#"{"no_shorting":true}"#),
        (500, "oops"),
        (307, ""),
        (200, r#"{"orders":[]}"#),
        (200, "<html>"),
        (429, "slow"),
    ]);
    let client = client(&address);
    assert!(matches!(client.suspend(true), Err(Error::BrokerUnproven(_))));
    assert!(matches!(client.suspend(true), Err(Error::BrokerUnproven(_))));
    assert!(matches!(client.cancel_all(), Err(Error::BrokerStatus { status: 500, .. })));
    assert!(matches!(client.cancel_all(), Err(Error::BrokerStatus { status: 307, .. })));
    assert!(matches!(client.look(), Err(Error::BrokerUnproven(_))));
    assert!(matches!(client.is_suspended(), Err(Error::BrokerUnproven(_))));
    assert!(matches!(client.cancel_each(&["x".into()]), Err(Error::BrokerStatus { status: 429, .. })));
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let client = self::client(&format!("http://{closed}"));
    assert!(matches!(client.cancel_all(), Err(Error::BrokerSilent(_))));
}

fn check(orders: Value, positions: Value, scope: Scope, open: &[&str], reserved: &[&str]) {
    check_both(orders, json!([]), positions, scope, open, reserved);
}

fn rows(list: &Value) -> &[Value] {
    list.as_array().expect("a list")
}

fn check_both(orders: Value, flat: Value, positions: Value, scope: Scope, open: &[&str], reserved: &[&str]) {
    let seen = sighting(rows(&orders), rows(&flat), &positions, scope).expect("lists");
    assert_eq!(
        (seen.open, seen.reserved),
        (
            open.iter().map(|s| s.to_string()).collect(),
            reserved.iter().map(|s| s.to_string()).collect::<Vec<_>>()
        ),
        "{orders} {positions}"
    );
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

/// A page of `PAGE` foreign orders, of which `last` of the last share the moment `moment`.
fn page(first: usize, moment: &str, last: usize) -> String {
    let row = |n: usize| {
        let at = if n + last >= PAGE { moment.into() } else { format!("{moment}-{n}") };
        json!({"id": format!("p{}", first + n), "status": "new", "client_order_id": "x", "submitted_at": at})
    };
    Value::Array((0..PAGE).map(row).collect()).to_string()
}

#[test]
fn scope_ours_reads_every_page() {
    // Ours is behind a page of foreign orders, in the moment in which the page was cut.
    let rest = r#"[{"id":"p499","status":"new","client_order_id":"x","submitted_at":"2026T1"},
        {"id":"ours","status":"new","client_order_id":"sp-1","submitted_at":"2026T1"}]"#;
    let answers =
        vec![(200, page(0, "2026T1", 3)), (200, rest.into()), (200, "[]".into()), (200, "[]".to_owned())];
    let (address, told) = serve(answers);
    let seen = client_of(&address, Scope::Ours).look().expect("read");
    assert_eq!(seen.open, ["ours"]);
    let requests: Vec<String> = told.try_iter().collect();
    assert_eq!(
        requests,
        [
            "GET /v2/orders?status=open&limit=500&direction=desc&nested=true",
            "GET /v2/orders?status=open&limit=500&direction=desc&nested=true&until=2026T1-496",
            "GET /v2/orders?status=open&limit=500&direction=desc&nested=false",
            "GET /v2/positions",
        ]
    );
}

#[test]
fn pages_without_end_are_no_proof() {
    let answers = (0..MAX_PAGES).map(|n| (200, page(n * PAGE, &format!("2026T{n}"), 1))).collect();
    let (address, _told) = serve(answers);
    let result = client_of(&address, Scope::Ours).look();
    assert!(matches!(result, Err(Error::BrokerUnproven(text)) if text.contains("more pages")), "{result:?}");
    let (address, _told) = serve(vec![(200, page(0, "2026T1", PAGE))]);
    let result = client_of(&address, Scope::Ours).look();
    assert!(matches!(result, Err(Error::BrokerUnproven(text)) if text.contains("one moment")), "{result:?}");
}

#[test]
fn a_refused_key_is_told_from_a_broker_that_is_away() {
    let (address, _told) = serve(vec![(401, "no"), (403, "no"), (500, "oops")]);
    let client = client(&address);
    let read = || client.is_suspended().map_err(unread);
    assert!(matches!(read(), Err(Unread::KeyRefused(_))));
    assert!(matches!(read(), Err(Unread::KeyRefused(_))));
    assert!(matches!(read(), Err(Unread::Other(_))));
}
