//! What the review keeps over restarts: written down together with what changed it.

use std::collections::BTreeMap;

use sandpit_store::Record;
use sandpit_types::Fill;

use super::Machine;
use crate::Review;

impl<R: Review> Machine<R> {
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
        for (name, value) in self.review.facts() {
            self.ledger.record(Record::Fact { name, value: Some(value) });
        }
    }
}
