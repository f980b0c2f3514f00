//! What the data stream of the broker sends, in either encoding: quotes, bars and the words of the greeting.

use rmp::encode::{write_array_len, write_ext_meta, write_f64, write_map_len, write_str, write_uint};
use sandpit_types::MarketTime;
use serde_json::{Value, json};

/// The one symbol that is quoted. It is the canary of a host, too.
pub(crate) const SYMBOL: &str = "SPY";
/// So many quotes in a row have other prices, so that the price of an order says which quote it answers.
pub(crate) const PRICES: usize = 50;
/// US cents between them: more than the spread.
const STEP_CENTS: u64 = 3;
/// What a bar is made of: prices do not matter here.
const BAR_PRICE: f64 = 167.25;
const BAR_VOLUME: u64 = 1_000;

/// How a client wants its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// JSON, in text frames.
    Json,
    /// MessagePack, in binary frames.
    MessagePack,
}

/// The ask of quote `index`, US cents. The bid is one cent less.
pub(crate) const fn ask_cents(index: usize) -> u64 {
    16_701 + STEP_CENTS * (index % PRICES) as u64
}

/// US cents as US dollars.
pub(crate) fn usd(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// A whole frame with quote `index` alone.
pub(crate) fn quote(encoding: Encoding, index: usize, time: MarketTime) -> Vec<u8> {
    let (bid, ask) = (ask_cents(index) - 1, ask_cents(index));
    let payload = match encoding {
        Encoding::Json => format!(
            "[{{\"T\":\"q\",\"S\":\"{SYMBOL}\",\"bx\":\"V\",\"bp\":{},\"bs\":3,\"ax\":\"V\",\"ap\":{},\
             \"as\":4,\"c\":[\"R\"],\"z\":\"B\",\"t\":\"{time}\"}}]",
            usd(bid),
            usd(ask),
        )
        .into_bytes(),
        Encoding::MessagePack => {
            let mut out = message("q", 11);
            let sides = [("bp", bid, "bs", 3, "bx"), ("ap", ask, "as", 4, "ax")];
            for (price_at, cents, size_at, size, exchange_at) in sides {
                text(&mut out, exchange_at, "V");
                float(&mut out, price_at, cents as f64 / 100.0);
                whole(&mut out, size_at, size);
            }
            write_str(&mut out, "c").expect("memory");
            write_array_len(&mut out, 1).expect("memory");
            write_str(&mut out, "R").expect("memory");
            text(&mut out, "z", "B");
            stamp(&mut out, time);
            out
        }
    };
    frame(encoding, &payload)
}

/// A whole frame with the bar of the minute that began at `start`.
pub(crate) fn bar(encoding: Encoding, start: MarketTime) -> Vec<u8> {
    let payload = match encoding {
        Encoding::Json => {
            let mut bar = bar_row(start);
            bar["T"] = "b".into();
            bar["S"] = SYMBOL.into();
            json!([bar]).to_string().into_bytes()
        }
        Encoding::MessagePack => {
            let mut out = message("b", 10);
            for key in ["o", "h", "l", "c", "vw"] {
                float(&mut out, key, BAR_PRICE);
            }
            whole(&mut out, "v", BAR_VOLUME);
            whole(&mut out, "n", 1);
            stamp(&mut out, start);
            out
        }
    };
    frame(encoding, &payload)
}

/// The same bar as REST has it.
pub(crate) fn bar_row(start: MarketTime) -> Value {
    let price = BAR_PRICE;
    json!({
        "t": start.to_string(), "o": price, "h": price, "l": price, "c": price, "vw": price,
        "v": BAR_VOLUME, "n": 1,
    })
}

/// The payload of a message that is a JSON text of words and lists, in either encoding.
pub(crate) fn words(encoding: Encoding, value: &Value) -> Vec<u8> {
    match encoding {
        Encoding::Json => value.to_string().into_bytes(),
        Encoding::MessagePack => {
            let mut out = Vec::new();
            pack(&mut out, value);
            out
        }
    }
}

/// A frame of a server, which masks nothing.
pub(crate) fn frame(encoding: Encoding, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![if encoding == Encoding::Json { 0x81 } else { 0x82 }];
    match payload.len() {
        short @ 0..126 => out.push(short as u8),
        longer => {
            out.push(126);
            out.extend(u16::try_from(longer).expect("messages are short").to_be_bytes());
        }
    }
    out.extend(payload);
    out
}

/// A list of one message: its kind, its symbol, and room for the other fields of `fields`.
fn message(kind: &str, fields: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_array_len(&mut out, 1).expect("memory");
    write_map_len(&mut out, fields).expect("memory");
    text(&mut out, "T", kind);
    text(&mut out, "S", SYMBOL);
    out
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    write_str(out, key).expect("memory");
    write_str(out, value).expect("memory");
}

fn float(out: &mut Vec<u8>, key: &str, value: f64) {
    write_str(out, key).expect("memory");
    write_f64(out, value).expect("memory");
}

fn whole(out: &mut Vec<u8>, key: &str, value: u64) {
    write_str(out, key).expect("memory");
    write_uint(out, value).expect("memory");
}

/// MessagePack's timestamp of eight bytes: 30 bits of nanoseconds, 34 of seconds.
fn stamp(out: &mut Vec<u8>, time: MarketTime) {
    let nanos = time.as_nanos().unsigned_abs();
    write_str(out, "t").expect("memory");
    write_ext_meta(out, 8, -1).expect("memory");
    out.extend(((nanos % 1_000_000_000) << 34 | (nanos / 1_000_000_000)).to_be_bytes());
}

fn pack(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => write_str(out, text).expect("memory"),
        Value::Array(items) => {
            write_array_len(out, items.len() as u32).expect("memory");
            items.iter().for_each(|item| pack(out, item));
        }
        Value::Object(entries) => {
            write_map_len(out, entries.len() as u32).expect("memory");
            for (key, value) in entries {
                write_str(out, key).expect("memory");
                pack(out, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => unreachable!("no greeting holds one"),
    }
}
