//! What has to be written, and what may happen once it is.
//!
//! One commit is under way at a time; whatever comes up meanwhile goes into the next one together. Effects
//! are performed in order, after the records before them are on the disk.
//!
//! A commit that failed is written again until it succeeds. One that the database *refused* would be refused
//! for ever: it is halved until what is refused stands alone, and that is put aside. From then on the order
//! it is about is an *outcast*: its records are commits of their own until one is taken.

mod groups;

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use sandpit_cores::Backoff;
use sandpit_store::Record;
use sandpit_types::{ClientOrderId, MarketTime, OrderUpdate};

use self::groups::{groups, parts, subject};
use crate::DeskOutput;

/// Records that may wait for the disk before new orders are refused.
const MAX_WAITING: usize = 10_000;

/// Effects that may wait for the disk. When full, strategies are not told of the oldest any more, except of
/// what they hold.
const MAX_EFFECTS: usize = 10_000;

/// Alerts and notices of an outage that are kept: the first ones tell how it began.
const MAX_WORDS: usize = 100;

/// Outcasts that are remembered. When full, all are forgotten: the next commit with one is taken apart again.
const MAX_OUTCASTS: usize = 1_000;

const RETRY_BASE: Duration = Duration::from_secs(1);
const RETRY_CAP: Duration = Duration::from_secs(10);

/// What may happen after a commit.
#[derive(Debug)]
pub(super) enum Then {
    /// The order is recorded: its strategy is told, and it leaves.
    Send {
        id: ClientOrderId,
        update: Option<OrderUpdate>,
    },
    Tell(Box<DeskOutput>),
}

/// What to do about the ledger now.
#[derive(Debug)]
pub(super) enum Next {
    Commit(Vec<Record>),
    Perform(Vec<Then>),
    Nothing,
}

/// What came of a refused commit.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// What is given up; empty while it is taken apart, and when it was only words.
    pub(super) records: Vec<Record>,
    /// New orders whose records are among them: they are not sent.
    pub(super) orders: Vec<ClientOrderId>,
}

#[derive(Debug)]
pub(super) struct Ledger {
    /// Whether there is a store.
    keeps: bool,
    records: Vec<Record>,
    then: Vec<Then>,
    /// The commit under way, and since when.
    committing: Option<(Vec<Record>, MarketTime)>,
    /// What is to be committed after it, before `records`.
    parts: VecDeque<Vec<Record>>,
    /// What may happen when the last of these is on the disk.
    effects: Vec<Then>,
    outcasts: BTreeSet<ClientOrderId>,
    late_after: Duration,
    /// Whether the commit under way has been waited for too long.
    is_late: bool,
    backoff: Backoff,
    retry_at: Option<MarketTime>,
}

impl Ledger {
    /// An empty one. A commit that takes longer than `late_after` is not waited for with new orders.
    pub(super) const fn new(late_after: Duration) -> Self {
        Self {
            keeps: true,
            records: Vec::new(),
            then: Vec::new(),
            committing: None,
            parts: VecDeque::new(),
            effects: Vec::new(),
            outcasts: BTreeSet::new(),
            late_after,
            is_late: false,
            backoff: Backoff::new(RETRY_BASE, RETRY_CAP),
            retry_at: None,
        }
    }

    /// There is no store: what is to be recorded is dropped.
    pub(super) const fn keep_nothing(&mut self) {
        self.keeps = false;
    }

    /// Whether there is a store: else records need not be made.
    pub(super) const fn keeps(&self) -> bool {
        self.keeps
    }

    pub(super) fn record(&mut self, record: Record) {
        if !self.keeps {
            return;
        }
        if self.is_stuck()
            && let Record::Fact { name, .. } = &record
            && let Some(at) = self.records.iter().position(|waiting| is_fact_of(waiting, name))
        {
            self.records.remove(at);
        }
        // While the disk takes nothing, only what orders and sub-books are rebuilt from is worth the memory.
        if self.records.len() < MAX_WAITING || is_fact(&record) {
            self.records.push(record);
        }
    }

    /// The same of one that is made only if it is kept.
    pub(super) fn record_with(&mut self, make: impl FnOnce() -> Record) {
        if self.keeps {
            self.record(make());
        }
    }

