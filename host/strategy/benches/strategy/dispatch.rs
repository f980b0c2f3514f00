//! One strategy on the calling thread: from the event to the end of its handler, everything of the host's in
//! between but the queue. With and without a journal: its writer is idle again before each batch, on the core
//! of the strategy as every other thread.

use sandpit_journal::Journal;
use sandpit_strategy::{Plugin, Recorder, Start, StrategyEvent, StrategyOutput, Trial};
use sandpit_types::{MarketTime, Symbol};

use crate::{
    journal::{self, Idle},
    strategies::{self, SYMBOLS, Yard},
    world,
};

/// Events of a batch.
const EVENTS: usize = 4_000;

pub(crate) fn run(yard: &Yard, raw: f64, native: f64) {
    let journal = yard.journal("dispatch");
    let (tiny, sma) = (yard.tiny(), yard.sma());
    let symbols = strategies::symbols(0);
    let history: Vec<_> = (0..1_000).map(|number| strategies::bar(&symbols[0], number)).collect();
    let pair = |name: &str, goal: &str, plugin: &Plugin, before: &[StrategyEvent], make: Make| {
        let plain = dispatch(yard, plugin, before, None, make);
        world::print(name, plain, "ns", goal);
        let journaled = dispatch(yard, plugin, before, Some(&journal), make);
        world::print(&format!("{name}_journaled"), journaled, "ns", "");
        world::print(&format!("{name}_journal_adds"), journaled - plain, "ns", "<= 150");
        plain
    };
    let empty = pair("dispatch_empty_bar", "<= 300", &tiny, &[], bar);
    world::print("dispatch_empty_bar_over_floor", empty - raw, "ns", "");
    pair("dispatch_quote_one_signal", "", &tiny, &[], quote);
    pair("dispatch_trade_reads_100_bars", "", &tiny, &history, trade);
    let averages = pair("dispatch_sma_bar", "", &sma, &[], bar);
    world::print("dispatch_sma_bar_over_native", averages - native, "ns", "");
    assert_eq!(journal::lost(&journal), 0, "what is measured is recorded");
}

type Make = fn(&[Symbol], usize) -> StrategyEvent;

/// As a minute brings them: one for each symbol.
fn bar(symbols: &[Symbol], number: usize) -> StrategyEvent {
    strategies::bar(&symbols[number % SYMBOLS], number / SYMBOLS)
}

fn quote(symbols: &[Symbol], number: usize) -> StrategyEvent {
    strategies::quote(&symbols[number % SYMBOLS], at(number))
}

fn trade(symbols: &[Symbol], number: usize) -> StrategyEvent {
    strategies::trade(&symbols[0], at(number))
}

fn at(number: usize) -> MarketTime {
    strategies::time(number, 1)
}

/// Nanoseconds an event.
fn dispatch(
    yard: &Yard,
    plugin: &Plugin,
    before: &[StrategyEvent],
    journal: Option<&Journal>,
    make: Make,
) -> f64 {
    let symbols = strategies::symbols(0);
    let recorder = journal.map(|journal| Box::new(journal.strand(plugin.name())) as Box<dyn Recorder>);
    let start = Start { seed: 1, recorder, ..Start::default() };
    let manifest = strategies::manifest(0);
    let mut trial =
        Trial::start(&yard.engine, plugin, &manifest, strategies::bounds(), start).expect("it starts");
    let mut on = |event: &StrategyEvent| {
        let step = trial.on(event);
        let is_well = |output: &StrategyOutput| {
            !matches!(output, StrategyOutput::Struck { .. } | StrategyOutput::Quarantined { .. })
        };
        assert!(step.outputs.iter().all(is_well), "{:?}", step.outputs);
    };
    before.iter().for_each(&mut on);
    let mut idle = journal.map(Idle::of);
    let batch = |batch: usize| {
        let events = (batch * EVENTS..(batch + 1) * EVENTS).map(|number| make(&symbols, number)).collect();
        if let Some(idle) = &mut idle {
            idle.await_after(EVENTS * batch);
        }
        events
    };
    world::each(batch, on)
}
