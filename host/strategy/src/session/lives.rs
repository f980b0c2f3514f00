//! The end of a life, and how the next one learns what it has to know.

use sandpit_types::{MarketTime, SessionDay};

use super::{Life, Output, Session};
use crate::{
    Failure, Snapshot, StrategyEvent, StrategyOutput,
    bindings::types,
    book::{Book, Instrument, Row, Slot, bar_end},
    deadline::Deadline,
    engine::processor_time,
    event::MINUTE,
    guest::{Dead, Guest},
    host::{Estate, Host},
    strikes::Verdict,
    timers::Timers,
};

/// What guests failed on: not told to their successors again. Strikes are few, so these are.
#[derive(Clone, Debug, Default)]
pub(super) struct Poison {
    pub(super) bars: Vec<(Instrument, MarketTime)>,
    pub(super) timers: Vec<(MarketTime, u64)>,
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
                self.past.tear();
                self.life = Life::Quarantined(Some(estate));
                self.tell(StrategyOutput::Quarantined { strategy, reason }, output);
            }
        }
    }

    /// Ends a rest when its time has come.
    pub(super) fn wake(&mut self, event: &StrategyEvent, output: Output<'_>) {
        let Life::Resting { until, .. } = &self.life else { return };
        if event.time().is_none_or(|time| time < *until) {
            return;
        }
        let Life::Resting { estate, .. } = std::mem::replace(&mut self.life, Life::Quarantined(None)) else {
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
        guest.mute(true);
        let now = std::mem::replace(
            &mut guest.book().now,
            snapshot.as_ref().map_or(MarketTime::EPOCH, |snapshot| snapshot.time),
        );
        let outcome = match (&snapshot, self.past.since()) {
            (Some(_), Some(_)) => self.tell_events(guest),
            (snapshot, _) => self.tell_bars(guest, snapshot.as_ref()),
        };
        guest.book().advance(now);
        guest.mute(false);
        outcome.map_err(Untold::Since)
    }

    /// Gives a state back, and the timers that belong to it.
    fn load(&mut self, guest: &mut Guest, snapshot: &Snapshot) -> Result<(), Failure> {
        guest.allow(self.birth.bounds.event_deadline);
        guest.load(&snapshot.version, &snapshot.state)?;
        self.timers = Timers::restored(&snapshot.timers);
        Ok(())
    }

    /// Without a state: the bars that it wants for its warm-up, and between them the open of the session,
    /// while that is on. With one: the bars since then.
    fn tell_bars(&mut self, guest: &mut Guest, snapshot: Option<&Snapshot>) -> Result<(), Failure> {
        let since = snapshot.map_or(MarketTime::EPOCH, |snapshot| snapshot.time);
        let mut open = guest.book().session.filter(|day| day.open > since || snapshot.is_none());
        let firsts = self.firsts(guest.book(), snapshot);
        let opened = open.map(|day| day.open - MINUTE);
        // What came before anything that is told stays where it is: the pause of a swap is as long as this.
        let from = firsts.iter().flatten().copied().chain(opened).min();
        let rows = from.map_or_else(Vec::new, |from| guest.book().take_bars(from));
        let (mut outcome, mut whole) = (Ok(()), self.whole());
        for (of, row) in rows {
            let is_told = firsts[of as usize].is_some_and(|first| row.start >= first);
            let end = bar_end(row.start);
            if outcome.is_ok()
                && let Some(day) = open.take_if(|day| day.open < end)
            {
                outcome = self.reopen(guest, day);
            }
            guest.book().advance(end);
            // Also after a failure: the book outlives it.
            guest.book().add_bar(of, row);
            if outcome.is_ok() && is_told && !self.poison.bars.contains(&(of, row.start)) {
                outcome = self.tell_bar(guest, of, row, &mut whole);
            }
        }
        match open {
            Some(day) if outcome.is_ok() => self.reopen(guest, day),
            _ => outcome,
        }
    }

    /// Tells one bar again, within one event's deadline and what is left of the `whole` one.
    fn tell_bar(
        &mut self,
        guest: &mut Guest,
        of: Instrument,
        row: Row,
        whole: &mut Deadline,
    ) -> Result<(), Failure> {
        self.next_again(guest, whole, "on-bar, on all bars again,")?;
        let outcome = guest.on_bar(of, row).map(drop);
        if outcome.is_err() {
            self.poison.bars.push((of, row.start));
        }
        outcome
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

    /// Tells a new life of the session that is open.
    fn reopen(&self, guest: &mut Guest, day: SessionDay) -> Result<(), Failure> {
        guest.book().advance(day.open);
        guest.allow(self.birth.bounds.event_deadline);
        guest.on_event(&types::Event::SessionOpen((&day).into())).map(drop)
    }

    /// By instrument, the start of the first bar that a new life is told: of those since the snapshot, or of
    /// as many as it wants for its warm-up; `None` where it is told none.
    fn firsts(&self, book: &Book, snapshot: Option<&Snapshot>) -> Vec<Option<MarketTime>> {
        let description = self.plugin.description();
        let first = |slot: &Slot| {
            let bars = &slot.bars;
            let place = match snapshot {
                Some(of) => bars.partition_point(|row| bar_end(row.start) <= of.time),
                None => bars.len().saturating_sub(description.warmup_bars as usize),
            };
            bars.get(place).filter(|_| description.wants.bars).map(|row| row.start)
        };
        book.slots().iter().map(first).collect()
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
