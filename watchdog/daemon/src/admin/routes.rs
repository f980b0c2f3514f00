//! Which request gets which answer.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderMap},
};
use sandpit_contract::{BrokerProof, Layer, State, Status};
use serde::{Deserialize, Serialize};

use super::{
    answer::Answer,
    board::{Board, View},
    button::Button,
    gate::{Gate, Refusal},
    metrics,
};
use crate::{
    ambient,
    log::{Level, Log},
};

/// A main loop that has not come around for so long is not healthy.
const HEALTHY: Duration = Duration::from_secs(2);
/// A body is never longer: the longest reason with every character escaped fits.
const MAX_BODY_BYTES: usize = 4096;
/// So much of a longer one is read away, so that the refusal is read and not lost in a broken connection.
const MAX_WASTE_BYTES: usize = 64 * 1024;
/// Characters of a reason.
const MAX_REASON_CHARS: usize = 200;

const BUTTON_OFF: &str =
    "the panic button is off: start the watchdog with PANIC_TOKEN, 16 characters or more";
const NO_VIEW: &str = "the watchdog's main loop has not begun yet";

/// What every request may use.
pub(super) struct Shared {
    pub(super) gate: Mutex<Gate>,
    pub(super) board: Arc<Board>,
    pub(super) button: Button,
    pub(super) log: Log,
}

/// `POST /panic`, the body.
#[derive(Deserialize)]
struct Press {
    reason: String,
}

/// `POST /panic`, the answer.
#[derive(Serialize)]
struct Pressed {
    /// The main loop has it; else it is on its way.
    taken: bool,
    layer: Layer,
    state: Option<State>,
    broker: Option<BrokerProof>,
    /// Where the proof will be seen.
    proof: &'static str,
}

/// `GET /status`, the answer: as `status --json`, and how old it is.
#[derive(Serialize)]
struct Seen<'s> {
    #[serde(flatten)]
    status: &'s Status,
    age_ms: u64,
}

