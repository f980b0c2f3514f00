//! A new version takes over.

use sandpit_types::StreamHealth;

use super::{
    Yard, at, bar, bounds, outputs, quote,
    surviving::{check, counter, diarist, health, open_at, words},
    trade,
    wat::{LIST, REFUSE, Wat, Wire},
};
use crate::{Candidate, Manifest, StrategyEvent, StrategyOutput, session::Session};

/// Counts on, and says a thousand more.
fn newer() -> Wat {
    Wat {
        on_trade: "(global.set $n (i64.add (global.get $n) (i64.const 1)))
            (call $hush) (call $say (i64.add (global.get $n) (i64.const 1000))) (i32.const 2000)",
        ..counter()
    }
}

/// Swaps in this version, granted these instruments if any are named.
fn swap(yard: &Yard, session: &mut Session, plugin: &Wat, instruments: Option<&str>) -> Vec<StrategyOutput> {
    let text = instruments.map(|symbol| format!("instruments = [{symbol:?}]")).unwrap_or_default();
    let manifest = Manifest::parse("test.toml", &text).expect("a manifest");
    let plugin = yard.load("test.wasm", &plugin.module()).expect("it loads");
    let candidate = Candidate::prepare(&yard.engine, &plugin, &manifest, bounds(), 7).expect("it starts");
    let mut outputs = Vec::new();
    session.swap(candidate, &mut |output| outputs.push(output));
    outputs
}

#[test]
fn state_book_and_timers_move_over() {
    const SECOND: i64 = 1_000_000_000;
    let yard = Yard::new();
    let timers = || vec![Wire::SetTimer(5, 200 * SECOND)];
    let on_event = "(call $hush) (call $say (i64.add (local.get $0) (global.get $n))) (i32.const 2000)";
    let old = Wat { on_bar: LIST, intents: timers(), ..counter() };
    let mut session = yard.session(&old).expect("it starts");
    check(&mut session, &[bar("A", 1), trade("A", 130)], &["0: 5", "saved 0 at 120", "0: 1"]);
    let new = Wat { on_event, ..newer() };
    assert_eq!(words(&swap(&yard, &mut session, &new, None)), ["saved 1 at 130", "swapped: 1"]);
    check(&mut session, &[trade("A", 131)], &["1: 1002"]);
    check(&mut session, &[StrategyEvent::Tick(at(205))], &["1: 7", "saved 2 at 205"]);
    // A later life is one of the new version.
    check(&mut session, &[quote("A", 210), trade("A", 220)], &["strike 1: on-quote trapped", "2: 1003"]);
}

#[test]
fn any_failure_leaves_everything_as_it_was() {
    let yard = Yard::new();
    let mut session = yard.session(&counter()).expect("it starts");
    check(&mut session, &[trade("A", 100)], &["0: 1", "saved 1 at 100"]);
    let mut refused = |plugin: &Wat, instruments, expected: &str| {
        let found = words(&swap(&yard, &mut session, plugin, instruments));
        let last = found.last().expect("an answer");
        assert!(last.starts_with(expected), "{last} is not {expected}");
    };
    refused(&Wat { load: REFUSE, ..newer() }, None, "not swapped: load refused: refused by the test");
    refused(&Wat { load: "(unreachable)", ..newer() }, None, "not swapped: load trapped");
    let endless = "(loop $again (br $again)) (unreachable)";
    refused(&Wat { load: endless, ..newer() }, None, "not swapped: load ran out of time (300 ms)");
    refused(&newer(), Some("A"), "not swapped: the new version has other instruments");
    check(&mut session, &[trade("A", 110), trade("A", 120)], &["0: 2", "0: 3"]);
    check(&mut session, &[quote("A", 130), trade("A", 140)], &["strike 1: on-quote trapped", "1: 4"]);
}

#[test]
fn one_that_rests_or_is_quarantined_lives_again() {
    let yard = Yard::new();
    let mut session = yard.session(&counter()).expect("it starts");
    check(&mut session, &[trade("A", 100), trade("A", 101)], &["0: 1", "saved 1 at 100", "0: 2"]);
    check(&mut session, &[quote("A", 110)], &["strike 1"]);
    // What it handled since the snapshot is told to the new version, too.
    assert_eq!(words(&swap(&yard, &mut session, &newer(), None)), ["swapped: 1"]);
    check(&mut session, &[trade("A", 111)], &["1: 1003"]);
    // Strikes begin anew.
    let fatal = [quote("A", 150), quote("A", 200), quote("A", 300)];
    check(&mut session, &fatal, &["strike 1", "strike 2", "quarantined"]);
    check(&mut session, &[trade("A", 400)], &[]);
    assert_eq!(words(&swap(&yard, &mut session, &newer(), None)), ["swapped: 4"]);
    // So is what the old one handled before it was quarantined, and what came then.
    check(&mut session, &[trade("A", 500)], &["4: 1005", "saved 5 at 500"]);
}

