//! The end of a life, and how the next one learns what it has to know.

use std::{collections::VecDeque, mem, time::Duration};

use sandpit_types::{MarketEvent, MarketTime};

use super::{Life, Output, Session, again::Wanted};
use crate::{
    Failure, Snapshot, StrategyEvent, StrategyOutput,
    book::{Instrument, Standing},
    deadline::Deadline,
    engine::processor_time,
    event::MINUTE,
    guest::{Dead, Guest},
    host::{Estate, Host},
    strikes::Verdict,
    timers::Timers,
};

/// How long one that rests at the stop may take to start, and to be told what came since its state was saved.
const LAST_LIFE: Duration = Duration::from_secs(1);

/// What guests failed on: not told to their successors again. Strikes are few, so these are.
#[derive(Clone, Debug, Default)]
pub(super) struct Poison {
    pub(super) bars: Vec<(Instrument, MarketTime)>,
    pub(super) timers: Vec<(MarketTime, u64)>,
    /// An open, or a word on the health of the data.
    pub(super) standing: Vec<MarketEvent>,
}

/// Why a new life does not know what the one before knew.
pub(super) enum Untold {
    /// It would not have the state.
    State(Failure),
    /// It failed on what came since.
    Since(Failure),
}

impl Untold {
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::State(failure) | Self::Since(failure) => failure,
        }
    }
}

impl Session {
    /// A guest failed: it rests, or that was the last time.
    pub(super) fn fail(&mut self, reason: Failure, mut estate: Box<Estate>, output: Output<'_>) {
        self.note(&mut estate);
        let verdict = self.strikes.record(estate.book.now);
        let strategy = self.strategy();
        self.timers = Timers::default();
        match verdict {
            Verdict::RestUntil(until) => {
                self.life = Life::Resting { estate, until };
                let strikes = self.strikes.count();
                self.tell(StrategyOutput::Struck { strategy, reason, strikes, until }, output);
            }
            Verdict::Quarantine => {
                self.life = Life::Quarantined(Some(estate));
                self.tell(StrategyOutput::Quarantined { strategy, reason }, output);
                self.leave_no_fired_timers(output);
            }
        }
    }

    /// Whoever starts from the state that it leaves, and is told nothing of what came since, is not to fire
    /// what has fired.
    pub(super) fn leave_no_fired_timers(&mut self, output: Output<'_>) {
        let Some(mut snapshot) = self.past.snapshot().cloned() else { return };
        let before = snapshot.timers.len();
        snapshot.timers.retain(|(at, _)| *at > self.fired_until);
        if snapshot.timers.len() < before {
            self.tell(StrategyOutput::Snapshot { strategy: self.strategy(), snapshot }, output);
        }
    }

    /// Ends a rest when its time has come.
    pub(super) fn wake(&mut self, event: &StrategyEvent, output: Output<'_>) {
        let Life::Resting { until, .. } = &self.life else { return };
        if event.time().is_none_or(|time| time < *until) {
            return;
        }
        let Life::Resting { estate, .. } = mem::replace(&mut self.life, Life::Quarantined(None)) else {
            unreachable!("it rests, as was just seen");
        };
        self.incarnation = self.incarnation.saturating_add(1);
        match self.restart(estate) {
            Ok(mut guest) => {
                self.note(guest.estate());
                let incarnation = self.incarnation;
                tracing::info!(strategy = self.plugin.name().as_str(), incarnation, "it runs again");
                self.life = Life::Running(guest);
            }
            Err(dead) => self.fail(dead.failure, dead.estate, output),
        }
    }

