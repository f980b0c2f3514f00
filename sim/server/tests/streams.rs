//! The data stream over a real WebSocket.

mod common;

use common::{Broker, market, open, secs, settings};
use sandpit_sim::{Market, Settings, data::Tick, stream::hub::MAX_WAITING};
use sandpit_types::{MarketEvent, Quote};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

fn kinds(frame: &Value) -> String {
    let messages = frame.as_array().expect("every frame is an array").iter();
    messages.map(|message| message["T"].as_str().expect("a type").to_owned()).collect::<Vec<_>>().join(" ")
}

#[test]
fn welcome_authentication_subscription_data() {
    let broker = Broker::start(settings());
    let mut stream = broker.stream("/v2/iex", &[]);
    assert_eq!(stream.hear(), json!([{"T": "success", "msg": "connected"}]));
    let early = stream.ask(json!({"action": "subscribe", "bars": ["SPY"]}));
    assert_eq!(early, json!([{"T": "error", "code": 401, "msg": "not authenticated"}]));
    let auth = json!({"action": "auth", "key": "K", "secret": "S"});
    assert_eq!(stream.ask(auth.clone()), json!([{"T": "success", "msg": "authenticated"}]));
    assert_eq!(stream.ask(auth)[0]["code"], 403);
    let subscribed = stream.ask(json!({"action": "subscribe", "quotes": ["SPY"], "bars": ["*"]}));
    assert_eq!(
        subscribed,
        json!([{"T": "subscription", "trades": [], "quotes": ["SPY"], "bars": ["*"], "updatedBars": [],
            "dailyBars": [], "statuses": [], "lulds": [], "corrections": [], "cancelErrors": []}])
    );
    broker.pass(secs(300 + 60));
    let mut seen = Vec::new();
    while seen.len() < 9 {
        let frame = stream.frame();
        assert!(frame.is_text());
        let frame: Value = serde_json::from_slice(&frame.into_data()).expect("JSON");
        seen.extend(kinds(&frame).split(' ').map(str::to_owned));
    }
    // Quotes at 0, 10 .. 60 s of SPY only; at 60 s the bars of both.
    assert_eq!(seen.join(" "), "q q q q q q q b b");
    let left = stream.ask(json!({"action": "unsubscribe", "quotes": ["SPY"]}));
    assert_eq!((&left[0]["quotes"], &left[0]["bars"]), (&json!([]), &json!(["*"])));
    assert_eq!(broker.status()["data_streams"], 1);
}

#[test]
fn keys_of_the_handshake_count() {
    let broker = Broker::start(settings());
    let mut stream = broker.stream("/v2/sip", &[("apca-api-key-id", "K"), ("apca-api-secret-key", "S")]);
    assert_eq!(stream.hear()[0]["msg"], "connected");
    assert_eq!(stream.hear()[0]["msg"], "authenticated");
    assert_eq!(kinds(&stream.ask(json!({"action": "subscribe", "trades": ["*"]}))), "subscription");
    assert_eq!(stream.ask(json!({"action": "nonsense"}))[0]["code"], 400);
}

#[test]
fn who_does_not_authenticate_is_sent_away() {
    let broker = Broker::start(Settings { auth_timeout: std::time::Duration::from_millis(50), ..settings() });
    let mut stream = broker.stream("/v2/iex", &[]);
    assert_eq!(stream.hear()[0]["msg"], "connected");
    assert_eq!(stream.hear(), json!([{"T": "error", "code": 404, "msg": "auth timeout"}]));
    assert!(stream.is_over());
}

#[test]
fn a_client_that_has_gone_is_forgotten() {
    let broker = Broker::start(settings());
    let mut stream = broker.stream("/v2/iex", &[]);
    stream.hear();
    assert_eq!(broker.status()["data_streams"], 1);
    drop(stream);
    let gone = (0..1_000_000).any(|_| broker.status()["data_streams"] == 0);
    assert!(gone, "the listener is still counted");
}

