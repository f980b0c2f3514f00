//! Every kind of fault, over real sockets.

mod common;

use std::time::{Duration, Instant};

use common::{Broker, KEYS, open, secs, settings};
use sandpit_sim::{Settings, faults::from_toml};
use serde_json::{Value, json};

const AUTH: &str = r#"{"action":"auth","key":"K","secret":"S"}"#;

/// A broker in the session with one rule.
fn with(rule: Value) -> Broker {
    let broker = Broker::in_session(settings());
    arm(&broker, rule);
    broker
}

fn arm(broker: &Broker, rule: Value) -> u64 {
    broker.control("/sim/faults", rule)["id"].as_u64().expect("an id")
}

fn hits(broker: &Broker) -> Vec<u64> {
    let rules = broker.send("GET", "/sim/faults", None, "").body;
    rules.as_array().expect("rules").iter().map(|rule| rule["hits"].as_u64().expect("a number")).collect()
}

fn buy(id: &str) -> Value {
    json!({"symbol": "SPY", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day",
        "client_order_id": id})
}

fn resting(symbol: &str, id: &str) -> Value {
    json!({"symbol": symbol, "qty": "1", "side": "buy", "type": "limit", "limit_price": "1",
        "time_in_force": "day", "client_order_id": id})
}

/// Whether an order with this id was taken.
fn is_taken(broker: &Broker, id: &str) -> bool {
    broker.call("GET", &format!("/v2/orders:by_client_order_id?client_order_id={id}")).status == 200
}

fn updates(broker: &Broker) -> common::Stream {
    let mut stream = broker.stream("/stream", &[]);
    stream.ask(serde_json::from_str(AUTH).expect("JSON"));
    stream.ask(json!({"action": "listen", "data": {"streams": ["trade_updates"]}}));
    stream
}

fn quotes(broker: &Broker) -> common::Stream {
    let mut stream = broker.stream("/v2/iex", &[]);
    stream.hear();
    stream.ask(serde_json::from_str(AUTH).expect("JSON"));
    stream.ask(json!({"action": "subscribe", "quotes": ["SPY"]}));
    stream
}

/// The seconds of the next `count` quotes, after the open.
fn quote_secs(stream: &mut common::Stream, count: usize) -> Vec<i64> {
    let mut found = Vec::new();
    while found.len() < count {
        for quote in stream.hear().as_array().expect("an array").iter().filter(|told| told["T"] == "q") {
            let time = quote["t"].as_str().and_then(|text| sandpit_types::MarketTime::parse(text).ok());
            found.push((time.expect("a time").as_millis() - open().as_millis()) / 1_000);
        }
    }
    found
}

/// What the next `count` trade updates say.
fn events(stream: &mut common::Stream, count: usize) -> Vec<String> {
    let event = |update: Value| {
        let id = update["data"]["order"]["client_order_id"].as_str().expect("an id").to_owned();
        format!("{id} {}", update["data"]["event"].as_str().expect("an event"))
    };
    (0..count).map(|_| event(stream.hear())).collect()
}

#[test]
fn latency_is_real_time() {
    let broker = with(json!({"kind": "latency", "delay_ms": 120, "path": "/v2/clock"}));
    #[expect(clippy::disallowed_methods, reason = "the wait is real, and so is what measures it")]
    let start = Instant::now();
    broker.get("/v2/clock");
    assert!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());
    assert_eq!(hits(&broker), [1]);
    broker.get("/v2/account");
    assert_eq!(hits(&broker), [1], "another path");
}

#[test]
fn a_storm_of_429_comes_and_goes() {
    let broker = with(json!({"kind": "rate_limit", "api": "trading", "after_secs": 320, "until_secs": 330}));
    assert_eq!(broker.call("GET", "/v2/clock").status, 200);
    broker.pass(secs(10));
    let answer = broker.call("GET", "/v2/clock");
    assert_eq!((answer.status, &answer.body["code"]), (429, &json!(42_910_000)));
    assert_eq!(answer.number("x-ratelimit-limit"), 200);
    assert_eq!(broker.call("GET", "/v2/stocks/quotes/latest?symbols=SPY").status, 200, "the other API");
    broker.pass(secs(10));
    assert_eq!(broker.call("GET", "/v2/clock").status, 200);
}

