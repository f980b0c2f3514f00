//! The venue in memory behind the broker port: every call answers at once.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
};

use sandpit_broker::{
    Broker, BrokerError, Class, GateError, OrderFeed, OrderSession, SendTerms, StreamError,
};
use sandpit_types::{
    Account, Activity, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Clock, Deed, MarketTime,
    OrderRequest, Position, Price, SessionDay, StrategyName, TradeUpdate,
};

use super::{
    venue::{Sent, Venue},
    world::{Post, spy},
};

/// A venue, and what goes wrong on the way to it.
#[derive(Clone, Default)]
pub(super) struct Local(Arc<Mutex<Inner>>);

#[derive(Default)]
pub(super) struct Inner {
    pub(super) venue: Venue,
    /// What becomes of the next POSTs; of those after it nothing is said.
    pub(super) posts: VecDeque<Post>,
    /// Whether what is taken fills at once.
    pub(super) fills_at_once: bool,
    /// Whether the activities have rows of fills. A backtest passes over them; to a host's books they would
    /// only add other names for executions.
    pub(super) lists_fills: bool,
}

impl Local {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no panic holds it")
    }

    /// What the stream has to tell.
    pub(super) fn heard(&self) -> Vec<TradeUpdate> {
        self.lock().venue.stream.drain(..).collect()
    }
}

impl Inner {
    fn post(&mut self, sent: Sent) -> Result<BrokerOrder, BrokerError> {
        let post = self.posts.pop_front().unwrap_or(Post::Works);
        let unknown = Err(BrokerError::OutcomeUnknown { message: "time-out".into() });
        match post {
            Post::Works => self.take(sent),
            Post::AnswerLost => {
                self.take(sent).ok();
                unknown
            }
            Post::Lost | Post::Late(_) => unknown,
            Post::NoLease => Err(BrokerError::NotSent(GateError::NoLease)),
            Post::Rejected => Err(rejected()),
            Post::RejectedButThere => {
                self.take(sent).ok();
                Err(rejected())
            }
        }
    }

    fn take(&mut self, sent: Sent) -> Result<BrokerOrder, BrokerError> {
        let shown = self.venue.take(sent).map_err(|()| rejected())?;
        if self.fills_at_once {
            let index = self.venue.by_id(&shown.id).expect("it was taken");
            self.venue.fill(index, 5);
        }
        Ok(shown)
    }
}

fn rejected() -> BrokerError {
    BrokerError::Rejected { http_status: 403, code: Some(40_310_000), message: "no".into() }
}

fn not_found() -> BrokerError {
    BrokerError::NotFound { message: "order not found".into() }
}

impl Broker for Local {
    async fn submit(&self, order: &OrderRequest, terms: SendTerms) -> Result<BrokerOrder, BrokerError> {
        terms.permit.check()?;
        self.lock().post(Sent::Post(order.clone()))
    }

    async fn cancel(&self, id: &BrokerOrderId, _: Option<&StrategyName>) -> Result<(), BrokerError> {
        let venue = &mut self.lock().venue;
        let index = venue.by_id(id);
        if index.is_some_and(|index| venue.cancel(index)) { Ok(()) } else { Err(rejected()) }
    }

    async fn replace(
        &self,
        id: &BrokerOrderId,
        by: &ClientOrderId,
        change: &Change,
        terms: SendTerms,
    ) -> Result<BrokerOrder, BrokerError> {
        terms.permit.check()?;
        self.lock().post(Sent::Patch { old: id.clone(), by: by.clone(), change: *change })
    }

    async fn order(&self, id: &BrokerOrderId, _: Class) -> Result<BrokerOrder, BrokerError> {
        let venue = &self.lock().venue;
        venue.by_id(id).map(|index| venue.whole(index)).ok_or_else(not_found)
    }

    async fn orders_since(&self, _: MarketTime) -> Result<Vec<BrokerOrder>, BrokerError> {
        let venue = &self.lock().venue;
        Ok((0..venue.orders.len()).map(|index| venue.whole(index)).collect())
    }

    async fn activities(&self, since: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        let inner = self.lock();
        let mut rows = inner.venue.activities(since);
        rows.retain(|row| inner.lists_fills || !matches!(row.deed, Deed::Fill { .. }));
        Ok(rows)
    }

    async fn order_by_client_id(&self, id: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
        let venue = &self.lock().venue;
        venue.by_client_id(id).map(|index| venue.flat(index)).ok_or_else(not_found)
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerError> {
        let venue = &self.lock().venue;
        let listed = venue.open().into_iter().filter(|index| venue.is_listed(*index));
        Ok(listed.map(|index| venue.orders[index].shown.clone()).collect())
    }

    async fn positions(&self) -> Result<Vec<Position>, BrokerError> {
        let held = self.lock().venue.position();
        Ok(vec![Position {
            symbol: spy(),
            qty: held,
            qty_available: held,
            avg_entry_price: Price::ZERO,
            current_price: None,
        }])
    }

    async fn account(&self) -> Result<Account, BrokerError> {
        Ok(self.lock().venue.account())
    }

    async fn clock(&self) -> Result<Clock, BrokerError> {
        let now = MarketTime::EPOCH;
        Ok(Clock { now, is_open: true, next_open: now, next_close: now })
    }

    async fn calendar(&self, _: MarketTime, _: MarketTime) -> Result<Vec<SessionDay>, BrokerError> {
        Ok(Vec::new())
    }
}

/// The stream of a venue: what is told waits there.
pub(super) struct Told(Local);

impl OrderFeed for Local {
    type Session = Told;

    async fn open(&self) -> Result<Told, StreamError> {
        Ok(Told(self.clone()))
    }
}

impl OrderSession for Told {
    async fn next(&mut self) -> Result<Option<TradeUpdate>, StreamError> {
        poll_fn(|_| match self.0.lock().venue.stream.pop_front() {
            Some(update) => Poll::Ready(Ok(Some(update))),
            None => Poll::Pending,
        })
        .await
    }
}
