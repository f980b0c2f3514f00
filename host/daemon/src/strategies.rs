//! The strategies of this host: what one is, how it is loaded, started and let go of.
//!
//! They come, change and go while the host runs, see [`crate::plugins`]. Whoever needs to know who runs now
//! looks at the roster; whose a symbol is, `owners` says.

mod loading;
mod mail;
mod owners;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use sandpit_execution::DeskInput;
use sandpit_strategy::{
    Bounds, Engine, Inbox, Manifest, Plugin, PluginError, Runner, Start, StrategyEvent, StrategyOutput,
};
use sandpit_types::{Pulse, StrategyName, Symbol, Times};
use tokio::sync::mpsc;

pub(crate) use self::{
    loading::{Loaded, Loader, StrategiesError},
    mail::{Arrival, Arrivals, Beginning, Mail},
    owners::Owners,
};
use crate::{config::Config, loops::Loops, recording::Recording};

/// What the monitor shows of one strategy. It outlives a version of it.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Market events put into its inbox.
    pub(crate) events: AtomicU64,
    /// Intents it gave.
    pub(crate) intents: AtomicU64,
    /// The same of all strategies, also of those that have left.
    all_intents: Arc<AtomicU64>,
    /// Times its store was discarded.
    pub(crate) strikes: AtomicU64,
    /// From the coming of an event to its intents at the desk's door.
    pub(crate) answers: Mutex<Times>,
    /// 0 running, 1 quarantined, 2 stopped.
    state: AtomicU64,
    /// The first of its lives that has not begun: ids of orders are unique within one.
    next_life: AtomicU32,
}

const RUNNING: u64 = 0;
const QUARANTINED: u64 = 1;
const STOPPED: u64 = 2;

impl Counters {
    /// Nothing is counted yet; `all_intents` counts those of everybody.
    pub(crate) fn new(all_intents: Arc<AtomicU64>) -> Self {
        Self { all_intents, ..Self::default() }
    }

    /// The state in a word.
    pub(crate) fn state(&self) -> &'static str {
        match self.state.load(Ordering::Relaxed) {
            RUNNING => "running",
            QUARANTINED => "quarantined",
            _ => "stopped",
        }
    }
}

/// One loaded strategy.
pub(crate) struct Strategy {
    /// Its name: that of its file.
    pub(crate) name: StrategyName,
    /// What it may trade.
    pub(crate) instruments: Vec<Symbol>,
    /// Where its events go.
    pub(crate) inbox: Arc<Inbox>,
    /// Its loop's pulse.
    pub(crate) pulse: Arc<Pulse>,
    /// For the monitor.
    pub(crate) counters: Arc<Counters>,
    plugin: Plugin,
    manifest: Manifest,
}

impl Strategy {
    /// What was loaded, with an empty queue.
    pub(crate) fn new(loaded: Loaded, counters: Arc<Counters>) -> Self {
        let Loaded { plugin, manifest, instruments } = loaded;
        let inbox = Arc::new(Inbox::new(instruments.iter().cloned()));
        Self {
            name: plugin.name().clone(),
            instruments,
            inbox,
            pulse: Arc::default(),
            counters,
            plugin,
            manifest,
        }
    }

    /// Starts its thread: its intents go to the desk. What it has to know at its start is fed afterwards, see
    /// [`Beginning`].
    ///
    /// # Errors
    /// When it does not accept its parameters or fails while starting.
    pub(crate) fn start(
        &self,
        engine: &Engine,
        config: &Config,
        seed: u64,
        desk: mpsc::Sender<DeskInput>,
        loops: &Arc<Loops>,
        recording: &Recording,
    ) -> Result<Runner, PluginError> {
        let bounds = Bounds {
            event_deadline: config.event_deadline,
            memory_bytes: config.strategy_memory_bytes,
            ..Bounds::default()
        };
        let (inbox, pulse) = (self.inbox.clone(), self.pulse.clone());
        let start = Start { seed, recorder: recording.recorder(&self.plugin), ..Start::default() };
        let first_life = self.counters.next_life.load(Ordering::Relaxed);
        let (counters, own, all) = (self.counters.clone(), inbox.clone(), loops.clone());
        let output = move |output| forward(output, first_life, &counters, &own, &desk, &all);
        let runner =
            Runner::spawn(engine, &self.plugin, &self.manifest, bounds, start, inbox, output, pulse)?;
        self.counters.state.store(RUNNING, Ordering::Relaxed);
        let inbox = self.inbox.clone();
        let probe = Box::new(move |nonce| inbox.push(StrategyEvent::Probe(nonce)));
        loops.add(self.loop_name(), self.pulse.clone(), probe);
        Ok(runner)
    }

