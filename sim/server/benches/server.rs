//! How fast the server is over real sockets: limit orders and cancels on eight keep-alive connections. As a
//! peer the same clients against a handler that only reads the same JSON and answers a constant order: the
//! cost of HTTP alone. Clients and servers share one process and its processors.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::StatusCode, routing::delete, routing::post};
use jiff::civil::date;
use rust_decimal::Decimal;
use sandpit_sim::{Market, Settings, Sim, serve};
use sandpit_types::{Symbol, Usd};
use sandpit_venue::VenueConfig;
use tokio::net::TcpListener;

const CONNECTIONS: usize = 8;
/// Requests of each connection that are measured.
const REQUESTS: usize = 10_000;
/// Requests of each connection before those.
const WARM_UP: usize = 500;
/// US dollars: enough for every order to rest.
const CASH: i64 = 1_000_000_000;
/// What the peer answers; the simulator's orders are three times as long.
const ORDER: &str = r#"{"id":"65060736-032b-4898-820d-0863dca72538","status":"new","symbol":"SPY"}"#;

/// What the clients send.
#[derive(Clone, Copy)]
enum Mix {
    /// An order, its cancel, the next order.
    OrdersAndCancels,
    /// Orders that rest.
    Orders,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (peer, simulator, other) =
        runtime.block_on(async { (peer().await, simulator().await, simulator().await) });
    run("bare_http", peer, Mix::OrdersAndCancels);
    run("server_orders_and_cancels", simulator, Mix::OrdersAndCancels);
    run("server_orders", other, Mix::Orders);
}

/// A handler that reads the order and answers another, always the same.
async fn peer() -> SocketAddr {
    let submit = async |body: Bytes| match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(order) if order["symbol"].is_string() => Ok(ORDER),
        _ => Err(StatusCode::BAD_REQUEST),
    };
    let router = Router::new()
        .route("/v2/orders", post(submit))
        .route("/v2/orders/{id}", delete(async || StatusCode::NO_CONTENT));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

async fn simulator() -> SocketAddr {
    let cash = Usd::new(Decimal::from(CASH));
    let settings = Settings {
        venue: VenueConfig { cash, always_open: true, ..VenueConfig::default() },
        requests_per_minute: u32::MAX,
        ..Settings::default()
    };
    let market = Market::synthetic(1, vec![Symbol::new("SPY")], date(2026, 3, 16), 1).expect("a trading day");
    let start = now();
    let sim = Sim::new(settings, market, Box::new(move || start.elapsed()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(sim.clone().run());
    tokio::spawn(serve(listener, sim));
    address
}

/// Lets the clients send and prints what came of it.
fn run(name: &str, address: SocketAddr, mix: Mix) {
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(address)).collect();
    all(&mut clients, |client| drop(client.send(mix, WARM_UP)));
    let start = now();
    let mut waits: Vec<Duration> = all(&mut clients, |client| client.send(mix, REQUESTS)).concat();
    let took = start.elapsed();
    waits.sort_unstable();
    let percentile = |percent: usize| waits[waits.len() * percent / 100].as_micros();
    println!("{name} {:.0} requests/s", waits.len() as f64 / took.as_secs_f64());
    println!("{name}_p50 {} us", percentile(50));
    println!("{name}_p99 {} us", percentile(99));
}

/// Each client on a thread of its own.
fn all<T: Send>(clients: &mut [Client], work: impl Fn(&mut Client) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = clients.iter_mut().map(|client| scope.spawn(move || work(client))).collect();
        threads.into_iter().map(|thread| thread.join().expect("every request is answered")).collect()
    })
}

/// One keep-alive connection.
struct Client {
    socket: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
    /// The order to cancel next.
    open: Option<String>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("connects");
        socket.set_nodelay(true).expect("TCP_NODELAY");
        let socket = BufReader::new(socket);
        Self { socket, line: String::new(), body: Vec::new(), open: None }
    }

    /// Sends so many requests, each after the answer to the one before; returns how long each took.
    fn send(&mut self, mix: Mix, count: usize) -> Vec<Duration> {
        let one = |_| {
            let request = match (mix, self.open.take()) {
                (Mix::OrdersAndCancels, Some(id)) => head("DELETE", &format!("/v2/orders/{id}"), 0),
                _ => {
                    let body = concat!(
                        r#"{"symbol":"SPY","qty":"1","side":"buy","type":"limit","#,
                        r#""time_in_force":"day","limit_price":"1.00"}"#
                    );
                    head("POST", "/v2/orders", body.len()) + body
                }
            };
            let start = now();
            self.socket.get_mut().write_all(request.as_bytes()).expect("sends");
            self.read();
            let took = start.elapsed();
            self.open = id_of(&self.body);
            took
        };
        (0..count).map(one).collect()
    }

    /// Reads one answer, which must be good.
    fn read(&mut self) {
        let mut length = 0;
        self.next_line();
        assert!(self.line.starts_with("HTTP/1.1 20"), "{}", self.line);
        while self.next_line() > 2 {
            let header = self.line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        self.body.resize(length, 0);
        self.socket.read_exact(&mut self.body).expect("a whole body");
    }

    fn next_line(&mut self) -> usize {
        self.line.clear();
        self.socket.read_line(&mut self.line).expect("an answer")
    }
}

fn head(method: &str, path: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: sim\r\napca-api-key-id: K\r\napca-api-secret-key: S\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// The id of the order in a body; `None` when there is none.
fn id_of(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("\"id\":\"")?;
    rest.split_once('"').map(|(id, _)| id.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
