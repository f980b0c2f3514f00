//! Frames in JSON.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Deserializer, Error, de::SliceRead};

use super::{FrameError, Sink, quick};

/// What a message is, before all else.
#[derive(Deserialize)]
struct KindWire<'a> {
    #[serde(rename = "T", borrow)]
    kind: Cow<'a, str>,
}

/// Reads an array of messages.
pub(super) fn frame(frame: &[u8], sink: &mut Sink<'_>) -> Result<(), FrameError> {
    let mut at = expect(frame, 0, b'[')?;
    at = blank(frame, at);
    if frame.get(at) == Some(&b']') {
        return end(frame, at + 1);
    }
    loop {
        at += match quick::message(&frame[at..]) {
            Some((event, length)) => {
                sink.out.push(event);
                length
            }
            None => odd(&frame[at..], sink)?,
        };
        at = blank(frame, at);
        match frame.get(at) {
            Some(b',') => at = blank(frame, at + 1),
            Some(b']') => return end(frame, at + 1),
            Some(_) | None => return Err(FrameError::NoArray { at }),
        }
    }
}

/// The message at the beginning of `text`, whatever its form; gives its length.
fn odd(text: &[u8], sink: &mut Sink<'_>) -> Result<usize, Error> {
    let mut values = Deserializer::new(SliceRead::new(text)).into_iter::<IgnoredAny>();
    match values.next() {
        Some(value) => value?,
        // Only blanks are left: says so in serde's words.
        None => serde_json::from_slice(text)?,
    };
    let length = values.byte_offset();
    let message = &text[..length];
    match serde_json::from_slice::<KindWire<'_>>(message) {
        Ok(KindWire { kind }) => sink.message(&kind, &mut Deserializer::from_slice(message)),
        Err(error) => sink.oddities.unreadable("", &error),
    }
    Ok(length)
}

fn expect(frame: &[u8], at: usize, byte: u8) -> Result<usize, FrameError> {
    let at = blank(frame, at);
    if frame.get(at) == Some(&byte) { Ok(at + 1) } else { Err(FrameError::NoArray { at }) }
}

fn end(frame: &[u8], at: usize) -> Result<(), FrameError> {
    let at = blank(frame, at);
    if at == frame.len() { Ok(()) } else { Err(FrameError::NoArray { at }) }
}

/// Where the next byte stands that is no blank.
fn blank(frame: &[u8], mut at: usize) -> usize {
    while matches!(frame.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}
