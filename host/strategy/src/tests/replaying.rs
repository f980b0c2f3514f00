//! A recorded life is lived again to the letter.

use std::sync::{Arc, Mutex};

use sandpit_types::{MarketTime, Price, Qty, Side, StrategyOrderId, Symbol, Usd};

use super::{
    Yard, at, bar, bounds, quote,
    surviving::counter,
    trade,
    wat::{LOAD_N, Wat},
};
use crate::{
    Bounds, Candidate, Entry, EntryRef, Failure, Inbox, Manifest, Plugin, Recorder, Replay, StrategyEvent,
    StrategyOutput, WAITING_MAX,
    engine::real_time,
    runner,
    session::{Session, Start},
};

#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    pub(super) fn entries(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.0.lock().expect("whole"))
    }
}

impl Recorder for Log {
    fn record(&mut self, entry: EntryRef<'_>) {
        self.0.lock().expect("whole").push(entry.to_entry());
    }
}

/// Does all that depends on more than its events: draws numbers, logs, sets timers, and on quotes by their
/// time loops, recurses, grows, traps.
fn lively(extra: i64) -> Wat {
    Wat {
        on_trade: "(global.set $n (i64.add (global.get $n) (i64.const 1)))
            (call $log (i32.const 1) (i32.const 1024) (i32.const 9))
            (call $hush) (call $say (call $random)) (call $say (global.get $n)) (i32.const 2000)",
        on_quote: "(call $log (i32.const 2) (i32.const 1024) (i32.const 4))
            (if (i64.eq (local.get $at) (i64.const 110000000000)) (then (loop $again (br $again))))
            (if (i64.eq (local.get $at) (i64.const 410000000000)) (then (call $deep)))
            (if (i64.eq (local.get $at) (i64.const 4010000000000))
                (then (drop (memory.grow (i32.const 5000)))))
            (if (i64.eq (local.get $at) (i64.const 8010000000000)) (then (unreachable)))
            (i32.const 16)",
        extra: if extra == 0 {
            "(func $deep (call $deep) (global.set $n (i64.const 0)))"
        } else {
            "(func $deep (call $deep) (global.set $n (i64.const 1)))"
        },
        ..counter()
    }
}

/// A life as it was recorded.
fn recorded(yard: &Yard, plugin: &Plugin, live: impl FnOnce(&mut Session)) -> Vec<Entry> {
    let log = Log::default();
    let start = Start { recorder: Some(Box::new(log.clone())), incarnation: 3, ..Start::new(99) };
    let manifest = Manifest::default();
    let mut session =
        Session::start(&yard.engine, plugin, &manifest, patient(), start, Arc::default()).expect("starts");
    live(&mut session);
    session.stop("the end", &mut |_: StrategyOutput| {});
    log.entries()
}

fn patient() -> Bounds {
    Bounds { start_deadline: std::time::Duration::from_secs(5), ..bounds() }
}

/// A life with everything in it.
fn full_life(session: &mut Session, new: &Plugin, yard: &Yard) {
    let output = &mut |_: StrategyOutput| {};
    for secs in [100, 400, 4_000] {
        let events = [trade("A", secs), bar("B", secs / 60), quote("A", secs + 10), trade("B", secs + 11)];
        events.iter().for_each(|event| session.on(event, output));
        session.on(&StrategyEvent::Tick(at(secs + 30)), output);
        session.on(&trade("A", secs + 31), output);
    }
    let candidate =
        Candidate::prepare(&yard.engine, new, &Manifest::default(), patient(), 5).expect("it starts");
    session.swap(candidate, output);
    for event in [trade("A", 8_000), quote("A", 8_010), trade("A", 8_100)] {
        session.on(&event, output);
    }
}

/// The first entry at which the replay of this script differs from it.
fn difference(yard: &Yard, old: &Plugin, new: &Plugin, script: &[Entry]) -> Option<String> {
    let Entry::Born(birth) = &script[0] else { panic!("no birth") };
    let mut replay = Replay::new(&yard.engine, old, birth);
    replay.know(new.clone());
    played_on(replay, script)
}

/// The same of one that knows its plugins.
fn played_on(mut replay: Replay, script: &[Entry]) -> Option<String> {
    let mut found = vec![script[0].clone()];
    for entry in &script[1..] {
        found.extend(replay.feed(entry).expect("it starts"));
        if entry.is_input() {
            found.push(entry.clone());
        }
    }
    found.extend(replay.finish().expect("it starts"));
    let place = (0..script.len().max(found.len())).find(|place| script.get(*place) != found.get(*place))?;
    Some(format!("{place}: {:?} is not {:?}", found.get(place), script.get(place)))
}

