//! The thread that keeps the strategies as the folder says.

mod leaving;
mod starting;

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use sandpit_alpaca::Alpaca;
use sandpit_execution::{DeskInput, DeskStats};
use sandpit_fanout::Roster;
use sandpit_ingest::{IngestStats, Resubscription};
use sandpit_local::LocalBroker;
use sandpit_review::{Owners, Sessions};
use sandpit_strategy::{Failure, StrategyEvent};
use sandpit_types::{MarketClock, MarketTime, StrategyName, Symbol};
use tokio::{runtime::Handle, sync::mpsc as channel};

use super::{Again, Change, Crew, Folder, Hope, Looks, Refusals, late::Late, wanted};
use crate::{
    ambient,
    config::Config,
    run::{Ending, Endings, Loading, claims},
    strategies::{Arrivals, Counters, Loaded, Loader, Outlets, StrategiesError, Strategy, Totals},
};

/// How often the folder is looked at, real time. What is new is taken by the second look that sees it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look waits for a plugin that is being loaded, real time: most are compiled already, or soon.
const LOADED_WITHIN: Duration = Duration::from_secs(1);
/// How long a strategy may take to come to its next version, real time: an event and a `save` have deadlines.
const SWAPPED_WITHIN: Duration = Duration::from_secs(30);
/// How long after the end of its rest a strategy runs again at the latest, real time: it is told the time
/// several times a second.
const WAKES_WITHIN: Duration = Duration::from_secs(2);
/// Names whose counters are kept after their strategy has left. When more have come and gone, they begin
/// anew, but for the number of their lives.
const NAMES_MAX: usize = 1_024;

/// What the keeper needs of the others.
pub(crate) struct KeeperParts {
    pub(crate) config: Arc<Config>,
    pub(crate) loader: Loader,
    /// Plugins that are being loaded, those of the start that took too long among them.
    pub(crate) workshop: Loading,
    /// The folder as it was taken at the start.
    pub(crate) folder: Folder,
    /// Plugins of the start that are looked at again.
    pub(crate) again: Again,
    pub(crate) roster: Arc<Roster<Strategy>>,
    pub(crate) owners: Arc<Owners>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) crew: Arc<Crew>,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) outlets: Outlets,
    /// Of all strategies that ever were.
    pub(crate) totals: Arc<Totals>,
    pub(crate) books: Arc<DeskStats>,
    /// To the market data and to the news.
    pub(crate) ingest: channel::Sender<Resubscription>,
    pub(crate) news: channel::Sender<Vec<Symbol>>,
    pub(crate) data: Arc<IngestStats>,
    pub(crate) history: Arc<Alpaca>,
    pub(crate) runtime: Handle,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Arc<dyn MarketClock>,
    pub(crate) dry_run: Option<LocalBroker>,
    pub(crate) endings: Endings,
    /// Told of each look.
    pub(crate) looks: Arc<Looks>,
    pub(crate) seed: u64,
}

/// Keeps the strategies as the folder says, until it is dropped.
pub(crate) struct Keeper {
    /// Its end is the end of the thread, once that has done what it is at.
    _stop: mpsc::Sender<()>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be none.
    pub(crate) fn start(parts: KeeperParts) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let endings = parts.endings.clone();
        let counters =
            parts.roster.members().iter().map(|it| (it.name.clone(), it.counters.clone())).collect();
        let late = Late::default();
        let mut keeping = Keeping { parts, counters, unknown_lives: 0, late, is_blind: false };
        keeping.parts.looks.looked(ambient::boot_now());
        thread::Builder::new().name("plugins".into()).spawn(move || {
            let work = std::panic::AssertUnwindSafe(|| keeping.keep(&stopped));
            if std::panic::catch_unwind(work).is_err() {
                endings.give(Ending::Broken { what: "the keeper of the plugins panicked".into() });
            }
        })?;
        Ok(Self { _stop: stop })
    }
}

