//! A broker, a disk and a network in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use sandpit_broker::{BrokerError, GateError};
use sandpit_cores::{
    LossBreaker, Reading, Trip,
    orders::{OrderEvent, SubBook},
    reconcile::Standing,
};
use sandpit_risk::{Approved, Gates, Limits, Situation};
use sandpit_store::{OrderRow, Record, StoreError, SubBookRow};
use sandpit_types::{
    Account, BrokerOrder, BrokerOrderId, Change, ClientOrderId, ExecutionId, Fill, HostEpoch, Intent,
    MarketTime, OrderClass, OrderKind, OrderRequest, Position, Price, Qty, Quote, Refusal, Replace, Side,
    StrategyName, StrategyOrderId, Submit, Symbol, TimeInForce, Usd,
};

use super::{
    Action, Fetched, Machine, Outcome,
    venue::{Sent, Venue},
};
use crate::{DeskConfig, DeskInput, DeskOutput, DeskStats, Review, machine::Books, rows};

/// Orders are asked for from so long before the newest record.
const LOST_BEFORE: Duration = secs(600);

pub(super) const TIME_TO_LIVE: Duration = secs(30);

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn name() -> StrategyName {
    StrategyName::parse("sma").expect("a name")
}

pub(super) fn spy() -> Symbol {
    Symbol::new("SPY")
}

pub(super) fn qty(shares: i64) -> Qty {
    Qty::new(shares.into())
}

/// Every gate in a calm market and a rich account, asked afresh each time.
pub(super) struct Calm {
    /// What it says of an order that leaves a symbol.
    pub(super) leaving: Result<(), Refusal>,
    /// So many more orders pass, if there is an end to it.
    pub(super) left: Option<usize>,
    /// When the account was last asked for.
    pub(super) asked_at: Option<MarketTime>,
    /// What it was given back of an earlier life.
    pub(super) restored: BTreeMap<String, String>,
    /// The fills it was told of, each with what was held after it.
    pub(super) fills: Vec<(Qty, Qty)>,
    /// What it wants to be kept.
    pub(super) facts: Vec<(&'static str, String)>,
    /// The accounts it was told of.
    pub(super) accounts: Vec<(Usd, Standing)>,
    /// Money that the owner moved, in all.
    pub(super) transferred: Usd,
    /// The loss limits, and what they said first.
    pub(super) breaker: LossBreaker,
    pub(super) trip: Option<Trip>,
}

impl Default for Calm {
    fn default() -> Self {
        Self {
            leaving: Ok(()),
            left: None,
            asked_at: None,
            restored: BTreeMap::new(),
            fills: Vec::new(),
            facts: Vec::new(),
            accounts: Vec::new(),
            transferred: Usd::ZERO,
            breaker: LossBreaker::new(Limits::default().loss()),
            trip: None,
        }
    }
}

impl Review for Calm {
    fn review(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        _: Option<&ClientOrderId>,
        books: &Books,
        now: MarketTime,
    ) -> Result<Approved, Refusal> {
        let rich = Some(Usd::new(1_000_000_000.into()));
        let situation = Situation {
            lease: true,
            reconciled: books.is_reconciled(),
            order_stream_up: books.is_order_stream_up(),
            session_open: true,
            quote: Some(quote(&submit.symbol, now)),
            frozen: books.frozen().is_some(),
            paused: books.paused(strategy).is_some(),
            entries_stopped: false,
            equity: rich,
            buying_power: rich,
            // Long enough that every sale is one of shares held.
            position: qty(100_000),
            account_position: qty(100_000),
            ..Situation::default()
        };
        let approved = Gates::new(Limits::default()).check(strategy, submit, &situation, now)?;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).ok_or(Refusal::OrderRate)?;
        }
        Ok(approved)
    }

    fn may_leave(&self, _: &StrategyName, _: &Submit, _: &Books, _: MarketTime) -> Result<(), Refusal> {
        self.leaving
    }

    fn account(&mut self, account: &Account, cash: Standing, asked_at: MarketTime) {
        self.asked_at = Some(asked_at);
        self.accounts.push((account.equity, cash));
        let (unexplained, is_sure) = match cash {
            Standing::Explained => (Usd::ZERO, true),
            Standing::Unexplained(unexplained) => (unexplained, true),
            Standing::Doubtful(missing) => (Usd::ZERO - missing, false),
            Standing::Unclear => return,
        };
        let reading = Reading { equity: account.equity, unexplained, is_sure };
        self.trip = self.trip.or(self.breaker.record(Some(reading), asked_at));
    }

    fn transfer(&mut self, net: Usd, _: MarketTime, _: MarketTime) {
        self.transferred += net;
        self.breaker.transfer(net, true);
    }

    fn filled(&mut self, fill: &Fill, held: Qty) {
        self.fills.push((fill.qty, held));
        self.facts.push(("fills", self.fills.len().to_string()));
    }

    fn restore(&mut self, facts: &BTreeMap<String, String>) {
        self.restored.clone_from(facts);
    }

    fn facts(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.facts)
    }

    fn quote(&self, symbol: &Symbol, now: MarketTime) -> Option<Quote> {
        Some(quote(symbol, now))
    }
}

