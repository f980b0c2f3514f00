//! Starting a strategy while the host trades.

use std::{sync::Arc, time::Duration};

use sandpit_broker::History;
use sandpit_execution::DeskInput;
use sandpit_ingest::IngestStats;
use sandpit_review::Sessions;
use sandpit_strategy::PLUGINS_MAX;
use sandpit_types::{Bar, MarketClock, MarketEvent, MarketTime, StrategyName, Symbol};
use tokio::{sync::oneshot, time::timeout};

use super::Keeping;
use crate::{
    plugins::Version,
    run::SETTLE,
    strategies::{Arrival, Loaded, StrategiesError, Strategy},
};

/// How long the bars of the past may take, and then the desk's word on what a strategy holds; real time.
const WARMUP_WITHIN: Duration = Duration::from_secs(30);
const INTRODUCED_WITHIN: Duration = Duration::from_secs(30);

/// Bars of the past, and from which minute on the market's own follow.
struct Past {
    bars: Vec<Bar>,
    since: MarketTime,
}

impl Keeping {
    /// Starts a strategy that does not run.
    pub(super) fn begin(&mut self, loaded: Loaded) -> Result<(), StrategiesError> {
        if self.parts.roster.members().len() >= PLUGINS_MAX {
            return Err(StrategiesError::TOO_MANY);
        }
        self.is_allowed(&loaded)?;
        let name = loaded.plugin.name().clone();
        self.own(&name, &loaded)?;
        let outcome = self.desk_answers(&name).and_then(|()| {
            let past = self.past(&loaded);
            self.start(loaded, past)
        });
        outcome.inspect_err(|_| self.parts.owners.release(&name))
    }

    /// Lets a strategy go and starts its next version, which trades other symbols. When that does not start,
    /// the old one does again.
    pub(super) fn restart(&mut self, old: &Arc<Strategy>, loaded: Loaded) -> Result<(), StrategiesError> {
        // Whatever can be known to fail fails before the old one is touched.
        self.parts.seed = self.parts.seed.wrapping_add(1);
        let candidate = self.parts.loader.candidate(&loaded, self.parts.seed)?;
        drop(candidate);
        self.desk_answers(&old.name)?;
        let past = self.past(&loaded);
        self.own(&old.name, &loaded)?;
        let left: Vec<Symbol> =
            old.instruments.iter().filter(|it| !loaded.instruments.contains(it)).cloned().collect();
        // Before it leaves: what becomes of its orders from then on is for the next one.
        self.parts.arrivals.hold_mail(&old.name);
        self.let_go(old, "another version takes its place");
        self.parts.arrivals.hold_rest(&old.name, old.inbox.rest());
        self.tell_all(&[], past.since);
        let outcome = self.start(loaded, past);
        match outcome {
            Ok(()) => {
                self.say_what_stays(&old.name, |symbol| left.contains(symbol));
                if !left.is_empty() && !old.keeps_orders() {
                    let (strategy, symbols) = (old.name.clone(), left);
                    self.tell_desk(DeskInput::CancelSymbols { strategy, symbols });
                }
            }
            Err(_) => self.start_again(old),
        }
        self.parts.arrivals.drop_mail(&old.name);
        outcome
    }

    /// The next version did not start: the one before goes on, from what it saved.
    fn start_again(&mut self, old: &Arc<Strategy>) {
        let loaded = old.runs_other().unwrap_or_else(|| old.as_loaded());
        // Only this thread gives symbols away, so they are still free.
        let owned = self.own(&old.name, &loaded);
        let past = self.past(&loaded);
        if let Err(error) = owned.and_then(|()| self.start(loaded, past)) {
            self.parts.owners.release(&old.name);
            let strategy = old.name.as_str();
            tracing::error!(strategy, "neither the new version nor the old one starts: {error}");
            self.tell_desk(DeskInput::CancelStrategy(old.name.clone()));
        }
    }

    /// Nothing but another version lifts a quarantine.
    fn is_allowed(&self, loaded: &Loaded) -> Result<Version, StrategiesError> {
        let (name, version) = (loaded.plugin.name(), loaded.version());
        if let Some(reason) = self.parts.outlets.quarantines.sentence(name, &version) {
            self.tell_desk(DeskInput::Quarantined { strategy: name.clone(), reason });
        }
        match self.parts.outlets.quarantines.reason(name, &version) {
            Some(reason) => Err(StrategiesError::Quarantined { reason }),
            None => Ok(version),
        }
    }

    pub(super) fn own(&self, name: &StrategyName, loaded: &Loaded) -> Result<(), StrategiesError> {
        let taken = self.parts.owners.take(name, &loaded.instruments, loaded.grant());
        taken.map_err(|(first, symbol)| StrategiesError::Shared { first, second: name.clone(), symbol })
    }

