//! The data stream over a real WebSocket.

mod common;

use common::{Broker, market, open, secs, settings};
use sandpit_sim::{Market, Settings, data::Tick, stream::hub::MAX_WAITING};
use sandpit_types::{MarketEvent, Quote};
use serde_json::{Value, json};

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
fn message_pack_is_refused_in_words() {
    let broker = Broker::start(settings());
    let mut stream = broker.stream("/v2/iex", &[("content-type", "application/msgpack")]);
    let error = stream.hear();
    assert_eq!(error[0]["code"], 400);
    assert!(error[0]["msg"].as_str().is_some_and(|msg| msg.contains("application/json")));
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
    let mut other = broker.stream("/v2/iex", &keys);
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
