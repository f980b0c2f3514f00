//! Whole runners: threads, queues, pulses.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    time::Duration,
};

use sandpit_types::Pulse;

use super::{
    Yard, bar, bounds, quote,
    surviving::{counter, words},
    trade,
    wat::{LIST, Wat, Wire},
};
use crate::{
    Candidate, Failure, Inbox, Manifest, Runner, Start, StrategyEvent, StrategyOutput, WAITING_MAX,
    engine::real_time, runner,
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

struct Live {
    runner: Runner,
    inbox: Arc<Inbox>,
    pulse: Arc<Pulse>,
    outputs: Receiver<StrategyOutput>,
}

fn spawn(yard: &Yard, file: &str, plugin: &Wat, events: &[StrategyEvent]) -> Live {
    spawn_with(yard, file, plugin, events, |_| {})
}

/// With a look at each output before it goes on.
fn spawn_with(
    yard: &Yard,
    file: &str,
    plugin: &Wat,
    events: &[StrategyEvent],
    mut look: impl FnMut(&StrategyOutput) + Send + 'static,
) -> Live {
    let plugin = yard.load(file, &plugin.module()).expect("it loads");
    let manifest = Manifest::default();
    let inbox = Arc::new(Inbox::new(plugin.instruments(&manifest).expect("symbols")));
    for event in events {
        inbox.push(event.clone());
    }
    let (pulse, (sender, outputs)) = (Arc::new(Pulse::default()), mpsc::channel());
    let output = move |output| {
        look(&output);
        sender.send(output).expect("the test listens");
    };
    let runner = Runner::spawn(
        &yard.engine,
        &plugin,
        &manifest,
        bounds(),
        Start::new(1),
        Arc::clone(&inbox),
        output,
        Arc::clone(&pulse),
    )
    .expect("it starts");
    Live { runner, inbox, pulse, outputs }
}

impl Live {
    fn next(&self) -> StrategyOutput {
        self.outputs.recv_timeout(PATIENCE).expect("an output in time")
    }

    fn answers(&self, nonce: u64) -> bool {
        self.inbox.push(StrategyEvent::Probe(nonce));
        // A bound of yields, not of time: each lets the other thread run.
        (0..10_000_000).any(|_| {
            std::thread::yield_now();
            self.pulse.nonce() == nonce
        })
    }

    fn stop(self) {
        self.inbox.push(StrategyEvent::Stop("the test is over".into()));
        while !matches!(self.next(), StrategyOutput::Stopped { .. }) {}
        assert!(self.runner.join());
    }
}

#[test]
fn one_is_quarantined_while_the_other_trades_on() {
    let yard = Yard::new();
    let bad = Wat { on_quote: "(loop $again (br $again)) (unreachable)", ..Wat::default() };
    let good = Wat { on_quote: LIST, intents: vec![Wire::CancelAll], ..Wat::default() };
    let (bad, good) = (spawn(&yard, "bad.wasm", &bad, &[]), spawn(&yard, "good.wasm", &good, &[]));
    assert!(bad.answers(76) && bad.pulse.held_bytes() > 0, "it holds something");
    let events = [100, 200, 300, 400].map(|secs| quote("A", secs));
    for event in &events {
        bad.inbox.push(event.clone());
        good.inbox.push(event.clone());
    }
    for _ in &events {
        assert!(matches!(good.next(), StrategyOutput::Intents { .. }));
    }
    for expected in 1..=2 {
        assert!(matches!(bad.next(), StrategyOutput::Struck { strikes, .. } if strikes == expected));
    }
    assert!(matches!(bad.next(), StrategyOutput::Quarantined { reason: Failure::Timeout { .. }, .. }));
    good.inbox.push(quote("A", 500));
    assert!(matches!(good.next(), StrategyOutput::Intents { .. }));
    // Its thread lives on: nonces are answered, so the watchdog has no quarrel with the host.
    assert!(bad.answers(77));
    assert_eq!(bad.pulse.held_bytes(), 0, "its memory is given back");
    bad.stop();
    good.stop();
}

#[test]
fn a_candidate_takes_over_on_the_thread_of_the_strategy() {
    let yard = Yard::new();
    let wants = |intent| Wat { on_bar: LIST, intents: vec![intent], ..Wat::default() };
    let live = spawn(&yard, "test.wasm", &wants(Wire::CancelAll), &[bar("A", 1)]);
    assert!(matches!(live.next(), StrategyOutput::Intents { incarnation: 0, .. }));
    let newer = yard.load("test.wasm", &wants(Wire::Cancel(1)).module()).expect("it loads");
    let candidate =
        Candidate::prepare(&yard.engine, &newer, &Manifest::default(), bounds(), 2).expect("it starts");
    live.inbox.swap(candidate);
    let found = live.next();
    assert!(
        matches!(&found, StrategyOutput::Swapped { sha256, incarnation: 1, .. } if sha256 == newer.sha256()),
        "{found:?}"
    );
    live.inbox.push(bar("A", 2));
    assert!(matches!(live.next(), StrategyOutput::Intents { incarnation: 1, .. }));
    live.stop();
}

#[test]
fn what_waits_at_the_stop_is_handled_before_the_last_save() {
    let events = [trade("A", 100), trade("A", 101), StrategyEvent::Stop("it was removed".into())];
    let live = spawn(&Yard::new(), "test.wasm", &counter(), &events);
    assert!(live.runner.join());
    let found: Vec<StrategyOutput> = live.outputs.try_iter().collect();
    assert_eq!(words(&found), ["0: 1", "saved 1 at 100", "0: 2", "saved 2 at 101", "stopped"]);
}

#[test]
fn what_waits_at_the_stop_is_bounded_and_no_version_takes_over_then() {
    let yard = Yard::new();
    let mut session = yard.session(&counter()).expect("it starts");
    let plugin = yard.load("test.wasm", &counter().module()).expect("it loads");
    let candidate =
        Candidate::prepare(&yard.engine, &plugin, &Manifest::default(), bounds(), 2).expect("it starts");
    let inbox = Inbox::new(plugin.instruments(&Manifest::default()).expect("symbols"));
    inbox.swap(candidate);
    [100, 101, 102].into_iter().for_each(|secs| inbox.push(trade("A", secs)));
    let mut finish = |within: Duration| {
        let mut found = Vec::new();
        let until = real_time() + within;
        let left =
            runner::finish(&mut session, &inbox, &mut |told| found.push(told), &Pulse::default(), until);
        (left, words(&found))
    };
    assert_eq!(finish(Duration::ZERO), (3, vec![]));
    let expected = ["0: 1", "saved 1 at 100", "0: 2", "0: 3"].map(str::to_owned);
    assert_eq!(finish(PATIENCE), (0, expected.to_vec()));
}

#[test]
fn too_far_behind_is_the_end() {
    let events: Vec<_> = (0..=WAITING_MAX as i64).map(|minute| bar("A", minute)).collect();
    let live = spawn(&Yard::new(), "slow.wasm", &Wat::default(), &events);
    let expected = Failure::Overflow { limit: WAITING_MAX };
    assert!(matches!(live.next(), StrategyOutput::Quarantined { reason, .. } if reason == expected));
    live.stop();
}

#[test]
fn a_panic_of_the_host_quarantines_and_the_loop_lives_on() {
    let plugin = Wat { on_bar: LIST, intents: vec![Wire::CancelAll], ..Wat::default() };
    let look = |output: &StrategyOutput| {
        assert!(!matches!(output, StrategyOutput::Intents { .. }), "the desk\nfell over");
    };
    let live = spawn_with(&Yard::new(), "test.wasm", &plugin, &[bar("A", 1), bar("A", 2)], look);
    let StrategyOutput::Quarantined { strategy, reason: Failure::Host { message } } = live.next() else {
        panic!("no quarantine");
    };
    assert_eq!((strategy.as_str(), message.as_str()), ("test", "the desk fell over"));
    assert!(live.answers(5));
    live.stop();
}

#[test]
fn the_pulse_says_what_memory_is_held() {
    const PAGE: u64 = 1 << 16;
    let grows = Wat { on_bar: "(drop (memory.grow (i32.const 16))) (i32.const 16)", ..Wat::default() };
    let live = spawn(&Yard::new(), "test.wasm", &grows, &[]);
    let held = |nonce: u64| {
        assert!(live.answers(nonce));
        live.pulse.held_bytes()
    };
    let before = held(1);
    assert!(before >= 4 * PAGE, "{before}");
    (0..3).for_each(|minute| live.inbox.push(bar("A", minute)));
    let after = held(2);
    assert!(after >= before + 3 * 16 * PAGE, "{before} {after}");
    live.stop();
}

#[test]
fn the_pulse_counts_events() {
    let live = spawn(
        &Yard::new(),
        "test.wasm",
        &Wat { on_bar: LIST, intents: vec![Wire::CancelAll], ..Wat::default() },
        &[],
    );
    for minute in 0..5 {
        live.inbox.push(bar("A", minute));
        assert!(matches!(live.next(), StrategyOutput::Intents { .. }));
    }
    let pulse = Arc::clone(&live.pulse);
    live.stop();
    assert!(pulse.progress() >= 5);
}
