//! The same strategy in four languages decides the same.

use sandpit_langs_tests::{Desk, LANGUAGES, Live, Yard, bounds, built, built_of_rust};
use sandpit_strategy::{StrategyEvent, StrategyOutput};
use sandpit_types::{Bar, Intent, MarketEvent, MarketTime, Symbol};
use serde_json::{Value, json};

const COMPILE: &str = env!("CARGO_BIN_EXE_sandpit-langs-compile");
const MINUTES: usize = 390;

fn wanted(yard: &Yard, path: &std::path::Path, parameters: &Value, seed: u64) -> Vec<(i64, Intent)> {
    let plugin = yard.load(path).unwrap_or_else(|error| panic!("{error}"));
    let live = Live::start(yard, &plugin, parameters, bounds()).unwrap_or_else(|error| panic!("{error}"));
    let mut desk = Desk::open(live, seed, 30);
    desk.play(MINUTES);
    desk.close()
}

/// Each with a run of its own, so that all three are told of what differs.
fn check(language: &str) {
    let yard = Yard::new(COMPILE);
    let parameters = [
        json!({}),
        json!({"fast": 1, "slow": 2, "usd": 1000}),
        json!({"fast": 3, "slow": 9, "fraction": 0.2, "flatten_before_close_minutes": 90}),
    ];
    for (seed, parameters) in (7..).zip(&parameters) {
        let expected = wanted(&yard, &built_of_rust("sma_cross"), parameters, seed);
        let orders = expected.iter().filter(|(_, intent)| matches!(intent, Intent::Submit(_))).count();
        let cancels = expected.iter().filter(|(_, intent)| matches!(intent, Intent::Cancel(_))).count();
        assert!(orders > 10 && cancels > 0, "seed {seed}: {orders} orders and {cancels} cancels tell little");
        let found = wanted(&yard, &built(&format!("sma_cross_{language}")), parameters, seed);
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(found, expected, "{language} beside Rust, seed {seed}, {parameters}");
        }
        assert_eq!(found.len(), expected.len(), "{language} beside Rust, seed {seed}, {parameters}");
        eprintln!("{language}, seed {seed}: the same {} intents, {orders} of them orders", found.len());
    }
}

#[test]
fn in_javascript() {
    check(LANGUAGES[0]);
}

#[test]
fn in_python() {
    check(LANGUAGES[1]);
}

#[test]
fn in_c() {
    check(LANGUAGES[2]);
}

/// Every kind of order and of wish, asked for in each language by the same words.
#[test]
fn everything_can_be_asked_for_in_every_language() {
    let yard = Yard::new(COMPILE);
    let asked = LANGUAGES.map(|language| wanted_of_one_bar(&yard, &built(&format!("faulty_{language}"))));
    let [js, python, c] = &asked;
    assert_eq!(js, python);
    assert_eq!(js, c);
    let is_submit = |intent: &&Intent| matches!(intent, Intent::Submit(_));
    let submits: Vec<&Intent> = js.iter().filter(is_submit).collect();
    assert_eq!(submits.len(), 11, "{js:#?}");
    let classes = js.iter().filter_map(|it| match it {
        Intent::Submit(submit) => Some((format!("{:?}", submit.class), format!("{:?}", submit.kind))),
        _ => None,
    });
    let words: Vec<_> = classes.map(|(class, kind)| [word(&class), word(&kind)].join(" ")).collect();
    let expected = [
        "Simple StopLimit",
        "Simple Stop",
        "Simple TrailingStop",
        "Simple TrailingStop",
        "Simple Market",
        "Bracket Limit",
        "Oco Limit",
        "Oto Market",
        "Oto Market",
        "Simple Limit",
        "Simple Limit",
    ];
    assert_eq!(words, expected);
    // 11 orders, one in the place of another, one that leaves, and five legs.
    let signal = js.iter().find_map(|it| match it {
        Intent::Signal(signal) if signal.symbol.is_some() => Some(signal.reason.clone()),
        _ => None,
    });
    assert!(signal.as_deref().is_some_and(|it| it.starts_with("18 open, 1 bars, ")), "{signal:?}");
}

fn word(debug: &str) -> String {
    debug.chars().take_while(char::is_ascii_alphanumeric).collect()
}

fn wanted_of_one_bar(yard: &Yard, path: &std::path::Path) -> Vec<Intent> {
    let plugin = yard.load(path).unwrap_or_else(|error| panic!("{error}"));
    let mut live =
        Live::start(yard, &plugin, &json!({"fault": 6}), bounds()).unwrap_or_else(|it| panic!("{it}"));
    let (symbol, start) = (Symbol::new("SPY"), MarketTime::from_secs(1_795_185_000));
    let (open, high, low, close) = (100.0, 100.0, 100.0, 100.0);
    let bar = Bar { symbol, start, open, high, low, close, volume: 1, vwap: 100.0 };
    let outputs = live.tell(StrategyEvent::Market(MarketEvent::Bar(bar)));
    live.stop();
    let intents = outputs.into_iter().flat_map(|output| match output {
        StrategyOutput::Intents { intents, .. } => intents,
        other => panic!("it fails: {other:?}"),
    });
    intents.collect()
}
