//! The market-data stream's conversation: welcome, authentication, subscriptions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::session::{Answer, Session};
use crate::{
    faults::Stream,
    keys::{KeyPair, Keys},
    sim::Desk,
    stream::hub::{Frame, Hub},
};

/// Channels of the stock stream. Only the first three carry events so far.
const CHANNELS: [&str; 9] = [
    "trades",
    "quotes",
    "bars",
    "updatedBars",
    "dailyBars",
    "statuses",
    "lulds",
    "corrections",
    "cancelErrors",
];
/// Channels that come and go with trades.
const WITH_TRADES: [&str; 2] = ["corrections", "cancelErrors"];
/// Most symbols of one connection over all channels.
const MAX_SUBSCRIBED: usize = 10_000;

/// What a connection wants to hear: symbols, or `*`, by channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription(BTreeMap<&'static str, BTreeSet<Arc<str>>>);

impl Subscription {
    /// Whether events of this channel and symbol are wanted.
    pub fn wants(&self, channel: &str, symbol: &str) -> bool {
        self.0.get(channel).is_some_and(|symbols| symbols.contains("*") || symbols.contains(symbol))
    }

    fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    fn change(&mut self, channel: &'static str, symbols: &[Arc<str>], add: bool) {
        let set = self.0.entry(channel).or_default();
        for symbol in symbols {
            if add {
                set.insert(symbol.clone());
            } else {
                set.remove(symbol);
            }
        }
    }

    /// The acknowledgement: always the complete set.
    fn acknowledgement(&self) -> Arc<str> {
        let mut message = serde_json::Map::new();
        message.insert("T".into(), "subscription".into());
        for channel in CHANNELS {
            let symbols = self.0.get(channel).into_iter().flatten();
            message.insert(channel.into(), symbols.map(|symbol| Value::from(&**symbol)).collect());
        }
        json!([message]).to_string().into()
    }
}

/// One connection's place in the conversation.
///
/// ```text
/// Connected ── auth ──> Authenticated ── subscribe / unsubscribe ──> Authenticated
/// ```
#[derive(Debug, Default)]
pub struct DataSession {
    authenticated: bool,
    subscription: Subscription,
}

impl DataSession {
    /// A connection whose handshake carried `keys` or none.
    pub fn new(offered: Option<&KeyPair>, keys: &Keys) -> Self {
        let authenticated = offered.is_some_and(|pair| keys.accept(pair));
        Self { authenticated, subscription: Subscription::default() }
    }

    fn authenticate(&mut self, message: &Value, keys: &Keys) -> Arc<str> {
        let text = |name| message.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if self.authenticated {
            return error(403, "already authenticated");
        }
        self.authenticated = keys.accept(&KeyPair { key: text("key"), secret: text("secret") });
        if self.authenticated { success("authenticated") } else { error(402, "auth failed") }
    }

    fn subscribe(&mut self, message: &Value, add: bool) -> Answer<Subscription> {
        if !self.authenticated {
            return Answer::say(error(401, "not authenticated"));
        }
        let mut wanted = self.subscription.clone();
        let fields = message.as_object().into_iter().flatten().filter(|(name, _)| *name != "action");
        for (name, symbols) in fields {
            let Some(symbols) = symbol_list(symbols) else {
                return Answer::say(error(400, "invalid syntax"));
            };
            let Some(channel) = CHANNELS.into_iter().find(|channel| channel == name) else {
                if symbols.is_empty() {
                    continue;
                }
                return Answer::say(error(410, "invalid subscribe action for this feed"));
            };
            wanted.change(channel, &symbols, add);
            if channel == "trades" {
                WITH_TRADES.into_iter().for_each(|companion| wanted.change(companion, &symbols, add));
            }
        }
        if wanted.len() > MAX_SUBSCRIBED {
            return Answer::say(error(405, "symbol limit exceeded"));
        }
        self.subscription = wanted.clone();
        Answer { messages: vec![wanted.acknowledgement()], topic: Some(wanted) }
    }
}

impl Session for DataSession {
    type Topic = Subscription;
    const STREAM: Stream = Stream::Data;

    fn hub(desk: &mut Desk) -> &mut Hub<Subscription> {
        &mut desk.data
    }

    fn hello(&self) -> Vec<Arc<str>> {
        let mut messages = vec![success("connected")];
        if self.authenticated {
            messages.push(success("authenticated"));
        }
        messages
    }

