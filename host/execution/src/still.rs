//! The edge without tasks: what the machine asks for is done at once, on the calling thread, and its answer
//! is heard in the same turn.
//!
//! It is for a backtest: in virtual time, over a broker in this process, with nothing stored. The life of an
//! order is the machine's, as in [`Desk`](crate::Desk); what differs is only what stands around it:
//!
//! - A record is on no disk, so what may follow it follows at once. What the books have forgotten is gone.
//! - The stream of orders is read to its end after every answer, so nothing is ever behind it. The fills that
//!   the broker lists among its activities are told by it already, and are passed over.
//! - The lists of open orders and positions for the monitor are made when they are asked for.

mod call;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sandpit_broker::{Broker, BrokerError, Class, OrderFeed, OrderSession, Permit, SendTerms};
use sandpit_cores::{
    orders::{Books, OrderEvent},
    reconcile::{self, Difference},
};
use sandpit_types::{Activity, BrokerOrder, Deed, HostEpoch, MarketTime};
use tracing::error;

use self::call::{answer, ready};
use crate::{
    DeskConfig, DeskError, DeskInput, DeskOutput, DeskStats, Review,
    machine::{Action, Machine, Outcome},
};

/// Rounds of asking and hearing in one turn. Orders leave sixteen at a time, so one batch may take many.
const MAX_ROUNDS: usize = 100_000;

/// Rows of the activities are asked for from so long before the last time: rows are stamped by the venue.
const OVERLAP: Duration = Duration::from_secs(60);

/// Orders are asked for from so long before the start, as a host does.
const LOST_BEFORE: Duration = Duration::from_secs(600);

/// A moment that does not come.
const NEVER: MarketTime = MarketTime::from_nanos(i64::MAX);

/// Box 4 of a backtest.
pub struct StillDesk<B: OrderFeed, R> {
    machine: Machine<R>,
    broker: Arc<B>,
    permit: Arc<dyn Permit>,
    stats: Arc<DeskStats>,
    stream: Option<B::Session>,
    /// Until when there is nothing to do, unless something is heard; `None` while there is.
    rests_until: Option<MarketTime>,
    /// When the activities were last read.
    activities_at: Option<MarketTime>,
    /// What was told before the first turn.
    told: Vec<DeskOutput>,
}

impl DeskConfig {
    /// Spans for a run in which nothing outside can be missed: the account is read once a minute of market
    /// time, all else far apart, or when something asks for it.
    pub const fn still(epoch: HostEpoch) -> Self {
        let mut config = Self::new(epoch);
        config.mode = "backtest";
        config.poll_every = Duration::from_secs(86_400);
        config.account_every = Duration::from_secs(60);
        config.positions_every = Duration::from_secs(3_600);
        config.activities_every = Duration::from_secs(86_400);
        config
    }
}

impl<B: Broker + OrderFeed, R: Review> StillDesk<B, R> {
    /// A desk with empty books. `seed` spreads its back-offs.
    ///
    /// `broker`'s calls must answer at once: one that is still pending when it is first polled is a defect,
    /// which is logged, and counts as one that could not be made, or of a POST as one whose outcome is not
    /// known.
    pub fn new(config: DeskConfig, broker: Arc<B>, review: R, permit: Arc<dyn Permit>, seed: u64) -> Self {
        let stats = Arc::new(DeskStats::default());
        Self {
            machine: Machine::new(config, review, stats.clone(), seed).unkept(),
            broker,
            permit,
            stats,
            stream: None,
            rests_until: None,
            activities_at: None,
            told: Vec::new(),
        }
    }

    /// Reads account, orders, positions and activities as a host does at its start, and opens the stream of
    /// orders. After it entries are allowed. What is told meanwhile, the next turn brings.
    ///
    /// # Errors
    /// [`DeskError::Broker`] when the broker does not answer; the desk must not be used then.
    pub fn open(&mut self, now: MarketTime) -> Result<(), DeskError> {
        let broker = self.broker.clone();
        let account = answer(broker.account())?;
        let listed = answer(broker.open_orders())?;
        let recent = answer(broker.orders_since(now - LOST_BEFORE))?;
        let nothing = BTreeMap::new();
        self.machine.claim_records(&account, &nothing, now)?;
        self.machine.restore_facts(&nothing);
        self.machine.restore_cash(&nothing, None, now)?;
        self.machine.begin_account();
        self.take_found(recent, &listed, now);
        self.machine.check_cash(&account, now, now);
        let since = self.machine.activities_since();
        let positions = answer(broker.positions())?;
        let activities = self.activities(since, now);
        self.machine.activities_read(activities, now);
        self.machine.take_account(account, now, now);
        self.machine.first_positions(&positions, now);
        self.machine.books.set_reconciled(true);
        let stream = ready(broker.open()).ok_or_else(call::pending)?;
        self.stream = Some(stream.map_err(|error| BrokerError::Unavailable { message: error.to_string() })?);
        self.machine.input(DeskInput::OrderStreamUp, now);
        let mut told = Vec::new();
        self.turn(now, &mut told);
        self.told = told;
        Ok(())
    }

    /// The orders that the broker has at the start: ours by their names, or somebody else's.
    fn take_found(&mut self, recent: Vec<BrokerOrder>, listed: &[BrokerOrder], now: MarketTime) {
        let machine = &mut self.machine;
        let ours = recent.into_iter().filter_map(|shown| Some((machine.name_of(&shown)?, shown)));
        let ours: Vec<_> = ours.collect();
        for (id, shown) in ours {
            match machine.books.order(&id) {
                Some(_) => machine.absorb(&id, &OrderEvent::Snapshot(shown), now, "seen at the start"),
                None => machine.adopt(&id, &shown, now),
            }
        }
        for difference in reconcile::orders(&machine.books, machine.claims(), listed) {
            match difference {
                Difference::Known { client_id, shown } => {
                    machine.absorb(&client_id, &OrderEvent::Snapshot(shown), now, "seen at the start");
                }
                Difference::Lost { client_id, shown } => machine.adopt(&client_id, &shown, now),
                Difference::Foreign { shown } => {
                    machine.not_recorded(&shown.id, now);
                    machine.foreigner(&shown, now);
                }
                Difference::Missing { client_id } => machine.hurry_look_up(&client_id, now),
            }
        }
    }

