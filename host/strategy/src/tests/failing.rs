//! Strategies that misbehave: each is struck by name, restarted, and in the end quarantined.

use std::time::Duration;

use sandpit_types::{Intent, SessionDay};

use super::{
    Yard, at, bar, bounds, outputs, quote, said, trade,
    wat::{LIST, Wat, Wire},
};
use crate::{Bounds, Failure, StrategyEvent, StrategyOutput};

const LOOP: &str = "(loop $again (br $again)) (unreachable)";

/// The first strike on this event.
fn failure(plugin: &Wat, event: StrategyEvent) -> Failure {
    let mut session = Yard::new().session(plugin).expect("it starts");
    let found = outputs(&mut session, &[event]);
    let [StrategyOutput::Struck { reason, strikes: 1, .. }] = found.as_slice() else {
        panic!("no strike: {found:?}");
    };
    reason.clone()
}

#[test]
fn each_failure_has_its_name() {
    let check = |plugin: Wat, expected: &str| {
        let found = failure(&plugin, bar("A", 1)).to_string();
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    };
    let on_bar = |on_bar| Wat { on_bar, ..Wat::default() };
    check(on_bar(LOOP), "on-bar ran out of time (300 ms)");
    check(on_bar("(unreachable)"), "on-bar trapped: wasm trap: wasm `unreachable` instruction executed, in ");
    check(
        on_bar("(i32.div_u (i32.const 1) (i32.const 0))"),
        "on-bar trapped: wasm trap: integer divide by zero",
    );
    check(
        on_bar(
            "(drop (call $on_bar (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
            (local.get 5) (local.get 6))) (i32.const 16)",
        ),
        "on-bar trapped: call stack exhausted",
    );
    check(on_bar("(i32.const 0x7ffffff0)"), "on-bar trapped: ");
    check(
        on_bar("(i32.load (i32.const -16))"),
        "on-bar trapped: wasm trap: out of bounds memory access (often a recursion that has used up its \
         stack, which is in memory), in ",
    );
    check(
        on_bar("(drop (memory.grow (i32.const 1024))) (i32.const 16)"),
        "on-bar asked for 67371008 bytes of memory, at most 67108864",
    );
    let table = Wat {
        extra: "(table $t 1 funcref)",
        ..on_bar("(drop (table.grow $t (ref.null func) (i32.const 1000000))) (i32.const 16)")
    };
    check(table, "on-bar asked for 1000007 table elements");
    check(
        on_bar("(call $position (i32.const 2) (i32.const 128)) (i32.const 16)"),
        "on-bar trapped: position(2): there is no such instrument, 2 were granted",
    );
    let flood = |count| Wat { intents: vec![Wire::CancelAll; count], ..on_bar(LIST) };
    check(flood(257), "one event caused 257 intents, at most 256");
    let timers = (0..1025).map(|id| Wire::SetTimer(id, i64::MAX));
    let many = Bounds { intents_per_event: 2_000, ..bounds() };
    let plugin = Wat { memory_pages: 4, intents: timers.collect(), ..on_bar(LIST) };
    let mut session =
        Yard::new().session_with(&plugin, many, &crate::Manifest::default()).expect("it starts");
    let found = outputs(&mut session, &[bar("A", 1)]);
    let expected = Failure::TooManyTimers { limit: 1024 };
    assert!(matches!(&found[1], StrategyOutput::Struck { reason, .. } if *reason == expected), "{found:?}");
}

#[test]
fn a_log_flood_is_cut_off_by_the_deadline_and_harms_nobody() {
    let plugin = Wat {
        on_bar: "(loop $again (call $log (i32.const 3) (i32.const 131072) (i32.const 60000)) (br $again))
            (unreachable)",
        ..Wat::default()
    };
    let expected = Failure::Timeout { call: "on-bar".into(), deadline: Duration::from_millis(300) };
    assert_eq!(failure(&plugin, bar("A", 1)), expected);
}

#[test]
fn what_fails_before_its_first_event_does_not_start() {
    let check = |plugin: Wat, expected: &str| {
        let quick = Bounds { start_deadline: Duration::from_millis(300), ..bounds() };
        let error = Yard::new().session_with(&plugin, quick, &crate::Manifest::default()).err();
        let found = error.expect("it does not start").to_string();
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    };
    check(Wat { init: LOOP, ..Wat::default() }, "test.wasm does not start: init ran out of time (300 ms)");
    check(
        Wat { describe: LOOP, ..Wat::default() },
        "test.wasm does not start: describe ran out of time (2000 ms)",
    );
    check(Wat { init: "(unreachable)", ..Wat::default() }, "test.wasm does not start: init trapped: ");
    check(
        Wat { memory_pages: 1025, ..Wat::default() },
        "test.wasm does not start: instantiation asked for 67174400 bytes of memory",
    );
    check(
        Wat { extra: "(start $loop) (func $loop (loop $again (br $again)))", ..Wat::default() },
        "test.wasm does not start: instantiation ran out of time",
    );
    check(
        Wat { instruments: vec![], ..Wat::default() },
        "test.wasm: it names no instruments: set `instruments`",
    );
}

/// Says its own count of bars; traps on bars that start at minute 2.
fn counting() -> Wat {
    Wat {
        warmup_bars: 10,
        on_bar: "(if (i64.eq (local.get $start) (i64.const 120000000000)) (then (unreachable)))
            (global.set $n (i64.add (global.get $n) (i64.const 1)))
            (call $hush) (call $say (global.get $n)) (i32.const 2000)",
        on_trade: "(call $hush) (call $say (call $random)) (i32.const 2000)",
        on_quote: "(unreachable)",
        ..Wat::default()
    }
}

