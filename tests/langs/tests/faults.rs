//! What goes wrong in a strategy reaches the log with its message and place, whatever the language, and costs
//! a strike.

use sandpit_langs_tests::{Lines, Live, Yard, bounds, built};
use sandpit_strategy::{Bounds, Failure, StrategyEvent, StrategyOutput};
use sandpit_types::{Bar, MarketEvent, MarketTime, Symbol};
use serde_json::json;

const COMPILE: &str = env!("CARGO_BIN_EXE_sandpit-langs-compile");

const SLIP: u8 = 1;
const LOOP: u8 = 2;
const HOG: u8 = 3;
const DEEP: u8 = 4;
const DIVIDE: u8 = 5;

fn bar() -> StrategyEvent {
    let (symbol, start) = (Symbol::new("SPY"), MarketTime::from_secs(1_795_185_000));
    let (open, high, low, close) = (100.0, 101.0, 99.0, 100.0);
    StrategyEvent::Market(MarketEvent::Bar(Bar {
        symbol,
        start,
        open,
        high,
        low,
        close,
        volume: 1,
        vwap: 100.0,
    }))
}

/// How it failed on one bar.
fn failure(language: &str, fault: u8, bounds: Bounds) -> Failure {
    let yard = Yard::new(COMPILE);
    let plugin = yard.load(&built(&format!("faulty_{language}"))).unwrap_or_else(|error| panic!("{error}"));
    let mut live = Live::start(&yard, &plugin, &json!({ "fault": fault }), bounds).expect("it starts");
    let mut outputs = live.tell(bar());
    live.stop();
    match (outputs.pop(), outputs.is_empty()) {
        (Some(StrategyOutput::Struck { reason, .. }), true) => reason,
        other => panic!("not struck: {other:?}"),
    }
}

fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// The line of a file of ours that holds this text, counted from one.
fn line_of(text: &str, file: &str) -> usize {
    let path = format!("{}/faulty/{file}", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(&path).expect("a source");
    1 + source.lines().position(|line| line.contains(text)).expect("the line is there")
}

#[test]
fn a_slip_in_javascript_tells_message_and_place() {
    let lines = Lines::take();
    let failure = failure("js", SLIP, bounds());
    assert!(matches!(failure, Failure::Trap { ref call, .. } if call == "on-bar"), "{failure}");
    let place = format!("faulty.js:{}", line_of("nothing.length", "faulty.js"));
    assert_holds(&lines.text(), &["ERROR", "TypeError: ", "nothing is undefined", &place, "onBar@"]);
}

#[test]
fn a_slip_in_python_tells_message_and_place() {
    let lines = Lines::take();
    let failure = failure("py", SLIP, bounds());
    assert!(matches!(failure, Failure::Trap { ref call, .. } if call == "on-bar"), "{failure}");
    let place = format!("faulty.py:{} in slip", line_of("[][1]", "faulty.py"));
    assert_holds(&lines.text(), &["ERROR", "IndexError: list index out of range", &place, "in on_bar"]);
}

#[test]
fn a_slip_in_c_tells_message_and_place() {
    let lines = Lines::take();
    let failure = failure("c", SLIP, bounds());
    let place = format!("bars < 0 does not hold (faulty.c:{} in check_it)", line_of("SP_CHECK", "faulty.c"));
    assert_holds(&lines.text(), &["ERROR", &place]);
    assert_holds(&failure.to_string(), &["on-bar trapped: ", "sp_fail"]);
}

#[test]
fn a_trap_in_c_names_the_function() {
    let failure = failure("c", DIVIDE, bounds());
    assert_holds(&failure.to_string(), &["on-bar trapped: ", "divide by zero", "in divide_by_nothing"]);
}

#[test]
fn loops_end_and_hogs_get_no_more_than_they_are_granted() {
    for language in sandpit_langs_tests::LANGUAGES {
        let found = failure(language, LOOP, bounds());
        assert!(
            matches!(found, Failure::Timeout { ref call, .. } if call == "on-bar"),
            "{language}: {found}"
        );
        // Time enough to get at the memory: it is zeroed page by page.
        let bounds = Bounds { event_deadline: std::time::Duration::from_secs(20), ..bounds() };
        let found = failure(language, HOG, bounds);
        assert!(matches!(found, Failure::Memory { ref call, .. } if call == "on-bar"), "{language}: {found}");
    }
}

#[test]
fn a_recursion_without_end_is_a_strike() {
    let lines = Lines::take();
    for (language, expected) in [("js", "too much recursion"), ("py", "RecursionError"), ("c", "in deeper")] {
        let bounds = Bounds { event_deadline: std::time::Duration::from_secs(20), ..bounds() };
        let found = failure(language, DEEP, bounds);
        assert!(matches!(found, Failure::Trap { ref call, .. } if call == "on-bar"), "{language}: {found}");
        let told = format!("{found}\n{}", lines.text());
        assert_holds(&told, &[expected]);
    }
}

#[test]
fn a_start_that_is_refused_tells_what_to_change() {
    let check = |language: &str, parameters: serde_json::Value, expected: &str| {
        let yard = Yard::new(COMPILE);
        let plugin = yard.load(&built(&format!("sma_cross_{language}"))).expect("it loads");
        let refusal = Live::start(&yard, &plugin, &parameters, bounds()).err().expect("refused").to_string();
        assert_holds(
            &refusal,
            &[&format!("sma_cross_{language}.wasm does not start: init refused: {expected}")],
        );
    };
    for language in sandpit_langs_tests::LANGUAGES {
        check(language, json!({"fast": 9, "slow": 9}), "parameters: fast must be below slow, not 9 and 9");
        check(
            language,
            json!({"fsat": 9}),
            "parameters: unknown field `fsat`, expected one of `fast`, `slow`",
        );
        check(language, json!({"fast": 0}), "parameters: fast must be at least 1 and at most 389, not 0");
        check(
            language,
            json!({"fraction": 1.5}),
            "parameters: fraction must be above 0 and at most 1, not 1.5",
        );
        check(language, json!({"fast": "5"}), "parameters: fast must be of type integer");
        check(language, json!({"fast": 1.5}), "parameters: fast must be of type integer");
    }
}
