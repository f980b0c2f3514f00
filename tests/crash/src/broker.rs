//! The broker of a rig: a running `sandpit-sim`, and everything it ever took from us.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use rust_decimal::Decimal;
use sandpit_system_tests::binary;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::waiting::pass;

/// The symbols of the market.
pub const SYMBOLS: [&str; 8] = ["SPY", "QQQ", "IWM", "AAPL", "MSFT", "NVDA", "AMZN", "TSLA"];
/// Cash at the start, US dollars: so much that no breaker of losses is ever near.
pub const CASH: u64 = 10_000_000;
/// Sessions of a run.
const SESSIONS: &str = "250";
/// Market time after the open at which a run begins.
const AFTER_OPEN: &str = "2026-03-16T13:31:00Z";
/// Requests under one key of ours: each key has a quota, and none is free again while the clock stands.
const REQUESTS_A_KEY: u64 = 150;
/// A page of orders.
const PAGE: usize = 500;
/// Our own questions meet the faults, too: they are asked again so many times.
const TRIES: u32 = 20;
/// Lines of the log that are read at a time.
const LINES: usize = 20_000;

/// An order as the broker shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Taken {
    /// The broker's id.
    pub id: String,
    /// Ours, but for a leg.
    pub client_order_id: String,
    /// Shares filled.
    pub filled_qty: Decimal,
    /// Where it stands.
    pub status: String,
    /// The order whose place it took.
    pub replaces: Option<String>,
    /// Which symbol.
    pub symbol: String,
}

impl Taken {
    /// Whether nothing more can happen to it.
    pub fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "filled" | "canceled" | "expired" | "rejected" | "replaced")
    }
}

/// The real program on a port of its own; it ends when this is dropped, if it was started here.
pub struct Broker {
    child: Option<Child>,
    /// Where it listens.
    pub address: String,
    agent: ureq::Agent,
    asked: Cell<u64>,
    orders: Vec<Taken>,
    lines_read: u64,
    sent: BTreeSet<String>,
}

