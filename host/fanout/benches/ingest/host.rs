//! The host's end: the real adapter, ingest, fan-out, tape and inbox, ingest on a thread and a core of its
//! own.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::unistd::Pid;
use sandpit_alpaca::{Alpaca, AlpacaConfig, Encoding, Secret};
use sandpit_broker::{Admission, BrokerError, Class, Gate, History, RateHint, Subscription};
use sandpit_fanout::{DataCounts, FanOut, Listener, Roster, Tape};
use sandpit_ingest::{Ingest, IngestConfig, IngestStats, Reins};
use sandpit_strategy::{Inbox, Next, StrategyEvent};
use sandpit_types::{
    Bar, MarketClock, MarketEvent, MarketTime, Quote, SessionDay, StrategyName, StreamHealth, Symbol,
};
use tokio::sync::watch;

use crate::{
    frames::{START_SECS, symbols},
    world,
};

/// A host that takes in quotes until it is dropped.
pub(crate) struct Host {
    /// What was delivered to the inbox.
    pub(crate) counts: Arc<DataCounts>,
    /// The queue in front of the strategy.
    pub(crate) trader: Arc<Trader>,
    stats: Arc<IngestStats>,
    thread: Pid,
    shutdown: Option<watch::Sender<bool>>,
    ingest: Option<JoinHandle<()>>,
}

/// The one strategy, as the fan-out sees it.
pub(crate) struct Trader {
    instruments: Vec<Symbol>,
    pub(crate) inbox: Arc<Inbox>,
}

impl Trader {
    /// It trades everything that is quoted.
    pub(crate) fn new() -> Arc<Self> {
        let instruments = symbols();
        let inbox = Arc::new(Inbox::new(instruments.iter().cloned()));
        Arc::new(Self { instruments, inbox })
    }

    /// Takes everything out, on a thread of its own, until told to stop; returns how many events it was.
    pub(crate) fn drain(self: &Arc<Self>) -> JoinHandle<u64> {
        let trader = Arc::clone(self);
        thread::spawn(move || {
            world::pin(world::OTHER_CORE);
            let mut events = 0;
            while !matches!(trader.inbox.pop(), Next::Event(StrategyEvent::Stop(_))) {
                events += 1;
            }
            events
        })
    }
}

impl Listener for Trader {
    fn instruments(&self) -> &[Symbol] {
        &self.instruments
    }

    fn wants_news(&self) -> bool {
        false
    }

    fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    fn count(&self, _events: u64) {}
}

impl Host {
    /// Connects to the generator; returns when the stream counts as live.
    pub(crate) fn start(address: SocketAddr, encoding: Encoding, trader: Arc<Trader>) -> Self {
        let alpaca = Arc::new(alpaca(address, encoding));
        let counts = Arc::new(DataCounts::default());
        let nobody = |_: &[MarketEvent]| {};
        let sink = FanOut::new(
            nobody,
            Arc::new(Tape::default()),
            Arc::clone(&counts),
            Arc::new(Roster::of(vec![Arc::clone(&trader)])),
        );
        let ingest = Ingest::new(config(), alpaca, Arc::new(NoHistory), Arc::new(Afternoon));
        let stats = ingest.stats();
        let (shutdown, stopped) = watch::channel(false);
        let (tell, thread) = mpsc::channel();
        let run = move || {
            world::pin(world::CORE);
            tell.send(world::this_thread()).expect("somebody asks");
            let (_, probes) = tokio::sync::mpsc::channel(1);
            let reins = Reins { pulse: Arc::default(), probes, shutdown: stopped };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(ingest.run(sink, reins));
        };
        let ingest = thread::spawn(run);
        let thread = thread.recv().expect("it starts");
        world::wait_until("the stream is live", || stats.health() == StreamHealth::Live);
        Self { counts, trader, stats, thread, shutdown: Some(shutdown), ingest: Some(ingest) }
    }

    /// Quotes delivered so far.
    pub(crate) fn quotes(&self) -> u64 {
        self.counts.quotes.load(Ordering::Relaxed)
    }

    /// Processor time that ingest has used, nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        world::thread_nanos(self.thread)
    }

    /// Panics where events were lost or the connection fell: then a figure would be about something else.
    pub(crate) fn check(&self) {
        let stats = &self.stats;
        assert_eq!((stats.connection.opens(), stats.connection.falls()), (1, 0), "one connection, no fall");
        assert_eq!((stats.repeats(), stats.let_go(), stats.too_early()), (0, 0, 0), "nothing left out");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shutdown = None;
        self.trader.inbox.push(StrategyEvent::Stop("the run is over".into()));
        if let Some(ingest) = self.ingest.take() {
            ingest.join().expect("ingest ends as it should");
        }
    }
}

fn alpaca(address: SocketAddr, encoding: Encoding) -> Alpaca {
    let config = AlpacaConfig {
        trading_url: format!("http://{address}"),
        data_url: format!("http://{address}"),
        trading_stream_url: format!("ws://{address}/stream"),
        data_stream_url: format!("ws://{address}/v2/iex"),
        news_stream_url: None,
        encoding,
        feed: "iex".to_owned(),
        key_id: Secret::new("K"),
        secret: Secret::new("S"),
        timeout: Duration::from_secs(10),
    };
    Alpaca::new(config, Arc::new(Open), Arc::new(Open)).expect("good addresses")
}

fn config() -> IngestConfig {
    let start = MarketTime::from_secs(START_SECS);
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    IngestConfig {
        subscription: Subscription { quotes: symbols(), ..Subscription::default() },
        canary: None,
        days: vec![SessionDay { open: start - hours(1), close: start + hours(6) }],
        since: Afternoon.now(),
        bars_grace: IngestConfig::BARS_GRACE,
        ahead: IngestConfig::AHEAD,
        watches: Vec::new(),
        seed: 1,
    }
}

/// The market's clock stands, later than every stamp.
struct Afternoon;

impl MarketClock for Afternoon {
    fn now(&self) -> MarketTime {
        MarketTime::from_secs(START_SECS + 5 * 3_600)
    }

    fn real_until(&self, at: MarketTime) -> Duration {
        at.since(self.now())
    }
}

/// There is no budget to keep.
struct Open;

impl Gate for Open {
    fn acquire<'a>(
        &'a self,
        _class: Class,
        _strategy: Option<&'a StrategyName>,
        _deadline: Option<MarketTime>,
    ) -> Admission<'a> {
        Box::pin(async { Ok(()) })
    }

    fn observe(&self, _hint: RateHint) {}
}

/// Nothing happened before the run.
struct NoHistory;

impl History for NoHistory {
    async fn bars(&self, _: &[Symbol], _: MarketTime, _: MarketTime) -> Result<Vec<Bar>, BrokerError> {
        Ok(Vec::new())
    }

    async fn latest_quotes(&self, _: &[Symbol]) -> Result<Vec<Quote>, BrokerError> {
        Ok(Vec::new())
    }
}
