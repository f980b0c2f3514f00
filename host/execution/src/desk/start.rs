//! The start of a desk: the stored orders, the broker's truth, and the difference as events.

use std::{collections::BTreeSet, time::Duration};

use sandpit_broker::{Broker, BrokerError};
use sandpit_cores::{
    Backoff,
    orders::{OrderEvent, SubBook},
    reconcile::{self, Difference},
};
use sandpit_store::{OrderRow, Stored};
use sandpit_types::{BrokerOrder, ClientOrderId, ExecutionId};
use tokio::time::sleep;

use super::{Desk, stored};
use crate::{
    DeskError, Reconciled, Review,
    machine::{Action, Outcome},
    rows,
};

/// Tries of each read at the start, while the broker cannot be reached.
const START_TRIES: u32 = 5;
const START_RETRY_BASE: Duration = Duration::from_millis(250);
const START_RETRY_CAP: Duration = Duration::from_secs(2);

/// Orders are asked for from so long before the newest record: what a machine that died without warning had
/// not written yet, and clocks that are apart.
const LOST_BEFORE: Duration = Duration::from_secs(600);
/// So many orders that ended while nobody looked are looked up one by one.
const FEW_MISSING: usize = 8;
/// Older ones are always looked up one by one: the list of all orders since then would be too long.
const MISSING_BEFORE: Duration = Duration::from_secs(4 * 86_400);
/// The broker stamps an order later than we record it, unless its clock is behind by this.
const CLOCKS_APART: Duration = Duration::from_secs(60);

impl<B: Broker, R: Review> Desk<B, R> {
    /// At the start: the stored orders, the broker's truth, and the difference as events. Afterwards the
    /// books are reconciled and [`Desk::run`] may begin. Orders of unknown outcome, and those that the
    /// broker's list lacks, keep their exposure and are resolved while it runs; until then entries are
    /// refused.
    ///
    /// # Errors
    /// [`DeskError`]; the desk must not run then.
    pub async fn reconcile(&mut self) -> Result<Reconciled, DeskError> {
        let stored = self.store.load().await?;
        let broker = self.broker.clone();
        let asked_at = self.clock.now();
        let since = stored.newest.unwrap_or(asked_at) - LOST_BEFORE;
        let (account, listed, recent) = tokio::join!(
            persist(self.backoff(), || broker.account()),
            persist(self.backoff(), || broker.open_orders()),
            persist(self.backoff(), || broker.orders_since(since)),
        );
        let (account, listed, recent) = (account?, listed?, recent?);
        self.machine.claim_records(&account, &stored.facts, asked_at)?;
        let lives = stored.epochs.clone();
        self.take_stored(stored)?;
        self.machine.begin_account();
        let fills_before = self.stats.read().fills;
        let (positions, open) = (Vec::new(), 0);
        let mut found = Reconciled {
            account: account.clone(),
            open,
            adopted: 0,
            foreign: 0,
            missing: 0,
            fills: 0,
            positions,
            lives,
        };
        // First those that may be over: what the list of open ones shows of an order is the newer word.
        self.take_recent(recent, &mut found).await?;
        let missing = self.take_listed(&listed, &mut found).await?;
        self.take_missing(missing, &mut found).await?;
        self.machine.check_cash(&account, asked_at, self.clock.now());
        // After the orders: their fills are in the positions, and the rows name them.
        let since = self.machine.activities_since();
        let (positions, activities) = tokio::join!(
            persist(self.backoff(), || broker.positions()),
            persist(self.backoff(), || broker.activities(since)),
        );
        // Those are not worth a start that fails: they are asked for again while the desk runs, and until
        // then the account is not measured.
        self.machine.activities_read(activities, self.clock.now());
        self.machine.take_account(account, asked_at, self.clock.now());
        found.positions = self.machine.first_positions(&positions?, self.clock.now());
        found.fills = usize::try_from(self.stats.read().fills - fills_before).unwrap_or(usize::MAX);
        found.open = self.machine.books.open_count();
        self.save().await?;
        self.machine.books.set_reconciled(true);
        Ok(found)
    }

    /// Orders of ours that the machine may have forgotten, whatever has become of them.
    async fn take_recent(
        &mut self,
        recent: Vec<BrokerOrder>,
        found: &mut Reconciled,
    ) -> Result<(), DeskError> {
        for shown in recent {
            match self.machine.name_of(&shown) {
                Some(id) if self.machine.books.order(&id).is_some() => self.seen(&id, shown),
                Some(id) => self.lost(&id, shown, found).await?,
                // Those that are open are in the list.
                None => {}
            }
        }
        Ok(())
    }

