//! Is what the broker took what the host meant? Its orders against the host's records, and against what a
//! strategy with one position a symbol can have wanted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;
use sqlx::{ConnectOptions, Row, sqlite::SqliteConnectOptions};

/// One order of the host's records.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its id at the broker, chosen by us.
    pub client_id: String,
    /// Whether the broker has confirmed it.
    pub confirmed: bool,
    /// Shares of all its recorded fills.
    pub filled: f64,
}

/// The orders in the database at `path`, with their fills.
///
/// # Panics
/// When it cannot be read.
pub fn recorded(path: &Path) -> Vec<Recorded> {
    let read = async {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let mut connection = options.connect().await.expect("the host's database opens");
        let rows = sqlx::query(
            "SELECT client_id, broker_id IS NOT NULL AS confirmed, CAST(COALESCE((SELECT SUM(qty) FROM fills \
             WHERE fills.client_id = orders.client_id), 0) AS REAL) AS filled FROM orders",
        );
        let rows = rows.fetch_all(&mut connection).await.expect("the orders read");
        let order = |row: sqlx::sqlite::SqliteRow| Recorded {
            client_id: row.get("client_id"),
            confirmed: row.get("confirmed"),
            filled: row.get("filled"),
        };
        rows.into_iter().map(order).collect()
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(read)
}

fn text<'a>(order: &'a Value, name: &str) -> &'a str {
    order[name].as_str().unwrap_or_else(|| panic!("no {name} in {order}"))
}

fn shares(order: &Value, name: &str) -> f64 {
    text(order, name).parse().unwrap_or_else(|_| panic!("{name} is no number in {order}"))
}

/// What is wrong between the broker's orders and the records: an order without its record, one that was lost,
/// a fill counted twice or not at all. Empty when nothing is.
pub fn differences(broker: &[Value], recorded: &[Recorded]) -> Vec<String> {
    let records: BTreeMap<_, _> = recorded.iter().map(|order| (order.client_id.as_str(), order)).collect();
    let mut found = Vec::new();
    for order in broker {
        let (id, filled) = (text(order, "client_order_id"), shares(order, "filled_qty"));
        match records.get(id) {
            None => found.push(format!("{id} is at the broker and was never recorded")),
            Some(record) if (record.filled - filled).abs() > 1e-9 => {
                found.push(format!("{id} filled {filled} at the broker, {} in the records", record.filled));
            }
            Some(_) => {}
        }
    }
    let taken: BTreeSet<_> = broker.iter().map(|order| text(order, "client_order_id")).collect();
    let lost = recorded.iter().filter(|order| order.confirmed && !taken.contains(order.client_id.as_str()));
    found.extend(lost.map(|order| format!("{} is recorded as taken, the broker lacks it", order.client_id)));
    found
}

/// Symbols in which a strategy that holds at most one position, bought by one order, came to hold more than
/// its largest order: an entry that was sent twice. `broker` is in the order of submission.
pub fn doubled(broker: &[Value], strategy: &str) -> Vec<String> {
    let prefix = format!("sp-{strategy}-");
    let mut held: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    let mut found = Vec::new();
    for order in broker.iter().filter(|order| text(order, "client_order_id").starts_with(&prefix)) {
        let symbol = text(order, "symbol");
        let (position, largest) = held.entry(symbol).or_default();
        let filled = shares(order, "filled_qty");
        *position += if text(order, "side") == "buy" { filled } else { -filled };
        *largest = largest.max(shares(order, "qty"));
        if *position > *largest || *position < 0.0 {
            found.push(format!("{symbol}: {position} shares held, the largest order was {largest}: {order}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(sequence: u32, side: &str, qty: &str) -> Value {
        let id = format!("sp-sma_cross-00000000000000ff-{sequence}");
        json!({"client_order_id": id, "symbol": "SPY", "side": side, "qty": qty, "filled_qty": qty})
    }

    fn record(sequence: u32, filled: f64) -> Recorded {
        let client_id = format!("sp-sma_cross-00000000000000ff-{sequence}");
        Recorded { client_id, confirmed: true, filled }
    }

    #[test]
    fn a_lost_an_unrecorded_and_a_miscounted_order_are_found() {
        let broker = [order(1, "buy", "7"), order(2, "sell", "7")];
        let check = |recorded: &[Recorded], expected: &[&str]| {
            let found = differences(&broker, recorded);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            assert!(found.iter().zip(expected).all(|(found, part)| found.contains(part)), "{found:?}");
        };
        check(&[record(1, 7.0), record(2, 7.0)], &[]);
        check(&[record(1, 7.0)], &["never recorded"]);
        check(&[record(1, 14.0), record(2, 7.0)], &["filled 7"]);
        check(&[record(1, 7.0), record(2, 7.0), record(3, 0.0)], &["the broker lacks it"]);
        let unsent = Recorded { confirmed: false, ..record(3, 0.0) };
        check(&[record(1, 7.0), record(2, 7.0), unsent], &[]);
    }

    #[test]
    fn an_entry_that_was_sent_twice_is_found() {
        let check = |sides: &[(&str, &str)], expected: usize| {
            let orders: Vec<_> = (1..).zip(sides).map(|(n, (side, qty))| order(n, side, qty)).collect();
            assert_eq!(doubled(&orders, "sma_cross").len(), expected, "{sides:?}");
            assert_eq!(doubled(&orders, "rebalance").len(), 0);
        };
        check(&[("buy", "7"), ("sell", "7"), ("buy", "8"), ("sell", "3"), ("sell", "5")], 0);
        check(&[("buy", "7"), ("buy", "7")], 1);
        check(&[("buy", "7"), ("sell", "7"), ("sell", "7")], 1);
    }
}
