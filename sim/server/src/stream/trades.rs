//! The trade-updates stream's conversation: authentication in its two shapes, and listening.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::session::{Answer, Session};
use crate::{
    keys::{KeyPair, Keys},
    sim::Desk,
    stream::hub::{Frame, Hub},
};

/// The only stream there is.
const TRADE_UPDATES: &str = "trade_updates";
const DEPRECATED: &str =
    "this authentication format is being deprecated, use {\"action\":\"auth\",\"key\":..} instead";

/// Whether a connection listens to trade updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening(pub bool);

/// One connection's place in the conversation.
///
/// ```text
/// Connected ── auth / authenticate ──> Authenticated ── listen ──> Authenticated
/// ```
#[derive(Debug, Default)]
pub struct TradeSession {
    authenticated: bool,
}

impl TradeSession {
    fn authenticate(&mut self, fields: Option<&Value>, names: [&str; 2], keys: &Keys) -> bool {
        let text =
            |name| fields.and_then(|f| f.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned();
        let [key, secret] = names.map(text);
        self.authenticated = keys.accept(&KeyPair { key, secret });
        self.authenticated
    }

    fn listen(&self, message: &Value) -> Answer<Listening> {
        if !self.authenticated {
            return Answer::say(authorization(false, "listen", None));
        }
        let streams = message.pointer("/data/streams").and_then(Value::as_array);
        let listening = streams.is_some_and(|streams| streams.iter().any(|name| name == TRADE_UPDATES));
        let streams = if listening { vec![TRADE_UPDATES] } else { Vec::new() };
        let text = json!({"stream": "listening", "data": {"streams": streams}}).to_string();
        Answer { messages: vec![text.into()], topic: Some(Listening(listening)) }
    }
}

impl Session for TradeSession {
    type Topic = Listening;
    type Message = Arc<str>;

    fn hub(desk: &mut Desk) -> &mut Hub<Listening> {
        &mut desk.trades
    }

    fn hello(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn on(&mut self, text: &str, keys: &Keys) -> Answer<Listening> {
        let message = serde_json::from_str::<Value>(text).unwrap_or_default();
        match message.get("action").and_then(Value::as_str) {
            Some("auth") => {
                let accepted = self.authenticate(Some(&message), ["key", "secret"], keys);
                Answer::say(authorization(accepted, "authenticate", None))
            }
            Some("authenticate") => {
                let accepted = self.authenticate(message.get("data"), ["key_id", "secret_key"], keys);
                Answer::say(authorization(accepted, "authenticate", accepted.then_some(DEPRECATED)))
            }
            Some("listen") => self.listen(&message),
            // The broker's answer to anything else is not known.
            _ => Answer { messages: Vec::new(), topic: None },
        }
    }

    fn is_overdue(&self) -> Option<Arc<str>> {
        None
    }

    fn full(&self) -> Option<Arc<str>> {
        None
    }

    fn slow(&self) -> Option<Arc<str>> {
        None
    }

    /// Paper accounts get binary frames that hold JSON text.
    fn write(frames: &[Frame]) -> Vec<Message> {
        let binary = |frame: &Frame| match frame {
            Frame::Data(text) | Frame::Control(text) => Message::binary(text.as_bytes().to_vec()),
        };
        frames.iter().map(binary).collect()
    }
}

fn authorization(accepted: bool, action: &str, message: Option<&str>) -> Arc<str> {
    let mut data = json!({"status": if accepted { "authorized" } else { "unauthorized" }, "action": action});
    if let Some(message) = message {
        data["message"] = message.into();
    }
    json!({"stream": "authorization", "data": data}).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_authentication_and_listening() {
        let keys = Keys::only(KeyPair { key: "K".into(), secret: "S".into() });
        let mut session = TradeSession::default();
        let mut check = |said: &str, expected: Value, listening: Option<bool>| {
            let answer = session.on(said, &keys);
            let got: Value = serde_json::from_str(&answer.messages.concat()).unwrap_or_default();
            assert_eq!(got, expected, "{said}");
            assert_eq!(answer.topic.map(|topic| topic.0), listening, "{said}");
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
        check(listen, streams(json!(["trade_updates"])), Some(true));
        check(r#"{"action":"listen","data":{"streams":[]}}"#, streams(json!([])), Some(false));
        check("nonsense", Value::Null, None);
    }
}
