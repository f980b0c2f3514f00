//! A new version takes the place of one that runs, rests or is quarantined.

use std::fmt;

use super::{Life, Output, Session, lives};
use crate::{
    Birth, Bounds, Engine, EntryRef, Failure, Manifest, Plugin, PluginError, StrategyOutput,
    book::Book,
    compile::file_name,
    engine::real_time,
    guest::Guest,
    host::{Estate, Host},
    session::{Start, handling::Rate, lives::Poison, past::Past},
    strikes::Strikes,
    timers::Timers,
};

/// A version that has been started and waits for the moment at which it takes over. Made on any thread, so
/// that the strategy that runs is not held up; handed over with [`Inbox::swap`](crate::Inbox::swap).
pub struct Candidate {
    plugin: Plugin,
    birth: Birth,
    guest: Box<Guest>,
}

/// Those of the same birth are as good as each other.
impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.birth == other.birth
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("birth", &self.birth).finish_non_exhaustive()
    }
}

impl Candidate {
    /// Starts it (`describe` and `init`, within the start's deadline). `seed` decides its random numbers.
    ///
    /// # Errors
    /// When it is granted no instruments, or fails or refuses to start.
    pub fn prepare(
        engine: &Engine,
        plugin: &Plugin,
        manifest: &Manifest,
        bounds: Bounds,
        seed: u64,
    ) -> Result<Self, PluginError> {
        Self::born(engine, plugin, Start::new(seed).birth(plugin, manifest, bounds)?)
    }

    pub(crate) fn born(engine: &Engine, plugin: &Plugin, birth: Birth) -> Result<Self, PluginError> {
        let mut estate = Box::new(Estate::new(Book::new(birth.instruments.clone())));
        estate.is_recorded = true;
        let host = Host::new(plugin.name().clone(), estate, &birth.bounds, birth.seed, 0);
        match lives::bring_to_life(engine, plugin, host, &birth) {
            Ok(guest) => Ok(Self { plugin: plugin.clone(), birth, guest }),
            Err(dead) => Err(PluginError::Start { file: file_name(plugin.path()), failure: dead.failure }),
        }
    }

    /// Checksum of its file, in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.birth.sha256
    }
}

/// What is put back when a swap fails.
struct Before {
    plugin: Plugin,
    birth: Birth,
    timers: Timers,
    past: Past,
    poison: Poison,
}

impl Session {
    /// Lets the candidate take over between two events. On any failure it is let go of, and everything is as
    /// it was.
    pub(crate) fn swap(&mut self, candidate: Candidate, output: Output<'_>) {
        let began = real_time();
        let Candidate { plugin, mut birth, mut guest } = candidate;
        birth.incarnation = self.incarnation.saturating_add(1);
        self.record(EntryRef::Swap(&birth));
        self.begin();
        self.note(guest.estate());
        let (strategy, sha256) = (self.strategy(), birth.sha256.clone());
        let told = match self.take_over(plugin, birth, guest, output) {
            Ok(()) => {
                let (incarnation, pause) = (self.incarnation, real_time().saturating_sub(began));
                StrategyOutput::Swapped { strategy, sha256, incarnation, pause }
            }
            Err(reason) => StrategyOutput::SwapFailed { strategy, sha256, reason },
        };
        self.tell(told, output);
    }

    fn take_over(
        &mut self,
        plugin: Plugin,
        birth: Birth,
        mut guest: Box<Guest>,
        output: Output<'_>,
    ) -> Result<(), Failure> {
        if birth.instruments != self.birth.instruments {
            return Err(Failure::Instruments);
        }
        if matches!(self.life, Life::Running(_)) {
            self.save_now(output)?;
        }
        let estate = self.life.estate().ok_or(Failure::Lost)?;
        std::mem::swap(estate, guest.estate());
        let before = Before {
            plugin: std::mem::replace(&mut self.plugin, plugin),
            birth: std::mem::replace(&mut self.birth, birth),
            timers: self.timers.clone(),
            past: self.past.clone(),
            poison: self.poison.clone(),
        };
        let outcome = self.teach(&mut guest);
        self.note(guest.estate());
        if let Err(untold) = outcome {
            let estate = self.life.estate().expect("it was there before the swap");
            std::mem::swap(estate, guest.estate());
            (self.plugin, self.birth, self.timers) = (before.plugin, before.birth, before.timers);
            // What only the candidate failed on is no poison to the old one.
            (self.past, self.poison) = (before.past, before.poison);
            return Err(untold.failure());
        }
        self.life = Life::Running(guest);
        self.incarnation = self.birth.incarnation;
        self.strikes = Strikes::new(&self.birth.bounds);
        (self.rate, self.poison) = (Rate::default(), Poison::default());
        Ok(())
    }
}
