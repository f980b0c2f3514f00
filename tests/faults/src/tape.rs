//! Everything that a host's strategies would have been told, with the moment at which they would.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use sandpit_ingest::MarketSink;
use sandpit_types::{MarketEvent, StreamHealth};

use crate::ambient;

/// An event and when it was delivered.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Real time.
    pub at: Instant,
    /// What was delivered.
    pub event: MarketEvent,
}

impl Heard {
    /// Whether it is a bar, quote or trade.
    pub const fn is_data(&self) -> bool {
        matches!(
            self.event,
            MarketEvent::Bar(_) | MarketEvent::MarkedBar(..) | MarketEvent::Quote(_) | MarketEvent::Trade(_)
        )
    }
}

/// A recording sink; its copies share one recording. A test is short, so nothing is ever let go.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    heard: Arc<Mutex<Vec<Heard>>>,
    held: Arc<(Mutex<bool>, Condvar)>,
}

impl MarketSink for Tape {
    fn deliver(&mut self, events: &[MarketEvent]) {
        let (held, released) = &*self.held;
        let held = held.lock().unwrap_or_else(PoisonError::into_inner);
        drop(released.wait_while(held, |held| *held));
        let at = ambient::now();
        self.heard().extend(events.iter().map(|event| Heard { at, event: event.clone() }));
    }
}

impl Tape {
    /// Whoever delivers waits from now on, or goes on: a host whose strategies do not keep up.
    pub fn hold(&self, held: bool) {
        *self.held.0.lock().unwrap_or_else(PoisonError::into_inner) = held;
        self.held.1.notify_all();
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.heard().len()
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The events so far.
    pub fn events(&self) -> Vec<MarketEvent> {
        self.heard().iter().map(|heard| heard.event.clone()).collect()
    }

    /// When the first event from `since` on came that `fits`.
    pub fn first(&self, since: Instant, fits: impl Fn(&Heard) -> bool) -> Option<Instant> {
        let heard = self.heard();
        let from = heard.partition_point(|heard| heard.at < since);
        heard[from..].iter().find(|heard| fits(heard)).map(|heard| heard.at)
    }

    /// Whether any event so far `fits`.
    pub fn any(&self, fits: impl Fn(&Heard) -> bool) -> bool {
        self.heard().iter().any(fits)
    }

    /// When the data was first said to be anything but live, from `since` on.
    pub fn not_live(&self, since: Instant) -> Option<Instant> {
        let not_live = |event: &MarketEvent| {
            matches!(event, MarketEvent::Health(StreamHealth::Stale | StreamHealth::Fallback, _))
        };
        self.first(since, |heard| not_live(&heard.event))
    }

    /// What was said of the data last.
    pub fn health(&self) -> Option<StreamHealth> {
        self.heard().iter().rev().find_map(|heard| match heard.event {
            MarketEvent::Health(health, _) => Some(health),
            _ => None,
        })
    }

    /// Data events from `since` on.
    pub fn data_since(&self, since: Instant) -> usize {
        let heard = self.heard();
        let from = heard.partition_point(|heard| heard.at < since);
        heard[from..].iter().filter(|heard| heard.is_data()).count()
    }

    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
