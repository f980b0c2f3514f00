//! The controls under `/sim`: the clock, injections, the log, the start anew.

mod common;

use common::{Broker, market, open, rewindable_market, secs, settings};
use sandpit_sim::{Market, Settings, data::Tick, stream::hub::MAX_WAITING};
use sandpit_types::{MarketEvent, Quote};
use serde_json::{Value, json};

/// A broker whose market can be played again.
fn broker() -> Broker {
    Broker::over(settings(), rewindable_market())
}

fn limit_order(side: &str, qty: u32, price: f64, id: &str) -> Value {
    json!({"symbol": "SPY", "qty": qty, "side": side, "type": "limit", "time_in_force": "day",
        "limit_price": price, "client_order_id": id})
}

/// A stream of market data that is authenticated and subscribed.
fn data_stream(broker: &Broker, channels: Value) -> common::Stream {
    let mut stream = broker.stream("/v2/iex", &[]);
    stream.hear();
    assert_eq!(stream.ask(json!({"action": "auth", "key": "K", "secret": "S"}))[0]["msg"], "authenticated");
    let mut subscribe = json!({"action": "subscribe"});
    for (name, symbols) in channels.as_object().expect("channels") {
        subscribe[name] = symbols.clone();
    }
    assert_eq!(stream.ask(subscribe)[0]["T"], "subscription");
    stream
}

fn trade_stream(broker: &Broker) -> common::Stream {
    let mut stream = broker.stream("/stream", &[]);
    stream.ask(json!({"action": "auth", "key": "K", "secret": "S"}));
    stream.ask(json!({"action": "listen", "data": {"streams": ["trade_updates"]}}));
    stream
}

/// The next `count` messages of market data, however they are batched.
fn messages(stream: &mut common::Stream, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    while found.len() < count {
        found.extend(stream.hear().as_array().expect("an array").iter().cloned());
    }
    assert_eq!(found.len(), count, "{found:?}");
    found
}

#[test]
fn the_clock_is_paused_set_forward_and_let_go() {
    let broker = broker();
    let state = broker.control("/sim/clock", json!({"pause": true}));
    assert_eq!((&state["paused"], &state["market_time"]), (&json!(true), &json!("2026-03-16T13:25:00Z")));
    broker.pass(secs(1_000));
    assert_eq!(broker.get("/v2/clock")["timestamp"], "2026-03-16T09:25:00-04:00", "it stands");
    let state = broker.control("/sim/clock", json!({"advance": "5m 30s"}));
    assert_eq!((&state["market_time"], &state["phase"]), (&json!("2026-03-16T13:30:30Z"), &json!("open")));
    let state = broker.control("/sim/clock", json!({"advance_to": "2026-03-16T13:31:00Z"}));
    assert_eq!(state["market_time"], "2026-03-16T13:31:00Z");
    assert_eq!(broker.status()["quotes"], 14, "everything on the way was played");
    let state = broker.control("/sim/clock", json!({"resume": true, "speed": 60}));
    assert_eq!((&state["paused"], &state["speed"]), (&json!(false), &json!(60)));
    broker.pass(secs(1));
    assert_eq!(broker.status()["market_time"], "2026-03-16T13:32:00Z");
    let state = broker.control("/sim/clock", json!({"advance": "100h"}));
    assert_eq!((&state["market_time"], &state["ended"]), (&json!("2026-03-16T20:01:00Z"), &json!(true)));
    assert_eq!(broker.send("GET", "/sim/clock", None, "").body, state);
}