#[test]
fn a_life_with_everything_in_it_is_played_to_the_letter() {
    let yard = Yard::new();
    let load = |extra| yard.load("test.wasm", &lively(extra).module()).expect("it loads");
    let (old, new) = (load(0), load(1));
    assert_ne!(old.sha256(), new.sha256());
    let script = recorded(&yard, &old, |session| full_life(session, &new, &yard));
    let count = |is: fn(&Entry) -> bool| script.iter().filter(|entry| is(entry)).count();
    assert_eq!(count(|entry| matches!(entry, Entry::Cut { .. })), 2, "a loop and a recursion: {script:#?}");
    assert_eq!(count(|entry| matches!(entry, Entry::Output(StrategyOutput::Struck { .. }))), 4);
    assert_eq!(count(|entry| matches!(entry, Entry::Output(StrategyOutput::Swapped { .. }))), 1);
    assert!(count(|entry| matches!(entry, Entry::Log { .. })) > 5);
    assert!(count(|entry| matches!(entry, Entry::Saved { .. })) > 3);
    assert_eq!(difference(&yard, &old, &new, &script), None);

    // Each byte of an output counts, and so does each input.
    let changed = |change: &mut dyn FnMut(&mut Entry) -> bool| {
        let mut script = script.clone();
        assert!(script.iter_mut().any(change), "there is one to change");
        difference(&yard, &old, &new, &script)
    };
    let line = changed(&mut |entry| match entry {
        Entry::Log { line, .. } => {
            line.replace_range(..1, "T");
            true
        }
        _ => false,
    });
    assert!(line.is_some_and(|text| text.contains("Log")));
    let saved = changed(&mut |entry| match entry {
        Entry::Saved { bytes, .. } => {
            *bytes += 1;
            true
        }
        _ => false,
    });
    assert!(saved.is_some_and(|text| text.contains("Saved")));
    let missing = changed(&mut |entry| {
        let is_trade =
            matches!(entry, Entry::Event(StrategyEvent::Market(sandpit_types::MarketEvent::Trade(_))));
        if is_trade {
            *entry = Entry::Event(StrategyEvent::Tick(at(0)));
        }
        is_trade
    });
    assert!(missing.is_some());
    // Without its cut, the loop is one again, and ends after more time than was recorded.
    let without: Vec<Entry> =
        script.iter().filter(|entry| !matches!(entry, Entry::Cut { .. })).cloned().collect();
    assert!(difference(&yard, &old, &new, &without).is_some());
}

/// Has no state: counts bars and says them; loops in that bar which `poison` names.
fn stateless(poison: &'static str) -> Wat {
    Wat {
        warmup_bars: 1_000,
        on_bar: poison,
        on_trade: "(call $log (i32.const 1) (i32.const 1024) (i32.const 9))
            (call $hush) (call $say (global.get $n)) (i32.const 2000)",
        on_quote: "(unreachable)",
        ..Wat::default()
    }
}

const COUNT: &str = "(global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)";
const COUNT_ON: &str = "(global.set $n (i64.add (global.get $n) (i64.const 1001))) (i32.const 16)";
const LOOP: &str = "(if (i64.eq (local.get $start) (i64.const 3000000000000))
        (then (loop $again (br $again)))) (i32.const 16)";

