//! The edge: one loop that waits, and starts what the machine asks for.

#[cfg(test)]
mod by_hand;
mod start;
mod stopwatch;

use std::{collections::HashMap, collections::VecDeque, sync::Arc, time::Duration};

use sandpit_broker::{Broker, BrokerError, Class, Permit, SendTerms};
use sandpit_cores::orders::Books;
use sandpit_store::{Record, Store, StoreError};
use sandpit_types::{BrokerOrderId, ClientOrderId, MarketClock, MarketTime, Pulse};
use tokio::{
    sync::mpsc,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tracing::error;

use crate::{
    DeskConfig, DeskEnd, DeskInput, DeskOutput, DeskStats, Review,
    crash::{self, Point},
    desk::stopwatch::{Stopwatch, Timed},
    machine::{Action, Fetched, Machine, Mode, Outcome},
};

/// Outputs that may wait for whoever reads them. When full, the desk takes no inputs until some are read.
const MAX_OUTBOX: usize = 10_000;

/// How long a stop waits for what is still to be written, real time.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// The longest sleep, real time: a market clock that stands still answers with no end of waiting.
const MAX_SLEEP: Duration = Duration::from_secs(3600);

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
    stopwatch: Stopwatch,
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
            stopwatch: Stopwatch::new(stats.clone()),
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
            if self.turn() {
                // What was started is on its way before anybody is told of it: else the tasks that tell go
                // first.
                tokio::task::yield_now().await;
            }
            match self.machine.mode {
                Mode::Open => {}
                Mode::Draining => {
                    let until = *drain_until.get_or_insert_with(|| Instant::now() + self.drain_within);
                    let is_done = self.machine.is_drained() && self.is_quiet();
                    if is_done || Instant::now() >= until {
                        let unresolved = self.machine.unresolved();
                        self.finish(&outputs).await;
                        return DeskEnd::Drained { unresolved };
                    }
                }
                Mode::Stopping => {
                    self.finish(&outputs).await;
                    let broken = self.machine.broken.take();
                    return broken.map_or(DeskEnd::Stopped, |why| DeskEnd::Broken { why });
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
                self.stopwatch.hear(&input);
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

    /// Starts what is to be done now; whether that is anything besides telling.
    fn turn(&mut self) -> bool {
        let mut has_started = false;
        for action in self.machine.turn(self.clock.now()) {
            has_started |= !matches!(action, Action::Tell(_));
            self.start(action);
        }
        has_started
    }

    fn start(&mut self, action: Action) {
        let (broker, store) = (self.broker.clone(), self.store.clone());
        match action {
            Action::Tell(output) => self.outbox.push_back(output),
            Action::Commit(records) => {
                let timing = self.stopwatch.commits(&records);
                self.tasks.spawn(async move {
                    let result = commit(&store, records).await;
                    timing.ended();
                    Outcome::Committed(result)
                });
            }
            Action::Submit { request, class, deadline } => {
                let (id, (timed, terms)) = (request.client_id.clone(), self.terms(class, deadline));
                let task = self.tasks.spawn(async move {
                    crash::point(Point::BeforePost);
                    let result = broker.submit(&request, terms).await;
                    crash::point(Point::AfterPost);
                    Outcome::Submitted { id: request.client_id, result, took: timed.answered() }
                });
                self.posts.insert(task.id(), id);
            }
            Action::Cancel { id, broker_id } => {
                self.tasks.spawn(async move {
                    let result = broker.cancel(&broker_id, Some(&id.strategy)).await;
                    crash::point(Point::MidCancel);
                    Outcome::Cancelled { id, result }
                });
            }
            Action::Replace { id, broker_id, change, class, deadline } => {
                let (new, (timed, terms)) = (id.clone(), self.terms(class, deadline));
                let task = self.tasks.spawn(async move {
                    let result = broker.replace(&broker_id, &new, &change, terms).await;
                    crash::point(Point::MidReplace);
                    Outcome::Submitted { id: new, result, took: timed.answered() }
                });
                self.posts.insert(task.id(), id);
            }
            Action::Ask { id, broker_id } => {
                self.tasks.spawn(async move {
                    let result = broker.order(&broker_id, Class::Reduce).await;
                    Outcome::Asked { id, result }
                });
            }
            Action::LookUp(id) => {
                self.tasks.spawn(async move {
                    let result = broker.order_by_client_id(&id).await;
                    Outcome::LookedUp { id, result }
                });
            }
            Action::Identify(broker_id) => {
                self.tasks.spawn(async move {
                    let result = broker.order(&broker_id, Class::Poll).await;
                    Outcome::Identified { broker_id, result }
                });
            }
            Action::ReadActivities(since) => {
                self.tasks.spawn(async move { Outcome::Activities(broker.activities(since).await) });
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
            Action::Fetch { id, broker_id } => {
                self.tasks.spawn(async move {
                    let result = stored(&store, &id, &broker_id).await;
                    Outcome::Fetched { id, result }
                });
            }
            Action::Recall(broker_id) => {
                self.tasks.spawn(async move {
                    let result = store.order_at_broker(&broker_id).await;
                    Outcome::Recalled { broker_id, result }
                });
            }
        }
    }

    /// The terms of a POST or a PATCH that begins now.
    fn terms(&self, class: Class, deadline: MarketTime) -> (Arc<Timed>, SendTerms) {
        let timed = Timed::new(self.permit.clone(), self.stats.clone());
        let terms = SendTerms { class, deadline: Some(deadline), permit: timed.clone() };
        (timed, terms)
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

/// An order of ours that the broker calls `broker_id`, under whatever name of ours it was recorded.
async fn stored(store: &Store, id: &ClientOrderId, broker_id: &BrokerOrderId) -> Result<Fetched, StoreError> {
    match store.order(id).await? {
        None => store.order_at_broker(broker_id).await,
        found => Ok(found),
    }
}

async fn commit(store: &Store, records: Vec<Record>) -> Result<(), StoreError> {
    let is_answer = |record: &Record| matches!(record, Record::Change(change) if change.broker_id.is_some());
    crash::point(Point::BeforeCommit);
    if records.iter().any(is_answer) {
        crash::point(Point::BeforeAnswerStored);
    }
    let result = store.commit(records).await;
    crash::point(Point::AfterCommit);
    result
}
