//! What strangers write: order bodies and stream messages, half right, half nonsense. Ten seconds each here,
//! as long as one likes with `cargo xtask soak fuzz`. A failure prints the input and the seed, and
//! `BOLERO_RANDOM_SEED` repeats it.

use std::{
    panic::AssertUnwindSafe,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue, header};
use sandpit_types::{MarketEvent, MarketTime, Quote, Symbol, Trade};
use sandpit_venue::{Venue, VenueConfig};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    keys::{KeyPair, Keys},
    rest::ApiError,
    stream::{
        data::{DataSession, Door, Encoding, Feed, Plan},
        hub::Frame,
        session::Session,
        trades::TradeSession,
    },
    wire::request::{self, OrderBody, ReplaceBody},
};

/// How long each target runs, unless `BOLERO_RANDOM_TEST_TIME_MS` says otherwise.
const TEST_TIME: Duration = Duration::from_secs(10);
/// Longest input, in bytes.
const MAX_INPUT_BYTES: usize = 512;
/// A venue gives way to a fresh one after so many orders: its list of orders only grows.
const ORDERS_OF_A_VENUE: usize = 2_000;

/// The fields of an order and of a replacement.
const NAMES: [&str; 22] = [
    "symbol",
    "qty",
    "notional",
    "side",
    "type",
    "time_in_force",
    "limit_price",
    "stop_price",
    "trail_price",
    "trail_percent",
    "trail",
    "extended_hours",
    "client_order_id",
    "order_class",
    "take_profit",
    "stop_loss",
    "position_intent",
    "legs",
    "qty",
    "limit_price",
    "stop_price",
    "unknown",
];

/// Good values and bad ones; the index of a value says nothing of the field that it is meant for.
const VALUES: [&str; 56] = [
    r#""SPY""#,
    r#""IBM""#,
    r#""buy""#,
    r#""sell""#,
    r#""market""#,
    r#""limit""#,
    r#""stop""#,
    r#""stop_limit""#,
    r#""trailing_stop""#,
    r#""day""#,
    r#""gtc""#,
    r#""opg""#,
    r#""cls""#,
    r#""ioc""#,
    r#""fok""#,
    r#""bracket""#,
    r#""oco""#,
    r#""oto""#,
    r#""simple""#,
    r#""mleg""#,
    "1",
    "2.0",
    r#""3""#,
    "0.5",
    r#""0.000000001""#,
    "100",
    r#""99.9""#,
    r#""100.1""#,
    "101.005",
    "110",
    "90",
    "1e3",
    "1e400",
    "-1",
    "0",
    r#""NaN""#,
    r#""1e27""#,
    r#""1_000""#,
    r#""0.1234567890123456789012345678901234567890""#,
    "79228162514264337593543950335",
    r#""79228162514264337593543950335""#,
    "1000000000",
    "true",
    "false",
    "null",
    r#""""#,
    "[]",
    "{}",
    r#"{"limit_price":110}"#,
    r#"{"limit_price":"90"}"#,
    r#"{"stop_price":90}"#,
    r#"{"stop_price":110,"limit_price":111}"#,
    r#"{"stop_price":"90","limit_price":89.5}"#,
    r#"" ""#,
    r#""\ud800""#,
    r#""buy_to_open""#,
];

/// What every order has, so that a good part of them gets as far as the venue.
const BASES: [&str; 8] = [
    r#""symbol":"SPY","side":"buy","type":"market","time_in_force":"day","qty":1"#,
    r#""symbol":"SPY","side":"sell","type":"market","time_in_force":"day","qty":"1""#,
    r#""symbol":"IBM","side":"buy","type":"limit","time_in_force":"gtc","limit_price":"99","qty":2"#,
    r#""symbol":"SPY","side":"buy","type":"limit","time_in_force":"day","limit_price":100.2,"qty":3,
        "order_class":"bracket","take_profit":{"limit_price":110},"stop_loss":{"stop_price":90}"#,
    r#""symbol":"SPY","side":"sell","type":"limit","time_in_force":"gtc","qty":1,"order_class":"oco",
        "take_profit":{"limit_price":110},"stop_loss":{"stop_price":90}"#,
    r#""symbol":"IBM","side":"sell","type":"trailing_stop","time_in_force":"day","trail_percent":1,"qty":1"#,
    r#""symbol":"SPY","side":"buy","type":"market","time_in_force":"day","notional":"150.5""#,
    "",
];

/// One request: which base, which fields on top of it, and bytes that are changed in the end.
type Script = (u8, Vec<(u8, u8)>, Vec<(u16, u8)>);

