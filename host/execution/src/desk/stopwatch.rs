//! How long orders take on their way, for the monitor. Nothing here decides.

use std::sync::{Arc, OnceLock};

use sandpit_broker::{GateError, Permit};
use sandpit_store::Record;
use tokio::time::Instant;

use crate::{DeskInput, DeskStats};

/// From intents to their commit.
#[derive(Debug)]
pub(super) struct Stopwatch {
    stats: Arc<DeskStats>,
    /// When the oldest intents came of which no order has been recorded yet.
    since: Option<Instant>,
}

/// A commit under way.
#[derive(Debug)]
pub(super) struct Commit {
    stats: Arc<DeskStats>,
    /// `None` when it carries no order.
    since: Option<Instant>,
}

/// The right to trade, and when it was asked for.
pub(super) struct Timed {
    permit: Arc<dyn Permit>,
    stats: Arc<DeskStats>,
    since: Instant,
    asked_at: OnceLock<Instant>,
}

impl Stopwatch {
    pub(super) const fn new(stats: Arc<DeskStats>) -> Self {
        Self { stats, since: None }
    }

    pub(super) fn hear(&mut self, input: &DeskInput) {
        if matches!(input, DeskInput::Intents { .. }) {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// These go to the store now.
    pub(super) fn commits(&mut self, records: &[Record]) -> Commit {
        let heard_at = self.since.take();
        let has_order = records.iter().any(|record| matches!(record, Record::Order(_)));
        let since = has_order.then(Instant::now);
        if let (Some(heard_at), Some(now)) = (heard_at, since) {
            self.stats.write(|counts| counts.steps.decide.add(now - heard_at));
        }
        Commit { stats: self.stats.clone(), since }
    }
}

impl Commit {
    pub(super) fn ended(self) {
        if let Some(since) = self.since {
            self.stats.write(|counts| counts.steps.record.add(since.elapsed()));
        }
    }
}

impl Timed {
    pub(super) fn new(permit: Arc<dyn Permit>, stats: Arc<DeskStats>) -> Arc<Self> {
        Arc::new(Self { permit, stats, since: Instant::now(), asked_at: OnceLock::new() })
    }

    /// The answer is there; gives back how long all of it took.
    pub(super) fn answered(&self) -> std::time::Duration {
        let now = Instant::now();
        if let Some(asked_at) = self.asked_at.get() {
            self.stats.write(|counts| {
                counts.steps.send.add(*asked_at - self.since);
                counts.steps.answer.add(now - *asked_at);
            });
        }
        now - self.since
    }
}

impl Permit for Timed {
    fn check(&self) -> Result<(), GateError> {
        self.asked_at.get_or_init(Instant::now);
        self.permit.check()
    }
}
