//! Who gets what: the paths, and what a request has to show for each.
#![expect(clippy::result_large_err, reason = "a refusal is an answer, made once and moved once")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tokio::sync::watch;

use super::{
    Deeds, Denied, Door, PanelParts, Verdict,
    feed::Feed,
    pages,
    recall::Recall,
    sessions::Sessions,
    stream,
    way::{Way, is_foreign, is_own_page, only},
};

/// The most bytes of a request's body.
const MAX_BODY_BYTES: usize = 4 * 1024;
/// The longest name of an order or a strategy that is looked at, in characters.
const MAX_NAME_CHARS: usize = 128;
/// The longest reason for a panic, in characters.
const MAX_REASON_CHARS: usize = 200;
/// The cookie over TLS: browsers take it from this very host over TLS only.
const SECURE_COOKIE: &str = "__Host-sandpit";
/// The cookie over a tunnel, where there is no TLS.
const PLAIN_COOKIE: &str = "sandpit-panel";
/// The header with the session's key.
const KEY: HeaderName = HeaderName::from_static("x-sandpit-key");

const WRONG: &str = "That is not the token.";
const LOCKED: &str = "Too many wrong tokens: no token is looked at for a while, not even the right one.";
const NO_TLS: &str =
    "This way has no TLS, so the token is not taken. Use an SSH tunnel, or a proxy with TLS.";
const ELSEWHERE: &str = "This came from another page.";

/// The panel of one host.
pub(crate) struct Panel {
    door: Arc<Door>,
    sessions: Mutex<Sessions>,
    is_read_only: bool,
    random: fn(&mut [u8]) -> std::io::Result<()>,
    pub(crate) deeds: Arc<dyn Deeds>,
    pub(crate) feed: Feed,
    recall: Recall,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Panel {
    pub(crate) fn new(parts: PanelParts, door: Arc<Door>, stop: watch::Receiver<bool>) -> Self {
        Self {
            sessions: Mutex::default(),
            is_read_only: parts.is_read_only,
            random: parts.random,
            deeds: parts.deeds,
            feed: Feed::default(),
            recall: Recall::new(parts.history, door.now.clone()),
            door,
            stop,
        }
    }

    /// Whether this session is open; it is used with it.
    pub(crate) fn is_open(&self, session: &str) -> bool {
        self.sessions().is_open(session, (self.door.now)())
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of the cookie, if it is open.
    fn session(&self, headers: &HeaderMap, way: Way) -> Option<String> {
        let id = cookie(headers, cookie_name(way))?;
        self.is_open(id).then(|| id.to_owned())
    }

    fn fresh(&self) -> std::io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        (self.random)(&mut bytes)?;
        Ok(bytes)
    }
}

fn cookie_name(way: Way) -> &'static str {
    if way.is_secure { SECURE_COOKIE } else { PLAIN_COOKIE }
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|all| all.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(given, _)| *given == name).map(|(_, value)| value)
}

/// All paths of the panel.
pub(crate) fn routes(panel: Arc<Panel>) -> Router {
    Router::new()
        .route("/", get(first_page))
        .route("/panel/login", post(sign_in))
        .route("/panel/logout", post(sign_out))
        .route("/panel/session", get(session))
        .route("/panel/events", get(events))
        .route("/panel/equity", get(equity))
        .route("/panel/audit", get(audit))
        .route("/panel/cancel", post(cancel))
        .route("/panel/pause", post(pause))
        .route("/panel/resume", post(resume))
        .route("/panel/panic", post(panic))
        .route("/panel/{file}", get(file))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(panel.clone(), around))
        .with_state(panel)
}

/// For everything: our name, and what every answer wears.
async fn around(State(panel): State<Arc<Panel>>, request: Request, next: Next) -> Response {
    let mut response = if panel.door.ways.is_ours(request.headers()) {
        next.run(request).await
    } else {
        let sentence = "this name is not in `[panel] hosts`";
        refuse(StatusCode::MISDIRECTED_REQUEST, sentence)
    };
    pages::dress(response.headers_mut());
    response
}

