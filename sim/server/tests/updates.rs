//! Trade updates in both shapes: the WebSocket, and server-sent events.

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use common::{Broker, Stream, secs, settings};
use sandpit_sim::Settings;
use sandpit_types::MarketTime;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

fn auth() -> Value {
    json!({"action": "auth", "key": "K", "secret": "S"})
}

fn listen() -> Value {
    json!({"action": "listen", "data": {"streams": ["trade_updates"]}})
}

fn market(side: &str, qty: u32) -> Value {
    json!({"symbol": "SPY", "side": side, "qty": qty, "type": "market", "time_in_force": "day"})
}

fn resting() -> Value {
    json!({"symbol": "SPY", "side": "buy", "qty": 1, "type": "limit", "limit_price": 90,
        "time_in_force": "day"})
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

/// A stream that listens.
fn listening(broker: &Broker) -> Stream {
    let mut stream = broker.stream("/stream", &[]);
    assert_eq!(stream.ask(auth())["data"]["status"], "authorized");
    assert_eq!(stream.ask(listen())["stream"], "listening");
    stream
}

/// Events until, and with, the one of that name.
fn until(stream: &mut Stream, last: &str) -> Vec<Value> {
    let mut events: Vec<Value> = Vec::new();
    while events.last().is_none_or(|event| event["event"] != last) {
        let mut message = stream.hear();
        assert_eq!(message["stream"], "trade_updates");
        events.push(message["data"].take());
    }
    events
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| text(event, "event")).collect()
}

#[test]
fn the_answer_comes_before_what_happens_and_events_carry_the_order() {
    let broker = Broker::in_session(settings());
    let mut stream = listening(&broker);
    let answer = broker.post(market("buy", 10)).body;
    assert_eq!((&answer["status"], &answer["filled_qty"]), (&json!("pending_new"), &json!("0")));
    assert_eq!((&answer["filled_avg_price"], &answer["filled_at"]), (&Value::Null, &Value::Null));
    let events = until(&mut stream, "fill");
    assert_eq!(names(&events), ["pending_new", "new", "fill"]);
    assert_eq!(events[0]["execution_id"], Value::Null);
    for event in &events {
        assert_eq!(
            (event["order"]["id"].clone(), &event["order"]["legs"]),
            (answer["id"].clone(), &Value::Null)
        );
        assert_eq!(event["timestamp"], event["order"]["updated_at"]);
        let has_fill = ["price", "qty", "position_qty"].map(|field| event.get(field).is_some());
        assert_eq!(has_fill, [event["event"] == "fill"; 3], "{event}");
    }
    let statuses: Vec<&str> = events.iter().map(|event| text(&event["order"], "status")).collect();
    assert_eq!(statuses, ["pending_new", "new", "filled"]);
    let resting = broker.post(resting()).body;
    assert_eq!(broker.call("DELETE", &format!("/v2/orders/{}", text(&resting, "id"))).status, 204);
    let events = until(&mut stream, "canceled");
    assert_eq!(names(&events), ["pending_new", "new", "canceled"]);
    assert!(events[2]["order"]["canceled_at"].is_string());
}

#[test]
fn an_order_that_waits_for_the_open_is_accepted_in_silence() {
    let broker = Broker::start(settings());
    let mut stream = listening(&broker);
    let answer = broker.post(resting()).body;
    assert_eq!(answer["status"], "accepted");
    broker.pass(secs(301));
    let events = until(&mut stream, "new");
    assert_eq!(names(&events), ["new"]);
    assert_eq!(events[0]["order"]["id"], answer["id"]);
}

#[test]
fn message_pack_is_spoken_on_both_sides() {
    let broker = Broker::in_session(settings());
    let mut stream = broker.stream("/stream", &[("content-type", "application/msgpack")]);
    let mut hear = |said: Option<Value>| -> Value {
        if let Some(said) = said {
            stream.send(Message::binary(rmp_serde::to_vec(&said).expect("MessagePack")));
        }
        let frame = stream.frame();
        assert!(frame.is_binary());
        rmp_serde::from_slice(&frame.into_data()).expect("MessagePack")
    };
    assert_eq!(hear(Some(auth()))["data"]["status"], "authorized");
    assert_eq!(hear(Some(listen()))["data"]["streams"], json!(["trade_updates"]));
    let answer = broker.post(resting()).body;
    let update = hear(None);
    assert_eq!(
        (&update["data"]["event"], &update["data"]["order"]["id"]),
        (&json!("pending_new"), &answer["id"])
    );
    assert_eq!(update["data"]["order"]["limit_price"], "90");
}

#[test]
fn one_connection_at_a_time_by_default() {
    let broker = Broker::in_session(settings());
    let first = listening(&broker);
    assert_eq!(broker.try_stream("/stream", &[]).err(), Some(429));
    assert_eq!(broker.try_stream("/stream", &[("apca-api-key-id", "other")]).err(), Some(429));
    drop(first);
    let again = (0..10_000).find_map(|_| broker.try_stream("/stream", &[]).ok());
    let mut again = again.expect("the place is free when the first is gone");
    assert_eq!(again.ask(auth())["data"]["status"], "authorized");

    let two = Broker::start(Settings { trade_connections: 2, ..settings() });
    let _streams = [listening(&two), listening(&two)];
    assert_eq!(two.try_stream("/stream", &[]).err(), Some(429));
}