struct Keeping {
    parts: KeeperParts,
    /// Of every name that ever ran: a strategy that comes back counts on.
    counters: BTreeMap<StrategyName, Arc<Counters>>,
    /// No strategy whose counters are forgotten has begun this life or a later one.
    unknown_lives: u32,
    /// Versions that were handed over and have not been heard of since.
    late: Late<Handover>,
    /// Whether the folder could not be read at the last look.
    is_blind: bool,
}

/// A version that is to take the place of another.
struct Handover {
    old: Arc<Strategy>,
    loaded: Loaded,
}

impl Keeping {
    fn keep(&mut self, stopped: &mpsc::Receiver<()>) {
        // One of the start may have failed after others were refused because of it.
        self.retry();
        while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            self.finish_late();
            self.quarantine_condemned();
            self.look();
            self.take_loaded();
            self.parts.looks.looked(ambient::boot_now());
        }
    }

    /// Takes what is loaded by now or soon. The rest waits for the next look: it shows who is gone meanwhile.
    fn take_loaded(&mut self) {
        let until = ambient::boot_now() + LOADED_WITHIN;
        while let left = until.since(ambient::boot_now())
            && !left.is_zero()
            && let Some((name, loaded)) = self.parts.workshop.next(left)
        {
            self.take(&name, loaded);
        }
    }

    /// Finishes the changes that nobody waited for any more.
    fn finish_late(&mut self) {
        for (Handover { old, loaded }, how) in self.late.ended(|late| late.old.swap_ended(&late.loaded)) {
            let done = self.ended(&old, loaded, how);
            let name = old.name.as_str();
            match done {
                Ok(()) => {
                    // What was said since of a newer file still holds.
                    self.parts.refusals.withdraw(name, &StrategiesError::Busy.to_string());
                    self.retry();
                }
                Err(error) => {
                    let goes_on = self.running(name).is_some();
                    self.parts.refusals.say(name, &error.to_string(), goes_on);
                    if error.hope() != Hope::None {
                        self.parts.again.put(name, error.hope());
                    }
                }
            }
        }
    }

    /// What comes of how it ended that this version was to take over.
    fn ended(
        &mut self,
        old: &Arc<Strategy>,
        loaded: Loaded,
        how: Result<(), Failure>,
    ) -> Result<(), StrategiesError> {
        match how {
            Ok(()) => self.finish(old, loaded),
            // The one that runs is quarantined and has nothing that could be taken over.
            Err(Failure::Lost) => self.restart(old, loaded),
            Err(failure) => {
                // One that nobody waited for any more may have taken over just before.
                if let Some(running) = old.runs_other() {
                    self.finish(old, running)?;
                }
                Err(StrategiesError::NotTakenOver(failure))
            }
        }
    }

    /// One look at the folder. One that cannot be read changes nothing: its strategies are not gone.
    fn look(&mut self) {
        match self.parts.folder.list(&self.parts.config.plugins_dir) {
            Ok(listing) => {
                self.is_blind = false;
                for name in self.parts.again.look() {
                    self.parts.folder.again(&name);
                }
                for change in self.parts.folder.look(listing) {
                    match change {
                        Change::Gone(name) => self.gone(&name),
                        Change::Take(name) => self.parts.workshop.add(&name),
                    }
                }
            }
            Err(error) if !self.is_blind => {
                self.is_blind = true;
                let folder = self.parts.config.plugins_dir.display();
                tracing::error!("the plugins folder {folder} cannot be read: {error}; the strategies go on");
            }
            Err(_) => {}
        }
    }

    /// There is another plugin of this name, or a new one, and that came of loading it.
    fn take(&mut self, name: &str, loaded: Result<Loaded, StrategiesError>) {
        let running = self.running(name);
        let outcome = match (loaded, running.clone()) {
            (Err(error), _) => Err(error),
            (Ok(loaded), Some(old)) if old.is(&loaded) && self.late.get(&old.name).is_none() => Ok(()),
            (Ok(loaded), Some(old)) => self.change(&old, loaded),
            (Ok(loaded), None) => self.begin(loaded),
        };
        match outcome {
            Ok(()) => {
                self.parts.again.put(name, Hope::None);
                self.parts.refusals.forget(name);
                // It may have left a symbol that another one waits for.
                self.retry();
            }
            Err(error) => {
                let goes_on = self.running(name).is_some();
                self.parts.refusals.say(name, &error.to_string(), goes_on);
                if running.is_some() && !goes_on {
                    // What it owned is free.
                    self.retry();
                }
                self.parts.again.put(name, error.hope());
            }
        }
    }

    /// There is no plugin of this name any more.
    fn gone(&mut self, name: &str) {
        self.parts.workshop.forget(name);
        self.parts.refusals.forget(name);
        self.parts.again.put(name, Hope::None);
        let running = self.running(name);
        if let Some(strategy) = &running {
            self.let_go(strategy, "its plugin was removed");
        }
        // Not before, for it could be quarantined until its end.
        if let Ok(name) = StrategyName::parse(name) {
            self.parts.outlets.quarantines.lift(&name);
        }
        let Some(strategy) = running else { return };
        if strategy.keeps_orders() {
            tracing::warn!(strategy = name, "the plugin was removed; its open orders are kept");
            self.tell_desk(DeskInput::WithdrawPlanned(strategy.name.clone()));
        } else {
            tracing::warn!(strategy = name, "the plugin was removed; its open orders are cancelled");
            self.tell_desk(DeskInput::CancelStrategy(strategy.name.clone()));
        }
        self.say_what_stays(&strategy.name, |_| true);
        self.parts.owners.release(&strategy.name);
        self.tell_all(&[], self.parts.clock.now());
        self.retry();
    }

    /// Another version of a strategy that runs: with the same symbols it takes over between two events.
    fn change(&mut self, old: &Arc<Strategy>, loaded: Loaded) -> Result<(), StrategiesError> {
        if old.would_lose_bounds(&loaded) {
            return Err(StrategiesError::Unbound);
        }
        if old.instruments != loaded.instruments {
            // What it did since it last saved its state is told to its own next life only.
            let margin = WAKES_WITHIN.mul_f64(self.parts.config.clock_speed);
            if old.counters.is_resting(self.parts.clock.now(), margin) {
                return Err(StrategiesError::Resting);
            }
            return self.restart(old, loaded);
        }
        self.parts.seed = self.parts.seed.wrapping_add(1);
        if self.late.get(&old.name).is_some_and(|late| late.loaded.plugin.sha256() == loaded.plugin.sha256())
        {
            // Whose end it is could not be told.
            return Err(StrategiesError::AfterAnother);
        }
        let candidate = self.parts.loader.candidate(&loaded, self.parts.seed)?;
        self.parts.outlets.recording.keep(&loaded.plugin);
        self.late.forget(&old.name);
        match old.swap(&loaded, candidate, SWAPPED_WITHIN) {
            Some(how) => self.ended(old, loaded, how),
            None => {
                self.late.add(&old.name, Handover { old: old.clone(), loaded });
                Err(StrategiesError::Busy)
            }
        }
    }

    /// Another version took over: everybody else learns what it is.
    fn finish(&mut self, old: &Strategy, loaded: Loaded) -> Result<(), StrategiesError> {
        self.own(&old.name, &loaded)?;
        let wanted = |strategy: &Strategy| (strategy.wants_trades(), strategy.wants_news());
        let new = Arc::new(old.successor(loaded));
        let is_wish = wanted(old) != wanted(&new);
        self.parts.roster.change(|members| {
            members.iter_mut().filter(|it| it.name == old.name).for_each(|it| *it = Arc::clone(&new));
        });
        if is_wish {
            self.tell_all(&[], self.parts.clock.now());
        }
        Ok(())
    }

    fn running(&self, name: &str) -> Option<Arc<Strategy>> {
        self.parts.roster.members().iter().find(|strategy| strategy.name.as_str() == name).cloned()
    }

    /// Who was refused because of others is looked at again: somebody has left.
    fn retry(&mut self) {
        for name in self.parts.again.others_left() {
            self.parts.folder.again(&name);
        }
    }

    /// Stops a strategy and waits for its thread: whatever it wanted is at the desk then.
    fn let_go(&mut self, strategy: &Arc<Strategy>, why: &str) {
        self.parts.roster.change(|members| members.retain(|member| member.name != strategy.name));
        self.late.forget(&strategy.name);
        strategy.inbox.push(StrategyEvent::Stop(why.to_owned()));
        let ended = self.parts.crew.take(&strategy.name).is_none_or(sandpit_strategy::Runner::join);
        if !ended {
            tracing::error!(strategy = strategy.name.as_str(), "the strategy did not end in good order");
        }
        // One that broke has not said farewell, and would be taken for one that hangs.
        self.parts.outlets.loops.remove(&strategy.loop_name());
    }

    /// Everybody else learns who trades what now; `fresh` symbols are somebody else's from the minute of
    /// `since` on.
    fn tell_all(&mut self, fresh: &[Symbol], since: MarketTime) {
        let members = self.parts.roster.members();
        let held = self.parts.books.read().sub_books;
        let subscription = wanted::subscription(&members, wanted::held(&held));
        let change = Resubscription { subscription, fresh: fresh.to_vec(), since };
        // Whoever does not listen any more has ended with the host.
        let _ = self.parts.ingest.blocking_send(change);
        let _ = self.parts.news.blocking_send(wanted::news(&self.parts.config, &members));
        self.tell_desk(DeskInput::Claims(claims(&self.parts.config.claims, &members)));
    }

    fn tell_desk(&self, input: DeskInput) {
        // The desk is gone only when the host ends.
        let _ = self.parts.outlets.desk.blocking_send(input);
    }

    /// The counters of a name: those that it had before, if it ever was there.
    fn counters(&mut self, name: &StrategyName) -> Arc<Counters> {
        let members = self.parts.roster.members();
        let runs = |other: &StrategyName| members.iter().any(|member| member.name == *other);
        forget_past(&mut self.counters, &mut self.unknown_lives, |other| other == name || runs(other));
        let (totals, next_life) = (&self.parts.totals, self.unknown_lives);
        let new = || Arc::new(Counters::from_life(totals.clone(), next_life));
        self.counters.entry(name.clone()).or_insert_with(new).clone()
    }
}

