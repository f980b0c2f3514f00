//! Messages that come twice, in another order, late, or never.

use std::time::Duration;

use sandpit_faults::{Cut, Figures, Host, Lanes, Ledger, Setup, Sim, millis, now, until};
use sandpit_ingest::Fall;
use sandpit_types::MarketTime;
use serde_json::{Value, json};

use crate::common::{PATIENCE, SYMBOLS, assert_whole, secs};

/// Market seconds a real one.
const SPEED: u32 = 60;
/// How long each kind of trouble lasts, market time.
const LASTS: Duration = Duration::from_secs(8 * 60);

/// Lets the stream be troubled by a fault for some minutes; how often it hit, and what came of it.
fn trouble(seed: u64, fault: &Value) -> (u64, Host, Ledger) {
    let sim = Sim::in_session(&["--seed", &seed.to_string()], secs(630), SPEED);
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, seed));
    host.live();
    let id = sim.fault(fault);
    let end = sim.clock().0 + LASTS;
    until("some minutes", secs(30), || sim.clock().0 >= end);
    let hits = sim.hits(id);
    sim.heal(id);
    // A hit of the last moment is known by the next full minute.
    let last = sim.clock().0.minute() + secs(125);
    until("two more minutes", secs(30), || sim.clock().0 >= last);
    let ledger = host.settle(&sim, PATIENCE);
    (hits, host, ledger)
}

#[test]
fn duplicated() {
    let (hits, host, ledger) = trouble(21, &json!({"kind": "duplicate", "stream": "data", "every": 3}));
    Figures::of("duplicated")
        .and("messages twice", hits)
        .and("bars", ledger.told())
        .and("repeats let go", host.stats.repeats())
        .tell();
    assert!(hits > 100, "{hits} hits prove nothing");
    assert_whole(&ledger);
}

#[test]
fn replayed() {
    let fault = json!({"kind": "replay", "stream": "data", "count": 20, "every": 50});
    let (hits, host, ledger) = trouble(22, &fault);
    Figures::of("replayed")
        .and("times", hits)
        .and("bars", ledger.told())
        .and("repeats let go", host.stats.repeats())
        .tell();
    assert!(hits > 10, "{hits} hits prove nothing");
    assert_whole(&ledger);
}

#[test]
fn reordered() {
    let (hits, _host, ledger) = trouble(23, &json!({"kind": "reorder", "stream": "data", "every": 3}));
    Figures::of("reordered").and("messages out of turn", hits).and("bars", ledger.told()).tell();
    assert!(hits > 100, "{hits} hits prove nothing");
    assert_whole(&ledger);
}

#[test]
fn lost_message() {
    let fault = json!({"kind": "lose", "stream": "data", "probability": 0.15});
    let (hits, host, ledger) = trouble(24, &fault);
    Figures::of("lost_message")
        .and("messages lost", hits)
        .and("bars", ledger.told())
        .and("falls", host.stats.connection.falls())
        .tell();
    assert!(hits > 50, "{hits} hits prove nothing");
    assert_whole(&ledger);
}

/// Late trades change bars that have been delivered.
#[test]
fn corrected_by_late_trades() {
    let sim = Sim::in_session(&["--seed", "25"], secs(630), SPEED);
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 25));
    host.live();
    let late = |age: u64, symbol: &str| {
        let time: MarketTime = sim.clock().0.minute() - secs(age);
        sim.inject(
            &json!({"message": {"T": "t", "S": symbol, "t": time.to_string(), "p": 101.25, "s": 500}}),
        );
    };
    // One for a bar of the stream, one for a bar of the gap, and one whose word is lost with the connection.
    late(70, "AAPL");
    late(310, "MSFT");
    until("both corrections", PATIENCE, || {
        let marked = |event: &_| matches!(event, sandpit_types::MarketEvent::MarkedBar(..));
        host.tape.events().iter().filter(|event| marked(event)).count() >= 2
    });
    late(70, "NVDA");
    lanes.stream.cut(Cut::Reset);
    host.live();
    let last = sim.clock().0.minute() + secs(125);
    until("two more minutes", secs(30), || sim.clock().0 >= last);
    let ledger = host.settle(&sim, PATIENCE);
    Figures::of("corrected_by_late_trades").and("bars", ledger.told()).tell();
    assert_whole(&ledger);
    assert!(ledger.corrected >= 3, "three bars were changed");
}

/// A socket on which everything comes late, and then far slower than the market talks.
#[test]
fn slow_socket() {
    let sim = Sim::in_session(&["--seed", "26"], secs(630), SPEED);
    let lanes = Lanes::to(&sim);
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &SYMBOLS, 26));
    host.live();
    let wait = |market: u64| {
        let end = sim.clock().0 + secs(market);
        until("some minutes", secs(30), || sim.clock().0 >= end);
    };
    lanes.stream.delay(Duration::from_millis(250));
    wait(180);
    lanes.stream.throttle(Some(4_000));
    wait(240);
    lanes.stream.throttle(None);
    lanes.stream.delay(Duration::ZERO);
    wait(125);
    let ledger = host.settle(&sim, PATIENCE);
    Figures::of("slow_socket").and("bars", ledger.told()).and("falls", host.stats.connection.falls()).tell();
    assert_whole(&ledger);
}

/// Whoever does not keep up is told 407 and thrown out; what was missed comes over REST.
#[test]
fn slow_client() {
    const FAST: u32 = 1_000;
    let sim = Sim::in_session(&["--seed", "27"], secs(630), FAST);
    let lanes = Lanes::to(&sim);
    let others = ["META", "GOOGL", "AMD", "NFLX", "BAC", "JPM", "XOM", "KO", "DIS", "T", "INTC", "WMT"];
    let many = [&SYMBOLS[..], &others].concat();
    let host = Host::start(&sim, &lanes, &Setup::new(&sim, &many, 27));
    host.live();
    let slow = host.stats.connection.falls_by(Fall::Slow);
    host.tape.hold(true);
    lanes.stream.gag(true);
    // Slower than the market by far, but fast enough that each write of the broker ends in time.
    lanes.stream.throttle(Some(200_000));
    let began = now();
    until("the broker to lose its patience", secs(30), || sim.figure("data_streams") == 0);
    let patience = began.elapsed();
    lanes.stream.throttle(None);
    host.tape.hold(false);
    until("the last words", PATIENCE, || host.stats.connection.falls_by(Fall::Slow) > slow);
    lanes.stream.gag(false);
    host.live();
    let ledger = host.settle(&sim, PATIENCE);
    Figures::of("slow_client")
        .and("bars", ledger.told())
        .and("thrown out after", millis(patience))
        .and("told 407", lanes.stream.slow_clients())
        .tell();
    assert_whole(&ledger);
}