#[test]
fn who_does_not_say_who_he_is_loses_the_place() {
    let broker = Broker::start(Settings { auth_timeout: Duration::from_millis(50), ..settings() });
    let mut idle = broker.stream("/stream", &[]);
    let words = idle.hear();
    assert_eq!(words["data"], json!({"status": "unauthorized", "action": "authenticate"}));
    assert!(idle.is_over());
    let mut early = (0..10_000).find_map(|_| broker.try_stream("/stream", &[]).ok()).expect("a place");
    let refused = json!({"status": "unauthorized", "action": "listen"});
    assert_eq!(early.ask(listen()), json!({"stream": "authorization", "data": refused}));
}

/// A reader of server-sent events.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(broker: &Broker, query: &str) -> Self {
        let mut socket = TcpStream::connect(broker.address()).expect("connects");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("sockets have timeouts");
        let request = format!(
            "GET /v2/events/trades{query} HTTP/1.1\r\nHost: sim\r\nAPCA-API-KEY-ID: K\r\n\
             APCA-API-SECRET-KEY: S\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).expect("sends");
        let mut events = Self(BufReader::new(socket));
        assert!(events.line().expect("an answer").starts_with("HTTP/1.1 200"), "{query}");
        // The stream says something at once, so that a client knows it is connected.
        while !events.line().expect("a stream").starts_with(": ") {}
        events
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.0.read_line(&mut line).expect("in time") > 0).then_some(line)
    }

    /// The next event; `None` when the stream has ended.
    fn next(&mut self) -> Option<Value> {
        loop {
            let line = self.line()?;
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).expect("JSON"));
            }
            // The last chunk of the body.
            if line == "0\r\n" {
                return None;
            }
        }
    }

    fn all(mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

#[test]
fn server_sent_events_are_live_and_replayed() {
    let broker = Broker::in_session(settings());
    let mut live = Events::open(&broker, "");
    let order = broker.post(market("buy", 2)).body;
    let seen: Vec<Value> = std::iter::from_fn(|| live.next()).take(3).collect();
    assert_eq!(names(&seen), ["pending_new", "new", "fill"]);
    let fill = &seen[2];
    assert_eq!((&fill["price"], &fill["qty"]), (&json!("100.1"), &json!("2")));
    assert_eq!((&fill["position_qty"], &fill["order"]["id"]), (&json!("2"), &order["id"]));
    assert!(text(fill, "execution_id").len() == 36 && text(fill, "event_id").len() == 26, "{fill}");
    assert!(seen.is_sorted_by(|a, b| text(a, "event_id") < text(b, "event_id")));
    let at = |event: &Value| MarketTime::parse(text(event, "at")).expect("a time");
    assert!(seen.is_sorted_by(|a, b| at(a) < at(b)), "no two at the same time");

    broker.pass(secs(10));
    broker.post(market("sell", 1));
    let after = |query: String, expected: &[&str]| {
        let mut replay = Events::open(&broker, &query);
        let events: Vec<Value> = std::iter::from_fn(|| replay.next()).take(expected.len()).collect();
        assert_eq!(names(&events), expected, "{query}");
    };
    let id = |n: usize| text(&seen[n], "event_id").to_owned();
    after(format!("?since_id={}", id(1)), &["fill", "pending_new", "new", "fill"]);
    after(format!("?since={}", text(&seen[1], "at")), &["new", "fill", "pending_new", "new", "fill"]);
    after("?since=2026-03-16".into(), &["pending_new", "new", "fill", "pending_new", "new", "fill"]);

    // With an end that has passed the stream ends, too.
    let ended = |query: String, expected: &[&str]| {
        assert_eq!(names(&Events::open(&broker, &query).all()), expected, "{query}");
    };
    ended(format!("?since_id={}&until_id={}", id(0), id(2)), &["new", "fill"]);
    ended(format!("?since={}&until={}", text(&seen[0], "at"), text(&seen[1], "at")), &["pending_new", "new"]);
    for bad in [
        format!("?since_id={}&since=2026-03-16", id(0)),
        "?until=2026-03-16".into(),
        format!("?until_id={}", id(0)),
        "?since_id=x".into(),
        "?since=2026-03-17&until=2026-03-16T00:00:00Z".into(),
    ] {
        assert_eq!(broker.call("GET", &format!("/v2/events/trades{bad}")).status, 422, "{bad}");
    }
    assert_eq!(broker.send("GET", "/v2/events/trades", None, "").status, 401);
}

#[test]
fn a_run_names_its_events_the_same_way_each_time() {
    let run = || {
        let broker = Broker::in_session(settings());
        broker.post(market("buy", 2));
        broker.pass(secs(10));
        broker.post(market("sell", 2));
        broker.pass(secs(60));
        Events::open(&broker, "?since=2026-03-16T00:00:00Z&until=2026-03-16T13:31:00Z").all()
    };
    let events = run();
    assert_eq!(events.len(), 6);
    assert_eq!(events, run());
}