#[test]
fn a_client_that_answers_no_pings_is_forgotten() {
    let (auth_timeout, ping_every) = (secs(3_600), std::time::Duration::from_millis(400));
    let broker = Broker::start(Settings { auth_timeout, ping_every, ..settings() });
    let (mut alive, _silent) = (broker.stream("/v2/iex", &[]), broker.stream("/v2/sip", &[]));
    let gone = (0..100_000).any(|_| {
        alive.ping(b"here");
        alive.pong();
        broker.status()["data_streams"] == 1
    });
    assert!(gone, "the silent one is still counted");
    alive.ping(b"still here");
    assert_eq!(alive.pong(), b"still here");
}

#[test]
fn a_stranger_who_talks_without_end_is_sent_away() {
    let broker = Broker::start(Settings { auth_timeout: secs(3_600), ..settings() });
    let mut stranger = broker.stream("/stream", &[]);
    for _ in 0..1_000 {
        stranger.send(tokio_tungstenite::tungstenite::Message::text("hello?"));
    }
    let gone = (0..10_000).any(|_| broker.status()["trade_streams"] == 0);
    assert!(gone, "the stranger is still there");
}

#[test]
fn a_client_that_falls_behind_is_told_and_dropped() {
    let Market { symbols, days, .. } = market();
    let symbol = symbols[0].clone();
    // More at one moment than may wait for one listener.
    let burst = (0..=MAX_WAITING).map(move |size| {
        let (symbol, time, bid_size) = (symbol.clone(), open(), size as u64);
        Tick::new(MarketEvent::Quote(Quote { symbol, time, bid: 1.0, bid_size, ask: 2.0, ask_size: 1 }))
    });
    let broker = Broker::over(settings(), Market { symbols, days, feed: Box::new(burst), rewind: None });
    let keys = [("apca-api-key-id", "K"), ("apca-api-secret-key", "S")];
    let mut slow = broker.stream("/v2/iex", &keys);
    let mut other = broker.stream("/v2/sip", &keys);
    for stream in [&mut slow, &mut other] {
        assert_eq!((kinds(&stream.hear()), kinds(&stream.hear())), ("success".into(), "success".into()));
    }
    assert_eq!(kinds(&slow.ask(json!({"action": "subscribe", "quotes": ["*"]}))), "subscription");
    assert_eq!(kinds(&other.ask(json!({"action": "subscribe", "trades": ["*"]}))), "subscription");
    broker.pass(secs(300));
    let last = std::iter::repeat_with(|| slow.hear()).find(|frame| kinds(frame) == "error");
    assert_eq!(last, Some(json!([{"T": "error", "code": 407, "msg": "slow client"}])));
    assert!(slow.is_over());
    assert_eq!(kinds(&other.ask(json!({"action": "unsubscribe"}))), "subscription", "the other is served");
}

const KEYS: [(&str, &str); 2] = [("apca-api-key-id", "K"), ("apca-api-secret-key", "S")];
const PACKED: (&str, &str) = ("content-type", "application/msgpack");

/// The next data messages, as many as are asked for, as `T symbol` of each.
fn hear(stream: &mut common::Stream, count: usize) -> Vec<Value> {
    let mut heard = Vec::new();
    while heard.len() < count {
        heard.extend(stream.hear().as_array().expect("an array").iter().cloned());
    }
    assert_eq!(heard.len(), count, "{heard:?}");
    heard
}

/// Hears what a stream says to a client whose handshake carried good keys.
fn greeted(stream: &mut common::Stream) {
    for msg in ["connected", "authenticated"] {
        assert_eq!(stream.hear(), json!([{"T": "success", "msg": msg}]));
    }
}

fn subscribed(broker: &Broker, path: &str, message: Value) -> common::Stream {
    let mut stream = broker.stream(path, &KEYS);
    greeted(&mut stream);
    assert_eq!(kinds(&stream.ask(message)), "subscription");
    stream
}

