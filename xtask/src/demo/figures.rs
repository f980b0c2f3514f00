//! What the three processes say of themselves, put together.

use serde_json::{Map, Value, json};

/// Figures that start at zero in every life of the host and are summed over its lives.
const SUMMED: [&str; 2] = ["intents", "refused"];

/// The newest answers, and what earlier lives of the host have counted.
#[derive(Default)]
pub(crate) struct Figures {
    sim: Value,
    host: Value,
    watchdog: Value,
    earlier: Map<String, Value>,
    equity_start: Option<f64>,
    /// Real time of the whole run, seconds.
    pub(crate) wall_s: f64,
}

impl Figures {
    /// Takes the broker's status; keeps the old one when there was no answer.
    pub(crate) fn take_sim(&mut self, status: Option<Value>) {
        self.sim = status.unwrap_or_else(|| std::mem::take(&mut self.sim));
    }

    /// Takes the watchdog's status; keeps the old one when there was no answer.
    pub(crate) fn take_watchdog(&mut self, status: Option<Value>) {
        self.watchdog = status.unwrap_or_else(|| std::mem::take(&mut self.watchdog));
    }

    /// Takes the host's status; a new epoch means that the old figures are final for their life.
    pub(crate) fn take_host(&mut self, status: Option<Value>) {
        let Some(status) = status else { return };
        if !self.host.is_null() && self.host["epoch"] != status["epoch"] {
            for name in SUMMED {
                let sum = self.summed(name);
                self.earlier.insert(name.to_owned(), sum.into());
            }
        }
        self.equity_start = self.equity_start.or(status["equity_start_usd"].as_f64());
        self.host = status;
    }

    fn summed(&self, name: &str) -> u64 {
        let earlier = self.earlier.get(name).and_then(Value::as_u64).unwrap_or(0);
        earlier + self.host["orders"][name].as_u64().unwrap_or(0)
    }

    pub(crate) fn host_was_seen(&self) -> bool {
        !self.host.is_null()
    }

    pub(crate) fn market_ended(&self) -> bool {
        self.sim["ended"].as_bool() == Some(true)
    }

    pub(crate) fn killed(&self) -> bool {
        !self.watchdog["kill"].is_null()
    }

    pub(crate) fn kill_is_confirmed(&self) -> bool {
        self.watchdog["broker"] == "CONFIRMED_ZERO"
    }

    /// Layer, reason and what the broker was last seen to hold.
    pub(crate) fn kill_text(&self) -> String {
        let kill = &self.watchdog["kill"];
        let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
        format!(
            "{} ({}), broker {}",
            text(&kill["layer"]),
            text(&kill["reason"]),
            text(&self.watchdog["broker"])
        )
    }

    pub(crate) fn sim(&self) -> &Value {
        &self.sim
    }

    pub(crate) fn host(&self) -> &Value {
        &self.host
    }

    pub(crate) fn watchdog(&self) -> &Value {
        &self.watchdog
    }

    /// Equity at the first and at the last look.
    pub(crate) fn equity(&self) -> (Option<f64>, Option<f64>) {
        (self.equity_start, self.host["equity_usd"].as_f64())
    }

    /// The summary as one object. Orders, fills and requests are the broker's own count.
    pub(crate) fn to_json(&self) -> Value {
        let sim = |name: &str| self.sim[name].as_u64().unwrap_or(0);
        let (equity_start, equity_end) = self.equity();
        let kill = if self.killed() { Value::String(self.kill_text()) } else { Value::Null };
        json!({
            "bars": sim("bars"),
            "quotes": sim("quotes"),
            "trades": sim("trades"),
            "intents": self.summed("intents"),
            "refused": self.summed("refused"),
            "orders": sim("orders_accepted"),
            "fills": sim("fills"),
            "cancels": sim("cancels"),
            "equity_start": equity_start,
            "equity_end": equity_end,
            "host_restarts": self.watchdog["host_restarts"].as_u64().unwrap_or(0),
            "kill": kill,
            "requests": sim("requests"),
            "http_429": sim("http_429"),
            "wall_s": (self.wall_s * 10.0).round() / 10.0,
            "market_time": self.sim["market_time"],
            "strategies": self.host["strategies"],
            "refusals": self.host["refusals"],
        })
    }
}
