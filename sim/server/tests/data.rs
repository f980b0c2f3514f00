//! Market data over real HTTP: the past in pages, the present, news and reference data.

mod common;

use std::collections::BTreeSet;

use common::{Broker, market, open, secs, settings};
use sandpit_sim::{Market, Settings, data::Tick, stream::data::Plan};
use sandpit_types::{Bar, MarketEvent, MarketTime, SessionDay, Symbol};
use serde_json::{Value, json};

fn at(text: &str) -> MarketTime {
    MarketTime::parse(text).expect(text)
}

/// Three days of A and B, of which only bars are known: eighteen minutes spread over each session.
fn three_days() -> Market {
    let symbols = ["A", "B"].map(Symbol::new).to_vec();
    let mut days = Vec::new();
    let mut ticks = Vec::new();
    for (day, date) in ["2026-03-16", "2026-03-17", "2026-03-18"].into_iter().enumerate() {
        let (start, close) = (at(&format!("{date}T13:30:00Z")), at(&format!("{date}T20:00:00Z")));
        days.push(SessionDay { open: start, close });
        for minute in (0..390).step_by(23) {
            for symbol in &symbols {
                let price = 10.0 + day as f64;
                let bar = Bar {
                    symbol: symbol.clone(),
                    start: start + secs(60 * minute),
                    open: price,
                    high: price + 0.5,
                    low: price - 0.5,
                    close: price + 0.25,
                    volume: 100 + minute,
                    vwap: price,
                };
                ticks.push(Tick { event: MarketEvent::Bar(bar), trades: 2 });
            }
        }
    }
    Market { symbols, days, feed: Box::new(ticks.into_iter()), rewind: None }
}

/// Everything that a request shows, page by page, as "symbol time".
fn pages(broker: &Broker, path: &str, name: &str) -> (Vec<String>, usize) {
    let (mut rows, mut count, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = broker.get(&format!("{path}{token}"));
        count += 1;
        for (symbol, list) in page[name].as_object().expect("lists by symbol") {
            let times = list.as_array().expect("a list").iter();
            rows.extend(times.map(|row| format!("{symbol} {} {}", row["t"], row["v"])));
        }
        let Some(next) = page["next_page_token"].as_str() else { return (rows, count) };
        token = format!("&page_token={next}");
    }
}

#[test]
fn every_timeframe_in_pages_of_any_size() {
    let broker = Broker::over(Settings { requests_per_minute: 100_000, ..settings() }, three_days());
    broker.pass(secs(10 * 24 * 3_600));
    let span = "symbols=B,A&start=2026-01-01&end=2026-12-31";
    let volume = |rows: &[String]| -> u64 {
        rows.iter().map(|row| row.rsplit(' ').next().and_then(|v| v.parse::<u64>().ok()).expect("v")).sum()
    };
    let (minutes, count) = pages(&broker, &format!("/v2/stocks/bars?timeframe=1Min&{span}"), "bars");
    assert_eq!((minutes.len(), count), (2 * 3 * 17, 1));
    for (frame, each) in [("7Min", 51), ("59T", 21), ("1Hour", 21), ("1Day", 3), ("1Week", 1), ("12Month", 1)]
    {
        for limit in [1, 3, 1_000] {
            for sort in ["asc", "desc"] {
                let path = format!("/v2/stocks/bars?timeframe={frame}&{span}&limit={limit}&sort={sort}");
                let (rows, _) = pages(&broker, &path, "bars");
                assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "{path}");
                assert_eq!(volume(&rows), volume(&minutes), "{path}");
                assert_eq!(rows.len(), 2 * each, "{path}");
            }
        }
    }
    let span = "start=2026-03-16&end=2026-03-17";
    let ignored = "adjustment=split,dividend&asof=-&currency=USD";
    let days = broker.get(&format!("/v2/stocks/A/bars?timeframe=1Day&{span}&{ignored}"));
    let expected = |day: &str, price: f64| {
        json!({"t": format!("{day}T04:00:00Z"), "o": price, "h": price + 0.5, "l": price - 0.5,
            "c": price + 0.25, "v": 4_828, "n": 34, "vw": price})
    };
    assert_eq!(
        days,
        json!({"symbol": "A", "currency": "USD", "next_page_token": null,
            "bars": [expected("2026-03-16", 10.0), expected("2026-03-17", 11.0)]})
    );
    let snapshot = broker.get("/v2/stocks/A/snapshot");
    assert_eq!(snapshot["dailyBar"], expected("2026-03-18", 12.0));
    assert_eq!(snapshot["prevDailyBar"], expected("2026-03-17", 11.0));
    assert_eq!((&snapshot["symbol"], &snapshot["latestTrade"]), (&json!("A"), &Value::Null));
}

