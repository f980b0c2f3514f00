//! What no client should send: a proper refusal each, in the broker's shape, and the broker lives on.

mod common;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use common::{Broker, settings};
use sandpit_sim::Settings;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

const KEYS: &[u8] = b"APCA-API-KEY-ID: K\r\nAPCA-API-SECRET-KEY: S\r\n";

/// Sends bytes and reads the answer: its status and body; 0 and nothing if the server only hung up.
fn exchange(broker: &Broker, request: &[u8]) -> (u16, Vec<u8>) {
    let mut socket = TcpStream::connect(broker.address()).expect("connects");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("sockets have timeouts");
    // The server may answer and hang up before it has read all of a body that is too large.
    let _ = socket.write_all(request);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return (0, answer) };
    let status = std::str::from_utf8(&answer[9..12]).expect("digits").parse().expect("a status");
    (status, answer.split_off(head + 4))
}

fn request(method: &str, target: &[u8], headers: &[u8], body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}\r\nConnection: close\r\nHost: sim\r\n", body.len());
    [method.as_bytes(), b" ", target, b" HTTP/1.1\r\n", headers, length.as_bytes(), b"\r\n", body].concat()
}

/// One exchange: the status must be the expected one, and the body the broker's.
fn check(broker: &Broker, method: &str, target: &[u8], headers: &[u8], body: &[u8], expected: u16) {
    let (status, answer) = exchange(broker, &request(method, target, headers, body));
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned();
    let begin = body[..body.len().min(100)].escape_ascii();
    let what = format!("{method} {} {begin}", target.escape_ascii());
    assert_eq!(status, expected, "{what}: {shown}");
    let json: Value = serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("{what}: {shown}"));
    assert!(json["message"].is_string(), "{what}: {shown}");
    assert!(answer.len() < 2 * 64 * 1024, "{what}: an answer of {} bytes", answer.len());
}

fn broker() -> Broker {
    Broker::in_session(Settings { requests_per_minute: 10_000, ..settings() })
}

/// A sound order with one field set to some bytes.
fn order(field: &str, value: &[u8]) -> Vec<u8> {
    let fields = [
        ("symbol", &b"\"SPY\""[..]),
        ("qty", b"1"),
        ("side", b"\"buy\""),
        ("type", b"\"limit\""),
        ("time_in_force", b"\"day\""),
        ("limit_price", b"90"),
    ];
    let mut body = b"{".to_vec();
    for (name, sound) in fields.iter().filter(|(name, _)| *name != field) {
        body.extend([b"\"", name.as_bytes(), b"\":", sound, b","].concat());
    }
    body.extend([b"\"", field.as_bytes(), b"\":", value, b"}"].concat());
    body
}

#[test]
fn bodies_that_are_no_orders() {
    let broker = broker();
    let deep = [vec![b'['; 60_000], vec![b']'; 60]].concat();
    let nested = [b"{\"a\":".repeat(5_000), b"1".to_vec(), vec![b'}'; 5_000]].concat();
    let bodies: [&[u8]; 21] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"[]",
        b"null",
        b"true",
        b"42",
        b"\"order\"",
        b"\0",
        b"\xff\xfe",
        b"{\"symbol\":\"\xc3\x28\"}",
        b"{\"symbol\":\"\\ud800\"}",
        b"{\"symbol\":\"SPY\",\"symbol\":\"IBM\"}",
        b"{'symbol':'SPY'}",
        b"{\"symbol\":\"SPY\",}",
        b"{\"symbol\":\"SPY\"} trailing",
        b"{\"symbol\":NaN}",
        b"symbol=SPY&qty=1",
        b"<html></html>",
        &deep,
    ];
    for body in bodies {
        check(&broker, "POST", b"/v2/orders", KEYS, body, 400);
    }
    // Sound JSON: what is in an unknown field does not matter, however deep.
    check(&broker, "POST", b"/v2/orders", KEYS, &nested, 422);
    let id = b"/v2/orders/b0b6dd9d-8b9b-48a9-ba46-b9d54906e415";
    for body in [&b""[..], b"[", b"{\"no_shorting\":1}", b"\xff"] {
        check(&broker, "PATCH", b"/v2/account/configurations", KEYS, body, 400);
    }
    for body in [&b""[..], b"[", b"{\"qty\":[]}", b"{\"qty\":1e999}", b"\xff"] {
        check(&broker, "PATCH", id, KEYS, body, 400);
    }
    for body in [&b""[..], b"[", b"{\"name\":[]}", b"{\"symbols\":\"SPY\"}", b"{\"symbols\":[1]}", b"\xff"] {
        check(&broker, "POST", b"/v2/watchlists", KEYS, body, 400);
    }
    assert_eq!(broker.status()["open_orders"], 0);
}