/// Forgets the counters of those that are not `needed` once there are too many. A name that comes back begins
/// a life that none of them had: the ids of its orders are known otherwise.
fn forget_past(
    counters: &mut BTreeMap<StrategyName, Arc<Counters>>,
    unknown_lives: &mut u32,
    needed: impl Fn(&StrategyName) -> bool,
) {
    if counters.len() >= NAMES_MAX {
        for (_, gone) in counters.extract_if(.., |name, _| !needed(name)) {
            *unknown_lives = (*unknown_lives).max(gone.next_life());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_name_does_not_begin_a_life_that_it_had() {
        let all = Arc::default();
        let name = |number: usize| StrategyName::parse(&format!("s{number}")).expect("a name");
        let counters = |lives| Arc::new(Counters::from_life(Arc::clone(&all), lives));
        let mut known: BTreeMap<_, _> =
            (0..NAMES_MAX - 1).map(|it| (name(it), counters(it as u32))).collect();
        let mut unknown_lives = 3;
        forget_past(&mut known, &mut unknown_lives, |_| false);
        assert_eq!((known.len(), unknown_lives), (NAMES_MAX - 1, 3), "there is room");
        known.insert(name(NAMES_MAX - 1), counters(7_000));
        forget_past(&mut known, &mut unknown_lives, |it| *it == name(5) || *it == name(NAMES_MAX - 1));
        let left: Vec<_> = known.values().map(|it| it.next_life()).collect();
        assert_eq!((left, unknown_lives), (vec![7_000, 5], NAMES_MAX as u32 - 2));
    }
}
