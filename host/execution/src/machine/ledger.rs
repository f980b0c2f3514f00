//! What has to be written, and what may happen once it is.
//!
//! One commit is under way at a time; whatever comes up meanwhile goes into the next one together. Effects
//! are performed in order, after the records before them are on the disk.

use std::time::Duration;

use sandpit_cores::Backoff;
use sandpit_store::Record;
use sandpit_types::{ClientOrderId, MarketTime, OrderUpdate};

use crate::DeskOutput;

/// Records that may wait for the disk before new orders are refused.
const MAX_WAITING: usize = 10_000;

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

#[derive(Debug)]
pub(super) struct Ledger {
    records: Vec<Record>,
    then: Vec<Then>,
    committing: Option<(Vec<Record>, Vec<Then>)>,
    backoff: Backoff,
    retry_at: Option<MarketTime>,
}

impl Default for Ledger {
    fn default() -> Self {
        let backoff = Backoff::new(RETRY_BASE, RETRY_CAP);
        Self { records: Vec::new(), then: Vec::new(), committing: None, backoff, retry_at: None }
    }
}

impl Ledger {
    pub(super) fn record(&mut self, record: Record) {
        // While the disk takes nothing, only what orders and sub-books are rebuilt from is worth the memory.
        if self.records.len() < MAX_WAITING || is_fact(&record) {
            self.records.push(record);
        }
    }

    pub(super) fn then(&mut self, effect: Then) {
        self.then.push(effect);
    }

    /// Whether new orders can be recorded.
    pub(super) fn takes_orders(&self) -> bool {
        !self.is_failing() && self.records.len() < MAX_WAITING
    }

    /// Whether the last commit failed.
    pub(super) const fn is_failing(&self) -> bool {
        self.backoff.failures() > 0
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.records.is_empty() && self.then.is_empty() && self.committing.is_none()
    }

    pub(super) fn deadline(&self) -> Option<MarketTime> {
        self.retry_at
    }

    pub(super) fn next(&mut self, now: MarketTime) -> Next {
        let is_waiting = self.retry_at.is_some_and(|at| now < at);
        if self.committing.is_some() || is_waiting || (self.records.is_empty() && self.then.is_empty()) {
            return Next::Nothing;
        }
        self.retry_at = None;
        let then = std::mem::take(&mut self.then);
        if self.records.is_empty() {
            return Next::Perform(then);
        }
        let records = std::mem::take(&mut self.records);
        self.committing = Some((records.clone(), then));
        Next::Commit(records)
    }

    /// The commit is on the disk: its effects.
    pub(super) fn committed(&mut self) -> Vec<Then> {
        self.backoff.succeed();
        self.committing.take().map(|(_, then)| then).unwrap_or_default()
    }

    /// The commit failed. What the broker did, and what is told of it, is kept for the next one. New orders
    /// are not: they are returned, to be refused.
    pub(super) fn failed(&mut self, now: MarketTime, random: u64) -> Vec<ClientOrderId> {
        let (records, then) = self.committing.take().unwrap_or_default();
        let mut orders = Vec::new();
        let mut told = Vec::new();
        for effect in then {
            match effect {
                Then::Send { id, .. } => orders.push(id),
                Then::Tell(_) => told.push(effect),
            }
        }
        let legs: Vec<ClientOrderId> = records.iter().filter_map(|record| leg_of(record, &orders)).collect();
        let is_gone = |id: &ClientOrderId| orders.contains(id) || legs.contains(id);
        let was_sent = |record: &Record| !subject(record).is_some_and(is_gone);
        let mut kept: Vec<Record> = records.into_iter().filter(is_fact).filter(was_sent).collect();
        kept.extend(self.records.drain(..).filter(was_sent));
        self.records = kept;
        told.append(&mut self.then);
        self.then = told;
        self.retry_at = self.backoff.fail(random).map(|wait| now + wait);
        orders
    }
}

/// Whether orders and sub-books are rebuilt from it, or a post-mortem cannot do without it.
const fn is_fact(record: &Record) -> bool {
    match record {
        Record::Order(_)
        | Record::Change(_)
        | Record::Fill { .. }
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

/// The order a fact is about.
fn subject(record: &Record) -> Option<&ClientOrderId> {
    match record {
        Record::Order(row) => Some(&row.request.client_id),
        Record::Change(change) => Some(&change.client_id),
        Record::Fill { fill, .. } => Some(&fill.client_id),
        Record::Audit(audit) => audit.client_id.as_ref(),
        Record::Equity { .. }
        | Record::Signal { .. }
        | Record::Refusal { .. }
        | Record::HostStart { .. }
        | Record::Activity(_)
        | Record::Fact { .. }
        | Record::StrategyState { .. }
        | Record::Alert { .. }
        | Record::Notice { .. } => None,
    }
}