#[test]
fn lessons_are_played_to_the_letter() {
    let yard = Yard::new();
    let load = |bars| yard.load("test.wasm", &stateless(bars).module()).expect("it loads");
    let (old, endless, new) = (load(COUNT), load(LOOP), load(COUNT_ON));
    let script = recorded(&yard, &old, |session| {
        let output = &mut |_: StrategyOutput| {};
        (1..=100).for_each(|minute| session.on(&bar("A", minute), output));
        for plugin in [&endless, &new] {
            let manifest = Manifest::default();
            let candidate = Candidate::prepare(&yard.engine, plugin, &manifest, patient(), 5);
            session.swap(candidate.expect("it starts"), output);
            for minute in 0.. {
                if !session.has_heir() {
                    break;
                }
                session.on(&StrategyEvent::Tick(at(6_100 + minute)), output);
                session.on(&trade("A", 6_100 + minute), output);
                session.on(&bar("B", 60 + minute), output);
                session.teach_heir(output);
            }
        }
        session.on(&trade("A", 8_000), output);
        session.on(&quote("A", 8_001), output);
        session.on(&trade("A", 8_100), output);
    });
    let count = |is: fn(&Entry) -> bool| script.iter().filter(|entry| is(entry)).count();
    assert_eq!(count(|entry| matches!(entry, Entry::Cut { .. })), 1, "the loop");
    assert_eq!(count(|entry| matches!(entry, Entry::Output(StrategyOutput::SwapFailed { .. }))), 1);
    assert_eq!(count(|entry| matches!(entry, Entry::Output(StrategyOutput::Swapped { .. }))), 1);
    assert!(count(|entry| matches!(entry, Entry::Lesson { .. })) > 4);
    let played = |script: &[Entry]| {
        let Entry::Born(birth) = &script[0] else { panic!("no birth") };
        let mut replay = Replay::new(&yard.engine, &old, birth);
        replay.know(endless.clone());
        replay.know(new.clone());
        played_on(replay, script)
    };
    assert_eq!(played(&script), None);
    // Each lesson was at its moment.
    let last =
        script.iter().rposition(|entry| matches!(entry, Entry::Lesson { .. })).expect("there are some");
    let mut without = script.clone();
    without.remove(last);
    assert!(played(&without).is_some());
    let mut late = script;
    let lesson = late.remove(last);
    let swapped = late.remove(last);
    let place = late[last..].iter().position(Entry::is_input).expect("more came") + last + 1;
    late.splice(place..place, [lesson, swapped]);
    assert!(played(&late).is_some());
}

#[test]
fn nothing_hurries_what_takes_over_in_a_replay() {
    let yard = Yard::new();
    let load = |plugin: &Wat| yard.load("test.wasm", &plugin.module()).expect("it loads");
    let slow = Wat {
        init: "(loop $again (global.set $n (i64.add (global.get $n) (i64.const 1)))
            (br_if $again (i64.lt_u (global.get $n) (i64.const 30000000)))) (i32.const 32)",
        ..stateless(COUNT_ON)
    };
    let (old, new) = (load(&stateless(COUNT)), load(&slow));
    let mut script = recorded(&yard, &old, |session| {
        let candidate = Candidate::prepare(&yard.engine, &new, &Manifest::default(), patient(), 5);
        session.swap(candidate.expect("it starts"), &mut |_| {});
        session.teach_heir(&mut |_| {});
    });
    assert_eq!(difference(&yard, &old, &new, &script), None);
    // As if it had started on a much quicker machine.
    for entry in &mut script {
        if let Entry::Swap(birth) = entry {
            birth.bounds.start_deadline = std::time::Duration::from_millis(5);
        }
    }
    assert_eq!(difference(&yard, &old, &new, &script), None);
}

#[test]
fn lessons_are_as_long_as_they_were() {
    let yard = Yard::new();
    let load = |bars| yard.load("test.wasm", &stateless(bars).module()).expect("it loads");
    // Takes longer for a bar than a lesson may.
    let slow = "(local $i i64) (loop $again (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (call $log (i32.const 0) (i32.const 1024) (i32.const 0))
        (br_if $again (i64.lt_u (local.get $i) (i64.const 30000))))
        (global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)";
    let (old, new) = (load(COUNT), load(slow));
    let script = recorded(&yard, &old, |session| {
        let output = &mut |_: StrategyOutput| {};
        (1..=20).for_each(|minute| session.on(&bar("A", minute), output));
        let candidate = Candidate::prepare(&yard.engine, &new, &Manifest::default(), patient(), 5);
        session.swap(candidate.expect("it starts"), output);
        for second in 0..1_000 {
            session.teach_heir(output);
            session.on(&trade("A", 1_300 + second), output);
            if !session.has_heir() {
                break;
            }
        }
    });
    let told: Vec<u32> = script
        .iter()
        .filter_map(|entry| match entry {
            Entry::Lesson { told } => Some(*told),
            _ => None,
        })
        .collect();
    assert!(told.len() >= 20 && told[..20] == [1; 20], "one bar at a time: {told:?}");
    let is_swap = |entry: &Entry| matches!(entry, Entry::Output(StrategyOutput::Swapped { .. }));
    assert!(script.iter().any(is_swap));
    assert_eq!(difference(&yard, &old, &new, &script), None);
    // That is not by the clock.
    let mut longer = script;
    let first = longer.iter_mut().find(|entry| matches!(entry, Entry::Lesson { .. })).expect("some");
    *first = Entry::Lesson { told: 20 };
    assert!(difference(&yard, &old, &new, &longer).is_some());
}

