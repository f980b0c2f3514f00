//! A running `sandpit-sim`, and the hand on its controls.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use sandpit_types::{Bar, MarketTime, SessionDay, Symbol};
use serde_json::{Value, json};

use crate::clock::TestClock;

/// Longest wait for an answer; an advance of the clock plays hours.
const PATIENCE: Duration = Duration::from_secs(30);
/// Whose quota our own questions use up.
const OBSERVER: &str = "OBSERVER";
/// Most rows of a page.
const ROWS: usize = 10_000;
/// The day that is played, unless a flag says another.
const DAY: (&str, &str) = ("2026-03-16T13:30:00Z", "2026-03-16T20:00:00Z");

/// The real program on a port of its own; ends when it is dropped.
pub struct Sim {
    child: Child,
    address: SocketAddr,
    agent: ureq::Agent,
    _stdout: BufReader<ChildStdout>,
}

impl Sim {
    /// Starts it with these flags and waits until it listens.
    ///
    /// # Panics
    /// When it is not built, or does not come up.
    pub fn start(flags: &[&str]) -> Self {
        let here = std::env::current_exe().expect("a test knows its own path");
        let binary: PathBuf = here.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("sandpit-sim");
        assert!(binary.exists(), "{} is not built; run cargo xtask test", binary.display());
        let mut command = Command::new(binary);
        command.args(["--listen", "127.0.0.1:0"]).args(flags).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("sandpit-sim starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("sandpit-sim says where it listens");
        let address = line.trim_end().strip_prefix("listening ").and_then(|address| address.parse().ok());
        // The environment's proxy knows nothing of our loopback.
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        let Some(address) = address else {
            let status = child.wait();
            panic!("sandpit-sim said {line:?} and ended with {status:?}");
        };
        Self { child, address, agent: config.into(), _stdout: stdout }
    }

    /// One that has been set forward to `after` the open and runs on from there at `speed`.
    pub fn in_session(flags: &[&str], after: Duration, speed: u32) -> Self {
        let sim = Self::start(&[flags, &["--paused"]].concat());
        sim.set_clock(&json!({"advance_to": (sim.open() + after).to_string()}));
        sim.set_clock(&json!({"speed": speed, "resume": true}));
        sim
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The session that is played.
    pub fn day(&self) -> SessionDay {
        let at = |text| MarketTime::parse(text).expect("a time");
        SessionDay { open: at(DAY.0), close: at(DAY.1) }
    }

    /// The open of the session.
    pub fn open(&self) -> MarketTime {
        self.day().open
    }

    /// What its clock reads, and how fast it runs: 0 when it stands.
    pub fn clock(&self) -> (MarketTime, u32) {
        let clock = self.ask("GET", "/sim/clock", None);
        let speed = clock["speed"].as_u64().and_then(|speed| u32::try_from(speed).ok()).expect("a speed");
        let now = clock["market_time"].as_str().and_then(|text| MarketTime::parse(text).ok());
        (now.expect("a market time"), if clock["paused"] == true { 0 } else { speed })
    }

    /// Works its clock.
    pub fn set_clock(&self, change: &Value) {
        self.ask("POST", "/sim/clock", Some(change));
    }

    /// A host's clock that agrees with it.
    pub fn new_clock(&self) -> TestClock {
        let (market, speed) = self.clock();
        TestClock::new(market, speed)
    }

    /// Lets a fault loose; returns its number.
    pub fn fault(&self, rule: &Value) -> u64 {
        self.ask("POST", "/sim/faults", Some(rule))["id"].as_u64().expect("the number of the fault")
    }

    /// Takes a fault away.
    pub fn heal(&self, fault: u64) {
        let url = format!("http://{}/sim/faults/{fault}", self.address);
        let answer = self.agent.delete(&url).call().expect("sandpit-sim answers");
        assert!(answer.status().is_success(), "DELETE {url}: {}", answer.status());
    }

    /// How often a fault has hit.
    pub fn hits(&self, fault: u64) -> u64 {
        let faults = self.ask("GET", "/sim/faults", None);
        let rule = faults.as_array().into_iter().flatten().find(|rule| rule["id"] == fault);
        rule.and_then(|rule| rule["hits"].as_u64()).expect("an armed fault")
    }

    /// Makes something happen in the market.
    pub fn inject(&self, what: &Value) {
        self.ask("POST", "/sim/inject", Some(what));
    }

    /// A figure of its status.
    pub fn figure(&self, name: &str) -> u64 {
        let status = self.ask("GET", "/sim/status", None);
        status[name].as_u64().unwrap_or_else(|| panic!("{name} in {status}"))
    }

    /// The truth: every bar with `from <= start <= last` of its history.
    pub fn bars(&self, symbols: &[Symbol], from: MarketTime, last: MarketTime) -> Vec<Bar> {
        let names = symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(",");
        let base = format!(
            "/v2/stocks/bars?symbols={names}&timeframe=1Min&start={from}&end={last}&limit={ROWS}&feed=iex"
        );
        let (mut bars, mut path) = (Vec::new(), base.clone());
        loop {
            let page = self.ask("GET", &path, None);
            for (name, rows) in page["bars"].as_object().into_iter().flatten() {
                let symbol = Symbol::new(name.as_str());
                bars.extend(rows.as_array().into_iter().flatten().map(|row| bar(&symbol, row)));
            }
            let Some(token) = page["next_page_token"].as_str() else { return bars };
            path = format!("{base}&page_token={token}");
        }
    }

    /// Sends an order under `key`.
    pub fn order(&self, key: &str, order: &Value) -> Value {
        self.send("POST", "/v2/orders", key, Some(order))
    }

    /// The answer to one of our own requests.
    ///
    /// # Panics
    /// When it is none, or says that something is wrong.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.send(method, path, OBSERVER, body)
    }

    fn send(&self, method: &str, path: &str, key: &str, body: Option<&Value>) -> Value {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("APCA-API-KEY-ID", key)
            .header("APCA-API-SECRET-KEY", "S");
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.agent.run(request.body(body).expect("a request"));
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = answer.body_mut().read_to_string().expect("text");
        assert!(answer.status().is_success(), "{method} {path}: {} {text}", answer.status());
        serde_json::from_str(&text).unwrap_or_default()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn bar(symbol: &Symbol, row: &Value) -> Bar {
    let number = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name} in {row}"));
    Bar {
        symbol: symbol.clone(),
        start: row["t"].as_str().and_then(|text| MarketTime::parse(text).ok()).expect("a time"),
        open: number("o"),
        high: number("h"),
        low: number("l"),
        close: number("c"),
        volume: row["v"].as_u64().expect("a volume"),
        vwap: number("vw"),
    }
}
