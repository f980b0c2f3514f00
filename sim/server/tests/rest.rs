//! Keys, quotas, reference data and market data over real HTTP.

mod common;

use common::{Broker, open, secs, settings};
use sandpit_sim::{
    Settings,
    keys::{KeyPair, Keys},
};
use serde_json::{Value, json};

#[test]
fn keys_are_checked() {
    let only = Keys::only(KeyPair { key: "K".into(), secret: "S".into() });
    let broker = Broker::start(Settings { keys: only, ..settings() });
    let check = |key: Option<&str>, status: u16| {
        let answer = broker.send("GET", "/v2/account", key, "");
        assert_eq!(answer.status, status, "{key:?}");
        assert_eq!(answer.header("x-request-id").len(), 32);
        if status == 401 {
            assert_eq!(answer.body, json!({"message": "unauthorized."}));
        }
    };
    check(Some("K"), 200);
    check(Some("other"), 401);
    check(None, 401);
    let any = Broker::start(settings());
    assert_eq!(any.send("GET", "/v2/account", Some("whatever"), "").status, 200);
    assert_eq!(any.send("GET", "/v2/account", Some(""), "").status, 401);
}

#[test]
fn the_quota_is_a_sliding_minute_of_market_time() {
    let broker = Broker::start(Settings { requests_per_minute: 3, ..settings() });
    let now = (open() - secs(300)).as_millis() / 1_000;
    for left in [2, 1, 0] {
        let answer = broker.call("GET", "/v2/clock");
        assert_eq!((answer.status, answer.number("x-ratelimit-remaining")), (200, left));
        assert_eq!(answer.number("x-ratelimit-limit"), 3);
        assert_eq!(answer.number("x-ratelimit-reset"), now + 61);
    }
    broker.pass(secs(59));
    let answer = broker.call("GET", "/v2/clock");
    assert_eq!((answer.status, &answer.body["code"]), (429, &json!(42_910_000)));
    assert_eq!(answer.number("x-ratelimit-remaining"), 0);
    assert_eq!(broker.call("GET", "/v2/stocks/quotes/latest?symbols=SPY").status, 200, "data has its own");
    assert_eq!(broker.send("GET", "/v2/clock", Some("other"), "").status, 200, "each key has its own");
    let status = broker.status();
    assert_eq!((&status["requests"], &status["http_429"]), (&json!(6), &json!(1)));
    broker.pass(secs(1));
    assert_eq!(broker.call("GET", "/v2/clock").status, 200);
    // The quota goes on when the run is over and its clock stands still.
    broker.pass(secs(24 * 3_600));
    for _ in 0..2 {
        (0..3).for_each(|_| assert_eq!(broker.call("GET", "/v2/clock").status, 200));
        assert_eq!(broker.call("GET", "/v2/clock").status, 429);
        broker.pass(secs(60));
    }
}

#[test]
fn what_does_not_exist_is_not_found() {
    let broker = Broker::start(settings());
    for (method, path) in [("GET", "/v2/nothing"), ("GET", "/"), ("PUT", "/v2/orders"), ("GET", "/v3/clock")]
    {
        let answer = broker.call(method, path);
        assert_eq!((answer.status, &answer.body["message"]), (404, &json!("endpoint not found")), "{path}");
        assert_eq!(answer.body["code"], 40_410_000);
    }
    let answer = broker.call("GET", "/stream");
    assert_eq!(answer.status, 400, "a WebSocket without a handshake");
}

#[test]
fn clock_calendar_and_assets() {
    let broker = Broker::start(settings());
    assert_eq!(
        broker.get("/v2/clock"),
        json!({"timestamp": "2026-03-16T09:25:00-04:00", "is_open": false,
            "next_open": "2026-03-16T09:30:00-04:00", "next_close": "2026-03-16T16:00:00-04:00"})
    );
    broker.pass(secs(300));
    assert_eq!(broker.get("/v2/clock")["is_open"], true);
    let day = |date: &str, close: &str, end: &str, settlement: &str| {
        json!({"date": date, "open": "09:30", "close": close, "session_open": "0400", "session_close": end,
            "settlement_date": settlement})
    };
    assert_eq!(
        broker.get("/v2/calendar?start=2025-11-26&end=2025-11-30"),
        json!([
            day("2025-11-26", "16:00", "2000", "2025-11-28"),
            day("2025-11-28", "13:00", "1700", "2025-12-01"),
        ])
    );
    assert_eq!(broker.call("GET", "/v2/calendar?start=never").status, 422);
    let assets = broker.get("/v2/assets?status=active&asset_class=us_equity");
    assert_eq!(assets.as_array().map(Vec::len), Some(2));
    assert_eq!((&assets[0]["symbol"], &assets[0]["class"]), (&json!("SPY"), &json!("us_equity")));
    assert_eq!(broker.get("/v2/assets?exchange=NYSE").as_array().map(Vec::len), Some(1));
    let id = assets[0]["id"].as_str().expect("a UUID");
    assert_eq!(broker.get(&format!("/v2/assets/{id}"))["symbol"], "SPY");
    let missing = broker.call("GET", "/v2/assets/ZZZZ");
    assert_eq!((missing.status, &missing.body["code"]), (404, &json!(40_410_000)));
}