fn quote(symbol: &Symbol, time: MarketTime) -> Quote {
    Quote { symbol: symbol.clone(), time, bid: 99.99, bid_size: 1000, ask: 100.01, ask_size: 1000 }
}

/// An order at the market that lasts as long as most do.
pub(super) fn market(id: u64, side: Side, shares: i64) -> Submit {
    Submit {
        id: StrategyOrderId(id),
        symbol: spy(),
        side,
        qty: qty(shares),
        kind: OrderKind::Market,
        time_in_force: TimeInForce::Day,
        extended_hours: false,
        time_to_live: TIME_TO_LIVE,
        class: sandpit_types::OrderClass::Simple,
        reprice: None,
    }
}

/// What becomes of a POST.
#[derive(Clone, Copy, Debug)]
pub(super) enum Post {
    Works,
    AnswerLost,
    Lost,
    /// The answer is lost, and the request arrives only after this time.
    Late(Duration),
    NoLease,
    Rejected,
    /// The broker answers no, and yet the order fills.
    RejectedButThere,
}

#[derive(Default)]
pub(super) struct Disk {
    pub(super) orders: BTreeMap<ClientOrderId, OrderRow>,
    pub(super) fills: BTreeSet<(ClientOrderId, ExecutionId)>,
    pub(super) sub_books: BTreeMap<(StrategyName, Symbol), SubBookRow>,
    /// The rest.
    pub(super) story: Vec<Record>,
    /// Whether it refuses what a database with constraints does, instead of taking it for a defect.
    pub(super) has_constraints: bool,
    /// It refuses every commit with a change of this one.
    pub(super) poison: Option<ClientOrderId>,
    /// All commits, in order.
    commits: Vec<Vec<Record>>,
}

impl Disk {
    fn write(&mut self, records: Vec<Record>) {
        self.commits.push(records.clone());
        for record in records {
            match record {
                Record::Order(row) => {
                    let id = row.request.client_id.clone();
                    assert!(
                        self.has_constraints || !self.orders.contains_key(&id),
                        "an order was recorded twice"
                    );
                    self.orders.entry(id).or_insert(*row);
                }
                Record::Change(change) => {
                    let row = self.orders.get_mut(&change.client_id).expect("a change needs its order");
                    assert!(change.filled_qty >= row.filled_qty, "the stored watermark fell");
                    row.state = change.state;
                    row.is_open = change.is_open;
                    row.broker_id = change.broker_id;
                    row.filled_qty = change.filled_qty;
                    row.filled_notional = change.filled_notional;
                }
                Record::Fill { fill, after } => {
                    assert!(self.orders.contains_key(&fill.client_id), "a fill needs its order");
                    self.fills.insert((fill.client_id, fill.execution_id));
                    self.sub_books.insert((after.strategy.clone(), after.symbol.clone()), after);
                }
                told @ (Record::Correction { .. }
                | Record::Equity { .. }
                | Record::Signal { .. }
                | Record::Refusal { .. }
                | Record::HostStart { .. }
                | Record::Activity(_)
                | Record::Fact { .. }
                | Record::StrategyState { .. }
                | Record::Alert { .. }
                | Record::Audit(_)
                | Record::Notice { .. }) => self.story.push(told),
            }
        }
    }