#[test]
fn numbers_that_are_none() {
    let broker = broker();
    let long = format!("0.{}", "1".repeat(40));
    let quoted = format!("\"{long}\"");
    let thirty = format!("1{}", "0".repeat(30));
    for field in ["qty", "limit_price"] {
        for (value, expected) in [
            (&b"1e400"[..], 400),
            (b"-1e400", 400),
            (b"NaN", 400),
            (b"Infinity", 400),
            (b"0x10", 400),
            (b"01", 400),
            (b"1.", 400),
            (b"true", 400),
            (b"[1]", 400),
            (b"{}", 400),
            (long.as_bytes(), 400),
            (quoted.as_bytes(), 422),
            (thirty.as_bytes(), 422),
            (b"1e30", 422),
            (b"\"1e30\"", 422),
            (b"\"1e400\"", 422),
            (b"\"NaN\"", 422),
            (b"\"inf\"", 422),
            (b"\"\"", 422),
            (b"\" 1\"", 422),
            (b"\"1_000\"", 422),
            (b"\"1,5\"", 422),
            (b"\"\\u0661\"", 422),
            (b"0", 422),
            (b"-0.0", 422),
            (b"-1", 422),
            (b"1e-10", 422),
            (b"1e-300", 422),
            (b"9223372036854775808000", 422),
        ] {
            check(&broker, "POST", b"/v2/orders", KEYS, &order(field, value), expected);
        }
    }
    for value in [&b"\"x\""[..], b"-1", b"\"1e99\""] {
        check(&broker, "POST", b"/v2/orders", KEYS, &order("stop_price", value), 422);
        check(&broker, "POST", b"/v2/orders", KEYS, &order("trail_price", value), 422);
    }
    for (field, value) in [
        ("extended_hours", &b"\"maybe\""[..]),
        ("side", b"1"),
        ("take_profit", b"5"),
        ("stop_loss", b"[5]"),
        ("take_profit", b"{\"limit_price\":{}}"),
        ("client_order_id", b"7"),
    ] {
        check(&broker, "POST", b"/v2/orders", KEYS, &order(field, value), 400);
    }
    for symbol in ["\\u0000", "\\n", "é", "SPY ", " ", "../..", &"A".repeat(50_000)] {
        let value = format!("\"{symbol}\"");
        check(&broker, "POST", b"/v2/orders", KEYS, &order("symbol", value.as_bytes()), 422);
    }
    assert_eq!(broker.status()["open_orders"], 0, "nothing of it was taken");
}

