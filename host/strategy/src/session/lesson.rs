//! The bars that a new life is told. After a failure it is told them all at once. A version that is to take
//! over from one that runs is told them a few at a time, between two events, and in the end what came
//! meanwhile: so the one that runs is never held up for long.

use std::{collections::VecDeque, mem};

use sandpit_types::{MarketEvent, MarketTime, SessionDay};

use super::{Session, again::Wanted, past::Had, past::is_told};
use crate::{
    Failure, Snapshot, StrategyEvent,
    book::{Book, Instrument, Place, Row, Slot, bar_end},
    bounds::KEPT_EVENTS_MAX,
    deadline::Deadline,
    event::MINUTE,
    guest::Guest,
    timers::Timers,
};

/// Bars, or events since, that are told in one go. More than one, so that whoever is told catches up with the
/// market.
pub(super) const LESSON: usize = 32;

/// What a new life is still to be told.
pub(super) struct Lesson {
    /// By instrument, the start of the first bar that is told; `None` where none is.
    firsts: Vec<Option<MarketTime>>,
    /// Where the next one stands, at least.
    next: Place,
    /// When this began: bars complete by then are told from the book, newer ones as the events they are.
    began: MarketTime,
    /// The session, until its open has been told.
    open: Option<SessionDay>,
    /// How data arrive, while that is not live, until it has been told.
    health: Option<MarketEvent>,
    /// What it has set so far and was not due yet when others last fired.
    pub(super) timers: Timers,
    /// Told after the bars. One event comes in while [`LESSON`] of what waits are told, so it stays short;
    /// at [`KEPT_EVENTS_MAX`] nobody is taught any more.
    since: VecDeque<StrategyEvent>,
    is_too_far_behind: bool,
    /// Market time of what was told last.
    pub(super) now: MarketTime,
    whole: Deadline,
}

impl Lesson {
    /// The next bars, by minute and then by instrument.
    fn rows(&self, book: &Book) -> Vec<(Instrument, Row)> {
        let slots = book.slots();
        // By instrument: where its next bar stands, past the end if there is none.
        let place = |((number, slot), first): ((Instrument, &Slot), &Option<MarketTime>)| {
            let before =
                |row: &Row| first.is_none_or(|first| row.start < first) || (row.start, number) < self.next;
            slot.bars.partition_point(before)
        };
        let mut places: Vec<usize> = (0..).zip(slots).zip(&self.firsts).map(place).collect();
        let next = || {
            let start = |(at, place): (usize, &usize)| Some((slots[at].bars.get(*place)?.start, at));
            let (_, at) = places.iter().enumerate().filter_map(start).min()?;
            let row = slots[at].bars[places[at]];
            places[at] += 1;
            let of = Instrument::try_from(at).expect("instruments are few");
            (bar_end(row.start) <= self.began).then_some((of, row))
        };
        std::iter::from_fn(next).take(LESSON).collect()
    }

    /// Something came in the meantime.
    fn add(&mut self, event: &StrategyEvent, book: &Book) {
        if !is_told(event, Had::Handled) {
            return;
        }
        let bar = match event {
            StrategyEvent::Market(MarketEvent::Bar(bar) | MarketEvent::MarkedBar(bar, _))
            | StrategyEvent::Warmup(bar) => Some(bar),
            _ => None,
        };
        let is_ahead = bar.zip(book.of(event)).is_some_and(|(bar, of)| {
            let first = self.firsts[of as usize];
            let is_told = first.is_some_and(|first| bar.start >= first);
            is_told && (bar.start, of) >= self.next && bar_end(bar.start) <= self.began
        });
        // What is ahead will be found in the book.
        if is_ahead {
            return;
        }
        if self.since.len() < KEPT_EVENTS_MAX {
            self.since.push_back(event.clone());
        } else {
            self.is_too_far_behind = true;
        }
    }
}

