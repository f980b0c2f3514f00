//! Frames in MessagePack: times come as the extension type -1, sizes as integers, prices as floats.
//!
//! As in `quick`, `None` from the hand-written readers means "look closer".

use rmp::{Marker, encode};
use sandpit_types::{Bar, BarMark, MarketEvent, MarketTime, Quote, Symbol, Trade};
use serde_json::Value;

use super::{FrameError, MAX_ODD_BYTES, Sink, bytes::Bytes};

/// Whether a frame begins as an array in MessagePack does; one in JSON never does.
pub(super) fn is_array(frame: &[u8]) -> bool {
    matches!(
        frame.first().map(|&byte| Marker::from_u8(byte)),
        Some(Marker::FixArray(_) | Marker::Array16 | Marker::Array32)
    )
}

/// Reads an array of messages.
pub(super) fn frame(frame: &[u8], sink: &mut Sink<'_>) -> Result<(), FrameError> {
    let mut rest = Bytes(frame);
    let count = rest.array_len().ok_or(FrameError::MessagePack)?;
    for _ in 0..count {
        let before = rest.0;
        if let Some(event) = quick(&mut rest) {
            sink.out.push(event);
            continue;
        }
        rest.0 = before;
        rest.skip().ok_or(FrameError::MessagePack)?;
        odd(&before[..before.len() - rest.0.len()], sink);
    }
    if rest.0.is_empty() { Ok(()) } else { Err(FrameError::MessagePack) }
}

/// A message of any form, as the JSON that it would be.
fn odd(message: &[u8], sink: &mut Sink<'_>) {
    if message.len() > MAX_ODD_BYTES {
        return sink.oddities.unreadable("", &"it is far too long");
    }
    let value = match Bytes(message).value(0) {
        Ok(value) => value,
        Err(error) => return sink.oddities.unreadable("", &error),
    };
    match value.get("T").and_then(Value::as_str).map(str::to_owned) {
        Some(kind) => sink.message(&kind, value),
        None => sink.oddities.unreadable("", &"it has no kind"),
    }
}

/// A quote, trade or bar of the usual form: the kind first, all fields there, none twice.
fn quick(rest: &mut Bytes<'_>) -> Option<MarketEvent> {
    let count = rest.map_len()?.checked_sub(1)?;
    if rest.text()? != b"T" {
        return None;
    }
    Some(match rest.text()? {
        b"q" => MarketEvent::Quote(quote(rest, count)?),
        b"t" => MarketEvent::Trade(trade(rest, count)?),
        b"b" => MarketEvent::Bar(bar(rest, count)?),
        b"u" => MarketEvent::MarkedBar(bar(rest, count)?, BarMark::Corrected),
        _ => return None,
    })
}

fn quote(rest: &mut Bytes<'_>, count: u32) -> Option<Quote> {
    let (mut symbol, mut time, mut seen) = ("", MarketTime::from_nanos(0), 0);
    let (mut bid, mut bid_size, mut ask, mut ask_size) = (0.0, 0, 0.0, 0);
    for _ in 0..count {
        match rest.text()? {
            b"S" => symbol = rest.once(&mut seen, 1)?.symbol()?,
            b"bp" => bid = rest.once(&mut seen, 2)?.price()?,
            b"bs" => bid_size = rest.once(&mut seen, 4)?.whole()?,
            b"ap" => ask = rest.once(&mut seen, 8)?.price()?,
            b"as" => ask_size = rest.once(&mut seen, 16)?.whole()?,
            b"t" => time = rest.once(&mut seen, 32)?.time()?,
            b"T" => return None,
            _ => rest.skip()?,
        }
    }
    (seen == 63).then(|| Quote { symbol: Symbol::new(symbol), time, bid, bid_size, ask, ask_size })
}

fn trade(rest: &mut Bytes<'_>, count: u32) -> Option<Trade> {
    let (mut symbol, mut time, mut price, mut size, mut seen) = ("", MarketTime::from_nanos(0), 0.0, 0, 0);
    for _ in 0..count {
        match rest.text()? {
            b"S" => symbol = rest.once(&mut seen, 1)?.symbol()?,
            b"p" => price = rest.once(&mut seen, 2)?.price()?,
            b"s" => size = rest.once(&mut seen, 4)?.whole()?,
            b"t" => time = rest.once(&mut seen, 8)?.time()?,
            b"T" => return None,
            _ => rest.skip()?,
        }
    }
    (seen == 15).then(|| Trade { symbol: Symbol::new(symbol), time, price, size })
}

fn bar(rest: &mut Bytes<'_>, count: u32) -> Option<Bar> {
    let (mut symbol, mut start, mut volume, mut seen) = ("", MarketTime::from_nanos(0), 0, 0);
    let [mut open, mut high, mut low, mut close, mut vwap] = [0.0; 5];
    for _ in 0..count {
        match rest.text()? {
            b"S" => symbol = rest.once(&mut seen, 1)?.symbol()?,
            b"o" => open = rest.once(&mut seen, 2)?.price()?,
            b"h" => high = rest.once(&mut seen, 4)?.price()?,
            b"l" => low = rest.once(&mut seen, 8)?.price()?,
            b"c" => close = rest.once(&mut seen, 16)?.price()?,
            b"v" => volume = rest.once(&mut seen, 32)?.whole()?,
            b"vw" => vwap = rest.once(&mut seen, 64)?.price()?,
            b"t" => start = rest.once(&mut seen, 128)?.time()?,
            b"T" => return None,
            _ => rest.skip()?,
        }
    }
    let symbol = (seen == 255).then(|| Symbol::new(symbol))?;
    Some(Bar { symbol, start, open, high, low, close, volume, vwap })
}

/// A value in MessagePack: what we say on such a stream.
pub(crate) fn pack(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(value, &mut bytes).expect("a vector takes every byte");
    bytes
}

fn write(value: &Value, into: &mut Vec<u8>) -> Result<(), encode::ValueWriteError> {
    match value {
        Value::Null => encode::write_nil(into).map_err(encode::ValueWriteError::InvalidMarkerWrite),
        Value::Bool(value) => {
            encode::write_bool(into, *value).map_err(encode::ValueWriteError::InvalidMarkerWrite)
        }
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(value), _) => encode::write_uint(into, value).map(drop),
            (None, Some(value)) => encode::write_sint(into, value).map(drop),
            (None, None) => encode::write_f64(into, number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => encode::write_str(into, text),
        Value::Array(values) => {
            encode::write_array_len(into, len(values.len()))?;
            values.iter().try_for_each(|value| write(value, into))
        }
        Value::Object(fields) => {
            encode::write_map_len(into, len(fields.len()))?;
            fields.iter().try_for_each(|(name, value)| {
                encode::write_str(into, name)?;
                write(value, into)
            })
        }
    }
}

fn len(len: usize) -> u32 {
    u32::try_from(len).expect("we say short things")
}
