//! What a broker may write, half right, half nonsense, at every decoder. Two seconds each here, as long as
//! one likes with `cargo xtask soak fuzz`. A failure prints the input and the seed, and `BOLERO_RANDOM_SEED`
//! repeats it.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sandpit_types::MarketEvent;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use crate::{
    activities,
    decode::{
        Decoder,
        tests::{TimeForm, equal, packed},
    },
    history, map, news,
    oddities::Oddities,
    order_frame::{self, OrderFrame},
    outcome::Answer,
    wire::{
        account::{AccountWire, CalendarWire, ClockWire, PositionWire},
        market::Row,
        order::OrderWire,
    },
};

/// How long each target runs, unless `BOLERO_RANDOM_TEST_TIME_MS` says otherwise.
const TEST_TIME: Duration = Duration::from_secs(2);
/// Longest input, in bytes.
const MAX_INPUT_BYTES: usize = 512;

/// Names of fields, of all messages and answers.
const NAMES: [&str; 63] = [
    "T",
    "S",
    "bx",
    "bp",
    "bs",
    "ax",
    "ap",
    "as",
    "c",
    "z",
    "t",
    "i",
    "x",
    "p",
    "s",
    "o",
    "h",
    "l",
    "v",
    "n",
    "vw",
    "code",
    "msg",
    "bars",
    "quotes",
    "news",
    "id",
    "headline",
    "created_at",
    "updated_at",
    "symbols",
    "source",
    "stream",
    "data",
    "event",
    "order",
    "client_order_id",
    "symbol",
    "side",
    "qty",
    "filled_qty",
    "status",
    "submitted_at",
    "limit_price",
    "legs",
    "equity",
    "cash",
    "timestamp",
    "next_open",
    "date",
    "open",
    "stop_price",
    "replaces",
    "replaced_by",
    "order_class",
    "activity_type",
    "transaction_time",
    "cum_qty",
    "order_id",
    "price",
    "net_amount",
    "execution_id",
    "unknown",
];

/// Good values and bad ones; the place of a value says nothing of the field that it is meant for.
const VALUES: [&str; 54] = [
    r#""q""#,
    r#""t""#,
    r#""b""#,
    r#""u""#,
    r#""n""#,
    r#""zz""#,
    r#""error""#,
    r#""subscription""#,
    r#""SPY""#,
    r#""BRK.B""#,
    r#""""#,
    r#""\ud800""#,
    r#""\u0041""#,
    r#""Rü""#,
    r#""a name that is longer than any symbol's""#,
    "1",
    "0",
    "-1",
    "-0.0",
    "0.5",
    "100.25",
    "389.06263912345678901234",
    "1e3",
    "1e400",
    "-1e400",
    "1e-400",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    r#""100.5""#,
    r#""1e27""#,
    r#""79228162514264337593543950336""#,
    r#""NaN""#,
    "null",
    "true",
    "[]",
    "{}",
    r#"["R"]"#,
    r#"["SPY","*"]"#,
    "[1]",
    "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
    r#"{"SPY":[{"t":"2021-02-28T15:51:45Z","o":1}]}"#,
    r#""2021-02-28T15:51:45.335689322Z""#,
    r#""2021-02-30T15:51:45Z""#,
    r#""9999-12-31T23:59:59Z""#,
    r#""0001-01-01T00:00:00Z""#,
    r#""2026-06-15""#,
    r#""09:30""#,
    r#""new""#,
    r#""sell""#,
    r#""bracket""#,
    r#""FILL""#,
    r#""sp-a-00000000000000ff-8""#,
    r#"[{"id":"l","symbol":"SPY","side":"sell","status":"held","created_at":"2021-03-16T18:38:01Z"}]"#,
];