#[test]
fn what_is_cut_off_while_an_heir_starts_once_more_is_cut_off_in_the_replay() {
    let yard = Yard::new();
    let save = "(if (result i32) (i64.eqz (global.get $n)) (then (i32.const 16)) (else
        (i64.store (i32.const 1704) (global.get $n))
        (i32.store (i32.const 1720) (i32.const 1704)) (i32.store (i32.const 1724) (i32.const 8))
        (i32.const 1720)))";
    let of = |on_bar| Wat {
        on_bar,
        save,
        load: LOAD_N,
        on_trade: "(global.set $n (i64.const 1)) (i32.const 16)",
        ..Wat::default()
    };
    let load = |bars| yard.load("test.wasm", &of(bars).module()).expect("it loads");
    let (old, new) = (load("(i32.const 16)"), load(COUNT));
    let mut script = recorded(&yard, &old, |session| {
        let output = &mut |_: StrategyOutput| {};
        let candidate = Candidate::prepare(&yard.engine, &new, &Manifest::default(), patient(), 5);
        session.swap(candidate.expect("it starts"), output);
        session.on(&trade("A", 100), output);
        session.teach_heir(output);
    });
    assert_eq!(difference(&yard, &old, &new, &script), None);
    // The trade, the save, the instantiation.
    let failure = Failure::Timeout { call: "instantiation".into(), deadline: patient().start_deadline };
    let place =
        script.iter().position(|entry| matches!(entry, Entry::Output(StrategyOutput::Swapped { .. })));
    let place = place.expect("it took over");
    let Entry::Output(StrategyOutput::Swapped { strategy, sha256, .. }) = script[place].clone() else {
        unreachable!()
    };
    let failed = StrategyOutput::SwapFailed { strategy, sha256, reason: failure.clone() };
    script.splice(place..=place, [Entry::Cut { call: 2, failure }, Entry::Output(failed)]);
    assert_eq!(difference(&yard, &old, &new, &script), None);
}

#[test]
fn what_becomes_of_an_heir_at_the_stop_is_played_to_the_letter() {
    let yard = Yard::new();
    let load = |bars| yard.load("test.wasm", &stateless(bars).module()).expect("it loads");
    let (old, new) = (load(COUNT), load(COUNT_ON));
    let script = recorded(&yard, &old, |session| {
        let output = &mut |_: StrategyOutput| {};
        let candidate = Candidate::prepare(&yard.engine, &new, &Manifest::default(), patient(), 5);
        session.swap(candidate.expect("it starts"), output);
        let inbox = Inbox::new(["A", "B"].map(Symbol::new));
        (0..=WAITING_MAX as i64).for_each(|minute| inbox.push(bar("A", minute)));
        let until = real_time() + std::time::Duration::from_secs(60);
        assert_eq!(runner::finish(session, &inbox, output, &Arc::default(), until), 0);
    });
    let is_failed = |entry: &Entry| matches!(entry, Entry::Output(StrategyOutput::SwapFailed { .. }));
    assert!(script.iter().any(is_failed), "whoever waits for it is told");
    assert_eq!(difference(&yard, &old, &new, &script), None);
}

/// On a trade it sets a timer of seven seconds; on that, and on fills, it says what time it is. A quote is
/// its end.
fn watcher() -> Wat {
    Wat {
        on_trade: "(global.set $n (i64.add (global.get $n) (i64.const 1)))
            (call $hush) (call $say (global.get $n))
            (i64.store offset=16 (i32.const 2048) (i64.add (local.get $at) (i64.const 7000000000)))
            (i32.const 2000)",
        on_event: "(call $hush) (call $say (call $now)) (i32.const 2000)",
        ..counter()
    }
}

/// Ten ticks a second from one moment to the other.
fn ticks(from_secs: i64, to_secs: i64) -> impl Iterator<Item = StrategyEvent> {
    let tenth = |tenth| StrategyEvent::Tick(MarketTime::from_nanos(tenth * 100_000_000));
    (10 * from_secs..10 * to_secs).map(tenth)
}

