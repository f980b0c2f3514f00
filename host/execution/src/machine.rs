//! The desk's decisions: inputs, results and time go in, actions come out. Nothing here waits.

mod absorb;
mod action;
mod activities;
mod answers;
mod audit;
mod cash;
mod chance;
mod closing;
mod commits;
mod disputes;
mod errands;
mod facts;
mod freeze;
mod hearing;
mod intents;
mod ledger;
mod legs;
mod log;
mod operator;
mod pause;
mod plan;
mod polls;
mod quality;
mod recall;
mod recording;
mod replace;
mod sends;
mod shares;
mod shown;
mod story;
mod strangers;
mod successors;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use sandpit_cores::{
    orders::{Books, OrderEvent, OrderState},
    reconcile::CashCheck,
};
use sandpit_store::Record;
use sandpit_types::{BrokerOrderId, ClientOrderId, HostEpoch, Leg, MarketTime};
use tracing::warn;

pub(crate) use self::action::{Action, Fetched, Outcome};
use self::{
    activities::Rows,
    cash::Written,
    chance::Chance,
    closing::Closings,
    disputes::Disputes,
    errands::Errands,
    freeze::Freezes,
    hearing::Hearing,
    ledger::{Ledger, Next, Then},
    plan::Planning,
    polls::{Poll, Sync},
    quality::Quality,
    recall::Recalls,
    sends::Sends,
    shares::Shares,
    story::Story,
};
use crate::{DeskConfig, DeskInput, DeskOutput, DeskStats, Review, api::introduction};

/// Different alerts that are remembered, so that each is raised once. When full, all are forgotten.
const MAX_SAID: usize = 1000;

/// How soon to ask again for an order whose report cannot be right.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Why orders are cancelled that are cancelled with everything.
const ALL_ORDERS: &str = "all orders";

/// How far the desk goes along with new orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Orders are taken.
    Open,
    /// No new orders; what is recorded is still sent, and symbols are left for which that has begun.
    Draining,
    /// Nothing is sent any more.
    Stopping,
}

pub(crate) struct Machine<R> {
    pub(crate) books: Books,
    pub(crate) mode: Mode,
    /// Why nothing can be recorded any more until the host is started again.
    pub(crate) broken: Option<String>,
    config: DeskConfig,
    review: R,
    stats: Arc<DeskStats>,
    sequence: u64,
    ledger: Ledger,
    sends: Sends,
    planning: Planning,
    closings: Closings,
    errands: Errands,
    fetching: BTreeMap<ClientOrderId, Vec<OrderEvent>>,
    /// Orders that are over and were shown without their legs, since when.
    lacking_legs: BTreeMap<ClientOrderId, MarketTime>,
    /// Orders that the broker is to show with their legs, of which the books may have none.
    unshown: BTreeSet<ClientOrderId>,
    /// Of those that are fetched, the legs, each with its parent.
    fetching_legs: BTreeMap<ClientOrderId, (ClientOrderId, Leg)>,
    list: Poll,
    account: Poll,
    positions: Poll,
    activities: Poll,
    rows: Rows,
    cash: CashCheck,
    freezes: Freezes,
    /// What of these is in the store.
    written: Written,
    sync: Option<Sync>,
    foreign: BTreeSet<BrokerOrderId>,
    recalls: Recalls,
    /// Lives of the host that the store knows, or of which a human was told that it does not.
    lives: BTreeSet<HostEpoch>,
    disputes: Disputes,
    shares: Shares,
    hearing: Hearing,
    /// How many times the order stream has come up.
    connection: u64,
    story: Story,
    quality: Quality,
    said: BTreeSet<String>,
    /// Whether the books changed since they were published.
    is_changed: bool,
    chance: Chance,
    actions: Vec<Action>,
}

