//! The market-data stream's conversation: welcome, authentication, subscriptions.

mod door;
mod encoding;
mod feed;
mod outlet;
mod subscription;
mod test_market;

pub use door::{Door, Place, Plan};
pub use encoding::{Encoding, Payload};
pub use feed::{Channel, Feed};
pub use outlet::Outlet;
pub use subscription::{Subscription, Wanted};
pub use test_market::TEST_SYMBOL;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use self::subscription::NoChange;
use super::session::{Answer, Session};
use crate::{
    faults::Stream,
    keys::{KeyPair, Keys},
    sim::Desk,
    stream::hub::{Frame, Hub},
};

/// What the stream says when something is wrong, with the broker's code (fact sheet 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// A message is malformed, or a symbol is none.
    InvalidSyntax,
    /// A subscription came before the authentication.
    NotAuthenticated,
    /// The keys are wrong.
    AuthFailed,
    /// A second authentication.
    AlreadyAuthenticated,
    /// No authentication in time.
    AuthTimeout,
    /// Too many symbols; the subscription is as it was.
    SymbolLimit,
    /// All places of this key at this endpoint are taken.
    ConnectionLimit,
    /// The client does not keep up.
    SlowClient,
    /// The plan lacks this feed.
    InsufficientSubscription,
    /// The feed lacks this channel.
    InvalidAction,
    /// The broker's own fault.
    Internal,
}

impl StreamError {
    /// Code and message.
    pub const fn words(self) -> (u16, &'static str) {
        match self {
            Self::InvalidSyntax => (400, "invalid syntax"),
            Self::NotAuthenticated => (401, "not authenticated"),
            Self::AuthFailed => (402, "auth failed"),
            Self::AlreadyAuthenticated => (403, "already authenticated"),
            Self::AuthTimeout => (404, "auth timeout"),
            Self::SymbolLimit => (405, "symbol limit exceeded"),
            Self::ConnectionLimit => (406, "connection limit exceeded"),
            Self::SlowClient => (407, "slow client"),
            Self::InsufficientSubscription => (409, "insufficient subscription"),
            Self::InvalidAction => (410, "invalid subscribe action for this feed"),
            Self::Internal => (500, "internal error"),
        }
    }
}

/// Where a connection stands.
#[derive(Debug)]
enum State {
    /// It has not said who it is.
    Connected,
    /// Its keys are good but there is no place for it, or its plan lacks the feed. For a place it may try
    /// again.
    TurnedAway(StreamError),
    /// It is in; the place is free again when this is dropped.
    Authenticated { _place: Place },
}

/// One connection's place in the conversation.
///
/// ```text
/// Connected ── auth ──> Authenticated ── subscribe / unsubscribe ──> Authenticated
///     │                      ^
///     └─ auth ─> TurnedAway ─┘ auth, when a place is free
/// ```
#[derive(Debug)]
pub struct DataSession {
    feed: Feed,
    encoding: Encoding,
    door: Arc<Door>,
    state: State,
    /// Whether keys came with the handshake and were wrong.
    is_refused: bool,
    wanted: Arc<Wanted>,
}

impl DataSession {
    /// A connection whose handshake carried `offered` keys or none.
    pub fn new(
        feed: Feed,
        encoding: Encoding,
        door: &Arc<Door>,
        offered: Option<&KeyPair>,
        keys: &Keys,
    ) -> Self {
        let (door, wanted) = (door.clone(), Arc::default());
        let mut session = Self { feed, encoding, door, state: State::Connected, is_refused: false, wanted };
        if let Some(pair) = offered {
            session.is_refused =
                session.authenticate(pair, keys).is_err_and(|e| e == StreamError::AuthFailed);
        }
        session
    }

    fn authenticate(&mut self, pair: &KeyPair, keys: &Keys) -> Result<(), StreamError> {
        if let State::Authenticated { .. } = self.state {
            return Err(StreamError::AlreadyAuthenticated);
        }
        if !keys.accept(pair) {
            return Err(StreamError::AuthFailed);
        }
        let place = if self.feed.needs_plus() && self.door.plan() == Plan::Basic {
            Err(StreamError::InsufficientSubscription)
        } else {
            self.door.place(self.feed, pair).ok_or(StreamError::ConnectionLimit)
        };
        match place {
            Ok(place) => {
                self.state = State::Authenticated { _place: place };
                Ok(())
            }
            Err(error) => {
                self.state = State::TurnedAway(error);
                Err(error)
            }
        }
    }

