//! Do the broker, the host and its records tell the same story? A pure comparison of three readings.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde_json::Value;

use crate::{
    broker::Taken,
    database::{OrderRecord, Records},
};

/// What the broker's average prices may lose in all by rounding, US dollars.
const CASH_TOLERANCE: Decimal = Decimal::ONE;

/// What the broker says.
#[derive(Debug, Default)]
pub struct BrokerStory<'a> {
    /// Every order it took, legs as rows of their own.
    pub orders: &'a [Taken],
    /// Symbol to shares.
    pub positions: BTreeMap<String, Decimal>,
    /// Cash less that of the start, US dollars.
    pub cash_change: Decimal,
}

/// What the host says.
#[derive(Debug, Default)]
pub struct HostStory {
    /// Symbol to shares.
    pub positions: BTreeMap<String, Decimal>,
    /// Our ids of what is open.
    pub open: BTreeSet<String>,
    /// Orders that it took for those of others. Nobody else trades here.
    pub foreign: u64,
    /// Why it only lets out what reduces, if so.
    pub frozen: Option<String>,
}

impl HostStory {
    /// From its `/status`.
    pub fn read(status: &Value) -> Option<Self> {
        let text = |row: &Value, name: &str| row[name].as_str().map(str::to_owned);
        let held = |row: &Value| Some((text(row, "symbol")?, text(row, "qty")?.parse().ok()?));
        let positions = status["positions"].as_array()?.iter().map(held).collect::<Option<_>>()?;
        let open = status["open_orders"].as_array()?.iter();
        Some(Self {
            positions,
            open: open.map(|row| text(row, "client_order_id")).collect::<Option<_>>()?,
            foreign: status["orders"]["foreign"].as_u64()?,
            frozen: text(status, "frozen"),
        })
    }
}

/// Every difference, in words. None is the goal.
pub fn differences(broker: &BrokerStory<'_>, host: &HostStory, records: &Records) -> Vec<String> {
    let mut found = Vec::new();
    let mut unlike = |what: &str, at_broker: &BTreeMap<String, Decimal>, ours: &BTreeMap<String, Decimal>| {
        if at_broker != ours {
            found.push(format!("positions: the broker {at_broker:?}, {what} {ours:?}"));
        }
    };
    unlike("the host", &broker.positions, &host.positions);
    unlike("the records", &broker.positions, &records.positions);
    if (broker.cash_change - records.cash).abs() > CASH_TOLERANCE {
        let (theirs, ours) = (broker.cash_change, records.cash);
        found.push(format!("cash changed by {theirs} at the broker, by {ours} in the records"));
    }
    if host.foreign > 0 {
        found.push(format!("{} orders of ours were taken for those of others", host.foreign));
    }
    found.extend(host.frozen.iter().map(|why| format!("frozen: {why}")));
    found.extend(doubled(&records.orders));
    let book = Book::new(broker.orders, &records.orders);
    found.extend(broker.orders.iter().filter_map(|order| book.taken(order)));
    found.extend(records.orders.iter().filter_map(|order| book.recorded(order, host)));
    let known: BTreeSet<_> = records.orders.iter().map(|order| order.client_id.as_str()).collect();
    let unknown = host.open.iter().filter(|id| !known.contains(id.as_str()));
    found.extend(unknown.map(|id| format!("{id} is open at the host and was never recorded")));
    found
}

/// Two records of one intent: the strategies' ids are those of a moment, so no later life repeats them.
fn doubled(records: &[OrderRecord]) -> Vec<String> {
    let mut intents: BTreeMap<_, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for order in records.iter().filter(|order| !order.is_leg) {
        let Some(id) = &order.strategy_id else {
            found.push(format!("{} was adopted: it left without its record", order.client_id));
            continue;
        };
        if let Some(first) = intents.insert((&order.strategy, id), &order.client_id) {
            found.push(format!("{first} and {} are one intent", order.client_id));
        }
    }
    found
}