    /// Takes one input: intents, instructions, and updates of the venue unless the broker's own stream brings
    /// them. The next turn does what follows from it.
    pub fn input(&mut self, input: DeskInput, now: MarketTime) {
        self.rests_until = None;
        self.machine.input(input, now);
    }

    /// Does all that is to be done now, until nothing is left to do at once. Outputs are appended.
    ///
    /// Called with nothing to do, it costs little more than a look at the stream of orders.
    pub fn turn(&mut self, now: MarketTime, outputs: &mut Vec<DeskOutput>) {
        outputs.append(&mut self.told);
        self.hear(now);
        if self.rests_until.is_some_and(|until| now < until) {
            return;
        }
        for _ in 0..MAX_ROUNDS {
            let actions = self.machine.work(now);
            if actions.is_empty() {
                self.rests_until = Some(self.machine.deadline().unwrap_or(NEVER));
                return;
            }
            for action in actions {
                self.perform(action, now, outputs);
            }
            self.hear(now);
        }
        error!("the desk does not come to rest within {MAX_ROUNDS} rounds; this is a defect");
    }

    /// When `turn` has to be called although nothing happened.
    pub fn deadline(&self) -> Option<MarketTime> {
        self.machine.deadline()
    }

    /// The books; reconciled once [`Self::open`] has returned.
    pub const fn books(&self) -> &Books {
        &self.machine.books
    }

    /// The counts. What is open and held is that of this moment, and not brought up to date before the next
    /// call.
    pub fn stats(&self) -> Arc<DeskStats> {
        self.machine.show();
        self.stats.clone()
    }

    /// The review of orders.
    pub const fn review(&self) -> &R {
        self.machine.review()
    }

    /// The same, to be changed.
    pub const fn review_mut(&mut self) -> &mut R {
        self.machine.review_mut()
    }

    #[cfg(test)]
    pub(crate) const fn machine_mut(&mut self) -> &mut Machine<R> {
        &mut self.machine
    }

    /// The broker.
    pub const fn broker(&self) -> &Arc<B> {
        &self.broker
    }

    /// Takes in all that the stream of orders has brought.
    fn hear(&mut self, now: MarketTime) {
        while let Some(stream) = &mut self.stream {
            match ready(stream.next()) {
                None => return,
                Some(Ok(update)) => {
                    if let Some(update) = update {
                        self.input(DeskInput::Update(update), now);
                    }
                }
                Some(Err(cause)) => {
                    error!(%cause, "the stream of orders in this process has ended; this is a defect");
                    self.stream = None;
                    self.input(DeskInput::OrderStreamDown, now);
                }
            }
        }
    }

    fn perform(&mut self, action: Action, now: MarketTime, outputs: &mut Vec<DeskOutput>) {
        let broker = self.broker.clone();
        let outcome = match action {
            Action::Tell(output) => return outputs.push(output),
            Action::Commit(_) => Outcome::Committed(Ok(())),
            Action::Submit { request, class, deadline } => {
                let result = call::post(broker.submit(&request, self.terms(class, deadline)));
                Outcome::Submitted { id: request.client_id, result, took: Duration::ZERO }
            }
            Action::Replace { id, broker_id, change, class, deadline } => {
                let result =
                    call::post(broker.replace(&broker_id, &id, &change, self.terms(class, deadline)));
                Outcome::Submitted { id, result, took: Duration::ZERO }
            }
            Action::Cancel { id, broker_id } => {
                let result = answer(broker.cancel(&broker_id, Some(&id.strategy)));
                Outcome::Cancelled { id, result }
            }
            Action::Ask { id, broker_id } => {
                Outcome::Asked { id, result: answer(broker.order(&broker_id, Class::Reduce)) }
            }
            Action::LookUp(id) => {
                let result = answer(broker.order_by_client_id(&id));
                Outcome::LookedUp { id, result }
            }
            Action::Identify(broker_id) => {
                let result = answer(broker.order(&broker_id, Class::Poll));
                Outcome::Identified { broker_id, result }
            }
            Action::ReadActivities(since) => Outcome::Activities(self.activities(since, now)),
            Action::List => Outcome::Listed(answer(broker.open_orders())),
            Action::ReadAccount => Outcome::Account(answer(broker.account())),
            Action::ReadPositions => Outcome::Positions(answer(broker.positions())),
            // Nothing is stored.
            Action::Fetch { id, .. } => Outcome::Fetched { id, result: Ok(None) },
            Action::Recall(broker_id) => Outcome::Recalled { broker_id, result: Ok(None) },
        };
        self.machine.outcome(outcome, now);
    }

    /// The rows that are no fills: those the stream has told. As these are what the machine counts the time
    /// by from which on it asks, that is known here.
    fn activities(&mut self, since: MarketTime, now: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        let since = self.activities_at.map_or(since, |at| since.max(at - OVERLAP));
        let mut rows = answer(self.broker.activities(since))?;
        rows.retain(|row| !matches!(row.deed, Deed::Fill { .. }));
        self.activities_at = Some(now);
        Ok(rows)
    }

    fn terms(&self, class: Class, deadline: MarketTime) -> SendTerms {
        SendTerms { class, deadline: Some(deadline), permit: self.permit.clone() }
    }
}