impl<R: Review> Machine<R> {
    pub(crate) fn new(config: DeskConfig, review: R, stats: Arc<DeskStats>, seed: u64) -> Self {
        Self {
            books: Books::default(),
            mode: Mode::Open,
            list: Poll::new(config.poll_every_down, polls::LIST_RETRY_CAP),
            account: Poll::new(config.account_every, polls::RETRY_CAP),
            positions: Poll::new(config.positions_every, polls::RETRY_CAP),
            activities: Poll::new(config.activities_every, polls::RETRY_CAP),
            rows: Rows::default(),
            cash: CashCheck::new(config.stream_grace),
            freezes: Freezes::default(),
            written: Written::default(),
            hearing: Hearing::new(config.stream_grace),
            ledger: Ledger::new(config.commit_within),
            config,
            review,
            stats,
            sequence: 0,
            broken: None,
            sends: Sends::default(),
            planning: Planning::default(),
            closings: Closings::default(),
            errands: Errands::default(),
            fetching: BTreeMap::new(),
            fetching_legs: BTreeMap::new(),
            lacking_legs: BTreeMap::new(),
            unshown: BTreeSet::new(),
            sync: None,
            foreign: BTreeSet::new(),
            recalls: Recalls::default(),
            lives: BTreeSet::new(),
            disputes: Disputes::default(),
            shares: Shares::default(),
            connection: 0,
            story: Story::default(),
            quality: Quality::default(),
            said: BTreeSet::new(),
            is_changed: true,
            chance: Chance(seed),
            actions: Vec::new(),
        }
    }

    /// Takes one input. Probes are the edge's own.
    pub(crate) fn input(&mut self, input: DeskInput, now: MarketTime) {
        match input {
            DeskInput::Intents { strategy, incarnation, intents } => {
                self.books.begin_life(self.config.epoch, &strategy, incarnation);
                self.intents(&strategy, incarnation, intents, now);
            }
            DeskInput::Update(update) => self.updated(update, now),
            DeskInput::OrderStreamUp => {
                self.connection += 1;
                self.stream_ended(Some(Sync::default()), now);
            }
            DeskInput::OrderStreamDown => self.stream_ended(None, now),
            DeskInput::CancelStrategy(strategy) => {
                self.cancel_all(&strategy, &audit::host(), ALL_ORDERS, &mut Vec::new(), now);
            }
            DeskInput::WithdrawPlanned(strategy) => self.withdraw_planned(&strategy, now),
            DeskInput::Quarantined { strategy, reason } => {
                self.raise(format!("the strategy {strategy} is quarantined: {reason}"), now);
                self.cancel_all(&strategy, &audit::host(), ALL_ORDERS, &mut Vec::new(), now);
            }
            DeskInput::CancelSymbols { strategy, symbols } => self.cancel_symbols(&strategy, &symbols, now),
            // Behind whatever waits to be told: what happened before it is in it.
            DeskInput::Introduce(strategy) => self.tell(introduction(&self.books, &strategy)),
            DeskInput::Claims(claims) => self.config.claims = claims,
            DeskInput::Instruction(instruction) => self.instructed(instruction, now),
            DeskInput::Freeze { reason } => self.freeze_by_rule(&reason, now),
            DeskInput::Drain => self.mode = Mode::Draining,
            DeskInput::Stop => self.mode = Mode::Stopping,
            DeskInput::Probe(_) => {}
        }
    }

    /// Takes the end of one action.
    pub(crate) fn outcome(&mut self, outcome: Outcome, now: MarketTime) {
        match outcome {
            Outcome::Committed(result) => self.committed(result, now),
            Outcome::Submitted { id, result, took } => self.submitted(&id, result, took, now),
            Outcome::Cancelled { id, result } => self.cancelled(&id, result, now),
            Outcome::LookedUp { id, result } => self.looked_up(&id, result, false, now),
            Outcome::Asked { id, result } => self.looked_up(&id, result, true, now),
            Outcome::Identified { broker_id, result } => self.identified(&broker_id, result, now),
            Outcome::Listed(result) => self.listed(result, now),
            Outcome::Account(result) => self.account_read(result, now),
            Outcome::Positions(result) => self.positions_read(result, now),
            Outcome::Activities(result) => self.activities_read(result, now),
            Outcome::Fetched { id, result } => self.fetched(&id, result, now),
            Outcome::Recalled { broker_id, result } => self.recalled(&broker_id, result, now),
        }
    }

    /// Nothing of what happens is stored: what may follow a record follows at once.
    pub(crate) fn unkept(mut self) -> Self {
        self.ledger.keep_nothing();
        self
    }

    /// Does what is due, shows it to the monitor, and returns all there is to do now.
    pub(crate) fn turn(&mut self, now: MarketTime) -> Vec<Action> {
        let actions = self.work(now);
        if std::mem::take(&mut self.is_changed) {
            self.show();
        }
        actions
    }

