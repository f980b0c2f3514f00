//! Feeds, history and clock under a test's control.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sandpit_broker::{
    BrokerError, DataFeed, DataSession, History, NewsHistory, OrderFeed, OrderSession, StreamError,
    Subscription,
};
use sandpit_ingest::Reins;
use sandpit_types::{Bar, MarketClock, MarketEvent, MarketTime, News, Pulse, Quote, Symbol, TradeUpdate};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

/// How long a test waits for something before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `holds`, with a bound.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Market time that runs `speed` times as fast as the real one.
pub(crate) struct FastClock {
    started: Instant,
    origin: MarketTime,
    speed: u32,
}

impl FastClock {
    pub(crate) fn new(origin: MarketTime, speed: u32) -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), origin, speed })
    }
}

impl MarketClock for FastClock {
    fn now(&self) -> MarketTime {
        self.origin + self.started.elapsed() * self.speed
    }

    fn real_until(&self, at: MarketTime) -> Duration {
        at.since(self.now()) / self.speed
    }
}

/// What a session gives next.
type Frame<T> = Result<T, StreamError>;
/// How a try to open ends; `None` never ends.
type Opening<T> = Option<Result<mpsc::UnboundedReceiver<Frame<T>>, StreamError>>;

/// A feed whose openings were laid out before; when they are used up, it is down.
pub(crate) struct Feed<T> {
    openings: Mutex<std::collections::VecDeque<Opening<T>>>,
    open_now: Arc<AtomicU64>,
    pub(crate) opens: AtomicU64,
    /// What comes takes so many milliseconds on its way through the system.
    pub(crate) lag_ms: Arc<AtomicU64>,
    /// What was subscribed to, try by try.
    pub(crate) asked: Mutex<Vec<Subscription>>,
    /// What was asked for instead while a session was open.
    pub(crate) changed: Arc<Mutex<Vec<Subscription>>>,
}

impl<T: Send + 'static> Feed<T> {
    pub(crate) fn new(openings: Vec<Opening<T>>) -> Arc<Self> {
        Arc::new(Self {
            openings: Mutex::new(openings.into()),
            open_now: Arc::default(),
            opens: AtomicU64::new(0),
            lag_ms: Arc::default(),
            asked: Mutex::default(),
            changed: Arc::default(),
        })
    }

    async fn session(&self) -> Result<Session<T>, StreamError> {
        assert_eq!(
            self.open_now.load(Ordering::SeqCst),
            0,
            "the old connection goes before a new one is made"
        );
        self.opens.fetch_add(1, Ordering::SeqCst);
        let opening = self.openings.lock().unwrap().pop_front();
        match opening {
            Some(Some(Ok(frames))) => {
                self.open_now.fetch_add(1, Ordering::SeqCst);
                let (open_now, lag_ms) = (Arc::clone(&self.open_now), Arc::clone(&self.lag_ms));
                Ok(Session { frames, open_now, lag_ms, changed: Arc::clone(&self.changed) })
            }
            Some(Some(Err(error))) => Err(error),
            Some(None) => std::future::pending().await,
            None => Err(StreamError::Down { message: "no more openings".to_owned() }),
        }
    }
}

/// One opening and the hand that plays it.
pub(crate) fn opening<T>() -> (mpsc::UnboundedSender<Frame<T>>, Opening<T>) {
    let (hand, frames) = mpsc::unbounded_channel();
    (hand, Some(Ok(frames)))
}

pub(crate) struct Session<T> {
    frames: mpsc::UnboundedReceiver<Frame<T>>,
    open_now: Arc<AtomicU64>,
    lag_ms: Arc<AtomicU64>,
    changed: Arc<Mutex<Vec<Subscription>>>,
}

