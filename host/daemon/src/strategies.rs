//! The strategies of this host: what one is, how it is loaded, started and let go of.
//!
//! They come, change and go while the host runs, see [`crate::plugins`]. Whoever needs to know who runs now
//! looks at the roster; whose a symbol is, `owners` says.

mod held;
mod letters;
mod loading;
mod mail;
mod swaps;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use sandpit_execution::DeskInput;
use sandpit_strategy::{
    Candidate, Engine, Failure, Inbox, Manifest, OnRemoval, Plugin, PluginError, Runner, Snapshot, Start,
    StrategyEvent, StrategyOutput,
};
use sandpit_types::{MarketTime, Pulse, StrategyName, Symbol, Times};
use tokio::sync::mpsc;

use self::swaps::Swaps;
pub(crate) use self::{
    loading::{Loaded, Loader, StrategiesError, bounds, is_unbound},
    mail::{Arrival, Arrivals, Beginning, Mail},
};
use crate::{
    config::Config,
    loops::Loops,
    plugins::{Kept, Quarantines, Snapshots, Version},
    recording::Recording,
};

/// What the monitor shows of one strategy. It outlives a version of it.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Market events put into its inbox.
    pub(crate) events: AtomicU64,
    /// Intents it gave.
    pub(crate) intents: AtomicU64,
    /// Of all strategies.
    totals: Arc<Totals>,
    /// Times its store was discarded.
    pub(crate) strikes: AtomicU64,
    /// 0 running, 1 quarantined, 2 stopped.
    state: AtomicU64,
    /// Until when it rests after a strike, nanoseconds of market time.
    rests_until: AtomicI64,
    /// Why it is quarantined, if it is.
    reason: Mutex<Option<String>>,
    /// How it failed last.
    last_error: Mutex<Option<String>>,
    /// The first of its lives that has not begun: ids of orders are unique within one.
    next_life: AtomicU32,
    /// How far its loop has come, through all its versions: whoever watches it takes one that counts from
    /// nothing again for one that stands still.
    pulse: Arc<Pulse>,
}

/// What all strategies did together, also those that have left: what is shown of it never falls.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Intents.
    pub(crate) intents: AtomicU64,
    /// From the coming of an event to its intents at the desk's door.
    answers: Mutex<Times>,
}

impl Totals {
    /// From the coming of an event to its intents at the desk's door.
    pub(crate) fn answers(&self) -> Times {
        *lock(&self.answers)
    }
}

/// How long a strategy's thread waits until the disk knows of its quarantine, real time: less than makes a
/// loop one that hangs.
const NOTED_WITHIN: Duration = Duration::from_millis(500);

const RUNNING: u64 = 0;
const QUARANTINED: u64 = 1;
const STOPPED: u64 = 2;

impl Counters {
    /// Nothing is counted yet, but in what is everybody's.
    pub(crate) fn new(totals: Arc<Totals>) -> Self {
        Self::from_life(totals, 0)
    }

    /// The same for a strategy whose lives before this one may have begun, for all that is known.
    pub(crate) fn from_life(totals: Arc<Totals>, next_life: u32) -> Self {
        let (next_life, rests_until) = (AtomicU32::new(next_life), AtomicI64::new(i64::MIN));
        Self { totals, next_life, rests_until, ..Self::default() }
    }

    /// The first of its lives that has not begun.
    pub(crate) fn next_life(&self) -> u32 {
        self.next_life.load(Ordering::Relaxed)
    }

    /// Why it is quarantined, if it is.
    pub(crate) fn reason(&self) -> Option<String> {
        lock(&self.reason).clone()
    }

    /// How it failed last in this life of the host, whether it goes on or not.
    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    fn failed(&self, reason: &Failure) {
        *lock(&self.last_error) = Some(reason.to_string());
    }

    fn runs(&self) {
        self.rests_until.store(i64::MIN, Ordering::Relaxed);
        self.state.store(RUNNING, Ordering::Relaxed);
        *lock(&self.reason) = None;
    }

