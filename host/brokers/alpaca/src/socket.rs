//! A WebSocket with keep-alive: our own pings tell a dead connection from a quiet one.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use sandpit_broker::{Class, Gate, StreamError};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{self, Message, Utf8Bytes, protocol::WebSocketConfig},
};

use crate::limits;

/// We ping as often as Alpaca's own clients do (fact sheet 4); real time.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Nothing heard for this long, not even a pong: the connection is dead; real time.
const DEAF_AFTER: Duration = Duration::from_secs(30);
/// A longer message ends the session; 64 KiB is already a large batch.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// What may wait to be written before sending fails.
const MAX_WRITE_BYTES: usize = 1024 * 1024;

/// How to reach one stream.
pub(crate) struct Endpoint {
    /// The whole address.
    pub(crate) url: String,
    /// TLS, for `wss` addresses.
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// The budget that handshakes count against.
    pub(crate) gate: Arc<dyn Gate>,
    /// How long each step may take.
    pub(crate) timeout: Duration,
}

/// One open connection. Dropping it closes it.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    ping_at: Instant,
    heard_at: Instant,
}

impl Socket {
    /// Connects; the handshake passes the gate as a request does.
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Self, StreamError> {
        endpoint.gate.acquire(Class::Poll, None, None).await?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES))
            .max_write_buffer_size(MAX_WRITE_BYTES)
            .write_buffer_size(0);
        let tls = Connector::Rustls(Arc::clone(&endpoint.tls));
        let connecting = connect_async_tls_with_config(&endpoint.url, Some(config), true, Some(tls));
        let (stream, response) = timeout(endpoint.timeout, Box::pin(connecting))
            .await
            .map_err(|_| down(format!("no handshake within {:?}", endpoint.timeout)))?
            .map_err(|error| handshake(error, &*endpoint.gate))?;
        if let Some(hint) = limits::remaining(response.headers()) {
            endpoint.gate.observe(hint);
        }
        let now = Instant::now();
        Ok(Self { stream, ping_at: now + PING_EVERY, heard_at: now })
    }

    /// Sends a JSON text.
    pub(crate) async fn send(&mut self, json: String) -> Result<(), StreamError> {
        self.write(Message::Text(Utf8Bytes::from(json))).await
    }

    /// The payload of the next text or binary message. Cancel-safe: nothing is taken out before it is
    /// returned.
    pub(crate) async fn frame(&mut self) -> Result<Bytes, StreamError> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.stream.next() => message,
                () = sleep_until(self.ping_at) => {
                    self.keep_alive().await?;
                    continue;
                }
            };
            let message =
                message.ok_or_else(|| down("closed".to_owned()))?.map_err(|e| down(e.to_string()))?;
            self.heard_at = Instant::now();
            match message {
                Message::Text(text) => return Ok(text.into()),
                Message::Binary(bytes) => return Ok(bytes),
                Message::Close(Some(close)) => return Err(down(format!("closed by the broker: {close}"))),
                Message::Close(None) => return Err(down("closed by the broker".to_owned())),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn keep_alive(&mut self) -> Result<(), StreamError> {
        let now = Instant::now();
        if now.duration_since(self.heard_at) > DEAF_AFTER {
            return Err(down(format!("nothing heard for {DEAF_AFTER:?}, not even a pong")));
        }
        self.ping_at = now + PING_EVERY;
        self.write(Message::Ping(Bytes::new())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), StreamError> {
        timeout(PING_EVERY, self.stream.send(message))
            .await
            .map_err(|_| down(format!("the broker took nothing for {PING_EVERY:?}")))?
            .map_err(|error| down(error.to_string()))
    }
}

/// The stream ended or never began.
pub(crate) fn down(message: String) -> StreamError {
    StreamError::Down { message }
}

/// Why there is no connection. A 429 here means that an older one of ours is still held (fact sheet 3),
/// unless its headers say that the quota is used up: then the gate pauses everything by itself.
fn handshake(error: tungstenite::Error, gate: &dyn Gate) -> StreamError {
    let tungstenite::Error::Http(response) = error else { return down(error.to_string()) };
    if let Some(hint) = limits::remaining(response.headers()) {
        gate.observe(hint);
    }
    let words = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let message = format!("HTTP {} at the handshake: {}", response.status(), words.trim());
    match response.status().as_u16() {
        401 | 403 => StreamError::Unauthorized { message },
        406 | 429 => StreamError::Occupied { message },
        _ => StreamError::Down { message },
    }
}
