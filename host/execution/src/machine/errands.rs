//! Requests about single orders that are repeated until they have done their work: look-ups and cancels.

use std::{collections::BTreeMap, time::Duration};

use sandpit_cores::Backoff;
use sandpit_types::{ClientOrderId, MarketTime};

/// Look-ups, and again cancels, under way at a time.
const MAX_RUNNING: usize = 8;

const BASE: Duration = Duration::from_secs(2);
const CAP: Duration = Duration::from_secs(30);

/// So long after its back-off what has run is remembered.
const REMEMBERED: Duration = CAP;

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    /// Cancel until its end is seen (Alpaca-API#64: a cancel right after the order was lost).
    Cancel,
    /// Ask for it by its client id.
    LookUp,
}

/// At most one of each kind per order. What has run is remembered for a while: that of an order of which
/// nothing new was learned does not run again at once, whoever wants it.
#[derive(Debug, Default)]
pub(super) struct Errands {
    entries: BTreeMap<(Errand, ClientOrderId), Entry>,
    cancels: usize,
    look_ups: usize,
}

#[derive(Debug)]
struct Entry {
    stage: Stage,
    /// It does not run before, whoever wants it.
    not_before: MarketTime,
    /// Kept over the runs that brought nothing new.
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Due(MarketTime),
    Running,
    /// It ran and nobody has wanted it since.
    Resting,
}

impl Entry {
    const fn due(&self) -> Option<MarketTime> {
        match self.stage {
            Stage::Due(at) => Some(at),
            Stage::Running | Stage::Resting => None,
        }
    }
}

impl Errands {
    /// Sees to it that there is one; one that is there keeps its time.
    pub(super) fn want(&mut self, errand: Errand, id: &ClientOrderId, at: MarketTime) {
        let backoff = || Backoff::new(BASE, CAP);
        let fresh = || Entry { stage: Stage::Resting, not_before: MarketTime::EPOCH, backoff: backoff() };
        let entry = self.entries.entry((errand, id.clone())).or_insert_with(fresh);
        if entry.stage == Stage::Resting {
            entry.stage = Stage::Due(at.max(entry.not_before));
        }
    }

    /// Sees to it that there is one no later than `at`, as far as its back-off allows.
    pub(super) fn hurry(&mut self, errand: Errand, id: &ClientOrderId, at: MarketTime) {
        self.want(errand, id, at);
        if let Some(entry) = self.entries.get_mut(&(errand, id.clone()))
            && let Stage::Due(due) = entry.stage
        {
            entry.stage = Stage::Due(due.min(at.max(entry.not_before)));
        }
    }

    /// There is a new reason: it runs no later than `at`, however often it has run for another one.
    pub(super) fn urge(&mut self, errand: Errand, id: &ClientOrderId, at: MarketTime) {
        if let Some(entry) = self.entries.get_mut(&(errand, id.clone())) {
            entry.refresh(at);
        }
        self.hurry(errand, id, at);
    }

    /// Sees to it that it does not run before `at`, whoever wants it.
    pub(super) fn put_off(&mut self, errand: Errand, id: &ClientOrderId, at: MarketTime) {
        if let Some(entry) = self.entries.get_mut(&(errand, id.clone())) {
            entry.not_before = entry.not_before.max(at);
            if let Stage::Due(due) = entry.stage {
                entry.stage = Stage::Due(due.max(at));
            }
        }
    }

    /// Something new was learned of an order: what is wanted for it waits for no back-off any more.
    pub(super) fn refresh(&mut self, id: &ClientOrderId, now: MarketTime) {
        for errand in [Errand::Cancel, Errand::LookUp] {
            if let Some(entry) = self.entries.get_mut(&(errand, id.clone())) {
                entry.refresh(now);
            }
        }
    }

    /// The same for all orders.
    pub(super) fn refresh_all(&mut self, now: MarketTime) {
        self.entries.values_mut().for_each(|entry| entry.refresh(now));
    }

    /// What is to be done for an order ends.
    pub(super) fn forget(&mut self, id: &ClientOrderId) {
        for errand in [Errand::Cancel, Errand::LookUp] {
            self.drop(errand, id);
        }
    }

    /// One errand of an order ends.
    pub(super) fn drop(&mut self, errand: Errand, id: &ClientOrderId) {
        self.entries.remove(&(errand, id.clone()));
    }

    pub(super) fn is_wanted(&self, errand: Errand, id: &ClientOrderId) -> bool {
        let entry = self.entries.get(&(errand, id.clone()));
        entry.is_some_and(|entry| entry.stage != Stage::Resting)
    }