    /// Brings one that rests to life for a last time, so that what came since its state was saved is in the
    /// one that it leaves. It has [`LAST_LIFE`] for that; if it fails, the older one is left.
    pub(super) fn rest_no_more(&mut self, output: Output<'_>) {
        if self.past.snapshot().is_none() || !matches!(self.life, Life::Resting { .. }) {
            return;
        }
        let Life::Resting { estate, .. } = mem::replace(&mut self.life, Life::Quarantined(None)) else {
            unreachable!("it rests, as was just seen");
        };
        let bounds = &mut self.birth.bounds;
        bounds.start_deadline = bounds.start_deadline.min(LAST_LIFE);
        bounds.refeed_deadline = bounds.refeed_deadline.min(LAST_LIFE);
        self.incarnation = self.incarnation.saturating_add(1);
        let (mut estate, failure) = match self.give_birth(estate) {
            Ok(mut guest) => match self.teach(&mut guest) {
                Ok(()) => return self.life = Life::Running(guest),
                Err(untold) => (guest.into_estate(), untold.failure()),
            },
            Err(dead) => (dead.estate, dead.failure),
        };
        self.note(&mut estate);
        let strategy = self.plugin.name().as_str();
        tracing::warn!(strategy, %failure, "its last state is from before its strike");
        self.leave_no_fired_timers(output);
    }

    /// A new life of the same strategy. A state that it refuses is given up.
    pub(super) fn restart(&mut self, estate: Box<Estate>) -> Result<Box<Guest>, Box<Dead>> {
        let mut guest = self.give_birth(estate)?;
        let failure = match self.teach(&mut guest) {
            Ok(()) => return Ok(guest),
            Err(Untold::State(failure)) => failure,
            Err(Untold::Since(failure)) => return Err(dead(guest, failure)),
        };
        let strategy = self.plugin.name().as_str();
        tracing::warn!(strategy, %failure, "it will not have its saved state and starts without it");
        self.past.drop_state();
        let mut guest = self.give_birth(guest.into_estate())?;
        match self.teach(&mut guest) {
            Ok(()) => Ok(guest),
            Err(untold) => Err(dead(guest, untold.failure())),
        }
    }

    /// An instance that has been started, and knows nothing.
    fn give_birth(&mut self, estate: Box<Estate>) -> Result<Box<Guest>, Box<Dead>> {
        let birth = &self.birth;
        let host = Host::new(self.strategy(), estate, &birth.bounds, birth.seed, self.incarnation);
        bring_to_life(&self.engine, &self.plugin, host, birth)
    }

    /// Tells a new life what the one before knew. Intents are ignored, what was logged is not logged again,
    /// and reads show the present but for the time.
    pub(super) fn teach(&mut self, guest: &mut Guest) -> Result<(), Untold> {
        let snapshot = self.past.snapshot().cloned();
        if let Some(snapshot) = &snapshot {
            self.load(guest, snapshot).map_err(Untold::State)?;
        }
        let since = snapshot.as_ref().map_or(MarketTime::EPOCH, |snapshot| snapshot.time);
        let outcome = self.tell_of_then(guest, &mut { since }, |session, guest, now| {
            match &snapshot {
                Some(snapshot) if session.past.since().is_some() => {
                    session.restate(guest, session.past.standing())?;
                    session.tell_events(guest)?;
                    session.tell_what_killed(guest)
                }
                Some(snapshot) => {
                    let Standing { session: day, health } = guest.book().standing;
                    // A later one is told between the bars.
                    let day = day.filter(|day| day.open <= snapshot.time);
                    session.restate(guest, Standing { session: day, health })?;
                    session.tell_bars(guest, Some(snapshot), now)
                }
                None => session.tell_bars(guest, None, now),
            }
        });
        outcome.map_err(Untold::Since)
    }

    /// Tells a guest of another time, while it is `then` to it, and not what it is now; afterwards that is
    /// the time that it has come to.
    pub(super) fn tell_of_then<R>(
        &mut self,
        guest: &mut Guest,
        then: &mut MarketTime,
        tell: impl FnOnce(&mut Self, &mut Guest, MarketTime) -> R,
    ) -> R {
        let now = guest.book().now;
        guest.mute(true);
        std::mem::swap(&mut guest.book().now, then);
        let told = tell(self, guest, now);
        *then = guest.book().now;
        guest.book().advance(now);
        guest.mute(false);
        told
    }

    fn tell_bars(
        &mut self,
        guest: &mut Guest,
        snapshot: Option<&Snapshot>,
        now: MarketTime,
    ) -> Result<(), Failure> {
        let mut lesson = self.lesson(guest.book(), snapshot, now);
        lesson.timers = mem::take(&mut self.timers);
        while !self.tell_some(guest, &mut lesson)? {}
        self.timers = lesson.timers;
        Ok(())
    }

