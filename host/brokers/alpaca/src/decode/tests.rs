use proptest::{prelude::*, sample::subsequence};
use serde_json::{Value, json};

use super::*;

/// Events as short texts.
pub(crate) fn texts(events: &[MarketEvent]) -> Vec<String> {
    let bar = |b: &sandpit_types::Bar| {
        format!(
            "{} {} {}/{}/{}/{} {} {}",
            b.symbol, b.start, b.open, b.high, b.low, b.close, b.volume, b.vwap
        )
    };
    let text = |event: &MarketEvent| match event {
        MarketEvent::Bar(b) => format!("bar {}", bar(b)),
        MarketEvent::MarkedBar(b, mark) => format!("{mark:?} bar {}", bar(b)),
        MarketEvent::Quote(q) => {
            format!("quote {} {} {}x{} {}x{}", q.symbol, q.time, q.bid, q.bid_size, q.ask, q.ask_size)
        }
        MarketEvent::Trade(t) => format!("trade {} {} {} {}", t.symbol, t.time, t.price, t.size),
        other => format!("{other:?}"),
    };
    events.iter().map(text).collect()
}

struct Decoded {
    events: Vec<MarketEvent>,
    controls: Vec<Control>,
    counts: OddityCounts,
}

fn decoded(frame: &[u8]) -> Result<Decoded, FrameError> {
    let decoder = Decoder::default();
    let (mut events, mut controls) = (Vec::new(), Vec::new());
    decoder.frame(frame, &mut events, &mut controls)?;
    Ok(Decoded { events, controls, counts: decoder.oddities.counts() })
}

/// The forms of a time in MessagePack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TimeForm {
    Shortest,
    Nanos,
    Text,
}

/// JSON as a broker would write it in MessagePack: times under their names are extensions.
pub(crate) fn packed(value: &Value, form: TimeForm) -> Vec<u8> {
    match value {
        Value::Array(values) => {
            let mut bytes = Vec::new();
            rmp::encode::write_array_len(&mut bytes, u32::try_from(values.len()).unwrap()).unwrap();
            values.iter().for_each(|value| bytes.extend(packed(value, form)));
            bytes
        }
        Value::Object(fields) => {
            let mut bytes = Vec::new();
            rmp::encode::write_map_len(&mut bytes, u32::try_from(fields.len()).unwrap()).unwrap();
            // The kind comes first, as with Alpaca; the map of `serde_json` is sorted.
            let (kind, others): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| *name == "T");
            for (name, value) in kind.into_iter().chain(others) {
                rmp::encode::write_str(&mut bytes, name).unwrap();
                let is_time = ["t", "created_at", "updated_at"].contains(&&**name);
                let time = value.as_str().filter(|_| is_time).and_then(crate::wire::stamp::parse);
                match time {
                    Some(time) => extension(time.as_nanos(), form, &mut bytes),
                    None => bytes.extend(packed(value, form)),
                }
            }
            bytes
        }
        other => pack(other),
    }
}

fn extension(nanos: i64, form: TimeForm, bytes: &mut Vec<u8>) {
    let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    let data = match (form, u32::try_from(seconds)) {
        (TimeForm::Text, _) => {
            let time = sandpit_types::MarketTime::from_nanos(seconds * 1_000_000_000 + nanos);
            return rmp::encode::write_str(bytes, &time.to_string()).unwrap();
        }
        (TimeForm::Shortest, Ok(seconds)) if nanos == 0 => seconds.to_be_bytes().to_vec(),
        (TimeForm::Shortest, Ok(seconds)) => {
            ((nanos as u64) << 34 | u64::from(seconds)).to_be_bytes().to_vec()
        }
        (TimeForm::Shortest, Err(_)) | (TimeForm::Nanos, _) => {
            [&(nanos as u32).to_be_bytes()[..], &seconds.to_be_bytes()[..]].concat()
        }
    };
    rmp::encode::write_ext_meta(bytes, u32::try_from(data.len()).unwrap(), -1).unwrap();
    bytes.extend(data);
}