#[test]
fn bodies_that_are_too_large() {
    let broker = broker();
    let huge = order("client_order_id", format!("\"{}\"", "x".repeat(10_000_000)).as_bytes());
    for (method, target) in
        [("POST", &b"/v2/orders"[..]), ("POST", b"/v2/watchlists"), ("PATCH", b"/v2/account/configurations")]
    {
        check(&broker, method, target, KEYS, &huge[..100_000], 413);
    }
    // The client says that it will send more than there is memory for, and sends nothing.
    let head =
        [b"POST /v2/orders HTTP/1.1\r\nHost: sim\r\nContent-Length: 99999999999999\r\n", KEYS, b"\r\n"]
            .concat();
    let (status, _) = exchange(&broker, &head);
    assert_eq!(status, 413);
    // A client that reads nothing before it has sent everything can send all of it: one whose sending fails
    // (Node's fetch) takes no answer.
    let mut socket = TcpStream::connect(broker.address()).expect("connects");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("sockets have timeouts");
    socket.write_all(&request("POST", b"/v2/orders", KEYS, &huge)).expect("all of it is taken in");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("an end in good order");
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", answer.escape_ascii());
    // Nor does it help to leave the length open.
    let chunks =
        [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n10000\r\n".to_vec(), vec![b' '; 0x10000]].concat();
    let head =
        b"POST /v2/orders HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n";
    let (status, _) = exchange(&broker, &[head, KEYS, b"\r\n", &chunks, b"\r\n0\r\n\r\n"].concat());
    assert_eq!(status, 413);
    assert_eq!(broker.call("GET", "/v2/clock").status, 200, "the broker lives");
}

#[test]
fn paths_and_queries_that_are_none() {
    let broker = broker();
    for (method, target, expected) in [
        ("GET", &b"/v2/orders/%ff"[..], 422),
        ("GET", b"/v2/orders/%00", 422),
        ("GET", b"/v2/orders/../account", 404),
        ("DELETE", b"/v2/orders/%C3%28", 422),
        ("GET", b"/v2/positions/%ff", 422),
        ("GET", b"/v2/positions/%F0%9F%98%80", 404),
        ("DELETE", b"/v2/positions/SPY%ff", 422),
        ("GET", b"/v2/assets/%fe", 422),
        ("GET", b"/v2/watchlists/%ff", 422),
        ("GET", b"/v2/watchlists/not-an-id", 422),
        ("DELETE", b"/v2/watchlists/b0b6dd9d-8b9b-48a9-ba46-b9d54906e415/%ff", 422),
        ("GET", b"/v2/watchlists:by_name?name=%ff", 422),
        ("GET", b"/v2/watchlists:by_name", 422),
        ("GET", b"/v2/orders?symbols=%ff", 422),
        ("GET", b"/v2/orders?status=half", 422),
        ("GET", b"/v2/orders?limit=0", 422),
        ("GET", b"/v2/orders?limit=-1", 422),
        ("GET", b"/v2/orders?limit=1e400", 422),
        ("GET", b"/v2/orders?limit=99999999999999999999999", 422),
        ("GET", b"/v2/orders?after=%00", 422),
        ("GET", b"/v2/orders?after=9999-99-99T99:99:99Z", 422),
        ("GET", b"/v2/orders?nested=maybe", 422),
        ("GET", b"/v2/orders?after_order_id=%27%20OR%201=1", 422),
        ("GET", b"/v2/orders:by_client_order_id", 422),
        ("GET", b"/v2/orders:by_client_order_id?client_order_id=%ff", 422),
        ("DELETE", b"/v2/positions/SPY?percentage=NaN", 422),
        ("DELETE", b"/v2/positions/SPY?qty=1e400", 422),
        ("DELETE", b"/v2/positions?cancel_orders=perhaps", 422),
        ("GET", b"/v2/account/activities?page_size=101", 422),
        ("GET", b"/v2/account/activities?page_token=%ff", 422),
        ("GET", b"/v2/account/activities?page_token=x", 422),
        ("GET", b"/v2/account/activities/%ff", 422),
        ("GET", b"/v2/account/activities/NONSENSE", 422),
        ("GET", b"/v2/account/activities?date=yesterday", 422),
        ("GET", b"/v2/account/portfolio/history?period=99999999999D", 422),
        ("GET", b"/v2/account/portfolio/history?period=%C3%A9", 422),
        ("GET", b"/v2/account/portfolio/history?timeframe=1Sec", 422),
        ("GET", b"/v2/calendar?start=99999-01-01", 422),
        ("GET", b"/v2/calendar?date_type=OTHER", 422),
        ("GET", b"/v3/clock?markets=MOON", 400),
        ("GET", b"/v3/calendar/%ff", 422),
        ("GET", b"/v3/calendar/MOON", 400),
        ("GET", b"/v2/events/trades?since_id=not-a-ulid", 422),
        ("GET", b"/v2/events/trades?since=never", 422),
        ("GET", b"/v2/events/trades?until=2026-03-16", 422),
        ("GET", b"/v2/stocks/%ff/bars?timeframe=1Min", 400),
        ("GET", b"/v2/stocks/%C3%28/quotes/latest", 400),
        ("GET", b"/v2/stocks/%ff/snapshot", 400),
        ("GET", b"/v2/stocks/meta/conditions/%ff?tape=A", 400),
        ("GET", b"/v1beta1/screener/%ff/movers", 400),
        ("GET", b"/v2/stocks/trades?symbols=SPY&page_token=0_18446744073709551615_SPY", 400),
        ("GET", b"/v2/stocks/SPY/bars?timeframe=1Min&page_token=-9223372036854775808_100001_SPY", 400),
        ("GET", b"/v2/\xff", 404),
        ("BREW", b"/v2/orders", 404),
    ] {
        let (status, answer) = exchange(&broker, &request(method, target, KEYS, b""));
        // What is no HTTP at all does not reach the broker: the server refuses it without a body.
        if target == b"/v2/\xff" {
            assert!(matches!(status, 400 | 404), "{status}");
            continue;
        }
        assert!(!answer.is_empty(), "{} {}", method, target.escape_ascii());
        check(&broker, method, target, KEYS, b"", expected);
    }
    let long = [b"/v2/orders?symbols=".to_vec(), b"SPY,".repeat(12_000)].concat();
    let (status, _) = exchange(&broker, &request("GET", &long, KEYS, b""));
    assert!(matches!(status, 200 | 414 | 431), "{status}");
}

#[test]
fn headers_that_are_none() {
    let broker = broker();
    for headers in [
        &b""[..],
        b"APCA-API-KEY-ID: K\r\n",
        b"APCA-API-KEY-ID: \xff\r\nAPCA-API-SECRET-KEY: S\r\n",
        b"APCA-API-KEY-ID: \r\nAPCA-API-SECRET-KEY: \r\n",
        b"Authorization: \r\n",
        b"Authorization: Basic\r\n",
        b"Authorization: Basic !!!\r\n",
        b"Authorization: Basic /////w==\r\n",
        b"Authorization: Bearer \xff\xfe\r\n",
        b"Authorization: Bearer\r\n",
        b"Authorization: Negotiate abc\r\n",
    ] {
        check(&broker, "GET", b"/v2/account", headers, b"", 401);
    }
    let kind = [KEYS, b"Content-Type: \xff\r\nAccept-Encoding: \xff\r\n"].concat();
    check(&broker, "POST", b"/v2/orders", &kind, b"{", 400);
    for garbage in [&b"\xff\xfe\xfd\r\n\r\n"[..], b"GET\r\n\r\n", b"GET /v2/clock HTTP/9.9\r\n\r\n"] {
        let (status, _) = exchange(&broker, garbage);
        assert!((400..=505).contains(&status), "{status}");
    }
    let answer = broker.call("GET", "/v2/clock");
    assert_eq!(answer.status, 200, "the broker lives");
}

#[test]
fn messages_that_are_none() {
    let broker = broker();
    let mut stream = broker.stream("/stream", &[]);
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let messages: [&[u8]; 12] = [
        b"",
        b"\0",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{",
        b"{\"action\":1e400}",
        b"{\"action\":[]}",
        b"{\"action\":\"auth\",\"key\":5,\"secret\":{}}",
        b"{\"action\":\"authenticate\",\"data\":[]}",
        b"{\"action\":\"dance\"}",
        &deep,
    ];
    for message in messages {
        stream.send(Message::binary(message.to_vec()));
    }
    // Two of them were attempts to authenticate; the others are passed over.
    for _ in 0..2 {
        assert_eq!(stream.hear()["data"]["status"], "unauthorized");
    }
    let auth = serde_json::json!({"action": "auth", "key": "K", "secret": "S"});
    assert_eq!(stream.ask(auth.clone())["data"]["status"], "authorized");
    for data in ["{}", "null", "{\"streams\":\"trade_updates\"}", "{\"streams\":[1,null]}"] {
        stream.send(Message::text(format!("{{\"action\":\"listen\",\"data\":{data}}}")));
        assert_eq!(stream.hear()["data"]["streams"], serde_json::json!([]), "{data}");
    }
    // More than any client says: the connection ends, and the place is free again.
    stream.send(Message::binary(vec![b' '; 1_000_000]));
    assert!(stream.is_over());
    drop(stream);
    let mut next = (0..10_000).find_map(|_| broker.try_stream("/stream", &[]).ok()).expect("a place");
    assert_eq!(next.ask(auth)["data"]["status"], "authorized");
}