    /// Returns whether all that waits is kept.
    pub(super) fn then(&mut self, effect: Then) -> bool {
        let is_full = self.then.len() >= MAX_EFFECTS;
        let mut is_kept = true;
        if is_full {
            if let Some(at) = self.then.iter().position(|waiting| is_outdated_by(waiting, &effect)) {
                self.then.remove(at);
            } else if let Some(at) = self.then.iter().position(may_be_forgotten) {
                self.then.remove(at);
                is_kept = false;
            }
        }
        self.then.push(effect);
        is_kept
    }

    /// Whether new orders can be recorded.
    pub(super) fn takes_orders(&self) -> bool {
        !self.is_stuck() && self.records.len() < MAX_WAITING
    }

    /// Whether the last commit failed, or the present one is late.
    pub(super) const fn is_stuck(&self) -> bool {
        self.is_late || self.backoff.failures() > 0
    }

    pub(super) fn is_idle(&self) -> bool {
        let has_waiting = !self.records.is_empty() || !self.then.is_empty();
        !has_waiting && self.committing.is_none() && self.parts.is_empty() && self.effects.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<MarketTime> {
        self.retry_at.or_else(|| self.late_at())
    }

    /// Whether the commit under way has become late just now. It is waited for all the same.
    pub(super) fn has_become_late(&mut self, now: MarketTime) -> bool {
        let is_so = self.late_at().is_some_and(|at| now >= at);
        self.is_late |= is_so;
        is_so
    }

    fn late_at(&self) -> Option<MarketTime> {
        let (_, since) = self.committing.as_ref().filter(|_| !self.is_late)?;
        Some(*since + self.late_after)
    }

    pub(super) fn next(&mut self, now: MarketTime) -> Next {
        let is_waiting = self.retry_at.is_some_and(|at| now < at);
        if self.committing.is_some() || is_waiting {
            return Next::Nothing;
        }
        if self.parts.is_empty() {
            if self.records.is_empty() && self.then.is_empty() {
                return Next::Nothing;
            }
            let then = std::mem::take(&mut self.then);
            if self.records.is_empty() {
                self.retry_at = None;
                return Next::Perform(then);
            }
            self.effects = then;
            self.parts = parts(std::mem::take(&mut self.records), &self.outcasts);
        }
        self.retry_at = None;
        let records = self.parts.pop_front().expect("there are records to be committed");
        self.committing = Some((records.clone(), now));
        Next::Commit(records)
    }

    /// The commit is on the disk: its effects.
    pub(super) fn committed(&mut self) -> Vec<Then> {
        self.backoff.succeed();
        let written = self.end();
        if !self.outcasts.is_empty() {
            for id in written.iter().filter_map(subject) {
                self.outcasts.remove(id);
            }
        }
        if self.parts.is_empty() { std::mem::take(&mut self.effects) } else { Vec::new() }
    }

    /// The commit failed. What the broker did, and what is told of it, is kept for the next one. New orders
    /// are not: they are returned, to be refused.
    pub(super) fn failed(&mut self, now: MarketTime, random: u64) -> Vec<ClientOrderId> {
        let mut records = self.end();
        records.extend(self.parts.drain(..).flatten());
        let mut orders = Vec::new();
        let mut told = Vec::new();
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                // Another is in a part that was written.
                Then::Send { id, .. } if records.iter().any(|record| is_row_of(record, &id)) => {
                    orders.push(id);
                }
                Then::Send { .. } | Then::Tell(_) => told.push(effect),
            }
        }
        let legs: Vec<ClientOrderId> = records.iter().filter_map(|record| leg_of(record, &orders)).collect();
        let is_gone = |id: &ClientOrderId| orders.contains(id) || legs.contains(id);
        let was_sent = |record: &Record| !subject(record).is_some_and(is_gone);
        let mut words = 0;
        let is_worth_it = |record: &Record| is_fact(record) || (is_word(record) && in_bound(&mut words));
        let mut kept: Vec<Record> = records.into_iter().filter(was_sent).filter(is_worth_it).collect();
        kept.extend(self.records.drain(..).filter(was_sent));
        self.records = newest_facts(kept);
        told.append(&mut self.then);
        self.then = told;
        self.retry_at = self.backoff.fail(random).map(|wait| now + wait);
        orders
    }

    /// The database refused the commit, and would again. It is taken apart; what stands alone is put aside,
    /// unless it was a change of an order whose row is gone: then it is written once more with `row_of` it.
    pub(super) fn refused(&mut self, row_of: impl Fn(&ClientOrderId) -> Option<Record>) -> Aside {
        let mut groups = groups(self.end());
        if groups.len() > 1 {
            let second = groups.split_off(groups.len() / 2);
            self.parts.push_front(second.into_iter().flatten().collect());
            self.parts.push_front(groups.into_iter().flatten().collect());
            return Aside::default();
        }
        let records = groups.pop().unwrap_or_default();
        if let Some(id) = records.iter().find_map(subject) {
            if self.outcasts.len() >= MAX_OUTCASTS {
                self.outcasts.clear();
            }
            let is_new = self.outcasts.insert(id.clone());
            let has_row = records.iter().any(|record| is_row_of(record, id));
            if let Some(row) = row_of(id).filter(|_| is_new && !has_row) {
                self.parts.push_front(std::iter::once(row).chain(records).collect());
                return Aside::default();
            }
        }
        let mut orders = Vec::new();
        let is_sent = |effect: &mut Then| match effect {
            Then::Send { id, .. } if records.iter().any(|record| is_row_of(record, id)) => {
                orders.push(id.clone());
                false
            }
            Then::Send { .. } | Then::Tell(_) => true,
        };
        self.effects.retain_mut(is_sent);
        if self.parts.is_empty() {
            // Nothing of it is left whose end could let them happen.
            self.effects.append(&mut self.then);
            self.then = std::mem::take(&mut self.effects);
        }
        let is_only_words = records.iter().all(is_word);
        Aside { records: if is_only_words { Vec::new() } else { records }, orders }
    }

    /// The commit under way has ended.
    fn end(&mut self) -> Vec<Record> {
        self.is_late = false;
        self.committing.take().map(|(records, _)| records).unwrap_or_default()
    }
}

