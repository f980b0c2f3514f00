//! Keys, quotas, reference data and market data over real HTTP.

mod common;

use common::{Broker, open, secs, settings};
use sandpit_sim::{
    Market, Settings,
    keys::{KeyPair, Keys},
};
use sandpit_types::Symbol;
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
fn each_token_has_a_quota_of_its_own() {
    let broker = Broker::start(Settings { requests_per_minute: 2, ..settings() });
    let ask = |token: &str| broker.send_with("GET", "/v2/clock", &[("Authorization", token)], "").status;
    let statuses = ["Bearer a", "Bearer a", "Bearer b", "Bearer a", "Bearer b"].map(ask);
    assert_eq!(statuses, [200, 200, 200, 429, 200]);
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
    for (method, path) in [("GET", "/v2/nothing"), ("GET", "/"), ("PUT", "/v2/orders"), ("GET", "/v4/clock")]
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
    // The JavaScript SDK writes days as moments.
    for span in
        ["start=2025-11-26&end=2025-11-30", "start=2025-11-26T00:00:00.000Z&end=2025-11-28T00:00:00.000Z"]
    {
        assert_eq!(
            broker.get(&format!("/v2/calendar?{span}")),
            json!([
                day("2025-11-26", "16:00", "2000", "2025-11-28"),
                day("2025-11-28", "13:00", "1700", "2025-12-01"),
            ]),
            "{span}"
        );
    }
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
fn the_third_version_of_clock_and_calendar() {
    let broker = Broker::start(settings());
    let clock = broker.get("/v3/clock?markets=NYSE,XNAS");
    assert_eq!(clock["clocks"].as_array().map(Vec::len), Some(2));
    let nyse = json!({"acronym": "NYSE", "mic": "XNYS", "name": "New York Stock Exchange",
        "timezone": "America/New_York"});
    assert_eq!(
        clock["clocks"][0],
        json!({"market": nyse, "timestamp": "2026-03-16T09:25:00-04:00", "is_market_day": true,
            "next_market_open": "2026-03-16T09:30:00-04:00", "next_market_close": "2026-03-16T16:00:00-04:00",
            "phase": "pre", "phase_until": "2026-03-16T09:30:00-04:00"})
    );
    let check = |time: &str, phase: &str, is_market_day: bool| {
        let clock = broker.get(&format!("/v3/clock?markets=NYSE&time={time}"));
        let found = (&clock["clocks"][0]["phase"], &clock["clocks"][0]["is_market_day"]);
        assert_eq!(found, (&json!(phase), &json!(is_market_day)), "{time}");
    };
    check("2026-03-16T15:00:00Z", "core", true);
    check("2026-03-16T21:00:00Z", "post", true);
    check("2026-03-17T01:00:00Z", "closed", true);
    check("2026-03-15T15:00:00Z", "closed", false);
    assert!(broker.get("/v3/clock")["clocks"].as_array().is_some_and(|clocks| clocks.len() > 1));

    let day = |zone: &str, times: [&str; 4]| {
        let [pre, open, close, end] = times.map(|time| format!("2025-11-28T{time}{zone}"));
        json!({"date": "2025-11-28", "pre_start": pre, "pre_end": open, "core_start": open, "core_end": close,
            "post_start": close, "post_end": end, "settlement_date": "2025-12-01"})
    };
    let friday = "start=2025-11-27&end=2025-11-30";
    let calendar = broker.get(&format!("/v3/calendar/XNYS?{friday}"));
    let local = day("-05:00", ["04:00:00", "09:30:00", "13:00:00", "17:00:00"]);
    assert_eq!(calendar, json!({"market": nyse, "calendar": [local]}));
    let calendar = broker.get(&format!("/v3/calendar/NYSE?{friday}&timezone=UTC"));
    let utc = day("+00:00", ["09:00:00", "14:30:00", "18:00:00", "22:00:00"]);
    assert_eq!(calendar["calendar"], json!([utc]));
    assert_eq!(broker.get("/v3/calendar/NYSE")["calendar"].as_array().map(Vec::len), Some(6), "one week");
    let settles = "start=2025-12-01&end=2025-12-01&date_type=SETTLEMENT";
    let days = broker.get(&format!("/v2/calendar?{settles}"));
    assert_eq!((&days[0]["date"], days.as_array().map(Vec::len)), (&json!("2025-11-28"), Some(1)));
}

#[test]
fn assets_say_what_may_be_done() {
    let symbols = ["SPY", "DIA", "DIS", "UNH", "XYZ"].map(Symbol::new).to_vec();
    let broker = Broker::over(settings(), Market { symbols, ..common::market() });
    let check = |symbol: &str, fractionable: bool, shortable: bool| {
        let asset = broker.get(&format!("/v2/assets/{symbol}"));
        let found = [&asset["fractionable"], &asset["shortable"], &asset["easy_to_borrow"]];
        assert_eq!(found, [fractionable, shortable, shortable], "{asset}");
        let borrow = if shortable { "easy_to_borrow" } else { "hard_to_borrow" };
        assert_eq!(asset["borrow_status"], borrow);
        for field in [
            "id",
            "class",
            "exchange",
            "symbol",
            "name",
            "status",
            "tradable",
            "marginable",
            "attributes",
            "maintenance_margin_requirement",
            "margin_requirement_long",
            "margin_requirement_short",
            "cusip",
        ] {
            assert!(asset.get(field).is_some(), "{field}");
        }
    };
    check("SPY", true, true);
    check("DIA", false, true);
    check("DIS", true, false);
    check("UNH", false, false);
    check("XYZ", true, true);
    let list = |query: &str| -> Vec<String> {
        let assets = broker.get(&format!("/v2/assets{query}"));
        let assets = assets.as_array().expect("a list").iter();
        assets.map(|asset| asset["symbol"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(list(""), ["SPY", "DIA", "DIS", "UNH", "XYZ"]);
    assert_eq!(list("?status=active&asset_class=us_equity&exchange=ARCA"), ["SPY", "DIA"]);
    assert_eq!(list("?attributes=fractional_eh_enabled"), ["SPY", "DIS"]);
    assert_eq!(list("?attributes=ipo%2Chas_options"), ["SPY", "DIA", "DIS", "UNH"]);
    for none in ["?status=inactive", "?asset_class=crypto", "?exchange=OTC", "?attributes=ipo"] {
        assert_eq!(list(none), [""; 0], "{none}");
    }
}

#[test]
fn watchlists_by_id_and_by_name() {
    let broker = Broker::start(settings());
    let call = |method: &str, path: &str, body: Value| {
        broker.send(method, &format!("/v2/watchlists{path}"), Some("K"), &body.to_string())
    };
    let symbols = |list: &Value| -> String {
        let assets = list["assets"].as_array().expect("assets").iter();
        assets.map(|asset| asset["symbol"].as_str().expect("a name")).collect::<Vec<_>>().join(" ")
    };
    let made = call("POST", "", json!({"name": "My list", "symbols": ["SPY", null]}));
    assert_eq!((made.status, symbols(&made.body)), (200, "SPY".into()), "{}", made.text);
    let id = made.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.body["account_id"], broker.get("/v2/account")["id"]);
    assert_eq!(made.body["assets"][0]["class"], "us_equity");
    let taken = call("POST", "", json!({"name": "My list", "symbols": []}));
    assert_eq!((taken.status, &taken.body["code"]), (422, &json!(40_010_001)));
    assert_eq!(taken.body["message"], "watchlist name must be unique");
    assert_eq!(call("POST", "", json!({"symbols": []})).status, 422);
    assert_eq!(call("POST", "", json!({"name": "Other", "symbols": ["ZZZZ"]})).status, 404);
    let mut short = made.body.clone();
    short.as_object_mut().expect("an object").remove("assets");
    assert_eq!(broker.get("/v2/watchlists"), json!([short]), "lists leave the assets out");

    let [by_id, by_name] = [format!("/{id}"), ":by_name?name=My%20list".to_owned()];
    for path in [&by_id, &by_name, &format!("/{}", id.replace('-', ""))] {
        assert_eq!(broker.get(&format!("/v2/watchlists{path}")), made.body, "{path}");
    }
    broker.pass(secs(1));
    let added = call("POST", &by_id, json!({"symbol": "IBM"}));
    assert_eq!((added.status, symbols(&added.body)), (200, "SPY IBM".into()));
    assert!(added.body["updated_at"].as_str() > added.body["created_at"].as_str());
    assert_eq!(symbols(&call("POST", &by_name, json!({"symbol": "IBM"})).body), "SPY IBM");
    assert_eq!(call("POST", &by_id, json!({"symbol": "ZZZZ"})).status, 404);
    assert_eq!(call("POST", &by_id, json!({})).status, 422);
    let removed = call("DELETE", &format!("/{id}/SPY"), Value::Null);
    assert_eq!((removed.status, symbols(&removed.body)), (200, "IBM".into()));
    assert_eq!(call("DELETE", &format!("/{id}/SPY"), Value::Null).status, 404);
    let changed = call("PUT", &by_name, json!({"name": "New", "symbols": ["IBM", "SPY"]}));
    assert_eq!((&changed.body["name"], symbols(&changed.body)), (&json!("New"), "IBM SPY".into()));
    assert_eq!(symbols(&call("PUT", &by_id, json!({"name": "New"})).body), "IBM SPY");
    assert_eq!(call("GET", &by_name, Value::Null).status, 404);
    let gone = call("DELETE", ":by_name?name=New", Value::Null);
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    for method in ["GET", "DELETE"] {
        let missing = call(method, &by_id, Value::Null);
        assert_eq!((missing.status, &missing.body["code"]), (404, &json!(40_410_000)));
    }
    assert_eq!(broker.get("/v2/watchlists"), json!([]));
}

#[test]
fn keys_come_in_three_ways() {
    let only = Keys::only(KeyPair { key: "K".into(), secret: "S".into() });
    let broker = Broker::start(Settings { keys: only, ..settings() });
    let check = |authorization: &str, status: u16| {
        let answer = broker.send_with("GET", "/v2/account", &[("authorization", authorization)], "");
        assert_eq!(answer.status, status, "{authorization}");
    };
    check("Basic SzpT", 200);
    check("Bearer S", 200);
    check("Basic Szpubw==", 401);
    check("Bearer other", 401);
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
