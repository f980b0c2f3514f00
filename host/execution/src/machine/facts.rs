//! What the review keeps over restarts: written down together with what changed it.

use std::collections::BTreeMap;

use sandpit_store::{Record, facts};
use sandpit_types::{Account, Fill, MarketTime};

use super::Machine;
use crate::{DeskError, Review};

impl<R: Review> Machine<R> {
    /// Makes sure that the records are those of this account in this mode, before anything of them is
    /// believed. Records that say nothing are taken. Then a life of the host begins in them.
    pub(crate) fn claim_records(
        &mut self,
        account: &Account,
        stored: &BTreeMap<String, String>,
        now: MarketTime,
    ) -> Result<(), DeskError> {
        let ours = format!("{} account {}", self.config.mode, account.id);
        match stored.get(facts::ACCOUNT) {
            Some(stored) if *stored == ours => {}
            Some(stored) => return Err(DeskError::OtherAccount { stored: stored.clone(), ours }),
            None => self.ledger.record(Record::Fact { name: facts::ACCOUNT, value: Some(ours) }),
        }
        let (epoch, mode) = (self.config.epoch, self.config.mode.to_owned());
        self.ledger.record(Record::HostStart { epoch, mode, time: now });
        Ok(())
    }

    /// Gives the review what earlier lives kept.
    pub(crate) fn restore_facts(&mut self, facts: &BTreeMap<String, String>) {
        self.review.restore(facts);
    }

    /// Tells the review of fills that were counted.
    pub(super) fn review_fills(&mut self, fills: &[Fill]) {
        for fill in fills {
            self.review.filled(fill, self.books.position(&fill.symbol));
        }
        self.keep_facts();
    }

    /// Writes down what of it has changed.
    pub(super) fn keep_facts(&mut self) {
        if !self.ledger.keeps() {
            return;
        }
        for (name, value) in self.review.facts() {
            self.ledger.record(Record::Fact { name, value: Some(value) });
        }
    }
}
