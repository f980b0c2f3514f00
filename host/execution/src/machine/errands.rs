//! Requests about single orders that are repeated until they have done their work: look-ups and cancels.

use std::{collections::BTreeMap, time::Duration};

use sandpit_cores::Backoff;
use sandpit_types::{ClientOrderId, MarketTime};

/// Look-ups, and again cancels, under way at a time.
const MAX_RUNNING: usize = 8;

const BASE: Duration = Duration::from_secs(2);
const CAP: Duration = Duration::from_secs(30);

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    /// Cancel until its end is seen (Alpaca-API#64: a cancel right after the order was lost).
    Cancel,
    /// Ask for it by its client id.
    LookUp,
}

#[derive(Debug)]
struct Entry {
    /// `None` while it runs.
    due: Option<MarketTime>,
    backoff: Backoff,
}

/// At most one of each kind per open order.
#[derive(Debug, Default)]
pub(super) struct Errands {
    entries: BTreeMap<(Errand, ClientOrderId), Entry>,
    cancels: usize,
    look_ups: usize,
}

impl Errands {
    /// Sees to it that there is one; one that is there keeps its time.
    pub(super) fn want(&mut self, errand: Errand, id: &ClientOrderId, at: MarketTime) {
        let fresh = || Entry { due: Some(at), backoff: Backoff::new(BASE, CAP) };
        self.entries.entry((errand, id.clone())).or_insert_with(fresh);
    }

    /// Sees to it that there is one no later than `at`.
    pub(super) fn hurry(&mut self, errand: Errand, id: &ClientOrderId, at: MarketTime) {
        self.want(errand, id, at);
        if let Some(entry) = self.entries.get_mut(&(errand, id.clone())) {
            entry.due = entry.due.map(|due| due.min(at));
        }
    }

    /// Sees to it that one that waits does not run before `at`.
    pub(super) fn put_off(&mut self, errand: Errand, id: &ClientOrderId, at: MarketTime) {
        if let Some(entry) = self.entries.get_mut(&(errand, id.clone())) {
            entry.due = entry.due.map(|due| due.max(at));
        }
    }

    /// What is to be done for an order ends.
    pub(super) fn forget(&mut self, id: &ClientOrderId) {
        for errand in [Errand::Cancel, Errand::LookUp] {
            self.entries.remove(&(errand, id.clone()));
        }
    }

    pub(super) fn is_wanted(&self, errand: Errand, id: &ClientOrderId) -> bool {
        self.entries.contains_key(&(errand, id.clone()))
    }

    /// Those that start now; each ends in [`Errands::done`] or [`Errands::again`].
    pub(super) fn due(&mut self, now: MarketTime) -> Vec<(Errand, ClientOrderId)> {
        let mut due = Vec::new();
        for ((errand, id), entry) in &mut self.entries {
            let running = if *errand == Errand::Cancel { &mut self.cancels } else { &mut self.look_ups };
            if *running < MAX_RUNNING && entry.due.is_some_and(|at| at <= now) {
                *running += 1;
                entry.due = None;
                due.push((*errand, id.clone()));
            }
        }
        due
    }

    /// It ran and need not run again.
    pub(super) fn done(&mut self, errand: Errand, id: &ClientOrderId) {
        self.ended(errand);
        self.entries.remove(&(errand, id.clone()));
    }

    /// It ran and has to run again later, unless it was forgotten meanwhile.
    pub(super) fn again(&mut self, errand: Errand, id: &ClientOrderId, now: MarketTime, random: u64) {
        self.ended(errand);
        if let Some(entry) = self.entries.get_mut(&(errand, id.clone())) {
            entry.due = entry.backoff.fail(random).map(|wait| now + wait);
        }
    }

    /// When the next may start; kinds of which enough are running wait for one of these to end.
    pub(super) fn deadline(&self) -> Option<MarketTime> {
        let has_room = |errand: Errand| match errand {
            Errand::Cancel => self.cancels < MAX_RUNNING,
            Errand::LookUp => self.look_ups < MAX_RUNNING,
        };
        self.entries
            .iter()
            .filter(|((errand, _), _)| has_room(*errand))
            .filter_map(|(_, entry)| entry.due)
            .min()
    }

    const fn ended(&mut self, errand: Errand) {
        let running = match errand {
            Errand::Cancel => &mut self.cancels,
            Errand::LookUp => &mut self.look_ups,
        };
        *running = running.saturating_sub(1);
    }
}