fn refuse(status: StatusCode, sentence: &str) -> Response {
    let body = json!({"error": sentence}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

type Peer = ConnectInfo<SocketAddr>;
type Shared = State<Arc<Panel>>;

async fn first_page(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap) -> Response {
    let way = panel.door.ways.way(peer.ip(), &headers);
    match panel.session(&headers, way) {
        Some(_) => pages::panel(),
        None => pages::sign_in(if panel.door.ways.may_sign_in(way) { "" } else { NO_TLS }),
    }
}

async fn file(Path(name): Path<String>) -> Response {
    pages::file(&name).unwrap_or_else(|| refuse(StatusCode::NOT_FOUND, "there is no such file"))
}

#[derive(Deserialize)]
struct SignIn {
    token: String,
}

async fn sign_in(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap, body: Bytes) -> Response {
    let way = panel.door.ways.way(peer.ip(), &headers);
    let page = |status: StatusCode, said| (status, pages::sign_in(said)).into_response();
    if !is_own_page(&headers, way) {
        return page(StatusCode::FORBIDDEN, ELSEWHERE);
    }
    if !panel.door.ways.may_sign_in(way) {
        return page(StatusCode::FORBIDDEN, NO_TLS);
    }
    let Some(SignIn { token }) = form(&body) else { return page(StatusCode::BAD_REQUEST, WRONG) };
    match panel.door.sign_in(way, token.trim()) {
        Verdict::Right => {}
        Verdict::Wrong => return page(StatusCode::UNAUTHORIZED, WRONG),
        Verdict::Locked(left) => {
            let mut response = page(StatusCode::TOO_MANY_REQUESTS, LOCKED);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(left.as_secs() + 1));
            return response;
        }
    }
    let (Ok(id), Ok(key)) = (panel.fresh(), panel.fresh()) else {
        return page(StatusCode::INTERNAL_SERVER_ERROR, "There is no randomness: try again.");
    };
    if let Some(old) = panel.session(&headers, way) {
        panel.sessions().close(&old);
    }
    let session = panel.sessions().open(id, key, (panel.door.now)());
    let (name, secure) = (cookie_name(way), if way.is_secure { "; Secure" } else { "" });
    let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200{secure}", session.id);
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/".to_owned()), (header::SET_COOKIE, cookie)])
        .into_response()
}

/// A form, as browsers send it.
fn form<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let uri = format!("/?{}", std::str::from_utf8(body).ok()?).parse::<Uri>().ok()?;
    Query::try_from_uri(&uri).ok().map(|Query(form)| form)
}

/// What a page has to show to see anything.
fn looks(panel: &Panel, peer: SocketAddr, headers: &HeaderMap) -> Result<String, Response> {
    if is_foreign(headers) {
        return Err(refuse(StatusCode::FORBIDDEN, "another site's page may not see this"));
    }
    let way = panel.door.ways.way(peer.ip(), headers);
    panel.session(headers, way).ok_or_else(|| refuse(StatusCode::UNAUTHORIZED, "sign in first"))
}

/// What a page has to show to do anything.
fn does(panel: &Panel, peer: SocketAddr, headers: &HeaderMap) -> Result<String, Response> {
    let way = panel.door.ways.way(peer.ip(), headers);
    if !is_own_page(headers, way) {
        return Err(refuse(StatusCode::FORBIDDEN, "this came from another page"));
    }
    let session = looks(panel, peer, headers)?;
    let key = only(headers, &KEY).unwrap_or_default();
    if !panel.sessions().has_key(&session, key) {
        return Err(refuse(
            StatusCode::FORBIDDEN,
            "the session's key is missing or wrong: load the page anew",
        ));
    }
    Ok(session)
}

async fn sign_out(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap) -> Response {
    let session = match does(&panel, peer, &headers) {
        Ok(session) => session,
        Err(refusal) => return refusal,
    };
    panel.sessions().close(&session);
    let way = panel.door.ways.way(peer.ip(), &headers);
    let secure = if way.is_secure { "; Secure" } else { "" };
    let cookie = format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}", cookie_name(way));
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

