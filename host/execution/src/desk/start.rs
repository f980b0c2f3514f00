//! The start of a desk: the stored orders, the broker's truth, and the difference as events.

use std::time::Duration;

use sandpit_broker::{Broker, BrokerError};
use sandpit_cores::{
    Backoff,
    orders::{OrderEvent, SubBook},
    reconcile::{self, Difference},
};
use sandpit_types::{BrokerOrder, ClientOrderId};
use tokio::time::sleep;

use super::Desk;
use crate::{
    DeskError, Reconciled, Review,
    machine::{Action, Outcome},
    rows,
};

/// Tries of each read at the start, while the broker cannot be reached.
const START_TRIES: u32 = 5;
const START_RETRY_BASE: Duration = Duration::from_millis(250);
const START_RETRY_CAP: Duration = Duration::from_secs(2);

impl<B: Broker, R: Review> Desk<B, R> {
    /// At the start: the stored orders, the broker's truth, and the difference as events. Afterwards the
    /// books are reconciled and [`Desk::run`] may begin. Orders of unknown outcome, and those that the
    /// broker's list lacks, keep their exposure and are resolved while it runs; until then entries are
    /// refused.
    ///
    /// # Errors
    /// [`DeskError`]; the desk must not run then.
    pub async fn reconcile(&mut self) -> Result<Reconciled, DeskError> {
        self.load().await?;
        let broker = self.broker.clone();
        let asked_at = self.clock.now();
        let account = self.persist(|| broker.account()).await?;
        let listed = self.persist(|| broker.open_orders()).await?;
        self.machine.take_account(account.clone(), asked_at, self.clock.now());
        let fills_before = self.stats.read().fills;
        let (positions, open) = (Vec::new(), 0);
        let mut found = Reconciled { account, open, adopted: 0, foreign: 0, missing: 0, fills: 0, positions };
        for difference in reconcile::orders(&self.machine.books, &listed) {
            match difference {
                Difference::Known { client_id, shown } => self.seen(&client_id, shown),
                Difference::Lost { client_id, shown } => self.lost(&client_id, shown, &mut found).await?,
                Difference::Foreign { shown } => {
                    found.foreign += 1;
                    self.machine.foreigner(&shown, self.clock.now());
                }
                // There may be hundreds after a night, so the start does not wait for them.
                Difference::Missing { client_id } => {
                    found.missing += 1;
                    self.machine.hurry_look_up(&client_id, self.clock.now());
                }
            }
        }
        // After the orders: their fills are in the positions.
        let positions = self.persist(|| broker.positions()).await?;
        found.positions = self.machine.first_positions(&positions, self.clock.now());
        found.fills = usize::try_from(self.stats.read().fills - fills_before).unwrap_or(usize::MAX);
        found.open = self.machine.books.open_count();
        self.save().await?;
        self.machine.books.set_reconciled(true);
        Ok(found)
    }

    async fn load(&mut self) -> Result<(), DeskError> {
        let stored = self.store.load().await?;
        self.machine.restore_facts(&stored.facts);
        for row in stored.sub_books {
            let book = SubBook { qty: row.qty, cost: row.cost, cash: row.cash };
            self.machine.books.restore_sub_book(row.strategy.clone(), row.symbol.clone(), book);
            let realised = self.machine.books.realised(&row.strategy);
            self.stats.write(|counts| {
                counts.strategies.entry(row.strategy.clone()).or_default().realised = realised;
            });
            self.machine.tell_sub_book(row.strategy, row.symbol);
        }
        for (row, executions) in stored.open_orders {
            let order = rows::stored(row, executions)?;
            self.machine.restore(order, self.clock.now())?;
        }
        Ok(())
    }

    fn seen(&mut self, id: &ClientOrderId, shown: BrokerOrder) {
        self.machine.absorb(id, &OrderEvent::Snapshot(shown), self.clock.now(), "seen at the start");
    }

    /// The broker has an order of ours open that was not loaded: closed in the store, or not there at all.
    async fn lost(
        &mut self,
        id: &ClientOrderId,
        shown: BrokerOrder,
        found: &mut Reconciled,
    ) -> Result<(), DeskError> {
        if self.machine.books.order(id).is_some() {
            // The broker's list had it twice: orders move between its pages while it is read.
            self.seen(id, shown);
            return Ok(());
        }
        match self.store.order(id).await? {
            Some((row, executions)) => {
                let order = rows::stored(row, executions)?;
                self.machine.restore(order, self.clock.now())?;
                self.seen(id, shown);
            }
            None => {
                found.adopted += 1;
                self.machine.adopt(id, &shown, self.clock.now());
            }
        }
        Ok(())
    }

    /// Commits what reconciling found, before anything new.
    async fn save(&mut self) -> Result<(), DeskError> {
        while !self.machine.is_saved() {
            for action in self.machine.settled(self.clock.now()) {
                match action {
                    Action::Commit(records) => {
                        self.store.commit(records).await?;
                        self.machine.outcome(Outcome::Committed(Ok(())), self.clock.now());
                    }
                    other => self.start(other),
                }
            }
        }
        Ok(())
    }

    /// Repeats a read while the broker cannot be reached.
    async fn persist<T, F: Future<Output = Result<T, BrokerError>>>(
        &mut self,
        read: impl Fn() -> F,
    ) -> Result<T, BrokerError> {
        let mut backoff = Backoff::new(START_RETRY_BASE, START_RETRY_CAP).at_most(START_TRIES);
        loop {
            match read().await {
                Err(error @ (BrokerError::Unavailable { .. } | BrokerError::RetryAfter { .. })) => {
                    match backoff.fail(self.machine.random()) {
                        Some(wait) => sleep(wait).await,
                        None => return Err(error),
                    }
                }
                result => return result,
            }
        }
    }
}
