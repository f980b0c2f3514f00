//! A host under test: box 1 as the daemon wires it, on a thread of its own.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc as sync_mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use sandpit_alpaca::{Alpaca, AlpacaConfig, Encoding, Secret};
use sandpit_broker::Subscription;
use sandpit_budget::Budget;
use sandpit_cores::Quota;
use sandpit_ingest::{
    Ingest, IngestConfig, IngestStats, MarketSink, Reins, Suspicion, UpdateLoop, UpdateSink, UpdateStats,
};
use sandpit_types::{MarketClock, MarketTime, Pulse, Symbol, TradeUpdate};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

use crate::{
    ambient::{self, cpu_of_this_thread},
    clock::TestClock,
    ledger::Ledger,
    sim::Sim,
    tape::{Heard, Tape},
    wire::Wire,
};

/// Longest wait of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Nonces that may wait for a loop.
const PROBES: usize = 16;
/// What the host of the daemon grants itself for market data (Basic: 200 a minute).
const DATA_RPM: u32 = 190;
/// How often the truth is asked for while it is waited for.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// The four ways between a host and its broker.
#[derive(Debug)]
pub struct Lanes {
    /// Trading requests.
    pub trading: Wire,
    /// Market-data requests.
    pub data: Wire,
    /// The stream of trade updates.
    pub orders: Wire,
    /// The stream of market data.
    pub stream: Wire,
}

impl Lanes {
    /// Four wires to a simulator.
    pub fn to(sim: &Sim) -> Self {
        let wire = || Wire::to(sim.address());
        Self { trading: wire(), data: wire(), orders: wire(), stream: wire() }
    }

    /// All of them.
    pub const fn all(&self) -> [&Wire; 4] {
        [&self.trading, &self.data, &self.orders, &self.stream]
    }
}

/// What a host is told at its start.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its key, any text: the simulator counts quotas and connections by it.
    pub key: String,
    /// What it subscribes to.
    pub subscription: Subscription,
    /// Whose quotes are its pulse.
    pub canary: Option<Symbol>,
    /// Bars from here on.
    pub since: MarketTime,
    /// Feeds the jitter.
    pub seed: u64,
    /// How its data stream is written.
    pub encoding: Encoding,
    /// How long a connection has to last before the waits are short again, if not as long as usual.
    pub forgiven_after: Option<Duration>,
    /// Its budget for market data.
    pub data: Quota,
    /// Its budget for trading.
    pub trading: Quota,
}

impl Setup {
    /// Bars, quotes and trades of these symbols, from the open on.
    pub fn new(sim: &Sim, symbols: &[&str], seed: u64) -> Self {
        let symbols: Vec<Symbol> = symbols.iter().map(|name| Symbol::new(*name)).collect();
        let subscription = Subscription {
            bars: symbols.clone(),
            quotes: symbols.clone(),
            trades: symbols,
            news: Vec::new(),
        };
        Self {
            key: format!("K{seed}"),
            subscription,
            canary: Some(Symbol::new(IngestConfig::CANARY)),
            since: sim.open(),
            seed,
            encoding: Encoding::Json,
            forgiven_after: None,
            data: Quota::per_minute(DATA_RPM),
            trading: Quota::default(),
        }
    }

    /// Bars only.
    #[must_use]
    pub fn bars_only(mut self) -> Self {
        self.subscription.quotes.clear();
        self.subscription.trades.clear();
        self
    }
}

/// What a host is made of, before it runs.
pub struct Parts {
    /// The adapter.
    pub alpaca: Arc<Alpaca>,
    /// Its market-data loop.
    pub ingest: Ingest<Alpaca, Alpaca>,
    /// The budgets of trading and of market data.
    pub budgets: [Arc<Budget>; 2],
}