    fn rests(&self, until: MarketTime) {
        self.strikes.fetch_add(1, Ordering::Relaxed);
        self.rests_until.store(until.as_nanos(), Ordering::Relaxed);
    }

    fn gave(&self, intents: u64, answered_in: Duration) {
        self.intents.fetch_add(intents, Ordering::Relaxed);
        self.totals.intents.fetch_add(intents, Ordering::Relaxed);
        lock(&self.totals.answers).add(answered_in);
    }

    fn is_quarantined_for(&self, reason: &Failure) {
        self.state.store(QUARANTINED, Ordering::Relaxed);
        *lock(&self.reason) = Some(reason.to_string());
        self.failed(reason);
    }

    /// Whether it rests after a strike, or may not have come to the end of that yet `margin` later.
    pub(crate) fn is_resting(&self, now: MarketTime, margin: Duration) -> bool {
        let until = MarketTime::from_nanos(self.rests_until.load(Ordering::Relaxed));
        self.state.load(Ordering::Relaxed) == RUNNING && now < until + margin
    }

    /// The state at `now` in a word. A rest ends with the first event at or after its end.
    pub(crate) fn state(&self, now: MarketTime) -> &'static str {
        match self.state.load(Ordering::Relaxed) {
            RUNNING if now.as_nanos() < self.rests_until.load(Ordering::Relaxed) => "resting",
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
    /// For the monitor.
    pub(crate) counters: Arc<Counters>,
    plugin: Plugin,
    manifest: Manifest,
    /// How its swaps ended.
    swaps: Arc<Swaps>,
}

/// Where the thread of a strategy puts what it says.
#[derive(Clone)]
pub(crate) struct Outlets {
    /// Intents and cancels.
    pub(crate) desk: mpsc::Sender<DeskInput>,
    /// The register in which its loop stands.
    pub(crate) loops: Arc<Loops>,
    /// What it saved.
    pub(crate) snapshots: Snapshots,
    /// That it is quarantined.
    pub(crate) quarantines: Quarantines,
    /// What happens to it.
    pub(crate) recording: Arc<Recording>,
}

impl Strategy {
    /// What was loaded, with an empty queue.
    pub(crate) fn new(loaded: Loaded, counters: Arc<Counters>) -> Self {
        let inbox = Arc::new(Inbox::new(loaded.instruments.iter().cloned()));
        let swaps = Arc::new(Swaps::of(loaded.clone()));
        let Loaded { plugin, manifest, instruments } = loaded;
        Self { name: plugin.name().clone(), instruments, inbox, counters, plugin, manifest, swaps }
    }

    /// The same strategy by another version, with the same symbols, queue and thread.
    pub(crate) fn successor(&self, loaded: Loaded) -> Self {
        let Loaded { plugin, manifest, instruments } = loaded;
        let (inbox, counters, swaps) = (self.inbox.clone(), self.counters.clone(), self.swaps.clone());
        Self { name: self.name.clone(), instruments, inbox, counters, plugin, manifest, swaps }
    }

    /// Starts its thread, from what it saved before. What it has to know at its start is fed afterwards, see
    /// [`Beginning`].
    ///
    /// # Errors
    /// When it does not accept its parameters or fails while starting.
    pub(crate) fn start(
        &self,
        engine: &Engine,
        config: &Config,
        seed: u64,
        snapshot: Option<Snapshot>,
        outlets: Outlets,
    ) -> Result<Runner, PluginError> {
        let incarnation = self.counters.next_life();
        let recorder = outlets.recording.recorder(&self.plugin);
        let start = Start { seed, incarnation, snapshot, recorder };
        let (inbox, pulse, loops) = (self.inbox.clone(), self.counters.pulse.clone(), outlets.loops.clone());
        let (counters, own, swaps) = (self.counters.clone(), inbox.clone(), self.swaps.clone());
        let output = move |output| forward(output, &counters, &own, &swaps, &outlets);
        let (plugin, manifest, beats) = (&self.plugin, &self.manifest, pulse.clone());
        let runner = Runner::spawn(engine, plugin, manifest, bounds(config), start, inbox, output, pulse)?;
        self.counters.next_life.fetch_max(incarnation.saturating_add(1), Ordering::Relaxed);
        self.counters.runs();
        let inbox = self.inbox.clone();
        let probe = Box::new(move |nonce| inbox.push(StrategyEvent::Probe(nonce)));
        loops.add(self.loop_name(), beats, probe);
        Ok(runner)
    }

