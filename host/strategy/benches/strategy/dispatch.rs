//! One strategy on the calling thread: from the event to the end of its handler, everything of the host's in
//! between but the queue.

use sandpit_strategy::{Bounds, Plugin, StrategyEvent, StrategyOutput, Trial};

use crate::{
    strategies::{self, Yard},
    world,
};

/// Events of a batch.
const EVENTS: usize = 10_000;

pub(crate) fn run(yard: &Yard, raw: f64, native: f64) {
    let symbols = strategies::symbols(0);
    let (tiny, sma) = (yard.tiny(), yard.sma());
    let bars = |batch: usize| {
        let numbers = batch * EVENTS..(batch + 1) * EVENTS;
        numbers.map(|number| strategies::bar(&symbols[0], number)).collect::<Vec<_>>()
    };
    let at = |number: usize| strategies::time(number, 1);
    let quotes = |batch: usize| {
        let numbers = batch * EVENTS..(batch + 1) * EVENTS;
        numbers.map(|number| strategies::quote(&symbols[0], at(number))).collect::<Vec<_>>()
    };
    let trades = |batch: usize| {
        let numbers = batch * EVENTS..(batch + 1) * EVENTS;
        numbers.map(|number| strategies::trade(&symbols[0], at(number))).collect::<Vec<_>>()
    };
    let empty = dispatch(yard, &tiny, &[], bars);
    world::print("dispatch_empty_bar", empty, "ns", "<= 300");
    world::print("dispatch_empty_bar_over_floor", empty - raw, "ns", "");
    world::print("dispatch_quote_one_signal", dispatch(yard, &tiny, &[], quotes), "ns", "");
    let history: Vec<_> = (0..1_000).map(|number| strategies::bar(&symbols[0], number)).collect();
    let read = dispatch(yard, &tiny, &history, trades);
    world::print("dispatch_trade_reads_100_bars", read, "ns", "");
    let averages = dispatch(yard, &sma, &[], bars);
    world::print("dispatch_sma_bar", averages, "ns", "");
    world::print("dispatch_sma_bar_over_native", averages - native, "ns", "");
}

/// Nanoseconds an event.
fn dispatch(
    yard: &Yard,
    plugin: &Plugin,
    before: &[StrategyEvent],
    batch: impl FnMut(usize) -> Vec<StrategyEvent>,
) -> f64 {
    let manifest = strategies::manifest(0);
    let mut trial = Trial::start(&yard.engine, plugin, &manifest, Bounds::default(), 1).expect("it starts");
    let mut on = |event: &StrategyEvent| {
        let step = trial.on(event);
        let is_well = |output: &StrategyOutput| {
            !matches!(output, StrategyOutput::Struck { .. } | StrategyOutput::Quarantined { .. })
        };
        assert!(step.outputs.iter().all(is_well), "{:?}", step.outputs);
    };
    before.iter().for_each(&mut on);
    world::each(batch, on)
}