/// The orders of both, each by the ids that the other one knows.
struct Book<'a> {
    taken: BTreeMap<&'a str, &'a Taken>,
    by_client_id: BTreeMap<&'a str, &'a OrderRecord>,
    by_broker_id: BTreeMap<&'a str, &'a OrderRecord>,
}

impl<'a> Book<'a> {
    fn new(taken: &'a [Taken], records: &'a [OrderRecord]) -> Self {
        let by_broker_id = records.iter().filter_map(|order| Some((order.broker_id.as_deref()?, order)));
        Self {
            taken: taken.iter().map(|order| (order.id.as_str(), order)).collect(),
            by_client_id: records.iter().map(|order| (order.client_id.as_str(), order)).collect(),
            by_broker_id: by_broker_id.collect(),
        }
    }

    /// What is wrong about an order that the broker took.
    fn taken(&self, order: &Taken) -> Option<String> {
        let Taken { id, client_order_id, .. } = order;
        let by_client_id = self.by_client_id.get(client_order_id.as_str());
        let Some(record) = self.by_broker_id.get(id.as_str()).or(by_client_id) else {
            return Some(format!("{client_order_id} ({id}) is at the broker and was never recorded"));
        };
        if record.broker_id.as_ref() != Some(id) {
            let known = &record.broker_id;
            return Some(format!("{client_order_id} is {id} at the broker, {known:?} in the records"));
        }
        let (filled, own) = (order.filled_qty, record.filled_at_broker());
        if filled != own {
            return Some(format!("{} filled {filled} at the broker, {own} in the records", record.client_id));
        }
        let (status, state) = (&order.status, &record.state);
        (order.is_over() == record.is_open())
            .then(|| format!("{} is {status} at the broker, {state} in the records", record.client_id))
    }

