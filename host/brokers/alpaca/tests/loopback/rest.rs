//! Requests.

use std::{sync::Arc, time::Duration};

use sandpit_broker::{Broker, BrokerError, Class, GateError, History, NewsHistory, RateHint};
use sandpit_types::{
    BrokerOrderId, Change, ClientOrderId, HostEpoch, MarketTime, OrderKind, OrderRequest, OrderStatus, Side,
    StrategyName, Symbol, TimeInForce,
};
use tokio::net::TcpListener;

use crate::support::{Notes, Reply, alpaca, serve, terms};

pub(crate) const CLIENT_ID: &str = "sp-sma_cross-00000000000000ff-7";

pub(crate) fn order() -> OrderRequest {
    OrderRequest {
        client_id: ClientOrderId {
            strategy: StrategyName::parse("sma_cross").unwrap(),
            epoch: HostEpoch(255),
            sequence: 7,
        },
        symbol: Symbol::new("SPY"),
        side: Side::Buy,
        qty: "10".parse().unwrap(),
        kind: OrderKind::Limit { limit_price: "167.4100".parse().unwrap() },
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        class: sandpit_types::OrderClass::Simple,
    }
}

pub(crate) fn order_json(client_id: &str, status: &str) -> String {
    format!(
        r#"{{"id":"61e69015-8549-4bfd-b9c3-01e75843f47d","client_order_id":"{client_id}",
        "created_at":"2021-03-16T18:38:01.942282Z","updated_at":"2021-03-16T18:38:01.942282Z",
        "submitted_at":"2021-03-16T18:38:01.937734123Z","filled_at":null,"expired_at":null,"canceled_at":null,
        "failed_at":null,"replaced_at":null,"replaced_by":null,"replaces":null,
        "asset_id":"b0b6dd9d-8b9b-48a9-ba46-b9d54906e415","symbol":"SPY","asset_class":"us_equity",
        "notional":null,"qty":"10","filled_qty":"0","filled_avg_price":null,"order_class":"",
        "order_type":"limit","type":"limit","side":"buy","time_in_force":"day","limit_price":"167.41",
        "stop_price":null,"status":"{status}","extended_hours":false,"legs":null,"trail_percent":null,
        "trail_price":null,"hwm":null}}"#
    )
}

fn kind(error: &BrokerError) -> &'static str {
    match error {
        BrokerError::Rejected { .. } => "rejected",
        BrokerError::NotFound { .. } => "not found",
        BrokerError::Unauthorized { .. } => "unauthorized",
        BrokerError::RetryAfter { .. } => "retry after",
        BrokerError::OutcomeUnknown { .. } => "unknown",
        BrokerError::Unavailable { .. } => "unavailable",
        BrokerError::NotSent(_) => "not sent",
        BrokerError::Malformed { .. } => "malformed",
    }
}

pub(crate) fn word<T>(result: Result<T, BrokerError>) -> &'static str {
    result.as_ref().map_or_else(kind, |_| "done")
}

