//! Recorded lives come back as turns, to the bit.

use std::path::Path;

use proptest::prelude::*;
use sandpit_strategy::{LogLevel, Recorder, StrategyEvent, StrategyOutput};
use sandpit_types::{Bar, MarketEvent, MarketTime, Symbol};

use super::*;
use crate::{Journal, Retention, Settings, Strand};

fn journal(root: &Path) -> Journal {
    let (root, session, host) = (root.to_owned(), "session".into(), "1.2.3".into());
    let settings = Settings { root, session, host, retention: Retention::default() };
    Journal::start(settings, || MarketTime::EPOCH).expect("it starts")
}

fn name(text: &str) -> StrategyName {
    StrategyName::parse(text).expect("a name")
}

fn tick(second: i64) -> Entry {
    Entry::Event(StrategyEvent::Tick(MarketTime::from_secs(second)))
}

fn bar(close: f64) -> Entry {
    let (symbol, start) = (Symbol::new("SPY"), MarketTime::from_secs(60));
    let bar = Bar { symbol, start, open: 1.0, high: 1.0, low: 1.0, close, volume: 1, vwap: 1.0 };
    Entry::Event(StrategyEvent::Market(MarketEvent::Bar(bar)))
}

fn log(line: &str) -> Entry {
    Entry::Log { level: LogLevel::Info, line: line.into() }
}

fn stopped() -> Entry {
    Entry::Output(StrategyOutput::Stopped { strategy: name("a") })
}

fn record(strand: &mut Strand, entries: &[Entry]) {
    entries.iter().for_each(|entry| strand.record(entry.as_ref()));
}

fn steps(root: &Path) -> (Vec<Step>, End) {
    let mut turns = Turns::new(Reader::open(&root.join("session")).expect("a session"));
    let mut steps = Vec::new();
    while let Some(step) = turns.next_step().unwrap_or_else(|error| panic!("{error}")) {
        steps.push(step);
    }
    assert_eq!(turns.host(), "1.2.3");
    (steps, turns.end().expect("it ended").clone())
}

fn turn(strand: u32, strategy: &str, number: u64, input: Entry, effects: &[Entry]) -> Step {
    let (strategy, effects) = (name(strategy), effects.to_vec());
    Step::Turn(Box::new(Turn { strand, strategy, number, input, effects, is_whole: true }))
}

#[test]
fn two_strategies_come_back_as_turns() {
    let root = tempfile::tempdir().expect("a folder");
    let journal = journal(root.path());
    let (mut a, mut b) = (journal.strand(&name("a")), journal.strand(&name("b")));
    record(&mut a, &[tick(1), log("x"), log("y"), tick(2)]);
    record(&mut b, &[tick(1), tick(3), log("z")]);
    record(&mut a, &[stopped()]);
    assert!(journal.close());
    let (mut steps, end) = steps(root.path());
    assert_eq!(end, End::Closed);
    steps.sort_by_key(|step| match step {
        Step::Turn(turn) => (turn.strand, turn.number),
        Step::Gap { strand, first, .. } => (*strand, *first),
    });
    let expected = [
        turn(0, "a", 0, tick(1), &[log("x"), log("y")]),
        turn(0, "a", 3, tick(2), &[stopped()]),
        turn(1, "b", 0, tick(1), &[]),
        turn(1, "b", 1, tick(3), &[log("z")]),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_gap_ends_a_turn_that_may_lack_something() {
    let root = tempfile::tempdir().expect("a folder");
    let journal = journal(root.path());
    let mut a = journal.strand(&name("a"));
    record(&mut a, &[tick(1), tick(2), log("x")]);
    a.add(true, |_| false);
    a.add(true, |_| false);
    assert!(journal.close());
    let (steps, _) = steps(root.path());
    let cut = Turn {
        strand: 0,
        strategy: name("a"),
        number: 1,
        input: tick(2),
        effects: vec![log("x")],
        is_whole: false,
    };
    let gap = Step::Gap { strand: 0, strategy: name("a"), first: 3, lost: 2 };
    assert_eq!(steps, [turn(0, "a", 0, tick(1), &[]), Step::Turn(Box::new(cut)), gap]);
}

#[test]
fn differences_are_seen_to_the_bit() {
    let check = |recorded: &[Entry], replayed: &[Entry], is_whole: bool, alike: Option<usize>| {
        let found = difference(recorded, replayed, is_whole);
        assert_eq!(found.map(|found| found.alike), alike, "{recorded:?} {replayed:?}");
    };
    check(&[], &[], true, None);
    check(&[log("x"), stopped()], &[log("x"), stopped()], true, None);
    check(&[log("x")], &[log("y")], true, Some(0));
    check(&[log("x"), stopped()], &[log("x")], true, Some(1));
    check(&[log("x")], &[log("x"), stopped()], true, Some(1));
    // What was cut off may have been there.
    check(&[log("x")], &[log("x"), stopped()], false, None);
    check(&[log("x"), stopped()], &[log("x")], false, Some(1));
    check(&[bar(f64::NAN)], &[bar(f64::NAN)], true, None);
    check(&[bar(0.0)], &[bar(-0.0)], true, Some(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn entries_of_any_size_survive(
        lines in prop::collection::vec("[ -~ß]{0,300}", 0..200),
        bits in any::<u64>(),
    ) {
        let root = tempfile::tempdir().expect("a folder");
        let journal = journal(root.path());
        let mut strand = journal.strand(&name("a"));
        let effects: Vec<_> = lines.iter().map(|line| log(line)).collect();
        record(&mut strand, &[bar(f64::from_bits(bits))]);
        record(&mut strand, &effects);
        prop_assert!(journal.close());
        let (steps, _) = steps(root.path());
        let [Step::Turn(turn)] = steps.as_slice() else { panic!("{steps:?}") };
        prop_assert_eq!(difference(&turn.effects, &effects, true), None);
        let input = std::slice::from_ref(&turn.input);
        prop_assert_eq!(difference(input, &[bar(f64::from_bits(bits))], true), None);
    }
}