#[test]
fn after_a_rest_it_starts_afresh_and_skips_what_it_failed_on() {
    let mut session = Yard::new().session(&counting()).expect("it starts");
    assert_eq!(said(&mut session, &[bar("A", 0), bar("A", 1)]), [1, 2]);
    let first = said(&mut session, &[trade("A", 120)]);
    let found = outputs(&mut session, &[bar("A", 2)]);
    assert!(matches!(found.as_slice(), [StrategyOutput::Struck { strikes: 1, .. }]), "{found:?}");
    // It rests for five seconds from 00:03:00 on: it is told nothing.
    assert_eq!(outputs(&mut session, &[trade("A", 181), StrategyEvent::Tick(at(184))]), []);
    // The next bar ends the rest: bars 0 and 1 are fed again, the poison is not, then this one counts.
    let found = outputs(&mut session, &[bar("A", 3)]);
    let [StrategyOutput::Intents { incarnation: 1, intents, .. }] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(matches!(intents.as_slice(), [Intent::SetTimer { id: 3, .. }]), "{intents:?}");
    assert_ne!(said(&mut session, &[trade("A", 301)]), first, "each life has random numbers of its own");
}

#[test]
fn a_new_life_is_told_of_the_session_that_is_on() {
    use sandpit_types::MarketEvent::{SessionClose, SessionOpen};
    // Says the kind of each event it was told, and the bars it saw since the last one.
    let plugin = Wat {
        warmup_bars: 10,
        on_bar: "(global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)",
        on_event: "(global.set $n (i64.add (i64.mul (global.get $n) (i64.const 10)) (i64.const 100)))
            (i32.const 16)",
        on_quote: "(unreachable)",
        on_trade: "(call $hush) (call $say (global.get $n)) (i32.const 2000)",
        ..Wat::default()
    };
    let check = |events: &[StrategyEvent], expected: i64| {
        let mut session = Yard::new().session(&plugin).expect("it starts");
        outputs(&mut session, events);
        outputs(&mut session, &[quote("A", 600)]);
        assert_eq!(said(&mut session, &[trade("A", 700)]), [expected], "{events:?}");
    };
    let open = StrategyEvent::Market(SessionOpen(SessionDay { open: at(120), close: at(500) }));
    let close = StrategyEvent::Market(SessionClose(at(500)));
    check(&[bar("A", 0), bar("A", 1), bar("A", 2)], 3);
    check(&[bar("A", 0), bar("A", 1), open.clone(), bar("A", 2), bar("A", 3)], 122);
    check(std::slice::from_ref(&open), 100);
    check(&[open, bar("A", 2), close], 1);
}

#[test]
fn each_bar_of_a_restart_has_its_own_time_and_all_have_a_bound() {
    // Each bar takes some milliseconds, all forty together far more than a start has.
    let plugin = Wat {
        warmup_bars: 40,
        on_bar: "(global.set $n (i64.const 0))
            (loop $again (global.set $n (i64.add (global.get $n) (i64.const 1)))
              (br_if $again (i64.lt_u (global.get $n) (i64.const 20000000)))) (i32.const 16)",
        on_quote: "(unreachable)",
        on_trade: "(call $hush) (call $say (i64.const 1)) (i32.const 2000)",
        ..Wat::default()
    };
    let run = |refeed: Duration| {
        let tight = Bounds {
            event_deadline: Duration::from_secs(2),
            start_deadline: Duration::from_millis(50),
            refeed_deadline: refeed,
            ..bounds()
        };
        let mut session =
            Yard::new().session_with(&plugin, tight, &crate::Manifest::default()).expect("it starts");
        let bars: Vec<_> = (0..40).map(|minute| bar("A", minute)).collect();
        outputs(&mut session, &bars);
        outputs(&mut session, &[quote("A", 2_500)]);
        outputs(&mut session, &[trade("A", 2_600)])
    };
    let found = run(Duration::from_secs(60));
    assert!(matches!(found.as_slice(), [StrategyOutput::Intents { incarnation: 1, .. }]), "{found:?}");
    let found = run(Duration::from_millis(10));
    let [StrategyOutput::Struck { reason, strikes: 2, .. }] = found.as_slice() else { panic!("{found:?}") };
    let text = "on-bar, on all bars again, ran out of time (10 ms): look for an endless loop, or do less";
    assert_eq!(reason.to_string(), text);
}

#[test]
fn the_third_strike_within_an_hour_is_the_last() {
    let mut session = Yard::new().session(&counting()).expect("it starts");
    let mut found = Vec::new();
    for secs in [100, 200, 201, 300, 400, 500] {
        let outputs = outputs(&mut session, &[quote("A", secs)]);
        found.extend(outputs.into_iter().map(|output| match output {
            StrategyOutput::Struck { strikes, .. } => format!("{secs}: strike {strikes}"),
            StrategyOutput::Quarantined { reason, .. } => format!("{secs}: quarantined, {reason}"),
            other => panic!("{other:?}"),
        }));
    }
    // 201 falls into the rest after the second one.
    assert_eq!(found[..2], ["100: strike 1", "200: strike 2"]);
    assert!(found[2].starts_with("300: quarantined, on-quote trapped"), "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn what_was_wanted_before_the_failure_still_counts() {
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![
            Wire::CancelAll,
            Wire::Submit { id: 1, instrument: 9, side: 0, quantity: 1, limit: None, tif: 0, late: 0 },
        ],
        // The refusal comes back in the same event and is not survived.
        on_event: "(unreachable)",
        ..Wat::default()
    };
    let mut session = Yard::new().session(&plugin).expect("it starts");
    let found = outputs(&mut session, &[bar("A", 1)]);
    assert!(
        matches!(found.as_slice(), [StrategyOutput::Intents { intents, .. }, StrategyOutput::Struck { .. }]
            if intents.len() == 1),
        "{found:?}"
    );
}
