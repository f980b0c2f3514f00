//! Every message in both encodings, byte for byte as SDKs read them.

use sandpit_types::MarketTime;
use serde_json::{Value, json};

use super::*;

/// A small reader of MessagePack, written from the format's description: it keeps what the encoder's own
/// reader would hide, which is the width of numbers and the type of extensions.
fn decode(bytes: &mut &[u8]) -> Value {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (head, rest) = bytes.split_at(count);
        *bytes = rest;
        head
    }
    let number = |head: &[u8]| head.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let marker = take(bytes, 1)[0];
    match marker {
        0x00..=0x7f => json!({"int": marker}),
        0xcc..=0xcf => json!({"int": number(take(bytes, 1 << (marker - 0xcc)))}),
        0xcb => json!({"float": f64::from_be_bytes(take(bytes, 8).try_into().expect("eight bytes"))}),
        0xc0 => Value::Null,
        0xa0..=0xbf => String::from_utf8_lossy(take(bytes, (marker & 0x1f).into())).into(),
        0xd9 => {
            let length = take(bytes, 1)[0];
            String::from_utf8_lossy(take(bytes, length.into())).into()
        }
        0x90..=0x9f => (0..marker & 0x0f).map(|_| decode(bytes)).collect(),
        0x80..=0x8f => {
            let fields = (0..marker & 0x0f).map(|_| {
                let name = decode(bytes);
                (name.as_str().expect("a name").to_owned(), decode(bytes))
            });
            Value::Object(fields.collect())
        }
        0xd6 => json!({"ext": take(bytes, 1)[0] as i8, "secs": number(take(bytes, 4))}),
        0xd7 => {
            let kind = take(bytes, 1)[0] as i8;
            let both = number(take(bytes, 8));
            json!({"ext": kind, "secs": both & ((1 << 34) - 1), "nanos": both >> 34})
        }
        other => panic!("marker {other:#x} is not expected here"),
    }
}

/// Reads a message as it is put into the market, writes it in both encodings and compares.
fn check(told: Value, text: Value, packed: Value) {
    let now = MarketTime::parse("2026-03-16T13:30:00.000000001Z").expect("a time");
    let message = MarketMessage::read(told.clone(), now).unwrap_or_else(|error| panic!("{told}: {error}"));
    let json = serde_json::to_value(&message).expect("JSON");
    assert_eq!(json, text, "{told}");
    assert_eq!(MarketMessage::read(json, now).as_ref(), Ok(&message), "it can be read back");
    let bytes = rmp_serde::to_vec_named(&message).expect("MessagePack");
    let mut rest = &bytes[..];
    assert_eq!(decode(&mut rest), packed, "{told}");
    assert!(rest.is_empty());
}

const SECS: u64 = 1_773_667_800;

fn int(n: u64) -> Value {
    json!({ "int": n })
}

fn float(n: f64) -> Value {
    json!({ "float": n })
}

fn now() -> Value {
    json!({"ext": -1, "secs": SECS, "nanos": 1})
}

#[test]
fn trades_and_quotes() {
    let t = "2026-03-16T13:30:00.000000001Z";
    check(
        json!({"T": "t", "S": "SPY", "p": 100, "s": 70_000}),
        json!({"T": "t", "S": "SPY", "i": 0, "x": "V", "p": 100.0, "s": 70_000, "c": ["@"], "t": t,
            "z": "B"}),
        json!({"T": "t", "S": "SPY", "i": int(0), "x": "V", "p": float(100.0), "s": int(70_000), "c": ["@"],
            "t": now(), "z": "B"}),
    );
    check(
        json!({"T": "q", "S": "AAPL", "bp": 1, "bs": 200, "ap": 1.5, "as": 3, "ax": "Q", "c": ["R", "X"]}),
        json!({"T": "q", "S": "AAPL", "bx": "V", "bp": 1.0, "bs": 200, "ax": "Q", "ap": 1.5, "as": 3,
            "c": ["R", "X"], "t": t, "z": "C"}),
        json!({"T": "q", "S": "AAPL", "bx": "V", "bp": float(1.0), "bs": int(200), "ax": "Q",
            "ap": float(1.5), "as": int(3), "c": ["R", "X"], "t": now(), "z": "C"}),
    );
}

