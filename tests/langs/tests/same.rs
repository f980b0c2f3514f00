//! The same strategy in four languages decides the same.

use sandpit_langs_tests::{Desk, LANGUAGES, Live, Yard, bounds, built, built_of_rust};
use sandpit_types::Intent;
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
        json!({"fast": 3, "slow": 9, "fraction": 0.2, "flatten_after_minutes": 300}),
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
