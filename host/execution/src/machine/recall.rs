//! Orders that the broker names by its own id and the books do not have. Nothing is called somebody else's
//! before the store was asked: a leg that is over is not loaded by the next life, and the books forget what
//! is long over.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};

use sandpit_cores::orders::OrderEvent;
use sandpit_store::{OrderRow, StoreError};
use sandpit_types::{BrokerOrder, BrokerOrderId, ClientOrderId, ExecutionId, MarketTime};
use tracing::info;

use super::{Action, Fetched, Machine};
use crate::{Review, rows};

/// Orders that the store is asked for at a time. The rest are named again by a row or a list.
const MAX_ASKING: usize = 256;
/// Orders that are remembered as not recorded. When full, all are forgotten and asked for again.
const MAX_UNRECORDED: usize = 1_000;
/// So long an order counts as not recorded, market time: shorter than the books remember one that is over,
/// so that what was recorded since is in one of the two.
const UNRECORDED_FOR: Duration = Duration::from_secs(300);

/// What the store is asked, and what it has not.
#[derive(Debug, Default)]
pub(super) struct Recalls {
    /// With what the broker showed of each last.
    asking: BTreeMap<BrokerOrderId, Option<BrokerOrder>>,
    unrecorded: BTreeMap<BrokerOrderId, MarketTime>,
    /// Whether a row of the activities waits for an answer.
    is_row_waiting: bool,
}

impl<R: Review> Machine<R> {
    /// Whether the store has no order that the broker calls by this id. `false` while that is being asked:
    /// what is `shown` is taken in with the answer, and without it a row waits, which comes again.
    pub(super) fn is_unrecorded(
        &mut self,
        broker_id: &BrokerOrderId,
        shown: Option<&BrokerOrder>,
        now: MarketTime,
    ) -> bool {
        let recalls = &mut self.recalls;
        if recalls.unrecorded.get(broker_id).is_some_and(|since| now.since(*since) < UNRECORDED_FOR) {
            return true;
        }
        recalls.is_row_waiting |= shown.is_none();
        let has_room = recalls.asking.len() < MAX_ASKING;
        match recalls.asking.entry(broker_id.clone()) {
            Entry::Occupied(mut asked) => {
                if shown.is_some() {
                    asked.insert(shown.cloned());
                }
            }
            Entry::Vacant(free) if has_room => {
                free.insert(shown.cloned());
                self.actions.push(Action::Recall(broker_id.clone()));
            }
            Entry::Vacant(_) => {}
        }
        false
    }

    /// The store has no such order.
    pub(crate) fn not_recorded(&mut self, broker_id: &BrokerOrderId, now: MarketTime) {
        let unrecorded = &mut self.recalls.unrecorded;
        if unrecorded.len() >= MAX_UNRECORDED {
            unrecorded.clear();
        }
        unrecorded.insert(broker_id.clone(), now);
    }

    /// The store has answered.
    pub(super) fn recalled(
        &mut self,
        broker_id: &BrokerOrderId,
        result: Result<Fetched, StoreError>,
        now: MarketTime,
    ) {
        let shown = self.recalls.asking.remove(broker_id).flatten();
        let found = match result {
            Ok(found) => found,
            Err(error) => {
                return info!(order = %broker_id, %error, "whether it is recorded has to be asked again");
            }
        };
        let id = match found {
            Some(found) => self.take_recorded(found, now),
            None => {
                self.not_recorded(broker_id, now);
                shown.as_ref().and_then(|shown| self.name_of(shown))
            }
        };
        match (id, shown) {
            (Some(id), Some(shown)) => self.absorb(&id, &OrderEvent::Snapshot(shown), now, "recalled"),
            (None, Some(shown)) => self.foreigner(&shown, now),
            (_, None) => {}
        }
        if self.recalls.asking.is_empty() && std::mem::take(&mut self.recalls.is_row_waiting) {
            self.activities.hurry(now);
        }
    }

    /// Takes an order of the store into the books, unless it came by another way meanwhile. Its id, if it
    /// is there then.
    pub(super) fn take_recorded(
        &mut self,
        (row, executions): (OrderRow, BTreeSet<ExecutionId>),
        now: MarketTime,
    ) -> Option<ClientOrderId> {
        let id = row.request.client_id.clone();
        if self.books.order(&id).is_none()
            && let Err(error) = rows::stored(row, executions).and_then(|order| self.restore_late(order, now))
        {
            self.alert(format!("order {id} cannot be taken into the books: {error}"), now);
            return None;
        }
        Some(id)
    }
}
