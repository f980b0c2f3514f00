//! Starts, and what a strategy takes of memory.

use std::{path::Path, sync::Arc, time::Duration};

use sandpit_strategy::{Bounds, Candidate, Inbox, Plugin, Runner, Start, StrategyEvent, StrategyOutput};
use sandpit_types::Pulse;

use crate::{
    strategies::{self, SYMBOLS, Yard},
    world,
};

/// Starts of each kind.
const STARTS: usize = 9;
/// Swaps of one strategy.
const SWAPS: usize = 200;
/// Strategies at a time, to weigh one.
const HEAVY: usize = 20;
/// Bars that a strategy can read of each symbol.
const HISTORY: usize = 1_000;
const MEBIBYTE: f64 = (1 << 20) as f64;

/// From the file to the first event: compiled anew, and from the cache.
pub(crate) fn cold_starts(yard: &Yard) {
    let mut cold = Vec::new();
    let mut warm = Vec::new();
    for start in 0..STARTS {
        yard.forget();
        cold.push(start_once(yard, &yard.sma_path(), start));
        warm.push(start_once(yard, &yard.sma_path(), start));
    }
    world::print("start_compiled_anew", world::quantile(&mut cold, 500) / 1e6, "ms", "");
    world::print("start_from_cache", world::quantile(&mut warm, 500) / 1e6, "ms", "");
}

fn start_once(yard: &Yard, path: &Path, number: usize) -> u64 {
    let began = world::nanos();
    let plugin = yard.load(path);
    let one = Live::start(yard, &plugin, number);
    let took = world::nanos() - began;
    one.stop();
    took
}

/// How long no events are handled while a new version takes the place of one that has seen 1,000 bars.
pub(crate) fn swaps(yard: &Yard) {
    let sma = yard.sma();
    let (tell, pauses) = std::sync::mpsc::channel();
    let one = Live::start_with(yard, &sma, 0, move |output| match output {
        StrategyOutput::Swapped { pause, .. } => tell.send(pause.as_nanos() as u64).expect("it is awaited"),
        StrategyOutput::SwapFailed { reason, .. } => panic!("{reason}"),
        _ => {}
    });
    one.told(HISTORY);
    let swap = |_| {
        let next = Candidate::prepare(&yard.engine, &sma, &strategies::manifest(0), Bounds::default(), 1);
        one.inbox.swap(next.expect("it starts"));
        pauses.recv_timeout(Duration::from_secs(60)).expect("it is swapped")
    };
    let mut all: Vec<u64> = (0..SWAPS).map(swap).collect();
    one.stop();
    world::print("swap_pause_p50", world::quantile(&mut all, 500) / 1e6, "ms", "");
    world::print("swap_pause_p99", world::quantile(&mut all, 990) / 1e6, "ms", "<= 5");
}

/// What one of many takes, by what is resident: as it starts, and with all the history it can read.
pub(crate) fn memory(yard: &Yard) {
    let sma = yard.sma();
    // The first of a plugin brings its code in.
    Live::start(yard, &sma, 0).stop();
    let before = world::resident_bytes();
    let all: Vec<Live> = (0..HEAVY).map(|number| Live::start(yard, &sma, number)).collect();
    all.iter().for_each(|one| one.told(1));
    let of_one = |bytes: u64| bytes.saturating_sub(before) as f64 / HEAVY as f64 / MEBIBYTE;
    world::print("memory_a_strategy", of_one(world::resident_bytes()), "MiB", "<= 3");
    all.iter().for_each(|one| one.told(HISTORY));
    world::print("memory_a_strategy_30_symbols_1000_bars", of_one(world::resident_bytes()), "MiB", "<= 3");
    all.into_iter().for_each(Live::stop);
    for path in yard.others() {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let plugin = yard.load(&path);
        let before = world::resident_bytes();
        let one = Live::start(yard, &plugin, 0);
        one.told(HISTORY);
        let taken = world::resident_bytes().saturating_sub(before) as f64 / MEBIBYTE;
        world::print(&format!("memory_{name}_1000_bars"), taken, "MiB", "<= 128");
        one.stop();
    }
}

/// A strategy in its thread; it may do what it likes.
pub(crate) struct Live {
    runner: Runner,
    pub(crate) inbox: Arc<Inbox>,
    pulse: Arc<Pulse>,
    number: usize,
}

impl Live {
    fn start(yard: &Yard, plugin: &Plugin, number: usize) -> Self {
        Self::start_with(yard, plugin, number, |_| {})
    }

    /// `look` sees what it does, on its thread.
    pub(crate) fn start_with(
        yard: &Yard,
        plugin: &Plugin,
        number: usize,
        mut look: impl FnMut(&StrategyOutput) + Send + 'static,
    ) -> Self {
        let (inbox, pulse) = (Arc::new(Inbox::new(strategies::symbols(number))), Arc::new(Pulse::default()));
        // An interpreter starts slowly and takes more.
        let bounds = Bounds { memory_bytes: 256 << 20, ..Bounds::default() };
        let output = move |output| {
            let failed = matches!(output, StrategyOutput::Struck { .. } | StrategyOutput::Quarantined { .. });
            assert!(!failed, "{output:?}");
            look(&output);
        };
        let (box_of_it, pulse_of_it) = (Arc::clone(&inbox), Arc::clone(&pulse));
        let runner = Runner::spawn(
            &yard.engine,
            plugin,
            &strategies::manifest(number),
            bounds,
            Start::new(1),
            box_of_it,
            output,
            pulse_of_it,
        );
        Self { runner: runner.expect("it starts"), inbox, pulse, number }
    }

    /// Tells it so many bars of each symbol, and waits until it has handled them.
    fn told(&self, bars: usize) {
        let symbols = strategies::symbols(self.number);
        for minute in 0..bars {
            symbols.iter().for_each(|symbol| self.inbox.push(strategies::bar(symbol, minute)));
        }
        let nonce = (bars * SYMBOLS) as u64;
        self.inbox.push(StrategyEvent::Probe(nonce));
        world::wait_until("all bars are handled", || self.pulse.nonce() == nonce);
    }

    pub(crate) fn stop(self) {
        self.inbox.push(StrategyEvent::Stop("that was it".into()));
        assert!(self.runner.join(), "its thread ends as it should");
    }
}
