//! A broker on a loopback port whose clock the test holds, and clients that speak to it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use sandpit_sim::{Market, Settings, Sim, data::Tick, keys::Keys, router};
use sandpit_types::{Bar, MarketEvent, MarketTime, Quote, SessionDay, Symbol, Trade};
use sandpit_venue::VenueConfig;
use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket, client::IntoClientRequest, http::HeaderName};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// The open of the session that is played.
pub(crate) fn open() -> MarketTime {
    MarketTime::parse("2026-03-16T13:30:00Z").expect("a time")
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A market of SPY and IBM: quotes ten cents wide around 100 and 50 from the open on, every ten seconds for
/// an hour, a trade and a bar every minute.
pub(crate) fn market() -> Market {
    let (spy, ibm) = (Symbol::new("SPY"), Symbol::new("IBM"));
    let mut ticks = Vec::new();
    for step in 0..360_u64 {
        let time = open() + secs(10 * step);
        for (symbol, bid) in [(&spy, 100.0), (&ibm, 50.0)] {
            let (symbol, ask) = (symbol.clone(), bid + 0.1);
            let quote = Quote { symbol: symbol.clone(), time, bid, bid_size: 1_000, ask, ask_size: 1_000 };
            ticks.push(Tick::new(MarketEvent::Quote(quote)));
            if step % 6 == 5 {
                let trade = Trade { symbol: symbol.clone(), time, price: ask, size: 100 };
                ticks.push(Tick::new(MarketEvent::Trade(trade)));
            }
            if step % 6 == 0 && step > 0 {
                let start = time - secs(60);
                let bar =
                    Bar { symbol, start, open: bid, high: ask, low: bid, close: ask, volume: 100, vwap: ask };
                ticks.push(Tick { event: MarketEvent::Bar(bar), trades: 1 });
            }
        }
    }
    let close = MarketTime::parse("2026-03-16T20:00:00Z").expect("a time");
    let days = vec![SessionDay { open: open(), close }];
    Market { symbols: vec![spy, ibm], days, feed: Box::new(ticks.into_iter()) }
}

pub(crate) fn settings() -> Settings {
    Settings {
        venue: VenueConfig::default(),
        requests_per_minute: Settings::REQUESTS_PER_MINUTE,
        speed: 1,
        keys: Keys::any(),
        auth_timeout: Settings::AUTH_TIMEOUT,
        trade_connections: Settings::TRADE_CONNECTIONS,
    }
}

/// A broker that runs until it is dropped. It starts five minutes before the open.
pub(crate) struct Broker {
    address: SocketAddr,
    agent: ureq::Agent,
    elapsed_ms: Arc<AtomicU64>,
    /// Dropping it ends the server.
    _stop: tokio::sync::oneshot::Sender<()>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        self.header(name).parse().unwrap_or_else(|_| panic!("{name} is {:?}", self.header(name)))
    }
}

impl Broker {
    pub(crate) fn start(settings: Settings) -> Self {
        Self::over(settings, market())
    }

    /// A broker over a market of the test's own.
    pub(crate) fn over(settings: Settings, market: Market) -> Self {
        let elapsed_ms = Arc::new(AtomicU64::new(0));
        let (hands, clock) = (elapsed_ms.clone(), elapsed_ms);
        let (ready, address) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let elapsed = move || Duration::from_millis(clock.load(Ordering::SeqCst));
                let sim = Sim::new(settings, market, Box::new(elapsed));
                tokio::spawn(sim.clone().run());
                ready.send(listener.local_addr().expect("an address")).expect("the test waits");
                tokio::select! {
                    served = axum::serve(listener, router(sim)) => served.expect("serves"),
                    _ = stopped => {}
                }
            });
        });
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .allow_non_standard_methods(true)
            .build();
        Self {
            address: address.recv_timeout(PATIENCE).expect("the server starts"),
            agent: config.into(),
            elapsed_ms: hands,
            _stop: stop,
        }
    }

    /// A broker in the session, ten seconds after the open.
    pub(crate) fn in_session(settings: Settings) -> Self {
        let broker = Self::start(settings);
        broker.pass(secs(310));
        broker
    }

    /// Lets market time pass.
    pub(crate) fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).expect("a short time");
        self.elapsed_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn send(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> Answer {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if let Some(key) = key {
            request = request.header("APCA-API-KEY-ID", key).header("APCA-API-SECRET-KEY", "S");
        }
        let answered = self.agent.run(request.body(body.to_owned()).expect("a request"));
        let mut response = answered.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = response.body_mut().read_to_string().expect("text");
        Answer {
            status: response.status().as_u16(),
            body: serde_json::from_str(&text).unwrap_or_default(),
            headers: response.headers().clone(),
            text,
        }
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> Answer {
        self.send(method, path, Some("K"), "")
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path);
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text);
        answer.body
    }

    pub(crate) fn post(&self, order: Value) -> Answer {
        self.send("POST", "/v2/orders", Some("K"), &order.to_string())
    }

    pub(crate) fn status(&self) -> Value {
        self.send("GET", "/sim/status", None, "").body
    }

    pub(crate) fn stream(&self, path: &str, headers: &[(&'static str, &str)]) -> Stream {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().expect("a request");
        for (name, value) in headers {
            let value = value.parse().expect("a header value");
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let socket = TcpStream::connect(self.address).expect("connects");
        socket.set_read_timeout(Some(PATIENCE)).expect("sockets have timeouts");
        let (socket, _) = tungstenite::client(request, socket).expect("the handshake");
        Stream(socket)
    }
}

pub(crate) struct Stream(WebSocket<TcpStream>);

impl Stream {
    pub(crate) fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).expect("sends");
    }

    /// The next frame that is data of ours, as it came.
    pub(crate) fn frame(&mut self) -> Message {
        loop {
            match self.0.read().expect("a frame in time") {
                Message::Ping(_) | Message::Pong(_) => {}
                frame => return frame,
            }
        }
    }

    pub(crate) fn hear(&mut self) -> Value {
        let frame = self.frame();
        serde_json::from_slice(&frame.into_data()).expect("JSON")
    }

    /// Says something and hears the answer.
    pub(crate) fn ask(&mut self, message: Value) -> Value {
        self.say(message);
        self.hear()
    }

    /// Whether the server has hung up.
    pub(crate) fn is_over(&mut self) -> bool {
        matches!(self.0.read(), Ok(Message::Close(_)) | Err(_))
    }
}