#[test]
fn server_errors_before_and_after_the_deed() {
    for (status, code) in [(500, 50_010_000), (502, 50_210_000), (503, 50_310_000), (504, 50_410_000)] {
        for (deed, is_done) in [("undone", false), ("done", true)] {
            let rule = json!({"kind": "server_error", "status": status, "deed": deed, "method": "POST",
                "at_most": 1});
            let broker = with(rule);
            let answer = broker.post(buy("mine"));
            assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{deed}");
            assert!(!answer.header("x-request-id").is_empty() && answer.number("x-ratelimit-remaining") > 0);
            assert_eq!(is_taken(&broker, "mine"), is_done, "{status} {deed}");
            assert_eq!(broker.post(buy("mine")).status, if is_done { 422 } else { 200 });
        }
    }
}

#[test]
fn resets_cut_the_connection_before_and_after_the_deed() {
    for (deed, is_done) in [("undone", false), ("done", true)] {
        let broker = with(json!({"kind": "reset", "deed": deed, "method": "POST"}));
        let error = broker.try_send("POST", "/v2/orders", &KEYS, &buy("mine").to_string());
        let error = error.err().expect("no answer").to_string();
        assert!(error.contains("reset"), "{deed}: {error}");
        assert_eq!(is_taken(&broker, "mine"), is_done, "{deed}");
        let answers = broker.log_of("answer");
        assert_eq!(answers.last().map(|line| line["status"].clone()), Some(Value::Null), "{answers:?}");
    }
}

#[test]
fn a_time_out_holds_the_connection_and_then_cuts_it() {
    for (deed, is_done) in [("undone", false), ("done", true)] {
        let broker = with(json!({"kind": "timeout", "hold_ms": 150, "deed": deed, "method": "POST"}));
        #[expect(clippy::disallowed_methods, reason = "the wait is real, and so is what measures it")]
        let start = Instant::now();
        assert!(broker.try_send("POST", "/v2/orders", &KEYS, &buy("mine").to_string()).is_err());
        assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
        assert_eq!(is_taken(&broker, "mine"), is_done, "{deed}");
    }
}

#[test]
fn an_html_page_of_the_edge() {
    let broker = with(json!({"kind": "html", "status": 503, "path": "/v2/positions", "every": 2}));
    assert_eq!(broker.call("GET", "/v2/positions").status, 200);
    let answer = broker.call("GET", "/v2/positions");
    assert_eq!(answer.status, 503);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.text.starts_with("<html>") && answer.text.contains("503 Service Unavailable"));
    assert_eq!(broker.call("GET", "/v2/positions").status, 200);
}

#[test]
fn an_equity_that_is_not_true() {
    let broker = with(json!({"kind": "equity", "first": 1}));
    let account = broker.get("/v2/account");
    assert_eq!((&account["equity"], &account["portfolio_value"]), (&json!("0"), &json!("0")));
    assert_eq!((&account["cash"], &account["status"]), (&json!("100000"), &json!("ACTIVE")));
    assert_eq!(broker.get("/v2/account")["equity"], "100000");
    arm(&broker, json!({"kind": "equity", "factor": 1.5}));
    assert_eq!(broker.get("/v2/account")["equity"], "150000");
    arm(&broker, json!({"kind": "equity", "amount": -12.345}));
    assert_eq!(broker.get("/v2/account")["equity"], "-12.34");
}

#[test]
fn a_clock_that_is_wrong() {
    let broker = with(json!({"kind": "clock_skew", "skew_secs": -75}));
    assert_eq!(broker.get("/v2/clock")["timestamp"], "2026-03-16T09:28:55-04:00");
    let mut stream = quotes(&broker);
    broker.pass(secs(10));
    assert_eq!(quote_secs(&mut stream, 1), [20], "stamps are right");
    arm(&broker, json!({"kind": "clock_skew", "skew_secs": 5, "stamps": true}));
    broker.pass(secs(10));
    assert_eq!(quote_secs(&mut stream, 1), [35]);
    let mut updates = updates(&broker);
    broker.post(buy("mine"));
    assert_eq!(updates.hear()["data"]["timestamp"], "2026-03-16T13:30:35Z");
    assert_eq!(broker.get("/v2/clock")["timestamp"], "2026-03-16T09:29:20-04:00", "both");
}