/// What a MessagePack frame holds; times stay in the extension's own shape.
fn unpack(frame: tungstenite::Message) -> Value {
    assert!(frame.is_binary(), "{frame:?}");
    rmp_serde::from_slice(&frame.into_data()).expect("MessagePack")
}

#[test]
fn message_pack_both_ways_and_in_fragments() {
    let broker = Broker::start(settings());
    let mut stream = broker.stream("/v2/iex", &[PACKED]);
    assert_eq!(unpack(stream.frame()), json!([{"T": "success", "msg": "connected"}]));
    let pack = |message: Value| rmp_serde::to_vec_named(&message).expect("MessagePack");
    stream.send_in_parts(&pack(json!({"action": "auth", "key": "K", "secret": "S"})), usize::MAX);
    assert_eq!(unpack(stream.frame()), json!([{"T": "success", "msg": "authenticated"}]));
    // alpaca-py sends its subscription as a generator: continuation frames, the last one empty.
    stream.send_in_parts(&pack(json!({"action": "subscribe", "trades": ["SPY"], "bars": ["*"]})), 7);
    assert_eq!(unpack(stream.frame())[0]["trades"], json!(["SPY"]));
    broker.pass(secs(300 + 50));
    let frame = stream.frame().into_data();
    // The stamp is MessagePack's own extension: fixext 4, type -1, 2026-03-16T13:30:50Z.
    let stamp = [&[0xa1, b't', 0xd6, 0xff][..], &1_773_667_850_u32.to_be_bytes()].concat();
    assert!(frame.windows(stamp.len()).any(|window| window == stamp), "{frame:?}");
    stream.send_in_parts(b"\xc1", usize::MAX);
    assert_eq!(unpack(stream.frame())[0]["code"], 400);
}

#[test]
fn one_connection_an_endpoint_and_the_place_is_free_at_once() {
    let broker = Broker::start(settings());
    let auth = json!({"action": "auth", "key": "K", "secret": "S"});
    let mut first = broker.stream("/v2/iex", &[]);
    let mut second = broker.stream("/v2/iex", &[]);
    for stream in [&mut first, &mut second] {
        assert_eq!(stream.hear()[0]["msg"], "connected");
    }
    assert_eq!(first.ask(auth.clone())[0]["msg"], "authenticated");
    let full = json!([{"T": "error", "code": 406, "msg": "connection limit exceeded"}]);
    assert_eq!(second.ask(auth.clone()), full);
    assert_eq!(second.ask(json!({"action": "subscribe", "bars": ["*"]}))[0]["code"], 401);
    let mut elsewhere = broker.stream("/v2/sip", &KEYS);
    greeted(&mut elsewhere);
    drop(first);
    let is_in = (0..10_000).any(|_| second.ask(auth.clone())[0]["msg"] == "authenticated");
    assert!(is_in, "the place of a client that has gone is free");
    let more = Broker::start(Settings { connections_per_endpoint: 2, ..settings() });
    let _streams = [0, 1].map(|_| subscribed(&more, "/v2/iex", json!({"action": "subscribe"})));
    let mut third = more.stream("/v2/iex", &KEYS);
    assert_eq!((third.hear()[0]["msg"].clone(), third.hear()), ("connected".into(), full));
}

