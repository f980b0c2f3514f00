//! A gate that takes notes, an adapter that points at loopback, and an HTTP server that answers by script.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sandpit_alpaca::{Alpaca, AlpacaConfig, Encoding, Secret};
use sandpit_broker::{Admission, Class, Gate, GateError, Permit, RateHint, SendTerms};
use sandpit_types::{MarketTime, StrategyName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const TIMEOUT: Duration = Duration::from_millis(400);

/// Lets everything pass, or nothing, and remembers who asked and what was observed.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) asked: Mutex<Vec<(Class, Option<String>)>>,
    pub(crate) hints: Mutex<Vec<RateHint>>,
    pub(crate) shut: bool,
}

impl Gate for Notes {
    fn acquire<'a>(
        &'a self,
        class: Class,
        strategy: Option<&'a StrategyName>,
        _deadline: Option<MarketTime>,
    ) -> Admission<'a> {
        self.asked.lock().unwrap().push((class, strategy.map(ToString::to_string)));
        Box::pin(async { if self.shut { Err(GateError::Full { limit: 1 }) } else { Ok(()) } })
    }

    fn observe(&self, hint: RateHint) {
        self.hints.lock().unwrap().push(hint);
    }
}

pub(crate) struct Says(pub(crate) Result<(), GateError>);

impl Permit for Says {
    fn check(&self) -> Result<(), GateError> {
        self.0.clone()
    }
}

pub(crate) fn terms(says: Result<(), GateError>) -> SendTerms {
    SendTerms { class: Class::Enter, deadline: None, permit: Arc::new(Says(says)) }
}

/// An adapter whose every address is `authority`, and whose streams are in JSON.
pub(crate) fn alpaca(authority: &str, gate: Arc<Notes>) -> Alpaca {
    alpaca_in(authority, gate, Encoding::Json)
}

/// The same, with streams in `encoding`.
pub(crate) fn alpaca_in(authority: &str, gate: Arc<Notes>, encoding: Encoding) -> Alpaca {
    let config = AlpacaConfig {
        trading_url: format!("http://{authority}/"),
        data_url: format!("http://{authority}"),
        trading_stream_url: format!("ws://{authority}/stream"),
        data_stream_url: format!("ws://{authority}/v2/iex"),
        news_stream_url: None,
        encoding,
        feed: "iex".to_owned(),
        key_id: Secret::new("PKTEST"),
        secret: Secret::new("hush"),
        timeout: TIMEOUT,
    };
    let trading: Arc<dyn Gate> = gate.clone();
    Alpaca::new(config, trading, gate).expect("a good configuration")
}

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Status, extra header lines, body.
    Http(u16, &'static str, String),
    /// Reads the request, then closes.
    Hangup,
    /// Reads the request, then says nothing.
    Silence,
    /// Promises a body and closes before its end.
    Half,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::Http(status, "", body.to_owned())
    }
}

/// Everything that the server read, request by request, as text; the last may be incomplete.
pub(crate) type Heard = Arc<Mutex<Vec<String>>>;

/// Serves the replies in order, one a request, on a port of its own; further requests meet `Hangup`.
pub(crate) async fn serve(replies: Vec<Reply>) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let authority = listener.local_addr().expect("bound").to_string();
    let heard = Heard::default();
    let (heard_there, replies) = (Arc::clone(&heard), Arc::new(Mutex::new(replies.into_iter())));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&replies), Arc::clone(&heard_there)));
        }
    });
    (authority, heard)
}

async fn answer(
    mut stream: TcpStream,
    replies: Arc<Mutex<std::vec::IntoIter<Reply>>>,
    heard: Heard,
) -> std::io::Result<()> {
    while read_request(&mut stream, &heard).await? {
        let reply = replies.lock().unwrap().next().unwrap_or(Reply::Hangup);
        match reply {
            Reply::Http(status, headers, body) => {
                let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await?;
            }
            Reply::Hangup => return Ok(()),
            Reply::Silence => std::future::pending().await,
            Reply::Half => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"id\":").await?;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads one request and notes it; false at the end of the connection.
async fn read_request(stream: &mut TcpStream, heard: &Heard) -> std::io::Result<bool> {
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            if !text.is_empty() {
                heard.lock().unwrap().push(String::from_utf8_lossy(&text).into_owned());
            }
            return Ok(false);
        }
        text.extend_from_slice(&chunk[..read]);
        let so_far = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .map_or(0, |length| length.trim().parse().expect("a length"));
        if body.len() >= length {
            heard.lock().unwrap().push(so_far);
            return Ok(true);
        }
    }
}
