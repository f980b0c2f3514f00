//! The HTTP edge.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::watch, time::Instant};

use crate::{
    Snapshot,
    health::Health,
    metrics::{self, Money},
};

/// Takes a snapshot; cheap enough to be called several times a second.
pub type Source = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// How often loops are looked at between requests.
const SAMPLE: Duration = Duration::from_millis(500);

/// The server of `/health`, `/metrics` and `/status`.
pub struct Monitor {
    listener: TcpListener,
    source: Source,
    token: Option<String>,
    start: Instant,
    health: Mutex<Health>,
}

impl Monitor {
    /// Binds `address`. When `token` is given, `/status` wants it as a bearer token, and without it
    /// `/metrics` leaves out what is money. `/health` says nothing of money.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr, source: Source, token: Option<String>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, source, token, start: Instant::now(), health: Mutex::default() })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the system will not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` turns true.
    ///
    /// # Errors
    /// When accepting fails for good.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
        let Self { listener, source, token, start, health } = self;
        let shared = Arc::new(Shared { source, token, start, health });
        let routes = Router::new()
            .route("/health", get(health_page))
            .route("/metrics", get(metrics_page))
            .route("/status", get(status_page))
            .with_state(shared.clone());
        let sampler = tokio::spawn(async move {
            loop {
                shared.sample();
                tokio::time::sleep(SAMPLE).await;
            }
        });
        let stopped = async move {
            // An error means that the sender is gone, which is a stop too.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let served = axum::serve(listener, routes).with_graceful_shutdown(stopped).await;
        sampler.abort();
        served
    }
}

struct Shared {
    source: Source,
    token: Option<String>,
    start: Instant,
    health: Mutex<Health>,
}

impl Shared {
    fn sample(&self) -> (Snapshot, bool, serde_json::Value) {
        let snapshot = (self.source)();
        let now = self.start.elapsed();
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.on(&snapshot, now);
        let (ok, body) = health.answer(&snapshot, now);
        (snapshot, ok, body)
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|given| same(given, token))
    }
}

/// Compares without telling by its duration how much was right.
fn same(given: &str, wanted: &str) -> bool {
    given.len() == wanted.len()
        && given.bytes().zip(wanted.bytes()).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

async fn health_page(State(shared): State<Arc<Shared>>) -> Response {
    let (_, ok, body) = shared.sample();
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn metrics_page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let money = if shared.admits(&headers) { Money::Told } else { Money::LeftOut };
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, metrics::render(&(shared.source)(), money)).into_response()
}

async fn status_page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if shared.admits(&headers) {
        Json((shared.source)()).into_response()
    } else {
        (StatusCode::UNAUTHORIZED, "wants Authorization: Bearer PANEL_TOKEN\n").into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status and body of a GET over a real socket.
    async fn get(address: SocketAddr, path: &'static str, token: Option<&'static str>) -> (u16, String) {
        let ask = move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut request = agent.get(format!("http://{address}{path}"));
            if let Some(token) = token {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let mut answer = request.call().expect("an answer");
            (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
        };
        tokio::task::spawn_blocking(ask).await.expect("no panic")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn answers_over_a_real_socket() {
        let snapshot = || Snapshot {
            reconciled: true,
            mode: "paper".into(),
            equity_usd: Some(1_234.5),
            strategies: vec![crate::StrategyFigures { name: "s".into(), ..Default::default() }],
            ..Snapshot::default()
        };
        let source: Source = Arc::new(snapshot);
        let token = Some("0123456789abcdef".to_owned());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let monitor = Monitor::bind(any, source.clone(), token).await.expect("a free port");
        let address = monitor.address().expect("bound");
        assert!(Monitor::bind(address, source, None).await.is_err(), "a taken port is an error");
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(monitor.serve(stopped));

        let (status, body) = get(address, "/health", None).await;
        assert_eq!((status, body.contains("\"ok\":true")), (200, true), "{body}");
        let (status, body) = get(address, "/metrics", None).await;
        assert_eq!((status, body.contains("sandpit_reconciled 1")), (200, true), "{body}");
        assert!(!body.contains("_usd"), "no money without the token: {body}");
        let (_, body) = get(address, "/metrics", Some("0123456789abcdef")).await;
        for name in ["sandpit_equity_usd 1234.5", "sandpit_strategy_realised_usd", "_unrealised_usd"] {
            assert!(body.contains(name), "{name} is not in {body}");
        }
        assert_eq!(get(address, "/status", None).await.0, 401);
        assert_eq!(get(address, "/status", Some("0123456789abcdeX")).await.0, 401);
        let (status, body) = get(address, "/status", Some("0123456789abcdef")).await;
        assert_eq!((status, body.contains("\"mode\":\"paper\"")), (200, true), "{body}");

        stop.send(true).expect("the server listens");
        server.await.expect("no panic").expect("a clean end");
    }
}
