//! What the host is held against, each in a process of its own: a bot as the documentation of `alpaca-py`
//! shows them, and the floor, which does nothing that need not be done.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use crate::{broker::Broker, quotes::SYMBOL};

const SCRIPT: &str = include_str!("bot.py");
/// The word that makes this program the floor.
pub(crate) const FLOOR: &str = "floor";

/// A peer that runs until it is dropped.
pub(crate) struct Peer(Child);

impl Peer {
    /// The bot.
    pub(crate) fn bot(python: &OsStr, broker: &Broker) -> Self {
        let mut command = Command::new(python);
        command.args(["-", &broker.address.to_string(), SYMBOL]).stdin(Stdio::piped());
        let mut child = command.spawn().expect("Python runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(SCRIPT.as_bytes()).expect("Python reads its program");
        Self(child)
    }

    /// The floor.
    pub(crate) fn floor(broker: &Broker) -> Self {
        let this = std::env::current_exe().expect("a path");
        let mut command = Command::new(this);
        Self(command.args([FLOOR, &broker.address.to_string()]).spawn().expect("this program runs"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has nothing to save.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The floor itself: finds the ask in the text of a quote, writes it into an order made before, sends that on
/// a connection made before, and reads the answer.
pub(crate) fn floor(address: &str) {
    let mut stream = TcpStream::connect(address).expect("the broker listens");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let upgrade = format!(
        "GET /v2/iex HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).expect("the broker reads");
    let mut room = vec![0; 65_536];
    for (expected, answer) in [
        ("connected", Some(r#"{"action":"auth","key":"k","secret":"s"}"#)),
        ("authenticated", Some(r#"{"action":"subscribe","quotes":["SPY"]}"#)),
        ("subscription", None),
    ] {
        hear(&mut stream, &mut room, expected);
        if let Some(words) = answer {
            say(&mut stream, words);
        }
    }
    let mut orders = TcpStream::connect(address).expect("the broker listens");
    orders.set_nodelay(true).expect("TCP_NODELAY");
    let (mut order, price_at) = order(address);
    loop {
        let count = stream.read(&mut room).expect("the stream lasts");
        if count == 0 {
            return;
        }
        let Some(ask_at) = find(&room[..count], b"\"ap\":") else { continue };
        order[price_at..price_at + 6].copy_from_slice(&room[ask_at..ask_at + 6]);
        orders.write_all(&order).expect("the broker reads");
        let _ = orders.read(&mut room).expect("the broker answers");
    }
}

/// A request for one share, and where its price is.
fn order(address: &str) -> (Vec<u8>, usize) {
    let body = format!(
        "{{\"symbol\":\"{SYMBOL}\",\"qty\":\"1\",\"side\":\"buy\",\"type\":\"limit\",\
         \"time_in_force\":\"day\",\"limit_price\":\"000.00\",\"client_order_id\":\"floor\"}}"
    );
    let head = format!(
        "POST /v2/orders HTTP/1.1\r\nhost: {address}\r\napca-api-key-id: k\r\napca-api-secret-key: s\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let request = (head + &body).into_bytes();
    let at = find(&request, b"\"limit_price\":\"").expect("it is there");
    (request, at)
}

/// Reads until there is this text; what comes with it is dropped.
fn hear(stream: &mut TcpStream, room: &mut [u8], expected: &str) {
    let mut heard = Vec::new();
    while find(&heard, expected.as_bytes()).is_none() {
        let count = stream.read(room).expect("the broker speaks");
        assert!(count > 0, "the broker hung up before {expected:?}");
        heard.extend_from_slice(&room[..count]);
    }
}

/// A short masked text frame; the mask is zero.
fn say(stream: &mut TcpStream, words: &str) {
    let mut frame = vec![0x81, 0x80 | words.len() as u8, 0, 0, 0, 0];
    frame.extend(words.as_bytes());
    stream.write_all(&frame).expect("the broker reads");
}

/// Where the text after `words` begins.
fn find(text: &[u8], words: &[u8]) -> Option<usize> {
    text.windows(words.len()).position(|part| part == words).map(|at| at + words.len())
}
