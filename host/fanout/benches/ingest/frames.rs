//! Frames of quotes, encoded before the clock runs: what Alpaca's data stream sends, in either encoding.

use sandpit_alpaca::Encoding;
use sandpit_types::{MarketTime, Symbol};
use tokio_tungstenite::tungstenite::Message;

/// Symbols that are quoted in turn.
pub(crate) const SYMBOLS: usize = 30;
/// Quotes of one round: a whole number of frames, whatever the batch.
pub(crate) const ROUND_QUOTES: usize = 40_000;
/// 2026-03-16T14:30:00Z, a Monday of summer time in New York: the exchange is open.
pub(crate) const START_SECS: i64 = 1_773_671_400;
/// The round after the last one that can be stamped.
const ROUNDS_END: u32 = 5 * 3_600;

/// The symbols, all of another length or spelling.
pub(crate) fn symbols() -> Vec<Symbol> {
    (0..SYMBOLS).map(|at| Symbol::new(name(at))).collect()
}

/// The stamp of quote `index` of `round`: a second for each round, a microsecond for each quote.
pub(crate) fn stamp(round: u32, index: usize) -> MarketTime {
    MarketTime::from_nanos((START_SECS + i64::from(round)) * 1_000_000_000 + index as i64 * 1_000)
}

/// One round of quotes as WebSocket frames of so many messages each.
pub(crate) struct Frames {
    encoding: Encoding,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Where the second of each stamp is written.
    stamps: Vec<(usize, usize)>,
}

impl Frames {
    /// `batch` messages a frame.
    pub(crate) fn new(encoding: Encoding, batch: usize) -> Self {
        let mut frames = Self { encoding, bytes: Vec::new(), ends: Vec::new(), stamps: Vec::new() };
        for first in (0..ROUND_QUOTES).step_by(batch) {
            let mut payload = Vec::new();
            let mut stamps = Vec::new();
            let indices = first..first + batch;
            match encoding {
                Encoding::Json => {
                    for index in indices {
                        payload.push(if index == first { b'[' } else { b',' });
                        stamps.push((index, json(&mut payload, index)));
                    }
                    payload.push(b']');
                }
                Encoding::MessagePack => {
                    rmp::encode::write_array_len(&mut payload, batch as u32).expect("memory");
                    stamps.extend(indices.map(|index| (index, packed(&mut payload, index))));
                }
            }
            frames.add(&payload, stamps);
        }
        frames
    }

    /// The bytes of the round, stamped anew: the next round is a second later.
    pub(crate) fn round(&mut self, round: u32) -> &[u8] {
        assert!(round < ROUNDS_END, "the stamps of a day are used up");
        let secs = START_SECS + i64::from(round);
        let clock = secs % 86_400;
        let text = format!("{:02}:{:02}:{:02}", clock / 3_600, clock / 60 % 60, clock % 60);
        for &(index, at) in &self.stamps {
            match self.encoding {
                Encoding::Json => self.bytes[at..at + 8].copy_from_slice(text.as_bytes()),
                Encoding::MessagePack => {
                    self.bytes[at..at + 8].copy_from_slice(&timestamp64(secs, index).to_be_bytes());
                }
            }
        }
        &self.bytes
    }

    /// The frames of the round, one by one.
    pub(crate) fn each(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.bytes[begin..*end])
    }

    fn add(&mut self, payload: &[u8], stamps: Vec<(usize, usize)>) {
        let kind = if self.encoding == Encoding::Json { 0x81 } else { 0x82 };
        self.bytes.push(kind);
        match payload.len() {
            short @ 0..126 => self.bytes.push(short as u8),
            long @ 126..65_536 => {
                self.bytes.push(126);
                self.bytes.extend((long as u16).to_be_bytes());
            }
            longer => {
                self.bytes.push(127);
                self.bytes.extend((longer as u64).to_be_bytes());
            }
        }
        let begin = self.bytes.len();
        self.stamps.extend(stamps.into_iter().map(|(index, at)| (index, begin + at)));
        self.bytes.extend(payload);
        self.ends.push(self.bytes.len());
    }
}

/// A message that is a JSON text, or the same in MessagePack; `text` must hold no times.
pub(crate) fn control(encoding: Encoding, text: &str) -> Message {
    match encoding {
        Encoding::Json => Message::text(text),
        Encoding::MessagePack => {
            let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
            let mut bytes = Vec::new();
            pack(&mut bytes, &value);
            Message::binary(bytes)
        }
    }
}