async fn session(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap) -> Response {
    match looks(&panel, peer, &headers) {
        Ok(session) => {
            let key = panel.sessions().key(&session).map(str::to_owned);
            json_text(json!({"key": key, "read_only": panel.is_read_only}).to_string())
        }
        Err(refusal) => refusal,
    }
}

async fn events(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap) -> Response {
    let session = match looks(&panel, peer, &headers) {
        Ok(session) => session,
        Err(refusal) => return refusal,
    };
    match panel.feed.watch(&session) {
        Some(watcher) => stream::live(panel, session, watcher),
        None => refuse(StatusCode::SERVICE_UNAVAILABLE, "too many pages look already: close one"),
    }
}

async fn equity(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap) -> Response {
    match looks(&panel, peer, &headers) {
        Ok(_) => remembered(panel.recall.curve().await),
        Err(refusal) => refusal,
    }
}

async fn audit(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap) -> Response {
    match looks(&panel, peer, &headers) {
        Ok(_) => remembered(panel.recall.audit().await),
        Err(refusal) => refusal,
    }
}

fn remembered(answer: Result<String, String>) -> Response {
    answer.map_or_else(|sentence| refuse(StatusCode::SERVICE_UNAVAILABLE, &sentence), json_text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    client_order_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strategy {
    strategy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Panic {
    reason: String,
}

/// The body of a deed that this session may do.
fn wanted<T: DeserializeOwned>(
    panel: &Panel,
    peer: SocketAddr,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, Response> {
    does(panel, peer, headers)?;
    if panel.is_read_only {
        return Err(refuse(StatusCode::FORBIDDEN, "this panel is read-only: `[panel] read_only`"));
    }
    let wrong = |error| refuse(StatusCode::BAD_REQUEST, &format!("the request cannot be read: {error}"));
    serde_json::from_slice(body).map_err(wrong)
}

fn named(name: &str) -> Result<String, Response> {
    let is_name = (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    is_name.then(|| name.to_owned()).ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "that is no name"))
}

async fn cancel(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap, body: Bytes) -> Response {
    let order = wanted(&panel, peer, &headers, &body).and_then(|order: Order| named(&order.client_order_id));
    match order {
        Ok(order) => done(panel.deeds.cancel(order).await),
        Err(refusal) => refusal,
    }
}

async fn pause(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap, body: Bytes) -> Response {
    let strategy = wanted(&panel, peer, &headers, &body).and_then(|given: Strategy| named(&given.strategy));
    match strategy {
        Ok(strategy) => done(panel.deeds.pause(strategy).await),
        Err(refusal) => refusal,
    }
}

async fn resume(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap, body: Bytes) -> Response {
    let strategy = wanted(&panel, peer, &headers, &body).and_then(|given: Strategy| named(&given.strategy));
    match strategy {
        Ok(strategy) => done(panel.deeds.resume(strategy).await),
        Err(refusal) => refusal,
    }
}

async fn panic(State(panel): Shared, ConnectInfo(peer): Peer, headers: HeaderMap, body: Bytes) -> Response {
    match wanted(&panel, peer, &headers, &body) {
        Ok(Panic { reason }) => {
            // Whatever is in it: a panic is not refused for its words.
            let plain: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect();
            stream::steps(panel.deeds.panic(plain))
        }
        Err(refusal) => refusal,
    }
}

fn done(outcome: Result<String, Denied>) -> Response {
    match outcome {
        Ok(said) => json_text(json!({"said": said}).to_string()),
        Err(Denied::Wrong(sentence)) => refuse(StatusCode::CONFLICT, &sentence),
        Err(Denied::Busy(sentence)) => refuse(StatusCode::SERVICE_UNAVAILABLE, &sentence),
        Err(Denied::Unanswered(sentence)) => refuse(StatusCode::GATEWAY_TIMEOUT, &sentence),
    }
}
