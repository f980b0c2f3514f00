//! The edge: one loop that waits, and starts what the machine asks for.

use std::{collections::HashMap, collections::VecDeque, sync::Arc, time::Duration};

use sandpit_broker::{Broker, BrokerError, Permit, SendTerms};
use sandpit_cores::{
    Backoff,
    orders::{Books, OrderEvent, SubBook},
    reconcile::{self, Difference},
};
use sandpit_store::Store;
use sandpit_types::{BrokerOrder, ClientOrderId, MarketClock, Pulse};
use tokio::{
    sync::mpsc,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::error;

use crate::{
    DeskConfig, DeskEnd, DeskError, DeskInput, DeskOutput, DeskStats, Reconciled, Review,
    machine::{Action, Machine, Mode, Outcome},
    rows,
};

/// Outputs that may wait for whoever reads them. When full, the desk takes no inputs until some are read.
const MAX_OUTBOX: usize = 10_000;

/// How long a stop waits for what is still to be written, real time.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// The longest sleep, real time: a market clock that stands still answers with no end of waiting.
const MAX_SLEEP: Duration = Duration::from_secs(3600);

/// Tries of each read at the start, while the broker cannot be reached.
const START_TRIES: u32 = 5;
const START_RETRY_BASE: Duration = Duration::from_millis(250);
const START_RETRY_CAP: Duration = Duration::from_secs(2);

/// Box 4.
pub struct Desk<B, R> {
    machine: Machine<R>,
    broker: Arc<B>,
    store: Store,
    permit: Arc<dyn Permit>,
    clock: Arc<dyn MarketClock>,
    pulse: Arc<Pulse>,
    stats: Arc<DeskStats>,
    drain_within: Duration,
    outbox: VecDeque<DeskOutput>,
    tasks: JoinSet<Outcome>,
    /// Which POST a task carries: one that ends without an answer leaves its outcome unknown.
    posts: HashMap<Id, ClientOrderId>,
}

impl<B: Broker, R: Review> Desk<B, R> {
    /// A desk with empty books. `seed` spreads its back-offs.
    #[expect(clippy::too_many_arguments, reason = "each is another box's end of the wiring, given once")]
    pub fn new(
        config: DeskConfig,
        broker: Arc<B>,
        store: Store,
        review: R,
        permit: Arc<dyn Permit>,
        clock: Arc<dyn MarketClock>,
        pulse: Arc<Pulse>,
        seed: u64,
    ) -> Self {
        let stats = Arc::new(DeskStats::default());
        Self {
            drain_within: config.drain_within,
            machine: Machine::new(config, review, stats.clone(), seed),
            broker,
            store,
            permit,
            clock,
            pulse,
            stats,
            outbox: VecDeque::new(),
            tasks: JoinSet::new(),
            posts: HashMap::new(),
        }
    }

    /// The counts, for the monitor.
    pub fn stats(&self) -> Arc<DeskStats> {
        self.stats.clone()
    }

    /// The books; reconciled once [`Desk::reconcile`] has returned.
    pub const fn books(&self) -> &Books {
        &self.machine.books
    }

    /// The pulse of its loop.
    pub fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

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

    /// Works until it is told to drain or stop. Dropping the future ends everything under way, as a crash
    /// would.
    ///
    /// Outputs are never dropped: when `outputs` is full for long, inputs wait, probes included.
    pub async fn run(
        mut self,
        mut inputs: mpsc::Receiver<DeskInput>,
        outputs: mpsc::Sender<DeskOutput>,
    ) -> DeskEnd {
        let mut drain_until = None;
        loop {
            if self.outbox.len() >= MAX_OUTBOX || inputs.len() > inputs.max_capacity() / 2 {
                self.machine.deaf(self.clock.now());
            }
            self.turn();
            match self.machine.mode {
                Mode::Open => {}
                Mode::Draining => {
                    let until = *drain_until.get_or_insert_with(|| Instant::now() + self.drain_within);
                    let is_done = self.machine.unresolved() == 0 && self.is_quiet();
                    if is_done || Instant::now() >= until {
                        let unresolved = self.machine.unresolved();
                        self.finish(&outputs).await;
                        return DeskEnd::Drained { unresolved };
                    }
                }
                Mode::Stopping => {
                    self.finish(&outputs).await;
                    return DeskEnd::Stopped;
                }
            }
            let wait = |at| self.clock.real_until(at).min(MAX_SLEEP);
            let deadline = self.machine.deadline().map(|at| Instant::now() + wait(at));
            let wake = [deadline, drain_until].into_iter().flatten().min();
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                input = inputs.recv(), if self.outbox.len() < MAX_OUTBOX => self.take(input),
                room = outputs.reserve(), if !self.outbox.is_empty() => match room {
                    Ok(room) => self.outbox.pop_front().map(|output| room.send(output)).unwrap_or_default(),
                    Err(_) => self.machine.mode = Mode::Stopping,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    fn take(&mut self, input: Option<DeskInput>) {
        match input {
            Some(DeskInput::Probe(nonce)) => self.pulse.answer(nonce),
            Some(input) => {
                self.machine.input(input, self.clock.now());
                self.pulse.work();
            }
            None => self.machine.mode = Mode::Stopping,
        }
    }

    fn ended(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok((id, outcome)) => (id, Some(outcome)),
            Err(panic) => {
                error!(%panic, "a request ended without an answer; this is a defect");
                (panic.id(), None)
            }
        };
        let post = self.posts.remove(&id);
        if outcome.is_none() && post.is_none() {
            // What it was to bring is waited for in vain. Only a new life can be trusted.
            self.machine.mode = Mode::Stopping;
        }
        let lost = |id| {
            let result =
                Err(BrokerError::OutcomeUnknown { message: "its task ended without an answer".into() });
            Outcome::Submitted { id, result, took: Duration::ZERO }
        };
        if let Some(outcome) = outcome.or_else(|| post.map(lost)) {
            self.machine.outcome(outcome, self.clock.now());
            self.pulse.work();
        }
    }

    /// Starts what is to be done now.
    fn turn(&mut self) {
        for action in self.machine.turn(self.clock.now()) {
            self.start(action);
        }
    }

    fn start(&mut self, action: Action) {
        let (broker, store) = (self.broker.clone(), self.store.clone());
        match action {
            Action::Tell(output) => self.outbox.push_back(output),
            Action::Commit(records) => {
                self.tasks.spawn(async move { Outcome::Committed(store.commit(records).await) });
            }
            Action::Submit { request, class, deadline } => {
                let terms = SendTerms { class, deadline: Some(deadline), permit: self.permit.clone() };
                let id = request.client_id.clone();
                let task = self.tasks.spawn(async move {
                    let start = Instant::now();
                    let result = broker.submit(&request, terms).await;
                    Outcome::Submitted { id: request.client_id, result, took: start.elapsed() }
                });
                self.posts.insert(task.id(), id);
            }
            Action::Cancel { id, broker_id } => {
                self.tasks.spawn(async move {
                    let result = broker.cancel(&broker_id, Some(&id.strategy)).await;
                    Outcome::Cancelled { id, result }
                });
            }
            Action::LookUp(id) => {
                self.tasks.spawn(async move {
                    let result = broker.order_by_client_id(&id).await;
                    Outcome::LookedUp { id, result }
                });
            }
            Action::List => {
                self.tasks.spawn(async move { Outcome::Listed(broker.open_orders().await) });
            }
            Action::ReadAccount => {
                self.tasks.spawn(async move { Outcome::Account(broker.account().await) });
            }
            Action::ReadPositions => {
                self.tasks.spawn(async move { Outcome::Positions(broker.positions().await) });
            }
            Action::Fetch(id) => {
                self.tasks.spawn(async move {
                    let result = store.order(&id).await;
                    Outcome::Fetched { id, result }
                });
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.machine.is_saved() && self.outbox.is_empty()
    }

    /// Writes and tells what is still to be written and told, within a bound.
    async fn finish(&mut self, outputs: &mpsc::Sender<DeskOutput>) {
        self.machine.mode = Mode::Stopping;
        let flush = async {
            loop {
                self.turn();
                while let Some(output) = self.outbox.pop_front() {
                    if outputs.send(output).await.is_err() {
                        self.outbox.clear();
                    }
                }
                if self.is_quiet() {
                    return;
                }
                match self.tasks.join_next_with_id().await {
                    Some(ended) => self.ended(ended),
                    None => return,
                }
            }
        };
        if timeout(STOP_WITHIN, flush).await.is_err() {
            error!("not everything could be written before the stop; the next start asks the broker");
        }
    }
}

/// What only the start needs.
impl<B: Broker, R: Review> Desk<B, R> {
    async fn load(&mut self) -> Result<(), DeskError> {
        let stored = self.store.load().await?;
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
