//! Decoding does not allocate for data: not for a quote, nor for a trade or a bar, in either encoding.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use allocation_counter::measure;
use sandpit_alpaca::DataFrames;

const MESSAGES: [&str; 4] = [
    r#"{"T":"q","S":"BRK.B","bx":"U","bp":87.66,"bs":100,"ax":"Q","ap":87.68,"as":400,"c":["R"],"z":"C",
        "t":"2021-02-22T15:51:45.335689322Z"}"#,
    r#"{"T":"t","i":9007199254740993123,"S":"AAPL","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208Z",
        "c":["@","I"],"z":"C"}"#,
    r#"{"T":"b","S":"SPY","o":388.985,"h":389.13,"l":388.975,"c":389.12,"v":49378,"n":461,
        "vw":389.06263912345678,"t":"2021-02-28T19:15:00Z"}"#,
    r#"{"T":"u","S":"SPY","o":388.985,"h":389.13,"l":388.975,"c":389.12,"v":49378,"n":461,"vw":389.062639,
        "t":"2021-02-22T19:15:00Z"}"#,
];

fn check(name: &str, frame: &[u8]) {
    let mut decoder = DataFrames::default();
    let mut events = Vec::with_capacity(MESSAGES.len());
    let counted = measure(|| {
        for _ in 0..100 {
            events.clear();
            assert_eq!(decoder.read(frame, &mut events), Some(0));
        }
    });
    assert_eq!(events.len(), MESSAGES.len(), "{name}: {events:?}");
    assert_eq!(counted.count_total, 0, "{name}: {counted:?}");
}

#[test]
fn data_is_decoded_without_allocating() {
    let json = format!("[{}]", MESSAGES.map(compact).join(","));
    check("json", json.as_bytes());
    check("messagepack", &packed(&serde_json::from_str(&json).unwrap()));
}

/// Without the breaks of lines.
fn compact(message: &str) -> String {
    message.split('\n').map(str::trim).collect()
}

/// In MessagePack, as Alpaca writes it: the kind first, times as nanoseconds and seconds in one.
fn packed(value: &serde_json::Value) -> Vec<u8> {
    use rmp::encode;
    let mut bytes = Vec::new();
    match value {
        serde_json::Value::Array(values) => {
            encode::write_array_len(&mut bytes, values.len() as u32).unwrap();
            values.iter().for_each(|value| bytes.extend(packed(value)));
        }
        serde_json::Value::Object(fields) => {
            encode::write_map_len(&mut bytes, fields.len() as u32).unwrap();
            let (kind, others): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| *name == "T");
            for (name, value) in kind.into_iter().chain(others) {
                encode::write_str(&mut bytes, name).unwrap();
                if name == "t" {
                    encode::write_ext_meta(&mut bytes, 8, -1).unwrap();
                    bytes.extend((335_689_322_u64 << 34 | 1_614_009_105).to_be_bytes());
                } else {
                    bytes.extend(packed(value));
                }
            }
        }
        serde_json::Value::String(text) => encode::write_str(&mut bytes, text).unwrap(),
        serde_json::Value::Number(number) if number.is_u64() => {
            encode::write_uint(&mut bytes, number.as_u64().unwrap()).map(drop).unwrap();
        }
        other => encode::write_f64(&mut bytes, other.as_f64().unwrap()).unwrap(),
    }
    bytes
}
