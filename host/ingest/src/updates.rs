//! The loop that owns the trade-updates connection.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sandpit_broker::{OrderFeed, OrderSession, StreamError};
use sandpit_types::TradeUpdate;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    life::{Cause, Input, Life, Proof, Step},
    reins::{OPEN_WITHIN, Reins, Task, advance, done, not_open, stopped},
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

/// REST shows something that the stream should have told: an order that moved on, a fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// Of which connection: how many had been told to be up when this was found out.
    pub connection: u64,
    /// What, for the log.
    pub what: String,
}

/// Keeps one trade-updates connection open for as long as the host lives.
pub struct UpdateLoop<O: OrderFeed> {
    feed: Arc<O>,
    life: Life,
    session: Option<O::Session>,
    opening: Option<Task<Result<O::Session, StreamError>>>,
    suspicions: Option<mpsc::Receiver<Suspicion>>,
    open_within: Duration,
    told_down: bool,
    stats: Arc<UpdateStats>,
}

#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack, gone at once")]
enum Happened<S> {
    Stop,
    Probe(u64),
    Opened(Result<S, StreamError>),
    Frame(Result<Option<TradeUpdate>, StreamError>),
    Suspected(Suspicion),
    Due,
}

impl<O: OrderFeed> UpdateLoop<O> {
    /// A loop over `feed`; `seed` feeds the jitter of its waits.
    pub fn new(feed: Arc<O>, seed: u64) -> Self {
        let life = Life::new(Proof::Uptime(PROVEN_AFTER), seed, Instant::now().into_std());
        Self {
            feed,
            life,
            session: None,
            opening: None,
            suspicions: None,
            open_within: OPEN_WITHIN,
            told_down: false,
            stats: Arc::default(),
        }
    }

    /// Listens to suspicions. One of the connection that is open ends it, and with it all that were told
    /// before it; one of an earlier connection, which was slow to come, says nothing about this one and
    /// is dropped.
    #[must_use]
    pub fn with_suspicions(mut self, suspicions: mpsc::Receiver<Suspicion>) -> Self {
        self.suspicions = Some(suspicions);
        self
    }

    /// Another bound than the usual 30 s for opening a connection; real time.
    #[must_use]
    pub const fn with_bound(mut self, open_within: Duration) -> Self {
        self.open_within = open_within;
        self
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
                Some(suspicion) = heard(&mut self.suspicions) => Happened::Suspected(suspicion),
                () = sleep_until(wake) => Happened::Due,
            };
            match happened {
                Happened::Stop => return,
                Happened::Probe(nonce) => reins.pulse.answer(nonce),
                Happened::Opened(result) => self.opened(result, &mut sink).await,
                Happened::Frame(result) => self.frame(result, &mut sink).await,
                Happened::Suspected(suspicion) => self.suspected(&suspicion, &mut sink).await,
                Happened::Due => self.due(),
            }
            reins.pulse.work();
        }
    }

    fn due(&mut self) {
        if self.step(Input::Due) == Step::Open {
            let (feed, within) = (Arc::clone(&self.feed), self.open_within);
            self.opening = Some(Box::pin(async move {
                timeout(within, feed.open()).await.map_err(|_| not_open(within)).flatten()
            }));
        }
    }

    async fn opened(&mut self, result: Result<O::Session, StreamError>, sink: &mut impl UpdateSink) {
        match result {
            Ok(session) => {
                self.step(Input::Opened);
                self.session = Some(session);
                self.told_down = false;
                self.forget_suspicions();
                sink.up().await;
            }
            Err(error) => {
                tracing::warn!(stream = NAME, %error, "the stream does not open");
                self.step(Input::Failed(Cause::of(&error, false)));
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
                self.fall(Cause::of(&error, false), sink).await;
            }
        }
    }

    async fn suspected(&mut self, suspicion: &Suspicion, sink: &mut impl UpdateSink) {
        self.forget_suspicions();
        if self.session.is_some() && suspicion.connection >= self.stats.connection.opens() {
            tracing::warn!(stream = NAME, what = %suspicion.what, "the stream has not told what REST shows");
            self.fall(Cause::Suspected, sink).await;
        }
    }

    async fn fall(&mut self, cause: Cause, sink: &mut impl UpdateSink) {
        // The old socket is gone before a new one is made: the broker allows one.
        self.session = None;
        self.step(Input::Lost(cause));
        self.tell_down(sink).await;
    }

    fn forget_suspicions(&mut self) {
        if let Some(suspicions) = &mut self.suspicions {
            while suspicions.try_recv().is_ok() {}
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

async fn heard(suspicions: &mut Option<mpsc::Receiver<Suspicion>>) -> Option<Suspicion> {
    match suspicions {
        Some(suspicions) => suspicions.recv().await,
        None => std::future::pending().await,
    }
}