    /// Whether this is what runs already.
    pub(crate) fn is(&self, loaded: &Loaded) -> bool {
        self.plugin.sha256() == loaded.plugin.sha256() && self.manifest == loaded.manifest
    }

    /// What it was started from.
    pub(crate) fn as_loaded(&self) -> Loaded {
        let (plugin, manifest, instruments) =
            (self.plugin.clone(), self.manifest.clone(), self.instruments.clone());
        Loaded { plugin, manifest, instruments }
    }

    /// Whether its orders stay when its plugin is removed.
    pub(crate) fn keeps_orders(&self) -> bool {
        false
    }

    /// How many bars of the past it wants.
    pub(crate) fn warmup_bars(&self) -> u32 {
        self.plugin.description().warmup_bars
    }

    /// Whether it wants every trade on the tape.
    pub(crate) fn wants_trades(&self) -> bool {
        self.plugin.description().wants.trades
    }

    /// Whether it wants news.
    pub(crate) fn wants_news(&self) -> bool {
        self.plugin.description().wants.news
    }

    fn loop_name(&self) -> String {
        loop_name(&self.name)
    }
}

fn loop_name(name: &StrategyName) -> String {
    format!("strategy:{name}")
}

/// From a strategy's thread to the desk. It waits when the desk's queue is full: the strategy is the one to
/// slow down.
fn forward(
    output: StrategyOutput,
    first_life: u32,
    counters: &Counters,
    inbox: &Inbox,
    desk: &mpsc::Sender<DeskInput>,
    loops: &Loops,
) {
    match output {
        StrategyOutput::Intents { strategy, incarnation, intents, event_time: _ } => {
            let count = intents.len() as u64;
            counters.intents.fetch_add(count, Ordering::Relaxed);
            counters.all_intents.fetch_add(count, Ordering::Relaxed);
            // It counts its lives from its own start; the desk, within the life of the host.
            let incarnation = first_life.saturating_add(incarnation);
            counters.next_life.fetch_max(incarnation.saturating_add(1), Ordering::Relaxed);
            counters.answers.lock().unwrap_or_else(PoisonError::into_inner).add(inbox.busy_for());
            // The desk is gone only when the host ends; then nobody wants the intents.
            let _ = desk.blocking_send(DeskInput::Intents { strategy, incarnation, intents });
        }
        StrategyOutput::Struck { strategy, reason, strikes } => {
            counters.strikes.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%strategy, %reason, strikes, "the strategy failed and is started afresh");
        }
        StrategyOutput::Quarantined { strategy, reason } => {
            counters.strikes.fetch_add(1, Ordering::Relaxed);
            counters.state.store(QUARANTINED, Ordering::Relaxed);
            tracing::error!(%strategy, %reason, "the strategy is quarantined; its orders are cancelled");
            let _ = desk.blocking_send(DeskInput::CancelStrategy(strategy));
        }
        StrategyOutput::Snapshot { .. }
        | StrategyOutput::Swapped { .. }
        | StrategyOutput::SwapFailed { .. } => {}
        StrategyOutput::Stopped { strategy } => {
            counters.state.store(STOPPED, Ordering::Relaxed);
            loops.remove(&loop_name(&strategy));
        }
    }
}