    /// Why it would never take these.
    fn refusal(&self, records: &[Record]) -> Option<String> {
        let is_row = |id: &ClientOrderId| {
            records.iter().any(|record| matches!(record, Record::Order(row) if row.request.client_id == *id))
        };
        let changed = |record: &Record| match record {
            Record::Change(change) => Some(change.client_id.clone()),
            Record::Fill { fill, .. } => Some(fill.client_id.clone()),
            _ => None,
        };
        let is_bad = |id: &ClientOrderId| {
            self.poison.as_ref() == Some(id)
                || (self.has_constraints && !self.orders.contains_key(id) && !is_row(id))
        };
        let bad = records.iter().filter_map(changed).find(is_bad)?;
        Some(format!("FOREIGN KEY constraint failed ({bad})"))
    }

    /// The notices on one subject.
    pub(super) fn notices(&self, on: &str) -> Vec<&str> {
        self.story
            .iter()
            .filter_map(|record| match record {
                Record::Notice { subject, detail, .. } if *subject == on => Some(detail.as_str()),
                Record::Audit(audit) if audit.action == on => Some(audit.detail.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Loses the last commits, as when a machine dies before they are on the disk.
    pub(super) fn lose(&mut self, commits: usize) {
        let mut kept = std::mem::take(&mut self.commits);
        kept.truncate(kept.len().saturating_sub(commits));
        *self = Self::default();
        kept.into_iter().for_each(|records| self.write(records));
    }

    /// Loses every order and every fill, as when a machine dies before they are on the disk.
    pub(super) fn forget_orders(&mut self) {
        self.orders.clear();
        self.fills.clear();
        self.sub_books.clear();
        self.story.clear();
    }

    /// The values that outlive the process.
    pub(super) fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        for record in &self.story {
            match record {
                Record::Fact { name, value: Some(value) } => {
                    facts.insert((*name).to_owned(), value.clone());
                }
                Record::Fact { name, value: None } => drop(facts.remove(*name)),
                _ => {}
            }
        }
        facts
    }

    /// When the newest order, fill or equity was written.
    fn newest(&self) -> MarketTime {
        let orders = self.orders.values().map(|row| row.recorded_at);
        let equity = self.story.iter().filter_map(|record| match record {
            Record::Equity { time, .. } => Some(*time),
            _ => None,
        });
        orders.chain(equity).max().unwrap_or(MarketTime::EPOCH)
    }

    fn at_broker(&self, broker_id: &BrokerOrderId) -> Option<&OrderRow> {
        self.orders.values().find(|row| row.broker_id.as_ref() == Some(broker_id))
    }

    pub(super) fn executions(&self, id: &ClientOrderId) -> BTreeSet<ExecutionId> {
        self.fills.iter().filter(|(owner, _)| owner == id).map(|(_, execution)| execution.clone()).collect()
    }
}

pub(super) struct World {
    pub(super) machine: Machine<Calm>,
    pub(super) venue: Venue,
    pub(super) disk: Disk,
    pub(super) disk_works: bool,
    /// Whether the store answers questions.
    pub(super) reads_work: bool,
    pub(super) network_works: bool,
    pub(super) activities_work: bool,
    pub(super) positions_work: bool,
    /// Whether the disk is not older than the lives of the host.
    pub(super) knows_lives: bool,
    pub(super) next_post: Post,
    pub(super) lost_cancels: u32,
    pub(super) look_ups: u32,
    /// Orders of others that were asked for.
    pub(super) identified: u32,
    /// Reads of the activities.
    pub(super) activity_reads: u32,
    pub(super) told: Vec<DeskOutput>,
    pub(super) now: MarketTime,
    pub(super) incarnation: u32,
    pub(super) under_way: Vec<Action>,
    epoch: u64,
}

impl World {
    /// Reconciled, with the order stream up.
    pub(super) fn new() -> Self {
        let mut world = Self::bare();
        world.begin();
        world.told.clear();
        world
    }

    /// Nothing has begun.
    pub(super) fn bare() -> Self {
        Self {
            machine: machine(1),
            venue: Venue::default(),
            disk: Disk::default(),
            disk_works: true,
            reads_work: true,
            network_works: true,
            activities_work: true,
            positions_work: true,
            knows_lives: true,
            next_post: Post::Works,
            lost_cancels: 0,
            look_ups: 0,
            identified: 0,
            activity_reads: 0,
            told: Vec::new(),
            now: MarketTime::from_secs(1_000_000),
            incarnation: 0,
            under_way: Vec::new(),
            epoch: 1,
        }
    }

    /// The first life of the account.
    pub(super) fn begin(&mut self) {
        self.machine.restore_cash(&BTreeMap::new(), None, self.now).expect("nothing is stored");
        self.start();
    }

    fn start(&mut self) {
        self.machine.books.set_reconciled(true);
        self.machine.input(DeskInput::OrderStreamUp, self.now);
        self.calm();
    }

    pub(super) fn submit(&mut self, id: u64, side: Side, shares: i64) {
        self.submit_as(id, side, shares, OrderKind::Market, OrderClass::Simple);
    }

    pub(super) fn submit_as(&mut self, id: u64, side: Side, shares: i64, kind: OrderKind, class: OrderClass) {
        let rests = kind != OrderKind::Market || class != OrderClass::Simple;
        let submit = Submit {
            id: StrategyOrderId(id),
            symbol: spy(),
            side,
            qty: qty(shares),
            kind,
            time_in_force: if rests { TimeInForce::Gtc } else { TimeInForce::Day },
            extended_hours: false,
            time_to_live: TIME_TO_LIVE,
            class,
            reprice: None,
        };
        self.intent(Intent::Submit(submit));
    }

    pub(super) fn replace(&mut self, id: u64, new_id: u64, change: Change) {
        let (id, new_id) = (StrategyOrderId(id), StrategyOrderId(new_id));
        self.intent(Intent::Replace(Replace { id, new_id, change, time_to_live: TIME_TO_LIVE }));
    }

    pub(super) fn cancel(&mut self, id: u64) {
        self.intent(Intent::Cancel(StrategyOrderId(id)));
    }

    pub(super) fn intent(&mut self, intent: Intent) {
        let (strategy, incarnation) = (name(), self.incarnation);
        self.machine.input(DeskInput::Intents { strategy, incarnation, intents: vec![intent] }, self.now);
    }

    /// What the machine wants now; what it tells is heard at once.
    pub(super) fn turn(&mut self) -> Vec<Action> {
        let (tells, rest) =
            self.machine.turn(self.now).into_iter().partition(|action| matches!(action, Action::Tell(_)));
        let tells: Vec<Action> = tells;
        self.told.extend(tells.into_iter().filter_map(|action| match action {
            Action::Tell(output) => Some(output),
            _ => None,
        }));
        rest
    }

    /// Carries actions out.
    pub(super) fn run(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Some(outcome) = self.carry_out(action) {
                self.machine.outcome(outcome, self.now);
            }
        }
    }

    /// Turns until nothing is left to do at this moment.
    pub(super) fn calm(&mut self) {
        for _ in 0..1000 {
            self.venue.arrive(self.now);
            let mut actions = std::mem::take(&mut self.under_way);
            actions.extend(self.turn());
            if actions.is_empty() {
                return;
            }
            self.run(actions);
        }
        panic!("the machine finds no rest at {}", self.now);
    }

    /// Lets time pass from deadline to deadline.
    pub(super) fn calm_for(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.calm();
            let next = self.machine.deadline().filter(|at| *at <= end);
            let Some(next) = next else { break };
            self.now = next.max(self.now + Duration::from_millis(1));
        }
        self.now = end;
        self.calm();
    }

    /// The order reaches the broker, whose answer is still on its way.
    pub(super) fn accept_without_answer(&mut self) {
        for _ in 0..2 {
            for action in self.turn() {
                match action {
                    Action::Submit { request, .. } => {
                        *self.venue.posts.entry(request.client_id.clone()).or_default() += 1;
                        self.venue.accept(&request);
                    }
                    other => self.run(vec![other]),
                }
            }
        }
    }

    /// How often the order stream was suspected.
    pub(super) fn suspicions(&self) -> usize {
        self.told.iter().filter(|output| matches!(output, DeskOutput::StreamSuspect { .. })).count()
    }

    pub(super) fn hear_all(&mut self) {
        while let Some(update) = self.venue.stream.pop_front() {
            self.machine.input(DeskInput::Update(update), self.now);
        }
    }

    /// The host dies. What was on its way to the broker does not arrive any more; a new host starts on the
    /// same disk.
    pub(super) fn crash(&mut self) {
        self.crash_with(|_| {});
    }

    /// The same, and something happens while no host is there.
    pub(super) fn crash_with(&mut self, happens: impl FnOnce(&mut Self)) {
        happens(self);
        self.under_way.clear();
        self.epoch += 1;
        self.machine = machine(self.epoch);
        if self.knows_lives {
            self.machine.set_lives((1..self.epoch).map(HostEpoch).collect());
        }
        let newest = Some(self.now);
        self.machine.restore_cash(&self.disk.facts(), newest, self.now).expect("own words");
        for row in self.disk.sub_books.values() {
            let book = SubBook { qty: row.qty, cost: row.cost, cash: row.cash };
            self.machine.books.restore_sub_book(row.strategy.clone(), row.symbol.clone(), book);
        }
        for row in self.disk.orders.values().filter(|row| row.is_open) {
            let executions = self.disk.executions(&row.request.client_id);
            let order = rows::stored(row.clone(), executions).expect("own words");
            self.machine.restore(order, self.now).expect("once");
        }
        self.adopt_forgotten();
        self.start();
    }

    /// What the disk has lost the broker shows.
    fn adopt_forgotten(&mut self) {
        let since = self.disk.newest() - LOST_BEFORE;
        for index in 0..self.venue.orders.len() {
            let shown = self.venue.whole(index);
            if shown.status.is_terminal() && shown.submitted_at < since {
                continue;
            }
            let id = self.machine.name_of(&shown);
            let Some(id) = id else { continue };
            let row = self.disk.orders.get(&id).or_else(|| self.disk.at_broker(&shown.id));
            match row.cloned() {
                _ if self.machine.books.order(&id).is_some() => {
                    self.machine.absorb(&id, &OrderEvent::Snapshot(shown), self.now, "seen");
                }
                Some(row) => {
                    let order = rows::stored(row, self.disk.executions(&id)).expect("own words");
                    self.machine.restore_late(order, self.now).expect("once");
                    self.machine.absorb(&id, &OrderEvent::Snapshot(shown), self.now, "seen");
                }
                None => self.machine.adopt(&id, &shown, self.now),
            }
        }
    }

    pub(super) fn carry_out(&mut self, action: Action) -> Option<Outcome> {
        let unavailable = || BrokerError::Unavailable { message: "down".into() };
        let works = self.network_works;
        let asked = move || if works { Ok(()) } else { Err(unavailable()) };
        Some(match action {
            Action::Tell(output) => {
                self.told.push(output);
                return None;
            }
            Action::Commit(records) => Outcome::Committed(if self.disk_works {
                match self.disk.refusal(&records) {
                    Some(cause) => Err(StoreError::Refused { cause }),
                    None => {
                        self.disk.write(records);
                        Ok(())
                    }
                }
            } else {
                Err(StoreError::Write { cause: "the disk is full".into(), remedy: "make room" })
            }),
            Action::Submit { request, .. } => {
                let id = request.client_id.clone();
                Outcome::Submitted { id, result: self.post(&request), took: Duration::ZERO }
            }
            Action::Cancel { id, broker_id } => {
                let result = if self.lost_cancels > 0 {
                    self.lost_cancels -= 1;
                    Ok(())
                } else {
                    let index = self.venue.by_id(&broker_id);
                    let taken = index.is_some_and(|index| self.venue.cancel(index));
                    let message = "order is already in a final state".to_owned();
                    let no = BrokerError::Rejected { http_status: 422, code: Some(42_210_000), message };
                    asked().and(if taken { Ok(()) } else { Err(no) })
                };
                Outcome::Cancelled { id, result }
            }
            Action::Ask { id, broker_id } => {
                self.look_ups += 1;
                let shown = self.venue.by_id(&broker_id).map(|index| self.venue.whole(index));
                let not_found = BrokerError::NotFound { message: "order not found".into() };
                Outcome::Asked { id, result: asked().and_then(|()| shown.ok_or(not_found)) }
            }
            Action::Replace { id, broker_id, change, .. } => {
                Outcome::Submitted { result: self.patch(&id, &broker_id, change), id, took: Duration::ZERO }
            }
            Action::LookUp(id) => {
                self.look_ups += 1;
                let shown = self.venue.by_client_id(&id).map(|index| self.venue.flat(index));
                let not_found = BrokerError::NotFound { message: "order not found".into() };
                Outcome::LookedUp { id, result: asked().and_then(|()| shown.ok_or(not_found)) }
            }
            Action::List => {
                let open = self.venue.open();
                let shown = open.into_iter().filter(|index| self.venue.is_listed(*index));
                let shown = shown.map(|index| self.venue.orders[index].shown.clone()).collect();
                Outcome::Listed(asked().map(|()| shown))
            }
            Action::Identify(broker_id) => {
                self.identified += 1;
                let shown = self.venue.by_id(&broker_id).map(|index| self.venue.whole(index));
                let not_found = BrokerError::NotFound { message: "order not found".into() };
                Outcome::Identified { broker_id, result: asked().and_then(|()| shown.ok_or(not_found)) }
            }
            Action::ReadAccount => Outcome::Account(asked().map(|()| self.venue.account())),
            Action::ReadActivities(since) => {
                self.activity_reads += 1;
                let works = asked().and(if self.activities_work { Ok(()) } else { Err(unavailable()) });
                Outcome::Activities(works.map(|()| self.venue.activities(since)))
            }
            Action::ReadPositions => {
                let works = asked().and(if self.positions_work { Ok(()) } else { Err(unavailable()) });
                Outcome::Positions(works.map(|()| vec![self.position()]))
            }
            Action::Fetch { id, broker_id } => {
                let row = self.disk.orders.get(&id).or_else(|| self.disk.at_broker(&broker_id));
                let result = self.read(row.cloned());
                Outcome::Fetched { id, result }
            }
            Action::Recall(broker_id) => {
                let result = self.read(self.disk.at_broker(&broker_id).cloned());
                Outcome::Recalled { broker_id, result }
            }
        })
    }

    fn read(&self, row: Option<OrderRow>) -> Result<Fetched, StoreError> {
        if !self.reads_work {
            return Err(StoreError::Read { cause: "the server is away".into() });
        }
        Ok(row.map(|row| {
            let executions = self.disk.executions(&row.request.client_id);
            (row, executions)
        }))
    }

    fn post(&mut self, request: &OrderRequest) -> Result<BrokerOrder, BrokerError> {
        let row = self.disk.orders.get(&request.client_id).expect("a POST left before its record");
        assert_eq!(row.request, *request);
        let posts = self.venue.posts.entry(request.client_id.clone()).or_default();
        *posts += 1;
        assert_eq!(*posts, 1, "a POST was repeated");
        let request = request.clone();
        self.send(Sent::Post(request))
    }

    fn patch(
        &mut self,
        id: &ClientOrderId,
        old: &BrokerOrderId,
        change: Change,
    ) -> Result<BrokerOrder, BrokerError> {
        assert!(self.disk.orders.contains_key(id), "a PATCH left before its record");
        let posts = self.venue.posts.entry(id.clone()).or_default();
        *posts += 1;
        assert_eq!(*posts, 1, "a PATCH was repeated");
        self.send(Sent::Patch { old: old.clone(), by: id.clone(), change })
    }

    fn send(&mut self, sent: Sent) -> Result<BrokerOrder, BrokerError> {
        let unknown = Err(BrokerError::OutcomeUnknown { message: "time-out".into() });
        match std::mem::replace(&mut self.next_post, Post::Works) {
            Post::Works => self.venue.take(sent).map_err(|()| rejected()),
            Post::AnswerLost => {
                self.venue.take(sent).ok();
                unknown
            }
            Post::Lost => unknown,
            Post::Late(span) => {
                self.venue.on_the_way.push((self.now + span, sent));
                unknown
            }
            Post::NoLease => Err(BrokerError::NotSent(GateError::NoLease)),
            Post::Rejected => Err(rejected()),
            Post::RejectedButThere => {
                if self.venue.take(sent).is_ok() {
                    self.venue.fill(self.venue.newest(), i64::MAX);
                }
                Err(rejected())
            }
        }
    }

    pub(super) fn position(&self) -> Position {
        let held = self.venue.position();
        Position {
            symbol: spy(),
            qty: held,
            qty_available: held,
            avg_entry_price: Price::ZERO,
            current_price: None,
        }
    }
}

fn machine(epoch: u64) -> Machine<Calm> {
    Machine::new(DeskConfig::new(HostEpoch(epoch)), Calm::default(), Arc::new(DeskStats::default()), epoch)
}

fn rejected() -> BrokerError {
    BrokerError::Rejected { http_status: 403, code: Some(40_310_000), message: "no".into() }
}