    /// Tells one that has been given its state, which does not know, what held when that was saved: it sees
    /// the bars from before that. Its timers stay as they are; others that this sets are added.
    fn restate(&mut self, guest: &mut Guest, standing: Standing) -> Result<(), Failure> {
        let (now, timers) = (guest.book().now, self.timers.list());
        guest.book().veil = Some((now - MINUTE, Instrument::MAX));
        let told = standing
            .events()
            .try_for_each(|event| self.tell_standing(guest, event, Wanted::Late(&VecDeque::new())));
        guest.book().veil = None;
        self.timers.drop_until(now);
        timers.into_iter().for_each(|(at, id)| self.timers.set(id, at));
        told
    }

    /// Tells another code what holds though that is in no past: the one before failed on it.
    fn tell_what_killed(&mut self, guest: &mut Guest) -> Result<(), Failure> {
        let mut told = self.past.standing();
        for kept in self.past.since().into_iter().flatten() {
            if let StrategyEvent::Market(event) = &kept.event {
                told.apply(event);
            }
        }
        let told: Vec<_> = told.events().collect();
        let untold = guest.book().standing.events().filter(|event| !told.contains(event));
        untold
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|event| self.tell_standing(guest, event, Wanted::Missed))
    }

    /// Tells what holds, unless that is poison.
    pub(super) fn tell_standing(
        &mut self,
        guest: &mut Guest,
        event: MarketEvent,
        wanted: Wanted<'_>,
    ) -> Result<(), Failure> {
        if self.poison.standing.contains(&event) {
            return Ok(());
        }
        guest.allow(self.birth.bounds.event_deadline);
        let intents = self.deliver(guest, &StrategyEvent::Market(event), None)?;
        self.ignore(guest, intents.unwrap_or_default(), wanted)
    }

    /// Gives a state back, and the timers that belong to it; where it is not known which of them were moved
    /// or cancelled since, not those that may have fired: better once too few than twice.
    fn load(&mut self, guest: &mut Guest, snapshot: &Snapshot) -> Result<(), Failure> {
        guest.allow(self.birth.bounds.event_deadline);
        guest.load(&snapshot.version, &snapshot.state)?;
        self.timers = Timers::restored(&snapshot.timers);
        if self.past.since().is_none() {
            self.timers.drop_until(self.fired_until);
        }
        Ok(())
    }

    /// The deadline of everything that is told again.
    pub(super) fn whole(&self) -> Deadline {
        Deadline::new(self.birth.bounds.refeed_deadline, self.engine.ticks())
    }

    /// Grants one more event of those that are told again its time, if all together have some left.
    pub(super) fn next_again(
        &self,
        guest: &mut Guest,
        whole: &mut Deadline,
        what: &'static str,
    ) -> Result<(), Failure> {
        let failure = Failure::Timeout { call: what.into(), deadline: whole.span() };
        let calls = &guest.estate().calls;
        let is_over = if calls.is_scripted() {
            calls.foreseen() == Some(&failure)
        } else {
            let now = self.engine.ticks();
            whole.ticks_left(now) == 0 && whole.look(now, processor_time()).is_none()
        };
        if is_over {
            return Err(guest.ran_out(failure));
        }
        guest.allow(self.birth.bounds.event_deadline);
        self.pulse.work();
        Ok(())
    }
}

/// Makes an instance and starts it: `describe`, then `init`, within the start's deadline.
pub(super) fn bring_to_life(
    engine: &crate::Engine,
    plugin: &crate::Plugin,
    host: Host,
    birth: &crate::Birth,
) -> Result<Box<Guest>, Box<Dead>> {
    let mut guest = Guest::new(engine, plugin.component(), host, birth.bounds.start_deadline)?;
    match guest.describe().and_then(|_| guest.init(&birth.parameters)) {
        Ok(()) => Ok(Box::new(guest)),
        Err(failure) => Err(dead(Box::new(guest), failure)),
    }
}

fn dead(guest: Box<Guest>, failure: Failure) -> Box<Dead> {
    Box::new(Dead { failure, estate: guest.into_estate() })
}
