//! The loop that owns the trade-updates connection.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sandpit_broker::{OrderFeed, OrderSession, StreamError};
use sandpit_types::TradeUpdate;
use tokio::time::{Instant, sleep_until};

use crate::{
    life::{Input, Life, Proof, Step},
    reins::{Reins, Task, advance, done, failed, stopped},
    stats::UpdateStats,
};

/// A stream of orders may rightly be quiet all day; one that lasted this long, real time, is no longer
/// flapping.
const PROVEN_AFTER: Duration = Duration::from_secs(30);
/// With nothing to wait for, the loop looks up this often.
const IDLE: Duration = Duration::from_secs(3_600);
const NAME: &str = "trade updates";

/// Takes trade updates. A call that waits makes the loop wait: no update is dropped.
pub trait UpdateSink: Send + 'static {
    /// The next update.
    fn update(&mut self, update: TradeUpdate) -> impl Future<Output = ()> + Send;

    /// The stream is open. There is no replay: what happened while it was down has to be asked for.
    fn up(&mut self) -> impl Future<Output = ()> + Send;

    /// The stream is down: fills are not seen until it is up again. Said once a fall, and once if it never
    /// opens.
    fn down(&mut self) -> impl Future<Output = ()> + Send;
}

/// Keeps one trade-updates connection open for as long as the host lives.
pub struct UpdateLoop<O: OrderFeed> {
    feed: Arc<O>,
    life: Life,
    session: Option<O::Session>,
    opening: Option<Task<Result<O::Session, StreamError>>>,
    told_down: bool,
    stats: Arc<UpdateStats>,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack, gone at once")]
enum Happened<S> {
    Stop,
    Probe(u64),
    Opened(Result<S, StreamError>),
    Frame(Result<Option<TradeUpdate>, StreamError>),
    Due,
}

impl<O: OrderFeed> UpdateLoop<O> {
    /// A loop over `feed`; `seed` feeds the jitter of its waits.
    pub fn new(feed: Arc<O>, seed: u64) -> Self {
        let life = Life::new(Proof::Uptime(PROVEN_AFTER), seed, Instant::now().into_std());
        let stats = Arc::default();
        Self { feed, life, session: None, opening: None, told_down: false, stats }
    }

    /// The counters.
    pub fn stats(&self) -> Arc<UpdateStats> {
        Arc::clone(&self.stats)
    }

    /// Runs until the reins say stop.
    pub async fn run(mut self, mut sink: impl UpdateSink, mut reins: Reins) {
        loop {
            let wake = self.life.deadline().map_or_else(|| Instant::now() + IDLE, Instant::from_std);
            let happened = tokio::select! {
                () = stopped(&mut reins.shutdown) => Happened::Stop,
                Some(nonce) = reins.probes.recv() => Happened::Probe(nonce),
                result = done(&mut self.opening) => Happened::Opened(result),
                result = next(&mut self.session) => Happened::Frame(result),
                () = sleep_until(wake) => Happened::Due,
            };
            match happened {
                Happened::Stop => return,
                Happened::Probe(nonce) => reins.pulse.answer(nonce),
                Happened::Opened(result) => self.opened(result, &mut sink).await,
                Happened::Frame(result) => self.frame(result, &mut sink).await,
                Happened::Due => {
                    if self.step(Input::Due) == Step::Open {
                        let feed = Arc::clone(&self.feed);
                        self.opening = Some(Box::pin(async move { feed.open().await }));
                    }
                }
            }
            reins.pulse.work();
        }
    }

    async fn opened(&mut self, result: Result<O::Session, StreamError>, sink: &mut impl UpdateSink) {
        match result {
            Ok(session) => {
                self.step(Input::Opened);
                self.session = Some(session);
                self.told_down = false;
                sink.up().await;
            }
            Err(error) => {
                tracing::warn!(stream = NAME, %error, "the stream does not open");
                self.step(failed(&error));
                self.tell_down(sink).await;
            }
        }
    }

    async fn frame(&mut self, result: Result<Option<TradeUpdate>, StreamError>, sink: &mut impl UpdateSink) {
        match result {
            Ok(Some(update)) => {
                self.step(Input::Data);
                self.stats.updates.fetch_add(1, Ordering::Relaxed);
                sink.update(update).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(stream = NAME, %error, "the stream ended");
                self.session = None;
                self.step(Input::Lost);
                self.tell_down(sink).await;
            }
        }
    }

    async fn tell_down(&mut self, sink: &mut impl UpdateSink) {
        if !std::mem::replace(&mut self.told_down, true) {
            sink.down().await;
        }
    }

    fn step(&mut self, input: Input) -> Step {
        advance(&mut self.life, input, Instant::now().into_std(), &self.stats.connection, NAME)
    }
}

async fn next<S: OrderSession>(session: &mut Option<S>) -> Result<Option<TradeUpdate>, StreamError> {
    match session {
        Some(session) => session.next().await,
        None => std::future::pending().await,
    }
}
