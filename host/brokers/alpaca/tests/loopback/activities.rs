//! The account's activities.

use std::sync::Arc;

use sandpit_broker::{Broker, Class};
use sandpit_types::{Activity, Deed, MarketTime};

use crate::{
    rest::word,
    support::{Notes, Reply, alpaca, serve},
};

fn fill(id: &str, time: &str, extra: &str) -> String {
    format!(
        r#"{{"id":"{id}","activity_type":"FILL","transaction_time":"{time}","type":"partial_fill",
        "price":"174.78","qty":"2","side":"sell","symbol":"AAPL","leaves_qty":"1","cum_qty":"5",
        "order_id":"61E6901585494BFDB9C301E75843F47D","order_status":"partially_filled"{extra}}}"#
    )
}

fn other(id: &str, kind: &str, extra: &str) -> String {
    format!(r#"{{"id":"{id}","activity_type":"{kind}","status":"executed"{extra}}}"#)
}

fn page(rows: &[String]) -> Reply {
    Reply::json(200, &format!("[{}]", rows.join(",")))
}

fn at(text: &str) -> MarketTime {
    MarketTime::parse(text).unwrap()
}

fn told(row: &Activity) -> String {
    let deed = match &row.deed {
        Deed::Fill { order, symbol, side, qty, price, cumulative } => {
            format!("{} {qty} {symbol} at {price}, {cumulative} of {order}", side.as_str())
        }
        Deed::Other { kind, net, symbol, qty, per_share } => {
            let symbol = symbol.as_ref().map_or("-", |symbol| symbol.as_str());
            let qty = qty.map_or("-".to_owned(), |qty| qty.to_string());
            let each = per_share.map_or(String::new(), |each| format!(" of {each}"));
            format!("{kind} {net} {symbol} {qty}{each}")
        }
    };
    format!("{} {} {deed}", row.id, row.time)
}

#[tokio::test]
async fn fills_and_money_come_in_the_order_of_their_ids() {
    let fills = [
        fill("20260615110000000::f1", "2026-06-15T15:00:00.000Z", ""),
        // The broker cut our stamp: this one is older than what was asked for.
        fill("20260615105959999::f0", "2026-06-15T14:59:59.9999Z", ""),
        fill("20260615120000000::f2", "2026-06-15T16:00:00Z", "")
            .replace(r#""cum_qty":"5""#, r#""cum_qty":null"#),
        fill("20260615120000001::f3", "2026-06-15T16:00:00Z", "").replace(r#""qty":"2""#, r#""qty":"0""#),
        "17".to_owned(),
    ];
    let money = [
        other("20260615010000000::m0", "FEE", r#","net_amount":"-0.5","created_at":"2026-06-15T05:00:00Z""#),
        other(
            "20260615110000001::m1",
            "FEE",
            r#","net_amount":-0.25,"date":"2026-06-12",
            "created_at":"2026-06-15T15:00:01Z""#,
        ),
        // A strange stamp leaves only the date.
        other(
            "20260615000000000::m2",
            "DIV",
            r#","net_amount":"12","date":"2026-06-15","symbol":"AAPL",
            "qty":"10","created_at":"noon""#,
        ),
        other("20260614000000000::m3", "CSD", r#","net_amount":"100","date":"2026-06-14""#),
        other("20260615000000001::m4", "CSW", r#","net_amount":"-7","date":"2026-06-15""#)
            .replace("executed", "canceled"),
        other("20260616000000000::m5", "NEWWORD", r#","date":"2026-06-16","symbol":"""#),
        other(
            "20260616000000000::m8",
            "JNLS",
            r#","date":"2026-06-16","symbol":"SPY","qty":"-3","per_share_amount":100.5"#,
        ),
        other(
            "20260616000000000::m9",
            "ACATS",
            r#","date":"2026-06-16","symbol":"SPY","qty":"3","per_share_amount":["much"]"#,
        ),
        other("20260616000000001::m6", "FEE", r#","net_amount":"much","date":"2026-06-16""#),
        other("20260616000000002::m7", "FEE", r#","net_amount":"1""#),
        r#"{"id":"x"}"#.to_owned(),
    ];
    let (authority, heard) = serve(vec![page(&fills), page(&money)]).await;
    let notes = Arc::new(Notes::default());
    let adapter = alpaca(&authority, notes.clone());
    let rows = adapter.activities(at("2026-06-15T15:00:00Z")).await.expect("rows");
    assert_eq!(
        rows.iter().map(told).collect::<Vec<_>>(),
        [
            "20260614000000000::m3 2026-06-14T04:00:00Z CSD 100 - -",
            "20260615000000000::m2 2026-06-15T04:00:00Z DIV 12 AAPL 10",
            "20260615000000001::m4 2026-06-15T04:00:00Z CSW 0 - -",
            "20260615010000000::m0 2026-06-15T05:00:00Z FEE -0.5 - -",
            "20260615110000000::f1 2026-06-15T15:00:00Z sell 2 AAPL at 174.78, 5 of \
             61e69015-8549-4bfd-b9c3-01e75843f47d",
            "20260615110000001::m1 2026-06-15T15:00:01Z FEE -0.25 - -",
            "20260616000000000::m5 2026-06-16T04:00:00Z NEWWORD 0 - -",
            "20260616000000000::m8 2026-06-16T04:00:00Z JNLS 0 SPY -3 of 100.5",
            "20260616000000000::m9 2026-06-16T04:00:00Z ACATS 0 SPY 3",
        ]
    );
    assert_eq!(adapter.oddities().unreadable, 6, "f2, f3, 17, m6, m7, x");
    let heard = heard.lock().unwrap();
    let path = "GET /v2/account/activities?category=trade_activity&after=2026-06-15T14%3A59%3A59.999Z";
    assert!(heard[0].starts_with(&format!("{path}&direction=asc&page_size=100 ")), "{}", heard[0]);
    let path = "GET /v2/account/activities?category=non_trade_activity&after=2026-06-08T15%3A00%3A00Z";
    assert!(heard[1].starts_with(&format!("{path}&direction=asc&page_size=100 ")), "{}", heard[1]);
    assert_eq!(*notes.asked.lock().unwrap(), [(Class::Poll, None), (Class::Poll, None)]);
}

#[tokio::test]
async fn pages_begin_after_the_last_row_read_or_not() {
    let mut first: Vec<String> =
        (0..99).map(|n| fill(&format!("{n:03}::u"), "2026-06-15T15:00:00Z", "")).collect();
    first.push(r#"{"id":"099::u","activity_type":"FILL"}"#.to_owned());
    let second = [fill("100::u", "2026-06-15T15:00:00Z", "")];
    let (authority, heard) = serve(vec![page(&first), page(&second), page(&[])]).await;
    let adapter = alpaca(&authority, Arc::new(Notes::default()));
    assert_eq!(adapter.activities(MarketTime::EPOCH).await.expect("rows").len(), 100);
    assert!(heard.lock().unwrap()[1].contains("&page_token=099%3A%3Au "), "{}", heard.lock().unwrap()[1]);

    first[99] = "{}".to_owned();
    let (authority, _) = serve(vec![page(&first)]).await;
    let adapter = alpaca(&authority, Arc::new(Notes::default()));
    assert_eq!(word(adapter.activities(MarketTime::EPOCH).await), "malformed", "nowhere to go on from");
    first[99] = second[0].clone();
    let (authority, heard) = serve(vec![page(&first); 300]).await;
    let adapter = alpaca(&authority, Arc::new(Notes::default()));
    assert_eq!(word(adapter.activities(MarketTime::EPOCH).await), "malformed", "the same page again");
    assert_eq!(heard.lock().unwrap().len(), 2);
}