    /// What is wrong about a recorded order.
    fn recorded(&self, order: &OrderRecord, host: &HostStory) -> Option<String> {
        let OrderRecord { client_id, state, filled, fills, .. } = order;
        if order.broker_id.as_ref().is_some_and(|id| !self.taken.contains_key(id.as_str())) {
            return Some(format!("{client_id} is recorded as taken, the broker lacks it"));
        }
        if order.is_open() && !order.is_kept {
            return Some(format!("{client_id} is {state}, and the next life would not load it"));
        }
        if order.is_open() != host.open.contains(client_id) {
            let there = if order.is_open() { "not open" } else { "open" };
            return Some(format!("{client_id} is {state} in the records, {there} at the host"));
        }
        if order.is_open() && order.broker_id.is_none() {
            return Some(format!("{client_id} is {state}: nobody knows yet whether the broker has it"));
        }
        let is_short = fills != filled;
        is_short.then(|| format!("{client_id} filled {filled}, its fills say {fills}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(n: u32, status: &str, filled: i64) -> Taken {
        Taken {
            id: format!("b{n}"),
            client_order_id: format!("sp-a-{n}"),
            filled_qty: filled.into(),
            status: status.into(),
            replaces: None,
            symbol: "SPY".into(),
        }
    }

    fn record(n: u32, is_open: bool, filled: i64) -> OrderRecord {
        OrderRecord {
            client_id: format!("sp-a-{n}"),
            strategy: "a".into(),
            strategy_id: Some(n.to_string()),
            state: if is_open { "{\"working\":\"new\"}" } else { "{\"terminal\":\"filled\"}" }.into(),
            is_kept: is_open,
            broker_id: Some(format!("b{n}")),
            filled: filled.into(),
            fills: filled.into(),
            ..OrderRecord::default()
        }
    }

    /// One order that has filled and one that works; `change` breaks something.
    fn check(change: impl FnOnce(&mut Vec<Taken>, &mut HostStory, &mut Records), expected: &[&str]) {
        let held = BTreeMap::from([("SPY".to_owned(), Decimal::from(7))]);
        let mut orders = vec![taken(1, "filled", 7), taken(2, "new", 0)];
        let open = ["sp-a-2".to_owned()].into();
        let mut host = HostStory { positions: held.clone(), open, ..HostStory::default() };
        let mut records = Records {
            orders: vec![record(1, false, 7), record(2, true, 0)],
            positions: held.clone(),
            cash: (-700).into(),
        };
        change(&mut orders, &mut host, &mut records);
        let broker = BrokerStory { orders: &orders, positions: held, cash_change: (-700).into() };
        let found = differences(&broker, &host, &records);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found.iter().zip(expected).all(|(found, part)| found.contains(part)), "{found:?}");
    }

    #[test]
    fn every_difference_is_found() {
        check(|_, _, _| {}, &[]);
        check(|orders, _, _| orders.push(taken(3, "new", 0)), &["never recorded"]);
        check(|_, _, records| records.orders.push(record(3, false, 0)), &["the broker lacks it"]);
        check(|orders, _, _| orders[0].filled_qty = 8.into(), &["sp-a-1 filled 8 at the broker, 7"]);
        check(|_, _, records| records.orders[0].fills = 14.into(), &["its fills say 14"]);
        check(|orders, _, _| orders[1].status = "canceled".into(), &["sp-a-2 is canceled at the broker"]);
        check(|_, host, _| host.open.clear(), &["in the records, not open at the host"]);
        check(|_, host, _| host.open.extend(["sp-a-9".into()]), &["sp-a-9 is open at the host"]);
        check(|_, host, _| host.positions.clear(), &["positions: the broker"]);
        check(|_, host, _| host.foreign = 1, &["1 orders of ours were taken for those of others"]);
        check(|_, host, _| host.frozen = Some("cash".into()), &["frozen: cash"]);
        check(|_, _, records| records.positions.clear(), &["positions: the broker"]);
        check(|_, _, records| records.orders[1].is_kept = false, &["the next life would not load it"]);
        check(|_, _, records| records.orders[0].is_kept = true, &[]);
        check(|_, _, records| records.cash += Decimal::TWO, &["cash changed by -700"]);
        check(|_, _, records| records.orders[0].strategy_id = None, &["was adopted"]);
        check(|_, _, records| records.orders[0].strategy_id = Some("2".into()), &["are one intent"]);
        check(|_, _, records| records.orders[0].broker_id = None, &["is b1 at the broker, None"]);
        let unsent = |_: &mut Vec<Taken>, _: &mut HostStory, records: &mut Records| {
            records.orders.push(OrderRecord { broker_id: None, ..record(3, false, 0) });
        };
        check(unsent, &[]);
        let unknown = |_: &mut Vec<Taken>, host: &mut HostStory, records: &mut Records| {
            records.orders.push(OrderRecord { broker_id: None, ..record(3, true, 0) });
            host.open.insert("sp-a-3".into());
        };
        check(unknown, &["nobody knows yet"]);
    }

    #[test]
    fn a_replacement_begins_with_the_fills_of_the_order_before_it() {
        let over = |taken: &str| format!(r#"{{"state":{{"terminal":"canceled"}},"taken":{taken}}}"#);
        for (taken_over, expected) in
            [(r#"{"qty":"7","apart":false}"#, 1), (r#"{"qty":"7","apart":true}"#, 0)]
        {
            let change = |_: &mut Vec<Taken>, _: &mut HostStory, records: &mut Records| {
                records.orders[0].state = over(taken_over);
            };
            check(change, &["filled 7 at the broker, 14"][..expected]);
        }
    }

    #[test]
    fn a_leg_is_known_by_the_brokers_id() {
        let leg = |orders: &mut Vec<Taken>, _: &mut HostStory, records: &mut Records| {
            orders.push(Taken { client_order_id: "theirs".into(), ..taken(3, "canceled", 0) });
            let row = OrderRecord { is_leg: true, strategy_id: None, ..record(3, false, 0) };
            records.orders.push(row);
        };
        check(leg, &[]);
    }
}