    fn start(&mut self, loaded: Loaded, past: Past) -> Result<(), StrategiesError> {
        if let Some(venue) = &self.parts.dry_run {
            venue.list(&loaded.instruments);
        }
        let version = self.is_allowed(&loaded)?;
        let counters = self.counters(loaded.plugin.name());
        let strategy = Arc::new(Strategy::new(loaded, counters));
        self.parts.seed = self.parts.seed.wrapping_add(1);
        let (engine, config) = (&self.parts.loader.engine, &self.parts.config);
        let outlets = self.parts.outlets.clone();
        let saved = outlets.snapshots.begin_from(&strategy.name);
        let snapshot = saved.as_ref().map(|kept| kept.snapshot.clone());
        let runner = strategy.start(engine, config, self.parts.seed, snapshot, outlets)?;
        let Past { bars, since } = past;
        if self.parts.crew.add(&strategy.name, runner, strategy.inbox.clone()).is_err() {
            self.let_go(&strategy, "the host ends");
            return Ok(());
        }
        if !self.join(&strategy, bars) {
            self.let_go(&strategy, "the desk does not say what the strategy holds");
            // It has heard of nothing, so what it saved at its end is of no time.
            saved.into_iter().for_each(|kept| self.parts.outlets.snapshots.keep(&strategy.name, kept));
            return Err(StrategiesError::DeskSilent);
        }
        // Only now: who does not join leaves its place to the version before, which may be quarantined.
        self.parts.outlets.quarantines.runs(&strategy.name, &version);
        self.tell_all(&strategy.instruments, since);
        tracing::info!(strategy = strategy.name.as_str(), "the strategy runs");
        Ok(())
    }

    /// Whether the desk introduces anybody at present: it does not while its records are away.
    fn desk_answers(&self, name: &StrategyName) -> Result<(), StrategiesError> {
        let mut answer = self.parts.arrivals.ask(name);
        self.tell_desk(DeskInput::Introduce(name.clone()));
        if self.is_told(name, &mut answer) { Ok(()) } else { Err(StrategiesError::DeskSilent) }
    }

    /// Waits for an introduction. One that comes too late finds nobody.
    fn is_told(&self, name: &StrategyName, told: &mut oneshot::Receiver<()>) -> bool {
        let waited = self.parts.runtime.block_on(async { timeout(INTRODUCED_WITHIN, &mut *told).await });
        match waited {
            Ok(outcome) => outcome.is_ok(),
            Err(_) if self.parts.arrivals.forget(name) => false,
            // It came at the last moment, and who delivers it waits for nothing.
            Err(_) => self.parts.runtime.block_on(told).is_ok(),
        }
    }

    /// Brings a strategy onto the roster, with what it has to know; whether it is there.
    fn join(&self, strategy: &Arc<Strategy>, warmup: Vec<Bar>) -> bool {
        let (joined, mut is_there) = oneshot::channel();
        let (clock, sessions, data) =
            (self.parts.clock.clone(), self.parts.sessions.clone(), self.parts.data.clone());
        let market = Box::new(move || still_holds(&*clock, &sessions, &data));
        self.parts.arrivals.expect(Arrival { strategy: strategy.clone(), warmup, market, joined });
        self.tell_desk(DeskInput::Introduce(strategy.name.clone()));
        self.is_told(&strategy.name, &mut is_there)
    }

    /// The bars that a strategy wants from before its start. Without them it starts cold, which is said.
    fn past(&self, loaded: &Loaded) -> Past {
        let since = (self.parts.clock.now() - SETTLE).minute();
        let wanted = loaded.plugin.description().warmup_bars;
        let from = self.parts.sessions.minutes_back(since, wanted);
        if wanted == 0 || from >= since {
            return Past { bars: Vec::new(), since };
        }
        let history = &self.parts.history;
        let asked = async { timeout(WARMUP_WITHIN, history.bars(&loaded.instruments, from, since)).await };
        let strategy = loaded.plugin.name().as_str();
        let bars = match self.parts.runtime.block_on(asked) {
            Ok(Ok(bars)) => bars,
            Ok(Err(error)) => {
                tracing::warn!(strategy, %error, "no bars of the past: the strategy starts without warm-up");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(strategy, "no bars of the past in time: the strategy starts without warm-up");
                Vec::new()
            }
        };
        Past { bars, since }
    }
}

/// What the market said before, and what still holds.
fn still_holds(clock: &dyn MarketClock, sessions: &Sessions, data: &IngestStats) -> Vec<MarketEvent> {
    let now = clock.now();
    let health = MarketEvent::Health(data.health(), now);
    sessions.current(now).map(MarketEvent::SessionOpen).into_iter().chain([health]).collect()
}