/// A body as the script says: JSON, unless its edits break it. A field that comes twice is an error, too.
fn body((base, fields, edits): &Script) -> Vec<u8> {
    object(pick(&BASES, *base), fields, edits, (&NAMES, &VALUES))
}

fn pick<'a>(list: &[&'a str], at: u8) -> &'a str {
    list[usize::from(at) % list.len()]
}

/// An object of a base, fields out of two lists, and edited bytes.
fn object(
    base: &str,
    fields: &[(u8, u8)],
    edits: &[(u16, u8)],
    (names, values): (&[&str], &[&str]),
) -> Vec<u8> {
    let field = |&(name, value): &(u8, u8)| format!(r#""{}":{}"#, pick(names, name), pick(values, value));
    let base = Some(base.to_owned()).filter(|base| !base.is_empty());
    let parts: Vec<String> = base.into_iter().chain(fields.iter().map(field)).collect();
    let mut bytes = format!("{{{}}}", parts.join(",")).into_bytes();
    for (place, byte) in edits {
        let place = usize::from(*place) % bytes.len();
        bytes[place] = *byte;
    }
    bytes
}

/// A venue in its session, with quotes and trades of both symbols.
struct Desk {
    venue: Venue,
    now: MarketTime,
    steps: u64,
    taken: u64,
    refused: u64,
}

impl Desk {
    fn new() -> Self {
        let now = MarketTime::parse("2026-06-15T14:00:00Z").expect("a time");
        let venue = Venue::new(VenueConfig::default(), &["SPY", "IBM"].map(Symbol::new), now);
        let mut desk = Self { venue, now, steps: 0, taken: 0, refused: 0 };
        desk.step();
        desk
    }

    /// A second passes, and the market moves around 100.
    fn step(&mut self) {
        self.steps += 1;
        self.now = self.now + Duration::from_secs(1);
        let drift = (self.steps * 7 % 41) as f64 / 10.0;
        for symbol in ["SPY", "IBM"].map(Symbol::new) {
            let (time, bid, ask) = (self.now, 98.0 + drift, 98.1 + drift);
            let quote = Quote { symbol: symbol.clone(), time, bid, bid_size: 5, ask, ask_size: 5 };
            self.venue.on_market(&MarketEvent::Quote(quote));
            self.venue.on_market(&MarketEvent::Trade(Trade { symbol, time, price: ask, size: 1 }));
        }
    }

    fn play(&mut self, bytes: &[u8]) {
        self.step();
        let order =
            request::read::<OrderBody>(bytes).and_then(|body| body.into_order(|name| Symbol::new(name)));
        let submitted = order.and_then(|order| Ok(self.venue.submit(order, self.now)?));
        self.look(submitted.map(drop));
        let newest = self.venue.open_orders().next_back().map(|order| order.id.clone());
        if let Some(id) = newest {
            let change = request::read::<ReplaceBody>(bytes).and_then(ReplaceBody::into_replacement);
            let replaced = change.and_then(|change| Ok(self.venue.replace(&id, change, self.now)?));
            self.look(replaced.map(drop));
        }
    }

    /// A refusal is the client's fault and says so; whatever happened, the books balance.
    fn look(&mut self, outcome: Result<(), ApiError>) {
        match outcome {
            Ok(()) => self.taken += 1,
            Err(error) => {
                assert!(error.status().is_client_error(), "{error}");
                self.refused += 1;
            }
        }
        let account = self.venue.account();
        assert_eq!(account.equity, account.cash + account.long_market_value + account.short_market_value);
        self.venue.drain_events();
        if self.venue.orders().len() > ORDERS_OF_A_VENUE {
            *self = Self { taken: self.taken, refused: self.refused, ..Self::new() };
        }
    }
}

/// Fuzzes with what `play` makes of each input.
fn fuzz<T: bolero::TypeGenerator + std::fmt::Debug + 'static>(time: Duration, play: impl Fn(&T)) {
    let play = AssertUnwindSafe(play);
    let target = bolero::check!().with_test_time(time).with_max_len(MAX_INPUT_BYTES);
    target.with_type::<T>().for_each(|input: &T| play(input));
}

#[test]
fn fuzz_order_bodies() {
    let desk = Mutex::new(Desk::new());
    fuzz(TEST_TIME, |scripts: &Vec<Script>| {
        let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.iter().for_each(|script| desk.play(&body(script)));
    });
    let desk = desk.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} orders and replaces taken, {} refused", desk.taken, desk.refused);
    assert!(desk.taken > 1_000 && desk.refused > 1_000, "the fuzzing is blind");
}

