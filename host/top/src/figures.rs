//! The snapshot of the host as rows of text.
//!
//! Names and errors come from strategies, plugins and the broker: nothing of them that a terminal would obey
//! gets onto the screen.

use serde_json::Value;

use crate::Pane;

/// How serious a row is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    #[default]
    Plain,
    /// Something to know.
    Notable,
    /// Something to act on.
    Bad,
}

/// One row of a pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What it is about, by which it is found again: an order's id, a strategy's name.
    pub key: String,
    /// Its cells, one for each head of its pane.
    pub cells: Vec<String>,
    /// How serious it is.
    pub tone: Tone,
    /// A strategy that is paused.
    pub is_paused: bool,
}

/// What is shown of the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// `dry-run`, `paper` or `live`.
    pub mode: String,
    /// Market time.
    pub market_time: String,
    /// Equity, US dollars.
    pub equity: Option<f64>,
    /// What it was when this life of the host began.
    pub equity_start: Option<f64>,
    /// The right to trade, in words, and how serious that is.
    pub lease: (String, Tone),
    /// Why only orders that reduce are sent; `None` while nothing is frozen.
    pub frozen: Option<String>,
    /// Strategies that are paused, each with the reason.
    pub paused: Vec<(String, String)>,
    /// Whether the books agree with the broker's.
    pub is_reconciled: bool,
    /// Orders: open, waiting, of unknown outcome.
    pub orders: [u64; 3],
    /// Rows of each pane, in the order of [`Pane::ALL`].
    pub rows: [Vec<Row>; 5],
}

impl Shown {
    /// Reads a snapshot. What it does not say, as one of an older host, is left out.
    pub fn read(host: &Value) -> Self {
        let count = |name: &str| host["orders"][name].as_u64().unwrap_or(0);
        let paused = host["paused"].as_object().into_iter().flatten();
        Self {
            mode: text(&host["mode"]),
            market_time: text(&host["market_time"]),
            equity: host["equity_usd"].as_f64(),
            equity_start: host["equity_start_usd"].as_f64(),
            lease: lease(&host["lease_ms_left"]),
            frozen: host["frozen"].as_str().map(clean),
            paused: paused.map(|(name, why)| (clean(name), text(why))).collect(),
            is_reconciled: host["reconciled"] == true,
            orders: ["open", "planned", "unknown"].map(count),
            rows: [positions(host), orders(host), strategies(host), streams(host), alerts(host)],
        }
    }

    /// The rows of a pane.
    pub fn of(&self, pane: Pane) -> &[Row] {
        &self.rows[pane.at()]
    }
}

/// A text as it may be shown: what moves the cursor, colours, or turns the direction of writing is a space.
pub(crate) fn clean(text: &str) -> String {
    let is_harmful = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(letter, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.replace(is_harmful, " ")
}

fn lease(ms_left: &Value) -> (String, Tone) {
    match ms_left.as_u64() {
        Some(0) => ("NO LEASE: only cancels leave".to_owned(), Tone::Bad),
        Some(ms) => (format!("lease {:.1} s", ms as f64 / 1e3), Tone::Plain),
        None => ("no lease needed".to_owned(), Tone::Plain),
    }
}

fn positions(host: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for position in entries(host, "positions") {
        for holding in entries(position, "holdings") {
            let [qty, average, strategy] =
                ["qty", "average_price", "strategy"].map(|name| text(&holding[name]));
            let (value, gain) = (money(&holding["value_usd"]), money(&holding["unrealised_usd"]));
            let symbol = text(&position["symbol"]);
            let is_loss = holding["unrealised_usd"].as_f64().is_some_and(|gain| gain < 0.0);
            rows.push(Row {
                key: format!("{symbol} {strategy}"),
                cells: vec![symbol, qty, average, value, gain, strategy],
                tone: if is_loss { Tone::Notable } else { Tone::Plain },
                ..Row::default()
            });
        }
    }
    rows
}

fn orders(host: &Value) -> Vec<Row> {
    let row = |order: &Value| {
        let cell = |name: &str| text(&order[name]);
        let price = match (order["stop_price"].as_str(), order["limit_price"].as_str()) {
            (None, None) => cell("kind"),
            (None, Some(limit)) => format!("limit {}", clean(limit)),
            (Some(stop), None) => format!("stop {}", clean(stop)),
            (Some(stop), Some(limit)) => format!("stop {} limit {}", clean(stop), clean(limit)),
        };
        let age = order["age_secs"].as_f64().map_or("-".to_owned(), age);
        let [key, symbol, side, qty, filled, status] =
            ["client_order_id", "symbol", "side", "qty", "filled_qty", "status"].map(cell);
        let is_odd = matches!(status.as_str(), "unknown" | "cancelling");
        Row {
            cells: vec![symbol, side, qty, filled, price, age, status, key.clone()],
            key,
            tone: if is_odd { Tone::Notable } else { Tone::Plain },
            ..Row::default()
        }
    };
    entries(host, "open_orders").map(row).collect()
}

fn strategies(host: &Value) -> Vec<Row> {
    let row = |strategy: &Value| {
        let cell = |name: &str| text(&strategy[name]);
        let [name, mut state, orders, fills] = ["name", "state", "orders", "fills"].map(cell);
        let paused = strategy["paused"].as_str().map(clean);
        let tone = match (state.as_str(), &paused) {
            ("running", None) => Tone::Plain,
            ("running" | "resting", _) => Tone::Notable,
            _ => Tone::Bad,
        };
        if paused.is_some() {
            state.push_str(", PAUSED");
        }
        let (won, open) = (money(&strategy["realised_usd"]), money(&strategy["unrealised_usd"]));
        let is_paused = paused.is_some();
        let word = paused.unwrap_or_else(|| cell("last_error"));
        let cells = vec![name.clone(), state, orders, fills, won, open, word];
        Row { key: name, cells, tone, is_paused }
    };
    let refused = entries(host, "refused").map(|refused| {
        let (key, why) = (text(&refused["plugin"]), text(&refused["reason"]));
        let none = || "-".to_owned();
        let cells = vec![key.clone(), "not used".to_owned(), none(), none(), none(), none(), why];
        Row { key, cells, tone: Tone::Bad, ..Row::default() }
    });
    entries(host, "strategies").map(row).chain(refused).collect()
}

fn streams(host: &Value) -> Vec<Row> {
    let stream = |stream: &Value| {
        let [name, state, health, messages, reconnects] =
            ["name", "state", "health", "messages", "reconnects"].map(|name| text(&stream[name]));
        let data =
            if health.is_empty() || health == "-" { String::new() } else { format!("data {health}, ") };
        let tone = match (state.as_str(), health.as_str()) {
            ("live", "live" | "" | "-") => Tone::Plain,
            (_, "stale") => Tone::Bad,
            _ => Tone::Notable,
        };
        let detail = format!("{data}{messages} messages, {reconnects} reconnects");
        Row { key: name.clone(), cells: vec![name, state, detail], tone, ..Row::default() }
    };
    let budget = |budget: &Value| {
        let [name, used, limit, queued, pauses] =
            ["name", "used", "limit", "queued", "http_429"].map(|name| text(&budget[name]));
        let is_paused = budget["pause_secs_left"].as_f64().is_some_and(|secs| secs > 0.0);
        let detail = format!("{queued} wait, {pauses} times 429");
        let cells = vec![format!("requests: {name}"), format!("{used} of {limit}"), detail];
        let tone = if is_paused { Tone::Bad } else { Tone::Plain };
        Row { key: format!("requests {name}"), cells, tone, ..Row::default() }
    };
    entries(host, "streams").map(stream).chain(entries(host, "budgets").map(budget)).collect()
}

fn alerts(host: &Value) -> Vec<Row> {
    let row = |alert: &Value| {
        let [name, severity, sentence, to_do] =
            ["name", "severity", "sentence", "to_do"].map(|name| text(&alert[name]));
        let labels = alert["labels"].as_array().into_iter().flatten();
        let labels: Vec<String> = labels.map(|label| text(&label[1])).collect();
        let name = if labels.is_empty() { name } else { format!("{name} {}", labels.join(" ")) };
        let tone = match severity.as_str() {
            "critical" => Tone::Bad,
            _ => Tone::Notable,
        };
        Row {
            key: name.clone(),
            cells: vec![severity, name, format!("{sentence} {to_do}")],
            tone,
            ..Row::default()
        }
    };
    entries(host, "alerts").map(row).collect()
}

fn entries<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of[name].as_array().into_iter().flatten()
}