#[test]
fn days_are_told_every_minute_after_the_open_and_late_trades_change_bars() {
    let broker = Broker::start(settings());
    let all = json!({"action": "subscribe", "bars": ["SPY"], "dailyBars": ["SPY"], "updatedBars": ["*"]});
    let mut stream = subscribed(&broker, "/v2/sip", all);
    broker.pass(secs(300 + 125));
    let heard = hear(&mut stream, 4);
    let told: Vec<String> = heard.iter().map(|m| format!("{} {} {}", m["T"], m["t"], m["v"])).collect();
    let day = r#""d" "2026-03-16T04:00:00Z""#;
    let minutes = [r#""b" "2026-03-16T13:30:00Z" 100"#, r#""b" "2026-03-16T13:31:00Z" 100"#];
    assert_eq!(told, [minutes[0], &format!("{day} 100"), minutes[1], &format!("{day} 200")]);
    // At 13:32:05 a trade of the first minute is reported, and one of the present minute.
    broker
        .sim
        .inject(json!({"T": "t", "S": "SPY", "p": 101, "s": 5, "t": open() + secs(7)}))
        .expect("a trade");
    broker.sim.inject(json!({"T": "t", "S": "SPY", "p": 102, "s": 6})).expect("a trade");
    broker.pass(secs(24));
    let nothing = stream.ask(json!({"action": "unsubscribe", "trades": ["SPY"]}));
    assert_eq!(kinds(&nothing), "subscription", "until 13:32:29 nothing was told");
    broker.pass(secs(1));
    let updated = &hear(&mut stream, 1)[0];
    let shown = json!([updated["T"], updated["t"], updated["v"], updated["h"], updated["c"]]);
    assert_eq!(shown, json!(["u", "2026-03-16T13:30:00Z", 105, 101.0, 100.1]), "at the next half minute");
    broker.pass(secs(30));
    let heard = hear(&mut stream, 2);
    let shown = json!([heard[0]["T"], heard[0]["v"], heard[0]["h"], heard[1]["T"], heard[1]["v"]]);
    assert_eq!(shown, json!(["b", 106, 102.0, "d", 311]));
}

#[test]
fn every_kind_of_message_can_be_put_in_and_is_heard_on_its_channel() {
    let broker = Broker::in_session(settings());
    let channels = [
        ("trades", json!({"T": "t", "S": "IBM", "p": 50, "s": 1})),
        ("quotes", json!({"T": "q", "S": "IBM", "bp": 50, "bs": 1, "ap": 51, "as": 1})),
        ("bars", json!({"T": "b", "S": "IBM", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "vw": 1})),
        ("updatedBars", json!({"T": "u", "S": "IBM", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "vw": 1})),
        ("dailyBars", json!({"T": "d", "S": "IBM", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "vw": 1})),
        ("statuses", json!({"T": "s", "S": "IBM", "sc": "H"})),
        ("lulds", json!({"T": "l", "S": "IBM", "u": 60, "d": 40})),
        ("imbalances", json!({"T": "i", "S": "IBM", "p": 50})),
    ];
    for (channel, told) in channels {
        let mut stream = subscribed(&broker, "/v2/iex", json!({"action": "subscribe", channel: ["IBM"]}));
        broker.sim.inject(told.clone()).expect("a message");
        // What the market tells besides is of the same kind.
        assert_eq!(stream.hear()[0]["T"], told["T"], "{channel}");
        drop(stream);
        assert!((0..1_000_000).any(|_| broker.status()["data_streams"] == 0));
    }
    let mut stream = subscribed(&broker, "/v2/iex", json!({"action": "subscribe", "trades": ["IBM"]}));
    broker.sim.inject(json!({"T": "x", "S": "IBM", "i": 1, "p": 50, "s": 1})).expect("a message");
    broker
        .sim
        .inject(json!({"T": "c", "S": "IBM", "oi": 1, "op": 1, "os": 1, "ci": 2, "cp": 2, "cs": 2}))
        .expect("a message");
    let heard = hear(&mut stream, 2);
    assert_eq!((&heard[0]["T"], &heard[1]["T"]), (&json!("x"), &json!("c")), "they come with the trades");
}

#[test]
fn the_delayed_feed_tells_the_same_a_quarter_of_an_hour_later() {
    let broker = Broker::start(settings());
    let all = json!({"action": "subscribe", "quotes": ["SPY"]});
    let mut delayed = subscribed(&broker, "/v2/delayed_sip", all.clone());
    let mut present = subscribed(&broker, "/v2/sip", all);
    broker.pass(secs(300 + 10));
    let first = hear(&mut present, 2);
    broker.pass(secs(900));
    assert_eq!(hear(&mut delayed, 2), first);
}

#[test]
fn the_test_stream_never_sleeps() {
    let broker = Broker::start(settings());
    broker.pass(secs(30 * 24 * 3_600));
    assert_eq!(broker.status()["phase"], "done");
    let all =
        json!({"action": "subscribe", "trades": ["FAKEPACA"], "quotes": ["FAKEPACA"], "bars": ["FAKEPACA"]});
    let mut stream = broker.stream("/v2/test", &KEYS);
    greeted(&mut stream);
    let acknowledged = stream.ask(all);
    let names = ["FAKEPACA"];
    assert_eq!(acknowledged, json!([{"T": "subscription", "trades": names, "quotes": names, "bars": names}]));
    broker.pass(secs(120));
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3 {
        for message in stream.hear().as_array().expect("an array") {
            assert_eq!(message["S"], "FAKEPACA");
            seen.insert(message["T"].as_str().expect("a type").to_owned());
        }
    }
    stream.say(json!({"action": "subscribe", "statuses": ["FAKEPACA"]}));
    let error = std::iter::repeat_with(|| stream.hear()).find(|frame| kinds(frame) == "error");
    assert_eq!(error.expect("an answer")[0]["code"], 410);
}

#[test]
fn the_news_are_a_stream_and_an_endpoint_under_one_path() {
    let broker = Broker::in_session(settings());
    let mut stream = subscribed(&broker, "/v1beta1/news", json!({"action": "subscribe", "news": ["SPY"]}));
    for symbols in [json!(["IBM"]), json!(["IBM", "SPY"])] {
        let told = json!({"T": "n", "headline": "H", "symbols": symbols});
        broker.sim.inject(told).expect("an article");
    }
    let heard = &hear(&mut stream, 1)[0];
    assert_eq!((&heard["T"], &heard["symbols"]), (&json!("n"), &json!(["IBM", "SPY"])));
    assert_eq!((&heard["content"], &heard["url"]), (&json!(""), &Value::Null));
    let newest = broker.get("/v1beta1/news?limit=1");
    assert_eq!(newest["news"][0]["id"], heard["id"]);
    assert_eq!(broker.call("GET", "/v2/iex").status, 400, "the other streams have no endpoint");
}

#[test]
fn pings_are_answered_and_nothing_is_compressed() {
    let broker = Broker::start(settings());
    let offer = ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits");
    let mut stream = broker.stream("/v1beta1/boats", &[KEYS[0], KEYS[1], offer]);
    greeted(&mut stream);
    stream.ping(b"are you there");
    assert_eq!(stream.pong(), b"are you there");
    let mut overnight =
        subscribed(&broker, "/v1beta1/overnight", json!({"action": "subscribe", "bars": ["*"]}));
    overnight.ping(b"x");
    assert_eq!(overnight.pong(), b"x");
}

#[test]
fn absurd_messages_are_answered_and_harm_nobody() {
    let broker = Broker::start(settings());
    let absurd: [&[u8]; 8] = [
        b"",
        b"\xff\xfe\x00",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff\xa1",
        b"\xdb\xff\xff\xff\xffabc",
        b"{\"action\":\"subscribe\",\"bars\":[1e400]}",
        &[0x91; 100_000],
        &[b'['; 100_000],
    ];
    for encoding in [PACKED, ("content-type", "application/json")] {
        let mut stream = broker.stream("/v2/iex", &[encoding]);
        stream.frame();
        for message in absurd {
            stream.send_in_parts(message, usize::MAX);
            let answer = stream.frame().into_data();
            let text = String::from_utf8_lossy(&answer);
            assert!(text.contains("invalid syntax"), "{encoding:?}: {text}");
        }
        stream.send_in_parts(&[0; 300_000], usize::MAX);
        assert!(stream.is_over(), "too long a message ends the connection");
    }
    let auth = json!({"action": "auth", "key": "K", "secret": "S"});
    let mut stream = broker.stream("/v2/iex", &[]);
    stream.hear();
    assert_eq!(stream.ask(auth)[0]["msg"], "authenticated");
}
