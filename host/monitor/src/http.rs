//! The HTTP edge.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, sync::watch, time::Instant};

use crate::{
    Snapshot,
    health::Health,
    metrics::{self, Money},
    panel::{self, Door, Panel, PanelParts, Verdict},
};

/// Takes a snapshot; cheap enough to be called several times a second.
pub type Source = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// How often loops are looked at between requests.
const SAMPLE: Duration = Duration::from_millis(500);

/// The server of `/health`, `/metrics`, `/status` and the panel.
pub struct Monitor {
    listener: TcpListener,
    source: Source,
    token: Option<String>,
    panel: Option<PanelParts>,
}

impl Monitor {
    /// Binds `address`. When `token` is given, `/status` wants it as a bearer token, and without it
    /// `/metrics` leaves out what is money. `/health` says nothing of money.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr, source: Source, token: Option<String>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, source, token, panel: None })
    }

    /// Serves the panel, too, if there is a token.
    #[must_use]
    pub fn with_panel(self, parts: PanelParts) -> Self {
        Self { panel: Some(parts), ..self }
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
        let Self { listener, source, token, panel } = self;
        let start = Instant::now();
        let door = token.map(|token| Arc::new(door(&token, panel.as_ref(), start)));
        let panel = door.clone().zip(panel);
        let panel = panel.map(|(door, parts)| Arc::new(Panel::new(parts, door, stop.clone())));
        let shared = Arc::new(Shared { source: source.clone(), door, start, health: Mutex::default() });
        let mut routes = Router::new()
            .route("/health", get(health_page))
            .route("/metrics", get(metrics_page))
            .route("/status", get(status_page))
            .with_state(shared.clone());
        if let Some(panel) = &panel {
            routes = routes.merge(panel::routes(panel.clone()));
        }
        let feed = panel.map(|panel| {
            let deeds = panel.deeds.clone();
            tokio::spawn(async move { panel.feed.run(source, deeds).await })
        });
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
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, routes).with_graceful_shutdown(stopped).await;
        sampler.abort();
        feed.inspect(tokio::task::JoinHandle::abort);
        served
    }
}

fn door(token: &str, panel: Option<&PanelParts>, start: Instant) -> Door {
    match panel {
        Some(parts) => Door::new(token, parts.ways(), parts.clock.clone()),
        None => Door::new(token, Default::default(), Arc::new(move || start.elapsed())),
    }
}

struct Shared {
    source: Source,
    door: Option<Arc<Door>>,
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

    /// What is thought of the bearer token: right where none is wanted, `None` where none was given.
    fn judge(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<Verdict> {
        self.door.as_ref().map_or(Some(Verdict::Right), |door| door.bearer(peer.ip(), headers))
    }
}

async fn health_page(State(shared): State<Arc<Shared>>) -> Response {
    let (_, ok, body) = shared.sample();
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn metrics_page(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let money = match shared.judge(peer, &headers) {
        Some(Verdict::Right) => Money::Told,
        Some(Verdict::Wrong | Verdict::Locked(_)) | None => Money::LeftOut,
    };
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, metrics::render(&(shared.source)(), money)).into_response()
}

async fn status_page(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    match shared.judge(peer, &headers) {
        Some(Verdict::Right) => Json((shared.source)()).into_response(),
        Some(Verdict::Wrong) | None => {
            (StatusCode::UNAUTHORIZED, "wants Authorization: Bearer PANEL_TOKEN\n").into_response()
        }
        Some(Verdict::Locked(left)) => {
            let wait = [(header::RETRY_AFTER, (left.as_secs() + 1).to_string())];
            let sentence = "too many wrong tokens came from this address: none is looked at for a while\n";
            (StatusCode::TOO_MANY_REQUESTS, wait, sentence).into_response()
        }
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
        for name in ["sandpit_equity_usd 1234.5", "sandpit_strategy_realised_usd"] {
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