impl Parts {
    /// Wires a host as the daemon does.
    ///
    /// # Panics
    /// When the adapter cannot be built.
    pub fn new(setup: &Setup, sim: &Sim, lanes: &Lanes, clock: &Arc<TestClock>, speed: u32) -> Self {
        let budget =
            |quota: &Quota| Arc::new(Budget::new(quota.clone(), clock.clone() as Arc<dyn MarketClock>));
        let budgets = [budget(&setup.trading), budget(&setup.data)];
        let config = AlpacaConfig {
            trading_url: format!("http://{}", lanes.trading.address()),
            data_url: format!("http://{}", lanes.data.address()),
            trading_stream_url: format!("ws://{}/stream", lanes.orders.address()),
            data_stream_url: format!("ws://{}/v2/iex", lanes.stream.address()),
            news_stream_url: None,
            encoding: setup.encoding,
            feed: "iex".to_owned(),
            key_id: Secret::new(&*setup.key),
            secret: Secret::new("S"),
            timeout: TIMEOUT,
        };
        let alpaca = Alpaca::new(config, budgets[0].clone(), budgets[1].clone());
        let alpaca = Arc::new(alpaca.expect("a configuration of loopback addresses"));
        let config = IngestConfig {
            watches: IngestConfig::usual_watches(&setup.subscription, setup.canary.as_ref()),
            subscription: setup.subscription.clone(),
            canary: setup.canary.clone(),
            days: vec![sim.day()],
            since: setup.since,
            bars_grace: IngestConfig::BARS_GRACE,
            ahead: IngestConfig::AHEAD.max(Duration::from_secs(1) * speed),
            seed: setup.seed,
        };
        let ingest = Ingest::new(config, alpaca.clone(), alpaca.clone(), clock.clone());
        let ingest = match setup.forgiven_after {
            Some(span) => ingest.forgiving_after(span),
            None => ingest,
        };
        Self { alpaca, ingest, budgets }
    }
}

/// A running host.
pub struct Host {
    /// What its strategies would have been told.
    pub tape: Tape,
    /// What its desk would have been told by the stream of orders.
    pub orders: OrdersSeen,
    /// How market data comes in.
    pub stats: Arc<IngestStats>,
    /// How trade updates come in.
    pub updates: Arc<UpdateStats>,
    /// Its market time.
    pub clock: Arc<TestClock>,
    /// Its adapter.
    pub alpaca: Arc<Alpaca>,
    /// Its budgets of trading and of market data.
    pub budgets: [Arc<Budget>; 2],
    symbols: Vec<Symbol>,
    since: MarketTime,
    suspicions: mpsc::Sender<Suspicion>,
    handle: Handle,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Starts market data over these lanes.
    pub fn start(sim: &Sim, lanes: &Lanes, setup: &Setup) -> Self {
        Self::run(sim, lanes, setup, false)
    }

    /// Starts market data and the stream of orders.
    pub fn with_orders(sim: &Sim, lanes: &Lanes, setup: &Setup) -> Self {
        Self::run(sim, lanes, setup, true)
    }

    fn run(sim: &Sim, lanes: &Lanes, setup: &Setup, with_orders: bool) -> Self {
        let (market, speed) = sim.clock();
        let clock = Arc::new(TestClock::new(market, speed));
        let (tape, orders) = (Tape::default(), OrdersSeen::default());
        let (stop, stopped) = watch::channel(false);
        let (ready, started) = sync_mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let parts = {
            let _inside = runtime.enter();
            Parts::new(setup, sim, lanes, &clock, speed)
        };
        let stats = parts.ingest.stats();
        let (suspicions, suspected) = mpsc::channel(PROBES);
        let update_loop = UpdateLoop::new(parts.alpaca.clone(), setup.seed.rotate_left(1));
        let update_loop = update_loop.with_suspicions(suspected);
        let updates = update_loop.stats();
        let (sink, update_sink, alpaca, budgets) =
            (tape.clone(), orders.clone(), parts.alpaca, parts.budgets);
        let thread = std::thread::Builder::new().name("host".to_owned()).spawn(move || {
            runtime.block_on(async move {
                ready.send(()).expect("the test waits for it");
                if with_orders {
                    tokio::spawn(update_loop.run(update_sink, reins(&stopped)));
                }
                parts.ingest.run(sink, reins(&stopped)).await;
            });
        });
        started.recv().expect("the host starts");
        Self {
            tape,
            orders,
            stats,
            updates,
            clock,
            alpaca,
            budgets,
            symbols: setup.subscription.bars.clone(),
            since: setup.since,
            suspicions,
            handle,
            stop,
            thread: Some(thread.expect("a thread")),
        }
    }

