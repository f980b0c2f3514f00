//! What waits for one strategy: a ring in which an event that is taken out leaves an empty place behind, so
//! that taking out the newest quote of an instrument costs no search and no allocation. Pure: the lock and
//! the waking are the inbox's.

use std::collections::VecDeque;

use sandpit_types::MarketEvent;

use crate::{Candidate, StrategyEvent};

/// How many events may wait before quotes and trades conflate.
pub const CONFLATE_ABOVE: usize = 256;
/// How many events may wait that are never dropped.
pub const WAITING_MAX: usize = 65_536;
/// How many of these may be news, which is larger than all else: some kilobytes each, as adapters cut it.
pub const NEWS_WAITING_MAX: usize = 4_096;
/// Places that the ring keeps once it has run empty; what a burst took beyond them is given back.
pub(crate) const PLACES_KEPT: usize = 256;
/// Empty places that the ring may have beyond one for each event: then it is made tight again.
const EMPTY_MAX: usize = 256;

/// What the strategy's thread takes out.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// The oldest event.
    Event(StrategyEvent),
    /// A version that is to take over between two events.
    Swap(Box<Candidate>),
    /// Events were lost. Said once.
    Overflowed {
        /// So many of a kind could wait.
        limit: usize,
    },
}

/// An instrument's number in one inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct Queue {
    /// Oldest first; the front is never empty.
    ring: VecDeque<Entry>,
    /// The number of the ring's front; each place has one more than the place before it.
    first: u64,
    waiting: usize,
    kept: usize,
    news: usize,
    /// By seat: the numbers of the newest quote and the newest trade. A number before `first` is one that no
    /// longer waits.
    newest: Vec<[u64; 2]>,
    newest_tick: u64,
    conflated: u64,
    swap: Option<Box<Candidate>>,
    stop: Option<String>,
    overflow: Overflow,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    /// `None`: it was taken out.
    event: Option<StrategyEvent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Quote(Seat),
    Trade(Seat),
    Tick,
    News,
    Kept,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Overflow {
    #[default]
    No,
    /// With the limit.
    Unsaid(usize),
    Said,
}

