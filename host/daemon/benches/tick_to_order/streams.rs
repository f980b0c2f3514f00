//! The streams: greetings as Alpaca speaks them. Afterwards a thread only listens for the end; what is sent
//! is written as whole frames by whoever has something to say.

use std::net::TcpStream;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message, WebSocket, accept_hdr,
    handshake::server::{Request, Response},
};

use crate::{
    broker::Shared,
    quotes::{self, Encoding, SYMBOL},
    world,
};

const LISTS: [&str; 8] =
    ["bars", "updatedBars", "quotes", "trades", "dailyBars", "statuses", "lulds", "corrections"];

/// Whether the first request of a connection asks for a stream; `None` when it ends before it says so. The
/// request stays in the socket.
pub(crate) fn wants_stream(socket: &TcpStream) -> Option<bool> {
    let mut room = [0; 4_096];
    world::wait_for("the head of a request", || {
        let count = match socket.peek(&mut room) {
            Ok(0) | Err(_) => return Some(None),
            Ok(count) => count,
        };
        let text = String::from_utf8_lossy(&room[..count]);
        let is_whole = text.contains("\r\n\r\n") || count == room.len();
        is_whole.then(|| Some(text.to_ascii_lowercase().contains("upgrade: websocket")))
    })
}

/// Greets a client and listens until it goes.
pub(crate) fn serve(socket: TcpStream, shared: &Shared) -> Option<()> {
    let own = socket.try_clone().ok()?;
    let mut path = String::new();
    let mut encoding = Encoding::Json;
    #[expect(clippy::result_large_err, reason = "the type of the library's callback")]
    let look = |request: &Request, response: Response| {
        request.uri().path().clone_into(&mut path);
        let kind = request.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.contains("msgpack")) {
            encoding = Encoding::MessagePack;
        }
        Ok(response)
    };
    let mut client = Client { socket: accept_hdr(socket, look).ok()?, encoding };
    if path == "/stream" {
        client.heard()?;
        let status = json!({"status": "authorized", "action": "authenticate"});
        client.say(&json!({"stream": "authorization", "data": status}))?;
        client.heard()?;
        client.say(&json!({"stream": "listening", "data": {"streams": ["trade_updates"]}}))?;
        shared.follows(own);
    } else {
        client.say(&json!([{"T": "success", "msg": "connected"}]))?;
        client.heard()?;
        client.say(&json!([{"T": "success", "msg": "authenticated"}]))?;
        client.heard()?;
        let mut told = json!({"T": "subscription"});
        LISTS.iter().for_each(|list| told[list] = json!([SYMBOL]));
        client.say(&json!([told]))?;
        shared.listens(own, encoding);
    }
    loop {
        // Pings are answered by the library.
        client.socket.read().ok()?;
    }
}

struct Client {
    socket: WebSocket<TcpStream>,
    encoding: Encoding,
}

impl Client {
    fn say(&mut self, words: &Value) -> Option<()> {
        let payload = quotes::words(self.encoding, words);
        self.socket
            .send(match self.encoding {
                Encoding::Json => Message::text(String::from_utf8(payload).ok()?),
                Encoding::MessagePack => Message::binary(payload),
            })
            .ok()
    }

    fn heard(&mut self) -> Option<()> {
        while !matches!(self.socket.read().ok()?, Message::Text(_) | Message::Binary(_)) {}
        Some(())
    }
}
