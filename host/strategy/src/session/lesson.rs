//! The bars that a new life is told. After a failure it is told them all at once. A version that is to take
//! over from one that runs is told them a few at a time, between two events, and in the end what came
//! meanwhile: so the one that runs is never held up for long.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    mem,
    time::Duration,
};

use sandpit_types::{MarketEvent, MarketTime, SessionDay};

use super::{
    Session,
    again::Wanted,
    past::{Had, bytes, is_told},
};
use crate::{
    Failure, Snapshot, StrategyEvent,
    book::{Book, Instrument, Place, Row, Slot, bar_end},
    bounds::{KEPT_BYTES_MAX, KEPT_EVENTS_MAX},
    deadline::Deadline,
    engine::real_time,
    event::MINUTE,
    guest::Guest,
    timers::Timers,
};

/// The most that is told in one lesson. More than one, so that whoever is told catches up with the market.
const LESSON: u32 = 32;
/// How long a lesson goes on, real time: what is told then is the last of it. An interpreter may take that
/// long for a single bar.
const LESSON_WITHIN: Duration = Duration::from_millis(1);
/// Looked up in one go where nothing has to wait: few enough that a copy of the rows is small.
const PORTION: u32 = 1_024;

/// How much is told in one go.
pub(super) struct Pace {
    limit: u32,
    /// Real time. It decides what happens, so what comes of it is recorded: see [`Pace::told`].
    until: Option<Duration>,
    told: u32,
}

impl Pace {
    /// A lesson between two events.
    pub(super) fn lesson() -> Self {
        Self { limit: LESSON, until: Some(real_time().saturating_add(LESSON_WITHIN)), told: 0 }
    }

    /// In a replay: as much as was told then.
    pub(super) fn again(told: u32) -> Self {
        Self { limit: told, until: None, told: 0 }
    }

    /// How much has been told.
    pub(super) fn told(&self) -> u32 {
        self.told
    }

    /// Whether one more is told: the first one is at any rate.
    fn goes_on(&mut self) -> bool {
        let is_over =
            self.told >= self.limit || self.told > 0 && self.until.is_some_and(|until| real_time() >= until);
        self.told += u32::from(!is_over);
        !is_over
    }
}

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
    /// Told after the bars. At [`KEPT_EVENTS_MAX`] and [`KEPT_BYTES_MAX`] nobody is taught any more.
    since: VecDeque<StrategyEvent>,
    /// Of all of these.
    bytes: usize,
    /// So many of them waited when they became too many.
    behind: Option<usize>,
    /// Market time of what was told last.
    pub(super) now: MarketTime,
    whole: Deadline,
}

impl Lesson {
    /// So many of the next bars, by minute and then by instrument.
    fn rows(&self, book: &Book, count: usize) -> Vec<(Instrument, Row)> {
        let slots = book.slots();
        // By instrument: where its next bar stands, past the end if there is none.
        let place = |((number, slot), first): ((Instrument, &Slot), &Option<MarketTime>)| {
            let before =
                |row: &Row| first.is_none_or(|first| row.start < first) || (row.start, number) < self.next;
            slot.bars.partition_point(before)
        };
        let mut places: Vec<usize> = (0..).zip(slots).zip(&self.firsts).map(place).collect();
        let start = |of: Instrument, place: usize| {
            slots[of as usize].bars.get(place).map(|row| Reverse((row.start, of)))
        };
        let mut ahead: BinaryHeap<Reverse<Place>> =
            (0..).zip(&places).filter_map(|(of, place)| start(of, *place)).collect();
        let next = || {
            let Reverse((_, of)) = ahead.pop()?;
            let place = &mut places[of as usize];
            let row = slots[of as usize].bars[*place];
            *place += 1;
            ahead.extend(start(of, *place));
            (bar_end(row.start) <= self.began).then_some((of, row))
        };
        std::iter::from_fn(next).take(count).collect()
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
        if is_ahead || self.behind.is_some() {
            return;
        }
        self.bytes += bytes(event);
        self.since.push_back(event.clone());
        if self.since.len() > KEPT_EVENTS_MAX || self.bytes > KEPT_BYTES_MAX {
            self.behind = Some(self.since.len());
            self.since = VecDeque::new();
        }
    }