    fn answer(&mut self, message: Option<Value>, keys: &Keys) -> Answer<Subscription, Payload> {
        let message = message.unwrap_or_default();
        match message.get("action").and_then(Value::as_str) {
            Some("auth") => {
                let text = |name| message.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let pair = KeyPair { key: text("key"), secret: text("secret") };
                Answer::say(match self.authenticate(&pair, keys) {
                    Ok(()) => self.success("authenticated"),
                    Err(error) => self.error(error),
                })
            }
            Some("subscribe") => self.subscribe(&message, true),
            Some("unsubscribe") => self.subscribe(&message, false),
            Some(_) | None => Answer::say(self.error(StreamError::InvalidSyntax)),
        }
    }

    fn subscribe(&mut self, message: &Value, add: bool) -> Answer<Subscription, Payload> {
        let State::Authenticated { .. } = self.state else {
            return Answer::say(self.error(StreamError::NotAuthenticated));
        };
        match self.wanted.after(message, add, self.feed, self.door.plan()) {
            Ok(wanted) => {
                self.wanted = Arc::new(wanted);
                let messages = vec![self.encoding.control(&self.wanted.acknowledgement(self.feed))];
                Answer { messages, topic: Some(Subscription::new(self.feed, self.encoding, &self.wanted)) }
            }
            Err(NoChange::Syntax) => Answer::say(self.error(StreamError::InvalidSyntax)),
            Err(NoChange::Channel) => Answer::say(self.error(StreamError::InvalidAction)),
            Err(NoChange::Limit) => Answer::say(self.error(StreamError::SymbolLimit)),
        }
    }

    fn success(&self, msg: &str) -> Payload {
        self.encoding.control(&json!([{"T": "success", "msg": msg}]))
    }

    fn error(&self, error: StreamError) -> Payload {
        let (code, msg) = error.words();
        self.encoding.control(&json!([{"T": "error", "code": code, "msg": msg}]))
    }
}

impl Session for DataSession {
    const STREAM: Stream = Stream::Data;
    type Topic = Subscription;
    type Message = Payload;

    fn hub(desk: &mut Desk) -> &mut Hub<Subscription, Payload> {
        desk.data.hub()
    }

    fn hello(&self) -> Vec<Payload> {
        let second = match self.state {
            State::Authenticated { .. } => Some(self.success("authenticated")),
            State::TurnedAway(error) => Some(self.error(error)),
            State::Connected if self.is_refused => Some(self.error(StreamError::AuthFailed)),
            State::Connected => None,
        };
        [self.success("connected")].into_iter().chain(second).collect()
    }

    fn on(&mut self, text: &str, keys: &Keys) -> Answer<Subscription, Payload> {
        self.answer(serde_json::from_str(text).ok(), keys)
    }

    fn on_binary(&mut self, bytes: &[u8], keys: &Keys) -> Answer<Subscription, Payload> {
        let message = match self.encoding {
            Encoding::Json => serde_json::from_slice(bytes).ok(),
            Encoding::MessagePack => encoding::unpack(bytes),
        };
        self.answer(message, keys)
    }

    fn holds_place(&self) -> bool {
        matches!(self.state, State::Authenticated { .. })
    }

    /// Who has shown good keys and waits for a place is not overdue: the Go SDK retries for a while.
    fn is_overdue(&self) -> Option<Payload> {
        match self.state {
            State::Connected | State::TurnedAway(StreamError::InsufficientSubscription) => {
                Some(self.error(StreamError::AuthTimeout))
            }
            State::TurnedAway(_) | State::Authenticated { .. } => None,
        }
    }

    fn full(&self) -> Option<Payload> {
        Some(self.error(StreamError::ConnectionLimit))
    }

    fn slow(&self) -> Option<Payload> {
        Some(self.error(StreamError::SlowClient))
    }

    fn write(frames: &[Frame<Payload>]) -> Vec<Message> {
        encoding::write(frames)
    }
}

#[cfg(test)]
mod tests;
