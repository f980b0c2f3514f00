use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
};

use super::*;
use crate::{proof::Market, replies::pause};

/// A real HTTP server on loopback: answers the connections' requests in turn with `answers`, and tells each
/// request as `METHOD PATH BODY`.
pub(crate) fn serve<T: Into<String> + Send + 'static>(
    answers: Vec<(u16, T)>,
) -> (String, mpsc::Receiver<String>) {
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

pub(super) fn client(address: &str) -> Client {
    client_of(address, Scope::Account)
}

pub(crate) fn client_of(address: &str, scope: Scope) -> Client {
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
        (200, "[]"),
    ]);
    let client = client(&address);
    client.suspend(true).expect("suspended");
    assert!(!client.is_suspended().expect("answered"));
    assert_eq!(client.cancel_all().expect("taken").taken, 1);
    assert_eq!(client.cancel_each(&["x".into(), "y".into()]).expect("taken").taken, 1);
    assert_eq!(client.look(Policy::Cancel, &mut |_| ()).expect("read"), Sighting::default());
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
            "GET /v2/orders?status=open&limit=500&direction=desc&nested=false",
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
    assert!(matches!(client.look(Policy::Cancel, &mut |_| ()), Err(Error::BrokerUnproven(_))));
    assert!(matches!(client.is_suspended(), Err(Error::BrokerUnproven(_))));
    assert!(matches!(client.cancel_each(&["x".into()]), Err(Error::BrokerBusy { pause: None })));
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let client = self::client(&format!("http://{closed}"));
    assert!(matches!(client.cancel_all(), Err(Error::BrokerSilent(_))));
    assert!(client.doubt.is_raised(), "the broker may have moved");
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
    let seen = client_of(&address, Scope::Ours).look(Policy::Cancel, &mut |_| ()).expect("read");
    assert_eq!(seen.open.iter().map(|order| order.id.as_str()).collect::<Vec<_>>(), ["ours"]);
    let requests: Vec<String> = told.try_iter().collect();
    assert_eq!(
        requests,
        [
            "GET /v2/orders?status=open&limit=500&direction=desc&nested=true",
            "GET /v2/orders?status=open&limit=500&direction=desc&nested=true&until=2026T1-496",
            "GET /v2/positions",
            "GET /v2/orders?status=open&limit=500&direction=desc&nested=false",
        ]
    );
}

#[test]
fn orders_are_told_though_the_positions_or_a_later_list_fail() {
    let entry = r#"[{"id":"o","status":"new","symbol":"A","client_order_id":"sp-1"}]"#;
    let exit = r#"[{"id":"t","status":"new","symbol":"B","order_class":"bracket","client_order_id":"x"}]"#;
    let closed =
        r#"[{"id":"e","status":"filled","client_order_id":"sp-2","legs":[{"id":"t","status":"new"}]}]"#;
    let check = |answers: Vec<(u16, &'static str)>, told: &[&[&str]]| {
        let (address, _requests) = serve(answers);
        let mut heard: Vec<Vec<String>> = Vec::new();
        let mut tell = |open: Vec<Order>| heard.push(open.into_iter().map(|order| order.id).collect());
        client_of(&address, Scope::Ours).look(Policy::Cancel, &mut tell).expect_err("one failed");
        assert_eq!(heard, told);
    };
    // An exit of ours is known by the lists that answer.
    check(vec![(200, entry), (503, ""), (200, exit), (200, closed)], &[&["o"], &["o", "t"]]);
    check(vec![(200, entry), (200, "[]"), (200, exit), (503, "")], &[&["o"]]);
    check(vec![(200, entry), (429, "")], &[&["o"]]);
    check(vec![(503, "")], &[]);
}

#[test]
fn pages_without_end_are_no_proof() {
    let answers = (0..MAX_PAGES).map(|n| (200, page(n * PAGE, &format!("2026T{n}"), 1))).collect();
    let (address, _told) = serve(answers);
    let result = client_of(&address, Scope::Ours).look(Policy::Cancel, &mut |_| ());
    assert!(matches!(result, Err(Error::BrokerUnproven(text)) if text.contains("more pages")), "{result:?}");
    let (address, _told) = serve(vec![(200, page(0, "2026T1", PAGE))]);
    let result = client_of(&address, Scope::Ours).look(Policy::Cancel, &mut |_| ());
    assert!(matches!(result, Err(Error::BrokerUnproven(text)) if text.contains("one moment")), "{result:?}");
}

fn text_list(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn rows_of_a_bulk_cancel_that_fail_are_named() {
    let rows = r#"[{"id":"a","status":200},{"id":"b","status":422},{"id":"c","status":404},
        {"id":"d","status":500},{"id":"e","status":429},{"id":"f"},{"id":"../x","status":500}]"#;
    let (address, _told) = serve(vec![(207, rows)]);
    let cancels = client(&address).cancel_all().expect("taken");
    assert_eq!(cancels, Cancels { taken: 1, failed: text_list(&["d", "e", "f"]) });
}