#[test]
fn wrong_controls_are_refused_in_words() {
    let broker = Broker::in_session(settings());
    let check = |path: &str, body: &str, status: u16, words: &str| {
        let answer = broker.send("POST", path, None, body);
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
        let message = answer.body["message"].as_str().unwrap_or_default();
        assert!(message.contains(words), "{path} {body}: {message}");
    };
    check("/sim/clock", r#"{"advance":"soon"}"#, 422, "advance is a time like");
    check("/sim/clock", r#"{"advance":"-5m"}"#, 422, "advance is a time like");
    check("/sim/clock", r#"{"advance":"10000h"}"#, 422, "at most a year");
    check("/sim/clock", r#"{"advance":"5m","advance_to":"2026-03-16T14:00:00Z"}"#, 422, "only one");
    check("/sim/clock", r#"{"advance_to":"2026-03-16T13:00:00Z"}"#, 422, "never set back");
    check("/sim/clock", r#"{"speed":0}"#, 422, "from 1 to 100000");
    check("/sim/clock", r#"{"sped":1}"#, 422, "unknown field");
    check("/sim/clock", "{", 422, "EOF");
    check("/sim/inject", r#"{"trade":{"symbol":"ZZZZ","price":1}}"#, 422, "symbol not found: ZZZZ");
    check("/sim/inject", r#"{"trade":{"symbol":"SPY","price":-1}}"#, 422, "above zero");
    check("/sim/inject", r#"{"trade":{"symbol":"SPY","price":1e400}}"#, 422, "number out of range");
    check("/sim/inject", r#"{"gap":{"symbol":"SPY"}}"#, 422, "percent or an amount");
    check("/sim/inject", r#"{"gap":{"symbol":"SPY","percent":-100}}"#, 422, "above -100");
    check("/sim/inject", r#"{"bar":{"symbol":"SPY","open":1,"high":1,"low":2,"close":1}}"#, 422, "low");
    check("/sim/inject", r#"{"storm":{}}"#, 422, "unknown variant");
    check("/sim/faults", r#"{"kind":"rest"}"#, 422, "did you mean `reset`");
    check("/sim/faults", r#"{"kind":"reset","until":"2026-03-16T13:30:10Z"}"#, 422, "no moment from");
    check("/sim/faults", r#"{"kind":"reset","until_secs":300}"#, 422, "no moment from");
    check("/sim/faults", r#"{"kind":"reset","from":"2026-03-16T20:01:01Z"}"#, 422, "no moment from");
    check("/sim/faults", r#"{"kind":"halt","symbol":"ZZZZ"}"#, 422, "symbol not found: ZZZZ");
    for kind in ["b", "u", "d"] {
        for at in
            ["1677-09-21T00:12:44Z", "2025-03-01T00:00:00Z", "2026-03-16T13:31:00Z", "2262-04-11T23:47:00Z"]
        {
            let bar =
                json!({"T": kind, "S": "SPY", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "vw": 1, "t": at});
            check("/sim/inject", &json!({ "message": bar }).to_string(), 422, "is not a time from");
        }
    }
    let late = json!({"headline": "x", "created_at": "2026-03-16T13:31:00Z"});
    check("/sim/inject", &json!({ "news": late }).to_string(), 422, "is not a time from");
    check("/sim/reset", "", 409, "played once only");
    check("/sim/reset", r#"{"cash":"-1"}"#, 422, "above zero");
    assert_eq!(broker.send("GET", "/sim/log?after=x", None, "").status, 422);
    assert_eq!(broker.send("GET", "/sim/log?limit=0", None, "").status, 422);
    assert_eq!(broker.send("DELETE", "/sim/faults/7", None, "").status, 404);
    assert_eq!(broker.send("POST", "/sim/inject", None, &"x".repeat(100_000)).status, 413);
}

#[test]
fn a_trade_a_quote_and_a_bar_come_to_everybody() {
    let broker = Broker::in_session(settings());
    let mut stream = data_stream(&broker, json!({"trades": ["SPY"], "quotes": ["SPY"], "bars": ["SPY"]}));
    let mut updates = trade_stream(&broker);
    let order = broker.post(limit_order("buy", 10, 99.0, "low")).body;
    assert_eq!(updates.hear()["data"]["event"], "pending_new");
    assert_eq!(updates.hear()["data"]["event"], "new");
    broker.control("/sim/inject", json!({"trade": {"symbol": "SPY", "price": 98.5, "size": 7}}));
    let heard = &messages(&mut stream, 1)[0];
    assert_eq!((&heard["T"], &heard["p"], &heard["s"]), (&json!("t"), &json!(98.5), &json!(7)));
    assert_eq!(heard["t"], "2026-03-16T13:30:10Z", "it happens now");
    let quote = json!({"symbol": "SPY", "bid": 98.0, "ask": 98.9, "ask_size": 500});
    broker.control("/sim/inject", json!({ "quote": quote }));
    assert_eq!(messages(&mut stream, 1)[0]["ap"], 98.9);
    assert_eq!(updates.hear()["data"]["event"], "fill");
    let id = order["id"].as_str().expect("an id");
    assert_eq!(broker.get(&format!("/v2/orders/{id}"))["filled_avg_price"], "98.9");
    let bar = json!({"symbol": "SPY", "open": 1.0, "high": 3.0, "low": 1.0, "close": 2.0, "volume": 5});
    broker.control("/sim/inject", json!({ "bar": bar }));
    let heard = &messages(&mut stream, 1)[0];
    assert_eq!(
        (&heard["T"], &heard["h"], &heard["t"]),
        (&json!("b"), &json!(3.0), &json!("2026-03-16T13:29:00Z"))
    );
}

#[test]
fn messages_news_and_halts_come_to_everybody() {
    let broker = Broker::in_session(settings());
    let mut stream = data_stream(&broker, json!({"lulds": ["SPY"], "statuses": ["*"]}));
    let limits = json!({"T": "l", "S": "SPY", "u": 105.0, "d": 95.0, "i": "B"});
    broker.control("/sim/inject", json!({ "message": limits }));
    let heard = &messages(&mut stream, 1)[0];
    assert_eq!(
        (&heard["T"], &heard["u"], &heard["t"]),
        (&json!("l"), &json!(105.0), &json!("2026-03-16T13:30:10Z"))
    );
    broker.control("/sim/inject", json!({"halt": {"symbol": "SPY"}}));
    broker.control("/sim/inject", json!({"halt": {"symbol": "SPY"}}));
    broker.control("/sim/inject", json!({"resume": {"symbol": "SPY"}}));
    let heard: Vec<Value> = messages(&mut stream, 2).iter().map(|status| status["sm"].clone()).collect();
    assert_eq!(heard, ["Trading Halt", "Resume"], "once each");
    broker.control("/sim/inject", json!({"news": {"headline": "It happened", "symbols": ["SPY"]}}));
    assert_eq!(broker.get("/v1beta1/news?symbols=SPY&limit=1")["news"][0]["headline"], "It happened");
}

#[test]
fn order_events_from_outside() {
    let broker = Broker::in_session(settings());
    let id = broker.post(limit_order("buy", 1, 99.0, "a")).body["id"].as_str().expect("an id").to_owned();
    let mut updates = trade_stream(&broker);
    broker.control("/sim/inject", json!({"order": {"id": id, "event": "rejected"}}));
    assert_eq!(updates.hear()["data"]["event"], "rejected");
    assert_eq!(broker.get(&format!("/v2/orders/{id}"))["status"], "rejected");
    let check = |id: &str, event: &str, status: u16| {
        let body = json!({"order": {"id": id, "event": event}}).to_string();
        assert_eq!(broker.send("POST", "/sim/inject", None, &body).status, status, "{event}");
    };
    check(&id, "done_for_day", 422);
    check(&id, "swallowed", 422);
    check("61e69015-8549-4bfd-b9c3-01e75843f47d", "rejected", 404);
}

#[test]
fn a_gap_moves_what_the_feed_brings_from_then_on() {
    let broker = Broker::in_session(settings());
    broker.control("/sim/inject", json!({"gap": {"symbol": "SPY", "percent": -10}}));
    let ask =
        |name: &str| broker.get("/v2/stocks/quotes/latest?symbols=SPY,IBM")["quotes"][name]["ap"].clone();
    assert_eq!(ask("SPY"), 100.1, "what stands is as it was");
    broker.pass(secs(10));
    assert_eq!((ask("SPY"), ask("IBM")), (json!(90.09), json!(50.1)));
    broker.control("/sim/inject", json!({"gap": {"symbol": "SPY", "amount": 5}}));
    broker.pass(secs(60));
    assert_eq!(ask("SPY"), 95.09);
    let bars = broker.get("/v2/stocks/SPY/bars?timeframe=1Min&start=2026-03-16");
    assert_eq!(bars["bars"][0]["c"], 95.09, "bars, too");
    // More and more of it: refused before prices are none any more.
    let body = json!({"gap": {"symbol": "SPY", "percent": 10_000}}).to_string();
    let widen = |_| broker.send("POST", "/sim/inject", None, &body);
    let refused = (0..400).map(widen).find(|answer| answer.status == 422).expect("there is an end");
    assert_eq!(refused.body["message"], "the gaps of SPY are too wide together");
    broker.pass(secs(60));
    assert_eq!(ask("SPY"), 1e7, "the highest price there is");
}

/// A market of so many quotes of SPY, twenty a second from the open on; each has its number as its size.
fn crowded_market(count: u64) -> Market {
    let Market { symbols, days, .. } = market();
    let symbol = symbols[0].clone();
    let quotes = (0..count).map(move |n| {
        let time = open() + std::time::Duration::from_millis(n * 50);
        let symbol = symbol.clone();
        Tick::new(MarketEvent::Quote(Quote { symbol, time, bid: 1.0, bid_size: n, ask: 2.0, ask_size: 1 }))
    });
    Market { symbols, days, feed: Box::new(quotes), rewind: None }
}

/// Waits until something is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    assert!((0..1_000_000).any(|_| is_so()), "{what}");
}

#[test]
fn advances_add_up_and_outlive_their_client() {
    let broker = Broker::over(Settings { paused: true, ..settings() }, crowded_market(200_000));
    let is_moving = || broker.status()["quotes"].as_u64() > Some(0);
    std::thread::scope(|scope| {
        // The first client does not wait for the answer.
        let mut socket = std::net::TcpStream::connect(broker.address()).expect("connects");
        let body = r#"{"advance":"5h"}"#;
        let head = format!("POST /sim/clock HTTP/1.1\r\nHost: sim\r\nContent-Length: {}\r\n\r\n", body.len());
        std::io::Write::write_all(&mut socket, (head + body).as_bytes()).expect("sends");
        until("the clock does not move", is_moving);
        // The second comes while the first is being carried out.
        let second = scope.spawn(|| broker.control("/sim/clock", json!({"advance": "10m"})));
        drop(socket);
        assert_eq!(second.join().expect("no panic")["market_time"], "2026-03-16T18:35:00Z");
    });
    assert_eq!(broker.status()["quotes"], 200_000);
}

#[test]
fn a_request_under_way_does_not_reach_the_next_run() {
    let latency = json!({"kind": "latency", "delay_ms": 600_000, "method": "POST", "at_most": 1}).to_string();
    let faults = vec![sandpit_sim::faults::Rule::from_json(latency.as_bytes()).expect("a rule")];
    let broker = Broker::over(Settings { faults, ..settings() }, rewindable_market());
    broker.pass(secs(310));
    let order = limit_order("buy", 10, 101.0, "old").to_string();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| broker.try_send("POST", "/v2/orders", &common::KEYS, &order).is_ok());
        until("it never comes", || !broker.log_of("fault").is_empty());
        broker.control("/sim/reset", json!({}));
        assert!(!sent.join().expect("no panic"), "it is cut");
    });
    assert_eq!(broker.log(), "");
    assert_eq!(broker.get("/v2/orders?status=all"), json!([]));
}

#[test]
fn what_is_late_is_done_though_its_client_has_gone() {
    let broker = Broker::in_session(settings());
    broker.control("/sim/faults", json!({"kind": "latency", "delay_ms": 100, "method": "POST"}));
    let order = limit_order("buy", 10, 99.0, "late").to_string();
    let mut socket = std::net::TcpStream::connect(broker.address()).expect("connects");
    let head = format!(
        "POST /v2/orders HTTP/1.1\r\nHost: sim\r\nAPCA-API-KEY-ID: K\r\nAPCA-API-SECRET-KEY: S\r\n\
         Content-Length: {}\r\n\r\n",
        order.len()
    );
    std::io::Write::write_all(&mut socket, (head + &order).as_bytes()).expect("sends");
    until("it never comes", || !broker.log_of("fault").is_empty());
    drop(socket);
    until("it is forgotten", || !broker.log_of("answer").is_empty());
    assert_eq!(broker.get("/v2/orders")[0]["client_order_id"], "late");
}

#[test]
fn whoever_listens_can_follow_when_the_clock_is_set_forward() {
    // Many times what may wait for one listener, over an hour.
    let count = 16 * MAX_WAITING as u64;
    let broker = Broker::over(settings(), crowded_market(count));
    broker.control("/sim/clock", json!({"pause": true}));
    let mut stream = data_stream(&broker, json!({"quotes": ["*"]}));
    std::thread::scope(|scope| {
        scope.spawn(|| broker.control("/sim/clock", json!({"advance": "6h"})));
        // The listener begins to read when more than can wait for it has been played.
        let is_full = |_| broker.status()["quotes"].as_u64() > Some(MAX_WAITING as u64);
        assert!((0..1_000_000).any(is_full), "the clock does not move");
        let mut seen = 0;
        while seen < count {
            for message in stream.hear().as_array().expect("an array") {
                assert_eq!(message["bs"], seen, "in order, none missing: {message}");
                seen += 1;
            }
        }
    });
}

#[test]
fn the_log_tells_everything_that_changed_something_and_no_secrets() {
    let broker = Broker::in_session(settings());
    let order = limit_order("buy", 10, 101.0, "first").to_string();
    broker.send("POST", "/v2/orders", Some("K"), &order);
    broker.send("POST", "/v2/orders", Some("K"), "{");
    broker.send("DELETE", "/v2/orders", Some("K"), "");
    broker.send("DELETE", "/v2/orders", None, "");
    broker.get("/v2/account");
    broker.control("/sim/clock", json!({"pause": true}));
    let log = broker.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let what = ["method", "event", "action", "status"].map(|name| match &line[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            format!("{} {} {}", line["seq"], line["kind"].as_str().expect("a kind"), what.concat())
        })
        .collect();
    let expected = [
        "1 request POST",
        "2 order pending_newpending_new",
        "3 order newnew",
        "4 order fillfilled",
        "5 answer 200",
        "6 request POST",
        "7 answer 400",
        "8 request DELETE",
        "9 answer 207",
        "10 request DELETE",
        "11 answer 401",
        "12 control clock",
    ];
    assert_eq!(told, expected);
    assert_eq!((&lines[0]["path"], &lines[0]["body"]), (&json!("/v2/orders"), &json!(order)));
    assert_eq!((&lines[4]["request"], &lines[4]["at"]), (&json!(1), &json!("2026-03-16T13:30:10Z")));
    assert_eq!((&lines[3]["qty"], &lines[3]["price"]), (&json!("10"), &json!("100.1")));
    assert!(!log.contains("APCA") && !log.contains("secret"), "{log}");
    let some = broker.send("GET", "/sim/log?after=10&limit=1", None, "");
    assert_eq!(
        (some.header("content-type"), some.text.trim_end()),
        ("application/x-ndjson", log.lines().nth(10).expect("a line"))
    );
}

/// The same morning, every time: orders, cancels, faults, injections, the passing of time.
fn a_morning(broker: &Broker) -> String {
    broker.control("/sim/clock", json!({"pause": true}));
    for kind in [
        json!({"kind": "server_error", "status": 504, "deed": "done", "method": "POST", "path": "/v2/orders",
            "probability": 0.3}),
        json!({"kind": "latency", "delay_ms": [0, 3], "probability": 0.5}),
        json!({"kind": "lose", "stream": "trades", "probability": 0.3}),
        json!({"kind": "reorder", "stream": "data", "probability": 0.2}),
    ] {
        broker.control("/sim/faults", kind);
    }
    broker.control("/sim/clock", json!({"advance": "5m 5s"}));
    for n in 0..40_u32 {
        let (side, price) = if n % 3 == 0 { ("sell", 99.5) } else { ("buy", 99.0 + f64::from(n % 5)) };
        broker.post(limit_order(side, n % 7 + 1, price, &format!("order {n}")));
        match n % 10 {
            3 => drop(broker.control("/sim/inject", json!({"gap": {"symbol": "SPY", "percent": -1}}))),
            6 => drop(broker.call("DELETE", "/v2/orders")),
            9 => drop(broker.call("DELETE", "/v2/positions?cancel_orders=true")),
            _ => {}
        }
        broker.control("/sim/clock", json!({"advance": "7s"}));
    }
    broker.log()
}

#[test]
fn the_same_seed_and_the_same_requests_give_the_same_log() {
    let first = a_morning(&broker());
    let broker = broker();
    let second = a_morning(&broker);
    assert_eq!(first, second, "another run");
    assert!(first.lines().count() > 150, "{}", first.lines().count());
    for word in
        ["\"fault\":\"server_error\"", "\"fault\":\"reorder\"", "\"event\":\"fill\"", "\"kind\":\"control\""]
    {
        assert!(first.contains(word), "{word}");
    }
    broker.control("/sim/reset", json!({}));
    assert_eq!(a_morning(&broker), first, "the same run anew");
    broker.control("/sim/reset", json!({"seed": 2}));
    let other = a_morning(&broker);
    assert_ne!(other, first, "another seed");
    broker.control("/sim/reset", json!({"seed": 1}));
    assert_eq!(a_morning(&broker), first, "and back");
}

#[test]
fn a_reset_begins_anew_and_cuts_the_streams() {
    let broker = Broker::over(Settings { requests_per_minute: 5, ..settings() }, rewindable_market());
    broker.pass(secs(310));
    let mut data = data_stream(&broker, json!({"quotes": ["*"]}));
    let mut updates = trade_stream(&broker);
    assert_eq!(broker.post(limit_order("buy", 10, 101.0, "mine")).status, 200);
    for _ in 0..4 {
        broker.get("/v2/positions");
    }
    assert_eq!(broker.call("GET", "/v2/positions").status, 429);
    broker.control("/sim/faults", json!({"kind": "reset"}));
    let answer = broker.control("/sim/reset", json!({"cash": "5000", "seed": 9}));
    assert_eq!(answer, json!({"seed": 9, "cash": "5000", "market_time": "2026-03-16T13:25:00Z"}));
    assert_eq!(updates.rest().last().map(|update| update["data"]["event"].clone()), Some(json!("fill")));
    data.rest();
    assert_eq!(broker.log(), "");
    assert_eq!(broker.send("GET", "/sim/faults", None, "").body, json!([]));
    let account = broker.get("/v2/account");
    assert_eq!((&account["cash"], &account["equity"]), (&json!("5000"), &json!("5000")));
    assert_eq!(broker.get("/v2/positions"), json!([]));
    assert_eq!(broker.get("/v2/stocks/quotes/latest?symbols=SPY"), json!({"quotes": {}}));
    let status = broker.status();
    assert_eq!((&status["quotes"], &status["fills"], &status["requests"]), (&json!(0), &json!(0), &json!(3)));
    broker.pass(secs(310));
    assert_eq!(broker.post(limit_order("buy", 10, 101.0, "mine")).status, 200, "the id is free again");
    let mut data = data_stream(&broker, json!({"quotes": ["*"]}));
    broker.pass(secs(10));
    assert_eq!(data.hear()[0]["T"], "q");
}
