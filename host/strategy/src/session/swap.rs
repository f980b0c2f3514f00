//! A new version takes the place of one that runs, rests or is quarantined.

use std::{fmt, mem, time::Duration};

use super::{
    Life, Output, Session, Start,
    handling::Rate,
    lesson::{Lesson, Pace},
    lives,
    lives::Poison,
};
use crate::{
    Birth, Bounds, Engine, EntryRef, Failure, Manifest, Plugin, PluginError, StrategyOutput,
    book::Book,
    bounds::TIMERS_MAX,
    compile::file_name,
    engine::real_time,
    guest::{Dead, Guest},
    host::{Calls, Estate, Host},
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
        Self::born(engine, plugin, Start::new(seed).birth(plugin, manifest, bounds)?, false)
    }

    /// Of this birth; in a replay nothing hurries it.
    pub(crate) fn born(
        engine: &Engine,
        plugin: &Plugin,
        birth: Birth,
        is_replay: bool,
    ) -> Result<Self, PluginError> {
        let mut calls = Calls::default();
        calls.begin(is_replay.then(Vec::new));
        match alive(engine, plugin, &birth, calls) {
            Ok(guest) => Ok(Self { plugin: plugin.clone(), birth, guest }),
            Err(dead) => Err(PluginError::Start { file: file_name(plugin.path()), failure: dead.failure }),
        }
    }

    /// It is let go of for another.
    pub(crate) fn say_superseded(&self) {
        let (strategy, sha256) = (self.plugin.name().as_str(), self.sha256());
        tracing::info!(strategy, sha256, "a version is let go of: another came before it took over");
    }

    /// Checksum of its file, in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.birth.sha256
    }
}

/// A guest that has been started, and knows nothing; its calls are counted on from these.
fn alive(engine: &Engine, plugin: &Plugin, birth: &Birth, calls: Calls) -> Result<Box<Guest>, Box<Dead>> {
    let mut estate = Box::new(Estate::new(Book::new(birth.instruments.clone())));
    (estate.is_recorded, estate.calls) = (true, calls);
    let host = Host::new(plugin.name().clone(), estate, &birth.bounds, birth.seed, 0);
    lives::bring_to_life(engine, plugin, host, birth)
}

/// The version that takes over once it has been told the past; until then everything goes to the one that
/// runs.
pub(super) struct Heir {
    candidate: Candidate,
    /// Whether it differs from the one that runs by what it is granted alone.
    pub(super) is_same_code: bool,
    pub(super) lesson: Lesson,
    /// The longest that its lessons held up events so far, real time.
    pause: Duration,
}

impl Session {
    /// Lets the candidate take over between two events: at once, or, where one without a state runs, after
    /// lessons (see [`Session::teach_heir`]). On any failure it is let go of, and everything is as it was.
    pub(crate) fn swap(&mut self, mut candidate: Candidate, output: Output<'_>) {
        let began = real_time();
        candidate.birth.incarnation = self.incarnation.saturating_add(1);
        if let Some(heir) = self.heir.take() {
            heir.candidate.say_superseded();
        }
        self.record(EntryRef::Swap(&candidate.birth));
        self.at_it = Some(candidate.birth.sha256.clone());
        self.begin();
        self.note(candidate.guest.estate());
        let sha256 = candidate.birth.sha256.clone();
        let outcome = match self.needs_lessons(&candidate, output) {
            Ok(true) => match self.first_lesson(&mut candidate) {
                Ok(lesson) => {
                    let pause = real_time().saturating_sub(began);
                    let is_same_code = candidate.birth.sha256 == self.birth.sha256;
                    self.heir = Some(Box::new(Heir { candidate, is_same_code, lesson, pause }));
                    self.at_it = None;
                    return;
                }
                Err(failure) => Err(failure),
            },
            Ok(false) => self.take_over(candidate),
            Err(failure) => Err(failure),
        };
        self.tell_swap(sha256, outcome, real_time().saturating_sub(began), output);
    }

    /// Whether somebody learns to take over: [`Session::teach_heir`] wants to be called then.
    pub(crate) fn has_heir(&self) -> bool {
        self.heir.is_some()
    }

    /// One more lesson for the version that is to take over; after the last one it does.
    pub(crate) fn teach_heir(&mut self, output: Output<'_>) {
        self.teach_at(Pace::lesson(), output);
    }

    /// In a replay: the same, as long as it was then.
    pub(crate) fn teach_heir_again(&mut self, told: u32, output: Output<'_>) {
        self.teach_at(Pace::again(told), output);
    }

    fn teach_at(&mut self, mut pace: Pace, output: Output<'_>) {
        let Some(mut heir) = self.heir.take() else { return };
        let began = real_time();
        self.at_it = Some(heir.candidate.birth.sha256.clone());
        self.begin();
        // What one fails on is poison to those of the same code only.
        let poison = mem::take(&mut self.poison);
        if heir.is_same_code {
            self.poison = poison.clone();
        }
        let outcome = self.teach_some(&mut heir, &mut pace);
        self.poison = poison;
        let sha256 = heir.candidate.birth.sha256.clone();
        let outcome = match outcome {
            Ok(true) => self.inherit(heir.candidate, heir.lesson.timers, output),
            Ok(false) => {
                heir.pause = heir.pause.max(real_time().saturating_sub(began));
                self.heir = Some(heir);
                self.at_it = None;
                return;
            }
            Err(failure) => Err(failure),
        };
        self.tell_swap(sha256, outcome, heir.pause.max(real_time().saturating_sub(began)), output);
    }