#[test]
fn bars_of_all_three_kinds() {
    for kind in ["b", "u", "d"] {
        let t = "2026-03-16T13:30:00Z";
        let bar = json!({"T": kind, "S": "SPY", "o": 1.0, "h": 3.0, "l": 0.5, "c": 2.0, "v": 7, "n": 3,
            "vw": 1.25, "t": t});
        check(
            bar.clone(),
            bar,
            json!({"T": kind, "S": "SPY", "o": float(1.0), "h": float(3.0), "l": float(0.5), "c": float(2.0),
                "v": int(7), "n": int(3), "vw": float(1.25), "t": {"ext": -1, "secs": SECS}}),
        );
    }
}

#[test]
fn the_rare_ones() {
    let t = "2026-03-16T13:30:00.000000001Z";
    let status = json!({"T": "s", "S": "SPY", "sc": "H", "sm": "Trading Halt", "rc": "T12", "rm": "Halt",
        "t": t, "z": "B"});
    let with_now = |value: &Value| {
        let mut value = value.clone();
        value["t"] = now();
        value
    };
    check(status.clone(), status.clone(), with_now(&status));
    check(
        json!({"T": "l", "S": "SPY", "u": 3.5, "d": 2.5, "i": "B"}),
        json!({"T": "l", "S": "SPY", "u": 3.5, "d": 2.5, "i": "B", "t": t, "z": "B"}),
        json!({"T": "l", "S": "SPY", "u": float(3.5), "d": float(2.5), "i": "B", "t": now(), "z": "B"}),
    );
    check(
        json!({"T": "c", "S": "SPY", "oi": 1, "op": 2.5, "os": 3, "ci": 4, "cp": 5.5, "cs": 6}),
        json!({"T": "c", "S": "SPY", "x": "V", "oi": 1, "op": 2.5, "os": 3, "oc": ["@"], "ci": 4, "cp": 5.5,
            "cs": 6, "cc": ["@"], "t": t, "z": "B"}),
        json!({"T": "c", "S": "SPY", "x": "V", "oi": int(1), "op": float(2.5), "os": int(3), "oc": ["@"],
            "ci": int(4), "cp": float(5.5), "cs": int(6), "cc": ["@"], "t": now(), "z": "B"}),
    );
    check(
        json!({"T": "x", "S": "SPY", "i": 1, "p": 2.5, "s": 3, "a": "E"}),
        json!({"T": "x", "S": "SPY", "i": 1, "x": "V", "p": 2.5, "s": 3, "a": "E", "t": t, "z": "B"}),
        json!({"T": "x", "S": "SPY", "i": int(1), "x": "V", "p": float(2.5), "s": int(3), "a": "E",
            "t": now(), "z": "B"}),
    );
    check(
        json!({"T": "i", "S": "SPY", "p": 2.5}),
        json!({"T": "i", "S": "SPY", "p": 2.5, "t": t, "z": "B"}),
        json!({"T": "i", "S": "SPY", "p": float(2.5), "t": now(), "z": "B"}),
    );
}

#[test]
fn articles_have_two_stamps_and_no_symbol_of_their_own() {
    let t = "2026-03-16T13:30:00.000000001Z";
    let article = |stamp: Value, id: Value| {
        json!({"T": "n", "id": id, "headline": "H", "summary": "", "author": "", "created_at": stamp,
            "updated_at": stamp, "url": null, "content": "", "symbols": ["SPY", "F"], "source": ""})
    };
    check(
        json!({"T": "n", "id": 7, "headline": "H", "symbols": ["SPY", "F"]}),
        article(t.into(), 7.into()),
        article(now(), int(7)),
    );
}

#[test]
fn nonsense_is_not_put_into_the_market() {
    for told in [
        json!(1),
        json!({}),
        json!({"T": "z", "S": "SPY"}),
        json!({"T": "t", "S": "SPY", "p": -1, "s": 1}),
        json!({"T": "t", "S": "SPY", "p": 1e300, "s": 1}),
        json!({"T": "t", "S": "SPY", "p": "1", "s": 1}),
        json!({"T": "t", "S": "not one", "p": 1, "s": 1}),
        json!({"T": "t", "p": 1, "s": 1}),
        json!({"T": "q", "S": "SPY", "bp": 1, "bs": 1, "ap": 1}),
        json!({"T": "b", "S": "SPY", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "vw": 1, "t": "yesterday"}),
        json!({"T": "n", "headline": "H", "symbols": ["not one"]}),
    ] {
        assert!(MarketMessage::read(told.clone(), MarketTime::EPOCH).is_err(), "{told}");
    }
}