    /// Hands the thread a version that is to take over, and waits, at most so long, how that ends. `None`: it
    /// did not come to it yet, see [`Strategy::swap_ended`]. Real time.
    pub(crate) fn swap(
        &self,
        loaded: &Loaded,
        candidate: Candidate,
        within: Duration,
    ) -> Option<Result<(), Failure>> {
        self.swaps.hand_over(loaded.clone());
        self.inbox.swap(candidate);
        self.swaps.wait(loaded.plugin.sha256(), within)
    }

    /// How it ended that this version was to take over, once it has. Said once.
    pub(crate) fn swap_ended(&self, loaded: &Loaded) -> Option<Result<(), Failure>> {
        self.swaps.wait(loaded.plugin.sha256(), Duration::ZERO)
    }

    /// What its thread runs, where that is not this: one that nobody waited for any more has taken over.
    pub(crate) fn runs_other(&self) -> Option<Loaded> {
        let running = self.swaps.running();
        (!self.is_of(&running)).then_some(running)
    }

    /// Whether this version would run without what binds this one, see [`is_unbound`].
    pub(crate) fn would_lose_bounds(&self, loaded: &Loaded) -> bool {
        is_unbound(&self.manifest, &loaded.manifest)
    }

    /// Whether this is what runs already.
    pub(crate) fn is(&self, loaded: &Loaded) -> bool {
        self.is_of(loaded) && self.runs_other().is_none()
    }

    fn is_of(&self, loaded: &Loaded) -> bool {
        self.plugin.sha256() == loaded.plugin.sha256() && self.manifest == loaded.manifest
    }

    /// Which version it is.
    pub(crate) fn version(&self) -> Version {
        Version::of(&self.plugin, &self.manifest)
    }

    /// What it was started from.
    pub(crate) fn as_loaded(&self) -> Loaded {
        let (plugin, manifest, instruments) =
            (self.plugin.clone(), self.manifest.clone(), self.instruments.clone());
        Loaded { plugin, manifest, instruments }
    }