const BAR: &str = r#"{"T":"b","S":"SPY","o":388.985,"h":389.13,"l":388.975,
    "c":389.12,"v":49378,"n":461,"vw":389.062639,"t":"2021-02-22T19:15:00Z"}"#;
const BAR_TEXT: &str = "bar SPY 2021-02-22T19:15:00Z 388.985/389.13/388.975/389.12 49378 389.062639";
const QUOTE: &str = r#"{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":100,"#;
const QUOTE_REST: &str =
    r#""ax":"Q","ap":87.68,"as":400,"c":["R"],"z":"C","t":"2021-02-22T15:51:45.335689322Z"}"#;
const QUOTE_TEXT: &str = "quote AMD 2021-02-22T15:51:45.335689322Z 87.66x100 87.68x400";
const TRADE: &str = r#"{"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,
    "s":1,"t":"2021-02-22T15:51:44.208Z","c":["@","I"],"z":"C"}"#;
const TRADE_TEXT: &str = "trade AAPL 2021-02-22T15:51:44.208Z 126.55 1";

/// In both encodings, and with all forms of a time.
fn check(frame: &str, expected: &[&str], counts: (u64, u64, u64)) {
    let value: Value = serde_json::from_str(frame).expect(frame);
    let forms = [TimeForm::Shortest, TimeForm::Nanos, TimeForm::Text];
    let frames = forms.map(|form| packed(&value, form));
    for bytes in
        [frame.as_bytes(), value.to_string().as_bytes()].into_iter().chain(frames.iter().map(Vec::as_slice))
    {
        let Decoded { events, counts: counted, .. } = decoded(bytes).expect(frame);
        assert_eq!(texts(&events), expected, "{frame}");
        let (ignored, unknown, unreadable) = counts;
        assert_eq!(counted, OddityCounts { ignored, unknown, unreadable }, "{frame}");
    }
}

