//! Lists of orders: pages, and legs that no one list has.

use std::sync::Arc;

use sandpit_broker::Broker;
use sandpit_types::{BrokerOrder, MarketTime, OrderStatus};

use crate::{
    rest::{CLIENT_ID, word},
    support::{Heard, Notes, Reply, alpaca, serve},
};

/// A row; ids are short and not UUIDs, which nobody minds.
fn row(id: &str, second: usize, status: &str, extra: &str) -> String {
    format!(
        r#"{{"id":"{id}","client_order_id":"c{id}","symbol":"SPY","side":"sell","qty":"1",
        "status":"{status}","submitted_at":"2021-03-16T18:38:{second:02}Z"{extra}}}"#
    )
}

fn page(rows: &[String]) -> Reply {
    Reply::json(200, &format!("[{}]", rows.join(",")))
}

fn of(class: &str, legs: &[String]) -> String {
    let legs = if legs.is_empty() { "null".to_owned() } else { format!("[{}]", legs.join(",")) };
    format!(r#","order_class":"{class}","legs":{legs}"#)
}

/// Ids with their states, and those of their legs.
fn shown(orders: &[BrokerOrder]) -> Vec<String> {
    let one = |order: &BrokerOrder| format!("{} {}", order.id, word_of(&order.status));
    let legs = |order: &BrokerOrder| order.legs.iter().map(one).collect::<Vec<_>>().join(", ");
    orders.iter().map(|order| format!("{} [{}]", one(order), legs(order))).collect()
}

fn word_of(status: &OrderStatus) -> String {
    serde_json::to_string(status).unwrap().trim_matches('"').to_owned()
}

fn paths(heard: &Heard) -> Vec<String> {
    let line = |request: &String| request.split_once(" HTTP").unwrap().0.to_owned();
    heard.lock().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn open_orders_are_paged() {
    let plain = |n: usize| row(&format!("{n:032x}"), 59 - n / 10, "new", "");
    let spread = r#"{"id":"m","client_order_id":"theirs","symbol":null,"side":"","status":"new"}"#;
    let first: Vec<String> = (0..500).map(plain).collect();
    // The second page repeats the rows that share the stamp of the first page's last.
    let mut second: Vec<String> = (490..505).map(plain).collect();
    second.push(spread.to_owned());
    let (authority, heard) = serve(vec![page(&first), page(&second)]).await;
    let orders = alpaca(&authority, Arc::new(Notes::default())).open_orders().await.expect("a list");
    assert_eq!(orders.len(), 505, "the spread does not count");
    assert_eq!(orders[0].id.as_str(), "00000000-0000-0000-0000-000000000000");
    let base = "GET /v2/orders?status=open&nested=false&direction=desc&limit=500";
    let expected = [base.to_owned(), format!("{base}&until=2021-03-16T18%3A38%3A10.000001Z")];
    assert_eq!(paths(&heard), expected, "without groups, one list is enough");

    // An order of ours that cannot be read must not be overlooked.
    let odd = format!(
        r#"[{{"id":"m","client_order_id":"{CLIENT_ID}","symbol":"SPY","side":"up","status":"new"}}]"#
    );
    let (authority, _) = serve(vec![Reply::json(200, &odd)]).await;
    assert_eq!(word(alpaca(&authority, Arc::new(Notes::default())).open_orders().await), "malformed");
}

/// A list that gives the same full page again and again is an error, not an endless loop.
#[tokio::test]
async fn a_list_that_does_not_end_is_an_error() {
    let full = page(&(0..500).map(|n| row(&n.to_string(), 7, "new", "")).collect::<Vec<_>>());
    let (authority, heard) = serve(vec![full; 30]).await;
    let adapter = alpaca(&authority, Arc::new(Notes::default()));
    assert_eq!(word(adapter.open_orders().await), "malformed");
    assert_eq!(word(adapter.orders_since(MarketTime::EPOCH).await), "malformed");
    assert_eq!(paths(&heard).len(), 4, "the second page brought nothing");
}

#[tokio::test]
async fn held_legs_are_in_the_nested_list_only() {
    let legs = [row("tp", 1, "held", ""), row("sl", 1, "held", r#","stop_price":"90""#)];
    let flat = [row("one", 2, "new", ""), row("entry", 1, "new", &of("bracket", &[]))];
    let nested = [row("one", 2, "new", ""), row("entry", 1, "new", &of("bracket", &legs))];
    let (authority, heard) = serve(vec![page(&flat), page(&nested)]).await;
    let orders = alpaca(&authority, Arc::new(Notes::default())).open_orders().await.expect("a list");
    let expected = ["one new []", "entry new [tp held, sl held]", "tp held []", "sl held []"];
    assert_eq!(shown(&orders), expected);
    assert_eq!(paths(&heard).len(), 2, "flat and nested");
}

/// The group belongs to its entry, which is over: its working leg is in the flat list, its held one in none.
#[tokio::test]
async fn the_stop_beside_a_working_take_profit_is_found() {
    let leg = |id: &str, status: &str| row(id, 1, status, &of("bracket", &[]));
    let flat = [leg("tp", "new"), row("oto", 1, "new", &of("oto", &[]))];
    let other = row("other", 9, "canceled", &of("bracket", &[leg("x", "canceled"), leg("y", "canceled")]));
    let entry =
        row("entry", 1, "filled", &of("bracket", &[leg("tp", "partially_filled"), leg("sl", "held")]));
    let (authority, heard) = serve(vec![page(&flat), page(&[]), page(&[other, entry])]).await;
    let orders = alpaca(&authority, Arc::new(Notes::default())).open_orders().await.expect("a list");
    assert_eq!(shown(&orders), ["tp partially_filled []", "oto new []", "sl held []"]);
    let asked = paths(&heard);
    let closed = "GET /v2/orders?status=closed&nested=true&direction=desc&symbols=SPY&limit=500";
    assert_eq!((asked.len(), &*asked[2]), (3, closed));
}

/// The entry fills between the flat list and the nested one.
#[tokio::test]
async fn an_entry_that_fills_between_two_lists_costs_no_leg() {
    let legs = [row("tp", 1, "new", ""), row("sl", 1, "held", "")];
    let flat = [row("entry", 1, "new", &of("bracket", &[]))];
    let entry = row("entry", 1, "filled", &of("bracket", &legs));
    let (authority, _) = serve(vec![page(&flat), page(&[]), page(&[entry])]).await;
    let orders = alpaca(&authority, Arc::new(Notes::default())).open_orders().await.expect("a list");
    assert_eq!(shown(&orders), ["tp new []", "sl held []"]);
}

#[tokio::test]
async fn all_orders_since_a_moment_are_paged_forwards() {
    let plain = |n: usize| row(&n.to_string(), 10 + n / 25, "filled", "");
    let first: Vec<String> = (0..500).map(plain).collect();
    let replaced = r#","replaces":"7","replaced_by":"502""#;
    let legs = [row("sl", 31, "held", r#","stop_price":"90""#)];
    let oco = |legs: &[String]| row("oco", 31, "new", &of("oco", legs));
    let second = |legs: &[String]| vec![plain(499), row("501", 30, "replaced", replaced), oco(legs)];
    let flat = [&second(&[])[..], &legs[..]].concat();
    let replies = vec![page(&first), page(&flat), page(&first), page(&second(&legs))];
    let (authority, heard) = serve(replies).await;
    let since = MarketTime::parse("2021-03-16T18:38:10.5Z").unwrap();
    let orders = alpaca(&authority, Arc::new(Notes::default())).orders_since(since).await.expect("a list");
    assert_eq!(orders.len(), 500 - 25 + 3, "what is older is left out");
    assert_eq!(shown(&orders[orders.len() - 3..]), ["501 replaced []", "oco new [sl held]", "sl held []"]);
    assert_eq!(orders[475].replaced_by.as_ref().unwrap().as_str(), "502");
    let base = "GET /v2/orders?status=all&nested=false&direction=asc&limit=500&after=2021-03-16T18%3A38%3A";
    let asked = paths(&heard);
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[0], format!("{base}10.499999Z"));
    assert_eq!(asked[1], format!("{base}28.999999Z"));
    assert_eq!(asked[3], asked[1].replace("nested=false", "nested=true"));
}
