//! How commits end, and what the database refuses or does not answer.

use sandpit_store::{Record, StoreError};
use sandpit_types::{ClientOrderId, MarketTime};
use tracing::error;

use super::{Machine, Mode};
use crate::{Review, rows};

/// The longest text of a record that is put aside.
const MAX_ASIDE_CHARS: usize = 4_000;

impl<R: Review> Machine<R> {
    pub(super) fn committed(&mut self, result: Result<(), StoreError>, now: MarketTime) {
        match result {
            Ok(()) => {
                if self.ledger.is_stuck() {
                    // It is worth telling again should it fail again.
                    self.said.clear();
                }
                let then = self.ledger.committed();
                self.perform(then, now);
            }
            Err(StoreError::Refused { cause }) => self.refused(&cause, now),
            Err(error) => {
                self.stats.write(|counts| counts.failed_commits += 1);
                for id in self.ledger.failed(now, self.chance.next()) {
                    self.unrecorded(&id, now);
                }
                if error.is_final() {
                    self.alert(format!("{error}; nothing can be recorded any more: the host ends"), now);
                    self.broken = Some(error.to_string());
                    self.mode = Mode::Stopping;
                    return;
                }
                self.alert(
                    format!("{error}; orders are refused until the database takes records again"),
                    now,
                );
            }
        }
    }

    /// The database is there, and does not take what is in this commit.
    fn refused(&mut self, cause: &str, now: MarketTime) {
        self.stats.write(|counts| counts.failed_commits += 1);
        let books = &self.books;
        let aside = self.ledger.refused(|id| books.order(id).map(rows::order));
        for id in aside.orders {
            self.unrecorded(&id, now);
        }
        if aside.records.is_empty() {
            return;
        }
        let of = |record: &Record| match record {
            Record::Order(row) => Some(row.request.client_id.clone()),
            Record::Change(change) => Some(change.client_id.clone()),
            Record::Fill { fill, .. } => Some(fill.client_id.clone()),
            _ => None,
        };
        let order: Option<ClientOrderId> = aside.records.iter().find_map(of);
        let what = order.map_or_else(|| "a record".to_owned(), |id| format!("a record of order {id}"));
        let detail = format!("{what} ({cause}): {:?}", aside.records);
        let detail: String = detail.chars().take(MAX_ASIDE_CHARS).collect();
        error!(event = "records-refused", "the database refuses {detail}");
        self.stats.write(|counts| counts.put_aside += aside.records.len() as u64);
        self.ledger.record(Record::Notice { time: now, subject: "put-aside", detail });
        self.alert(
            format!(
                "the database refuses {what} ({cause}): it is not kept, only noted; all else goes on, and \
                 the next start asks the broker"
            ),
            now,
        );
    }

    /// Orders are not taken while nobody knows whether they can be recorded.
    pub(super) fn watch_commit(&mut self, now: MarketTime) {
        if self.ledger.has_become_late(now) {
            self.stats.write(|counts| counts.late_commits += 1);
            let span = self.config.commit_within.as_secs();
            self.alert(
                format!("the database has not answered for {span} s; orders are refused until it does"),
                now,
            );
        }
    }
}