    /// There is nothing left that somebody could take over.
    pub(super) fn bequeath_nothing(&mut self, output: Output<'_>) {
        let heir = self.heir.take().map(|heir| heir.candidate.birth.sha256);
        if let Some(sha256) = self.at_it.take().or(heir) {
            self.tell_swap(sha256, Err(Failure::Lost), Duration::ZERO, output);
        }
    }

    fn tell_swap(
        &mut self,
        sha256: String,
        outcome: Result<(), Failure>,
        pause: Duration,
        output: Output<'_>,
    ) {
        self.at_it = None;
        let (strategy, incarnation) = (self.strategy(), self.incarnation);
        let told = match outcome {
            Ok(()) => StrategyOutput::Swapped { strategy, sha256, incarnation, pause },
            Err(reason) => StrategyOutput::SwapFailed { strategy, sha256, reason },
        };
        self.tell(told, output);
    }

    /// Whether one runs that must not wait until the candidate has been told all bars. Has it save its state
    /// for that: if it fails, it rests.
    fn needs_lessons(&mut self, candidate: &Candidate, output: Output<'_>) -> Result<bool, Failure> {
        if candidate.birth.instruments != self.birth.instruments {
            return Err(Failure::Instruments);
        }
        let runs = matches!(self.life, Life::Running(_)) && self.save_now(output).is_ok();
        Ok(runs && self.past.snapshot().is_none())
    }

    fn first_lesson(&mut self, candidate: &mut Candidate) -> Result<Lesson, Failure> {
        self.trade_places(candidate)?;
        let book = candidate.guest.book();
        let lesson = self.lesson(book, None, book.now);
        self.trade_places(candidate)?;
        Ok(lesson)
    }

    /// Whether it knows everything now.
    fn teach_some(&mut self, heir: &mut Heir, pace: &mut Pace) -> Result<bool, Failure> {
        let Heir { candidate, lesson, .. } = heir;
        self.trade_places(candidate)?;
        let mut then = lesson.now;
        let told = self.tell_of_then(&mut candidate.guest, &mut then, |session, guest, _| {
            session.tell_at(guest, lesson, pace)
        });
        lesson.now = then;
        self.record(EntryRef::Lesson { told: pace.told() });
        self.note(candidate.guest.estate());
        self.trade_places(candidate)?;
        told
    }

    /// It has been told everything and takes over.
    fn inherit(
        &mut self,
        mut candidate: Candidate,
        mut timers: Timers,
        output: Output<'_>,
    ) -> Result<(), Failure> {
        if matches!(self.life, Life::Running(_)) && self.save_now(output).is_err() {
            tracing::debug!(strategy = self.plugin.name().as_str(), "its heir needs no state of it");
        }
        if self.past.snapshot().is_some() {
            // There is a state by now: it goes to one that knows nothing but that.
            let Candidate { plugin, birth, guest } = candidate;
            // No more than two are alive at a time.
            drop(guest);
            let guest = self.alive_again(&plugin, &birth)?;
            return self.take_over(Candidate { plugin, birth, guest });
        }
        self.trade_places(&mut candidate)?;
        // Those that the other one set about what is told to nobody again.
        timers.join(&self.timers, TIMERS_MAX);
        self.timers = timers;
        self.crown(candidate.guest);
        Ok(())
    }

    /// One more guest of this birth. Its calls are among those of this input: a replay cuts them off where
    /// they were.
    fn alive_again(&mut self, plugin: &Plugin, birth: &Birth) -> Result<Box<Guest>, Failure> {
        let calls = self.life.estate().map(|estate| mem::take(&mut estate.calls));
        let mut started = alive(&self.engine, plugin, birth, calls.unwrap_or_default());
        let estate = match &mut started {
            Ok(guest) => guest.estate(),
            Err(dead) => &mut dead.estate,
        };
        self.note(estate);
        if let Some(old) = self.life.estate() {
            mem::swap(&mut old.calls, &mut estate.calls);
        }
        started.map_err(|dead| dead.failure)
    }

    /// Has it told everything, and it takes over.
    fn take_over(&mut self, mut candidate: Candidate) -> Result<(), Failure> {
        self.trade_places(&mut candidate)?;
        let before = (self.timers.clone(), self.past.clone(), self.poison.clone());
        // After trading places, the candidate's birth is that of the old one.
        if candidate.birth.sha256 != self.birth.sha256 {
            self.poison = Poison::default();
        }
        let outcome = self.teach(&mut candidate.guest);
        self.note(candidate.guest.estate());
        if let Err(untold) = outcome {
            self.trade_places(&mut candidate)?;
            // What only the candidate failed on is no poison to the old one.
            (self.timers, self.past, self.poison) = before;
            return Err(untold.failure());
        }
        self.crown(candidate.guest);
        Ok(())
    }

    /// From now on the candidate has what passes from one life to the next and goes by its own version; or,
    /// the second time, it is as before.
    fn trade_places(&mut self, candidate: &mut Candidate) -> Result<(), Failure> {
        let estate = self.life.estate().ok_or(Failure::Lost)?;
        mem::swap(estate, candidate.guest.estate());
        mem::swap(&mut self.plugin, &mut candidate.plugin);
        mem::swap(&mut self.birth, &mut candidate.birth);
        Ok(())
    }

    /// The life of one that has traded places begins.
    fn crown(&mut self, guest: Box<Guest>) {
        self.life = Life::Running(guest);
        // The old one may have had another life meanwhile.
        self.incarnation = self.incarnation.saturating_add(1);
        self.birth.incarnation = self.incarnation;
        self.strikes = Strikes::new(&self.birth.bounds);
        (self.rate, self.poison) = (Rate::default(), Poison::default());
    }
}