    /// Does what is due, and returns all there is to do now.
    pub(crate) fn work(&mut self, now: MarketTime) -> Vec<Action> {
        self.watch_commit(now);
        match self.mode {
            Mode::Open | Mode::Draining => self.ask(now),
            Mode::Stopping => {}
        }
        self.close_positions(now);
        self.pump(now);
        self.watch_overdue(now);
        self.close_story(now, self.mode == Mode::Stopping);
        self.settle(now);
        if self.ledger.is_idle() {
            self.books.forget_old(now);
        }
        std::mem::take(&mut self.actions)
    }

    /// Starts the questions and cancels that are due.
    fn ask(&mut self, now: MarketTime) {
        self.poll(now);
        for (errand, id) in self.errands.due(now) {
            self.run_errand(errand, id, now);
        }
        self.check_sync(now);
        self.suspect(now);
    }

    /// When [`Machine::turn`] has to be called although nothing happened.
    pub(crate) fn deadline(&self) -> Option<MarketTime> {
        let polls = [&self.list, &self.account, &self.positions, &self.activities]
            .into_iter()
            .filter_map(Poll::deadline);
        let own = [
            self.errands.deadline(),
            self.ledger.deadline(),
            self.hearing.deadline(),
            self.planning.deadline(),
            self.closings.deadline(),
        ];
        polls.chain(own.into_iter().flatten()).min()
    }

    /// Orders whose outcome is not known: not sent yet, on their way, or lost from sight.
    pub(crate) fn unresolved(&self) -> usize {
        let open_ended = |state: &OrderState| state.is_open() && !state.is_at_broker();
        self.books.open_orders().filter(|order| open_ended(order.state())).count()
    }

    /// Whether nothing that has begun is still to be done.
    pub(crate) fn is_drained(&self) -> bool {
        self.unresolved() == 0 && self.closings.is_empty() && self.planning.is_empty()
    }

    /// Whether everything that happened is written and told.
    pub(crate) fn is_saved(&self) -> bool {
        self.ledger.is_idle()
    }

    /// What the ledger asks for now, and nothing else.
    pub(crate) fn settled(&mut self, now: MarketTime) -> Vec<Action> {
        self.settle(now);
        std::mem::take(&mut self.actions)
    }

    /// The review of orders.
    pub(crate) const fn review(&self) -> &R {
        &self.review
    }

    /// The same, to be changed.
    pub(crate) const fn review_mut(&mut self) -> &mut R {
        &mut self.review
    }

    /// 64 random bits.
    pub(crate) const fn random(&mut self) -> u64 {
        self.chance.next()
    }

    /// Starts the next commit and performs what the last one allows, until there is nothing to do at once.
    fn settle(&mut self, now: MarketTime) {
        self.keep_cash_facts();
        loop {
            match self.ledger.next(now) {
                Next::Commit(records) => self.actions.push(Action::Commit(records)),
                Next::Perform(then) => self.perform(then, now),
                Next::Nothing => return,
            }
        }
    }

    fn perform(&mut self, then: Vec<Then>, now: MarketTime) {
        for effect in then {
            match effect {
                Then::Tell(output) => self.actions.push(Action::Tell(*output)),
                Then::Send { id, update } => {
                    let strategy = id.strategy.clone();
                    let told = update.map(|update| Action::Tell(DeskOutput::Order { strategy, update }));
                    self.actions.extend(told);
                    self.sends.ready(id);
                }
            }
        }
        self.start_sends(now);
    }

    /// Tells something after everything that has to be recorded before it.
    fn tell(&mut self, output: DeskOutput) {
        if !self.ledger.then(Then::Tell(Box::new(output))) {
            self.stats.write(|counts| counts.not_told += 1);
        }
    }

    pub(crate) fn tell_sub_book(
        &mut self,
        strategy: sandpit_types::StrategyName,
        symbol: sandpit_types::Symbol,
    ) {
        let book = self.books.sub_book(&strategy, &symbol);
        self.tell(DeskOutput::SubBook { strategy, symbol, qty: book.qty, avg_price: book.avg_price() });
    }

    /// Tells a human, once, and without waiting for the disk.
    fn alert(&mut self, text: String, now: MarketTime) {
        if self.said.len() >= MAX_SAID {
            self.said.clear();
        }
        if self.said.insert(text.clone()) {
            self.raise(text, now);
        }
    }

    /// Tells a human, without waiting for the disk.
    fn raise(&mut self, text: String, now: MarketTime) {
        warn!("{text}");
        self.stats.write(|counts| counts.alerts += 1);
        self.ledger.record(Record::Alert { time: now, text: text.clone() });
        self.actions.push(Action::Tell(DeskOutput::Alert(text)));
    }
}