/// A word or a number, as it may be shown.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => clean(text),
        other => clean(&other.to_string()),
    }
}

fn money(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |usd| format!("{usd:.2}"))
}

/// Such as `3m12s`.
pub(crate) fn age(secs: f64) -> String {
    let secs = secs.max(0.0) as u64;
    match (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60, secs % 60) {
        (0, 0, 0, secs) => format!("{secs}s"),
        (0, 0, minutes, secs) => format!("{minutes}m{secs:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, ..) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_is_left_of_a_text() {
        let check = |text: &str, expected: &str| assert_eq!(clean(text), expected, "{text:?}");
        check("plain, with ümlauts and 日本", "plain, with ümlauts and 日本");
        check("\u{1b}[2Jgone\r\n\u{7}", " [2Jgone   ");
        check("a\u{202e}b\u{200b}c\u{9b}d\u{e0041}e", "a b c d e");
    }

    #[test]
    fn every_text_of_a_snapshot_is_cleaned() {
        let evil = "\u{1b}]0;x\u{7}\u{202e}";
        let host = json!({
            "mode": evil, "market_time": evil, "frozen": evil, "paused": {evil: evil},
            "positions": [{"symbol": evil, "holdings": [
                {"strategy": evil, "qty": evil, "average_price": evil}]}],
            "open_orders": [{"client_order_id": evil, "symbol": evil, "side": evil, "qty": evil, "kind": evil,
                "filled_qty": evil, "status": evil, "limit_price": evil, "stop_price": evil}],
            "strategies": [{"name": evil, "state": evil, "paused": evil, "last_error": evil}],
            "refused": [{"plugin": evil, "reason": evil}],
            "streams": [{"name": evil, "state": evil, "health": evil}],
            "budgets": [{"name": evil}],
            "alerts": [{"name": evil, "labels": [["strategy", evil]], "severity": evil, "sentence": evil,
                "to_do": evil}],
        });
        let shown = Shown::read(&host);
        let head = [&shown.mode, &shown.market_time, shown.frozen.as_ref().expect("frozen")];
        let paused = shown.paused.iter().flat_map(|(name, why)| [name, why]);
        let rows = shown.rows.iter().flatten();
        let cells = rows.flat_map(|row| row.cells.iter().chain([&row.key]));
        let mut count = 0;
        for text in head.into_iter().chain(paused).chain(cells) {
            count += 1;
            assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
        }
        assert!(count > 40, "{count}");
    }

    #[test]
    fn what_a_snapshot_does_not_say_is_left_out() {
        let shown = Shown::read(&json!({}));
        assert_eq!((shown.equity, shown.frozen.is_none(), shown.is_reconciled), (None, true, false));
        assert!(shown.rows.iter().all(Vec::is_empty));
    }
}
