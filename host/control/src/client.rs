//! A command's end: one question, one answer, and a bound on both.
//!
//! It connects to a socket file and to this machine's own addresses, and to nothing else.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::wire::{Done, PLACE, Refused, UNTIL_MS, Wish, place_of};

/// How long an answer is waited for, real time. What a host has not begun by then it does not do.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Why there is no answer of use.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("no host answers at {at}: it does not run, or has only begun to start")]
    NoHost {
        /// Where.
        at: String,
    },
    /// Somebody listens there and says nothing.
    #[error(
        "the host at {at} does not answer within {within:?}: it hangs or is stopped, and its watchdog \
         replaces it; whether anything was done, `sandpit status` says then"
    )]
    Silent {
        /// Where.
        at: String,
        /// How long was waited.
        within: Duration,
    },
    /// Somebody listens there and ended the connection without an answer.
    #[error(
        "the host at {at} gave no answer: it has no room for one more caller, or has just ended; whether \
         anything was done, `sandpit status` says"
    )]
    Cut {
        /// Where.
        at: String,
    },
    /// The caller may not.
    #[error("{at} is for root and the host's own user only: try again with sudo")]
    NotAllowed {
        /// Where.
        at: String,
    },
    /// The monitor wants a token, or another one.
    #[error("{at} wants the host's PANEL_TOKEN: set it, or try again with sudo")]
    WantsToken {
        /// Where.
        at: String,
    },
    /// The host refuses it, or cannot say whether it is done.
    #[error("{refused}")]
    Refused {
        /// In a word and a sentence.
        refused: Refused,
    },
    /// What answers is no host.
    #[error("what answers at {at} is no sandpit host: {what}")]
    Strange {
        /// Where.
        at: String,
        /// What is odd.
        what: String,
    },
}

/// Asks one host.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The folder by which the host is known.
    pub state_dir: &'a Path,
    /// Milliseconds since the machine booted.
    pub now_ms: fn() -> u64,
    /// How long an answer is waited for; usually [`ANSWER_WITHIN`].
    pub within: Duration,
}

impl Asker<'_> {
    /// The host's snapshot as JSON, over its control socket.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn status(&self, socket: &Path) -> Result<String, AskError> {
        self.over_socket(socket, Method::GET, "/status", Bytes::new()).await
    }

    /// Has the host do something.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn wish(&self, socket: &Path, wish: &Wish) -> Result<Done, AskError> {
        let body = serde_json::to_vec(wish).expect("texts, which JSON can hold");
        let text = self.over_socket(socket, Method::POST, "/wish", body.into()).await?;
        serde_json::from_str(&text).map_err(|error| strange(&socket.display().to_string(), error))
    }

    /// The snapshot as JSON, of the host that listens at this address of this machine.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn monitor(&self, listen: SocketAddr, token: Option<&str>) -> Result<String, AskError> {
        let address = own(listen);
        let at = format!("http://{address}/status");
        let mut request = Request::get("/status").header(HOST, address.to_string());
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::default()).map_err(|error| strange(&at, error))?;
        let asked = async {
            let stream = TcpStream::connect(address).await.map_err(|error| unreached(&at, &error))?;
            exchange(stream, request, &at).await
        };
        match timeout(self.within, asked).await.map_err(|_| self.silent(&at))?? {
            (StatusCode::OK, text) => Ok(text),
            (StatusCode::UNAUTHORIZED, _) => Err(AskError::WantsToken { at }),
            (status, _) => Err(strange(&at, format!("it says {status}"))),
        }
    }

    async fn over_socket(
        &self,
        socket: &Path,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<String, AskError> {
        let at = socket.display().to_string();
        // Who cannot look at the folder is neither of the two who may.
        let place = place_of(self.state_dir).map_err(|error| unreached(&at, &error))?;
        let until = (self.now_ms)() + u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "sandpit")
            .header(CONTENT_TYPE, "application/json")
            .header(PLACE, place)
            .header(UNTIL_MS, until.to_string())
            .body(Full::new(body))
            .map_err(|error| strange(&at, error))?;
        let asked = async {
            let stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
                // The host has not taken earlier callers in.
                io::ErrorKind::WouldBlock => self.silent(&at),
                _ => unreached(&at, &error),
            })?;
            exchange(stream, request, &at).await
        };
        let (status, text) = timeout(self.within, asked).await.map_err(|_| self.silent(&at))??;
        if status == StatusCode::OK {
            return Ok(text);
        }
        match serde_json::from_str::<Refused>(&text) {
            Ok(Refused::NotAllowed(_)) => Err(AskError::NotAllowed { at }),
            Ok(refused) => Err(AskError::Refused { refused }),
            Err(_) => Err(strange(&at, format!("it says {status}"))),
        }
    }

    fn silent(&self, at: &str) -> AskError {
        AskError::Silent { at: at.to_owned(), within: self.within }
    }
}

/// A host that listens on every address listens on this machine's own.
fn own(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn unreached(at: &str, error: &io::Error) -> AskError {
    let at = at.to_owned();
    match error.kind() {
        io::ErrorKind::PermissionDenied => AskError::NotAllowed { at },
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NoHost { at },
        _ => strange(&at, error),
    }
}

fn strange(at: &str, what: impl std::fmt::Display) -> AskError {
    AskError::Strange { at: at.to_owned(), what: what.to_string() }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
    at: &str,
) -> Result<(StatusCode, String), AskError> {
    let odd = |error: hyper::Error| match error.is_parse() {
        true => strange(at, error),
        false => AskError::Cut { at: at.to_owned() },
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(odd)?;
    // Its end is that of the answer, which is looked at.
    let carried = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(odd)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    carried.abort();
    let body = body.map_err(|error| strange(at, error))?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
