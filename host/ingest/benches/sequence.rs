//! What a quote costs from the decoder's hands to the sink: the loop, the sequence, the judge of silence.
//!
//! Prints `name value unit`. The cost of making the quotes, which is the decoder's, is measured alone and
//! taken off.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sandpit_broker::{BrokerError, DataFeed, DataSession, History, StreamError, Subscription};
use sandpit_ingest::{Ingest, IngestConfig, MarketSink, Reins};
use sandpit_types::{Bar, MarketClock, MarketEvent, MarketTime, Pulse, Quote, SessionDay, Symbol};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

const SYMBOLS: usize = 200;
const QUOTES: u64 = 4_000_000;
const ROUNDS: usize = 3;
const OPEN: MarketTime = MarketTime::from_secs(1_381_152_600);

/// Market time that goes on with the real one.
struct Clock(Instant);

impl MarketClock for Clock {
    fn now(&self) -> MarketTime {
        OPEN + Duration::from_secs(3_600) + self.0.elapsed()
    }

    fn real_until(&self, at: MarketTime) -> Duration {
        at.since(self.now())
    }
}

/// Makes quotes of all symbols in turn, each newer than the one before.
#[derive(Clone)]
struct Maker {
    symbols: Vec<Symbol>,
    made: u64,
}

impl Maker {
    fn new() -> Self {
        Self { symbols: (0..SYMBOLS).map(|n| Symbol::new(format!("SYM{n}"))).collect(), made: 0 }
    }

    fn make(&mut self, count: u64, out: &mut Vec<MarketEvent>) {
        for _ in 0..count {
            let symbol = self.symbols[(self.made * 7) as usize % SYMBOLS].clone();
            let time = OPEN + Duration::from_nanos(self.made);
            self.made += 1;
            out.push(MarketEvent::Quote(Quote {
                symbol,
                time,
                bid: 1.0,
                bid_size: 1,
                ask: 2.0,
                ask_size: 1,
            }));
        }
    }
}

struct Feed {
    frame: u64,
    maker: Maker,
}

struct Session {
    frame: u64,
    left: u64,
    maker: Maker,
}

impl DataFeed for Feed {
    type Session = Session;

    async fn open(&self, _: &Subscription) -> Result<Session, StreamError> {
        Ok(Session { frame: self.frame, left: QUOTES, maker: self.maker.clone() })
    }
}

impl DataSession for Session {
    async fn next(&mut self, out: &mut Vec<MarketEvent>) -> Result<(), StreamError> {
        if self.left == 0 {
            std::future::pending::<()>().await;
        }
        let count = self.frame.min(self.left);
        self.left -= count;
        self.maker.make(count, out);
        Ok(())
    }

    async fn resubscribe(&mut self, _: &Subscription) -> Result<(), StreamError> {
        Ok(())
    }
}

/// No gaps here.
struct Nothing;

impl History for Nothing {
    async fn bars(&self, _: &[Symbol], _: MarketTime, _: MarketTime) -> Result<Vec<Bar>, BrokerError> {
        Ok(Vec::new())
    }

    async fn latest_quotes(&self, _: &[Symbol]) -> Result<Vec<Quote>, BrokerError> {
        Ok(Vec::new())
    }
}

struct Sink {
    delivered: u64,
    all: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
}

impl MarketSink for Sink {
    fn deliver(&mut self, events: &[MarketEvent]) {
        let quotes = events.iter().filter(|event| matches!(event, MarketEvent::Quote(_))).count();
        self.delivered += quotes as u64;
        if self.delivered == QUOTES {
            self.all.store(self.delivered, Ordering::Relaxed);
            let _ = self.stop.send(true);
        }
    }
}

/// Nanoseconds a quote, when each wakeup of the loop finds `frame` of them.
async fn through_the_loop(frame: u64) -> f64 {
    let maker = Maker::new();
    let symbols = maker.symbols.clone();
    let subscription =
        Subscription { bars: symbols.clone(), quotes: symbols, trades: Vec::new(), news: Vec::new() };
    let clock = Arc::new(Clock(Instant::now()));
    let canary = Some(Symbol::new(IngestConfig::CANARY));
    let config = IngestConfig {
        watches: IngestConfig::usual_watches(&subscription, canary.as_ref()),
        subscription,
        canary,
        days: vec![SessionDay { open: OPEN, close: OPEN + Duration::from_secs(23_400) }],
        since: clock.now(),
        bars_grace: IngestConfig::BARS_GRACE,
        ahead: IngestConfig::AHEAD,
        seed: 1,
    };
    let ingest = Ingest::new(config, Arc::new(Feed { frame, maker }), Arc::new(Nothing), clock);
    let (stop, shutdown) = watch::channel(false);
    let (_probe, probes) = mpsc::channel(1);
    let all = Arc::<AtomicU64>::default();
    let sink = Sink { delivered: 0, all: Arc::clone(&all), stop };
    let started = Instant::now();
    ingest.run(sink, Reins { pulse: Arc::<Pulse>::default(), probes, shutdown }).await;
    let took = started.elapsed();
    assert_eq!(all.load(Ordering::Relaxed), QUOTES, "every quote was delivered");
    took.as_nanos() as f64 / QUOTES as f64
}

/// Nanoseconds to make a quote and to drop it.
fn making(frame: u64) -> f64 {
    let (mut maker, mut out) = (Maker::new(), Vec::new());
    let started = Instant::now();
    for _ in 0..QUOTES / frame {
        maker.make(frame, &mut out);
        black_box(&out);
        out.clear();
    }
    started.elapsed().as_nanos() as f64 / QUOTES as f64
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for frame in [1, 16, 128, 1_024] {
        let best = |run: &mut dyn FnMut() -> f64| (0..ROUNDS).map(|_| run()).fold(f64::INFINITY, f64::min);
        let made = best(&mut || making(frame));
        let all = best(&mut || runtime.block_on(through_the_loop(frame)));
        println!("ingest_quote_made_{frame} {made:.1} ns");
        println!("ingest_quote_{frame} {:.1} ns", all - made);
        println!("ingest_quotes_per_s_{frame} {:.0} 1/s", 1e9 / (all - made));
    }
}
