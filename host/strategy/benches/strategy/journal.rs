//! The journal as a host has it, on a disk.

use std::sync::atomic::Ordering;

use sandpit_journal::{Journal, Retention, Settings};
use sandpit_types::MarketTime;

use crate::{strategies::Yard, world};

impl Yard {
    /// A journal of its own.
    pub(crate) fn journal(&self, session: &str) -> Journal {
        let settings = Settings {
            root: self.folder().join("journal"),
            session: session.to_owned(),
            host: env!("CARGO_PKG_VERSION").to_owned(),
            retention: Retention::default(),
        };
        Journal::start(settings, || MarketTime::EPOCH).expect("a thread")
    }
}

/// Entries that there was no room for.
pub(crate) fn lost(journal: &Journal) -> u64 {
    journal.counters().lost.load(Ordering::Relaxed)
}

/// Waits for the writer.
pub(crate) struct Idle<'a> {
    journal: &'a Journal,
    before: u64,
}

impl<'a> Idle<'a> {
    pub(crate) fn of(journal: &'a Journal) -> Self {
        Self { journal, before: journal.counters().entries.load(Ordering::Relaxed) }
    }

    /// Until it has written that many entries since this was made.
    pub(crate) fn await_after(&mut self, entries: usize) {
        let counters = self.journal.counters();
        world::wait_until("the journal is written", || {
            counters.entries.load(Ordering::Relaxed) >= self.before + entries as u64
        });
    }
}