/// Messages of the data and news streams to begin with.
const MESSAGES: [&str; 8] = [
    concat!(
        r#""T":"q","S":"SPY","bx":"V","bp":1.5,"bs":2,"ax":"Q","ap":1.75,"as":3,"c":["R"],"z":"B","#,
        r#""t":"2021-02-22T15:51:45Z""#
    ),
    concat!(
        r#""T":"t","i":7,"S":"SPY","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","#,
        r#""I"],"z":"C""#
    ),
    r#""T":"b","S":"SPY","o":1,"h":2.5,"l":0.5,"c":1.25,"v":7,"n":3,"vw":1.125,"t":"2021-02-22T15:51:00Z""#,
    r#""T":"u","S":"SPY","o":1,"h":2.5,"l":0.5,"c":1.25,"v":7,"n":3,"vw":1.125,"t":"2021-02-22T15:51:00Z""#,
    concat!(
        r#""T":"n","id":7,"headline":"H","summary":"","author":"A","#,
        r#""created_at":"2021-02-22T15:51:44Z","updated_at":"2021-02-22T15:51:44Z","url":null,"#,
        r#""symbols":["SPY"],"source":"wire""#
    ),
    r#""T":"error","code":406,"msg":"connection limit exceeded""#,
    r#""T":"subscription","bars":["SPY"],"quotes":["*"],"trades":[]"#,
    "",
];

/// One message: which base, which fields on top of it (a name, a value, whether it replaces), and bytes that
/// are changed in the end.
type Script = (u8, Vec<(u8, u8)>, Vec<(u16, u8)>);

/// At most four: one that is no JSON spoils all of its frame.
fn few(scripts: &[Script]) -> &[Script] {
    &scripts[..scripts.len() % 5]
}

fn pick<'a>(list: &[&'a str], at: u8) -> &'a str {
    list[usize::from(at) % list.len()]
}

