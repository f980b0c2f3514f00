//! The bench broker's account when a test cares what its orders are: rows as the broker shows them,
//! positions, a market that may be closed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Orders and positions.
#[derive(Default)]
pub(crate) struct Desk {
    /// Open orders; a row's own `symbol`, `side` and `qty` decide.
    pub(crate) orders: Vec<Value>,
    /// Signed sizes.
    pub(crate) positions: BTreeMap<String, i64>,
    /// Closing orders wait.
    pub(crate) is_closed: bool,
    /// So many next requests of this beginning get 429.
    pub(crate) busy: Option<(&'static str, u32)>,
    /// The bulk cancel fails on this order.
    pub(crate) fails_on: Option<&'static str>,
    closes: usize,
}

impl Desk {
    /// An order row.
    pub(crate) fn order(id: &str, kind: &str, side: &str, symbol: &str, qty: i64) -> Value {
        json!({"id": id, "client_order_id": format!("sp-{id}"), "status": "new", "symbol": symbol,
            "type": kind, "side": side, "qty": qty.to_string(), "filled_qty": "0", "order_class": "",
            "time_in_force": "day", "submitted_at": format!("2026-11-22T00:00:00-{id}"), "legs": null})
    }

    /// `None` when the request is none of the desk's.
    pub(super) fn act(&mut self, request: &str, is_suspended: bool) -> Option<(u16, String)> {
        if let Some((beginning, left)) = &mut self.busy
            && request.starts_with(*beginning)
            && *left > 0
        {
            *left -= 1;
            return Some((429, r#"{"message":"rate limit exceeded"}"#.into()));
        }
        let words: Vec<&str> = request.split(['?', ' ']).take(2).collect();
        let path: Vec<&str> = words[1].trim_start_matches("/v2/").split('/').collect();
        match (words[0], &path[..]) {
            ("GET", ["orders"]) if request.contains("nested=true") => {
                Some((200, json!(self.orders).to_string()))
            }
            ("GET", ["orders"]) => Some((200, json!(self.rows()).to_string())),
            ("GET", ["positions"]) => Some((200, self.show_positions())),
            ("GET", ["clock"]) => {
                let clock = json!({"is_open": !self.is_closed, "next_open": "2026-11-23T09:30:00-05:00"});
                Some((200, clock.to_string()))
            }
            ("DELETE", ["orders"]) => {
                let fails = |order: &Value| self.fails_on.is_some_and(|id| order["id"] == *id);
                let status = |order: &Value| if fails(order) { 500 } else { 200 };
                let row = |order: &Value| json!({"id": order["id"], "status": status(order)});
                let rows: Vec<Value> = self.orders.iter().map(row).collect();
                let left = self.orders.iter().filter(|order| fails(order)).cloned().collect();
                self.orders = left;
                Some((207, json!(rows).to_string()))
            }
            ("DELETE", ["orders", id]) => {
                let before = self.orders.len();
                self.orders.retain(|order| order["id"] != **id);
                Some((if self.orders.len() < before { 204 } else { 404 }, String::new()))
            }
            ("DELETE", ["positions"]) => {
                self.orders.clear();
                let symbols: Vec<String> = self.positions.keys().cloned().collect();
                let close = |symbol: &String| {
                    let (status, body) = self.close(symbol, is_suspended);
                    json!({"symbol": symbol, "status": status, "body": body})
                };
                Some((207, json!(symbols.iter().map(close).collect::<Vec<_>>()).to_string()))
            }
            ("DELETE", ["positions", symbol]) => {
                let (status, body) = self.close(symbol, is_suspended);
                Some((status, body.to_string()))
            }
            _ => None,
        }
    }

    /// Each leg a row of its own, without parents that are over.
    fn rows(&self) -> Vec<Value> {
        let legs = |order: &Value| order["legs"].as_array().cloned().unwrap_or_default();
        let all = self.orders.iter().flat_map(|order| [vec![order.clone()], legs(order)].concat());
        all.filter(|order| order["status"] != "filled").collect()
    }

    fn close(&mut self, symbol: &str, is_suspended: bool) -> (u16, Value) {
        let Some(qty) = self.positions.get(symbol).copied() else {
            return (404, json!({"message": "position does not exist"}));
        };
        if is_suspended {
            return (403, json!({"message": "new orders are rejected by user request"}));
        }
        self.closes += 1;
        let side = if qty > 0 { "sell" } else { "buy" };
        let order = Self::order(&format!("c{}", self.closes), "market", side, symbol, qty.abs());
        self.orders.push(order.clone());
        (200, order)
    }

    /// Closing orders are executed when somebody has looked.
    fn show_positions(&mut self) -> String {
        let held = |symbol: &str| {
            let on_it = self.orders.iter().filter(|order| order["symbol"] == *symbol);
            on_it.filter_map(|order| order["qty"].as_str()?.parse::<i64>().ok()).max().unwrap_or(0)
        };
        let row = |(symbol, qty): (&String, &i64)| {
            let available = qty.signum() * (qty.abs() - held(symbol).min(qty.abs()));
            json!({"symbol": symbol, "qty": qty.to_string(), "qty_available": available.to_string(),
                "market_value": "0", "side": if *qty > 0 { "long" } else { "short" }})
        };
        let shown = json!(self.positions.iter().map(row).collect::<Vec<_>>()).to_string();
        if !self.is_closed {
            let is_close = |order: &Value| order["type"] == "market";
            let closing: Vec<Value> = self.orders.iter().filter(|order| is_close(order)).cloned().collect();
            self.orders.retain(|order| !is_close(order));
            closing.iter().filter_map(|order| order["symbol"].as_str()).for_each(|symbol| {
                self.positions.remove(symbol);
            });
        }
        shown
    }
}