#[test]
fn a_stream_that_lets_nobody_in() {
    let broker = with(json!({"kind": "handshake_429", "path": "/stream", "first": 2}));
    assert_eq!((broker.refused_stream("/stream"), broker.refused_stream("/stream")), (429, 429));
    updates(&broker);
    quotes(&broker);
    assert_eq!(hits(&broker), [2]);
    arm(&broker, json!({"kind": "html", "status": 502, "path": "/v2/iex"}));
    assert_eq!(broker.refused_stream("/v2/iex"), 502, "requests' faults hit handshakes, too");
}

#[test]
fn a_trade_stream_that_went_still_counts() {
    let broker = with(json!({"kind": "ghost", "stream": "trades", "at_most": 1}));
    drop(updates(&broker));
    let has_gone = (0..1_000_000).any(|_| broker.log_of("fault").len() == 1);
    assert!(has_gone, "the server has not noticed");
    assert_eq!(broker.refused_stream("/stream"), 429);
    broker.pass(secs(89));
    assert_eq!(broker.refused_stream("/stream"), 429);
    broker.pass(secs(1));
    let stream = updates(&broker);
    let id = arm(&broker, json!({"kind": "ghost", "stream": "trades"}));
    drop(stream);
    let has_gone = (0..1_000_000).any(|_| broker.log_of("fault").len() == 2);
    assert!(has_gone, "the server has not noticed");
    assert_eq!(broker.refused_stream("/stream"), 429);
    assert_eq!(broker.send("DELETE", &format!("/sim/faults/{id}"), None, "").status, 200);
    updates(&broker);
}

#[test]
fn whoever_holds_no_place_leaves_no_ghost() {
    let broker = with(json!({"kind": "ghost", "stream": "data", "at_most": 1}));
    let first = quotes(&broker);
    let mut turned_away = broker.stream("/v2/iex", &[]);
    turned_away.hear();
    assert_eq!(turned_away.ask(serde_json::from_str(AUTH).expect("JSON"))[0]["code"], 406);
    let count = || broker.status()["data_streams"].as_u64();
    drop(turned_away);
    assert!((0..1_000_000).any(|_| count() == Some(1)), "the server has not noticed");
    assert_eq!(hits(&broker), [0]);
    drop(first);
    assert!((0..1_000_000).any(|_| hits(&broker) == [1]), "the one with the place does");
}

#[test]
fn a_data_stream_that_went_still_counts() {
    let broker = with(json!({"kind": "ghost", "stream": "data", "ghost_secs": 30, "at_most": 1}));
    let auth: Value = serde_json::from_str(AUTH).expect("JSON");
    drop(quotes(&broker));
    let has_gone = (0..1_000_000).any(|_| broker.log_of("fault").len() == 1);
    assert!(has_gone, "the server has not noticed");
    let mut stream = broker.stream("/v2/iex", &[]);
    stream.hear();
    assert_eq!(stream.ask(auth.clone())[0]["code"], 406);
    broker.pass(secs(29));
    assert_eq!(stream.ask(auth.clone())[0]["code"], 406, "on the same socket, again");
    broker.pass(secs(1));
    broker.get("/v2/clock");
    assert_eq!(stream.ask(auth)[0]["msg"], "authenticated");
}