/// An object of a base and fields. A field of the base gives way to one of the same name, unless the value's
/// number is odd: then it comes twice.
fn object(bases: &[&str], (base, fields, edits): &Script) -> Vec<u8> {
    let mut text = pick(bases, *base).to_owned();
    for &(name, value) in fields.iter().take(fields.len() % 4) {
        let (name, value) = (format!(r#""{}":"#, pick(&NAMES, name)), pick(&VALUES, value));
        match text.find(&name).filter(|_| value.len() % 3 != 0) {
            Some(at) => {
                let from = at + name.len();
                let end = text[from..].find(",\"").map_or(text.len(), |end| from + end);
                text.replace_range(from..end, value);
            }
            None if text.is_empty() => text = format!("{name}{value}"),
            None => text = format!("{text},{name}{value}"),
        }
    }
    edited(format!("{{{text}}}").into_bytes(), edits)
}

/// Changes a few bytes, or none: most of what is edited is no JSON any more.
fn edited(mut bytes: Vec<u8>, edits: &[(u16, u8)]) -> Vec<u8> {
    for (place, byte) in edits.iter().take((edits.len() % 16).saturating_sub(12)) {
        let place = usize::from(*place) % bytes.len();
        bytes[place] = *byte;
    }
    bytes
}

/// Fuzzes with what `play` makes of each input.
fn fuzz<T: bolero::TypeGenerator + std::fmt::Debug + 'static>(play: impl Fn(&T)) {
    let play = AssertUnwindSafe(play);
    let target = bolero::check!().with_test_time(TEST_TIME).with_max_len(MAX_INPUT_BYTES);
    target.with_type::<T>().for_each(|input: &T| play(input));
}

/// How often a target met what it looks for: a fuzzer that meets nothing is blind.
#[derive(Default)]
struct Met {
    good: AtomicU64,
    odd: AtomicU64,
}

impl Met {
    fn note(&self, is_good: bool) {
        if is_good { &self.good } else { &self.odd }.fetch_add(1, Ordering::Relaxed);
    }

    fn check(&self) {
        let (good, odd) = (self.good.load(Ordering::Relaxed), self.odd.load(Ordering::Relaxed));
        println!("{good} could be read, {odd} could not");
        assert!(good > 100 && odd > 100, "the fuzzing is blind");
    }
}

struct Read {
    events: Vec<MarketEvent>,
    oddities: Arc<Oddities>,
}

fn read(frame: &[u8]) -> Option<Read> {
    let oddities = Arc::<Oddities>::default();
    let (mut events, mut controls) = (Vec::new(), Vec::new());
    Decoder::new(Arc::clone(&oddities)).frame(frame, &mut events, &mut controls).ok()?;
    Some(Read { events, oddities })
}

/// Messages between good ones: whatever they are, if the frame is JSON, the good ones are read, and in
/// MessagePack the same is read.
#[test]
fn fuzz_data_in_json() {
    let good = format!("{{{}}}", MESSAGES[0]);
    let met = Met::default();
    fuzz(|scripts: &Vec<Script>| {
        let mut frame = format!("[{good}").into_bytes();
        for script in few(scripts) {
            frame.push(b',');
            frame.extend(object(&MESSAGES, script));
        }
        frame.extend(format!(",{good}]").into_bytes());
        let text = String::from_utf8_lossy(&frame);
        let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        let Some(json) = read(text.as_bytes()) else {
            assert!(!is_json, "{text}");
            return met.note(false);
        };
        assert!(is_json, "{text}");
        met.note(true);
        let quote = read(format!("[{good}]").as_bytes()).expect("a quote").events;
        assert_eq!((json.events.first(), json.events.last()), (quote.first(), quote.first()), "{text}");
        // Numbers that do not fit, half surrogates and fields that come twice cannot be said in a `Value`.
        let Ok(value) = serde_json::from_str::<Value>(&text) else { return };
        let again = read(value.to_string().as_bytes()).expect("JSON");
        let messagepack = read(&packed(&value, TimeForm::Text)).expect("MessagePack");
        assert_eq!(again.oddities.counts(), messagepack.oddities.counts(), "{value}");
        assert_eq!(again.events.len(), messagepack.events.len(), "{value}");
        assert!(again.events.iter().zip(&messagepack.events).all(|(a, b)| equal(a, b)), "{value}");
    });
    met.check();
}

#[test]
fn fuzz_data_in_messagepack() {
    let met = Met::default();
    fuzz(|(scripts, edits, cut): &(Vec<Script>, Vec<(u16, u8)>, Option<u16>)| {
        let messages = few(scripts).iter().map(|script| object(&MESSAGES, script));
        let values: Vec<Value> =
            messages.filter_map(|message| serde_json::from_slice(&message).ok()).collect();
        let mut frame = edited(packed(&Value::from(values), TimeForm::Shortest), edits);
        frame.truncate(cut.map_or(frame.len(), |cut| usize::from(cut) % frame.len()));
        met.note(read(&frame).is_some());
    });
    met.check();
}

#[test]
fn fuzz_data_bytes() {
    fuzz(|(first, bytes): &(u8, Vec<u8>)| {
        let firsts = [b'[', 0x91, 0x94, 0xdc, 0xdd, *first];
        let frame = [&[firsts[usize::from(*first) % firsts.len()]][..], bytes].concat();
        read(&frame);
    });
}

#[test]
fn fuzz_news() {
    let met = Met::default();
    fuzz(|(scripts, edits): &(Vec<Script>, Vec<(u16, u8)>)| {
        let rows: Vec<String> = few(scripts)
            .iter()
            .map(|script| String::from_utf8_lossy(&object(&[MESSAGES[4], MESSAGES[7]], script)).into_owned())
            .collect();
        let page = format!(r#"{{"news":[{}],"next_page_token":"x"}}"#, rows.join(","));
        let answer = answer(page, edits);
        let mut pieces = Vec::new();
        let read = answer.value().map(|wire| news::page(wire, &mut pieces));
        met.note(read.is_ok() && !pieces.is_empty());
        assert!(pieces.len() <= scripts.len());
    });
    met.check();
}

fn answer(text: String, edits: &[(u16, u8)]) -> Answer {
    Answer { status: 200, retry_after: None, body: edited(text.into_bytes(), edits) }
}

const ORDERS: [&str; 5] = [
    concat!(
        r#""id":"61E6901585494BFDB9C301E75843F47D","client_order_id":"sp-a-00000000000000ff-7","#,
        r#""symbol":"SPY","side":"buy","qty":"10","filled_qty":"4","filled_avg_price":167.4,"#,
        r#""status":"new","submitted_at":"2021-03-16T18:38:01Z","legs":null"#
    ),
    concat!(
        r#""id":"i","client_order_id":"by-hand","symbol":"SPY","side":"sell","qty":"10","#,
        r#""status":"held","created_at":"2021-03-16T18:38:01Z""#
    ),
    r#""id":"i","client_order_id":null,"symbol":null,"side":null,"status":"new","legs":[{"id":"j"}]"#,
    concat!(
        r#""id":"g","client_order_id":"sp-a-00000000000000ff-9","symbol":"SPY","side":"buy","status":"new","#,
        r#""order_class":"bracket","submitted_at":"2021-03-16T18:38:01Z","legs":[{"id":"t","symbol":"SPY","#,
        r#""side":"sell","status":"held","limit_price":"9","created_at":"2021-03-16T18:38:01Z"},{"id":"s","#,
        r#""symbol":"SPY","side":"sell","status":"held","stop_price":7.5,"replaces":"r","legs":null,"#,
        r#""created_at":"2021-03-16T18:38:01Z"}]"#
    ),
    "",
];

const ACTIVITIES: [&str; 3] = [
    concat!(
        r#""id":"20260615110000000::f","activity_type":"FILL","transaction_time":"2026-06-15T15:00:00Z","#,
        r#""type":"fill","price":"174.78","qty":"2","side":"sell","symbol":"SPY","leaves_qty":"0","#,
        r#""cum_qty":"5","order_id":"61E6901585494BFDB9C301E75843F47D","order_status":"filled""#
    ),
    concat!(
        r#""id":"20260615000000000::m","activity_type":"DIV","net_amount":"-1.5","date":"2026-06-15","#,
        r#""symbol":"SPY","qty":"10","status":"executed","created_at":"2026-06-15T15:00:00Z""#
    ),
    "",
];

/// Rows between good ones: each is read, or counted, or says that it was canceled; a good one is never lost.
#[test]
fn fuzz_activities() {
    let good = format!("{{{}}}", ACTIVITIES[0]);
    let met = Met::default();
    fuzz(|(scripts, edits): &(Vec<Script>, Vec<(u16, u8)>)| {
        let rows = few(scripts).iter().map(|script| object(&ACTIVITIES, script));
        let rows: Vec<String> = rows.map(|row| String::from_utf8_lossy(&row).into_owned()).collect();
        let ends = std::slice::from_ref(&good);
        let all = [ends, &rows, ends].concat();
        let answer = answer(format!("[{}]", all.join(",")), edits);
        let Ok(wire) = answer.value::<Vec<Row<'_>>>() else { return met.note(false) };
        let oddities = Oddities::default();
        let page = activities::page(&wire, &oddities);
        let skipped = usize::try_from(oddities.counts().unreadable).expect("few");
        assert_eq!(page.count, wire.len());
        assert!(page.rows.len() + skipped <= page.count);
        met.note(skipped == 0);
        let (first, last) = (format!("[{good}"), format!("{good}]"));
        if answer.body.starts_with(first.as_bytes()) && answer.body.ends_with(last.as_bytes()) {
            assert!(page.rows.len() >= 2, "{all:?}");
            assert_eq!(page.last.as_deref(), Some("20260615110000000::f"));
        }
    });
    met.check();
}

/// An update that may be of an order of ours is read, or ends the session; it is never passed by.
#[test]
fn fuzz_trade_updates() {
    const HEADS: [&str; 6] = [
        concat!(
            r#"{"stream":"trade_updates","data":{"event":"fill","price":"1.5","qty":"4","#,
            r#""execution_id":"e","order":"#
        ),
        concat!(
            r#"{"stream":"trade_updates","data":{"event":"unheard_of","#,
            r#""timestamp":"2021-03-16T18:38:03Z","order":"#
        ),
        r#"{"stream":"authorization","data":{"status":"authorized","order":"#,
        r#"{"stream":"listening","data":{"streams":["trade_updates"],"order":"#,
        r#"{"stream":"account_updates","data":{"order":"#,
        r#"{"stream":1e400,"data":{"order":"#,
    ];
    let met = Met::default();
    fuzz(|(head, script): &(u8, Script)| {
        let order = String::from_utf8_lossy(&object(&ORDERS, script)).into_owned();
        let frame = format!("{}{order}}}}}", pick(&HEADS, *head));
        let read = order_frame::read(frame.as_bytes(), &Oddities::default());
        met.note(matches!(read, Ok(OrderFrame::Update(_))));
        let is_ours = frame.contains(r#""client_order_id":"sp-a-00000000000000ff-7""#)
            && frame.matches("client_order_id").count() == 1;
        if is_ours && frame.contains(r#""stream":"trade_updates""#) {
            assert!(!matches!(read, Ok(OrderFrame::Nothing | OrderFrame::Control(_))), "{frame}");
        }
    });
    met.check();
    fuzz(|bytes: &Vec<u8>| drop(order_frame::read(bytes, &Oddities::default())));
}

/// Answers over REST: read, or an error, never a panic.
#[test]
fn fuzz_answers() {
    let met = Met::default();
    fuzz(|(kind, scripts, edits): &(u8, Vec<Script>, Vec<(u16, u8)>)| {
        met.note(play_answer(*kind, scripts, edits));
    });
    met.check();
}

/// Whether the answer could be read.
fn play_answer(kind: u8, scripts: &[Script], edits: &[(u16, u8)]) -> bool {
    let rows = |bases: &[&str]| {
        let row = |script| String::from_utf8_lossy(&object(bases, script)).into_owned();
        few(scripts).iter().map(row).collect::<Vec<_>>().join(",")
    };
    let one = |base: &str| {
        let none = Script::default();
        String::from_utf8_lossy(&object(&[base], scripts.first().unwrap_or(&none))).into_owned()
    };
    let answer = |text: String| answer(text, edits);
    match kind % 8 {
        0 => {
            let page = format!(r#"{{"bars":{{"SPY":[{}]}},"next_page_token":null}}"#, rows(&MESSAGES[1..4]));
            answer(page).value().map(|wire| history::page(wire, &mut Vec::new())).is_ok()
        }
        1 => {
            let quotes = format!(r#"{{"quotes":{{"SPY":{}}}}}"#, one(MESSAGES[0]));
            answer(quotes).value().map(|wire| history::latest(&wire, &mut Vec::new())).is_ok()
        }
        2 => {
            let answer = answer(format!("[{}]", rows(&ORDERS)));
            let mut orders = Vec::new();
            let is_read =
                answer.value().is_ok_and(|wires: Vec<OrderWire>| map::flatten(wires, &mut orders).is_ok());
            for leg in orders.iter().flat_map(|order| &order.legs) {
                assert!(orders.iter().any(|order| order.id == leg.id), "a leg is a row of its own, too");
            }
            is_read
        }
        3 => {
            let answer = answer(one(ORDERS[if scripts.len().is_multiple_of(2) { 0 } else { 4 }]));
            answer.done().expect("status 200");
            answer.submitted::<OrderWire>().is_ok_and(|wire| map::order(wire).is_ok())
        }
        4 => {
            let account = r#""id":"a","equity":"1","last_equity":"1","cash":"1","buying_power":"2""#;
            answer(one(account)).value::<AccountWire>().is_ok_and(|wire| map::account(&wire).is_ok())
        }
        5 => {
            let position = r#""symbol":"SPY","qty":"-1","side":"short","avg_entry_price":"1.5""#;
            let wires: Result<Vec<PositionWire>, _> = answer(format!("[{}]", rows(&[position]))).value();
            wires.is_ok_and(|wires| wires.into_iter().all(|wire| map::position(wire).is_ok()))
        }
        6 => {
            let clock = r#""timestamp":"2026-06-15T14:00:00Z","is_open":true,
                "next_open":"2026-06-16T13:30:00Z",
                "next_close":"2026-06-15T20:00:00Z""#;
            answer(one(clock)).value::<ClockWire>().map(|wire| map::clock(&wire)).is_ok()
        }
        _ => {
            let day = r#""date":"2026-06-15","open":"09:30","close":"16:00""#;
            let wires: Result<Vec<CalendarWire>, _> = answer(format!("[{}]", rows(&[day]))).value();
            wires.is_ok_and(|wires| wires.iter().all(|wire| map::session(wire).is_ok()))
        }
    }
}

/// Errors of the broker, in its words or in nobody's.
#[test]
fn fuzz_refusals() {
    fuzz(|(status, code, script, bytes): &(u16, Option<i64>, Script, Vec<u8>)| {
        let message = String::from_utf8_lossy(bytes).into_owned();
        let words = serde_json::json!({"code": code, "message": message}).to_string().into_bytes();
        for body in [words, object(&MESSAGES, script), bytes.clone()] {
            let answer = Answer { status: 100 + status % 500, retry_after: None, body };
            let is_success = (200..300).contains(&answer.status);
            assert_eq!(answer.done().is_ok(), is_success);
            assert!(is_success || answer.value::<IgnoredAny>().is_err());
            assert!(is_success || answer.submitted::<Anything>().is_err());
        }
    });
}

#[derive(Deserialize)]
struct Anything {}
