//! What the commands that only look show of a snapshot: a table for people, named fields for programs.
//!
//! The names of the fields are part of the interface. A figure that is not there, of an older host or while
//! nothing is known, is `null` for programs and `-` for people.

use sandpit_contract::Exit;
use serde_json::{Map, Value, json};

use super::{
    Told,
    table::{Align, facts, table},
};

const ORDER: [&str; 12] = [
    "client_order_id",
    "strategy",
    "symbol",
    "side",
    "qty",
    "filled_qty",
    "kind",
    "limit_price",
    "stop_price",
    "status",
    "since",
    "age_secs",
];
const POSITION: [&str; 5] = ["symbol", "qty", "value_usd", "unrealised_usd", "holdings"];
const STRATEGY: [&str; 14] = [
    "name",
    "state",
    "reason",
    "paused",
    "last_error",
    "strikes",
    "symbols",
    "events",
    "intents",
    "refused",
    "orders",
    "fills",
    "realised_usd",
    "unrealised_usd",
];
const STATUS: [&str; 11] = [
    "mode",
    "epoch",
    "pid",
    "market_time",
    "reconciled",
    "frozen",
    "paused",
    "lease_ms_left",
    "equity_usd",
    "equity_start_usd",
    "rss_bytes",
];
const ORDERS: [&str; 8] =
    ["open", "planned", "unknown", "submitted", "rejected", "fills", "refused", "cancels"];
/// The states in which a strategy can be.
const STATES: [&str; 4] = ["running", "resting", "quarantined", "stopped"];

/// The host on one screen.
pub(super) fn status(host: &Value) -> Told {
    let mut json = pick(host, &STATUS);
    json["orders"] = pick(&host["orders"], &ORDERS);
    let states = STATES.map(|state| (state.to_owned(), json!(in_state(host, state))));
    json["strategies"] = Value::Object(Map::from_iter(states));
    json["refused_plugins"] = list(host, "refused", &["plugin", "reason"]);
    json["streams"] = list(host, "streams", &["name", "state", "health"]);
    json["budgets"] = list(host, "budgets", &["name", "used", "limit", "queued"]);
    told(facts(&status_rows(host)), json)
}

fn status_rows(host: &Value) -> Vec<(&'static str, String)> {
    let word = |name: &str| text(&host[name]);
    let count = |name: &str| text(&host["orders"][name]);
    let books =
        if host["reconciled"] == true { "books reconciled" } else { "starting: books not reconciled" };
    let lease = match host["lease_ms_left"].as_u64() {
        Some(0) => "none: only cancels leave".to_owned(),
        Some(ms) => format!("{:.1} s left", ms as f64 / 1e3),
        None => "not needed in this mode".to_owned(),
    };
    let frozen = host["frozen"].as_str().map_or("no".to_owned(), |why| format!("YES: {why}"));
    let equity = match (host["equity_usd"].as_f64(), host["equity_start_usd"].as_f64()) {
        (Some(now), Some(start)) => format!("{now:.2} USD, {:+.2} in this life of the host", now - start),
        _ => "-".to_owned(),
    };
    let (open, planned, unknown) = (count("open"), count("planned"), count("unknown"));
    let (sent, rejected, fills, refused) =
        (count("submitted"), count("rejected"), count("fills"), count("refused"));
    let states = STATES.iter().map(|state| (in_state(host, state), state));
    let states: Vec<String> =
        states.filter(|(count, _)| *count > 0).map(|(count, state)| format!("{count} {state}")).collect();
    let states = if states.is_empty() { "none runs".to_owned() } else { states.join(", ") };
    let rss = host["rss_bytes"].as_u64().map_or("-".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
    let mut rows = vec![
        ("host", format!("{}, {books}, pid {}, epoch {}", word("mode"), word("pid"), word("epoch"))),
        ("market time", word("market_time")),
        ("lease", lease),
        ("frozen", frozen),
        ("equity", equity),
        ("orders", format!("{open} open, {planned} waiting, {unknown} of unknown outcome")),
        ("so far", format!("{sent} sent, {fills} fills, {rejected} rejected, {refused} refused by a gate")),
        ("strategies", states),
    ];
    rows.extend(pauses(host).map(|(name, why)| ("paused", format!("{name}: {}", text(why)))));
    rows.extend(
        entries(host, "refused").map(|refused| {
            ("not used", format!("{}: {}", text(&refused["plugin"]), text(&refused["reason"])))
        }),
    );
    rows.extend(entries(host, "streams").map(|stream| {
        let health = stream["health"].as_str().filter(|health| !health.is_empty());
        let health = health.map(|health| format!(", data {health}")).unwrap_or_default();
        ("stream", format!("{} {}{health}", text(&stream["name"]), text(&stream["state"])))
    }));
    let budget = |budget: &Value| {
        format!("{} {} of {}", text(&budget["name"]), text(&budget["used"]), text(&budget["limit"]))
    };
    let budgets: Vec<String> = entries(host, "budgets").map(budget).collect();
    rows.extend([("requests", format!("{} a minute", budgets.join(", "))), ("memory", rss)]);
    rows
}

/// The open orders of a strategy and in a symbol, or all.
pub(super) fn orders(host: &Value, strategy: Option<&str>, symbol: Option<&str>) -> Told {
    let is = |row: &Value, name: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| row[name] == wanted);
    let meant = |row: &&Value| is(row, "strategy", strategy) && is(row, "symbol", symbol);
    let orders: Vec<&Value> = entries(host, "open_orders").filter(meant).collect();
    let heads = [
        ("SYMBOL", Align::Left),
        ("SIDE", Align::Left),
        ("QTY", Align::Right),
        ("FILLED", Align::Right),
        ("PRICE", Align::Left),
        ("AGE", Align::Right),
        ("STATUS", Align::Left),
        ("ORDER", Align::Whole),
    ];
    let row = |order: &&Value| {
        let kind = text(&order["kind"]);
        let prices = ["limit_price", "stop_price"].map(|name| order[name].as_str().unwrap_or(""));
        let price = match prices {
            ["", ""] => kind,
            [limit, ""] => format!("limit {limit}"),
            ["", stop] => format!("stop {stop}"),
            [limit, stop] => format!("stop {stop} limit {limit}"),
        };
        let age = order["age_secs"].as_f64().map_or("-".to_owned(), age);
        let cell = |name: &str| text(&order[name]);
        let [id, symbol, side, qty] = ["client_order_id", "symbol", "side", "qty"].map(cell);
        vec![symbol, side, qty, cell("filled_qty"), price, age, cell("status"), id]
    };
    let rows: Vec<_> = orders.iter().map(row).collect();
    let json = orders.iter().map(|order| pick(order, &ORDER)).collect::<Vec<_>>();
    let shown = if rows.is_empty() { "no order is open".to_owned() } else { table(&heads, &rows) };
    told(shown, json!({"orders": json}))
}

