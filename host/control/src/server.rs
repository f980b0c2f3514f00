//! The host's end of the control socket.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use crate::wire::{PLACE, Peer, Refused, UNTIL_MS, Wish, place_of};

/// The snapshot of the host as JSON.
pub type Source = Arc<dyn Fn() -> String + Send + Sync>;
/// Does what is wanted, within a bound of its own; what came of it as JSON.
pub type Obey =
    Arc<dyn Fn(Wish, Peer) -> Pin<Box<dyn Future<Output = Result<String, Refused>> + Send>> + Send + Sync>;

/// Connections at a time. One more is closed at once.
const MAX_CONNECTIONS: usize = 8;
/// How long one may last, real time.
const CONNECTION_WITHIN: Duration = Duration::from_secs(8);
/// The most bytes of a request's body.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The most bytes of a request's head and of what waits to be written of an answer.
const MAX_BUFFER_BYTES: usize = 32 * 1024;
/// How long an old socket file is asked whether somebody lives behind it, real time.
const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// How long to wait when sockets have run out, real time.
const RETRY: Duration = Duration::from_millis(200);
/// Root may do everything.
const ROOT: u32 = 0;

/// The control socket of one host.
pub struct ControlServer {
    listener: UnixListener,
    path: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    /// Whose host this is.
    owner: u32,
    place: String,
    now_ms: fn() -> u64,
    source: Source,
    obey: Obey,
}

impl ControlServer {
    /// Makes the socket file, for root and `owner` only, in the place of one that nobody lives behind.
    /// `state_dir` is what a request has to mean; `now_ms` tells milliseconds since the machine booted.
    ///
    /// # Errors
    /// When somebody lives behind it, or it cannot be made.
    pub async fn bind(
        path: &Path,
        state_dir: &Path,
        owner: u32,
        now_ms: fn() -> u64,
        source: Source,
        obey: Obey,
    ) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "a file that is no socket lies there",
                ));
            }
            Ok(_) => match timeout(PROBE_WITHIN, UnixStream::connect(path)).await {
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Ok(Ok(_) | Err(_)) | Err(_) => {
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let place = place_of(state_dir)?;
        // Under another name first: nobody else can open it for a moment, and an old one is replaced at once.
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
        fs::rename(&new, path)?;
        let shared = Arc::new(Shared { owner, place, now_ms, source, obey });
        Ok(Self { listener, path: path.to_owned(), shared })
    }

    /// Serves until `stop` turns true, then takes the file away.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let Self { listener, path, shared } = self;
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // An error means that the host is gone, which is a stop too.
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let Ok((stream, _)) = accepted else {
                sleep(RETRY).await;
                continue;
            };
            if let Ok(place) = room.clone().try_acquire_owned() {
                let shared = shared.clone();
                tokio::spawn(async move {
                    // Whoever is slow, or gone, is not waited for.
                    let _ = timeout(CONNECTION_WITHIN, connection(stream, shared)).await;
                    drop(place);
                });
            }
        }
        // It may be gone with its folder.
        let _ = fs::remove_file(&path);
    }
}

async fn connection(stream: UnixStream, shared: Arc<Shared>) {
    let Ok(credentials) = stream.peer_cred() else { return };
    let peer = Peer { uid: credentials.uid() };
    let routes = Router::new()
        .route("/status", get(status))
        .route("/wish", post(wish))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Caller { shared, peer });
    let service = TowerToHyperService::new(routes);
    let mut server = http1::Builder::new();
    server.keep_alive(false).max_buf_size(MAX_BUFFER_BYTES);
    // Whoever speaks something else is not answered.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

#[derive(Clone)]
struct Caller {
    shared: Arc<Shared>,
    peer: Peer,
}

impl Caller {
    /// Whether this caller may ask, means this host, and is in time.
    fn admits(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Peer { uid } = self.peer;
        if uid != ROOT && uid != self.shared.owner {
            let what = format!("uid {uid} may not: only root and the host's own user may");
            return Err(Refused::NotAllowed(what));
        }
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if value(PLACE) != Some(self.shared.place.as_str()) {
            let what = "the host that listens there has another state_dir than the configuration says";
            return Err(Refused::OtherHost(what.to_owned()));
        }
        let until = value(UNTIL_MS).and_then(|until| until.parse::<u64>().ok());
        if until.is_none_or(|until| (self.shared.now_ms)() > until) {
            return Err(Refused::Busy("the host came to it too late: nothing was done".to_owned()));
        }
        Ok(())
    }
}

async fn status(State(caller): State<Caller>, headers: HeaderMap) -> Response {
    match caller.admits(&headers) {
        Ok(()) => json((caller.shared.source)()),
        Err(refused) => refusal(&refused),
    }
}

async fn wish(State(caller): State<Caller>, headers: HeaderMap, body: Bytes) -> Response {
    let wish = caller.admits(&headers).and_then(|()| {
        let wrong = |error| Refused::Wrong(format!("the request cannot be read: {error}"));
        let wish: Wish = serde_json::from_slice(&body).map_err(wrong)?;
        wish.check()?;
        Ok(wish)
    });
    let done = match wish {
        Ok(wish) => (caller.shared.obey)(wish, caller.peer).await,
        Err(refused) => Err(refused),
    };
    done.map_or_else(|refused| refusal(&refused), json)
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn refusal(refused: &Refused) -> Response {
    let status = match refused {
        Refused::NotAllowed(_) => StatusCode::FORBIDDEN,
        Refused::OtherHost(_) => StatusCode::CONFLICT,
        Refused::Wrong(_) => StatusCode::BAD_REQUEST,
        Refused::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        Refused::Unanswered(_) => StatusCode::GATEWAY_TIMEOUT,
    };
    (status, Json(refused)).into_response()
}
