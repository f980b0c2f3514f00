//! Lives that do what the test wants.

use sandpit_strategy::{Bounds, LogLevel, Rounding, StrategyEvent};
use sandpit_types::{MarketTime, StrategyName};

use super::*;

fn name() -> StrategyName {
    StrategyName::parse("a").expect("a name")
}

fn birth(sha256: &str) -> Birth {
    Birth {
        strategy: name(),
        sha256: sha256.into(),
        interface: "0.1.0".into(),
        parameters: "{}".into(),
        instruments: Vec::new(),
        seed: 1,
        incarnation: 0,
        bounds: Bounds::default(),
        rounding: Rounding::Passive,
        snapshot: None,
    }
}

fn tick(second: i64) -> Entry {
    Entry::Event(StrategyEvent::Tick(MarketTime::from_secs(second)))
}

fn log(line: &str) -> Entry {
    Entry::Log { level: LogLevel::Info, line: line.into() }
}

fn cut() -> Entry {
    let deadline = std::time::Duration::from_millis(100);
    Entry::Cut { call: 0, failure: Failure::Timeout { call: "on-event".into(), deadline } }
}

fn turn(number: u64, input: Entry, effects: &[Entry]) -> Box<Turn> {
    let effects = effects.to_vec();
    Box::new(Turn { strand: 0, strategy: name(), number, input, effects, is_whole: true })
}

/// Says of each input what it was, and whether it was cut, when the next one comes. A `bad` one does not
/// start.
#[derive(Debug)]
struct Parrot(Vec<Entry>);

impl Parrot {
    fn say(&mut self, next: Vec<Entry>) -> Result<Vec<Entry>, PluginError> {
        let said = std::mem::replace(&mut self.0, next);
        if said.contains(&log("bad")) {
            let failure = Failure::Init { message: "no".into() };
            return Err(PluginError::Start { file: "bad.wasm".into(), failure });
        }
        Ok(said)
    }
}

impl Life for Parrot {
    fn feed(&mut self, entry: &Entry) -> Result<Vec<Entry>, PluginError> {
        match entry {
            Entry::Cut { .. } => {
                self.0.push(entry.clone());
                Ok(Vec::new())
            }
            Entry::Event(event) => self.say(vec![log(&format!("{event:?}"))]),
            Entry::Swap(birth) => self.say(vec![log(&birth.sha256)]),
            Entry::Lesson { .. } => self.say(vec![log("lesson")]),
            other => panic!("not fed: {other:?}"),
        }
    }

    fn finish(mut self) -> Result<Vec<Entry>, PluginError> {
        self.say(Vec::new())
    }
}

/// Knows the components `a`, `b` and `bad`.
#[derive(Debug)]
struct Parrots;

impl Lives for Parrots {
    type Life = Parrot;

    fn born(&mut self, birth: &Birth) -> Result<Parrot, PluginError> {
        match birth.sha256.as_str() {
            "a" | "b" | "bad" => Ok(Parrot(vec![log(&birth.sha256)])),
            other => Err(PluginError::NotWasm { file: other.into() }),
        }
    }

    fn before_swap(&mut self, _: &mut Parrot, birth: &Birth) -> Result<(), PluginError> {
        self.born(birth).map(drop)
    }
}

/// The numbers of the inputs, and what is replayed of them.
fn play(
    cast: Cast,
    turns: impl IntoIterator<Item = Box<Turn>>,
) -> Result<Vec<(u64, Vec<Entry>)>, PluginError> {
    let mut stage = Stage::new(Parrots, cast);
    let mut reruns = Vec::new();
    for turn in turns {
        reruns.extend(stage.play(turn)?);
    }
    while let Some(rerun) = stage.finish_next()? {
        reruns.push(rerun);
    }
    Ok(reruns.into_iter().map(|rerun| (rerun.turn.number, rerun.replayed)).collect())
}

fn said(second: i64) -> Entry {
    log(&format!("{:?}", StrategyEvent::Tick(MarketTime::from_secs(second))))
}

#[test]
fn each_turn_meets_its_own_effects() {
    let turns = || {
        [
            turn(0, Entry::Born(birth("a")), &[]),
            turn(1, tick(1), &[cut()]),
            turn(3, Entry::Swap(birth("b")), &[]),
            turn(4, tick(2), &[]),
            turn(5, Entry::Lesson { told: 1 }, &[]),
        ]
    };
    let with_the_same = play(Cast::Recorded, turns()).expect("played");
    let before = [(0, vec![log("a")]), (1, vec![said(1), cut()]), (3, vec![log("b")])];
    let after = [(4, vec![said(2)]), (5, vec![log("lesson")])];
    assert_eq!(with_the_same, [before.as_slice(), &after].concat());
    let with_another = play(Cast::Other, turns()).expect("played");
    assert_eq!(with_another, [(0, vec![log("a")]), (1, vec![said(1)]), (4, vec![said(2)])]);
}

#[test]
fn what_did_not_start_then_need_not_start_now() {
    let born = || turn(0, Entry::Born(birth("bad")), &[]);
    assert_eq!(play(Cast::Recorded, [born()]).expect("nothing to play"), []);
    let error = play(Cast::Recorded, [born(), turn(1, tick(1), &[])]).expect_err("it ran then");
    assert!(matches!(error, PluginError::Start { .. }), "{error}");
    let error = play(Cast::Recorded, [turn(0, Entry::Born(birth("lost")), &[])]).expect_err("not there");
    assert!(matches!(error, PluginError::NotWasm { .. }), "{error}");
}

#[test]
fn behind_a_gap_only_a_birth_begins() {
    let mut stage = Stage::new(Parrots, Cast::Recorded);
    assert!(stage.play(turn(0, Entry::Born(birth("a")), &[])).expect("born").is_none());
    assert_eq!(stage.cut(0).expect("played").expect("alive").replayed, [log("a")]);
    assert!(stage.play(turn(9, tick(1), &[])).expect("not alive").is_none());
    assert!(stage.play(turn(10, Entry::Born(birth("b")), &[])).expect("born").is_none());
    assert_eq!(stage.play(turn(11, tick(2), &[])).expect("alive").expect("a turn").turn.number, 10);
}

#[test]
fn a_decision_is_what_is_wanted_and_how_it_fails() {
    let struck = StrategyOutput::Struck {
        strategy: name(),
        reason: Failure::Init { message: "no".into() },
        strikes: 1,
        until: MarketTime::from_secs(9),
    };
    let wants = |incarnation| {
        Entry::Output(StrategyOutput::Intents {
            strategy: name(),
            incarnation,
            intents: vec![Intent::CancelAll],
            event_time: MarketTime::EPOCH,
        })
    };
    let effects = [log("x"), wants(0), cut(), Entry::Output(struck)];
    let expected =
        [Decision::Wants(vec![Intent::CancelAll]), Decision::Struck(Failure::Init { message: "no".into() })];
    assert_eq!(decisions(&effects), expected);
    assert_eq!(decisions(&[wants(0)]), decisions(&[wants(1)]), "which life does not matter");
}
