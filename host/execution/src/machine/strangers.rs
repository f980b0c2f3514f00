//! Orders with our prefix that the books do not have: the store is asked, and what it does not know either is
//! adopted.

use sandpit_cores::orders::OrderEvent;
use sandpit_store::{Record, StoreError};
use sandpit_types::{BrokerOrder, ClientOrderId, MarketTime};

use super::{Action, Fetched, Machine};
use crate::{Review, rows};

/// Events of one stranger that are kept while the store is asked. What is past it, a poll brings again.
const MAX_KEPT: usize = 64;

/// Strangers that are asked for at a time. The rest come again with the next list.
const MAX_FETCHING: usize = 256;

impl<R: Review> Machine<R> {
    pub(super) fn stranger(&mut self, id: &ClientOrderId, event: &OrderEvent) {
        if event.shown().is_none() {
            return;
        }
        if let Some(kept) = self.fetching.get_mut(id) {
            if kept.len() < MAX_KEPT {
                kept.push(event.clone());
            }
        } else if self.fetching.len() < MAX_FETCHING {
            self.fetching.insert(id.clone(), vec![event.clone()]);
            self.actions.push(Action::Fetch(id.clone()));
        }
    }

    pub(super) fn fetched(
        &mut self,
        id: &ClientOrderId,
        result: Result<Fetched, StoreError>,
        now: MarketTime,
    ) {
        let events = self.fetching.remove(id).unwrap_or_default();
        let is_known = match result {
            Ok(Some((row, executions))) => match rows::stored(row, executions) {
                Ok(stored) => self.restore(stored, now).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            },
            Ok(None) => {
                if let Some(shown) = events.iter().find_map(OrderEvent::shown) {
                    self.adopt(id, shown, now);
                }
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        };
        match is_known {
            Ok(()) if self.books.order(id).is_some() => {
                for event in &events {
                    self.absorb(id, event, now, "found");
                }
            }
            Ok(()) => {}
            Err(error) => self.alert(format!("order {id} cannot be taken into the books: {error}"), now),
        }
    }

    /// Takes in an order that neither books nor store have. Returns the number of its fills.
    pub(crate) fn adopt(&mut self, id: &ClientOrderId, shown: &BrokerOrder, now: MarketTime) -> usize {
        let applied = match self.books.adopt(id.clone(), shown) {
            Ok(applied) => applied,
            Err(error) => {
                self.alert(error.to_string(), now);
                return 0;
            }
        };
        let order = self.books.order(id).expect("it was adopted a moment ago");
        self.ledger.record(rows::order(order));
        self.keep(id, &applied, now, "adopted");
        let detail = format!("order {id} was not in the database and is adopted from the broker");
        self.ledger.record(Record::Notice { time: now, subject: "adopted", detail });
        self.stats.write(|counts| counts.adopted += 1);
        self.tend(id, now);
        applied.fills.len()
    }
}
