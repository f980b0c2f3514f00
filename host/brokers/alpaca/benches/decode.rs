//! How fast frames become events: quotes in both encodings, alone and batched.

use std::time::{Duration, Instant};

use sandpit_alpaca::DataFrames;
use sandpit_types::MarketTime;

const SYMBOLS: [&str; 8] = ["SPY", "AAPL", "F", "GOOGL", "BRK.B", "MSFT", "NVDA", "T"];
/// Quotes of one measurement.
const QUOTES: usize = 4_000_000;
/// Different quotes; they are read again and again.
const DIFFERENT: usize = 3_200;

fn main() {
    for batch in [1, 16, 100] {
        figure(&format!("decode_json_by_{batch}"), &frames(batch, json));
        figure(&format!("decode_msgpack_by_{batch}"), &frames(batch, msgpack));
    }
    // Blanks between fields send a message the long way round, through serde.
    let odd =
        |quotes: &[Quote]| String::from_utf8(json(quotes)).expect("text").replace("\":", "\": ").into_bytes();
    figure("decode_json_by_16_through_serde", &frames(16, odd));
}

/// The numbers of one quote.
struct Quote {
    symbol: &'static str,
    nanos: i64,
    bid: f64,
    bid_size: u16,
    ask: f64,
    ask_size: u16,
}

fn quote(n: usize) -> Quote {
    let cents = |n: usize| n as f64 / 100.0;
    let bid = 10_000 + n * 37 % 50_000;
    Quote {
        symbol: SYMBOLS[n % SYMBOLS.len()],
        nanos: 1_780_000_000_123_456_789 + n as i64 * 1_234_567,
        bid: cents(bid),
        bid_size: (n % 9 * 100 + 100) as u16,
        ask: cents(bid + 1 + n % 3),
        ask_size: (n % 7 * 100 + 100) as u16,
    }
}

fn frames(batch: usize, write: impl Fn(&[Quote]) -> Vec<u8>) -> Vec<Vec<u8>> {
    let quotes: Vec<Quote> = (0..DIFFERENT).map(quote).collect();
    quotes.chunks(batch).map(write).collect()
}

fn json(quotes: &[Quote]) -> Vec<u8> {
    let message = |q: &Quote| {
        format!(
            concat!(
                r#"{{"T":"q","S":"{}","bx":"V","bp":{},"bs":{},"ax":"Q","ap":{},"as":{},"#,
                r#""c":["R"],"z":"C","t":"{}"}}"#
            ),
            q.symbol,
            q.bid,
            q.bid_size,
            q.ask,
            q.ask_size,
            MarketTime::from_nanos(q.nanos)
        )
    };
    format!("[{}]", quotes.iter().map(message).collect::<Vec<_>>().join(",")).into_bytes()
}

fn msgpack(quotes: &[Quote]) -> Vec<u8> {
    let mut bytes = Vec::new();
    packed(quotes, &mut bytes).expect("a vector takes every byte");
    bytes
}

fn packed(quotes: &[Quote], bytes: &mut Vec<u8>) -> Result<(), rmp::encode::ValueWriteError> {
    use rmp::encode::{write_array_len, write_ext_meta, write_f64, write_map_len, write_str, write_uint};
    write_array_len(bytes, quotes.len() as u32)?;
    for q in quotes {
        write_map_len(bytes, 11)?;
        for (name, text) in [("T", "q"), ("S", q.symbol), ("bx", "V"), ("ax", "Q"), ("z", "C")] {
            write_str(bytes, name)?;
            write_str(bytes, text)?;
        }
        for (name, price) in [("bp", q.bid), ("ap", q.ask)] {
            write_str(bytes, name)?;
            write_f64(bytes, price)?;
        }
        for (name, size) in [("bs", q.bid_size), ("as", q.ask_size)] {
            write_str(bytes, name)?;
            write_uint(bytes, size.into())?;
        }
        write_str(bytes, "c")?;
        write_array_len(bytes, 1)?;
        write_str(bytes, "R")?;
        write_str(bytes, "t")?;
        let (seconds, nanos) = (q.nanos as u64 / 1_000_000_000, q.nanos as u64 % 1_000_000_000);
        write_ext_meta(bytes, 8, -1)?;
        bytes.extend_from_slice(&(nanos << 34 | seconds).to_be_bytes());
    }
    Ok(())
}

fn figure(name: &str, frames: &[Vec<u8>]) {
    let mut decoder = DataFrames::default();
    let mut events = Vec::new();
    let rounds = QUOTES / DIFFERENT;
    let took = timed(|| {
        for _ in 0..rounds {
            for frame in frames {
                decoder.read(frame, &mut events).expect("a frame");
                if events.len() >= 4_000 {
                    events.clear();
                }
            }
            events.clear();
        }
    });
    let bytes: usize = frames.iter().map(Vec::len).sum();
    println!("{name} {:.0} quotes/s", (rounds * DIFFERENT) as f64 / took.as_secs_f64());
    println!("{name}_size {} bytes/quote", bytes / DIFFERENT);
    assert_eq!(decoder.oddities(), <_>::default(), "quotes only");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
