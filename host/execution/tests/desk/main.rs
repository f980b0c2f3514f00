//! The desk's edge: a real store on a real file, a broker in memory, and a market clock that runs a thousand
//! times faster.

mod broker;
mod lives;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use sandpit_broker::{GateError, Permit};
use sandpit_cores::{orders::Books, reconcile::Standing};
use sandpit_execution::{Desk, DeskConfig, DeskEnd, DeskError, DeskInput, DeskOutput, DeskStats, Review};
use sandpit_risk::{Approved, Gates, Limits, Situation};
use sandpit_store::Store;
use sandpit_types::{
    Account, ClientOrderId, HostEpoch, Intent, MarketClock, MarketTime, OrderKind, OrderStatus, Price, Pulse,
    Qty, Quote, Refusal, Side, StrategyName, StrategyOrderId, Submit, Symbol, TimeInForce, Usd,
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use broker::FakeBroker;

/// Every fill's.
const PRICE: Price = Price::new(rust_decimal::Decimal::ONE_HUNDRED);
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
#[derive(Default)]
struct Calm {
    /// Of the newest account that it was told of; without one nothing may be opened.
    equity: Option<Usd>,
    /// What the owner has moved, in all.
    transferred: Usd,
    /// That and how the cash stood, at each account it was told of.
    measured: Measured,
}

type Measured = Arc<Mutex<Vec<(Usd, Standing)>>>;

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
            equity: self.equity.and(rich),
            buying_power: rich,
            ..Situation::default()
        };
        Gates::new(Limits::default()).check(strategy, submit, &situation, now)
    }

    fn may_leave(&self, _: &StrategyName, _: &Submit, _: &Books, _: MarketTime) -> Result<(), Refusal> {
        Ok(())
    }

    fn account(&mut self, account: &Account, cash: Standing, _: MarketTime) {
        self.equity = Some(account.equity);
        self.measured.lock().expect("no panic holds it").push((self.transferred, cash));
    }

    fn transfer(&mut self, net: Usd, _: MarketTime, _: MarketTime) {
        self.transferred += net;
    }

    fn quote(&self, _: &Symbol, _: MarketTime) -> Option<Quote> {
        None
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
    /// Requests that the start took.
    start_requests: usize,
    measured: Measured,
}

async fn store(path: &Path) -> Store {
    Store::open(&sandpit_store::Database::Sqlite(path.to_owned()), Arc::new(Pulse::default()))
        .await
        .expect("opens")
}

impl Bench {
    async fn start(path: &Path, broker: Arc<FakeBroker>, epoch: u64) -> Result<Self, DeskError> {
        let store = store(path).await;
        let pulse = Arc::new(Pulse::default());
        let mut config = DeskConfig::new(HostEpoch(epoch));
        config.drain_within = Duration::from_millis(100);
        config.commit_within *= SPEED;
        let clock = Arc::new(FastClock(Instant::now()));
        let (permit, seed, calm) = (Arc::new(Always), epoch, Calm::default());
        let measured = calm.measured.clone();
        let mut desk =
            Desk::new(config, broker.clone(), store.clone(), calm, permit, clock, pulse.clone(), seed);
        let found = desk.reconcile().await?;
        let start_requests = broker.requests.load(Ordering::SeqCst);
        let stats = desk.stats();
        let (inputs, from_bench) = mpsc::channel(100);
        let (to_bench, outputs) = mpsc::channel(2);
        let desk = tokio::spawn(desk.run(from_bench, to_bench));
        let bench =
            Self { broker, store, pulse, stats, inputs, outputs, desk, found, start_requests, measured };
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

    /// Submits until the desk has caught up with the stream, knows the account, and takes it.
    async fn submit(&mut self, id: u64) {
        loop {
            self.ask(id).await;
            let heard = |output: &DeskOutput| match output {
                DeskOutput::Order { update, .. } => update.id == StrategyOrderId(id),
                DeskOutput::Refused { .. } | DeskOutput::Alert(_) => true,
                _ => false,
            };
            match self.hear(heard).await {
                DeskOutput::Refused {
                    refusal: Refusal::OrderStreamDown | Refusal::OrderNotional, ..
                } => {}
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