#[test]
fn trades_and_quotes_of_the_past_and_of_now() {
    let broker = Broker::in_session(settings());
    broker.pass(secs(300));
    let path = "/v2/stocks/trades?symbols=SPY,IBM&start=2026-03-16T13:30:00Z";
    let trades = broker.get(path);
    let first =
        json!({"t": "2026-03-16T13:30:50Z", "x": "V", "p": 100.1, "s": 100, "c": ["@"], "i": 1, "z": "B"});
    assert_eq!(trades["trades"]["SPY"][0], first);
    assert_eq!(trades["trades"]["IBM"].as_array().map(Vec::len), Some(5));
    let one = broker.get("/v2/stocks/SPY/trades?sort=desc&limit=1");
    assert_eq!((&one["trades"][0]["t"], &one["symbol"]), (&json!("2026-03-16T13:34:50Z"), &json!("SPY")));
    assert!(one["next_page_token"].is_string());
    let end = "end=2026-03-16T13:30:50Z";
    let quotes = broker.get(&format!("/v2/stocks/SPY/quotes?start=2026-03-16T13:30:10Z&{end}"));
    assert_eq!(quotes["quotes"].as_array().map(Vec::len), Some(5), "both ends count");
    let quote = json!({"t": "2026-03-16T13:30:10Z", "ax": "V", "ap": 100.1, "as": 1_000, "bx": "V",
        "bp": 100.0, "bs": 1_000, "c": ["R"], "z": "B"});
    assert_eq!(quotes["quotes"][0], quote);
    let (all, count) = pages(&broker, "/v2/stocks/quotes?symbols=SPY,IBM&limit=7", "quotes");
    assert_eq!((all.len(), count), (64, 10));

    let latest = broker.get("/v2/stocks/trades/latest?symbols=SPY,ZZZZ&feed=sip");
    assert_eq!(latest["trades"]["SPY"]["t"], "2026-03-16T13:34:50Z");
    assert_eq!(latest["trades"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(broker.get("/v2/stocks/SPY/trades/latest")["trade"], latest["trades"]["SPY"]);
    assert_eq!(broker.get("/v2/stocks/bars/latest?symbols=SPY")["bars"]["SPY"]["t"], "2026-03-16T13:34:00Z");
    assert_eq!(broker.get("/v2/stocks/SPY/bars/latest")["bar"]["n"], 1);
    let snapshots = broker.get("/v2/stocks/snapshots?symbols=SPY,ZZZZ");
    let spy = &snapshots["SPY"];
    assert_eq!((&snapshots["ZZZZ"], &spy["prevDailyBar"]), (&Value::Null, &Value::Null));
    assert_eq!(spy["latestTrade"], latest["trades"]["SPY"]);
    assert_eq!((&spy["minuteBar"]["v"], &spy["dailyBar"]["v"]), (&json!(100), &json!(500)));
    assert_eq!(spy["dailyBar"]["t"], "2026-03-16T04:00:00Z");
    assert_eq!(spy["latestQuote"]["bp"], 100.0);
    for what in ["bars", "trades", "quotes"] {
        let nothing = broker.call("GET", &format!("/v2/stocks/ZZZZ/{what}/latest"));
        assert_eq!((nothing.status, nothing.body.get("code")), (404, None), "{}", nothing.text);
    }
    for feed in ["boats", "overnight", "delayed_sip"] {
        let latest = broker.get(&format!("/v2/stocks/quotes/latest?symbols=SPY&feed={feed}"));
        assert_eq!(latest, json!({"quotes": {}}), "{feed} has nothing yet");
    }
    let snapshot = |feed: &str| broker.get(&format!("/v2/stocks/SPY/snapshot?feed={feed}"));
    assert_eq!(snapshot("delayed_sip")["dailyBar"], Value::Null, "its day has not begun yet");
    broker.pass(secs(700));
    let delayed = broker.get("/v2/stocks/quotes/latest?symbols=SPY&feed=delayed_sip");
    assert_eq!(delayed["quotes"]["SPY"]["t"], "2026-03-16T13:31:50Z", "a quarter of an hour old");
    assert_eq!(snapshot("delayed_sip")["dailyBar"]["v"], 100, "one minute of it has ended");
    assert_eq!(snapshot("iex")["dailyBar"]["v"], 1_600);
}

#[test]
fn auctions() {
    let broker = Broker::start(settings());
    broker.pass(secs(300 + 23_400));
    let auctions = broker.get("/v2/stocks/auctions?symbols=SPY,IBM");
    let print = |t: &str, c: &str| json!({"t": t, "x": "V", "p": 100.1, "s": 100, "c": c});
    assert_eq!(
        auctions["auctions"]["SPY"],
        json!([{"d": "2026-03-16", "o": [print("2026-03-16T13:30:50Z", "Q")],
            "c": [print("2026-03-16T14:29:50Z", "M")]}])
    );
    assert_eq!(broker.get("/v2/stocks/IBM/auctions")["auctions"][0]["d"], "2026-03-16");
}

#[test]
fn wrong_parameters_are_refused_without_a_code() {
    let broker = Broker::in_session(settings());
    for bad in [
        "bars?symbols=SPY",
        "bars?timeframe=1Min",
        "bars?timeframe=60Min&symbols=SPY",
        "bars?timeframe=2Day&symbols=SPY",
        "bars?timeframe=1Min&symbols=SPY&limit=0",
        "bars?timeframe=1Min&symbols=SPY&limit=10001",
        "bars?timeframe=1Min&symbols=spy!",
        "bars?timeframe=1Min&symbols=SPY&sort=up",
        "bars?timeframe=1Min&symbols=SPY&feed=opra",
        "bars?timeframe=1Min&symbols=SPY&adjustment=none",
        "bars?timeframe=1Min&symbols=SPY&asof=never",
        "bars?timeframe=1Min&symbols=SPY&currency=XXX",
        "bars?timeframe=1Min&symbols=SPY&page_token=x",
        "bars?timeframe=1Min&symbols=SPY&start=never",
        "trades?symbols=SPY&start=2026-03-17&end=2026-03-16",
        "quotes/latest?symbols=SPY&feed=opra",
        "quotes/latest",
        "meta/conditions/trade?tape=Z",
        "meta/conditions/bar?tape=A",
    ] {
        let answer = broker.call("GET", &format!("/v2/stocks/{bad}"));
        assert_eq!((answer.status, answer.body.get("code")), (400, None), "{bad}: {}", answer.text);
        assert!(answer.body["message"].is_string());
    }
}

#[test]
fn the_free_plan_sees_the_sip_later() {
    let broker = Broker::in_session(Settings { plan: Plan::Basic, ..settings() });
    broker.pass(secs(3_000));
    let message = json!({"message": "subscription does not permit querying recent SIP data"});
    for path in [
        "bars?timeframe=1Min&symbols=SPY&end=2026-03-16T14:15:00Z",
        "SPY/trades?feed=sip&end=2026-03-16T14:15:00Z",
        "quotes/latest?symbols=SPY&feed=sip",
    ] {
        let answer = broker.call("GET", &format!("/v2/stocks/{path}"));
        assert_eq!((answer.status, answer.body), (403, message.clone()), "{path}");
    }
    let newest = |query: &str| {
        broker.get(&format!("/v2/stocks/SPY/quotes?sort=desc&limit=1{query}"))["quotes"][0]["t"].clone()
    };
    assert_eq!(newest(""), "2026-03-16T14:05:10Z", "without an end the last quarter of an hour is left out");
    assert_eq!(newest("&feed=iex"), "2026-03-16T14:20:10Z");
    assert_eq!(newest("&end=2026-03-16T14:05:00Z"), "2026-03-16T14:05:00Z");
    assert_eq!(broker.get("/v2/stocks/SPY/quotes/latest")["quote"]["t"], "2026-03-16T14:20:10Z", "of IEX");
}

#[test]
fn news_come_with_time_and_from_outside() {
    let broker = Broker::start(settings());
    let before = broker.get("/v1beta1/news");
    broker.pass(secs(300 + 23_400));
    let all = broker.get("/v1beta1/news?limit=50&include_content=true");
    let articles = all["news"].as_array().expect("articles");
    assert!(articles.len() > before["news"].as_array().map_or(0, Vec::len));
    let stamps: Vec<&str> = articles.iter().map(|a| a["updated_at"].as_str().expect("a stamp")).collect();
    assert!(stamps.windows(2).all(|pair| pair[0] >= pair[1]), "newest first: {stamps:?}");
    for article in articles {
        assert!(article["id"].is_u64() && article["url"].is_string() && article["images"].is_array());
        assert!(article["symbols"].as_array().is_some_and(|symbols| !symbols.is_empty()));
    }
    assert!(articles.iter().any(|article| article["content"] != ""));
    let bare = broker.get("/v1beta1/news?limit=50");
    assert!(bare["news"].as_array().expect("articles").iter().all(|article| article["content"] == ""));

    let told = json!({"T": "n", "headline": "SPY splits", "symbols": ["SPY"], "content": "<p>No.</p>"});
    broker.sim.inject(told).expect("an article");
    let newest = broker.get("/v1beta1/news?limit=1&symbols=SPY,QQQ&exclude_contentless=True");
    assert_eq!(newest["news"][0]["headline"], "SPY splits");
    let token = newest["next_page_token"].as_str().expect("there are more");
    let next = broker.get(&format!("/v1beta1/news?limit=1&symbols=SPY,QQQ&page_token={token}"));
    assert_ne!(next["news"][0]["id"], newest["news"][0]["id"]);
    for bad in ["limit=51", "sort=up", "symbols=spy!", "page_token=x", "include_content=maybe", "start=never"]
    {
        assert_eq!(broker.call("GET", &format!("/v1beta1/news?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn screener_and_reference_data() {
    let broker = Broker::in_session(settings());
    broker.pass(secs(300));
    let actives = broker.get("/v1beta1/screener/stocks/most-actives?by=trades&top=1");
    assert_eq!(actives["most_actives"], json!([{"symbol": "IBM", "volume": 500, "trade_count": 5}]));
    assert_eq!(actives["last_updated"], "2026-03-16T13:35:10Z");
    let movers = broker.get("/v1beta1/screener/stocks/movers?top=1");
    let gainer = json!({"symbol": "IBM", "percent_change": 0.2, "change": 0.1, "price": 50.1});
    assert_eq!((&movers["gainers"], &movers["losers"]), (&json!([gainer]), &json!([])));
    assert_eq!(movers["market_type"], "stocks");
    assert_eq!(broker.call("GET", "/v1beta1/screener/stocks/most-actives?top=101").status, 400);
    assert_eq!(broker.call("GET", "/v1beta1/screener/forex/movers").status, 400);
    assert_eq!(broker.get("/v2/stocks/meta/exchanges")["V"], "IEX");
    assert_eq!(broker.get("/v2/stocks/meta/conditions/trade?tape=A")["@"], "Regular Sale");
    assert_eq!(broker.get("/v2/stocks/meta/conditions/quote?tape=C")["R"], "Regular Two Sided Open");
    let nothing = json!({"corporate_actions": {}, "next_page_token": null});
    assert_eq!(broker.get("/v1/corporate-actions?symbols=SPY&types=cash_dividend,spin_off"), nothing);
    assert_eq!(broker.call("GET", "/v1/corporate-actions?types=party").status, 400);
    let answer = broker.send("GET", "/v1beta1/news", None, "");
    assert_eq!((answer.status, answer.body), (401, json!({"message": "unauthorized."})));
}

#[test]
fn what_is_put_into_the_market_is_in_its_past() {
    let broker = Broker::over(settings(), market());
    broker.pass(secs(300 + 130));
    let inject = |told: Value| broker.sim.inject(told).expect("a message");
    inject(json!({"T": "t", "S": "SPY", "p": 120, "s": 7, "x": "N", "c": ["@", "I"]}));
    inject(json!({"T": "q", "S": "SPY", "bp": 119, "bs": 1, "ap": 121, "as": 2}));
    let latest = broker.get("/v2/stocks/SPY/trades/latest")["trade"].clone();
    assert_eq!((&latest["p"], &latest["x"], &latest["c"]), (&json!(120.0), &json!("N"), &json!(["@", "I"])));
    assert_eq!(broker.get("/v2/stocks/SPY/quotes/latest")["quote"]["ap"], 121.0);
    inject(json!({"T": "x", "S": "SPY", "i": latest["i"], "p": 120, "s": 7}));
    assert_eq!(broker.get("/v2/stocks/SPY/trades/latest")["trade"]["p"], 100.1, "canceled ones do not count");
    let trades = broker.get("/v2/stocks/SPY/trades?sort=desc&limit=1")["trades"][0].clone();
    assert_eq!((&trades["u"], &trades["i"]), (&json!("canceled"), &latest["i"]));
    // A late trade changes the bar of its minute.
    let path = "/v2/stocks/SPY/bars?timeframe=1Min&end=2026-03-16T13:30:00Z";
    assert_eq!(broker.get(path)["bars"][0]["h"], 100.1);
    inject(json!({"T": "t", "S": "SPY", "p": 130, "s": 50, "t": open() + secs(5)}));
    assert_eq!(broker.get(path)["bars"][0]["h"], 130.0);
    assert_eq!(broker.get(path)["bars"][0]["v"], 150);
    assert!(broker.sim.inject(json!({"T": "t", "S": "SPY", "p": -1, "s": 1})).is_err());
}

#[test]
fn a_minute_of_trades_from_outside_closes_with_the_last_of_them() {
    let broker = Broker::over(settings(), market());
    // The market's own hour is over.
    broker.pass(secs(300 + 3_700));
    for price in [221.0, 221.0, 221.02] {
        broker.control("/sim/inject", json!({"trade": {"symbol": "SPY", "price": price, "size": 7}}));
    }
    broker.pass(secs(60));
    let snapshot = broker.get("/v2/stocks/SPY/snapshot");
    let minute = &snapshot["minuteBar"];
    assert_eq!((&minute["o"], &minute["c"], &minute["v"]), (&json!(221.0), &json!(221.02), &json!(21)));
    assert_eq!(snapshot["dailyBar"]["c"], 221.02);
}
