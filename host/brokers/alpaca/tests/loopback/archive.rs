//! The past, page by page.

use std::sync::Arc;

use sandpit_broker::{Archive, BrokerError};
use sandpit_types::{MarketTime, Symbol};

use crate::support::{Notes, Reply, alpaca, serve};

fn at(text: &str) -> MarketTime {
    MarketTime::parse(text).unwrap()
}

#[tokio::test]
async fn a_page_of_bars_is_one_request_with_everything_said() {
    let first = r#"{"bars":{"BRK.B":[
        {"t":"2026-03-16T13:30:00Z","o":1.5,"h":2,"l":1,"c":1.75,"v":100,"n":3,"vw":1.6},
        {"t":"2026-03-16T13:31:00Z","o":"odd"},
        {"t":"2026-03-16T13:32:00Z","o":1e400,"h":2,"l":1,"c":1.75,"v":100},17]},"next_page_token":"abc="}"#;
    let second = r#"{"bars":{},"next_page_token":null}"#;
    let (authority, heard) = serve(vec![Reply::json(200, first), Reply::json(200, second)]).await;
    let gate = Arc::new(Notes::default());
    let alpaca = alpaca(&authority, gate.clone());
    let symbol = Symbol::new("BRK.B");
    let (from, to) = (at("2026-03-16T04:00:00Z"), at("2026-03-18T04:00:00Z"));
    let page = alpaca.bars_page(&symbol, from, to, None).await.unwrap();
    assert_eq!((page.rows.len(), page.unreadable), (1, 3));
    assert_eq!((page.rows[0].start, page.rows[0].volume), (at("2026-03-16T13:30:00Z"), 100));
    assert_eq!(page.next.as_deref(), Some("abc="));
    let page = alpaca.bars_page(&symbol, from, to, page.next.as_deref()).await.unwrap();
    assert_eq!((page.rows.len(), page.next), (0, None));
    assert_eq!(gate.asked.lock().unwrap().len(), 2, "each passed the gate");
    let heard = heard.lock().unwrap().clone();
    let line = heard[0].lines().next().unwrap();
    for part in [
        "GET /v2/stocks/bars?",
        "symbols=BRK.B&",
        "timeframe=1Min&",
        "start=2026-03-16T04%3A00%3A00Z&",
        "end=2026-03-18T03%3A59%3A59.999999999Z&",
        "limit=10000&",
        "adjustment=raw&",
        "feed=iex&",
        "sort=asc",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(heard[1].lines().next().unwrap().contains("page_token=abc%3D"), "{}", heard[1]);
}

#[tokio::test]
async fn a_page_of_news_is_one_request_and_odd_rows_are_counted() {
    let body = r#"{"news":[
        {"id":7,"headline":"h","author":"a","created_at":"2026-03-16T13:00:00Z",
         "updated_at":"2026-03-16T13:30:00Z","summary":null,"url":null,"images":[],"symbols":["SPY"],
         "source":"benzinga"},
        {"id":8,"headline":"no stamp"},
        {"headline":"no id"},{"id":1e400},null,"news"],"next_page_token":""}"#;
    let (authority, heard) = serve(vec![Reply::json(200, body)]).await;
    let alpaca = alpaca(&authority, Arc::new(Notes::default()));
    let (from, to) = (at("2026-03-16T04:00:00Z"), at("2026-03-17T04:00:00Z"));
    let page = alpaca.news_page(&Symbol::new("SPY"), from, to, None).await.unwrap();
    assert_eq!((page.rows.len(), page.unreadable, page.next), (1, 5, None));
    assert_eq!((page.rows[0].id, page.rows[0].updated), (7, at("2026-03-16T13:30:00Z")));
    let heard = heard.lock().unwrap()[0].clone();
    for part in ["GET /v1beta1/news?", "symbols=SPY&", "limit=50&", "sort=asc"] {
        assert!(heard.lines().next().unwrap().contains(part), "{part} in {heard}");
    }
}

#[tokio::test]
async fn a_refusal_and_a_lost_connection_are_told_apart() {
    let refused = Reply::json(403, r#"{"message":"subscription does not permit querying recent SIP data"}"#);
    let (authority, _) = serve(vec![
        refused,
        Reply::json(404, r#"{"message":"no such symbol"}"#),
        Reply::json(404, "<html>"),
        Reply::json(408, r#"{"message":"too slow"}"#),
        Reply::json(502, "<html>"),
        Reply::Hangup,
    ])
    .await;
    let alpaca = alpaca(&authority, Arc::new(Notes::default()));
    let symbol = Symbol::new("SPY");
    let ask = || alpaca.bars_page(&symbol, MarketTime::EPOCH, at("2026-03-17T04:00:00Z"), None);
    assert!(matches!(ask().await.unwrap_err(), BrokerError::Rejected { http_status: 403, .. }));
    assert!(matches!(ask().await.unwrap_err(), BrokerError::Rejected { http_status: 404, .. }));
    for _ in 0..4 {
        assert!(matches!(ask().await.unwrap_err(), BrokerError::Unavailable { .. }));
    }
}
