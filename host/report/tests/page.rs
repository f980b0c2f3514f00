//! The page and the summary of a run that was made up.

use std::collections::BTreeMap;

use sandpit_report::{Curve, Fill, Material, Orders, Prices, Subject, page, report, summary};
use sandpit_types::{MarketTime, Side, Symbol};
use serde_json::json;

fn at(minute: i64) -> MarketTime {
    MarketTime::from_secs(1_381_152_600 + 60 * minute)
}

/// A run of so many minutes with a fill every so many.
fn material(minutes: i64, every: i64, name: &str) -> Material {
    let spy = Symbol::new("SPY");
    let mut curve = Curve::new(at(0), 100_000.0);
    let mut prices = Prices::new(spy.clone());
    let (mut fills, mut x) = (Vec::new(), 41_u64);
    let (mut equity, mut price) = (100_000.0, 150.0_f64);
    for minute in 1..=minutes {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let step = ((x >> 33) % 201) as f64 - 100.0;
        equity += step;
        price = (price + step / 500.0).max(1.0);
        curve.push(at(minute), equity, 10_000.0, 10_000.0);
        prices.push(at(minute), price - 0.1, price + 0.1, price);
        if minute % 390 == 0 {
            curve.end_day(at(minute));
        }
        if minute % every == 0 {
            let side = if (minute / every) % 2 == 0 { Side::Sell } else { Side::Buy };
            let (time, symbol, order) = (at(minute), spy.clone(), minute.unsigned_abs());
            let reference = Some(price - 0.01);
            fills.push(Fill { time, symbol, side, qty: 10.0, price, reference, fee: 0.01, order });
        }
    }
    let subject = Subject {
        strategy: name.to_owned(),
        version: "1.0.0".to_owned(),
        sha256: "ab".repeat(32),
        parameters: json!({ "fast": 10, "note": name }),
        data: vec!["bars.csv".to_owned()],
        symbols: vec![spy],
        from: at(0),
        to: at(minutes),
        cash: 100_000.0,
        realism: "live".to_owned(),
        seed: 1,
        events: minutes.unsigned_abs(),
        end: format!("the strategy {name} failed"),
        is_whole: false,
        notes: vec![format!("a note on {name}")],
    };
    let sent = fills.len() as u64;
    let shares = 10.0 * sent as f64;
    let orders = Orders { sent, filled: sent, asked_qty: shares, filled_qty: shares, ..Orders::default() };
    let refusals = BTreeMap::from([(name.to_owned(), 3)]);
    Material { subject, curve, prices: vec![prices], fills, fees_total: 1.5, orders, refusals }
}

#[test]
fn a_page_needs_nothing_else_and_takes_every_text_for_text() {
    let hostile = "<script>alert(1)</script><img src=x onerror='a'>\"&";
    let material = material(3_000, 40, hostile);
    let page = page(&material, &report(&material));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for banned in ["<script", "<img", "<link", "http://", "https://", "url(", "onerror='", "@import"] {
        assert!(!page.contains(banned), "{banned}");
    }
    for wanted in
        ["Equity, USD", "Drawdown", "Monthly returns", "SPY, USD, with 75 fills", "Round trips", "Symbols"]
    {
        assert!(page.contains(wanted), "{wanted}");
    }
    // On a phone a chart is wider than the screen, and is scrolled by itself.
    assert_eq!(page.matches("<div class=\"scroll\"><svg").count(), page.matches("<svg").count());
    assert!(!page.contains("NaN") && !page.contains("inf"), "every figure is a figure");
    if let Some(file) = std::env::var_os("SANDPIT_REPORT_PAGE") {
        std::fs::write(file, &page).expect("written");
    }
}