#[test]
fn quotes_and_bars() {
    let broker = Broker::start(settings());
    assert_eq!(broker.get("/v2/stocks/quotes/latest?symbols=SPY"), json!({"quotes": {}}), "none yet");
    broker.pass(secs(300 + 185));
    let quotes = broker.get("/v2/stocks/quotes/latest?symbols=SPY%2CIBM%2CZZZZ&feed=iex");
    let spy = json!({"t": "2026-03-16T13:33:00Z", "bx": "V", "bp": 100.0, "bs": 1000, "ax": "V", "ap": 100.1,
        "as": 1000, "c": ["R"], "z": "B"});
    assert_eq!(quotes["quotes"]["SPY"], spy);
    assert_eq!(quotes["quotes"].as_object().map(serde_json::Map::len), Some(2));
    assert_eq!(broker.get("/v2/stocks/SPY/quotes/latest"), json!({"symbol": "SPY", "quote": spy}));
    assert_eq!(broker.call("GET", "/v2/stocks/ZZZZ/quotes/latest").status, 404);

    let one = broker.get("/v2/stocks/IBM/bars?timeframe=1Min&start=2026-03-16T13:31:00Z");
    let starts = |bars: &Value| -> Vec<String> {
        let bars = bars.as_array().expect("an array");
        bars.iter().map(|bar| bar["t"].as_str().expect("a time")[11..16].to_owned()).collect()
    };
    assert_eq!(starts(&one["bars"]), ["13:31", "13:32"], "minute 13:33 is not over");
    assert_eq!((&one["symbol"], &one["next_page_token"]), (&json!("IBM"), &Value::Null));
    assert_eq!(one["bars"][0]["n"], 1);

    let mut path = "/v2/stocks/bars?timeframe=1Min&symbols=SPY,IBM&limit=2&start=2026-03-16".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = broker.get(&path);
        let names = page["bars"].as_object().expect("by symbol").iter();
        pages
            .push(names.map(|(name, bars)| format!("{name} {}", starts(bars).join(" "))).collect::<Vec<_>>());
        let Some(token) = page["next_page_token"].as_str() else { break };
        path = format!(
            "/v2/stocks/bars?timeframe=1Min&symbols=SPY,IBM&limit=2&start=2026-03-16&page_token={token}"
        );
    }
    let expected = [vec!["IBM 13:30 13:31"], vec!["IBM 13:32", "SPY 13:30"], vec!["SPY 13:31 13:32"]];
    assert_eq!(pages, expected);
    assert_eq!(broker.get("/v2/stocks/bars?timeframe=1Min&symbols=ZZZZ")["bars"], json!({}));
    let newest = broker.get("/v2/stocks/SPY/bars?timeframe=1Min&sort=desc&limit=1");
    assert_eq!(starts(&newest["bars"]), ["13:32"]);
    for bad in ["symbols=SPY&timeframe=70Min", "timeframe=1Min", "symbols=SPY&timeframe=1Min&limit=0"] {
        let answer = broker.call("GET", &format!("/v2/stocks/bars?{bad}"));
        assert_eq!((answer.status, answer.body.get("code")), (400, None), "{bad}");
    }
}

#[test]
fn the_status_follows_the_run() {
    let broker = Broker::start(settings());
    let check = |phase: &str, ended: bool| {
        let status = broker.status();
        assert_eq!((&status["phase"], &status["ended"]), (&json!(phase), &json!(ended)), "{status}");
        status
    };
    let status = check("pre", false);
    assert_eq!((&status["symbols"], &status["speed"]), (&json!(["SPY", "IBM"]), &json!(1)));
    assert_eq!(status["quotes"], 0);
    broker.pass(secs(300 + 60));
    let status = check("open", false);
    assert_eq!((&status["quotes"], &status["trades"], &status["bars"]), (&json!(14), &json!(2), &json!(2)));
    broker.pass(secs(23_400 - 60));
    check("post", false);
    broker.pass(secs(1_000));
    let status = check("done", true);
    assert_eq!(status["market_time"], "2026-03-16T20:01:00Z");
}
