//! The trade-updates stream: auth, listen, then updates. Frames are binary at the paper endpoint, text
//! elsewhere; both hold JSON.

use std::collections::VecDeque;

use sandpit_broker::{OrderFeed, OrderSession, StreamError};
use sandpit_types::{ClientOrderId, TradeUpdate};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    Alpaca, map,
    socket::{Socket, down},
    wire::order::{Authorization, Listening, OwnerWire, StreamBody, StreamHead, UpdateWire},
};

/// The one stream there is.
const TRADE_UPDATES: &str = "trade_updates";
/// More updates than this before the greeting is over end the session.
const MAX_EARLY: usize = 1_000;

/// One open trade-updates connection.
pub struct AlpacaOrders {
    socket: Socket,
    /// Updates that came before the broker's last word of the greeting.
    early: VecDeque<TradeUpdate>,
}

impl OrderFeed for Alpaca {
    type Session = AlpacaOrders;

    async fn open(&self) -> Result<AlpacaOrders, StreamError> {
        let socket = Socket::connect(&self.order_stream).await?;
        let mut session = AlpacaOrders { socket, early: VecDeque::new() };
        let patience = self.order_stream.timeout;
        timeout(patience, session.greet(self.key_id.expose(), self.secret.expose()))
            .await
            .map_err(|_| down(format!("no greeting within {patience:?}")))??;
        Ok(session)
    }
}

impl OrderSession for AlpacaOrders {
    async fn next(&mut self) -> Result<Option<TradeUpdate>, StreamError> {
        if let Some(update) = self.early.pop_front() {
            return Ok(Some(update));
        }
        let frame = self.socket.frame().await?;
        if stream_of(&frame)? == TRADE_UPDATES { update(&frame) } else { Ok(None) }
    }
}

impl AlpacaOrders {
    /// The newer, flat form of `auth`; the older one is being deprecated (fact sheet 3).
    async fn greet(&mut self, key: &str, secret: &str) -> Result<(), StreamError> {
        self.socket.send(&json!({"action": "auth", "key": key, "secret": secret})).await?;
        let answer: Authorization = self.answer("authorization").await?;
        if answer.status != "authorized" {
            return Err(StreamError::Unauthorized { message: answer.message.unwrap_or(answer.status) });
        }
        self.socket.send(&json!({"action": "listen", "data": {"streams": [TRADE_UPDATES]}})).await?;
        let listening: Listening = self.answer("listening").await?;
        if listening.streams.iter().any(|stream| stream == TRADE_UPDATES) {
            Ok(())
        } else {
            Err(down(format!("the broker does not send {TRADE_UPDATES}, only {:?}", listening.streams)))
        }
    }

    async fn answer<T: DeserializeOwned>(&mut self, stream: &str) -> Result<T, StreamError> {
        loop {
            let frame = self.socket.frame().await?;
            match &*stream_of(&frame)? {
                name if name == stream => return data(&frame),
                TRADE_UPDATES if self.early.len() < MAX_EARLY => self.early.extend(update(&frame)?),
                TRADE_UPDATES => return Err(down("too many updates before the greeting is over".to_owned())),
                // A refusal to listen comes under the name of the authorization.
                "authorization" => {
                    let refusal: Authorization = data(&frame)?;
                    return Err(StreamError::Unauthorized {
                        message: refusal.message.unwrap_or(refusal.status),
                    });
                }
                _ => {}
            }
        }
    }
}

fn stream_of(frame: &[u8]) -> Result<String, StreamError> {
    let head: StreamHead = serde_json::from_slice(frame).map_err(unreadable)?;
    Ok(head.stream)
}

fn data<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, StreamError> {
    serde_json::from_slice::<StreamBody<T>>(frame).map(|body| body.data).map_err(unreadable)
}

/// An update that cannot be read may be a fill: the session ends, and what the books lack is asked for over
/// REST. Somebody else's (an option spread has neither symbol nor side) is logged and left out: it would
/// come again after every new connection of ours.
fn update(frame: &[u8]) -> Result<Option<TradeUpdate>, StreamError> {
    let read = data::<UpdateWire>(frame).and_then(|wire| {
        map::update(wire).map_err(|error| down(format!("an update cannot be read: {error}")))
    });
    match read {
        Ok(update) => Ok(Some(update)),
        Err(error) if is_foreign(frame) => {
            tracing::warn!(%error, "an update of somebody else's order is skipped");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether an update tells of an order that certainly is not ours: without any client id, nobody knows.
fn is_foreign(frame: &[u8]) -> bool {
    data::<OwnerWire>(frame).is_ok_and(|owner| owner.order.client_order_id.parse::<ClientOrderId>().is_err())
}

fn unreadable(error: serde_json::Error) -> StreamError {
    down(format!("a frame cannot be read: {error}"))
}