#[test]
fn fuzz_order_bytes() {
    fuzz(TEST_TIME / 4, |bytes: &Vec<u8>| {
        let order =
            request::read::<OrderBody>(bytes).and_then(|body| body.into_order(|name| Symbol::new(name)));
        assert!(order.is_ok() || order.is_err_and(|error| error.status().is_client_error()));
    });
}

/// What a client of a stream says; the first three are the ways in.
const SAYINGS: [&str; 8] = [
    r#""action":"auth","key":"K","secret":"S""#,
    r#""action":"authenticate","data":{"key_id":"K","secret_key":"S"}"#,
    r#""action":"auth","key":"K","secret":"wrong""#,
    r#""action":"subscribe","trades":["SPY","IBM"],"quotes":["*"],"bars":[]"#,
    r#""action":"unsubscribe","trades":["SPY"]"#,
    r#""action":"listen","data":{"streams":["trade_updates"]}"#,
    r#""action":"listen","data":{"streams":[]}"#,
    "",
];
const SAYING_NAMES: [&str; 12] = [
    "action",
    "key",
    "secret",
    "data",
    "trades",
    "quotes",
    "bars",
    "dailyBars",
    "news",
    "lulds",
    "orderbooks",
    "x",
];
const SAYING_VALUES: [&str; 14] = [
    r#""auth""#,
    r#""subscribe""#,
    r#""listen""#,
    r#""K""#,
    r#""S""#,
    r#"["SPY"]"#,
    r#"["*"]"#,
    "[]",
    "[1]",
    "{}",
    "null",
    "1e400",
    r#"["SPY","SPY",""]"#,
    r#"{"streams":["trade_updates","x",1]}"#,
];

/// How a client talks: which stream, in MessagePack or not, and what it says.
type Talk = (u8, bool, Vec<Script>);

/// What a client makes of a frame.
fn read(message: &Message) -> Option<Value> {
    match message {
        Message::Text(text) => serde_json::from_str(text).ok(),
        Message::Binary(bytes) => {
            serde_json::from_slice(bytes).ok().or_else(|| rmp_serde::from_slice(bytes).ok())
        }
        _ => None,
    }
}

/// Plays a talk with one session: nobody gets a topic before he has shown good keys, and every answer can be
/// read.
fn talk<S: Session>(mut session: S, packed: bool, scripts: &[Script]) {
    let keys = Keys::only(KeyPair { key: "K".into(), secret: "S".into() });
    let mut has_shown_keys = false;
    for (base, fields, edits) in scripts {
        let said = object(pick(&SAYINGS, *base), fields, edits, (&SAYING_NAMES, &SAYING_VALUES));
        let text = String::from_utf8_lossy(&said).into_owned();
        has_shown_keys |= text.contains(r#""K""#) && text.contains(r#""S""#);
        let value = serde_json::from_str::<Value>(&text).ok();
        let answer = match (packed, value) {
            (false, _) => session.on(&text, &keys),
            (true, Some(value)) => session.on_binary(&rmp_serde::to_vec_named(&value).expect("packs"), &keys),
            (true, None) => session.on_binary(&said, &keys),
        };
        assert!(has_shown_keys || answer.topic.is_none(), "{text}");
        let frames: Vec<Frame<S::Message>> = answer.messages.into_iter().map(Frame::Control).collect();
        for message in S::write(&frames) {
            let value = read(&message).unwrap_or_else(|| panic!("{text} was answered {message:?}"));
            assert!(value.is_array() || value.is_object(), "{text} was answered {value}");
        }
    }
}

#[test]
fn fuzz_stream_messages() {
    let encodings = [Encoding::Json, Encoding::MessagePack];
    fuzz(TEST_TIME, |(stream, packed, scripts): &Talk| {
        let feeds = [Feed::Iex, Feed::Sip, Feed::Test, Feed::News];
        let Some(feed) = feeds.get(usize::from(*stream) % (feeds.len() + 1)) else {
            let mut headers = HeaderMap::new();
            if *packed {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/msgpack"));
            }
            return talk(TradeSession::new(&headers, None), *packed, scripts);
        };
        let (door, keys) = (Door::new(Plan::AlgoTraderPlus, 1), Keys::any());
        let session = DataSession::new(*feed, encodings[usize::from(*packed)], &door, None, &keys);
        talk(session, *packed, scripts);
    });
}
