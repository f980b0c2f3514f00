//! The desk's edge: a real store on a real file, a broker in memory, and a market clock that runs a thousand
//! times faster.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandpit_broker::{Broker, BrokerError, GateError, Permit, SendTerms};
use sandpit_cores::orders::Books;
use sandpit_execution::{Desk, DeskConfig, DeskEnd, DeskError, DeskInput, DeskOutput, DeskStats, Review};
use sandpit_risk::{Approved, Gates, Limits, Situation};
use sandpit_store::{Database, OrderRow, Record, Store};
use sandpit_types::{
    Account, BrokerOrder, BrokerOrderId, ClientOrderId, Clock, ExecutionId, HostEpoch, Intent, MarketClock,
    MarketTime, OrderKind, OrderRequest, OrderStatus, Position, Price, Pulse, Qty, Quote, Refusal,
    SessionDay, Side, StrategyName, StrategyOrderId, Submit, Symbol, TimeInForce, TradeEvent, TradeUpdate,
    Usd,
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

const SPEED: u32 = 1000;
const PATIENCE: Duration = Duration::from_secs(20);

fn name() -> StrategyName {
    StrategyName::parse("sma").expect("a name")
}

fn qty(shares: i64) -> Qty {
    Qty::new(shares.into())
}

struct FastClock(Instant);

impl MarketClock for FastClock {
    fn now(&self) -> MarketTime {
        MarketTime::from_secs(1_000_000) + self.0.elapsed() * SPEED
    }

    fn real_until(&self, at: MarketTime) -> Duration {
        at.since(self.now()) / SPEED
    }
}

struct Always;

impl Permit for Always {
    fn check(&self) -> Result<(), GateError> {
        Ok(())
    }
}

/// Every gate in a calm market, asked afresh each time.
struct Calm;

impl Review for Calm {
    fn review(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        _: Option<&ClientOrderId>,
        books: &Books,
        now: MarketTime,
    ) -> Result<Approved, Refusal> {
        let symbol = submit.symbol.clone();
        let quote = Quote { symbol, time: now, bid: 99.99, bid_size: 1000, ask: 100.01, ask_size: 1000 };
        let rich = Some(Usd::new(1_000_000_000.into()));
        let situation = Situation {
            lease: true,
            reconciled: books.is_reconciled(),
            order_stream_up: books.is_order_stream_up(),
            session_open: true,
            quote: Some(quote),
            equity: rich,
            buying_power: rich,
            ..Situation::default()
        };
        Gates::new(Limits::default()).check(strategy, submit, &situation, now)
    }

    fn account(&mut self, _: &Account, _: MarketTime) {}

    fn transfer(&mut self, _: Usd, _: MarketTime) {}

    fn quote(&self, _: &Symbol, _: MarketTime) -> Option<Quote> {
        None
    }
}

#[derive(Default)]
struct FakeBroker {
    orders: Mutex<Vec<BrokerOrder>>,
    /// POSTs are taken and never answered.
    answers_lost: AtomicBool,
    /// POSTs never arrive and never end.
    hangs: AtomicBool,
    panics: AtomicBool,
    panics_at_positions: AtomicBool,
    unauthorized: AtomicBool,
    look_ups: AtomicUsize,
    /// Look-ups wait until this is over.
    look_ups_hang: AtomicBool,
    /// The list of open orders has each of them twice.
    lists_twice: AtomicBool,
}

impl FakeBroker {
    fn orders(&self) -> Vec<BrokerOrder> {
        self.orders.lock().expect("no panic holds it").clone()
    }

    fn accept(&self, request: &OrderRequest) -> BrokerOrder {
        let mut orders = self.orders.lock().expect("no panic holds it");
        let shown = BrokerOrder {
            id: BrokerOrderId::new(format!("b{}", orders.len())),
            client_id: request.client_id.to_string(),
            symbol: request.symbol.clone(),
            side: request.side,
            qty: Some(request.qty),
            filled_qty: Qty::ZERO,
            filled_avg_price: None,
            limit_price: None,
            stop_price: None,
            replaces: None,
            replaced_by: None,
            legs: Vec::new(),
            status: OrderStatus::New,
            submitted_at: MarketTime::EPOCH,
            updated_at: MarketTime::EPOCH,
        };
        orders.push(shown.clone());
        shown
    }

    fn fill(&self, index: usize, shares: i64) -> TradeUpdate {
        let mut orders = self.orders.lock().expect("no panic holds it");
        let order = &mut orders[index];
        let price = Price::new(100.into());
        order.filled_qty += qty(shares);
        order.filled_avg_price = Some(price);
        let is_done = Some(order.filled_qty) == order.qty;
        order.status = if is_done { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        TradeUpdate {
            event: TradeEvent::Fill,
            execution_id: Some(ExecutionId::new(format!("x{}", order.filled_qty))),
            price: Some(price),
            qty: Some(qty(shares)),
            time: MarketTime::EPOCH,
            order: order.clone(),
        }
    }

    fn read<T>(&self, value: T) -> Result<T, BrokerError> {
        if self.unauthorized.load(Ordering::SeqCst) {
            return Err(BrokerError::Unauthorized { message: "unauthorized.".into() });
        }
        Ok(value)
    }
}

impl Broker for FakeBroker {
    async fn submit(&self, order: &OrderRequest, terms: SendTerms) -> Result<BrokerOrder, BrokerError> {
        terms.permit.check()?;
        assert!(!self.panics.swap(false, Ordering::SeqCst), "a defect of the adapter");
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let shown = self.accept(order);
        if self.answers_lost.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(shown)
    }

    async fn cancel(&self, id: &BrokerOrderId, _: Option<&StrategyName>) -> Result<(), BrokerError> {
        let mut orders = self.orders.lock().expect("no panic holds it");
        let order = orders.iter_mut().find(|order| order.id == *id).expect("a known order");
        order.status = OrderStatus::Canceled;
        Ok(())
    }

    async fn replace(
        &self,
        _: &BrokerOrderId,
        _: &ClientOrderId,
        _: &sandpit_types::Change,
        _: SendTerms,
    ) -> Result<BrokerOrder, BrokerError> {
        Err(BrokerError::Unavailable { message: "FOUNDATION".into() })
    }

    async fn order(&self, _: &BrokerOrderId) -> Result<BrokerOrder, BrokerError> {
        Err(BrokerError::Unavailable { message: "FOUNDATION".into() })
    }

    async fn orders_since(&self, _: MarketTime) -> Result<Vec<BrokerOrder>, BrokerError> {
        Ok(Vec::new())
    }

    async fn activities(&self, _: MarketTime) -> Result<Vec<sandpit_types::Activity>, BrokerError> {
        Ok(Vec::new())
    }

    async fn order_by_client_id(&self, id: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
        self.look_ups.fetch_add(1, Ordering::SeqCst);
        while self.look_ups_hang.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let found = self.orders().into_iter().find(|order| order.ours().as_ref() == Some(id));
        found.ok_or_else(|| BrokerError::NotFound { message: "order not found".into() })
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerError> {
        let mut open = self.orders();
        open.retain(|order| !order.status.is_terminal());
        if self.lists_twice.load(Ordering::SeqCst) {
            open.extend(open.clone());
        }
        self.read(open)
    }

    async fn positions(&self) -> Result<Vec<Position>, BrokerError> {
        assert!(!self.panics_at_positions.load(Ordering::SeqCst), "a defect of the adapter");
        let held: Qty = self.orders().iter().map(|order| order.side.signed(order.filled_qty)).sum();
        self.read(vec![Position {
            symbol: Symbol::new("SPY"),
            qty: held,
            qty_available: held,
            avg_entry_price: Price::ZERO,
            current_price: None,
        }])
    }

    async fn account(&self) -> Result<Account, BrokerError> {
        let usd = Usd::new(100_000.into());
        self.read(Account {
            equity: usd,
            last_equity: usd,
            cash: usd,
            buying_power: usd,
            trading_blocked: false,
        })
    }

    async fn clock(&self) -> Result<Clock, BrokerError> {
        let now = MarketTime::EPOCH;
        self.read(Clock { now, is_open: true, next_open: now, next_close: now })
    }

    async fn calendar(&self, _: MarketTime, _: MarketTime) -> Result<Vec<SessionDay>, BrokerError> {
        self.read(Vec::new())
    }
}

struct Bench {
    broker: Arc<FakeBroker>,
    store: Store,
    pulse: Arc<Pulse>,
    stats: Arc<DeskStats>,
    inputs: mpsc::Sender<DeskInput>,
    outputs: mpsc::Receiver<DeskOutput>,
    desk: JoinHandle<DeskEnd>,
    found: sandpit_execution::Reconciled,
}

async fn store(path: &Path) -> Store {
    Store::open(&sandpit_store::Database::Sqlite(path.to_owned()), Arc::new(Pulse::default())).await.expect("opens")
}

impl Bench {
    async fn start(path: &Path, broker: Arc<FakeBroker>, epoch: u64) -> Result<Self, DeskError> {
        let store = store(path).await;
        let pulse = Arc::new(Pulse::default());
        let mut config = DeskConfig::new(HostEpoch(epoch));
        config.drain_within = Duration::from_millis(100);
        let clock = Arc::new(FastClock(Instant::now()));
        let (permit, seed) = (Arc::new(Always), epoch);
        let mut desk =
            Desk::new(config, broker.clone(), store.clone(), Calm, permit, clock, pulse.clone(), seed);
        let found = desk.reconcile().await?;
        let stats = desk.stats();
        let (inputs, from_bench) = mpsc::channel(100);
        let (to_bench, outputs) = mpsc::channel(2);
        let desk = tokio::spawn(desk.run(from_bench, to_bench));
        let bench = Self { broker, store, pulse, stats, inputs, outputs, desk, found };
        bench.tell(DeskInput::OrderStreamUp).await;
        Ok(bench)
    }

    async fn tell(&self, input: DeskInput) {
        self.inputs.send(input).await.expect("the desk runs");
    }

    async fn ask(&self, id: u64) {
        let submit = Submit {
            id: StrategyOrderId(id),
            symbol: Symbol::new("SPY"),
            side: Side::Buy,
            qty: qty(10),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            time_to_live: Duration::from_secs(100_000),
            class: sandpit_types::OrderClass::Simple,
            reprice: None,
        };
        let intents = vec![Intent::Submit(submit)];
        self.tell(DeskInput::Intents { strategy: name(), incarnation: 0, intents }).await;
    }

    /// Submits until the desk has caught up with the stream and takes it.
    async fn submit(&mut self, id: u64) {
        loop {
            self.ask(id).await;
            let heard = |output: &DeskOutput| {
                matches!(output, DeskOutput::Order { .. } | DeskOutput::Refused { .. } | DeskOutput::Alert(_))
            };
            match self.hear(heard).await {
                DeskOutput::Refused { refusal: Refusal::OrderStreamDown, .. } => {}
                _ => return,
            }
        }
    }

    /// Reads outputs until one fits.
    async fn hear(&mut self, fits: impl Fn(&DeskOutput) -> bool) -> DeskOutput {
        let wait = async {
            loop {
                let output = self.outputs.recv().await.expect("the desk runs");
                if fits(&output) {
                    return output;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it is told in time")
    }

    async fn hear_status(&mut self, status: OrderStatus) {
        self.hear(|output| match output {
            DeskOutput::Order { update, .. } => update.status == status,
            _ => false,
        })
        .await;
    }

    /// Reads outputs until the desk ends by itself.
    async fn ends_by_itself(&mut self) -> DeskEnd {
        let wait = async {
            while self.outputs.recv().await.is_some() {}
            (&mut self.desk).await.expect("without a panic")
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it ends in time")
    }

    async fn end(self) -> DeskEnd {
        let Self { outputs, desk, .. } = self;
        drop(outputs);
        tokio::time::timeout(PATIENCE, desk).await.expect("it ends in time").expect("without a panic")
    }
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it becomes true in time");
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("host.db");
    (directory, path)
}

#[tokio::test]
async fn an_order_goes_out_and_its_fill_comes_back() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.submit(1).await;
    bench.hear_status(OrderStatus::New).await;
    let update = bench.broker.fill(0, 10);
    bench.tell(DeskInput::Update(update.clone())).await;
    bench.tell(DeskInput::Update(update)).await;
    let book = bench.hear(|output| matches!(output, DeskOutput::SubBook { .. })).await;
    assert!(matches!(book, DeskOutput::SubBook { qty: held, .. } if held == qty(10)));
    let fill = bench.hear(|output| matches!(output, DeskOutput::Fill { .. })).await;
    assert!(matches!(fill, DeskOutput::Fill { id: StrategyOrderId(1), .. }));
    bench.hear_status(OrderStatus::Filled).await;
    bench.tell(DeskInput::Probe(7)).await;
    let pulse = bench.pulse.clone();
    until(|| pulse.nonce() == 7).await;
    let counts = bench.stats.read();
    assert_eq!((counts.orders, counts.fills, counts.submits, counts.open), (1, 1, 1, 0));
    let (stats, store) = (bench.stats.clone(), bench.store.clone());
    bench.tell(DeskInput::Stop).await;
    assert_eq!(bench.end().await, DeskEnd::Stopped);
    assert_eq!(stats.read().fills, 1, "one fill, told twice by the stream");
    let id = ClientOrderId { strategy: name(), epoch: HostEpoch(1), sequence: 1 };
    let (row, executions) = store.order(&id).await.expect("reads").expect("is there");
    assert!(!row.is_open && executions.len() == 1, "{row:?}");
}

#[tokio::test]
async fn a_host_that_dies_mid_way_loses_and_doubles_nothing() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    broker.answers_lost.store(true, Ordering::SeqCst);
    let mut first = Bench::start(&path, broker.clone(), 1).await.expect("starts");
    first.submit(1).await;
    until(|| broker.orders().len() == 1).await;
    // Dies with the answer under way, as by SIGKILL; then the order fills while nobody looks.
    first.desk.abort();
    assert!(first.desk.await.expect_err("it was killed").is_cancelled());
    broker.fill(0, 4);
    broker.answers_lost.store(false, Ordering::SeqCst);

    let mut second = Bench::start(&path, broker.clone(), 2).await.expect("starts");
    assert_eq!((second.found.open, second.found.fills, second.found.adopted), (1, 1, 0));
    assert!(second.found.positions.is_empty(), "{:?}", second.found.positions);
    let update = broker.fill(0, 6);
    second.tell(DeskInput::Update(update)).await;
    second.hear_status(OrderStatus::Filled).await;
    second.submit(1).await;
    until(|| broker.orders().len() == 2).await;
    second.tell(DeskInput::Drain).await;
    assert_eq!(second.end().await, DeskEnd::Stopped, "nobody listens");

    let third = Bench::start(&path, broker.clone(), 3).await.expect("starts");
    assert_eq!((third.found.open, third.found.fills), (1, 0));
    assert!(third.found.positions.is_empty(), "{:?}", third.found.positions);
    assert_eq!(broker.orders().len(), 2);
}

#[tokio::test]
async fn a_probe_is_answered_while_the_broker_hangs() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.broker.hangs.store(true, Ordering::SeqCst);
    bench.submit(1).await;
    bench.tell(DeskInput::Probe(9)).await;
    let pulse = bench.pulse.clone();
    until(|| pulse.nonce() == 9).await;
    bench.tell(DeskInput::Drain).await;
    // The drain is bounded although the outcome stays unknown.
    assert_eq!(bench.ends_by_itself().await, DeskEnd::Drained { unresolved: 1 });
}

#[tokio::test]
async fn nothing_is_sent_that_the_store_does_not_take() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.submit(1).await;
    bench.hear_status(OrderStatus::New).await;
    bench.store.clone().close().await;
    bench.ask(2).await;
    let refused = bench.hear(|output| matches!(output, DeskOutput::Refused { .. })).await;
    assert!(matches!(refused, DeskOutput::Refused { refusal: Refusal::NotRecorded, .. }), "{refused:?}");
    assert_eq!(bench.broker.orders().len(), 1);
}

#[tokio::test]
async fn a_defect_of_the_adapter_leaves_the_outcome_unknown_not_forgotten() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.broker.panics.store(true, Ordering::SeqCst);
    bench.submit(1).await;
    bench.hear_status(OrderStatus::Rejected).await;
    let counts = bench.stats.read();
    assert_eq!((counts.unknown, counts.never_arrived, counts.open), (1, 1, 0));
    bench.submit(2).await;
    bench.hear_status(OrderStatus::New).await;
}

#[tokio::test]
async fn a_desk_that_cannot_reconcile_does_not_start() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    broker.unauthorized.store(true, Ordering::SeqCst);
    let error = Bench::start(&path, broker, 1).await.err().expect("does not start");
    assert!(matches!(error, DeskError::Broker(BrokerError::Unauthorized { .. })), "{error}");
}

#[tokio::test]
async fn a_defect_anywhere_else_ends_the_desk() {
    let (_directory, path) = place();
    let mut bench = Bench::start(&path, Arc::default(), 1).await.expect("starts");
    bench.submit(1).await;
    bench.broker.panics_at_positions.store(true, Ordering::SeqCst);
    assert_eq!(bench.ends_by_itself().await, DeskEnd::Stopped);
}

#[tokio::test]
async fn a_start_does_not_wait_for_orders_that_ended_overnight() {
    let (_directory, path) = place();
    let broker = Arc::new(FakeBroker::default());
    let mut first = Bench::start(&path, broker.clone(), 1).await.expect("starts");
    for id in 1..=3 {
        first.submit(id).await;
        first.hear_status(OrderStatus::New).await;
    }
    first.desk.abort();
    assert!(first.desk.await.expect_err("it was killed").is_cancelled());
    (0..3).for_each(|index| drop(broker.fill(index, 10)));
    broker.look_ups_hang.store(true, Ordering::SeqCst);

    let start = Bench::start(&path, broker.clone(), 2);
    let mut second = tokio::time::timeout(PATIENCE, start).await.expect("in time").expect("starts");
    assert_eq!((second.found.open, second.found.missing, second.found.fills), (3, 3, 0));
    assert!(second.found.positions.is_empty(), "they may be the reason: {:?}", second.found.positions);
    assert!(second.found.account.equity.is_positive());
    until(|| broker.look_ups.load(Ordering::SeqCst) >= 3).await;
    second.ask(1).await;
    let refused = second.hear(|output| matches!(output, DeskOutput::Refused { .. })).await;
    assert!(matches!(refused, DeskOutput::Refused { refusal: Refusal::OrderStreamDown, .. }), "{refused:?}");
    assert_eq!(second.stats.read().open, 3, "their exposure stays reserved");
    broker.look_ups_hang.store(false, Ordering::SeqCst);
    second.submit(2).await;
    let counts = second.stats.read();
    assert_eq!((counts.fills, counts.open, counts.alerts), (3, 1, 0));
}

#[tokio::test]
async fn an_order_that_the_list_has_twice_is_one_order() {
    let check = async |is_stored: bool| {
        let (_directory, path) = place();
        let broker = Arc::new(FakeBroker::default());
        let request = OrderRequest {
            client_id: ClientOrderId { strategy: name(), epoch: HostEpoch(1), sequence: 1 },
            symbol: Symbol::new("SPY"),
            side: Side::Buy,
            qty: qty(10),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: sandpit_types::OrderClass::Simple,
        };
        broker.accept(&request);
        broker.lists_twice.store(true, Ordering::SeqCst);
        if is_stored {
            let row = OrderRow {
                request,
                strategy_id: Some(StrategyOrderId(1)),
                links: sandpit_types::Links::default(),
                incarnation: 0,
                state: "\"not_sent\"".into(),
                is_open: false,
                broker_id: None,
                filled_qty: Qty::ZERO,
                filled_notional: Usd::ZERO,
                recorded_at: MarketTime::EPOCH,
            };
            store(&path).await.commit(vec![Record::Order(Box::new(row))]).await.expect("writes");
        }
        let bench = Bench::start(&path, broker, 2).await.expect("starts");
        assert_eq!((bench.found.open, bench.found.adopted), (1, usize::from(!is_stored)));
    };
    check(true).await;
    check(false).await;
}