    /// Waits until live data has been delivered.
    pub fn live(&self) -> Duration {
        ambient::until("live data", Duration::from_secs(30), || {
            self.tape.health() == Some(sandpit_types::StreamHealth::Live)
                && self.tape.first(ambient::now() - Duration::from_secs(1), Heard::is_data).is_some()
        })
    }

    /// Tells its stream of orders that REST shows more, as the desk does.
    pub fn suspect(&self, what: &str) {
        let suspicion = Suspicion { connection: self.updates.connection.opens(), what: what.to_owned() };
        self.suspicions.try_send(suspicion).expect("the loop listens");
    }

    /// CPU time that its thread has used.
    pub fn cpu(&self) -> Duration {
        let (tell, told) = sync_mpsc::channel();
        self.handle.spawn(async move { tell.send(cpu_of_this_thread()) });
        told.recv_timeout(TIMEOUT).expect("the host's thread turns")
    }

    /// Tasks that its runtime has.
    pub fn tasks(&self) -> usize {
        self.handle.metrics().num_alive_tasks()
    }

    /// Runs a request of its adapter on its own thread.
    pub fn on_thread<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        let (tell, told) = sync_mpsc::channel();
        self.handle.spawn(async move { tell.send(task.await) });
        told.recv_timeout(6 * TIMEOUT).expect("the host's thread turns")
    }

    /// Holds what was delivered against the simulator's history up to now: waits until nothing is missing any
    /// more, or `bound` is over.
    pub fn settle(&self, sim: &Sim, bound: Duration) -> Ledger {
        let last = sim.clock().0.minute() - Duration::from_secs(60);
        let (started, span) = (ambient::now(), (self.since, last));
        loop {
            let truth = sim.bars(&self.symbols, self.since, last);
            let ledger = Ledger::of(&self.tape.events(), &truth, span);
            if ledger.lost + ledger.wrong == 0 || started.elapsed() > bound {
                return ledger;
            }
            ambient::pass(ASK_EVERY);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.tape.hold(false);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the host's thread broke down");
        }
    }
}

/// Reins that only `stopped` pulls.
pub fn reins(stopped: &watch::Receiver<bool>) -> Reins {
    // Nobody probes: a channel without a sender is quiet for ever.
    let (_, probes) = mpsc::channel(PROBES);
    Reins { pulse: Arc::new(Pulse::default()), probes, shutdown: stopped.clone() }
}

/// What the stream of orders said.
#[derive(Clone, Debug)]
pub enum OrderNews {
    /// An update.
    Update(Box<TradeUpdate>),
    /// It is up.
    Up,
    /// It is down.
    Down,
}

/// Everything the desk would have been told; its copies share one recording.
#[derive(Clone, Debug, Default)]
pub struct OrdersSeen(Arc<Mutex<Vec<(Instant, OrderNews)>>>);

impl OrdersSeen {
    /// When the first news from `since` on came that `fits`.
    pub fn first(&self, since: Instant, fits: impl Fn(&OrderNews) -> bool) -> Option<Instant> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().find(|(at, news)| *at >= since && fits(news)).map(|(at, _)| *at)
    }

    /// Updates so far.
    pub fn updates(&self) -> Vec<TradeUpdate> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let updates = seen.iter().filter_map(|(_, news)| match news {
            OrderNews::Update(update) => Some((**update).clone()),
            OrderNews::Up | OrderNews::Down => None,
        });
        updates.collect()
    }

    fn note(&self, news: OrderNews) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((ambient::now(), news));
    }
}

impl UpdateSink for OrdersSeen {
    async fn update(&mut self, update: TradeUpdate) {
        self.note(OrderNews::Update(Box::new(update)));
    }

    async fn up(&mut self) {
        self.note(OrderNews::Up);
    }

    async fn down(&mut self) {
        self.note(OrderNews::Down);
    }
}

/// A sink that lets everything go, for tests of what a host keeps.
#[derive(Debug, Default)]
pub struct Nowhere;

impl MarketSink for Nowhere {
    fn deliver(&mut self, _: &[sandpit_types::MarketEvent]) {}
}