impl Queue {
    /// For that many seats.
    pub(crate) fn new(seats: usize) -> Self {
        Self {
            ring: VecDeque::new(),
            // Numbers begin at one, so that zero is one that does not wait.
            first: 1,
            waiting: 0,
            kept: 0,
            news: 0,
            newest: vec![[0; 2]; seats],
            newest_tick: 0,
            conflated: 0,
            swap: None,
            stop: None,
            overflow: Overflow::No,
        }
    }

    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) const fn conflated(&self) -> u64 {
        self.conflated
    }

    /// Adds anything; `seat` is that of its instrument, if it is of one.
    pub(crate) fn push(&mut self, event: StrategyEvent, seat: Option<Seat>) {
        match event {
            StrategyEvent::Stop(reason) => self.stop = Some(reason),
            // A nonce is answered even when the events are lost: the thread is alive, the strategy is not.
            StrategyEvent::Probe(_) => self.keep(event, Kind::Kept),
            _ if self.overflow != Overflow::No => {}
            StrategyEvent::Tick(_) => {
                let next = self.next();
                let last = std::mem::replace(&mut self.newest_tick, next);
                self.take_out(last);
                self.add(event, Kind::Tick);
            }
            StrategyEvent::Market(ref market) => match (market, seat) {
                (MarketEvent::Quote(_), Some(seat)) => self.conflate(event, Kind::Quote(seat), seat, 0),
                (MarketEvent::Trade(_), Some(seat)) => self.conflate(event, Kind::Trade(seat), seat, 1),
                (MarketEvent::News(_), _) => self.keep(event, Kind::News),
                _ => self.keep(event, Kind::Kept),
            },
            event => self.keep(event, Kind::Kept),
        }
    }

    /// Adds a version that is to take over, before everything that waits. What comes back is one that waited
    /// already: it is let go of.
    pub(crate) fn swap(&mut self, candidate: Box<Candidate>) -> Option<Box<Candidate>> {
        self.swap.replace(candidate)
    }

    /// Takes out what is due next.
    pub(crate) fn pop(&mut self) -> Option<Next> {
        if let Some(reason) = self.stop.take() {
            return Some(Next::Event(StrategyEvent::Stop(reason)));
        }
        if let Overflow::Unsaid(limit) = self.overflow {
            self.overflow = Overflow::Said;
            return Some(Next::Overflowed { limit });
        }
        if let Some(candidate) = self.swap.take() {
            return Some(Next::Swap(candidate));
        }
        let Entry { kind, event } = self.pop_place()?;
        match kind {
            Kind::Kept => self.kept -= 1,
            Kind::News => (self.kept, self.news) = (self.kept - 1, self.news - 1),
            Kind::Quote(_) | Kind::Trade(_) | Kind::Tick => {}
        }
        self.waiting -= 1;
        self.drop_empty_front();
        self.tighten_if_loose();
        if self.ring.is_empty() && self.ring.capacity() > PLACES_KEPT {
            self.ring.shrink_to(PLACES_KEPT);
        }
        Some(Next::Event(event.expect("the front is never empty")))
    }

    fn next(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    fn keep(&mut self, event: StrategyEvent, kind: Kind) {
        let is_news = kind == Kind::News;
        let limits = [(self.kept, WAITING_MAX), (if is_news { self.news } else { 0 }, NEWS_WAITING_MAX)];
        if let Some((_, limit)) = limits.into_iter().find(|(waiting, limit)| waiting >= limit) {
            return self.lose_all(limit);
        }
        self.kept += 1;
        self.news += usize::from(is_news);
        self.add(event, kind);
    }

    fn lose_all(&mut self, limit: usize) {
        self.first = self.next();
        self.ring.clear();
        (self.waiting, self.kept, self.news) = (0, 0, 0);
        if self.overflow == Overflow::No {
            self.overflow = Overflow::Unsaid(limit);
        }
    }

    fn conflate(&mut self, event: StrategyEvent, kind: Kind, seat: Seat, column: usize) {
        let number = self.next();
        let last = std::mem::replace(&mut self.newest[seat.0 as usize][column], number);
        if self.waiting >= CONFLATE_ABOVE && self.take_out(last) {
            self.conflated += 1;
        }
        self.add(event, kind);
    }

    fn add(&mut self, event: StrategyEvent, kind: Kind) {
        self.ring.push_back(Entry { kind, event: Some(event) });
        self.waiting += 1;
        self.tighten_if_loose();
    }

    fn tighten_if_loose(&mut self) {
        if self.ring.len() > 2 * self.waiting + EMPTY_MAX {
            self.tighten();
        }
    }

    /// Empties a place; false if it is gone already. Later places keep their numbers.
    fn take_out(&mut self, number: u64) -> bool {
        let Some(at) = number.checked_sub(self.first) else { return false };
        let event = usize::try_from(at).ok().and_then(|at| self.ring.get_mut(at)?.event.take());
        self.waiting -= usize::from(event.is_some());
        self.drop_empty_front();
        event.is_some()
    }

    fn pop_place(&mut self) -> Option<Entry> {
        let entry = self.ring.pop_front()?;
        self.first += 1;
        Some(entry)
    }

    fn drop_empty_front(&mut self) {
        while self.ring.front().is_some_and(|entry| entry.event.is_none()) {
            self.pop_place();
        }
    }

    /// Moves the events together and numbers them anew, the last one as before.
    fn tighten(&mut self) {
        let Self { ring, first, waiting, newest, newest_tick, .. } = self;
        let mut old = *first;
        *first += (ring.len() - *waiting) as u64;
        let mut new = *first;
        ring.retain(|entry| {
            let is_there = entry.event.is_some();
            if is_there {
                let number = match entry.kind {
                    Kind::Quote(seat) => Some(&mut newest[seat.0 as usize][0]),
                    Kind::Trade(seat) => Some(&mut newest[seat.0 as usize][1]),
                    Kind::Tick => Some(&mut *newest_tick),
                    Kind::News | Kind::Kept => None,
                };
                if let Some(number) = number.filter(|number| **number == old) {
                    *number = new;
                }
                new += 1;
            }
            old += 1;
            is_there
        });
    }

    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.ring.capacity()
    }

    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.ring.len()
    }
}