impl<T> Drop for Session<T> {
    fn drop(&mut self) {
        self.open_now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<T> Session<T> {
    async fn frame(&mut self) -> Frame<T> {
        let lag = self.lag_ms.load(Ordering::SeqCst);
        if lag > 0 {
            sleep(Duration::from_millis(lag)).await;
        }
        let closed = || Err(StreamError::Down { message: "closed".to_owned() });
        self.frames.recv().await.unwrap_or_else(closed)
    }
}

impl DataFeed for Feed<Vec<MarketEvent>> {
    type Session = Session<Vec<MarketEvent>>;

    async fn open(&self, asked: &Subscription) -> Result<Self::Session, StreamError> {
        self.asked.lock().unwrap().push(asked.clone());
        self.session().await
    }
}

impl DataSession for Session<Vec<MarketEvent>> {
    async fn next(&mut self, out: &mut Vec<MarketEvent>) -> Result<(), StreamError> {
        out.extend(self.frame().await?);
        Ok(())
    }

    async fn resubscribe(&mut self, to: &Subscription) -> Result<(), StreamError> {
        self.changed.lock().unwrap().push(to.clone());
        Ok(())
    }
}

impl OrderFeed for Feed<TradeUpdate> {
    type Session = Session<TradeUpdate>;

    async fn open(&self) -> Result<Self::Session, StreamError> {
        self.session().await
    }
}

impl OrderSession for Session<TradeUpdate> {
    async fn next(&mut self) -> Result<Option<TradeUpdate>, StreamError> {
        self.frame().await.map(Some)
    }
}

/// Every minute of every symbol has a bar here, as soon as it is over.
pub(crate) struct Books {
    pub(crate) clock: Arc<FastClock>,
    pub(crate) fails: AtomicBool,
    /// Quotes fail, bars do not.
    pub(crate) quotes_fail: AtomicBool,
    /// Bars are never answered.
    pub(crate) hangs: AtomicBool,
    /// The canary sings all the same when the market stands still.
    pub(crate) canary_sings: AtomicBool,
    /// The market stands still since then.
    pub(crate) halted: Mutex<Option<MarketTime>>,
}

impl Books {
    fn now(&self) -> MarketTime {
        let now = self.clock.now();
        self.halted.lock().unwrap().map_or(now, |halted| now.min(halted))
    }

    fn answer<T>(&self, value: T) -> Result<T, BrokerError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(BrokerError::Unavailable { message: "the test says so".to_owned() });
        }
        Ok(value)
    }
}

impl History for Books {
    async fn bars(
        &self,
        symbols: &[Symbol],
        from: MarketTime,
        to: MarketTime,
    ) -> Result<Vec<Bar>, BrokerError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let mut bars = Vec::new();
        let mut start = from;
        while start < to.min(self.now().minute()) {
            bars.extend(symbols.iter().map(|symbol| bar(symbol, start)));
            start = start + Duration::from_secs(60);
        }
        self.answer(bars)
    }

    async fn latest_quotes(&self, symbols: &[Symbol]) -> Result<Vec<Quote>, BrokerError> {
        let now = self.now();
        if self.quotes_fail.load(Ordering::SeqCst) {
            return Err(BrokerError::Unavailable { message: "no quotes".to_owned() });
        }
        let sings = self.canary_sings.load(Ordering::SeqCst);
        let time = |symbol: &Symbol| if sings && symbol.as_str() == "CNRY" { self.clock.now() } else { now };
        self.answer(symbols.iter().map(|symbol| quote(symbol, time(symbol))).collect())
    }
}

pub(crate) fn bar(symbol: &Symbol, start: MarketTime) -> Bar {
    let (open, high, low, close, vwap) = (1.0, 1.0, 1.0, 1.0, 1.0);
    Bar { symbol: symbol.clone(), start, open, high, low, close, volume: 1, vwap }
}

pub(crate) fn quote(symbol: &Symbol, time: MarketTime) -> Quote {
    Quote { symbol: symbol.clone(), time, bid: 1.0, bid_size: 1, ask: 2.0, ask_size: 1 }
}

/// News over REST, under a test's control.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) news: Mutex<Vec<News>>,
    pub(crate) fails: AtomicBool,
    pub(crate) asked: AtomicU64,
}

impl NewsHistory for Wire {
    async fn news(&self, _: &[Symbol], from: MarketTime) -> Result<Vec<News>, BrokerError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(BrokerError::Unavailable { message: "the test says so".to_owned() });
        }
        let news = self.news.lock().unwrap();
        Ok(news.iter().filter(|news| news.updated >= from).cloned().collect())
    }
}

/// The other ends of a loop's reins.
pub(crate) struct Hands {
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) probes: mpsc::Sender<u64>,
    pub(crate) stop: watch::Sender<bool>,
}

pub(crate) fn reins() -> (Hands, Reins) {
    let pulse = Arc::new(Pulse::default());
    let (probe, probes) = mpsc::channel(4);
    let (stop, shutdown) = watch::channel(false);
    (Hands { pulse: Arc::clone(&pulse), probes: probe, stop }, Reins { pulse, probes, shutdown })
}