impl Broker {
    /// Starts it in mid-session, at `speed` market seconds a second.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(folder: &Path, seed: u64, speed: u32, faults: Option<&str>) -> anyhow::Result<Self> {
        let mut command = Command::new(binary("sandpit-sim"));
        command.args(["--listen", "127.0.0.1:0", "--paused", "--sessions", SESSIONS]);
        command.args(["--speed", &speed.to_string(), "--seed", &seed.to_string()]);
        command.args(["--symbols", &SYMBOLS.join(","), "--cash", &CASH.to_string()]);
        if let Some(faults) = faults {
            let path = folder.join("faults.toml");
            std::fs::write(&path, faults)?;
            command.arg("--faults").arg(path);
        }
        let log = std::fs::File::create(folder.join("sim.log"))?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("listening ") else {
            let status = child.wait()?;
            bail!("sandpit-sim said {line:?} and ended with {status}");
        };
        let mut broker = Self::at(address);
        broker.child = Some(child);
        broker.control("clock", &json!({"advance_to": AFTER_OPEN}))?;
        broker.control("clock", &json!({"resume": true}))?;
        Ok(broker)
    }

    /// One that somebody else has started, at `ADDR:PORT`.
    pub fn at(address: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .proxy(None)
            .http_status_as_error(false)
            .build();
        let (orders, sent) = Default::default();
        let (address, asked) = (address.to_owned(), Cell::default());
        Self { child: None, address, agent: config.into(), asked, orders, lines_read: 0, sent }
    }

    /// A GET.
    ///
    /// # Errors
    /// When it is not answered, or with an error, however often it is asked.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        serde_json::from_str(&self.get_text(path)?).with_context(|| format!("GET {path}"))
    }

    fn get_text(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("http://{}{path}", self.address);
        let mut last = String::new();
        for _ in 0..TRIES {
            self.asked.set(self.asked.get() + 1);
            let key = format!("eye-{}", self.asked.get() / REQUESTS_A_KEY);
            let request = self.agent.get(&url).header("APCA-API-KEY-ID", key);
            match request.header("APCA-API-SECRET-KEY", "s").call() {
                Ok(mut answer) if answer.status().is_success() => {
                    return Ok(answer.body_mut().with_config().limit(64 << 20).read_to_string()?);
                }
                Ok(answer) => last = answer.status().to_string(),
                Err(error) => last = error.to_string(),
            }
            pass(Duration::from_millis(5));
        }
        bail!("GET {path}: {last}")
    }

    /// One of the sim's controls, such as `inject`.
    ///
    /// # Errors
    /// When it is refused.
    pub fn control(&self, name: &str, what: &Value) -> anyhow::Result<Value> {
        let url = format!("http://{}/sim/{name}", self.address);
        let mut answer = self.agent.post(&url).send_json(what)?;
        let text = answer.body_mut().read_to_string()?;
        anyhow::ensure!(answer.status().is_success(), "POST /sim/{name} {what}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Sends an order under `key`, each of which has a quota of its own.
    ///
    /// # Errors
    /// When it is refused.
    pub fn submit(&self, key: &str, order: &Value) -> anyhow::Result<Value> {
        let request = self.agent.post(format!("http://{}/v2/orders", self.address));
        let request = request.header("APCA-API-KEY-ID", key).header("APCA-API-SECRET-KEY", "s");
        let mut answer = request.send_json(order)?;
        let text = answer.body_mut().read_to_string()?;
        anyhow::ensure!(answer.status().is_success(), "POST /v2/orders {order}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// A figure of its status.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn figure(&self, name: &str) -> anyhow::Result<u64> {
        self.get("/sim/status")?[name].as_u64().with_context(|| format!("{name} in the sim's status"))
    }

    /// The newest quote of a symbol: bid and ask.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn quote(&self, symbol: &str) -> anyhow::Result<(f64, f64)> {
        let quote = self.get(&format!("/v2/stocks/{symbol}/quotes/latest"))?;
        let side = |name: &str| quote["quote"][name].as_f64().with_context(|| format!("{name} in {quote}"));
        Ok((side("bp")?, side("ap")?))
    }

    /// A quote in the market.
    ///
    /// # Errors
    /// When it is refused.
    pub fn tell_quote(&self, symbol: &str, bid_size: u64) -> anyhow::Result<()> {
        let (bid, ask) = self.quote(symbol)?;
        let quote = json!({"symbol": symbol, "bid": bid, "bid_size": bid_size, "ask": ask});
        self.control("inject", &json!({ "quote": quote })).map(drop)
    }

    /// Symbol to shares.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn positions(&self) -> anyhow::Result<BTreeMap<String, Decimal>> {
        #[derive(Deserialize)]
        struct Position {
            symbol: String,
            qty: Decimal,
        }
        let rows: Vec<Position> = serde_json::from_value(self.get("/v2/positions")?)?;
        Ok(rows.into_iter().map(|row| (row.symbol, row.qty)).collect())
    }

    /// Cash, US dollars.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn cash(&self) -> anyhow::Result<Decimal> {
        let account = self.get("/v2/account")?;
        let cash = account["cash"].as_str().context("cash")?;
        cash.parse().with_context(|| format!("cash {cash}"))
    }

    /// Every order it ever took, in the order of submission. Those that came before the oldest that may still
    /// change are not asked for again.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn orders(&mut self) -> anyhow::Result<&[Taken]> {
        let is_over = self.orders.iter().take_while(|order| order.is_over());
        let known = is_over.count();
        self.orders.truncate(known);
        loop {
            let last = self.orders.last().map(|order| format!("&after_order_id={}", order.id));
            let path = "/v2/orders?status=all&nested=false&direction=asc&limit=";
            let page = self.get(&format!("{path}{PAGE}{}", last.unwrap_or_default()))?;
            let page: Vec<Taken> = serde_json::from_value(page)?;
            let is_last = page.len() < PAGE;
            self.orders.extend(page);
            if is_last {
                return Ok(&self.orders);
            }
        }
    }

    /// Client ids that were sent more than once, be it that the second was turned away.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn sent_twice(&mut self) -> anyhow::Result<Vec<String>> {
        let mut twice = Vec::new();
        loop {
            let text = self.get_text(&format!("/sim/log?after={}&limit={LINES}", self.lines_read))?;
            let mut count = 0;
            for line in text.lines() {
                let line: Value = serde_json::from_str(line)?;
                count += 1;
                let seq = line["seq"].as_u64().context("a line's number")?;
                anyhow::ensure!(seq == self.lines_read + 1, "lines of the sim's log have gone before {seq}");
                self.lines_read = seq;
                twice.extend(sent(&line).filter(|id| !self.sent.insert(id.clone())));
            }
            if count < LINES {
                return Ok(twice);
            }
        }
    }
}

/// The client id of a request that sends an order.
fn sent(line: &Value) -> Option<String> {
    let is_order = line["method"] == "POST" && line["path"] == "/v2/orders"
        || line["method"] == "PATCH" && line["path"].as_str()?.starts_with("/v2/orders/");
    let body: Value = serde_json::from_str(line["body"].as_str().filter(|_| is_order)?).ok()?;
    body["client_order_id"].as_str().map(str::to_owned)
}

impl Drop for Broker {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        let _ = child.kill();
        let _ = child.wait();
    }
}