#[test]
fn a_data_socket_is_dropped() {
    let broker = with(json!({"kind": "drop", "stream": "data", "every": 3, "at_most": 1}));
    let mut stream = quotes(&broker);
    let mut trades = updates(&broker);
    broker.pass(secs(30));
    // SPY and IBM are quoted in turn: the third message is SPY's at 30 s.
    assert_eq!(quote_secs(&mut stream, 1), [20]);
    assert_eq!(stream.rest(), Vec::<Value>::new(), "without a word");
    broker.post(buy("mine"));
    assert_eq!(events(&mut trades, 1), ["mine pending_new"], "the other stream goes on");
    let mut stream = quotes(&broker);
    broker.pass(secs(10));
    assert_eq!(quote_secs(&mut stream, 1), [50], "and so does a new connection");
}

#[test]
fn a_data_socket_goes_mute_and_answers_all_the_same() {
    let broker = with(json!({"kind": "mute", "stream": "data", "mute_secs": 25, "at_most": 1}));
    let mut stream = quotes(&broker);
    broker.pass(secs(20));
    let ping = stream.ask(json!({"action": "subscribe", "trades": ["IBM"]}));
    assert_eq!(ping[0]["T"], "subscription", "nothing but the answer");
    stream.ping(b"alive");
    assert_eq!(stream.pong(), b"alive");
    broker.pass(secs(30));
    // Mute from 20 s to 45 s.
    assert_eq!(quote_secs(&mut stream, 2), [50, 60]);
    let id = arm(&broker, json!({"kind": "mute", "stream": "data"}));
    let other = arm(&broker, json!({"kind": "duplicate", "stream": "data"}));
    broker.pass(secs(500));
    assert_eq!(broker.send("DELETE", &format!("/sim/faults/{other}"), None, "").status, 200);
    broker.pass(secs(500));
    assert_eq!(stream.ask(json!({"action": "unsubscribe", "trades": ["IBM"]}))[0]["T"], "subscription");
    assert_eq!(broker.send("DELETE", &format!("/sim/faults/{id}"), None, "").status, 200);
    broker.pass(secs(10));
    assert_eq!(quote_secs(&mut stream, 1), [1_070], "the rule has gone, and the silence with it");
}

#[test]
fn market_data_comes_twice_late_or_after_the_next() {
    let broker = with(json!({"kind": "duplicate", "stream": "data", "symbol": "SPY", "first": 1}));
    let mut stream = quotes(&broker);
    broker.pass(secs(20));
    assert_eq!(quote_secs(&mut stream, 3), [20, 20, 30]);
    arm(&broker, json!({"kind": "reorder", "stream": "data", "symbol": "SPY", "first": 1}));
    // Between two of SPY's comes one of IBM's: the other symbol's message is the next one.
    let id = arm(&broker, json!({"kind": "lose", "stream": "data", "symbol": "IBM"}));
    broker.control("/sim/clock", json!({"pause": true}));
    broker.control("/sim/inject", quote(99.0));
    broker.control("/sim/inject", quote(98.0));
    let bids: Vec<Value> = (0..1).flat_map(|_| stream.hear().as_array().expect("an array").clone()).collect();
    assert_eq!(bids.iter().map(|quote| &quote["bp"]).collect::<Vec<_>>(), [98.0, 99.0]);
    broker.send("DELETE", &format!("/sim/faults/{id}"), None, "");
    arm(&broker, json!({"kind": "slow", "stream": "data", "delay_ms": 4_000, "symbol": "SPY"}));
    broker.control("/sim/clock", json!({"resume": true}));
    broker.pass(secs(12));
    let answer = stream.ask(json!({"action": "subscribe"}));
    assert_eq!(answer[0]["T"], "subscription", "2 s after the quote it has not come");
    broker.pass(secs(2));
    assert_eq!(quote_secs(&mut stream, 1), [40]);
}

fn quote(bid: f64) -> Value {
    json!({"quote": {"symbol": "SPY", "bid": bid, "ask": 100.1}})
}

