//! A recorded life is lived again to the letter.

use std::sync::{Arc, Mutex};

use super::{Yard, at, bar, bounds, quote, surviving::counter, trade, wat::Wat};
use crate::{
    Bounds, Candidate, Entry, EntryRef, Manifest, Plugin, Recorder, Replay, StrategyEvent, StrategyOutput,
    session::{Session, Start},
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Entry>>>);

impl Recorder for Log {
    fn record(&mut self, entry: EntryRef<'_>) {
        self.0.lock().expect("whole").push(entry.to_entry());
    }
}

/// Does all that depends on more than its events: draws numbers, logs, sets timers, and on quotes by their time
/// loops, recurses, grows, traps.
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

/// A life with everything in it, as it was recorded.
fn recorded(old: &Plugin, new: &Plugin, yard: &Yard) -> Vec<Entry> {
    let log = Log::default();
    let start = Start { recorder: Some(Box::new(log.clone())), incarnation: 3, ..Start::new(99) };
    let bounds = Bounds { start_deadline: std::time::Duration::from_secs(5), ..bounds() };
    let manifest = Manifest::default();
    let mut session =
        Session::start(&yard.engine, old, &manifest, bounds, start, Arc::default()).expect("starts");
    let output = &mut |_: StrategyOutput| {};
    for secs in [100, 400, 4_000] {
        let events = [trade("A", secs), bar("B", secs / 60), quote("A", secs + 10), trade("B", secs + 11)];
        events.iter().for_each(|event| session.on(event, output));
        session.on(&StrategyEvent::Tick(at(secs + 30)), output);
        session.on(&trade("A", secs + 31), output);
    }
    let candidate = Candidate::prepare(&yard.engine, new, &manifest, bounds, 5).expect("it starts");
    session.swap(candidate, output);
    for event in [trade("A", 8_000), quote("A", 8_010), trade("A", 8_100)] {
        session.on(&event, output);
    }
    session.stop("the end", output);
    let entries = log.0.lock().expect("whole").clone();
    entries
}

/// The first entry at which the replay of this script differs from it.
fn difference(yard: &Yard, old: &Plugin, new: &Plugin, script: &[Entry]) -> Option<String> {
    let Entry::Born(birth) = &script[0] else { panic!("no birth") };
    let mut replay = Replay::new(&yard.engine, old, birth);
    replay.know(new.clone());
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
    let script = recorded(&old, &new, &yard);
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