#[test]
fn a_long_run_makes_no_large_page() {
    let material = material(1_000_000, 10, "long");
    let page = page(&material, &report(&material));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[test]
fn a_page_is_bounded_whatever_others_wrote() {
    let mut material = material(100_000, 1, "much");
    let long = "<&\">".repeat(500_000);
    material.refusals =
        (0..50_000).map(|n| (format!("an order of {n} USD is above 100 USD"), n + 1)).collect();
    let subject = &mut material.subject;
    subject.parameters = json!({ "script": long.clone() });
    subject.data = (0..20_000).map(|n| format!("a folder of data/SPY-{n}.csv.gz")).collect();
    subject.symbols = (0..9_000).map(|n| Symbol::new(format!("S{n}"))).collect();
    subject.notes = (0..5_000).map(|n| format!("{n} {long}")[..3_000].to_owned()).collect();
    (subject.strategy, subject.version, subject.end) = (long.clone(), long.clone(), long);
    let page = page(&material, &report(&material));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    // What is left out is said, and what comes often is not.
    for wanted in ["49800 more", "8801 more", "4900 more notes", "an order of 49999 USD", "in 167 shown"] {
        assert!(page.contains(wanted), "{wanted}");
    }
}

#[test]
fn figures_add_up() {
    let material = material(3_900, 100, "sum");
    let report = report(&material);
    assert_eq!((report.trading.trips, report.orders.sent), (19, 39));
    assert_eq!(report.fill_rate, Some(1.0));
    // Twenty buys cost a cent a share more than their reference, nineteen sales bring one more.
    assert!((report.slippage.expect("prices") - 0.1).abs() < 1e-6, "{:?}", report.slippage);
    assert_eq!(report.symbols[&Symbol::new("SPY")].slippage, report.slippage);
    let pnl: f64 = report.symbols.values().map(|of| of.pnl).sum();
    let average = report.trading.average.expect("there are trips");
    assert!((pnl - average * 19.0).abs() < 1e-6);
    let json = serde_json::to_value(&report).expect("JSON");
    assert!(json["daily"]["sharpe"].is_number() && json["months"].is_array());
    let text = summary(&report);
    assert!(text.lines().count() >= 20 && text.contains("round trips           19"), "{text}");
}

#[test]
fn an_empty_run_has_a_report_too() {
    let mut material = material(1, 10, "empty");
    material.curve = Curve::new(at(0), 100_000.0);
    material.prices.clear();
    let report = report(&material);
    let json = serde_json::to_value(&report).expect("JSON");
    assert!(json["daily"]["sharpe"].is_null() && json["slippage_bp"].is_null());
    assert!(page(&material, &report).contains("–"));
}

/// Names of the JSON's figures that are null, with a point between those of a group.
fn nulls(of: &serde_json::Value, before: &str, found: &mut Vec<String>) {
    for (name, value) in of.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::Null => found.push(format!("{before}{name}")),
            _ if !["subject", "symbols"].contains(&name.as_str()) => {
                nulls(value, &format!("{before}{name}."), found);
            }
            _ => {}
        }
    }
}

#[test]
fn every_figure_that_is_null_has_a_reason_and_no_other() {
    let check = |what: &str, equities: &[f64], fills: usize, reference: Option<f64>| {
        let mut material = material(3_900, 100, what);
        material.curve = Curve::new(at(0), 1_000.0);
        for (day, equity) in (1..).zip(equities) {
            material.curve.push(at(1_440 * day), *equity, 0.0, 0.0);
            material.curve.end_day(at(1_440 * day));
        }
        material.fills.truncate(fills);
        material.fills.iter_mut().for_each(|fill| fill.reference = reference);
        if fills == 0 {
            (material.orders, material.fees_total) = (Orders::default(), 0.0);
        }
        let report = report(&material);
        let json = serde_json::to_value(&report).expect("JSON");
        let mut found = Vec::new();
        nulls(&json, "", &mut found);
        found.sort();
        assert_eq!(found, report.undefined.keys().copied().collect::<Vec<_>>(), "{what}");
        let page = page(&material, &report);
        assert!(report.undefined.values().all(|reason| page.contains(reason)), "{what}");
        found
    };
    assert_eq!(check("nothing", &[], 0, None).len(), 20);
    let one = check("one day", &[1_010.0], 2, Some(150.0));
    assert!(one.contains(&"daily.sharpe".to_owned()) && one.contains(&"daily.calmar".to_owned()), "{one:?}");
    check("no loss", &[1_010.0, 1_010.0, 1_030.0], 2, None);
    check("no change", &[1_000.0, 1_000.0], 0, None);
    check("ruin", &[500.0, -10.0, 20.0], 39, Some(150.0));
    assert_eq!(check("all", &[1_010.0, 990.0, 1_020.0], 39, Some(150.0)), [""; 0]);
}