/// A quote of `symbol` alone, in a frame of its own.
pub(crate) fn single(encoding: Encoding, symbol: &str, round: u32, index: usize) -> Message {
    let mut payload = Vec::new();
    match encoding {
        Encoding::Json => {
            payload.push(b'[');
            json_of(&mut payload, symbol, round, index);
            payload.push(b']');
            Message::text(String::from_utf8(payload).expect("text"))
        }
        Encoding::MessagePack => {
            rmp::encode::write_array_len(&mut payload, 1).expect("memory");
            packed_of(&mut payload, symbol, round, index);
            Message::binary(payload)
        }
    }
}

fn name(index: usize) -> String {
    const LETTERS: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = |shift: usize| char::from(LETTERS[(index * 7 + shift * 11) % LETTERS.len()]);
    (0..=1 + index % 4).map(letter).chain([letter(5)]).collect()
}

fn prices(index: usize) -> (f64, f64) {
    let cents = (index * 37 % 900) as f64;
    ((16_700.0 + cents) / 100.0, (16_701.0 + cents) / 100.0)
}

/// Writes a quote; where its clock time is.
fn json(out: &mut Vec<u8>, index: usize) -> usize {
    json_of(out, &name(index % SYMBOLS), 0, index)
}

fn json_of(out: &mut Vec<u8>, symbol: &str, round: u32, index: usize) -> usize {
    let ((bid, ask), time) = (prices(index), stamp(round, index));
    let (size, micros) = (1 + index % 9, index);
    let seconds = time.to_string();
    let (date, clock) = (&seconds[..11], &seconds[11..19]);
    let sides = format!(r#""bx":"V","bp":{bid},"bs":{size},"ax":"V","ap":{ask},"as":{size}"#);
    let head = format!(r#"{{"T":"q","S":"{symbol}",{sides},"c":["R"],"z":"B","t":"{date}"#);
    out.extend(head.as_bytes());
    let at = out.len();
    out.extend(format!("{clock}.{micros:06}123Z\"}}").as_bytes());
    at
}

/// Writes a quote; where its stamp's number is.
fn packed(out: &mut Vec<u8>, index: usize) -> usize {
    packed_of(out, &name(index % SYMBOLS), 0, index)
}

fn packed_of(out: &mut Vec<u8>, symbol: &str, round: u32, index: usize) -> usize {
    use rmp::encode::{write_array_len, write_ext_meta, write_f64, write_map_len, write_str, write_uint};
    let (bid, ask) = prices(index);
    let size = 1 + (index % 9) as u64;
    let entry = |out: &mut Vec<u8>, key: &str, value: &str| {
        write_str(out, key).expect("memory");
        write_str(out, value).expect("memory");
    };
    write_map_len(out, 11).expect("memory");
    entry(out, "T", "q");
    entry(out, "S", symbol);
    for (at, price, size_at, exchange_at) in [("bp", bid, "bs", "bx"), ("ap", ask, "as", "ax")] {
        entry(out, exchange_at, "V");
        write_str(out, at).expect("memory");
        write_f64(out, price).expect("memory");
        write_str(out, size_at).expect("memory");
        write_uint(out, size).expect("memory");
    }
    write_str(out, "c").expect("memory");
    write_array_len(out, 1).expect("memory");
    write_str(out, "R").expect("memory");
    entry(out, "z", "B");
    write_str(out, "t").expect("memory");
    write_ext_meta(out, 8, -1).expect("memory");
    let at = out.len();
    out.extend(timestamp64(START_SECS + i64::from(round), index).to_be_bytes());
    at
}

/// MessagePack's timestamp of eight bytes: 30 bits of nanoseconds, 34 of seconds.
fn timestamp64(secs: i64, index: usize) -> u64 {
    let nanos = index as u64 * 1_000 + 123;
    (nanos << 34) | secs.unsigned_abs()
}

fn pack(out: &mut Vec<u8>, value: &serde_json::Value) {
    use rmp::encode::{write_array_len, write_map_len, write_str, write_uint};
    use serde_json::Value;
    match value {
        Value::String(text) => write_str(out, text).expect("memory"),
        Value::Number(number) => {
            write_uint(out, number.as_u64().expect("a whole number")).expect("memory");
        }
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
        Value::Null | Value::Bool(_) => unreachable!("no greeting holds one"),
    }
}