#[test]
fn trade_updates_are_lost_doubled_replayed_delayed_and_dropped() {
    let broker = Broker::in_session(settings());
    let mut stream = updates(&broker);
    let id = arm(&broker, json!({"kind": "lose", "stream": "trades", "every": 3}));
    broker.post(buy("a"));
    broker.post(buy("b"));
    assert_eq!(events(&mut stream, 4), ["a pending_new", "a new", "b pending_new", "b new"]);
    let next = |id: u64, rule: Value| {
        broker.send("DELETE", &format!("/sim/faults/{id}"), None, "");
        arm(&broker, rule)
    };
    let id = next(id, json!({"kind": "duplicate", "stream": "trades", "every": 2}));
    broker.post(buy("c"));
    assert_eq!(events(&mut stream, 4), ["c pending_new", "c new", "c new", "c fill"]);
    let id = next(id, json!({"kind": "replay", "stream": "trades", "count": 3, "every": 3}));
    broker.post(buy("d"));
    let again = ["d pending_new", "d new", "d fill"];
    assert_eq!(events(&mut stream, 6), [again, again].concat());
    let id = next(id, json!({"kind": "reorder", "stream": "trades", "every": 2, "at_most": 1}));
    broker.post(buy("e"));
    assert_eq!(events(&mut stream, 3), ["e pending_new", "e fill", "e new"]);
    let id = next(id, json!({"kind": "slow", "stream": "trades", "delay_ms": 2_000}));
    broker.post(buy("f"));
    assert_eq!(
        stream.ask(json!({"action": "listen", "data": {"streams": ["trade_updates"]}}))["stream"],
        "listening"
    );
    broker.pass(secs(2));
    assert_eq!(events(&mut stream, 3), ["f pending_new", "f new", "f fill"]);
    let id = next(id, json!({"kind": "drop", "stream": "trades", "every": 2, "at_most": 1}));
    broker.post(buy("g"));
    let last: Vec<Value> = stream.rest().iter().map(|update| update["data"]["event"].clone()).collect();
    assert_eq!(last, ["pending_new"]);
    next(id, json!({"kind": "lose", "stream": "trades", "symbol": "IBM"}));
    let mut stream = updates(&broker);
    broker.post(resting("IBM", "h"));
    broker.post(buy("i"));
    assert_eq!(events(&mut stream, 1), ["i pending_new"], "of this symbol only");
}

#[test]
fn what_still_waits_at_the_end_of_the_run_comes_then() {
    let broker = with(json!({"kind": "slow", "stream": "data", "delay_ms": 600_000, "symbol": "SPY"}));
    let mut stream = quotes(&broker);
    broker.control("/sim/clock", json!({"advance_to": "2026-03-16T20:01:00Z"}));
    assert_eq!(quote_secs(&mut stream, 1)[0], 20);
    broker.control("/sim/inject", quote(50.0));
    let last = std::iter::repeat_with(|| stream.hear())
        .flat_map(|frame| frame.as_array().cloned().unwrap_or_default());
    assert!(last.take(1_000).any(|quote| quote["bp"] == 50.0));
}

#[test]
fn some_of_many_fail() {
    for (deed, open) in [("undone", 2), ("done", 0)] {
        let rule =
            json!({"kind": "partial_failure", "status": 500, "deed": deed, "path": "/v2/orders", "every": 2});
        let broker = with(rule);
        for id in ["a", "b", "c", "d"] {
            assert_eq!(broker.post(resting("SPY", id)).status, 200);
        }
        let answer = broker.call("DELETE", "/v2/orders");
        assert_eq!(answer.status, 207);
        let results = answer.body.as_array().expect("a list").clone();
        let statuses: Vec<&Value> = results.iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, [200, 500, 200, 500]);
        assert_eq!(results[1]["body"]["code"], 50_010_000);
        assert_eq!(broker.get("/v2/orders").as_array().map(Vec::len), Some(open), "{deed}");
    }
    let broker = with(json!({"kind": "partial_failure", "status": 403, "symbol": "SPY"}));
    broker.post(buy("a"));
    broker
        .post(json!({"symbol": "IBM", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}));
    let answer = broker.call("DELETE", "/v2/positions");
    let result = |symbol: &str| {
        let results = answer.body.as_array().expect("a list");
        results.iter().find(|one| one["symbol"] == symbol).expect(symbol)["status"].clone()
    };
    assert_eq!((result("SPY"), result("IBM")), (json!(403), json!(200)));
    let left: Vec<Value> = broker.get("/v2/positions").as_array().expect("a list").clone();
    assert_eq!(left.iter().map(|position| &position["symbol"]).collect::<Vec<_>>(), ["SPY"]);
}