/// Answers one request.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(shared.answer(request).await.into_response())
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if let Err(refusal) = self.gate().admit_host(request.headers()) {
            return self.refuse(refusal);
        }
        let (is_get, is_post) =
            (matches!(*request.method(), Method::GET | Method::HEAD), *request.method() == Method::POST);
        match request.uri().path() {
            "/" | "/status" | "/metrics" | "/health" if !is_get => Answer::wrong_method("GET, HEAD"),
            "/" => self.page(),
            "/status" => self.status(request.headers()),
            "/metrics" => self.metrics(),
            "/health" => self.health(),
            "/panic" if !is_post => Answer::wrong_method("POST"),
            "/panic" => self.panic(request).await,
            _ => Answer::sentence(
                StatusCode::NOT_FOUND,
                "here are only /, /panic, /status, /metrics and /health",
            ),
        }
    }

    /// A page whose button does nothing would be worse than none.
    fn page(&self) -> Answer {
        if self.gate().is_on() { Answer::page() } else { self.refuse(Refusal::Off) }
    }

    fn status(&self, headers: &HeaderMap) -> Answer {
        match (self.admit(headers), self.board.view()) {
            (Err(refused), _) => refused,
            (Ok(()), None) => Answer::sentence(StatusCode::SERVICE_UNAVAILABLE, NO_VIEW),
            (Ok(()), Some(view)) => {
                let age_ms = ambient::boot_time().since(view.published).as_millis();
                let age_ms = u64::try_from(age_ms).unwrap_or(u64::MAX);
                Answer::json(StatusCode::OK, &Seen { status: &view.status, age_ms })
            }
        }
    }

    fn metrics(&self) -> Answer {
        match self.board.view() {
            Some(view) => Answer::metrics(metrics::render(&view, self.board.turned(), ambient::boot_time())),
            None => Answer::sentence(StatusCode::SERVICE_UNAVAILABLE, NO_VIEW),
        }
    }

    fn health(&self) -> Answer {
        if ambient::boot_time().since(self.board.turned()) <= HEALTHY {
            Answer::sentence(StatusCode::OK, "the main loop turns")
        } else {
            Answer::sentence(
                StatusCode::SERVICE_UNAVAILABLE,
                "the main loop has not turned for 2 seconds: no lease is granted by it",
            )
        }
    }

    async fn panic(&self, request: Request<Incoming>) -> Answer {
        if let Err(refused) = self.admit(request.headers()) {
            return refused;
        }
        if !is_json(request.headers()) {
            return Answer::sentence(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send Content-Type: application/json",
            );
        }
        match reason(request.into_body()).await {
            Ok(reason) => pressed(self.button.press(reason).await),
            Err(refused) => refused,
        }
    }

    /// For whatever wants the token.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Answer> {
        let admitted = {
            let mut gate = self.gate();
            gate.admit_origin(headers).and_then(|()| gate.admit_token(headers, ambient::boot_time()))
        };
        admitted.map_err(|refusal| self.refuse(refusal))
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        let (status, text) = match refusal {
            Refusal::Host => (
                StatusCode::FORBIDDEN,
                "this name is not the watchdog's: call it by its own address, or put the proxy's name into \
                 `[admin] hosts`",
            ),
            Refusal::Origin => (
                StatusCode::FORBIDDEN,
                "this comes from a page of another site: put the proxy's name into `[admin] hosts` if it is \
                 yours",
            ),
            Refusal::Off => (StatusCode::SERVICE_UNAVAILABLE, BUTTON_OFF),
            Refusal::Token => (StatusCode::UNAUTHORIZED, "the token is missing or wrong"),
            Refusal::PauseBegins | Refusal::Paused => {
                (StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; the right one works at any time")
            }
        };
        if refusal == Refusal::PauseBegins {
            let text = "the admin port has had 5 wrong tokens within a minute: somebody guesses";
            self.log.write(Level::Warning, text.into());
        }
        Answer::sentence(status, text)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The reason in a request's body.
async fn reason(body: Incoming) -> Result<String, Answer> {
    let mut body = Limited::new(body, MAX_WASTE_BYTES);
    let mut bytes = Vec::new();
    let mut is_long = false;
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) if !is_long && bytes.len() + data.len() <= MAX_BODY_BYTES => {
                bytes.extend_from_slice(&data);
            }
            Ok(Ok(_)) => is_long = true,
            // Trailers say nothing.
            Ok(Err(_)) => {}
            Err(error) => {
                is_long |= error.is::<http_body_util::LengthLimitError>();
                if !is_long {
                    return Err(Answer::sentence(StatusCode::BAD_REQUEST, "the body did not come whole"));
                }
                break;
            }
        }
    }
    if is_long {
        return Err(Answer::sentence(StatusCode::PAYLOAD_TOO_LARGE, "a body has at most 4096 bytes"));
    }
    let press: Press = serde_json::from_slice(&bytes)
        .map_err(|_| Answer::sentence(StatusCode::BAD_REQUEST, "send a JSON object: {\"reason\": \"…\"}"))?;
    let reason = press.reason;
    let is_plain = !reason.trim().is_empty() && !reason.chars().any(char::is_control);
    if is_plain && reason.chars().count() <= MAX_REASON_CHARS {
        Ok(reason)
    } else {
        Err(Answer::sentence(
            StatusCode::BAD_REQUEST,
            "a reason has 1 to 200 characters, and no control characters",
        ))
    }
}

fn pressed(view: Option<View>) -> Answer {
    let status = view.as_ref().map(|view| &view.status);
    let kill = status.and_then(|status| status.kill.as_ref());
    Answer::json(
        StatusCode::ACCEPTED,
        &Pressed {
            taken: kill.is_some(),
            layer: kill.map_or(Layer::Panic, |kill| kill.layer),
            state: status.map(|status| status.state),
            broker: status.and_then(|status| status.broker),
            proof: "GET /status, or `sandpit-watchdog status`: `broker` says what the broker's own answers \
                    prove",
        },
    )
}