/// None of these says what time it is, and one says what it was.
fn timeless(round: i64) -> StrategyEvent {
    let (symbol, qty, price) = (Symbol::new("A"), Qty::from_nanos(1), Price::from_nanos(1));
    match round % 4 {
        0 => StrategyEvent::Account { equity: Usd::ZERO, buying_power: Usd::ZERO },
        1 => StrategyEvent::Position { symbol, qty, avg_price: price },
        2 => trade("B", 1),
        _ => StrategyEvent::Fill {
            id: StrategyOrderId(1),
            leg: None,
            symbol,
            side: Side::Buy,
            qty,
            price,
            time: at(1),
        },
    }
}

#[test]
fn ticks_that_cause_nothing_are_not_recorded_and_not_missed() {
    let yard = Yard::new();
    let plugin = yard.load("test.wasm", &watcher().module()).expect("it loads");
    let mut told = 0;
    let script = recorded(&yard, &plugin, |session| {
        let output = &mut |_: StrategyOutput| {};
        let mut tell = |event: &StrategyEvent| {
            told += usize::from(matches!(event, StrategyEvent::Tick(_)));
            session.on(event, output);
        };
        for round in 0..16 {
            let start = 1_000 + 100 * round;
            tell(&trade("A", start));
            ticks(start, start + 20).for_each(|tick| tell(&tick));
            tell(&timeless(round));
            ticks(start + 20, start + 40).for_each(|tick| tell(&tick));
            tell(&timeless(3));
            if round % 5 == 4 {
                tell(&quote("A", start + 41));
                ticks(start + 41, start + 43).for_each(|tick| tell(&tick));
                tell(&timeless(3));
            }
            ticks(start + 43, start + 99).for_each(|tick| tell(&tick));
            tell(&timeless(round));
        }
    });
    let of = |is: fn(&Entry) -> bool| script.iter().filter(|entry| is(entry)).count();
    let of_output = |is: fn(&StrategyOutput) -> bool| {
        let fits = |entry: &&Entry| matches!(entry, Entry::Output(output) if is(output));
        script.iter().filter(fits).count()
    };
    let others = of(|entry| matches!(entry, Entry::Event(_)) && !is_tick(entry));
    let kept = of(is_tick);
    assert!(told > 15_000 && kept < 2 * others && others < 100, "{kept} of {told}, {others} others");
    assert!(of(|entry| matches!(entry, Entry::Saved { .. })) >= 16, "snapshots");
    assert_eq!(of_output(|output| matches!(output, StrategyOutput::Struck { .. })), 2);
    assert_eq!(of_output(|output| matches!(output, StrategyOutput::Quarantined { .. })), 1);
    let last_life = |output: &StrategyOutput| match output {
        StrategyOutput::Intents { incarnation, .. } => *incarnation == 5,
        _ => false,
    };
    assert!(of_output(last_life) > 0, "it rested and came back");
    let is_timer = |pair: &[Entry]| {
        is_tick(&pair[0]) && matches!(pair[1], Entry::Output(StrategyOutput::Intents { .. }))
    };
    assert_eq!(script.windows(2).filter(|pair| is_timer(pair)).count(), 19, "15 in time, 4 late when set");
    assert_eq!(difference(&yard, &plugin, &plugin, &script), None);

    // The last tick before an event without a time of its own is needed.
    let place = script.iter().position(is_fill).expect("there are fills");
    assert!(is_tick(&script[place - 1]), "{:?}", script[place - 1]);
    let mut without = script.clone();
    without.remove(place - 1);
    assert!(difference(&yard, &plugin, &plugin, &without).is_some());
}

fn is_tick(entry: &Entry) -> bool {
    matches!(entry, Entry::Event(StrategyEvent::Tick(_)))
}

fn is_fill(entry: &Entry) -> bool {
    matches!(entry, Entry::Event(StrategyEvent::Fill { .. }))
}

#[test]
fn a_quiet_night_leaves_no_record_but_that_of_its_end() {
    let yard = Yard::new();
    let plugin = yard.load("test.wasm", &Wat::default().module()).expect("it loads");
    let script = recorded(&yard, &plugin, |session| {
        ticks(100, 400).for_each(|tick| session.on(&tick, &mut |_| {}));
    });
    let found: Vec<_> = script.iter().filter(|entry| is_tick(entry)).collect();
    let tick = |time| Entry::Event(StrategyEvent::Tick(time));
    assert_eq!(found, [&tick(MarketTime::from_nanos(399_900_000_000))]);
    assert_eq!(script.len(), 4, "born, a tick, left, stopped: {script:#?}");
}
