//! What strangers write: order bodies and stream messages, half right, half nonsense. Ten seconds each here, as long as
//! one likes with `cargo xtask soak`. A failure prints the input and the seed (`BOLERO_RANDOM_SEED`).

use std::{panic::AssertUnwindSafe, sync::Mutex, time::Duration};

use sandpit_types::{MarketEvent, MarketTime, Quote, Symbol, Trade};
use sandpit_venue::{Venue, VenueConfig};

use crate::{
    rest::ApiError,
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
    r#""symbol":"SPY","side":"buy","type":"limit","time_in_force":"day","limit_price":100.2,"qty":3,"order_class":"bracket","take_profit":{"limit_price":110},"stop_loss":{"stop_price":90}"#,
    r#""symbol":"SPY","side":"sell","type":"limit","time_in_force":"gtc","qty":1,"order_class":"oco","take_profit":{"limit_price":110},"stop_loss":{"stop_price":90}"#,
    r#""symbol":"IBM","side":"sell","type":"trailing_stop","time_in_force":"day","trail_percent":1,"qty":1"#,
    r#""symbol":"SPY","side":"buy","type":"market","time_in_force":"day","notional":"150.5""#,
    "",
];

/// One request: which base, which fields on top of it, and bytes that are changed in the end.
type Script = (u8, Vec<(u8, u8)>, Vec<(u16, u8)>);

/// A body as the script says: JSON, unless its edits break it. A field that comes twice is an error of its own.
fn body((base, fields, edits): &Script) -> Vec<u8> {
    let base = BASES[usize::from(*base) % BASES.len()];
    let pick = |list: &[&'static str], at: u8| list[usize::from(at) % list.len()];
    let fields =
        fields.iter().map(|(name, value)| format!(r#""{}":{}"#, pick(&NAMES, *name), pick(&VALUES, *value)));
    let parts: Vec<String> =
        Some(base.to_owned()).filter(|base| !base.is_empty()).into_iter().chain(fields).collect();
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
}

impl Desk {
    fn new() -> Self {
        let now = MarketTime::parse("2026-06-15T14:00:00Z").expect("a time");
        let venue = Venue::new(VenueConfig::default(), &["SPY", "IBM"].map(Symbol::new), now);
        let mut desk = Self { venue, now, steps: 0 };
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
        if let Err(error) = outcome {
            assert!(error.status().is_client_error(), "{error}");
        }
        let account = self.venue.account();
        assert_eq!(account.equity, account.cash + account.long_market_value + account.short_market_value);
        self.venue.drain_events();
        if self.venue.orders().len() > ORDERS_OF_A_VENUE {
            *self = Self::new();
        }
    }
}

#[test]
fn fuzz_order_bodies() {
    let desk = AssertUnwindSafe(Mutex::new(Desk::new()));
    bolero::check!()
        .with_test_time(TEST_TIME)
        .with_max_len(MAX_INPUT_BYTES)
        .with_type::<Vec<Script>>()
        .for_each(|scripts| {
            let mut desk = desk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            scripts.iter().for_each(|script| desk.play(&body(script)));
        });
}

#[test]
fn fuzz_order_bytes() {
    bolero::check!().with_test_time(TEST_TIME / 4).with_max_len(MAX_INPUT_BYTES).for_each(
        |bytes: &[u8]| {
            let read =
                request::read::<OrderBody>(bytes).and_then(|body| body.into_order(|name| Symbol::new(name)));
            assert!(read.is_ok() || read.is_err_and(|error| error.status().is_client_error()));
        },
    );
}