/// The table of `outcome.rs`, over a real socket: the same reply to an order, a cancel, a read, a replacement
/// and a read by id.
#[tokio::test]
async fn every_answer_means_one_thing() {
    async fn check(reply: Reply, for_order: &str, for_cancel: &str, for_read: &str) {
        let (authority, heard) = serve(vec![reply.clone(); 5]).await;
        let alpaca = alpaca(&authority, Arc::new(Notes::default()));
        assert_eq!(word(alpaca.submit(&order(), terms(Ok(()))).await), for_order, "order, {reply:?}");
        assert_eq!(heard.lock().unwrap().len(), 1, "an order is sent once, {reply:?}");
        let id = BrokerOrderId::new("61e69015-8549-4bfd-b9c3-01e75843f47d");
        assert_eq!(word(alpaca.cancel(&id, None).await), for_cancel, "cancel, {reply:?}");
        assert_eq!(word(alpaca.order_by_client_id(&order().client_id).await), for_read, "read, {reply:?}");
        assert_eq!(heard.lock().unwrap().len(), 3, "nothing is sent twice, {reply:?}");
        let change = Change { qty: Some(order().qty), ..Change::default() };
        let replaced = alpaca.replace(&id, &order().client_id, &change, terms(Ok(()))).await;
        assert_eq!(word(replaced), for_order, "replace, {reply:?}");
        assert_eq!(heard.lock().unwrap().len(), 4, "a replacement is sent once, {reply:?}");
        assert_eq!(word(alpaca.order(&id, Class::Reduce).await), for_read, "read by id, {reply:?}");
    }
    let ours = order_json(CLIENT_ID, "pending_new");
    check(Reply::json(200, &ours), "done", "done", "done").await;
    check(Reply::json(200, &order_json("another", "new")), "unknown", "done", "done").await;
    check(Reply::json(200, "<html>"), "unknown", "done", "malformed").await;
    check(Reply::json(200, r#"{"id":"x","status":"new"}"#), "unknown", "done", "malformed").await;
    check(Reply::Half, "unknown", "unavailable", "unavailable").await;
    check(Reply::Hangup, "unknown", "unavailable", "unavailable").await;
    check(Reply::Silence, "unknown", "unavailable", "unavailable").await;
    check(
        Reply::json(500, r#"{"code":50010000,"message":"internal server error"}"#),
        "unknown",
        "unavailable",
        "unavailable",
    )
    .await;
    check(
        Reply::json(504, r#"{"code":50410000,"message":"request timed out"}"#),
        "unknown",
        "unavailable",
        "unavailable",
    )
    .await;
    check(
        Reply::Http(302, "location: http://127.0.0.1:9/\r\n", String::new()),
        "unknown",
        "unavailable",
        "unavailable",
    )
    .await;
    check(
        Reply::Http(307, "location: http://127.0.0.1:9/\r\n", String::new()),
        "unknown",
        "unavailable",
        "unavailable",
    )
    .await;
    check(
        Reply::json(401, r#"{"message": "unauthorized."}"#),
        "unauthorized",
        "unauthorized",
        "unauthorized",
    )
    .await;
    check(Reply::json(401, "<html>no</html>"), "unauthorized", "unauthorized", "unauthorized").await;
    check(Reply::json(403, r#"{"message": "forbidden."}"#), "unauthorized", "unauthorized", "unauthorized")
        .await;
    let funds =
        r#"{"code":40310000,"message":"insufficient buying power","buying_power":"0","cost_basis":"1674.1"}"#;
    check(Reply::json(403, funds), "rejected", "rejected", "rejected").await;
    check(Reply::json(403, "<html>a proxy</html>"), "unknown", "rejected", "rejected").await;
    check(
        Reply::json(404, r#"{"code":40410000,"message":"order not found for x"}"#),
        "rejected",
        "not found",
        "not found",
    )
    .await;
    // A 404 counts only in the broker's own words.
    for balancer in ["<html>404 Not Found</html>", "", r#"{"message":"no Route matched with those values"}"#]
    {
        check(Reply::json(404, balancer), "unknown", "unavailable", "unavailable").await;
    }
    check(Reply::json(408, r#"{"message":"too slow"}"#), "unknown", "unavailable", "unavailable").await;
    let plan = r#"{"message":"forbidden: the feed is not in your subscription"}"#;
    check(Reply::json(403, plan), "rejected", "rejected", "rejected").await;
    check(
        Reply::json(422, r#"{"code":40010001,"message":"qty must be > 0"}"#),
        "rejected",
        "rejected",
        "rejected",
    )
    .await;
    check(
        Reply::json(422, r#"{"code":42210000,"message":"order is already in \"filled\" state"}"#),
        "rejected",
        "rejected",
        "rejected",
    )
    .await;
    for code in [40_010_001, 42_210_000] {
        let used = format!(r#"{{"code":{code},"message":"client_order_id must be unique"}}"#);
        check(Reply::json(422, &used), "unknown", "rejected", "rejected").await;
    }
    check(
        Reply::json(429, r#"{"code":42910000,"message":"rate limit exceeded"}"#),
        "retry after",
        "retry after",
        "retry after",
    )
    .await;
}

#[tokio::test]
async fn an_order_says_what_it_has_to() {
    let (authority, heard) = serve(vec![Reply::json(200, &order_json(CLIENT_ID, "accepted"))]).await;
    let notes = Arc::new(Notes::default());
    let made = alpaca(&authority, notes.clone()).submit(&order(), terms(Ok(()))).await.expect("taken");
    assert_eq!(made.ours(), Some(order().client_id));
    assert_eq!(made.status, OrderStatus::Accepted);
    assert_eq!(made.submitted_at.to_string(), "2021-03-16T18:38:01.937734123Z");
    let request = heard.lock().unwrap()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v2/orders HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("apca-api-key-id: PKTEST") && head.contains("apca-api-secret-key: hush"), "{head}");
    assert_eq!(
        body,
        concat!(
            r#"{"symbol":"SPY","qty":"10","side":"buy","type":"limit","time_in_force":"day","#,
            r#""limit_price":"167.41","extended_hours":false,"#,
            r#""client_order_id":"sp-sma_cross-00000000000000ff-7"}"#
        )
    );
    assert_eq!(*notes.asked.lock().unwrap(), [(Class::Enter, Some("sma_cross".to_owned()))]);
}

#[tokio::test]
async fn without_the_right_nothing_is_written() {
    let (authority, heard) = serve(vec![Reply::json(200, &order_json(CLIENT_ID, "new"))]).await;
    let adapter = alpaca(&authority, Arc::new(Notes::default()));
    for refusal in [GateError::NoLease, GateError::Late] {
        let error = adapter.submit(&order(), terms(Err(refusal.clone()))).await.expect_err("refused");
        assert!(matches!(&error, BrokerError::NotSent(why) if *why == refusal), "{error:?}");
        let (id, by, change) = (BrokerOrderId::new("x"), order().client_id, Change::default());
        let error = adapter.replace(&id, &by, &change, terms(Err(refusal.clone()))).await.expect_err("too");
        assert!(matches!(&error, BrokerError::NotSent(why) if *why == refusal), "{error:?}");
    }
    // The next order goes through, and is the only one that the server ever heard a byte of.
    adapter.submit(&order(), terms(Ok(()))).await.expect("taken");
    assert_eq!(heard.lock().unwrap().len(), 1);

    let shut = alpaca(&authority, Arc::new(Notes { shut: true, ..Notes::default() }));
    assert_eq!(word(shut.submit(&order(), terms(Ok(()))).await), "not sent");
    assert_eq!(word(shut.account().await), "not sent");
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_order_that_never_left_is_not_unknown() {
    // Nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let adapter = alpaca(&port.to_string(), Arc::new(Notes::default()));
    assert_eq!(word(adapter.submit(&order(), terms(Ok(()))).await), "unavailable");
    assert_eq!(word(adapter.clock().await), "unavailable");
}

/// A connection that the broker closed while it was idle must not cost an order its certainty more often than
/// needed, and never send it twice.
#[tokio::test]
async fn a_stale_connection_sends_at_most_once() {
    let ours = order_json(CLIENT_ID, "new");
    let (authority, heard) =
        serve(vec![Reply::json(200, &ours), Reply::Hangup, Reply::json(200, &ours)]).await;
    let adapter = alpaca(&authority, Arc::new(Notes::default()));
    assert_eq!(word(adapter.submit(&order(), terms(Ok(()))).await), "done");
    assert_eq!(word(adapter.submit(&order(), terms(Ok(()))).await), "unknown");
    assert_eq!(word(adapter.submit(&order(), terms(Ok(()))).await), "done");
    assert_eq!(heard.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn the_gate_hears_of_the_limit() {
    const HEADERS: &str =
        "X-RateLimit-Limit: 200\r\nX-RateLimit-Remaining: 3\r\nX-RateLimit-Reset: 1381152660\r\n";
    let reset = MarketTime::from_secs(1_381_152_660);
    let (authority, _) = serve(vec![
        Reply::Http(200, HEADERS, "[]".to_owned()),
        Reply::Http(429, "Retry-After: 7\r\n", String::new()),
        Reply::Http(429, "", r#"{"message":"rate limit exceeded"}"#.to_owned()),
    ])
    .await;
    let notes = Arc::new(Notes::default());
    let adapter = alpaca(&authority, notes.clone());
    assert!(adapter.positions().await.expect("empty").is_empty());
    for pause in [7, 60] {
        let error = adapter.positions().await.expect_err("too many");
        assert!(
            matches!(error, BrokerError::RetryAfter { after } if after == Duration::from_secs(pause)),
            "{error:?}"
        );
    }
    let expected = [
        RateHint::Remaining { requests: 3, reset },
        RateHint::TooMany { after: Some(Duration::from_secs(7)) },
        RateHint::TooMany { after: None },
    ];
    assert_eq!(*notes.hints.lock().unwrap(), expected);
}

#[tokio::test]
async fn reads_are_understood() {
    let account = r#"{"id":"x","account_number":"PA1","status":"ACTIVE","currency":"USD","cash":"90000.5",
        "equity":"100000","last_equity":"99000.25","buying_power":"200000","trading_blocked":false,
        "account_blocked":false,"trade_suspended_by_user":true,"multiplier":"2"}"#;
    let positions = r#"[{"symbol":"SPY","qty":"-5","side":"short","qty_available":"5",
        "avg_entry_price":"167.4",
        "current_price":null},{"symbol":"AAPL","qty":2,"side":"long","avg_entry_price":"100"}]"#;
    let clock = r#"{"timestamp":"2013-10-07T09:30:00.5-04:00","is_open":true,
        "next_open":"2013-10-08T09:30:00-04:00","next_close":"2013-10-07T16:00:00-04:00"}"#;
    let calendar = r#"[{"date":"2013-10-07","open":"09:30","close":"16:00","session_open":"0400"},
        {"date":"2013-11-29","open":"09:30","close":"13:00"}]"#;
    let replies = [account, positions, clock, calendar].map(|body| Reply::json(200, body));
    let (authority, heard) = serve(replies.into()).await;
    let adapter = alpaca(&authority, Arc::new(Notes::default()));

    let account = adapter.account().await.expect("an account");
    assert_eq!(account.id, "x");
    assert_eq!((account.equity.to_string(), account.trading_blocked), ("100000".to_owned(), true));

    let positions = adapter.positions().await.expect("positions");
    let rows: Vec<_> =
        positions.iter().map(|p| format!("{} {} {}", p.symbol, p.qty, p.qty_available)).collect();
    assert_eq!(rows, ["SPY -5 -5", "AAPL 2 2"]);

    let clock = adapter.clock().await.expect("a clock");
    assert_eq!(clock.now.to_string(), "2013-10-07T13:30:00.5Z");

    let from = MarketTime::parse("2013-10-08T02:00:00Z").unwrap();
    let days = adapter.calendar(from, from + Duration::from_secs(86_400)).await.expect("days");
    let rows: Vec<_> = days.iter().map(|day| format!("{} {}", day.open, day.close)).collect();
    // Summer time ends in between.
    assert_eq!(
        rows,
        ["2013-10-07T13:30:00Z 2013-10-07T20:00:00Z", "2013-11-29T14:30:00Z 2013-11-29T18:00:00Z"]
    );
    let request = heard.lock().unwrap()[3].clone();
    assert!(request.starts_with("GET /v2/calendar?start=2013-10-07&end=2013-10-08 "), "{request}");
}

#[tokio::test]
async fn bars_come_page_by_page_in_order() {
    let bar = |time: &str, close: f64| {
        format!(r#"{{"t":"{time}","o":1,"h":2,"l":1,"c":{close},"v":10,"n":1,"vw":1.5}}"#)
    };
    let (early, late) = ("2013-10-07T13:30:00Z", "2013-10-07T13:31:00Z");
    let first = format!(
        r#"{{"bars":{{"AAPL":[{},{}]}},"next_page_token":"QUFQTA=="}}"#,
        bar(early, 1.0),
        bar(late, 2.0)
    );
    let second = format!(r#"{{"bars":{{"SPY":[{}],"X":null}},"next_page_token":null}}"#, bar(early, 3.0));
    let quotes = r#"{"quotes":{"SPY":{"t":"2013-10-07T13:31:00.25Z","bp":167.1,"bs":200,"ap":0,"as":0}}}"#;
    let (authority, heard) = serve(vec![
        Reply::json(200, &first),
        Reply::json(200, &second),
        Reply::json(200, r#"{"bars":null}"#),
        Reply::json(200, quotes),
    ])
    .await;
    let notes = Arc::new(Notes::default());
    let adapter = alpaca(&authority, notes.clone());
    let symbols = [Symbol::new("SPY"), Symbol::new("AAPL")];
    let from = MarketTime::parse(early).unwrap();
    let bars = adapter.bars(&symbols, from, from + Duration::from_secs(120)).await.expect("bars");
    let rows: Vec<_> = bars.iter().map(|bar| format!("{} {} {}", bar.start, bar.symbol, bar.close)).collect();
    assert_eq!(rows, [format!("{early} AAPL 1"), format!("{early} SPY 3"), format!("{late} AAPL 2")]);
    let requests = heard.lock().unwrap().clone();
    assert!(requests[0].contains("symbols=SPY%2CAAPL&timeframe=1Min"), "{}", requests[0]);
    assert!(requests[0].contains("end=2013-10-07T13%3A31%3A59.999999999Z"), "{}", requests[0]);
    assert!(requests[1].contains("page_token=QUFQTA%3D%3D"), "{}", requests[1]);

    assert!(adapter.bars(&symbols, from, from + Duration::from_secs(60)).await.expect("none").is_empty());
    assert!(adapter.bars(&symbols, from, from).await.expect("nothing asked").is_empty());
    let quotes = adapter.latest_quotes(&symbols).await.expect("quotes");
    assert_eq!((quotes.len(), quotes[0].bid, quotes[0].bid_size, quotes[0].ask), (1, 167.1, 200, 0.0));
    let asked: Vec<_> = notes.asked.lock().unwrap().iter().map(|(class, _)| *class).collect();
    let pages = Class::Poll;
    assert_eq!(asked, [pages, pages, pages, Class::Reduce], "quotes do not wait behind pages");
    assert_eq!(heard.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_bad_row_costs_only_itself() {
    let stamp = "2021-03-16T13:30:00Z";
    let bars = format!(
        r#"{{"bars":{{"SPY":[{{"t":"{stamp}","o":1,"h":1,"l":1,"c":null,"v":1}},17,{{"t":"noon"}},
        {{"t":"{stamp}","o":1,"h":1e400,"l":1,"c":1,"v":1}},{{"t":"{stamp}","o":"\ud800"}},[],
        {{"t":"{stamp}","o":1,"h":1.5,"l":1,"c":1,"v":7,"vw":null}}],"AAPL":null}},"next_page_token":null}}"#
    );
    let quotes = format!(
        r#"{{"quotes":{{"AAPL":{{"t":"{stamp}","bp":"x"}},"IBM":{{"t":"{stamp}","bp":1e400}},
        "MSFT":7,"X":null,
        "SPY":{{"t":"{stamp}","bp":2,"bs":1,"ap":null}}}}}}"#
    );
    let (authority, _) = serve(vec![Reply::json(200, &bars), Reply::json(200, &quotes)]).await;
    let adapter = alpaca(&authority, Arc::new(Notes::default()));
    let symbols = [Symbol::new("SPY"), Symbol::new("AAPL")];
    let from = MarketTime::parse(stamp).expect("a stamp");
    let bars = adapter.bars(&symbols, from, from + Duration::from_secs(60)).await.expect("bars");
    assert_eq!(bars.iter().map(|bar| (bar.high, bar.volume)).collect::<Vec<_>>(), [(1.5, 7)]);
    let quotes = adapter.latest_quotes(&symbols).await.expect("quotes");
    assert_eq!(quotes.iter().map(|quote| (quote.bid, quote.ask)).collect::<Vec<_>>(), [(2.0, 0.0)]);
}

/// Two pages, of which one row cannot be read; a piece that comes in two versions counts once.
#[tokio::test]
async fn news_comes_page_by_page() {
    let row = |id: u64, at: &str, headline: &str| {
        format!(
            r#"{{"id":{id},"headline":"{headline}","author":"A","created_at":"2026-06-15T13:00:00Z",
            "updated_at":"{at}","summary":"","content":null,"url":null,"images":[],"symbols":["SPY","X"],
            "source":"wire"}}"#
        )
    };
    let first = format!(
        r#"{{"news":[{},{},{{"id":-1}},{{"id":1e400}},"news"],"next_page_token":"abc"}}"#,
        row(7, "2026-06-15T13:59:00Z", "too old"),
        row(8, "2026-06-15T14:01:00Z", "first"),
    );
    let second = format!(
        r#"{{"news":[{},{}],"next_page_token":null}}"#,
        row(9, "2026-06-15T14:02:00Z", "other"),
        row(8, "2026-06-15T14:03:00Z", "again"),
    );
    let (authority, heard) = serve(vec![Reply::json(200, &first), Reply::json(200, &second)]).await;
    let from = MarketTime::parse("2026-06-15T14:00:00Z").expect("a time");
    let broker = alpaca(&authority, Arc::new(Notes::default()));
    let news = NewsHistory::news(&broker, &[Symbol::new("SPY"), Symbol::new("X")], from).await.expect("news");
    let headlines: Vec<_> = news.iter().map(|news| (news.id, news.headline.as_str())).collect();
    assert_eq!(headlines, [(9, "other"), (8, "again")]);
    assert_eq!(news[0].symbols, [Symbol::new("SPY"), Symbol::new("X")]);
    let heard = heard.lock().unwrap();
    let path = "GET /v1beta1/news?start=2026-06-15T14%3A00%3A00Z&sort=asc&limit=50&symbols=SPY%2CX";
    assert!(heard[0].starts_with(&format!("{path} ")), "{}", heard[0]);
    assert!(heard[1].starts_with(&format!("{path}&page_token=abc ")), "{}", heard[1]);
}

#[tokio::test]
async fn all_news_is_asked_for_without_symbols() {
    let (authority, heard) = serve(vec![Reply::json(200, r#"{"news":null,"next_page_token":""}"#)]).await;
    let broker = alpaca(&authority, Arc::new(Notes::default()));
    let all = [Symbol::new("SPY"), Symbol::new("*")];
    assert_eq!(NewsHistory::news(&broker, &all, MarketTime::from_secs(0)).await.expect("news"), []);
    assert!(!heard.lock().unwrap()[0].contains("symbols"), "all");
}