/// Leaves the last of each fact.
fn newest_facts(records: Vec<Record>) -> Vec<Record> {
    let mut names = BTreeSet::new();
    let mut is_newest = |record: &Record| match record {
        Record::Fact { name, .. } => names.insert(*name),
        _ => true,
    };
    let mut kept: Vec<Record> = records.into_iter().rev().filter(|record| is_newest(record)).collect();
    kept.reverse();
    kept
}

fn is_fact_of(record: &Record, of: &str) -> bool {
    matches!(record, Record::Fact { name, .. } if *name == of)
}

const fn is_word(record: &Record) -> bool {
    matches!(record, Record::Alert { .. } | Record::Notice { .. })
}

const fn in_bound(words: &mut usize) -> bool {
    *words += 1;
    *words <= MAX_WORDS
}

/// What a strategy holds is not worth telling when a newer word on it waits behind.
fn is_outdated_by(waiting: &Then, effect: &Then) -> bool {
    let held = |effect: &Then| match effect {
        Then::Tell(output) => match &**output {
            DeskOutput::SubBook { strategy, symbol, .. } => Some((strategy.clone(), symbol.clone())),
            _ => None,
        },
        Then::Send { .. } => None,
    };
    let of = held(effect);
    of.is_some() && held(waiting) == of
}

fn may_be_forgotten(effect: &Then) -> bool {
    let is_kept =
        |output: &DeskOutput| matches!(output, DeskOutput::SubBook { .. } | DeskOutput::Introduction { .. });
    matches!(effect, Then::Tell(output) if !is_kept(output))
}

/// Whether it is the first record of the order.
fn is_row_of(record: &Record, id: &ClientOrderId) -> bool {
    matches!(record, Record::Order(row) if row.request.client_id == *id)
}

/// Whether orders and sub-books are rebuilt from it, or a post-mortem cannot do without it.
const fn is_fact(record: &Record) -> bool {
    match record {
        Record::Order(_)
        | Record::Change(_)
        | Record::Fill { .. }
        | Record::Correction { .. }
        | Record::Activity(_)
        | Record::Fact { .. }
        | Record::StrategyState { .. }
        | Record::Audit(_) => true,
        Record::Equity { .. }
        | Record::Signal { .. }
        | Record::Refusal { .. }
        | Record::HostStart { .. }
        | Record::Alert { .. }
        | Record::Notice { .. } => false,
    }
}

/// The leg that it records, if that is one of these orders.
fn leg_of(record: &Record, parents: &[ClientOrderId]) -> Option<ClientOrderId> {
    let Record::Order(row) = record else { return None };
    let (parent, _) = row.links.leg_of.as_ref()?;
    parents.contains(parent).then(|| row.request.client_id.clone())
}
