//! The two encodings of the data stream: JSON in text frames, MessagePack in binary ones.

use std::sync::Arc;

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::{stream::hub::Frame, wire::market::MarketMessage};

/// What a connection speaks; its handshake's `Content-Type` says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Text frames.
    #[default]
    Json,
    /// Binary frames.
    MessagePack,
}

/// One encoded message, shared by all who hear it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// JSON.
    Text(Arc<str>),
    /// MessagePack.
    Packed(Arc<[u8]>),
}

impl Encoding {
    /// The encoding of a `Content-Type`; JSON unless it is MessagePack.
    pub fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/msgpack") { Self::MessagePack } else { Self::Json }
    }

    /// A control message: an array already.
    pub(super) fn control(self, message: &Value) -> Payload {
        match self {
            Self::Json => Payload::Text(message.to_string().into()),
            Self::MessagePack => Payload::Packed(packed(message)),
        }
    }

    /// A data message: one element of the array it will be sent in.
    pub(super) fn data(self, message: &MarketMessage) -> Payload {
        match self {
            Self::Json => {
                let text = serde_json::to_string(message);
                Payload::Text(text.expect("numbers and texts are always JSON").into())
            }
            Self::MessagePack => Payload::Packed(packed(message)),
        }
    }
}

fn packed(message: &impl serde::Serialize) -> Arc<[u8]> {
    rmp_serde::to_vec_named(message).expect("numbers and texts are always MessagePack").into()
}

/// Reads a binary message of a client.
pub(super) fn unpack(bytes: &[u8]) -> Option<Value> {
    rmp_serde::from_slice(bytes).ok()
}

/// Frames as they go over the wire. Every one is an array: control messages are one already and stand alone,
/// data messages that follow each other are put together.
pub(super) fn write(frames: &[Frame<Payload>]) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut rest = frames;
    while let Some(first) = rest.first() {
        let together = match first {
            Frame::Control(payload) => {
                messages.push(alone(payload));
                1
            }
            Frame::Data(_) => {
                let data = rest.iter().take_while(|frame| matches!(frame, Frame::Data(_))).count();
                messages.push(array(&rest[..data]));
                data
            }
            Frame::Cut => break,
        };
        rest = &rest[together..];
    }
    messages
}

fn alone(payload: &Payload) -> Message {
    match payload {
        Payload::Text(text) => Message::text(text.as_ref()),
        Payload::Packed(bytes) => Message::binary(bytes.to_vec()),
    }
}

/// Data messages of one connection as one array; they have the connection's encoding.
fn array(frames: &[Frame<Payload>]) -> Message {
    let payloads = frames.iter().filter_map(|frame| match frame {
        Frame::Data(payload) | Frame::Control(payload) => Some(payload),
        Frame::Cut => None,
    });
    let mut text = String::new();
    let mut bytes = Vec::new();
    for payload in payloads {
        match payload {
            Payload::Text(message) => {
                text.push(if text.is_empty() { '[' } else { ',' });
                text.push_str(message);
            }
            Payload::Packed(message) => {
                if bytes.is_empty() {
                    begin_array(&mut bytes, frames.len());
                }
                bytes.extend_from_slice(message);
            }
        }
    }
    if bytes.is_empty() {
        text.push(']');
        return Message::text(text);
    }
    Message::binary(bytes)
}

/// The head of an array of so many elements: fixarray or array 16.
fn begin_array(bytes: &mut Vec<u8>, count: usize) {
    match u16::try_from(count).expect("a batch is short") {
        count @ 0..16 => bytes.push(0x90 | count as u8),
        count => {
            bytes.push(0xdc);
            bytes.extend_from_slice(&count.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(messages: &[Message]) -> Vec<Value> {
        let read = |message: &Message| match message {
            Message::Text(text) => serde_json::from_str(text).expect("JSON"),
            Message::Binary(bytes) => unpack(bytes).expect("MessagePack"),
            other => panic!("{other:?} is not data"),
        };
        messages.iter().map(read).collect()
    }

    #[test]
    fn data_is_batched_and_control_stands_alone() {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let number = |n: u64| encoding.control(&Value::from(n));
            let mut frames: Vec<Frame<Payload>> = vec![
                Frame::Data(number(1)),
                Frame::Data(number(2)),
                Frame::Control(encoding.control(&serde_json::json!([0]))),
            ];
            frames.extend((0..300).map(|n| Frame::Data(number(n))));
            let expected =
                [serde_json::json!([1, 2]), serde_json::json!([0]), (0..300).collect::<Vec<u64>>().into()];
            assert_eq!(kinds(&write(&frames)), expected, "{encoding:?}");
        }
    }

    #[test]
    fn arrays_of_every_length_can_be_read() {
        let message = Frame::Data(Encoding::MessagePack.control(&Value::from(7)));
        for count in [1, 15, 16, 17, 256] {
            let written = kinds(&write(&vec![message.clone(); count]));
            assert_eq!(written, [Value::from(vec![7; count])], "{count}");
        }
    }

    #[test]
    fn the_content_type_decides() {
        for (kind, expected) in [
            ("", Encoding::Json),
            ("application/json", Encoding::Json),
            ("application/msgpack", Encoding::MessagePack),
            ("Application/MsgPack; charset=utf-8", Encoding::MessagePack),
            ("text/plain", Encoding::Json),
        ] {
            assert_eq!(Encoding::of(kind), expected, "{kind}");
        }
    }
}
