//! A WebSocket with keep-alive: our own pings tell a dead connection from a quiet one.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use sandpit_broker::{Class, Gate, StreamError};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        self, Message, Utf8Bytes,
        client::IntoClientRequest,
        http::{HeaderValue, header::CONTENT_TYPE},
        protocol::WebSocketConfig,
    },
};

use crate::{config::Encoding, decode::pack, limits};

/// Alpaca's own clients ping every 10 s and want an answer within 5 (fact sheet 4); real time. With so many
/// unanswered, a connection that died without a word is noticed after 15 s at the latest.
const PING_EVERY: Duration = Duration::from_secs(5);
/// When the time for the next ping comes and so many are unanswered, the connection is dead.
const MAX_UNANSWERED: u32 = 2;
/// A broker that takes nothing for so long is gone; real time.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// A longer message ends the session; 64 KiB is already a large batch, and the acknowledgement of every
/// symbol there is has half a megabyte.
const MAX_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// What one read from the connection takes at most: a busy stream is read in large pieces, and a quiet one
/// does not clear a larger buffer before each of its small ones.
const READ_BUFFER_BYTES: usize = 64 * 1024;
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
    /// How it is written.
    pub(crate) encoding: Encoding,
    /// How long each step may take.
    pub(crate) timeout: Duration,
}

/// One open connection. Dropping it closes it.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    encoding: Encoding,
    /// The next ping; one timer for the life of the socket, so that a frame costs none.
    ping: Pin<Box<Sleep>>,
    pulse: Pulse,
}

impl Socket {
    /// Connects; the handshake passes the gate as a request does, before the pages of history that wait
    /// there: fills and prices come back over it.
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Self, StreamError> {
        endpoint.gate.acquire(Class::Reduce, None, None).await?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES))
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_write_buffer_size(MAX_WRITE_BYTES)
            .write_buffer_size(0);
        let tls = Connector::Rustls(Arc::clone(&endpoint.tls));
        let mut request = (&*endpoint.url).into_client_request().map_err(|error| down(error.to_string()))?;
        if endpoint.encoding == Encoding::MessagePack {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/msgpack"));
        }
        let connecting = connect_async_tls_with_config(request, Some(config), true, Some(tls));
        let (stream, response) = timeout(endpoint.timeout, Box::pin(connecting))
            .await
            .map_err(|_| down(format!("no handshake within {:?}", endpoint.timeout)))?
            .map_err(|error| handshake(error, &*endpoint.gate))?;
        if let Some(hint) = limits::remaining(response.headers()) {
            endpoint.gate.observe(hint);
        }
        let ping = Box::pin(sleep_until(Instant::now() + PING_EVERY));
        Ok(Self { stream, encoding: endpoint.encoding, ping, pulse: Pulse::default() })
    }

    /// Says something, in the encoding of the stream.
    pub(crate) async fn send(&mut self, words: &Value) -> Result<(), StreamError> {
        self.write(match self.encoding {
            Encoding::Json => Message::Text(Utf8Bytes::from(words.to_string())),
            Encoding::MessagePack => Message::Binary(pack(words).into()),
        })
        .await
    }

    /// The payload of the next text or binary message. Cancel-safe: nothing is taken out before it is
    /// returned.
    pub(crate) async fn frame(&mut self) -> Result<Bytes, StreamError> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.stream.next() => message,
                () = self.ping.as_mut() => {
                    self.keep_alive().await?;
                    continue;
                }
            };
            self.pulse.heard();
            if let Some(payload) = payload(message)? {
                return Ok(payload);
            }
        }
    }

    /// The payload of a message that is here already; `None` when there is none, or a ping stands before it.
    /// After `None` and before any other wait, `frame` has to be asked: only it is woken by what comes next.
    pub(crate) fn arrived(&mut self) -> Option<Result<Bytes, StreamError>> {
        payload(self.stream.next().now_or_never()?).transpose()
    }

    async fn keep_alive(&mut self) -> Result<(), StreamError> {
        self.ping.as_mut().reset(Instant::now() + PING_EVERY);
        if !self.pulse.is_alive() {
            return Err(down(format!("nothing heard since {MAX_UNANSWERED} pings, not even a pong")));
        }
        self.write(Message::Ping(Bytes::new())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), StreamError> {
        timeout(WRITE_TIME, self.stream.send(message))
            .await
            .map_err(|_| down(format!("the broker took nothing for {WRITE_TIME:?}")))?
            .map_err(|error| down(error.to_string()))
    }
}

/// The pings that nobody answered. Pings are counted, not seconds: after a pause of our own machine, the
/// other side must have its chance to answer before it is called dead.
#[derive(Debug, Default)]
struct Pulse {
    unanswered: u32,
}

impl Pulse {
    /// Anything at all was heard.
    fn heard(&mut self) {
        self.unanswered = 0;
    }

    /// The time for the next ping has come: whether there is somebody to send it to.
    fn is_alive(&mut self) -> bool {
        let is_alive = self.unanswered < MAX_UNANSWERED;
        self.unanswered += 1;
        is_alive
    }
}

/// What a message carries; pings and pongs carry nothing.
fn payload(message: Option<Result<Message, tungstenite::Error>>) -> Result<Option<Bytes>, StreamError> {
    match message.ok_or_else(|| down("closed".to_owned()))?.map_err(|error| down(error.to_string()))? {
        Message::Text(text) => Ok(Some(text.into())),
        Message::Binary(bytes) => Ok(Some(bytes)),
        Message::Close(Some(close)) => Err(down(format!("closed by the broker: {close}"))),
        Message::Close(None) => Err(down("closed by the broker".to_owned())),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pings_without_an_answer_are_the_end() {
        let check = |script: &str, expected: &str| {
            let mut pulse = Pulse::default();
            let played: String = script
                .chars()
                .map(|what| match (what, what == 'p' && pulse.is_alive()) {
                    ('h', _) => {
                        pulse.heard();
                        'h'
                    }
                    (_, true) => 'p',
                    (_, false) => '!',
                })
                .collect();
            assert_eq!(played, expected, "{script}");
        };
        check("ppp", "pp!");
        check("phphphp", "phphphp");
        check("pphpp", "pphpp");
        check("pphppp", "pphpp!");
        assert!(PING_EVERY * (MAX_UNANSWERED + 1) <= Duration::from_secs(15), "the goal for a mute stream");
    }
}