    /// Whether nothing but bars is left.
    fn is_over(&self) -> bool {
        self.open.is_none() && self.health.is_none() && self.since.is_empty()
    }

    fn next_since(&mut self) -> Option<StrategyEvent> {
        let event = self.since.pop_front()?;
        self.bytes -= bytes(&event);
        Some(event)
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
            bytes: 0,
            behind: None,
            now: since,
            whole: self.whole(),
        }
    }

    /// Tells some of it; whether that was all.
    pub(super) fn tell_some(&mut self, guest: &mut Guest, lesson: &mut Lesson) -> Result<bool, Failure> {
        self.tell_at(guest, lesson, &mut Pace { limit: PORTION, until: None, told: 0 })
    }

    /// The same at this pace.
    pub(super) fn tell_at(
        &mut self,
        guest: &mut Guest,
        lesson: &mut Lesson,
        pace: &mut Pace,
    ) -> Result<bool, Failure> {
        if let Some(waiting) = lesson.behind {
            return Err(Failure::Behind { waiting });
        }
        mem::swap(&mut self.timers, &mut lesson.timers);
        let outcome = self.tell_rows(guest, lesson, pace);
        mem::swap(&mut self.timers, &mut lesson.timers);
        guest.book().veil = None;
        outcome
    }

    fn tell_rows(
        &mut self,
        guest: &mut Guest,
        lesson: &mut Lesson,
        pace: &mut Pace,
    ) -> Result<bool, Failure> {
        // One more than are told, so that what was told says whether that was all: a replay says the same.
        let mut rows = lesson.rows(guest.book(), pace.limit as usize + 1).into_iter().peekable();
        loop {
            let is_over = rows.peek().is_none() && lesson.is_over();
            if is_over {
                self.settle(guest, lesson)?;
            }
            if is_over || !pace.goes_on() {
                return Ok(is_over);
            }
            let end = rows.peek().map(|(_, row)| bar_end(row.start));
            if let Some(day) = lesson.open.take_if(|day| end.is_none_or(|end| day.open < end)) {
                self.reopen(guest, day, &lesson.since)?;
            } else if let Some((of, row)) = rows.next() {
                guest.book().veil = Some(lesson.next);
                self.fire_late(guest, bar_end(row.start), lesson)?;
                lesson.next = (row.start, of + 1);
                guest.book().veil = Some(lesson.next);
                guest.book().advance(bar_end(row.start));
                if !self.poison.bars.contains(&(of, row.start)) {
                    self.tell_bar(guest, of, row, &mut lesson.whole)?;
                }
            } else if let Some(health) = lesson.health.take() {
                guest.book().veil = None;
                self.tell_standing(guest, health, Wanted::Late(&lesson.since))?;
            } else if let Some(event) = lesson.next_since() {
                guest.book().veil = None;
                self.tell_since(guest, &event, lesson)?;
            }
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

    /// Fires what the life before fired since the last of it, so that chains of timers go on from where that
    /// one came to. What it sets for a time before that would fire live, a second time: it is dropped.
    fn settle(&mut self, guest: &mut Guest, lesson: &mut Lesson) -> Result<(), Failure> {
        let until = self.fired_until;
        if self.timers.is_due(until) {
            guest.book().veil = None;
            guest.book().advance(until);
            self.fire_late(guest, until, lesson)?;
            self.timers.drop_until(until);
        }
        Ok(())
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

    /// Keeps an event that the one that runs failed on: another life of the same code is not told that, but
    /// other code, often the mend of just that failure, is. It may be a fill.
    pub(super) fn keep_poison(&mut self, event: &StrategyEvent, book: &Book) {
        if let Some(heir) = self.heir.as_mut().filter(|heir| !heir.is_same_code) {
            heir.lesson.add(event, book);
        }
    }
}