/// What is held, a row for each strategy that holds of it.
pub(super) fn positions(host: &Value) -> Told {
    let heads = [
        ("SYMBOL", Align::Left),
        ("QTY", Align::Right),
        ("AVERAGE", Align::Right),
        ("VALUE USD", Align::Right),
        ("GAIN USD", Align::Right),
        ("STRATEGY", Align::Left),
    ];
    let mut rows = Vec::new();
    for position in entries(host, "positions") {
        for holding in entries(position, "holdings") {
            let (value, gain) = (money(&holding["value_usd"]), money(&holding["unrealised_usd"]));
            let [qty, average, strategy] =
                ["qty", "average_price", "strategy"].map(|name| text(&holding[name]));
            rows.push(vec![text(&position["symbol"]), qty, average, value, gain, strategy]);
        }
    }
    let shown = if rows.is_empty() { "nothing is held".to_owned() } else { table(&heads, &rows) };
    told(shown, json!({"positions": list(host, "positions", &POSITION)}))
}

/// The strategies, and below them the plugins that are not used.
pub(super) fn strategies(host: &Value) -> Told {
    let heads = [
        ("STRATEGY", Align::Left),
        ("STATE", Align::Left),
        ("STRIKES", Align::Right),
        ("ORDERS", Align::Right),
        ("FILLS", Align::Right),
        ("REALISED", Align::Right),
        ("UNREALISED", Align::Right),
        ("LAST ERROR", Align::Left),
    ];
    let row = |strategy: &Value| {
        let cell = |name: &str| text(&strategy[name]);
        let [name, mut state, strikes, orders, fills] =
            ["name", "state", "strikes", "orders", "fills"].map(cell);
        if strategy["paused"].is_string() {
            state = format!("{state}, paused");
        }
        let (won, open) = (money(&strategy["realised_usd"]), money(&strategy["unrealised_usd"]));
        vec![name, state, strikes, orders, fills, won, open, cell("last_error")]
    };
    let rows: Vec<_> = entries(host, "strategies").map(row).collect();
    let mut shown = if rows.is_empty() { "no strategy runs".to_owned() } else { table(&heads, &rows) };
    let refused = entries(host, "refused")
        .map(|refused| ("not used", format!("{}: {}", text(&refused["plugin"]), text(&refused["reason"]))));
    let paused = pauses(host).map(|(name, why)| ("paused", format!("{name}: {}", text(why))));
    let below: Vec<_> = paused.chain(refused).collect();
    if !below.is_empty() {
        shown = format!("{shown}\n{}", facts(&below));
    }
    let json = json!({
        "strategies": list(host, "strategies", &STRATEGY),
        "refused_plugins": list(host, "refused", &["plugin", "reason"]),
    });
    told(shown, json)
}

/// The names of the strategies.
pub(super) fn strategy_names(host: &Value) -> Vec<String> {
    entries(host, "strategies").map(|strategy| text(&strategy["name"])).collect()
}

fn told(text: String, json: Value) -> Told {
    Told { text, json, exit: Exit::Ok }
}

fn in_state(host: &Value, state: &str) -> usize {
    entries(host, "strategies").filter(|strategy| strategy["state"] == state).count()
}

/// The strategies that are paused, there or not, and why.
fn pauses(host: &Value) -> impl Iterator<Item = (&String, &Value)> {
    host["paused"].as_object().into_iter().flatten()
}

fn entries<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of[name].as_array().into_iter().flatten()
}

fn list(host: &Value, name: &str, fields: &[&str]) -> Value {
    entries(host, name).map(|entry| pick(entry, fields)).collect()
}

/// These fields and no others.
fn pick(of: &Value, fields: &[&str]) -> Value {
    fields.iter().map(|name| ((*name).to_owned(), of[*name].clone())).collect()
}

/// A word or a number as it is.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn money(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |usd| format!("{usd:.2}"))
}

/// Such as `3m12s`.
fn age(secs: f64) -> String {
    let secs = secs.max(0.0) as u64;
    match (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60, secs % 60) {
        (0, 0, 0, secs) => format!("{secs}s"),
        (0, 0, minutes, secs) => format!("{minutes}m{secs:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, ..) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests;