#[test]
fn frames_become_events() {
    let quote = format!("{QUOTE}{QUOTE_REST}");
    check(&format!("[{BAR},{quote},{TRADE}]"), &[BAR_TEXT, QUOTE_TEXT, TRADE_TEXT], (0, 0, 0));
    check("[]", &[], (0, 0, 0));
    check(" [ ] ", &[], (0, 0, 0));
    let corrected = BAR.replace(r#""T":"b""#, r#""T":"u""#);
    check(&format!("[ {corrected}\n]"), &[&format!("Corrected {BAR_TEXT}")], (0, 0, 0));
    // Without its volume-weighted price, a bar has its close for one.
    let bare = BAR.replace(r#""vw":389.062639,"#, "");
    check(&format!("[{bare}]"), &[&BAR_TEXT.replace("389.062639", "389.12")], (0, 0, 0));
}

#[test]
fn odd_neighbours_cost_only_themselves() {
    let quote = format!("{QUOTE}{QUOTE_REST}");
    // Known kinds without use, unknown kinds.
    check(&format!(r#"[{{"T":"s","S":"X","sc":"H"}},{TRADE},{{"T":"zz"}}]"#), &[TRADE_TEXT], (1, 1, 0));
    check(&format!(r#"[{{"T":"c","S":"X"}},{{"T":"x"}},{{"T":"d"}},{TRADE}]"#), &[TRADE_TEXT], (3, 0, 0));
    // Unreadable ones.
    let odd = format!(r#"[{quote},{{"T":"q","S":"X"}},{TRADE},17,{{"T":5}},{{}},[[]],null,"x"]"#);
    check(&odd, &[QUOTE_TEXT, TRADE_TEXT], (0, 0, 7));
    for (field, odd) in [
        (r#""bs":100"#, r#""bs":-100"#),
        (r#""bs":100"#, r#""bs":-0.5"#),
        (r#""bs":100"#, r#""bs":1e30"#),
        (r#""bs":100"#, r#""bs":"100""#),
        (r#""bs":100"#, r#""bs":[100]"#),
        (r#""bp":87.66"#, r#""bp":-87.66"#),
        (r#""bp":87.66"#, r#""bp":"87.66""#),
        (r#""bp":87.66"#, r#""bp":{}"#),
        (r#""S":"AMD""#, r#""S":"""#),
        (r#""S":"AMD""#, r#""S":null"#),
        (r#""S":"AMD""#, r#""s":"AMD""#),
        ("2021-02-22", "2021-02-30"),
        ("2021-02-22", "yesterday"),
        (r#""t":"#, r#""when":"#),
    ] {
        let bad = quote.replace(field, odd);
        check(&format!("[{TRADE},{bad},{quote}]"), &[TRADE_TEXT, QUOTE_TEXT], (0, 0, 1));
    }
    let long = quote.replace("AMD", &"A".repeat(MAX_SYMBOL_BYTES + 1));
    check(&format!("[{long},{TRADE}]"), &[TRADE_TEXT], (0, 0, 1));
    // Odd, but readable: any order of fields, no text beyond what is needed, fractions of shares.
    check(
        r#"[{"S":"BRK.B","t":"2021-02-22T15:51:44Z","bp":0,"bs":1.7,"ap":1.5,"as":null,"T":"q"}]"#,
        &["quote BRK.B 2021-02-22T15:51:44Z 0x1 1.5x0"],
        (0, 0, 0),
    );
    check(
        &format!("[{}]", quote.replace("87.66", "null").replace(r#"["R"]"#, r#"["Rü",null,{"x":[1e3]}]"#)),
        &[&QUOTE_TEXT.replace("87.66", "0")],
        (0, 0, 0),
    );
}

/// What JSON alone can write, or MessagePack alone.
#[test]
fn numbers_that_do_not_fit_stop_nothing() {
    let quote = format!("{QUOTE}{QUOTE_REST}");
    for (field, odd) in [
        ("87.66", "1e400"),
        ("87.66", "-1e400"),
        (r#""bs":100"#, r#""bs":1e400"#),
        (r#""bs":100"#, r#""bs":123456789012345678901234567890"#),
        (r#""bs":100"#, r#""bs":100,"bs":100"#),
        (r#""S":"AMD""#, r#""S":"\ud800""#),
    ] {
        let frame = format!("[{TRADE},{},{quote}]", quote.replace(field, odd));
        let decoded = decoded(frame.as_bytes()).expect(&frame);
        assert_eq!(texts(&decoded.events), [TRADE_TEXT, QUOTE_TEXT], "{frame}");
        assert_eq!(decoded.counts.unreadable, 1, "{frame}");
    }
    // Nobody reads these fields, and escapes are text, too.
    let odd = quote.replace(r#""z":"C""#, r#""z":1e400"#).replace("AMD", r"\u0041MD");
    assert_eq!(texts(&decoded(format!("[{odd}]").as_bytes()).expect("a frame").events), [QUOTE_TEXT]);

    let good = packed(&serde_json::from_str(&quote).expect("JSON"), TimeForm::Shortest);
    let price = [&[0xcb_u8][..], &87.66_f64.to_be_bytes()].concat();
    let at = good.windows(price.len()).position(|window| window == price).expect("its price");
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE] {
        let mut bad = good.clone();
        bad[at + 1..at + 9].copy_from_slice(&odd.to_be_bytes());
        let frame = [&[0x93_u8][..], &good, &bad, &good].concat();
        let decoded = decoded(&frame).expect("a frame");
        assert_eq!(texts(&decoded.events), [QUOTE_TEXT, QUOTE_TEXT], "{odd}");
        assert_eq!(decoded.counts.unreadable, 1, "{odd}");
    }
    // One field more, at the end of the map: a second kind, or the bid again.
    for twice in [&b"\xa1T\xa1t"[..], b"\xa2bp\x01"] {
        let longer = [&[good[0] + 1], &good[1..], twice].concat();
        let decoded = decoded(&[&[0x92_u8][..], &longer, &good].concat()).expect("a frame");
        assert_eq!(texts(&decoded.events), [QUOTE_TEXT], "{twice:?}");
        assert_eq!(decoded.counts.unreadable, 1, "{twice:?}");
    }
    let mut half = good.clone();
    half.splice(at..at + 9, [&[0xca_u8][..], &0.5_f32.to_be_bytes()].concat());
    let frame = [&[0x91_u8][..], &half].concat();
    assert_eq!(texts(&decoded(&frame).expect("a frame").events), [QUOTE_TEXT.replace("87.66", "0.5")]);
}

#[test]
fn odd_times_of_messagepack_cost_their_message() {
    let quote = format!("{QUOTE}{QUOTE_REST}");
    let good = packed(&serde_json::from_str(&quote).expect("JSON"), TimeForm::Shortest);
    let time = [&[0xd7_u8, 0xff][..], &(335_689_322_u64 << 34 | 1_614_009_105).to_be_bytes()].concat();
    let at = good.windows(time.len()).position(|window| window == time).expect("its time");
    let ext = |data: &[u8]| [&[0xc7, u8::try_from(data.len()).unwrap(), 0xff][..], data].concat();
    let late = [&[0_u8; 4][..], &i64::MAX.to_be_bytes()].concat();
    let nanos = [&1_000_000_000_u32.to_be_bytes()[..], &1_i64.to_be_bytes()].concat();
    for odd in [
        ext(&late),
        ext(&nanos),
        ext(&[1; 5]),
        ext(&[]),
        // Another extension type, four bytes long.
        vec![0xd6, 0x05, 0, 0, 0, 1],
        // A number.
        vec![0x01],
    ] {
        let mut bad = good.clone();
        bad.splice(at..at + time.len(), odd.clone());
        let frame = [&[0x92_u8][..], &bad, &good].concat();
        let decoded = decoded(&frame).expect("a frame");
        assert_eq!(texts(&decoded.events), [QUOTE_TEXT], "{odd:?}");
        assert_eq!(decoded.counts.unreadable, 1, "{odd:?}");
    }
}

#[test]
fn news_is_read_in_both_encodings() {
    let news = r#"[{"T":"n","id":24918784,"headline":"H","summary":"","author":"A",
        "created_at":"2022-01-05T22:00:37Z","updated_at":"2022-01-05T22:00:38.5Z","url":null,
        "content":"<p>","symbols":["AAPL",""],"source":"wire"}]"#;
    let stamp = |text| sandpit_types::MarketTime::parse(text).expect(text);
    let expected = sandpit_types::News {
        id: 24_918_784,
        created: stamp("2022-01-05T22:00:37Z"),
        updated: stamp("2022-01-05T22:00:38.5Z"),
        headline: "H".to_owned(),
        summary: String::new(),
        author: "A".to_owned(),
        source: "wire".to_owned(),
        url: String::new(),
        symbols: vec![Symbol::new("AAPL")],
    };
    check(news, &[&format!("{:?}", MarketEvent::News(Box::new(expected)))], (0, 0, 0));
    check(r#"[{"T":"n","id":1,"headline":"no stamp"},{"T":"n","id":-1}]"#, &[], (0, 0, 2));
}

#[test]
fn control_messages_are_told_apart() {
    let check = |frame: &str, expected: &[Control]| {
        let value: Value = serde_json::from_str(frame).expect(frame);
        for bytes in [frame.as_bytes(), &pack(&value)] {
            let decoded = decoded(bytes).expect(frame);
            assert!(decoded.events.is_empty());
            assert_eq!(decoded.controls, expected, "{frame}");
        }
    };
    let success = |words: &str| Control::Success(words.to_owned());
    let error = |code, words: &str| Control::Error { code, message: words.to_owned() };
    check(r#"[{"T":"success","msg":"connected"}]"#, &[success("connected")]);
    check(
        r#"[{"T":"error","code":406,"msg":"connection limit exceeded"},{"T":"success"}]"#,
        &[error(406, "connection limit exceeded"), success("")],
    );
    // An error is an error, whatever its code looks like.
    check(r#"[{"T":"error","code":"406","msg":null}]"#, &[error(406, "")]);
    check(r#"[{"T":"error","code":-1}]"#, &[error(0, "")]);
    check(r#"[{"T":"error","code":70000}]"#, &[error(0, "")]);
    check(&format!(r#"[{{"T":"error","msg":"{}"}}]"#, "x".repeat(999)), &[error(0, &"x".repeat(200))]);
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    check(
        r#"[{"T":"subscription","trades":[],"quotes":["AMD"],"bars":["*"],"lulds":[],"news":null}]"#,
        &[Control::Subscription(SubscriptionWire {
            bars: names(&["*"]),
            quotes: names(&["AMD"]),
            trades: names(&[]),
            news: None,
        })],
    );
    let many = vec![json!({"T": "success", "msg": "x"}); MAX_CONTROLS + 5];
    check(&Value::from(many).to_string(), &[(); MAX_CONTROLS].map(|()| success("x")));
}

#[test]
fn an_infinite_price_is_none() {
    let huge = "9".repeat(310);
    for price in [format!("{huge}.0"), huge] {
        let quote =
            format!(r#"{{"T":"q","S":"AMD","bp":{price},"bs":1,"ap":1,"as":1,"t":"2021-02-22T15:51:45Z"}}"#);
        assert_eq!(quick::message(quote.as_bytes()), None);
        let frame = decoded(format!("[{quote}]").as_bytes());
        assert!(frame.is_err() || frame.is_ok_and(|read| read.events.is_empty()), "{price}");
    }
}

#[test]
fn a_huge_odd_message_is_passed_by_unread() {
    // One of nothing but nothings would be dozens of times as large once it is read.
    let message = |nils: u16| {
        let head = [0x82, 0xa1, b'T', 0xa7, b's', b'u', b'c', b'c', b'e', b's', b's', 0xa1, b'x'];
        let lists = [0xdc].into_iter().chain(nils.to_be_bytes());
        let list: Vec<u8> = lists.chain(std::iter::repeat_n(0xc0, nils.into())).collect();
        let mut message = head.to_vec();
        message.push(0x99);
        (0..9).for_each(|_| message.extend(&list));
        message
    };
    let frame = |nils: u16| [vec![0x91], message(nils)].concat();
    let (small, large) = (frame(58_000), frame(59_000));
    assert!(small.len() < MAX_ODD_BYTES && large.len() > MAX_ODD_BYTES);
    let small = decoded(&small).expect("an array");
    assert_eq!((small.controls.len(), small.counts.unreadable), (1, 0));
    let large = decoded(&large).expect("an array");
    assert_eq!((large.controls.len(), large.counts.unreadable), (0, 1));
    // An acknowledgement of as many symbols as there are in America.
    let names: Vec<String> = (0..12_000).map(|number| format!("A{number:04}")).collect();
    let all = json!([{"T": "subscription", "bars": names, "updatedBars": names, "quotes": names,
        "trades": names}]);
    let read = decoded(&packed(&all, TimeForm::Shortest)).expect("an array");
    assert_eq!((read.controls.len(), read.counts.unreadable), (1, 0));
}

#[test]
fn frames_that_are_no_arrays_are_errors() {
    let json =
        ["", "{}", "[", r#"[{"T":"q","S":"AMD""#, "[]]", "[1 2]", "[,]", "[1,]", "[}", "[{]", "[nul]", "x"];
    for bad in json {
        assert!(decoded(bad.as_bytes()).is_err(), "{bad:?}");
    }
    let deep: Vec<u8> = std::iter::repeat_n(0x91, 100_000).chain([0xc0]).collect();
    assert_eq!(decoded(&deep).expect("deep, but whole").counts.unreadable, 1);
    for bad in [
        &[0x91][..],
        &[0x92, 0x01],
        &[0x91, 0x01, 0x01],
        &[0x91, 0xc1],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0x91, 0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xdc, 0x00],
        &[0x91, 0xa2, b'x'],
        &[0x91, 0xc7, 0x0c, 0xff, 0],
    ] {
        assert!(decoded(bad).is_err(), "{bad:?}");
    }
}

/// A number as JSON writes it, short enough to be exact.
fn number() -> impl Strategy<Value = String> {
    (0..1_000_000_u32, 0..100_000_000_u32, 0..9_usize).prop_map(|(whole, fraction, decimals)| {
        let fraction = format!("{fraction:08}");
        let fraction = &fraction[..decimals.min(8)];
        if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
    })
}

/// A number of up to hundreds of digits: the longest are infinite as floats.
fn long_number() -> impl Strategy<Value = String> {
    ("[1-9][0-9]{15,20}|[1-9]{300,320}", "[0-9]{1,20}")
        .prop_map(|(whole, fraction)| format!("{whole}.{fraction}"))
}

/// A value of any kind: good ones, odd ones.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        number(),
        long_number(),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| if number.is_finite() {
            number.to_string()
        } else {
            "1e400".to_owned()
        }),
        "[A-Z.]{0,8}".prop_map(|text| format!("\"{text}\"")),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        (0..4_000_000_000_000_000_000_i64)
            .prop_map(|nanos| format!("\"{}\"", sandpit_types::MarketTime::from_nanos(nanos))),
        prop_oneof![
            Just("null"),
            Just("[]"),
            Just(r#"["R","@"]"#),
            Just("{}"),
            Just("true"),
            Just("01"),
            Just("1."),
            Just("-0"),
            Just(r#"["R""#),
            Just("[1]"),
            Just("0.000000000000000000001"),
            Just("1e5"),
            Just("")
        ]
        .prop_map(str::to_owned),
    ]
}

/// The good value of a field.
fn good(name: &'static str) -> BoxedStrategy<String> {
    match name {
        "S" => "[A-Z.]{1,22}".prop_map(|text| format!("\"{text}\"")).boxed(),
        "t" => (0..4_000_000_000_000_000_000_i64)
            .prop_map(|nanos| format!("\"{}\"", sandpit_types::MarketTime::from_nanos(nanos)))
            .boxed(),
        "bs" | "as" | "s" | "v" => {
            (0..=999_999_999_999_999_999_u64).prop_map(|size| size.to_string()).boxed()
        }
        _ => number().boxed(),
    }
}

const NAMES: [(&str, &[&str]); 4] = [
    ("q", &["S", "t", "bp", "bs", "ap", "as"]),
    ("t", &["S", "t", "p", "s"]),
    ("b", &["S", "t", "o", "h", "l", "c", "v", "vw"]),
    ("u", &["S", "t", "o", "h", "l", "c", "v", "vw"]),
];

fn message() -> impl Strategy<Value = String> {
    (0..NAMES.len()).prop_flat_map(|at| {
        let (kind, names) = NAMES[at];
        let fields: Vec<_> = names.iter().map(|&name| (Just(name), good(name))).collect();
        fields.prop_shuffle().prop_map(move |fields| {
            let fields: Vec<String> =
                fields.into_iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
            format!(r#"{{"T":"{kind}",{}}}"#, fields.join(","))
        })
    })
}

/// A message some of whose fields are odd, missing, unknown or there twice.
fn odd_message() -> impl Strategy<Value = String> {
    let extra = ("[a-zA-Z]{1,2}", value());
    (message(), prop::collection::vec(extra, 0..3), subsequence((0..9).collect::<Vec<usize>>(), 0..3))
        .prop_map(|(message, extra, odd)| {
            let mut fields: Vec<String> =
                message.trim_matches(['{', '}']).split(',').map(str::to_owned).collect();
            for ((name, value), at) in extra.into_iter().zip(odd) {
                let at = at % fields.len() + 1;
                let known =
                    fields.get(at).and_then(|field| field.split_once(':')).map(|(name, _)| name.to_owned());
                let name =
                    if value.len().is_multiple_of(2) { known } else { None }.unwrap_or(format!("\"{name}\""));
                fields.insert(at, format!("{name}:{value}"));
                if at.is_multiple_of(2) && at + 1 < fields.len() {
                    fields.remove(at + 1);
                }
            }
            format!("{{{}}}", fields.join(","))
        })
}

/// What serde makes of one message.
fn by_serde(message: &str) -> Option<MarketEvent> {
    /// A number that nobody reads may be of any length.
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "T")]
        kind: String,
    }
    let Kind { kind } = serde_json::from_str(message).ok()?;
    let (mut out, mut controls) = (Vec::new(), Vec::new());
    let mut sink = Sink { out: &mut out, controls: &mut controls, oddities: &Oddities::default() };
    sink.try_message(&kind, &mut serde_json::Deserializer::from_str(message)).ok()?;
    out.pop()
}

/// Equal, but for the last digit of numbers with more than 15: serde's are not exact.
pub(crate) fn equal(one: &MarketEvent, other: &MarketEvent) -> bool {
    let (one, other) = (serde_json::to_value(one).expect("JSON"), serde_json::to_value(other).expect("JSON"));
    fn like(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
                let (one, other) = (one.as_f64().expect("a float"), other.as_f64().expect("a float"));
                (one - other).abs() <= one.abs() * 1e-15
            }
            (Value::Object(one), Value::Object(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.0 == b.0 && like(a.1, b.1))
            }
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(a, b)| like(a, b))
            }
            (one, other) => one == other,
        }
    }
    like(&one, &other)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2_000)))]

    /// Messages of the usual form never go the long way, and mean the same on it.
    #[test]
    fn quick_is_serde(message in message()) {
        let (event, length) = quick::message(message.as_bytes()).expect("the usual form");
        prop_assert_eq!(length, message.len());
        prop_assert_eq!(Some(event), by_serde(&message));
    }

    /// What is read quickly is what serde reads, whatever it looks like.
    #[test]
    fn quick_never_invents(message in odd_message()) {
        if let Some((event, length)) = quick::message(message.as_bytes()) {
            let slow = by_serde(&message[..length]);
            prop_assert!(slow.as_ref().is_some_and(|slow| equal(&event, slow)), "{:?} {:?}", event, slow);
        }
    }

    /// Both encodings say the same; an odd message between good ones costs only itself.
    #[test]
    fn encodings_agree(before in message(), odd in odd_message(), after in message()) {
        let whole = serde_json::from_str::<Value>(&odd).is_ok();
        let frame = if whole { format!("[{before},{odd},{after}]") } else { format!("[{before},{after}]") };
        let in_json = decoded(frame.as_bytes()).expect("an array");
        let good = [before, after].map(|message| by_serde(&message).expect("a good message"));
        prop_assert_eq!(in_json.events.first(), Some(&good[0]));
        prop_assert_eq!(in_json.events.last(), Some(&good[1]));
        // A field that comes twice cannot be said in a map of JSON.
        let value: Value = serde_json::from_str(&frame).expect("JSON");
        let in_json = decoded(value.to_string().as_bytes()).expect("an array");
        for form in [TimeForm::Shortest, TimeForm::Nanos, TimeForm::Text] {
            let in_messagepack = decoded(&packed(&value, form)).expect("an array");
            prop_assert_eq!(in_messagepack.counts, in_json.counts);
            prop_assert_eq!(in_messagepack.events.len(), in_json.events.len());
            let alike = in_messagepack.events.iter().zip(&in_json.events).all(|(a, b)| equal(a, b));
            prop_assert!(alike, "{:?} {:?}", in_messagepack.events, in_json.events);
        }
    }
}