    /// The open orders. Returns those of ours that are not among them.
    async fn take_listed(
        &mut self,
        listed: &[BrokerOrder],
        found: &mut Reconciled,
    ) -> Result<Vec<ClientOrderId>, DeskError> {
        let mut missing = Vec::new();
        for difference in reconcile::orders(&self.machine.books, self.machine.claims(), listed) {
            match difference {
                Difference::Known { client_id, shown } => self.seen(&client_id, shown),
                Difference::Lost { client_id, shown } => self.lost(&client_id, shown, found).await?,
                Difference::Foreign { shown } => self.stranger(shown, found).await?,
                Difference::Missing { client_id } => missing.push(client_id),
            }
        }
        Ok(missing)
    }

    /// Orders of ours that ended while nobody looked: a few are looked up one by one, and the start does not
    /// wait for them. Of many, one question brings those that are not too old.
    async fn take_missing(
        &mut self,
        missing: Vec<ClientOrderId>,
        found: &mut Reconciled,
    ) -> Result<(), DeskError> {
        let recorded_at = |id: &ClientOrderId| Some(self.machine.books.order(id)?.recorded_at);
        let oldest = self.clock.now() - MISSING_BEFORE;
        let young = missing.iter().filter_map(recorded_at).filter(|at| *at >= oldest);
        let since = young.clone().min().filter(|_| young.count() > FEW_MISSING);
        if let Some(since) = since {
            let broker = self.broker.clone();
            let ended = persist(self.backoff(), || broker.orders_since(since - CLOCKS_APART)).await?;
            let missing: BTreeSet<&ClientOrderId> = missing.iter().collect();
            for shown in ended {
                if let Some(id) = self.machine.name_of(&shown).filter(|id| missing.contains(id)) {
                    self.seen(&id, shown);
                }
            }
        }
        for id in missing {
            if self.machine.books.order(&id).is_some_and(|order| !order.state().is_settled()) {
                found.missing += 1;
                self.machine.hurry_look_up(&id, self.clock.now());
            }
        }
        Ok(())
    }

    /// Takes in what is stored.
    fn take_stored(&mut self, stored: Stored) -> Result<(), DeskError> {
        self.machine.restore_facts(&stored.facts);
        self.machine.set_lives(stored.epochs);
        self.machine.restore_cash(&stored.facts, stored.newest, self.clock.now())?;
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
        match stored(&self.store, id, &shown.id).await? {
            Some(order) => self.recorded(order, shown)?,
            None => {
                found.adopted += 1;
                self.machine.adopt(id, &shown, self.clock.now());
            }
        }
        Ok(())
    }

    /// The broker has an order open that does not say that it is ours: a leg, for one, has no name of ours.
    async fn stranger(&mut self, shown: BrokerOrder, found: &mut Reconciled) -> Result<(), DeskError> {
        match self.store.order_at_broker(&shown.id).await? {
            Some(order) => self.recorded(order, shown)?,
            None => {
                found.foreign += 1;
                self.machine.not_recorded(&shown.id, self.clock.now());
                self.machine.foreigner(&shown, self.clock.now());
            }
        }
        Ok(())
    }

    /// The store has it, under whatever name of ours.
    fn recorded(
        &mut self,
        (row, executions): (OrderRow, BTreeSet<ExecutionId>),
        shown: BrokerOrder,
    ) -> Result<(), DeskError> {
        let id = row.request.client_id.clone();
        if self.machine.books.order(&id).is_none() {
            self.machine.restore_late(rows::stored(row, executions)?, self.clock.now())?;
        }
        self.seen(&id, shown);
        Ok(())
    }

    /// Commits what reconciling found, before anything new. The disk has it before anything is sent: an order
    /// of a life that the records do not know says that they are older than the order.
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
        Ok(self.store.sync().await?)
    }

    const fn backoff(&mut self) -> (Backoff, u64) {
        let backoff = Backoff::new(START_RETRY_BASE, START_RETRY_CAP).at_most(START_TRIES);
        (backoff, self.machine.random())
    }
}

/// Repeats a read while the broker cannot be reached.
async fn persist<T, F: Future<Output = Result<T, BrokerError>>>(
    (mut backoff, mut random): (Backoff, u64),
    read: impl Fn() -> F,
) -> Result<T, BrokerError> {
    loop {
        match read().await {
            Err(error @ (BrokerError::Unavailable { .. } | BrokerError::RetryAfter { .. })) => {
                match backoff.fail(random) {
                    Some(wait) => sleep(wait).await,
                    None => return Err(error),
                }
                random = random.rotate_left(7);
            }
            result => return result,
        }
    }
}
