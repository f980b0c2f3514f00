//! Strategies on trial: what they cost is counted, and counted alike each time.

use super::*;
use crate::{Step, Trial, compile_metered};

/// The compiling child for a metered engine: see [`compile_child`].
#[test]
#[ignore = "run as a child by other tests"]
fn compile_metered_child() -> ExitCode {
    compile_as_child(compile_metered)
}

/// What each of these events did, with what the start cost and the memory at the end.
fn tried(yard: &Yard, plugin: &Wat, events: &[StrategyEvent]) -> (u64, usize, Vec<Step>) {
    let engine = Engine::metered().expect("an engine");
    let path = yard.write("test.wasm", &plugin.module());
    let plugin = Plugin::load(&engine, &yard.metered_compiler(), &path).expect("it loads");
    let mut trial =
        Trial::start(&engine, &plugin, &Manifest::default(), bounds(), Start::new(42)).expect("it starts");
    let steps = events.iter().map(|event| trial.on(event)).collect();
    (trial.start_fuel(), trial.memory_bytes(), steps)
}

#[test]
fn work_is_counted_and_counted_alike() {
    let yard = Yard::new();
    let busy = Wat {
        on_bar: "(local $n i32) (local.set $n (i32.const 1000))
                 (loop $again
                   (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                   (br_if $again (local.get $n)))
                 (i32.const 16)",
        ..Wat::default()
    };
    let events = [bar("A", 1), quote("A", 130), bar("B", 2), StrategyEvent::Tick(at(200))];
    let (start, memory, steps) = tried(&yard, &busy, &events);
    assert!(start > 0, "a start is work");
    assert_eq!(memory, 4 << 16, "four pages");
    let fuel: Vec<u64> = steps.iter().map(|step| step.fuel).collect();
    // Saving, once a minute, is work as well.
    for bar in [fuel[0], fuel[2]] {
        assert!((5_000..9_000).contains(&bar), "a thousand rounds of some instructions: {fuel:?}");
    }
    assert!((1..100).contains(&fuel[1]), "{fuel:?}");
    assert!(fuel[3] < 100, "a tick calls no handler: {fuel:?}");
    assert_eq!(tried(&yard, &busy, &events), (start, memory, steps));
}

#[test]
fn a_trial_fails_as_in_a_host() {
    let yard = Yard::new();
    let bad = Wat { on_bar: "unreachable", ..Wat::default() };
    let (_, _, steps) = tried(&yard, &bad, &[bar("A", 1)]);
    assert!(matches!(steps[0].outputs[..], [StrategyOutput::Struck { strikes: 1, .. }]), "{steps:?}");
}

#[test]
fn an_engine_without_meter_counts_nothing() {
    let yard = Yard::new();
    let plugin = yard.load("test.wasm", &Wat::default().module()).expect("it loads");
    let engine = &yard.engine;
    let mut trial =
        Trial::start(engine, &plugin, &Manifest::default(), bounds(), Start::new(42)).expect("it starts");
    assert_eq!((trial.on(&bar("A", 1)).fuel, trial.start_fuel(), trial.memory_bytes()), (0, 0, 0));
}