#[test]
fn a_cancel_that_never_ends() {
    let broker = with(json!({"kind": "stuck_cancels", "until_secs": 400}));
    let mut stream = updates(&broker);
    let id = broker.post(resting("SPY", "a")).body["id"].as_str().expect("an id").to_owned();
    assert_eq!(broker.call("DELETE", &format!("/v2/orders/{id}")).status, 204, "the request is taken");
    assert_eq!(events(&mut stream, 3), ["a pending_new", "a new", "a pending_cancel"]);
    let status = || broker.get(&format!("/v2/orders/{id}"))["status"].clone();
    broker.pass(secs(80));
    assert_eq!(status(), "pending_cancel");
    broker.pass(secs(20));
    assert_eq!(status(), "canceled", "the rule is over");
    assert_eq!(events(&mut stream, 1), ["a canceled"]);
    assert_eq!(hits(&broker), [1]);
}

#[test]
fn a_trading_halt() {
    let broker = with(json!({"kind": "halt", "symbol": "SPY", "after_secs": 320, "until_secs": 350}));
    let mut stream = broker.stream("/v2/iex", &[]);
    stream.hear();
    stream.ask(serde_json::from_str(AUTH).expect("JSON"));
    stream.ask(json!({"action": "subscribe", "statuses": ["*"]}));
    broker.pass(secs(10));
    let told = stream.hear();
    assert_eq!(
        (&told[0]["T"], &told[0]["S"], &told[0]["t"]),
        (&json!("s"), &json!("SPY"), &json!("2026-03-16T13:30:20Z"))
    );
    let order = broker.post(buy("a"));
    assert_eq!(
        (
            order.status,
            broker
                .post(json!({"symbol": "IBM", "qty": "1", "side": "buy", "type": "market",
        "time_in_force": "day", "client_order_id": "b"}))
                .status
        ),
        (200, 200),
        "orders are taken"
    );
    let status = |id: &str| {
        broker.get(&format!("/v2/orders:by_client_order_id?client_order_id={id}"))["status"].clone()
    };
    broker.pass(secs(20));
    assert_eq!((status("a"), status("b")), (json!("new"), json!("filled")), "of this symbol nothing fills");
    broker.pass(secs(20));
    assert_eq!(status("a"), "filled");
    assert_eq!(stream.hear()[0]["sm"], "Resume");
}

#[test]
fn rules_are_listed_counted_and_taken_away() {
    let broker = with(json!({"kind": "rate_limit", "path": "/v2/clock", "every": 2}));
    for _ in 0..5 {
        broker.call("GET", "/v2/clock");
    }
    let rules = broker.send("GET", "/sim/faults", None, "").body;
    let rule = json!({"kind": "rate_limit", "path": "/v2/clock", "every": 2});
    assert_eq!(rules, json!([{"id": 1, "rule": rule, "chances": 5, "hits": 2}]));
    assert_eq!(arm(&broker, json!({"kind": "reset"})), 2);
    assert_eq!(broker.send("DELETE", "/sim/faults", None, "").body, json!({"removed": 2}));
    assert_eq!(broker.call("GET", "/v2/clock").status, 200);
    let faults: Vec<_> = broker.log_of("fault").iter().map(|line| line["on"].clone()).collect();
    assert_eq!(faults, ["GET /v2/clock", "GET /v2/clock"]);
}

#[test]
fn rules_of_the_settings_apply_from_the_start() {
    let text = "[[fault]]\nkind = \"server_error\"\nafter_secs = 310\npath = \"/v2/clock\"\n";
    let broker = Broker::start(Settings { faults: from_toml(text).expect("sound"), ..settings() });
    assert_eq!(broker.call("GET", "/v2/clock").status, 200);
    broker.pass(secs(310));
    assert_eq!(broker.call("GET", "/v2/clock").status, 500);
}
