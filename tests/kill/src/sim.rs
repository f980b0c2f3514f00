//! The broker of a rig: a running `sandpit-sim`, its controls, and orders that others than the host place.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandpit_system_tests::binary;
use serde_json::{Value, json};

use crate::judge::OVER;

/// The symbols that the strategies have.
pub const SYMBOLS: [&str; 4] = ["SPY", "QQQ", "IWM", "AAPL"];
/// The symbol that nobody but the tests trades.
const SPARE: &str = "MSFT";
/// Client ids of orders that the tests place as if they were of ours.
pub const OURS: &str = "sp-rig-";
/// And as if a human had placed them.
pub const HAND: &str = "hand-";
/// Cash at the start, US dollars: so much that no breaker of losses is ever near.
const CASH: &str = "10000000";
/// A minute after the open, when a run begins.
const AFTER_OPEN: &str = "2026-03-16T13:31:00Z";
/// Our own questions wait no longer.
const CALL_WAIT: Duration = Duration::from_secs(10);

/// The real program on a port of its own; it ends when this is dropped.
pub struct Sim {
    child: Child,
    /// Where it listens.
    pub address: String,
    agent: ureq::Agent,
}

impl Sim {
    /// Starts it in mid-session, at `speed` market seconds a second.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(folder: &Path, seed: u64, speed: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(binary("sandpit-sim"));
        command.args(["--listen", "127.0.0.1:0", "--paused", "--sessions", "2", "--rpm", "10000000"]);
        command.args(["--speed", &speed.to_string(), "--seed", &seed.to_string(), "--cash", CASH]);
        command.args(["--symbols", &format!("{},{SPARE}", SYMBOLS.join(","))]);
        let log = std::fs::File::create(folder.join("sim.log"))?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("listening ") else {
            let status = child.wait()?;
            bail!("sandpit-sim said {line:?} and ended with {status}");
        };
        let sim = Self { child, address: address.to_owned(), agent: agent(CALL_WAIT) };
        sim.control("clock", &json!({"advance_to": AFTER_OPEN}))?;
        sim.control("clock", &json!({"resume": true}))?;
        Ok(sim)
    }

    /// Stops it as a whole, or lets it go on.
    ///
    /// # Panics
    /// Never: the kernel's numbers fit.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")), signal);
    }

    /// A GET under a key of the tests' own.
    ///
    /// # Errors
    /// When it is not answered with success.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.agent.get(format!("http://{}{path}", self.address));
        let mut answer =
            request.header("APCA-API-KEY-ID", "eye").header("APCA-API-SECRET-KEY", "s").call()?;
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string()?;
        ensure!(answer.status().is_success(), "GET {path}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Every order that is not over. A stop-loss that is held beside its take-profit is in no list of open
    /// orders (fact sheet 2.5), so all that there ever were are looked through.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn open_orders(&self) -> anyhow::Result<Vec<Value>> {
        const PAGE: usize = 500;
        let (mut open, mut last) = (Vec::new(), String::new());
        loop {
            let path = "/v2/orders?status=all&nested=false&direction=asc&limit=";
            let page = self.get(&format!("{path}{PAGE}{last}"))?;
            let rows = page.as_array().context("a list of orders")?;
            let is_over = |row: &Value| row["status"].as_str().is_some_and(|status| OVER.contains(&status));
            open.extend(rows.iter().filter(|row| !is_over(row)).cloned());
            match rows.last().and_then(|row| row["id"].as_str()) {
                Some(id) if rows.len() == PAGE => last = format!("&after_order_id={id}"),
                Some(_) | None => return Ok(open),
            }
        }
    }

    /// One of its controls, such as `inject`.
    ///
    /// # Errors
    /// When it is refused.
    pub fn control(&self, name: &str, what: &Value) -> anyhow::Result<Value> {
        self.post(&format!("/sim/{name}"), what)
    }

    /// Arms a fault, a rule as in its file; its number.
    ///
    /// # Errors
    /// When it is refused.
    pub fn fault(&self, rule: &Value) -> anyhow::Result<u64> {
        self.control("faults", rule)?["id"].as_u64().context("a fault's number")
    }

    /// How often a fault has hit.
    ///
    /// # Errors
    /// When there is no such fault.
    pub fn hits(&self, fault: u64) -> anyhow::Result<u64> {
        let faults = self.get("/sim/faults")?;
        let rule = faults.as_array().into_iter().flatten().find(|rule| rule["id"] == fault);
        rule.and_then(|rule| rule["hits"].as_u64()).context("a fault that is armed")
    }

    /// Ends every fault.
    ///
    /// # Errors
    /// When it is refused.
    pub fn heal(&self) -> anyhow::Result<()> {
        let answer = self.agent.delete(format!("http://{}/sim/faults", self.address)).call()?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        Ok(())
    }

    /// Sends an order; the broker's answer.
    ///
    /// # Errors
    /// When it is refused.
    pub fn submit(&self, order: &Value) -> anyhow::Result<Value> {
        self.post("/v2/orders", order)
    }

    /// Puts `count` purchases far below the market, whose client ids begin with `prefix`.
    ///
    /// # Errors
    /// When one is refused.
    pub fn rest(&self, prefix: &str, count: usize) -> anyhow::Result<()> {
        (0..count).try_for_each(|at| {
            let order = json!({
                "symbol": SPARE, "qty": "1", "side": "buy", "type": "limit", "time_in_force": "day",
                "limit_price": "1.00", "client_order_id": format!("{prefix}{at}"),
            });
            self.submit(&order).map(drop)
        })
    }

    /// A purchase at the market with two exits, under this client id: filled at once, and its exits are open.
    /// With `rests`, the purchase rests far below the market and its exits wait.
    ///
    /// # Errors
    /// When it is refused.
    pub fn bracket(&self, client_id: &str, rests: bool) -> anyhow::Result<()> {
        let quote = self.get(&format!("/v2/stocks/{SPARE}/quotes/latest"))?;
        let ask = quote["quote"]["ap"].as_f64().context("an ask")?;
        let cents = |price: f64| format!("{price:.2}");
        let mut order = json!({
            "symbol": SPARE, "qty": "3", "side": "buy", "type": "market", "time_in_force": "day",
            "order_class": "bracket", "client_order_id": client_id,
            "take_profit": {"limit_price": cents(ask * 2.0)}, "stop_loss": {"stop_price": cents(ask * 0.5)},
        });
        if rests {
            order["type"] = "limit".into();
            order["limit_price"] = cents(ask * 0.6).into();
        }
        self.submit(&order).map(drop)
    }

    /// A quote in the market, the newest one with another size of its bid.
    ///
    /// # Errors
    /// When it is refused.
    pub fn tell_quote(&self, symbol: &str, bid_size: u64) -> anyhow::Result<()> {
        let newest = self.get(&format!("/v2/stocks/{symbol}/quotes/latest"))?;
        let side = |name: &str| newest["quote"][name].as_f64().with_context(|| format!("{name} in {newest}"));
        let quote = json!({"symbol": symbol, "bid": side("bp")?, "bid_size": bid_size, "ask": side("ap")?});
        self.control("inject", &json!({ "quote": quote })).map(drop)
    }

    /// A figure of its status.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn figure(&self, name: &str) -> anyhow::Result<u64> {
        self.get("/sim/status")?[name].as_u64().with_context(|| format!("{name} in the sim's status"))
    }

    /// Whether the account is suspended.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn is_suspended(&self) -> anyhow::Result<bool> {
        self.get("/v2/account")?["trade_suspended_by_user"].as_bool().context("whether it is suspended")
    }

    /// Lines of its own record, with numbers above `after`.
    pub(crate) fn record(agent: &ureq::Agent, address: &str, after: u64) -> anyhow::Result<Vec<Value>> {
        let url = format!("http://{address}/sim/log?after={after}&limit=20000");
        let mut answer = agent.get(&url).call()?;
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_string()?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    fn post(&self, path: &str, what: &Value) -> anyhow::Result<Value> {
        let request = self.agent.post(format!("http://{}{path}", self.address));
        let request = request.header("APCA-API-KEY-ID", "hand").header("APCA-API-SECRET-KEY", "s");
        let mut answer = request.send_json(what)?;
        let text = answer.body_mut().read_to_string()?;
        ensure!(answer.status().is_success(), "POST {path} {what}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

/// A client that goes straight to where it is sent.
pub(crate) fn agent(wait: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(wait))
        .proxy(None)
        .http_status_as_error(false)
        .build();
    config.into()
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
