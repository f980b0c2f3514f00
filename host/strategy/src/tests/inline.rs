//! A backtest's session wants what a host's does.

use proptest::{collection::vec, prelude::any, prop_assert_eq, test_runner::TestRunner};

use super::{
    wat::{LOAD_N, NOTHING, SAVE_N},
    *,
};
use crate::{Failure, Inline};

/// Counts bars and events, and says the count at each trade: as a timer, which fires later and counts, too.
fn counting() -> Wat {
    Wat {
        on_bar: "(global.set $n (i64.add (global.get $n) (i64.const 1))) (i32.const 16)",
        on_event: "(global.set $n (i64.add (global.get $n) (i64.const 1000))) (i32.const 16)",
        on_trade: "(call $hush) (call $say (global.get $n)) (i32.const 2000)",
        on_quote: NOTHING,
        save: SAVE_N,
        load: LOAD_N,
        ..Wat::default()
    }
}

#[test]
fn it_wants_the_same_of_the_same_events() {
    let yard = Yard::new();
    let plugin = yard.load("test.wasm", &counting().module()).expect("it loads");
    let manifest = Manifest::default();
    let start = || Start::new(42);
    // Minutes that pass before each event, what it is, and of which symbol.
    let steps = vec((0_i64..3, 0_u8..6, any::<bool>()), 1..120);
    let mut runner = TestRunner::new(proptest::test_runner::Config::with_cases(64));
    let run = |steps: Vec<(i64, u8, bool)>| {
        let mut session = Session::start(&yard.engine, &plugin, &manifest, bounds(), start(), Arc::default())
            .expect("it starts");
        let mut inline =
            Inline::start(&yard.engine, &plugin, &manifest, bounds(), start()).expect("it starts");
        let (mut wanted, mut minute) = (Vec::new(), 1);
        for (pass, kind, is_first) in steps {
            minute += pass;
            let symbol = if is_first { "A" } else { "B" };
            let event = match kind {
                0 | 1 => bar(symbol, minute),
                2 => quote(symbol, 60 * minute),
                3 | 4 => trade(symbol, 60 * minute),
                _ => StrategyEvent::Tick(at(60 * minute)),
            };
            let by_host: Vec<Intent> = outputs(&mut session, std::slice::from_ref(&event))
                .into_iter()
                .filter_map(|output| match output {
                    StrategyOutput::Intents { intents, .. } => Some(intents),
                    // A host's state is saved meanwhile.
                    StrategyOutput::Snapshot { .. } => None,
                    other => panic!("not intents: {other:?}"),
                })
                .flatten()
                .collect();
            match &event {
                StrategyEvent::Market(market) => inline.on_market(market, &mut wanted),
                event => inline.on(event, &mut wanted),
            }
            .expect("it does no harm");
            prop_assert_eq!(std::mem::take(&mut wanted), by_host);
            prop_assert_eq!(inline.deadline(), session.deadline());
        }
        Ok(())
    };
    runner.run(&steps, run).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn the_first_failure_is_the_end_and_said() {
    let yard = Yard::new();
    let bad = Wat { on_bar: "unreachable", ..Wat::default() };
    let plugin = yard.load("test.wasm", &bad.module()).expect("it loads");
    let manifest = Manifest::default();
    let mut inline =
        Inline::start(&yard.engine, &plugin, &manifest, bounds(), Start::new(42)).expect("it starts");
    assert_eq!(inline.on(&quote("A", 30), &mut Vec::new()), Ok(()));
    let failed = inline.on(&bar("A", 1), &mut Vec::new());
    assert!(matches!(failed, Err(Failure::Trap { .. })), "{failed:?}");
}