#[test]
fn a_429_ends_a_round_and_its_pause_is_the_brokers_word() {
    let (address, told) = serve(vec![(204, ""), (429, "slow")]);
    let result = client(&address).cancel_each(&text_list(&["x", "y", "z"]));
    assert!(matches!(result, Err(Error::BrokerBusy { pause: None })), "{result:?}");
    assert_eq!(told.iter().count(), 2);
    let check = |headers: &[(&'static str, &str)], expected: Option<u64>| {
        let headers = headers.iter().map(|(name, value)| {
            (ureq::http::HeaderName::from_static(name), value.parse().expect("a value"))
        });
        let got = pause(&headers.collect(), 1000);
        assert_eq!(got, expected.map(Duration::from_secs));
    };
    check(&[], None);
    check(&[("retry-after", "3")], Some(3));
    check(&[("retry-after", "3600")], Some(60));
    check(&[("retry-after", "Sun, 22 Nov 2026 00:00:00 GMT")], None);
    check(&[("x-ratelimit-reset", "1007")], Some(7));
    check(&[("x-ratelimit-reset", "1007"), ("retry-after", "2")], Some(2));
    // Past, and of another clock.
    check(&[("x-ratelimit-reset", "7")], Some(0));
    check(&[("x-ratelimit-reset", "1061")], None);
}

#[test]
fn closes_tell_who_holds_the_shares() {
    let held = r#"{"code":40310000,"message":"insufficient qty available for order",
        "related_orders":["h1","../x"]}"#;
    let suspended = r#"{"code":40310000,"message":"new orders are rejected by user request"}"#;
    let rows = format!(
        r#"[{{"symbol":"A","status":200,"body":{{"id":"c"}}}},{{"symbol":"B","status":403,"body":{held}}},
            {{"symbol":"C","status":403,"body":{suspended}}},{{"symbol":"D","status":500}}]"#
    );
    let (address, told) = serve(vec![
        (207, rows),
        (200, r#"{"id":"c"}"#.into()),
        (403, held.into()),
        (403, suspended.into()),
        (404, r#"{"message":"position does not exist"}"#.into()),
        (500, String::new()),
    ]);
    let client = client(&address);
    let expected = Closes { taken: 1, refused: 1, holders: text_list(&["h1"]) };
    assert_eq!(client.close_all().expect("taken"), expected);
    assert_eq!(client.close_each(&text_list(&["A", "B", "C/D", "E"])).expect("taken"), expected);
    assert!(client.close_each(&text_list(&["F"])).is_err());
    let requests: Vec<String> = told.iter().collect();
    assert_eq!(
        requests,
        [
            "DELETE /v2/positions?cancel_orders=true",
            "DELETE /v2/positions/A",
            "DELETE /v2/positions/B",
            "DELETE /v2/positions/C%2FD",
            "DELETE /v2/positions/E",
            "DELETE /v2/positions/F",
        ]
    );
}

#[test]
fn flatten_asks_for_the_clock_while_something_is_held() {
    let position = r#"[{"symbol":"A","qty":"1","qty_available":"1"}]"#;
    let clock = r#"{"is_open":false,"next_open":"2026-11-23T09:30:00-05:00"}"#;
    let (address, told) = serve(
        [
            [(200, "[]"), (200, position), (200, "[]"), (200, clock)],
            [(200, "[]"), (200, position), (200, "[]"), (500, "")],
        ]
        .concat(),
    );
    // Positions are one pot: the scope is the account.
    let client = client_of(&address, Scope::Ours);
    let market = Market { is_open: false, next_open: "2026-11-23T09:30:00-05:00".into() };
    assert_eq!(client.look(Policy::Flatten, &mut |_| ()).expect("read").market, Some(market));
    // It explains only, so it may fail.
    assert_eq!(client.look(Policy::Flatten, &mut |_| ()).expect("read").market, None);
    assert_eq!(told.iter().filter(|request| request == "GET /v2/clock").count(), 2);
}

#[test]
fn exits_of_an_entry_that_is_over_are_looked_for_in_the_flat_list() {
    let leg = r#"[{"id":"l","status":"new","symbol":"A","order_class":"bracket"}]"#;
    for position in [
        r#"[{"symbol":"A","qty":"1","qty_available":"0"}]"#,
        // The broker may not say what is reserved, or not reserve it, or net it away.
        r#"[{"symbol":"A","qty":"1","qty_available":null}]"#,
        r#"[{"symbol":"A","qty":"-1","qty_available":"-1"}]"#,
        "[]",
    ] {
        let (address, _told) = serve(vec![(200, "[]"), (200, position), (200, leg)]);
        let seen = client(&address).look(Policy::Cancel, &mut |_| ()).expect("read");
        assert_eq!(seen.open.len(), 1, "{position}");
    }
}

/// A broker that keeps connections open, and answers each first request on one only after `slow`.
fn serve_slowly(slow: Duration) -> (String, mpsc::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                let (_never, pause) = mpsc::channel::<()>();
                let mut wait = slow;
                loop {
                    let mut line = String::new();
                    while !matches!(line.as_str(), "\r\n") {
                        line.clear();
                        if !matches!(reader.read_line(&mut line), Ok(bytes) if bytes > 0) {
                            return;
                        }
                    }
                    let _: Result<(), mpsc::RecvTimeoutError> = pause.recv_timeout(std::mem::take(&mut wait));
                    let body = r#"{"suspend_trade":false}"#;
                    let head = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", body.len());
                    // Before the answer: whoever has that may ask at once which connections there were.
                    tell.send(number).expect("the test listens");
                    if (&stream).write_all((head + body).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, told)
}

#[test]
fn a_warm_connection_is_used_again_and_each_client_has_its_own() {
    let (address, told) = serve_slowly(Duration::ZERO);
    let client = client(&address);
    let other = client.apart();
    for client in [&client, &client, &other, &client, &other] {
        assert!(!client.warm().expect("answered"));
    }
    drop((client, other));
    let connections: Vec<usize> = told.try_iter().collect();
    assert_eq!(connections, [0, 0, 1, 0, 1]);
}

#[test]
fn a_broker_that_is_slow_is_warmed_all_the_same() {
    let (address, _told) = serve_slowly(ASK_WAIT * 2);
    assert!(!client(&address).warm().expect("answered"));
}
