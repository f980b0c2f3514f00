//! What a strategy in each language costs: time to start, with and without the cache, time of an event,
//! memory (linear: the least that it runs with; process: what the process grew by, compiled code included).

use std::time::Instant;

use sandpit_langs_tests::{LANGUAGES, Live, Yard, bounds, built, built_of_rust};
use sandpit_strategy::{Bounds, StrategyEvent};
use sandpit_types::{Bar, MarketEvent, MarketTime, Symbol};
use serde_json::json;

const COMPILE: &str = env!("CARGO_BIN_EXE_sandpit-langs-compile");
/// As many bars as there are events without a quarantine of the queue.
const BARS: i64 = 2_000;
/// What an interpreted strategy may use at most, bytes.
const MOST: usize = 128 << 20;

#[expect(clippy::disallowed_methods, reason = "figures are real time, and nothing is decided by them")]
fn clock() -> Instant {
    Instant::now()
}

fn bar(minute: i64) -> StrategyEvent {
    let (symbol, start) = (Symbol::new("SPY"), MarketTime::from_secs(1_795_185_000 + 60 * minute));
    let close = 100.0 + f64::from((minute % 7) as i32);
    let (open, high, low) = (100.0, 107.0, 100.0);
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

/// The least memory that it starts and runs with, MiB: found by halving.
fn least_memory(yard: &Yard, plugin: &sandpit_strategy::Plugin) -> usize {
    let runs = |mebibytes: usize| {
        let bounds = Bounds { memory_bytes: mebibytes << 20, ..bounds() };
        let Ok(mut live) = Live::start(yard, plugin, &json!({}), bounds) else { return false };
        let outputs: Vec<_> = (0..BARS).flat_map(|minute| live.tell(bar(minute))).collect();
        live.stop();
        outputs.iter().all(|it| matches!(it, sandpit_strategy::StrategyOutput::Intents { .. }))
    };
    let (mut too_little, mut enough) = (0, Bounds::default().memory_bytes >> 20);
    assert!(runs(enough), "it does not run with {enough} MiB");
    while enough - too_little > 1 {
        let middle = usize::midpoint(too_little, enough);
        if runs(middle) { enough = middle } else { too_little = middle }
    }
    enough
}

/// What this process has in memory, bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = pages.split(' ').nth(1).and_then(|it| it.parse::<usize>().ok()).expect("a number of pages");
    pages * 4096
}

#[test]
fn starts_events_and_memory() {
    let of_rust = [("rust", built_of_rust("sma_cross"))];
    let others = LANGUAGES.map(|language| (language, built(&format!("sma_cross_{language}"))));
    println!("language   size KiB  cold start ms  cached start ms  event us  linear MiB  process MiB");
    for (language, path) in of_rust.into_iter().chain(others) {
        let yard = Yard::new(COMPILE);
        let (kept, before) = (yard.kept(), resident());
        let load = || {
            let begun = clock();
            let plugin = yard.load(&path).unwrap_or_else(|error| panic!("{error}"));
            let live = Live::start(&yard, &plugin, &json!({}), bounds()).expect("it starts");
            (begun.elapsed().as_millis(), plugin, live)
        };
        let (first_ms, _, live) = load();
        live.stop();
        // Another test may have had it compiled.
        let cold = if yard.kept() > kept { first_ms.to_string() } else { "-".to_owned() };
        let (cached_ms, plugin, mut live) = load();
        let begun = clock();
        (0..BARS).for_each(|minute| live.push(bar(minute)));
        live.settle();
        let event_us = begun.elapsed().as_nanos() as f64 / BARS as f64 / 1_000.0;
        let process = resident().saturating_sub(before) >> 20;
        live.stop();
        let size_kib = std::fs::metadata(&path).expect("it is there").len() / 1024;
        let linear = least_memory(&yard, &plugin);
        println!(
            "{language:8} {size_kib:10} {cold:>14} {cached_ms:16} {event_us:9.1} {linear:11} {process:12}"
        );
        assert!(process <= MOST >> 20, "{language} takes {process} MiB");
    }
}