    /// Those that start now, the one that has waited longest first; each ends in [`Errands::done`] or
    /// [`Errands::again`].
    pub(super) fn due(&mut self, now: MarketTime) -> Vec<(Errand, ClientOrderId)> {
        let is_remembered =
            |entry: &Entry| entry.stage != Stage::Resting || now < entry.not_before + REMEMBERED;
        self.entries.retain(|_, entry| is_remembered(entry));
        let at = |entry: &Entry| entry.due().filter(|at| *at <= now);
        let entries = self.entries.iter_mut();
        let mut waiting: Vec<_> = entries.filter_map(|(key, entry)| Some((at(entry)?, key, entry))).collect();
        waiting.sort_by_key(|(at, key, _)| (*at, *key));
        let mut due = Vec::new();
        for (_, (errand, id), entry) in waiting {
            let running = if *errand == Errand::Cancel { &mut self.cancels } else { &mut self.look_ups };
            if *running < MAX_RUNNING {
                *running += 1;
                entry.stage = Stage::Running;
                due.push((*errand, id.clone()));
            }
        }
        due
    }

    /// It ran. Wanted again although nothing new was learned, it waits.
    pub(super) fn done(&mut self, errand: Errand, id: &ClientOrderId, now: MarketTime, random: u64) {
        self.ended(errand);
        if let Some(entry) = self.entries.get_mut(&(errand, id.clone())) {
            entry.stage = Stage::Resting;
            let wait = entry.backoff.fail(random).unwrap_or(CAP);
            entry.not_before = entry.not_before.max(now + wait);
        }
    }

    /// It ran and has to run again later, unless it was forgotten meanwhile.
    pub(super) fn again(&mut self, errand: Errand, id: &ClientOrderId, now: MarketTime, random: u64) {
        self.ended(errand);
        if let Some(entry) = self.entries.get_mut(&(errand, id.clone())) {
            let wait = entry.backoff.fail(random).unwrap_or(CAP);
            entry.stage = Stage::Due(entry.not_before.max(now + wait));
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
            .filter_map(|(_, entry)| entry.due())
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

impl Entry {
    /// What only waits because it was asked to runs at `at`.
    fn refresh(&mut self, at: MarketTime) {
        if self.stage == Stage::Due(self.not_before) {
            self.stage = Stage::Due(at.min(self.not_before));
        }
        self.not_before = MarketTime::EPOCH;
        self.backoff.succeed();
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{HostEpoch, StrategyName};

    use super::*;

    const fn at(secs: i64) -> MarketTime {
        MarketTime::from_secs(secs)
    }

    fn id(sequence: u64) -> ClientOrderId {
        ClientOrderId { strategy: StrategyName::parse("sma").expect("a name"), epoch: HostEpoch(1), sequence }
    }

    fn started(errands: &mut Errands, now: MarketTime) -> Vec<u64> {
        errands.due(now).into_iter().map(|(_, id)| id.sequence).collect()
    }

    #[test]
    fn what_has_waited_longest_runs_first() {
        let mut errands = Errands::default();
        for sequence in 1..=8 {
            errands.want(Errand::LookUp, &id(sequence), at(20));
        }
        errands.want(Errand::LookUp, &id(9), at(10));
        assert_eq!(started(&mut errands, at(20)), [9, 1, 2, 3, 4, 5, 6, 7]);
        for sequence in [9, 1, 2, 3, 4, 5, 6, 7] {
            errands.done(Errand::LookUp, &id(sequence), at(21), 0);
            errands.urge(Errand::LookUp, &id(sequence), at(21));
        }
        assert_eq!(started(&mut errands, at(21))[0], 8, "the one that found no room is the next");
    }

    #[test]
    fn what_brings_nothing_new_is_repeated_ever_more_seldom() {
        let mut errands = Errands::default();
        let (mut now, mut runs) = (0, 0);
        errands.want(Errand::LookUp, &id(1), at(0));
        while now < 600 {
            if !errands.due(at(now)).is_empty() {
                runs += 1;
                errands.done(Errand::LookUp, &id(1), at(now), u64::MAX / 2);
                errands.hurry(Errand::LookUp, &id(1), at(now));
            }
            now += 1;
        }
        assert!((10..40).contains(&runs), "{runs}");
        errands.refresh(&id(1), at(now));
        errands.hurry(Errand::LookUp, &id(1), at(now));
        assert_eq!(started(&mut errands, at(now)), [1], "something new was learned");
    }

    #[test]
    fn what_is_put_off_is_not_hurried() {
        let mut errands = Errands::default();
        errands.want(Errand::LookUp, &id(1), at(0));
        assert_eq!(started(&mut errands, at(0)), [1]);
        errands.again(Errand::LookUp, &id(1), at(0), 0);
        errands.put_off(Errand::LookUp, &id(1), at(600));
        errands.hurry(Errand::LookUp, &id(1), at(1));
        assert_eq!(errands.deadline(), Some(at(600)));
        errands.urge(Errand::LookUp, &id(1), at(2));
        assert_eq!(errands.deadline(), Some(at(2)), "a new reason");
    }

    #[test]
    fn what_nobody_wants_is_forgotten_after_a_while() {
        let mut errands = Errands::default();
        errands.want(Errand::LookUp, &id(1), at(0));
        assert_eq!(started(&mut errands, at(0)), [1]);
        errands.done(Errand::LookUp, &id(1), at(0), 0);
        assert!(!errands.is_wanted(Errand::LookUp, &id(1)));
        assert_eq!(errands.deadline(), None);
        assert_eq!(started(&mut errands, at(3_600)), [0; 0]);
        assert!(errands.entries.is_empty());
    }
}