    fn on(&mut self, text: &str, keys: &Keys) -> Answer<Subscription> {
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return Answer::say(error(400, "invalid syntax"));
        };
        match message.get("action").and_then(Value::as_str) {
            Some("auth") => Answer::say(self.authenticate(&message, keys)),
            Some("subscribe") => self.subscribe(&message, true),
            Some("unsubscribe") => self.subscribe(&message, false),
            _ => Answer::say(error(400, "invalid syntax")),
        }
    }

    fn is_overdue(&self) -> Option<Arc<str>> {
        (!self.authenticated).then(|| error(404, "auth timeout"))
    }

    fn full() -> Option<Arc<str>> {
        Some(error(406, "connection limit exceeded"))
    }

    fn slow() -> Option<Arc<str>> {
        Some(error(407, "slow client"))
    }

    /// Every frame is an array: control messages are one already, data messages are put together.
    fn write(frames: &[Frame]) -> Vec<tokio_tungstenite::tungstenite::Message> {
        let mut messages = Vec::new();
        let mut array = String::new();
        for frame in frames {
            match frame {
                Frame::Data(text) => {
                    array.push(if array.is_empty() { '[' } else { ',' });
                    array.push_str(text);
                }
                Frame::Control(text) => {
                    flush(&mut array, &mut messages);
                    messages.push(text.as_ref().into());
                }
                Frame::Cut => break,
            }
        }
        flush(&mut array, &mut messages);
        messages
    }
}

fn flush(array: &mut String, messages: &mut Vec<tokio_tungstenite::tungstenite::Message>) {
    if !array.is_empty() {
        array.push(']');
        messages.push(std::mem::take(array).into());
    }
}

/// An array of `*` or stock symbols.
fn symbol_list(value: &Value) -> Option<Vec<Arc<str>>> {
    let symbols = value.as_array()?.iter().map(|symbol| {
        let symbol = symbol.as_str().filter(|symbol| *symbol == "*" || crate::data::is_symbol(symbol))?;
        Some(Arc::from(symbol))
    });
    symbols.collect()
}

fn success(msg: &str) -> Arc<str> {
    json!([{"T": "success", "msg": msg}]).to_string().into()
}

/// An error frame of this stream.
pub(super) fn error(code: u16, msg: &str) -> Arc<str> {
    json!([{"T": "error", "code": code, "msg": msg}]).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a conversation and compares every answer.
    fn check(script: &[(&str, &str)]) {
        let keys = Keys::only(KeyPair { key: "K".into(), secret: "S".into() });
        let mut session = DataSession::new(None, &keys);
        assert_eq!(session.hello(), [success("connected")]);
        for (said, expected) in script {
            let answer = session.on(said, &keys).messages.concat();
            assert!(answer.contains(expected), "{said} was answered {answer}, not {expected}");
        }
    }

    const AUTH: (&str, &str) =
        (r#"{"action":"auth","key":"K","secret":"S"}"#, r#"[{"T":"success","msg":"authenticated"}]"#);

    #[test]
    fn authentication() {
        check(&[
            (r#"{"action":"subscribe","bars":["*"]}"#, r#""code":401"#),
            (r#"{"action":"auth","key":"K","secret":"no"}"#, r#""code":402"#),
            AUTH,
            (AUTH.0, r#""code":403"#),
        ]);
    }

    #[test]
    fn the_complete_set_is_acknowledged() {
        check(&[
            AUTH,
            (
                r#"{"action":"subscribe","trades":["SPY"],"quotes":["IBM","SPY"],"bars":["*"]}"#,
                r#"[{"T":"subscription","bars":["*"],"cancelErrors":["SPY"],"corrections":["SPY"],"#,
            ),
            (r#"{"action":"unsubscribe","quotes":["SPY"],"trades":["SPY"]}"#, r#""quotes":["IBM"]"#),
            (r#"{"action":"unsubscribe"}"#, r#""corrections":[]"#),
        ]);
    }

    #[test]
    fn nonsense_is_refused_and_changes_nothing() {
        check(&[
            AUTH,
            ("", r#""code":400"#),
            ("[1]", r#""code":400"#),
            (r#"{"action":"dance"}"#, r#""code":400"#),
            (r#"{"action":"subscribe","bars":"SPY"}"#, r#""code":400"#),
            (r#"{"action":"subscribe","bars":["spy!"]}"#, r#""code":400"#),
            (r#"{"action":"subscribe","bars":["SPY"],"orderbooks":["SPY"]}"#, r#""code":410"#),
            (r#"{"action":"subscribe","news":[]}"#, r#""bars":[]"#),
        ]);
    }

    #[test]
    fn data_is_batched_and_control_stands_alone() {
        let frames = [
            Frame::Data("1".into()),
            Frame::Data("2".into()),
            Frame::Control("[0]".into()),
            Frame::Data("3".into()),
        ];
        let texts: Vec<String> =
            DataSession::write(&frames).iter().map(|m| m.to_text().expect("text").to_owned()).collect();
        assert_eq!(texts, ["[1,2]", "[0]", "[3]"]);
    }
}
