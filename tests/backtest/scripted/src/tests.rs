use sandpit_sdk::{Harness, OrderKind, Side, Submit, TimeInForce};

use super::*;

/// A desk that follows this script.
fn desk(lines: &str) -> Harness<Scripted> {
    let parameters = serde_json::json!({ "script": lines }).to_string();
    Harness::new(&parameters, &["SPY", "IBM"]).expect("a good script")
}

/// The word for the end of the bar that is fed so many bars from now.
fn word(desk: &Harness<Scripted>, minutes: u32) -> String {
    let secs = (desk.now() + MINUTE * minutes).nanos() / 1_000_000_000;
    let (day, rest) = (secs / 86_400, secs % 86_400);
    assert_eq!(day, 0, "the desk begins with 1970");
    format!("1970-01-01T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

fn said(submits: &[Submit]) -> Vec<(u32, Side, OrderKind, TimeInForce)> {
    submits.iter().map(|it| (it.instrument.0, it.side, it.kind, it.time_in_force)).collect()
}

#[test]
fn orders_are_sent_at_the_bar_of_their_symbol() {
    let empty = desk("");
    let at = word(&empty, 2);
    let lines =
        format!("{at} SPY buy 5 limit -0.10 gtc\n{at} IBM buy 7 market\n{at} SPY buy 1 stop_limit +0.2 +0.3");
    let mut desk = desk(&lines);
    desk.open_session();
    desk.close(0, 10.0);
    assert!(desk.submits().is_empty(), "too early");
    desk.closes(&[(0, 10.0), (1, 20.0)]);
    let price = |value: f64| Price::from_f64(value).expect("fits");
    let expected = [
        (0, Side::Buy, OrderKind::Limit(price(9.9)), TimeInForce::Gtc),
        (0, Side::Buy, OrderKind::StopLimit { stop: price(10.2), limit: price(10.3) }, TimeInForce::Day),
        (1, Side::Buy, OrderKind::Market, TimeInForce::Day),
    ];
    assert_eq!(said(&desk.submits()), expected);
    desk.closes(&[(0, 10.0), (1, 20.0)]);
    assert_eq!(desk.submits().len(), 3, "once");
}

#[test]
fn a_script_of_other_symbols_is_refused() {
    let parameters = r#"{"script":"2013-10-07T13:31:00Z QQQ buy 1 market"}"#;
    let error = Harness::<Scripted>::new(parameters, &["SPY"]).err();
    assert_eq!(error.as_deref(), Some("line 1: QQQ is none of its symbols"));
}

#[test]
fn a_refusal_names_its_line() {
    let at = word(&desk(""), 1);
    let mut desk = desk(&format!("\n{at} SPY buy 5 market"));
    desk.refuse(Some("price-collar"));
    desk.close(0, 10.0);
    let signal = |intent: &sandpit_sdk::Intent| match intent {
        sandpit_sdk::Intent::Signal { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    let signals: Vec<String> = desk.intents().iter().filter_map(signal).collect();
    assert_eq!(signals, ["line 2: refused: price-collar"]);
}
