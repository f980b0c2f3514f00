//! The live view and the closing table.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
};

use serde_json::Value;

use super::figures::Figures;

/// Without a terminal, a line is printed every so many looks (5 s).
const QUIET_LOOKS: u32 = 20;

/// A line of the log is cut here, so that it does not wrap.
const LOG_COLUMNS: usize = 76;

/// Lines that are wider than the terminal are cut, so that the view can go back over them.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// An RFC 3339 time without fractions.
const SECONDS_COLUMNS: usize = "2013-10-07T13:30:00".len();

/// Draws over itself on a terminal, prints a line now and then elsewhere.
pub(crate) struct Live {
    silent: bool,
    terminal: bool,
    lines: usize,
    looks: u32,
}

impl Live {
    /// `silent` draws nothing at all.
    pub(crate) fn new(silent: bool) -> Self {
        Self { silent, terminal: std::io::stdout().is_terminal(), lines: 0, looks: 0 }
    }

    /// Whether it draws over itself, so that nobody else may write to the terminal.
    pub(crate) const fn takes_terminal(&self) -> bool {
        self.terminal && !self.silent
    }

    /// Shows the figures of this moment, and below them the notable lines of the log.
    pub(crate) fn show(&mut self, figures: &Figures, notable: &[String]) {
        self.looks += 1;
        if self.silent || !figures.host_was_seen() {
            return;
        }
        if self.terminal {
            let mut text = frame(figures);
            for line in notable {
                let _ = writeln!(text, "  | {}", line.chars().take(LOG_COLUMNS).collect::<String>());
            }
            let mut out = std::io::stdout().lock();
            // A terminal that is gone is no reason to stop the demo.
            let _ = if self.lines > 0 { write!(out, "\x1b[{}A\x1b[J", self.lines) } else { Ok(()) };
            let _ = write!(out, "{NO_WRAP}{text}{WRAP}").and_then(|()| out.flush());
            self.lines = text.lines().count();
        } else if self.looks % QUIET_LOOKS == 1 {
            // Nobody has to listen.
            let _ = writeln!(std::io::stdout(), "{}", headline(figures));
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn usd(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.2}"))
}

fn headline(figures: &Figures) -> String {
    let (sim, watchdog) = (figures.sim(), figures.watchdog());
    let kill = if figures.killed() { format!("  KILL {}", figures.kill_text()) } else { String::new() };
    let market_time: String = text(&sim["market_time"]).chars().take(SECONDS_COLUMNS).collect();
    format!(
        "{market_time} UTC  {}  orders {}  fills {}  equity {}  watchdog {}{kill}",
        text(&sim["phase"]),
        text(&sim["orders_accepted"]),
        text(&sim["fills"]),
        usd(figures.equity().1),
        text(&watchdog["state"]),
    )
}

/// The whole live view.
fn frame(figures: &Figures) -> String {
    let (sim, host, watchdog) = (figures.sim(), figures.host(), figures.watchdog());
    let mut out = headline(figures) + "\n";
    out += &strategies(host);
    for budget in host["budgets"].as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "  budget {:<8} {:>4} of {} requests in the last market minute, {} waiting, {} in all, {} x 429",
            text(&budget["name"]),
            text(&budget["used"]),
            text(&budget["limit"]),
            text(&budget["queued"]),
            text(&budget["requests"]),
            text(&budget["http_429"]),
        );
    }
    for stream in host["streams"].as_array().into_iter().flatten() {
        let (name, state) = (text(&stream["name"]), text(&stream["state"]));
        let _ = writeln!(out, "  stream {name:<14} {state}, {} reconnects", text(&stream["reconnects"]));
    }
    let _ = writeln!(
        out,
        "  host {} MB, {} restarts   broker: {} open orders   lease {} ms",
        host["rss_bytes"].as_u64().unwrap_or(0) >> 20,
        text(&watchdog["host_restarts"]),
        text(&sim["open_orders"]),
        text(&watchdog["lease_ms_left"]),
    );
    out
}

fn strategies(host: &Value) -> String {
    let mut out = format!(
        "  {:<12} {:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>12}\n",
        "strategy", "state", "events", "intents", "refused", "orders", "fills", "P&L USD"
    );
    for strategy in host["strategies"].as_array().into_iter().flatten() {
        let profit = strategy["realised_usd"].as_f64().unwrap_or(0.0)
            + strategy["unrealised_usd"].as_f64().unwrap_or(0.0);
        let _ = writeln!(
            out,
            "  {:<12} {:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {profit:>12.2}",
            text(&strategy["name"]),
            text(&strategy["state"]),
            text(&strategy["events"]),
            text(&strategy["intents"]),
            text(&strategy["refused"]),
            text(&strategy["orders"]),
            text(&strategy["fills"]),
        );
    }
    out
}

/// The closing table.
pub(crate) fn summary(figures: &Figures) -> String {
    let json = figures.to_json();
    let mut out = String::from("\n") + &strategies(figures.host());
    let rows = ["bars", "quotes", "trades", "intents", "refused", "orders", "fills", "cancels"];
    let rest = ["equity_start", "equity_end", "host_restarts", "kill", "requests", "http_429", "wall_s"];
    for name in rows.into_iter().chain(rest) {
        let _ = writeln!(out, "  {name:<14} {:>16}", text(&json[name]));
    }
    out
}