impl Session {
    /// Without a state: the bars that it wants for its warm-up, and between them the open of the session,
    /// while that is on. With one: the bars since then.
    pub(super) fn lesson(&self, book: &Book, snapshot: Option<&Snapshot>, now: MarketTime) -> Lesson {
        let since = snapshot.map_or(MarketTime::EPOCH, |snapshot| snapshot.time);
        let health = book.standing.health.map(|(health, since)| MarketEvent::Health(health, since));
        Lesson {
            firsts: self.firsts(book, snapshot),
            next: (MarketTime::from_nanos(i64::MIN), 0),
            began: now,
            open: book.standing.session.filter(|day| day.open > since || snapshot.is_none()),
            health: health.filter(|_| snapshot.is_none()),
            timers: Timers::default(),
            since: VecDeque::new(),
            is_too_far_behind: false,
            now: since,
            whole: self.whole(),
        }
    }

    /// Tells some of it; whether that was all.
    pub(super) fn tell_some(&mut self, guest: &mut Guest, lesson: &mut Lesson) -> Result<bool, Failure> {
        if lesson.is_too_far_behind {
            return Err(Failure::Overflow { limit: KEPT_EVENTS_MAX });
        }
        mem::swap(&mut self.timers, &mut lesson.timers);
        let outcome = self.tell_lesson(guest, lesson);
        mem::swap(&mut self.timers, &mut lesson.timers);
        guest.book().veil = None;
        outcome
    }

    fn tell_lesson(&mut self, guest: &mut Guest, lesson: &mut Lesson) -> Result<bool, Failure> {
        let rows = lesson.rows(guest.book());
        let told = rows.len();
        for (of, row) in rows {
            let end = bar_end(row.start);
            if let Some(day) = lesson.open.take_if(|day| day.open < end) {
                self.reopen(guest, day, &lesson.since)?;
            }
            guest.book().veil = Some(lesson.next);
            self.fire_late(guest, end, lesson)?;
            lesson.next = (row.start, of + 1);
            guest.book().veil = Some(lesson.next);
            guest.book().advance(end);
            if !self.poison.bars.contains(&(of, row.start)) {
                self.tell_bar(guest, of, row, &mut lesson.whole)?;
            }
        }
        if told == LESSON {
            return Ok(false);
        }
        if let Some(day) = lesson.open.take() {
            self.reopen(guest, day, &lesson.since)?;
        }
        guest.book().veil = None;
        if let Some(health) = lesson.health.take() {
            self.tell_standing(guest, health, Wanted::Late(&lesson.since))?;
        }
        for _ in told..LESSON {
            let Some(event) = lesson.since.pop_front() else { break };
            self.tell_since(guest, &event, lesson)?;
        }
        Ok(lesson.since.is_empty())
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

    /// Tells what came while bars were told.
    fn tell_since(
        &mut self,
        guest: &mut Guest,
        event: &StrategyEvent,
        lesson: &mut Lesson,
    ) -> Result<(), Failure> {
        if let Some(time) = event.fires() {
            self.fire_late(guest, time, lesson)?;
        }
        self.next_again(guest, &mut lesson.whole, "an event, on all events again,")?;
        if let Some(time) = event.time() {
            guest.book().advance(time);
        }
        let of = guest.book().of(event);
        let intents = self.deliver(guest, event, of)?;
        self.ignore(guest, intents.unwrap_or_default(), Wanted::Late(&lesson.since))
    }

    /// Fires what it has set by that time, if the life before had come that far: later ones fire live.
    fn fire_late(&mut self, guest: &mut Guest, time: MarketTime, lesson: &mut Lesson) -> Result<(), Failure> {
        let time = time.min(self.fired_until);
        if !self.timers.is_due(time) {
            return Ok(());
        }
        self.next_again(guest, &mut lesson.whole, "a timer, on all events again,")?;
        self.fire_again(guest, time, Wanted::Late(&lesson.since))
    }

    /// Tells a new life of the session that is open: it sees the bars from before that.
    fn reopen(
        &mut self,
        guest: &mut Guest,
        day: SessionDay,
        since: &VecDeque<StrategyEvent>,
    ) -> Result<(), Failure> {
        guest.book().veil = Some((day.open - MINUTE, Instrument::MAX));
        guest.book().advance(day.open);
        self.tell_standing(guest, MarketEvent::SessionOpen(day), Wanted::Late(since))
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

    /// Keeps an event for a new life.
    pub(super) fn keep(&mut self, event: &StrategyEvent, had: Had, book: &Book) {
        self.past.keep(event, had, self.plugin.description().wants);
        if let Some(heir) = &mut self.heir {
            heir.lesson.add(event, book);
        }
    }
}