    /// Whether its orders stay when its plugin is removed.
    pub(crate) fn keeps_orders(&self) -> bool {
        self.manifest.on_removal == OnRemoval::Keep
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

    /// The name of its loop in the register.
    pub(crate) fn loop_name(&self) -> String {
        loop_name(&self.name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From a strategy's thread to the desk and everybody else. It waits when the desk's queue is full: the
/// strategy is the one to slow down.
fn forward(output: StrategyOutput, counters: &Counters, inbox: &Inbox, swaps: &Swaps, outlets: &Outlets) {
    let Outlets { desk, loops, snapshots, quarantines, recording: _ } = outlets;
    match output {
        StrategyOutput::Intents { strategy, incarnation, intents, event_time: _ } => {
            let count = intents.len() as u64;
            counters.gave(count, inbox.busy_for());
            counters.next_life.fetch_max(incarnation.saturating_add(1), Ordering::Relaxed);
            // The desk is gone only when the host ends; then nobody wants the intents.
            let _ = desk.blocking_send(DeskInput::Intents { strategy, incarnation, intents });
        }
        StrategyOutput::Struck { strategy, reason, strikes, until } => {
            counters.rests(until);
            counters.failed(&reason);
            let event = "strategy-rests";
            tracing::error!(%strategy, %reason, strikes, %until, event, "the strategy failed and rests");
        }
        StrategyOutput::Quarantined { strategy, reason } => {
            counters.strikes.fetch_add(1, Ordering::Relaxed);
            // On the disk before anybody acts on it, if the disk is not slow: the host may end any moment.
            quarantines.note(&strategy, swaps.running().version(), &reason.to_string());
            quarantines.flush(NOTED_WITHIN);
            counters.is_quarantined_for(&reason);
            tracing::error!(
                %strategy,
                %reason,
                event = "strategy-quarantined",
                "the strategy is quarantined; its orders are cancelled"
            );
            let reason = reason.to_string();
            let _ = desk.blocking_send(DeskInput::Quarantined { strategy, reason });
        }
        StrategyOutput::Snapshot { strategy, snapshot } => {
            let sha256 = swaps.running().plugin.sha256().to_owned();
            snapshots.keep(&strategy, Kept { sha256, snapshot });
        }
        StrategyOutput::Swapped { strategy, sha256, incarnation, pause } => {
            counters.next_life.fetch_max(incarnation.saturating_add(1), Ordering::Relaxed);
            counters.runs();
            tracing::info!(%strategy, sha256, incarnation, ?pause, "another version took over");
            quarantines.lift(&strategy);
            swaps.end(&sha256, Ok(()));
        }
        StrategyOutput::SwapFailed { sha256, reason, .. } => swaps.end(&sha256, Err(reason)),
        StrategyOutput::Stopped { strategy } => {
            counters.state.store(STOPPED, Ordering::Relaxed);
            loops.remove(&loop_name(&strategy));
        }
    }
}

fn loop_name(name: &StrategyName) -> String {
    format!("strategy:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_that_comes_back_counts_on() {
        let counters = Arc::new(Counters::new(Arc::default()));
        let loops = Loops::default();
        let run = |events: u64| {
            loops.add("strategy:sma", counters.pulse.clone(), Box::new(drop));
            (0..events).for_each(|_| counters.pulse.work());
            let beats = loops.beats();
            loops.remove("strategy:sma");
            beats[0].progress
        };
        assert_eq!([run(5_000), run(1), run(1)], [5_000, 5_001, 5_002]);
    }

    #[test]
    fn a_quarantine_has_its_reason_until_it_ends() {
        let counters = Counters::new(Arc::default());
        let shown = || (counters.state(MarketTime::EPOCH), counters.reason());
        assert_eq!(shown(), ("running", None));
        counters.is_quarantined_for(&Failure::Lost);
        assert_eq!(shown(), ("quarantined", Some(Failure::Lost.to_string())));
        counters.runs();
        assert_eq!(shown(), ("running", None));
        assert_eq!(counters.last_error(), Some(Failure::Lost.to_string()), "what it failed of is kept");
    }

    #[test]
    fn a_rest_is_shown_until_it_ends() {
        let counters = Counters::new(Arc::default());
        let at = MarketTime::from_secs;
        let shown = |now| counters.state(at(now));
        assert_eq!(shown(-9), "running", "it never rested");
        counters.rests(at(60));
        assert_eq!((shown(59), shown(60)), ("resting", "running"));
        counters.rests(at(90));
        counters.runs();
        assert_eq!(shown(80), "running", "another version took over");
        counters.rests(at(90));
        counters.is_quarantined_for(&Failure::Lost);
        assert_eq!(shown(80), "quarantined");
        assert_eq!(counters.strikes.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn what_is_counted_of_all_does_not_fall_when_one_leaves() {
        let totals = Arc::new(Totals::default());
        for strategy in 1..=3 {
            let counters = Counters::new(Arc::clone(&totals));
            counters.gave(2, Duration::from_millis(1));
            drop(counters);
            let answers = totals.answers();
            assert_eq!((answers.count, answers.total), (strategy, Duration::from_millis(strategy)));
            assert_eq!(totals.intents.load(Ordering::Relaxed), 2 * strategy);
        }
    }
}
