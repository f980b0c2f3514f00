//! The trade-updates stream's conversation: authentication in its two shapes, and listening. JSON or
//! MessagePack, both in binary frames.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::session::{Answer, Session};
use crate::{
    faults::Stream,
    keys::{KeyPair, Keys},
    rest::ApiError,
    sim::Desk,
    stream::hub::{Frame, Hub},
};

/// The only stream there is.
const TRADE_UPDATES: &str = "trade_updates";
const DEPRECATED: &str =
    "this authentication format is being deprecated, use {\"action\":\"auth\",\"key\":..} instead";
/// Stands before the JSON of a message that goes out as MessagePack.
const PACKED: char = '\0';

/// The connections that may be open at a time. The handshake does not say whose they are, and there is one
/// account: so they are counted over all keys.
#[derive(Debug)]
pub(crate) struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Places {
    /// So many places, all free.
    pub(crate) fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// Takes one; `None` when none is free.
    pub(crate) fn take(&self) -> Option<Place> {
        let one_more = |taken: usize| Some(taken + 1).filter(|taken| *taken <= self.most);
        let taken = self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        taken.ok().map(|_| Place(self.taken.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The answer to a handshake when there is no place (alpaca-py#740).
pub(crate) fn turned_away() -> Response {
    let why = "connection limit exceeded";
    ApiError::trading(StatusCode::TOO_MANY_REQUESTS, 42_910_000, why).into_response()
}

/// Whether a connection listens to trade updates, and in which shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listening {
    /// It does not.
    #[default]
    No,
    /// As JSON.
    Json,
    /// As MessagePack.
    Packed,
}

/// One connection's place in the conversation.
///
/// ```text
/// Connected ── auth / authenticate ──> Authenticated ── listen ──> Authenticated
/// ```
#[derive(Debug, Default)]
pub struct TradeSession {
    authenticated: bool,
    is_packed: bool,
    /// Held as long as the connection lives.
    _place: Option<Place>,
}

/// What a listener in that shape is sent: an update as JSON.
pub(crate) fn in_shape(json: &str, shape: Listening) -> Arc<str> {
    match shape {
        Listening::No | Listening::Json => json.into(),
        Listening::Packed => format!("{PACKED}{json}").into(),
    }
}

impl TradeSession {
    /// A connection with the headers of its handshake.
    pub(crate) fn new(headers: &HeaderMap, place: Option<Place>) -> Self {
        let is_packed = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/msgpack");
        Self { authenticated: false, is_packed, _place: place }
    }

    fn shape(&self) -> Listening {
        if self.is_packed { Listening::Packed } else { Listening::Json }
    }

    fn say(&self, message: &Value) -> Arc<str> {
        in_shape(&message.to_string(), self.shape())
    }

    fn authenticate(&mut self, fields: Option<&Value>, names: [&str; 2], keys: &Keys) -> bool {
        let text =
            |name| fields.and_then(|f| f.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned();
        let [key, secret] = names.map(text);
        let accepted = keys.accept(&KeyPair { key, secret });
        // Who is in stays in, whatever he tries then.
        self.authenticated |= accepted;
        accepted
    }

    fn listen(&self, message: &Value) -> Answer<Listening> {
        if !self.authenticated {
            return Answer::say(self.say(&authorization(false, "listen", None)));
        }
        let streams = message.pointer("/data/streams").and_then(Value::as_array);
        let listens = streams.is_some_and(|streams| streams.iter().any(|name| name == TRADE_UPDATES));
        let (topic, streams) =
            if listens { (self.shape(), vec![TRADE_UPDATES]) } else { (Listening::No, Vec::new()) };
        let message = json!({"stream": "listening", "data": {"streams": streams}});
        Answer { messages: vec![self.say(&message)], topic: Some(topic) }
    }

    /// Answers a message, whatever it was written in.
    fn on_message(&mut self, message: &Value, keys: &Keys) -> Answer<Listening> {
        match message.get("action").and_then(Value::as_str) {
            Some("auth") => {
                let accepted = self.authenticate(Some(message), ["key", "secret"], keys);
                Answer::say(self.say(&authorization(accepted, "authenticate", None)))
            }
            Some("authenticate") => {
                let accepted = self.authenticate(message.get("data"), ["key_id", "secret_key"], keys);
                let warning = accepted.then_some(DEPRECATED);
                Answer::say(self.say(&authorization(accepted, "authenticate", warning)))
            }
            Some("listen") => self.listen(message),
            // The broker's answer to anything else is not known.
            _ => Answer { messages: Vec::new(), topic: None },
        }
    }
}

impl Session for TradeSession {
    type Topic = Listening;
    type Message = Arc<str>;
    const STREAM: Stream = Stream::Trades;

    fn hub(desk: &mut Desk) -> &mut Hub<Listening> {
        &mut desk.trades
    }

    fn hello(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn on(&mut self, text: &str, keys: &Keys) -> Answer<Listening> {
        self.on_message(&serde_json::from_str(text).unwrap_or_default(), keys)
    }

    /// Clients of the MessagePack shape may speak it, too; JSON in a binary frame is understood in both.
    fn on_binary(&mut self, bytes: &[u8], keys: &Keys) -> Answer<Listening> {
        // JSON read as MessagePack is the number of its first character.
        let packed = self.is_packed.then(|| rmp_serde::from_slice::<Value>(bytes).ok()).flatten();
        match packed.filter(Value::is_object) {
            Some(message) => self.on_message(&message, keys),
            None => self.on(&String::from_utf8_lossy(bytes), keys),
        }
    }

    /// Whoever does not say who he is must not keep the place.
    fn is_overdue(&self) -> Option<Arc<str>> {
        (!self.authenticated).then(|| self.say(&authorization(false, "authenticate", None)))
    }

    fn full(&self) -> Option<Arc<str>> {
        None
    }

    fn slow(&self) -> Option<Arc<str>> {
        None
    }

    /// Paper accounts get binary frames, whatever they hold.
    fn write(frames: &[Frame]) -> Vec<Message> {
        let binary = |frame: &Frame| match frame {
            Frame::Data(text) | Frame::Control(text) => Some(Message::binary(bytes(text))),
            Frame::Cut => None,
        };
        frames.iter().map_while(binary).collect()
    }
}

/// A message as it goes over the wire.
fn bytes(text: &str) -> Vec<u8> {
    let Some(json) = text.strip_prefix(PACKED) else { return text.as_bytes().to_vec() };
    let value: Value = serde_json::from_str(json).expect("our own messages are JSON");
    rmp_serde::to_vec(&value).expect("JSON fits into MessagePack")
}

fn authorization(accepted: bool, action: &str, message: Option<&str>) -> Value {
    let mut data = json!({"status": if accepted { "authorized" } else { "unauthorized" }, "action": action});
    if let Some(message) = message {
        data["message"] = message.into();
    }
    json!({"stream": "authorization", "data": data})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_authentication_and_listening() {
        let keys = Keys::only(KeyPair { key: "K".into(), secret: "S".into() });
        let mut session = TradeSession::default();
        let mut check = |said: &str, expected: Value, listening: Option<Listening>| {
            let answer = session.on(said, &keys);
            let got: Value = serde_json::from_str(&answer.messages.concat()).unwrap_or_default();
            assert_eq!(got, expected, "{said}");
            assert_eq!(answer.topic, listening, "{said}");
        };
        let listen = r#"{"action":"listen","data":{"streams":["trade_updates","account_updates"]}}"#;
        let status = |status: &str, action: &str| {
            let data = json!({"status": status, "action": action});
            json!({"stream": "authorization", "data": data})
        };
        check(listen, status("unauthorized", "listen"), None);
        check(
            r#"{"action":"auth","key":"K","secret":"wrong"}"#,
            status("unauthorized", "authenticate"),
            None,
        );
        check(r#"{"action":"auth","key":"K","secret":"S"}"#, status("authorized", "authenticate"), None);
        let mut old = status("authorized", "authenticate");
        old["data"]["message"] = DEPRECATED.into();
        check(r#"{"action":"authenticate","data":{"key_id":"K","secret_key":"S"}}"#, old, None);
        let streams = |streams: Value| json!({"stream": "listening", "data": {"streams": streams}});
        check(listen, streams(json!(["trade_updates"])), Some(Listening::Json));
        let wrong = r#"{"action":"auth","key":"K","secret":"wrong"}"#;
        check(wrong, status("unauthorized", "authenticate"), None);
        check(listen, streams(json!(["trade_updates"])), Some(Listening::Json));
        check(r#"{"action":"listen","data":{"streams":[]}}"#, streams(json!([])), Some(Listening::No));
        check("nonsense", Value::Null, None);
    }

    #[test]
    fn message_pack_holds_the_same() {
        let headers = [(header::CONTENT_TYPE, "application/msgpack".parse().expect("a value"))];
        let mut session = TradeSession::new(&headers.into_iter().collect(), None);
        let said = session.on(r#"{"action":"auth","key":"K","secret":"S"}"#, &Keys::any()).messages.remove(0);
        let listens = session.on(r#"{"action":"listen","data":{"streams":["trade_updates"]}}"#, &Keys::any());
        assert_eq!(listens.topic, Some(Listening::Packed));
        let frames = [Frame::Control(said), Frame::Data(in_shape(r#"{"price":"1.5"}"#, Listening::Packed))];
        let read = |message: &Message| match message {
            Message::Binary(bytes) => rmp_serde::from_slice::<Value>(bytes).expect("MessagePack"),
            other => panic!("{other:?}"),
        };
        let messages: Vec<Value> = TradeSession::write(&frames).iter().map(read).collect();
        assert_eq!(messages, [authorization(true, "authenticate", None), json!({"price": "1.5"})]);
    }

    #[test]
    fn message_pack_is_understood_by_who_asked_for_it() {
        let headers = [(header::CONTENT_TYPE, "application/msgpack".parse().expect("a value"))];
        let headers: HeaderMap = headers.into_iter().collect();
        let auth = json!({"action": "auth", "key": "K", "secret": "S"});
        let json = auth.to_string().into_bytes();
        let packed = rmp_serde::to_vec(&auth).expect("MessagePack");
        let check = |headers: &HeaderMap, bytes: &[u8], understood: bool| {
            let mut session = TradeSession::new(headers, None);
            let answer = session.on_binary(bytes, &Keys::any());
            assert_eq!(answer.messages.len(), usize::from(understood), "{headers:?} {bytes:?}");
            assert_eq!(session.is_overdue().is_none(), understood, "{headers:?} {bytes:?}");
        };
        check(&headers, &packed, true);
        check(&headers, &json, true);
        check(&headers, &packed[..packed.len() - 1], false);
        check(&headers, b"", false);
        check(&HeaderMap::new(), &json, true);
        check(&HeaderMap::new(), &packed, false);
    }

    #[test]
    fn places_are_counted_and_come_back() {
        let places = Places::new(2);
        let (first, second) = (places.take(), places.take());
        assert!(first.is_some() && second.is_some() && places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
        assert!(Places::new(0).take().is_none());
    }
}
