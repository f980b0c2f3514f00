//! Starts, and what a strategy takes of memory.

use std::{path::Path, sync::Arc, time::Duration};

use sandpit_strategy::{Candidate, Inbox, Plugin, Recorder, Runner, Start, StrategyEvent, StrategyOutput};
use sandpit_types::Pulse;

use crate::{
    strategies::{self, SYMBOLS, Yard},
    world,
};

/// Starts of each kind.
const STARTS: usize = 9;
/// Swaps of one strategy.
const SWAPS: usize = 100;
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
    world::print("start_compiled_anew_rust", world::quantile(&mut cold, 500) / 1e6, "ms", "");
    world::print("start_from_cache_rust", world::quantile(&mut warm, 500) / 1e6, "ms", "");
    for (path, name) in yard.others() {
        // Once: an interpreter is compiled for seconds.
        let anew = start_once(yard, &path, 0) as f64;
        world::print(&format!("start_compiled_anew_{name}"), anew / 1e6, "ms", "");
        let mut warm: Vec<u64> = (0..STARTS).map(|start| start_once(yard, &path, start)).collect();
        world::print(&format!("start_from_cache_{name}"), world::quantile(&mut warm, 500) / 1e6, "ms", "");
    }
}

fn start_once(yard: &Yard, path: &Path, number: usize) -> u64 {
    let began = world::nanos();
    let plugin = yard.load(path);
    let one = Live::start(yard, &plugin, number);
    let took = world::nanos() - began;
    one.stop();
    took
}

/// The longest that no event could be handled while a new version takes the place of one that has seen 1,000
/// bars of each symbol: of a strategy that saves its state, and of one that does not and is told the bars of
/// its warm-up in lessons. With how long all of it took.
pub(crate) fn swaps(yard: &Yard) {
    for (name, kind) in [("mean_reversion", "with_state"), ("sma_cross", "told_again")] {
        let (plugin, row) = (yard.load(&yard.path(name)), format!("swap_pause_{kind}"));
        let (mut all, mut took) = swap_often(yard, &plugin).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        world::print(&format!("{row}_p50"), world::quantile(&mut all, 500) / 1e3, "us", "");
        world::print(&format!("{row}_p99"), world::quantile(&mut all, 990) / 1e3, "us", "<= 5000");
        world::print(&format!("swap_took_{kind}_p50"), world::quantile(&mut took, 500) / 1e6, "ms", "");
    }
}

/// The pauses of many swaps, and how long each took, nanoseconds.
fn swap_often(yard: &Yard, plugin: &Plugin) -> Vec<(u64, u64)> {
    let (tell, pauses) = std::sync::mpsc::channel();
    let one = Live::start_with(yard, plugin, 0, None, move |output| match output {
        StrategyOutput::Swapped { pause, .. } => tell.send(pause.as_nanos() as u64).expect("it is awaited"),
        StrategyOutput::SwapFailed { reason, .. } => panic!("{reason}"),
        _ => {}
    });
    one.told(HISTORY);
    let swap = |_| {
        let (manifest, bounds) = (strategies::manifest(0), strategies::bounds());
        let next = Candidate::prepare(&yard.engine, plugin, &manifest, bounds, 1);
        let began = world::nanos();
        one.inbox.swap(next.expect("it starts"));
        let pause = pauses.recv_timeout(Duration::from_secs(60)).expect("it is swapped");
        (pause, world::nanos() - began)
    };
    let all = (0..SWAPS).map(swap).collect();
    one.stop();
    all
}

/// What one of many takes, by what is resident: as it starts, and with all the history it can read. Each kind
/// is weighed in a process of its own, in which nothing was given back before.
pub(crate) fn memory(yard: &Yard) {
    let weigh = |path: &Path, name: &str, goal: &str| {
        let taken = yard.weigh(path);
        for (taken, with) in taken.into_iter().zip(["started", "30_symbols_1000_bars"]) {
            world::print(&format!("memory_{name}_{with}"), taken, "MiB", goal);
        }
    };
    weigh(&yard.sma_path(), "rust", "<= 3");
    for (path, name) in yard.others() {
        let goal = if name == "c" { "<= 3" } else { "<= 128" };
        weigh(&path, name, goal);
    }
}

/// In the child: prints what one of many takes, started and then with its history, MiB.
pub(crate) fn weigh(yard: &Yard, path: &Path) {
    let plugin = yard.load(path);
    // The first of a plugin brings its code in.
    let first = Live::start(yard, &plugin, HEAVY);
    first.told(1);
    let before = world::resident_bytes();
    let all: Vec<Live> = (0..HEAVY).map(|number| Live::start(yard, &plugin, number)).collect();
    let of_one = || world::resident_bytes().saturating_sub(before) as f64 / HEAVY as f64 / MEBIBYTE;
    all.iter().for_each(|one| one.told(1));
    let started = of_one();
    all.iter().for_each(|one| one.told(HISTORY));
    println!("{started} {}", of_one());
    all.into_iter().for_each(Live::stop);
    first.stop();
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
        Self::start_with(yard, plugin, number, None, |_| {})
    }

    /// `look` sees what it does, on its thread.
    pub(crate) fn start_with(
        yard: &Yard,
        plugin: &Plugin,
        number: usize,
        recorder: Option<Box<dyn Recorder>>,
        mut look: impl FnMut(&StrategyOutput) + Send + 'static,
    ) -> Self {
        let (inbox, pulse) = (Arc::new(Inbox::new(strategies::symbols(number))), Arc::new(Pulse::default()));
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
            strategies::bounds(),
            Start { seed: 1, recorder, ..Start::default() },
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