#[test]
fn after_a_quarantine_no_timer_fires_again() {
    const SECOND: i64 = 1_000_000_000;
    let yard = Yard::new();
    let plugin = Wat {
        on_bar: LIST,
        intents: vec![Wire::SetTimer(77, 130 * SECOND)],
        on_event: "(call $hush) (call $say (local.get $0)) (i32.const 2000)",
        ..counter()
    };
    let mut session = yard.session(&plugin).expect("it starts");
    check(&mut session, &[bar("A", 1), trade("A", 131)], &["0: 77", "saved 0 at 120", "0: 77 1"]);
    check(&mut session, &[quote("A", 132), quote("A", 140)], &["strike 1", "strike 2"]);
    let last = outputs(&mut session, &[quote("A", 160)]);
    let [StrategyOutput::Quarantined { .. }, StrategyOutput::Snapshot { snapshot, .. }] = last.as_slice()
    else {
        panic!("{last:?}")
    };
    assert_eq!(snapshot.timers, [], "whoever starts from it knows of no timer that has fired");
    assert_eq!(words(&swap(&yard, &mut session, &newer(), None)), ["swapped: 3"]);
    check(&mut session, &[trade("A", 170)], &["3: 1002"]);
}

#[test]
fn a_new_version_is_told_the_open_that_the_old_one_failed_on() {
    let yard = Yard::new();
    let mut session = yard.session(&Wat { on_event: "(unreachable)", ..diarist() }).expect("it starts");
    check(&mut session, &[trade("A", 10), open_at(30)], &["0: 0", "saved 0 at 10", "strike 1: on-event"]);
    assert_eq!(words(&swap(&yard, &mut session, &diarist(), None)), ["swapped: 1"]);
    check(&mut session, &[trade("A", 60)], &["1: 5"]);
}

#[test]
fn it_is_told_that_the_session_is_open_and_that_data_are_stale() {
    let yard = Yard::new();
    let mut session = yard.session(&diarist()).expect("it starts");
    let first = [open_at(30), health(StreamHealth::Fallback, 40), trade("A", 50)];
    check(&mut session, &first, &["saved 5 at 30", "0: 57"]);
    assert_eq!(words(&swap(&yard, &mut session, &diarist(), None)), ["saved 57 at 50", "swapped: 1"]);
    check(&mut session, &[trade("A", 60)], &["1: 5757"]);
}

#[test]
fn what_a_candidate_fails_on_is_told_to_the_old_one_all_the_same() {
    let yard = Yard::new();
    let mut session = yard.session(&counter()).expect("it starts");
    let known = [trade("A", 100), trade("A", 101)];
    check(&mut session, &known, &["0: 1", "saved 1 at 100", "0: 2"]);
    check(&mut session, &[quote("A", 110)], &["strike 1"]);
    let found = words(&swap(&yard, &mut session, &Wat { on_trade: "(unreachable)", ..newer() }, None));
    assert!(found[0].starts_with("not swapped: on-trade trapped"), "{found:?}");
    check(&mut session, &[trade("A", 140)], &["1: 3"]);

    // The same of a timer.
    let old = Wat {
        on_bar: LIST,
        intents: vec![Wire::SetTimer(1, 130_000_000_000)],
        on_event: "(global.set $n (i64.add (global.get $n) (i64.const 10))) (i32.const 16)",
        ..counter()
    };
    let mut session = yard.session(&old).expect("it starts");
    check(&mut session, &[bar("A", 1)], &["0: 1", "saved 0 at 120"]);
    check(&mut session, &[trade("A", 131), quote("A", 140)], &["0: 11", "strike 1"]);
    let found = words(&swap(&yard, &mut session, &Wat { on_event: "(unreachable)", ..newer() }, None));
    assert!(found[0].starts_with("not swapped: on-event trapped"), "{found:?}");
    check(&mut session, &[trade("A", 145)], &["1: 12"]);
}

#[test]
fn what_lost_events_cannot_be_taken_over() {
    let yard = Yard::new();
    let mut session = yard.session(&counter()).expect("it starts");
    session.overflowed(5, &mut |_| {});
    let found = words(&swap(&yard, &mut session, &newer(), None));
    assert_eq!(found, ["not swapped: what it knew is lost: stop the strategy and start it anew"]);
}

#[test]
fn without_a_state_it_is_told_the_bars() {
    let yard = Yard::new();
    let old = Wat { warmup_bars: 5, ..Wat::default() };
    let mut session = yard.session(&old).expect("it starts");
    assert_eq!(outputs(&mut session, &[bar("A", 1), bar("A", 2)]), []);
    let new = Wat {
        on_bar: "(global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)",
        on_trade: "(call $hush) (call $say (global.get $n)) (i32.const 2000)",
        ..old
    };
    assert_eq!(swap(&yard, &mut session, &new, None), []);
    let mut found = Vec::new();
    session.teach_heir_again(32, &mut |output| found.push(output));
    assert_eq!(words(&found), ["swapped: 1"]);
    check(&mut session, &[trade("A", 200)], &["1: 2"]);
}
