//! The queue in front of one strategy. Pushing never waits: the ingest thread cannot be held up by a
//! strategy.
//!
//! Quotes and trades conflate once more than [`CONFLATE_ABOVE`](crate::CONFLATE_ABOVE) events wait: a new one
//! takes out the newest waiting one of its kind and instrument. A tick always takes out the one that waits:
//! only the newest time is of use. Everything else is never dropped: bars in or out of turn, news, fills,
//! updates. When [`WAITING_MAX`](crate::WAITING_MAX) such events wait, or
//! [`NEWS_WAITING_MAX`](crate::NEWS_WAITING_MAX) pieces of news, the queue gives up and says so, and the
//! strategy is quarantined, because its view of the world is wrong from then on.

use std::{
    collections::HashMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::fast::FixedState;
use sandpit_types::{MarketEvent, Symbol};

use crate::{
    Candidate, StrategyEvent,
    engine::real_time,
    queue::{Next, Queue, Seat},
};

/// The queue of one strategy.
#[derive(Debug)]
pub struct Inbox {
    seats: HashMap<Symbol, Seat, FixedState>,
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Debug)]
struct Waiting {
    queue: Queue,
    /// Whether the strategy's thread sleeps until something comes. Waking costs a system call, so one that
    /// is awake is not woken.
    sleeps: bool,
    /// When the queue last began to fill; real time of the machine.
    filling_since: Duration,
    /// The same of the event that was taken out last.
    taken_since: Duration,
}

impl Waiting {
    fn pop(&mut self) -> Option<Next> {
        let next = self.queue.pop()?;
        self.taken_since = self.filling_since;
        Some(next)
    }
}

impl Inbox {
    /// A queue that takes market data of these instruments only, and news that speaks of one of them or of
    /// none.
    pub fn new(instruments: impl IntoIterator<Item = Symbol>) -> Self {
        let mut seats = HashMap::with_hasher(FixedState::default());
        for symbol in instruments {
            let seat = Seat(u32::try_from(seats.len()).expect("instruments are few"));
            seats.entry(symbol).or_insert(seat);
        }
        let waiting = Waiting {
            queue: Queue::new(seats.len()),
            sleeps: false,
            filling_since: Duration::ZERO,
            taken_since: Duration::ZERO,
        };
        Self { seats, waiting: Mutex::new(waiting), filled: Condvar::new() }
    }

    /// The seat of an instrument here; `None` for a foreign one.
    pub fn seat(&self, symbol: &Symbol) -> Option<Seat> {
        self.seats.get(symbol).copied()
    }

    /// Adds an event. Never waits for the strategy.
    pub fn push(&self, event: StrategyEvent) {
        let Some(seat) = self.seat_of(&event) else { return };
        self.fill(|queue| queue.push(event, seat));
    }

    /// Adds events of the market under one lock and wakes the strategy at most once. Whoever gives a seat,
    /// which must be one of this inbox, saves looking up the symbol; without one it is looked up here.
    pub fn push_market<'e>(&self, events: impl IntoIterator<Item = (&'e MarketEvent, Option<Seat>)>) {
        self.fill(|queue| {
            for (event, seat) in events {
                if seat.is_some() {
                    queue.push(StrategyEvent::Market(event.clone()), seat);
                    continue;
                }
                let event = StrategyEvent::Market(event.clone());
                if let Some(seat) = self.seat_of(&event) {
                    queue.push(event, seat);
                }
            }
        });
    }

    /// Adds events that belong together, such as a position and the fill that made it: nothing comes between
    /// them.
    pub fn push_together(&self, events: impl IntoIterator<Item = StrategyEvent>) {
        self.fill(|queue| {
            for event in events {
                if let Some(seat) = self.seat_of(&event) {
                    queue.push(event, seat);
                }
            }
        });
    }

    /// Hands over a version that is to take over between two events: before everything that waits, unless it
    /// needs lessons for that.
    pub fn swap(&self, candidate: Candidate) {
        let mut before = None;
        self.fill(|queue| before = queue.swap(Box::new(candidate)));
        // Outside the lock: letting go of its memory takes a while.
        before.iter().for_each(|before| before.say_superseded());
    }

    /// Events that wait.
    pub fn waiting(&self) -> usize {
        self.lock().queue.waiting()
    }

    /// Quotes and trades left out so far because newer ones came before the strategy got to them.
    pub fn conflated(&self) -> u64 {
        self.lock().queue.conflated()
    }

    /// How long ago the event came that was taken out last; of several that waited, the first of them. Real
    /// time. For the strategy's thread.
    pub fn busy_for(&self) -> Duration {
        real_time().saturating_sub(self.lock().taken_since)
    }

    /// Takes out the next event; waits until there is one. For one thread only, the strategy's.
    pub fn pop(&self) -> Next {
        let mut waiting = self.lock();
        loop {
            if let Some(next) = waiting.pop() {
                return next;
            }
            waiting.sleeps = true;
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.sleeps = false;
        }
    }

    /// The same, but waits so long at most; real time.
    pub(crate) fn pop_within(&self, span: Duration) -> Option<Next> {
        let until = real_time().saturating_add(span);
        let mut waiting = self.lock();
        loop {
            if let Some(next) = waiting.pop() {
                return Some(next);
            }
            let left = until.saturating_sub(real_time());
            if left.is_zero() {
                return None;
            }
            waiting.sleeps = true;
            (waiting, _) = self.filled.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner);
            waiting.sleeps = false;
        }
    }

    /// Takes out the next event, if one waits. For the strategy's thread.
    pub(crate) fn take(&self) -> Option<Next> {
        self.lock().pop()
    }

    /// Takes out all events that wait: what a strategy that has ended did not get to.
    pub fn rest(&self) -> Vec<StrategyEvent> {
        let mut waiting = self.lock();
        let all = std::iter::from_fn(|| waiting.queue.pop());
        all.filter_map(|next| match next {
            Next::Event(event) => Some(event),
            Next::Swap(_) | Next::Overflowed { .. } => None,
        })
        .collect()
    }

    fn fill(&self, add: impl FnOnce(&mut Queue)) {
        let sleeps = {
            let mut waiting = self.lock();
            if waiting.queue.waiting() == 0 {
                waiting.filling_since = real_time();
            }
            add(&mut waiting.queue);
            std::mem::take(&mut waiting.sleeps)
        };
        if sleeps {
            self.filled.notify_one();
        }
    }

    /// The seat of an event's instrument, if it is of one; `None` when the event is none of ours.
    #[expect(clippy::option_option, reason = "whether it is ours, and then whether it has a seat")]
    fn seat_of(&self, event: &StrategyEvent) -> Option<Option<Seat>> {
        let symbol = match event {
            StrategyEvent::Market(MarketEvent::Bar(bar) | MarketEvent::MarkedBar(bar, _))
            | StrategyEvent::Warmup(bar) => &bar.symbol,
            StrategyEvent::Market(MarketEvent::Quote(quote)) => &quote.symbol,
            StrategyEvent::Market(MarketEvent::Trade(trade)) => &trade.symbol,
            StrategyEvent::Market(MarketEvent::News(news)) => {
                let is_ours =
                    news.symbols.is_empty() || news.symbols.iter().any(|of| self.seats.contains_key(of));
                return is_ours.then_some(None);
            }
            _ => return Some(None),
        };
        self.seat(symbol).map(Some)
    }

    /// The queue holds whole events at every moment, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
