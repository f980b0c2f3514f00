//! The loop that owns the news connection.
//!
//! News may rightly be quiet for hours, so silence is no failure here: the pings of the adapter judge, and a
//! connection proves itself by lasting. While it is down, REST is asked every minute; on return it is asked
//! until it answers, and again a minute later, for what was on its way to both. From then on an audit asks
//! now and then what the stream did not tell, and ends a stream that is mute. What was delivered is known by
//! its id and version.

mod seen;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use sandpit_broker::{BrokerError, DataFeed, DataSession, NewsHistory, StreamError, Subscription};
use sandpit_cores::Backoff;
use sandpit_types::{MarketClock, MarketEvent, MarketTime, News, Symbol};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use self::seen::Seen;
use crate::{
    MarketSink,
    life::{Cause, Input, Life, Phase, Proof, Step},
    reins::{OPEN_WITHIN, Reins, Task, advance, done, not_open, stopped},
    stats::NewsStats,
};

/// A connection that lasted this long, real time, is no longer flapping.
const PROVEN_AFTER: Duration = Duration::from_secs(30);
/// While the stream is down, REST is asked this often, market time.
const POLL_EVERY: Duration = Duration::from_secs(60);
/// A stream that is open is audited this often, market time.
const AUDIT_EVERY: Duration = Duration::from_secs(900);
/// The stream may tell news this much after its stamp, market time, before an audit blames it.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
/// And never more often than this, real time.
const POLL_FLOOR: Duration = Duration::from_secs(1);
/// The shortest and longest wait after a request that failed; real time.
const POLL_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A request that took longer counts as failed; real time.
const POLL_WITHIN: Duration = Duration::from_secs(30);
/// With nothing to wait for, the loop looks up this often.
const IDLE: Duration = Duration::from_secs(3_600);
/// A connection that does not take our words for so long is as good as broken; real time. The loop waits for
/// it.
const SAY_WITHIN: Duration = Duration::from_millis(250);
const NAME: &str = "news";

/// What the news loop is told at its start.
#[derive(Clone, Debug)]
pub struct NewsConfig {
    /// Whose news; `*` is everybody's.
    pub symbols: Vec<Symbol>,
    /// News that came out from here on is delivered, from history where the stream was not up yet.
    pub since: MarketTime,
    /// Feeds the jitter of the waits.
    pub seed: u64,
}

/// Keeps one news connection open for as long as the host lives; REST carries the news while it is down.
pub struct NewsLoop<F: DataFeed, H: NewsHistory> {
    subscription: Arc<Subscription>,
    /// Whose news is wanted, as that changes.
    changes: Option<mpsc::Receiver<Vec<Symbol>>>,
    /// Whether the open connection was asked for something else than is wanted now.
    is_outdated: bool,
    feed: Arc<F>,
    history: Arc<H>,
    clock: Arc<dyn MarketClock>,
    life: Life,
    session: Option<F::Session>,
    opening: Option<Task<Result<F::Session, StreamError>>>,
    asking: Option<Task<Result<Vec<News>, BrokerError>>>,
    /// When REST is asked next.
    ask_at: Option<Instant>,
    /// When the stream opened, and how often REST has answered since.
    opened_at: (MarketTime, u32),
    asked_at: Option<Instant>,
    backoff: Backoff,
    seen: Seen,
    came: Vec<MarketEvent>,
    out: Vec<MarketEvent>,
    stats: Arc<NewsStats>,
}

enum Happened<S> {
    Stop,
    Probe(u64),
    Opened(Result<S, StreamError>),
    Frame(Result<(), StreamError>),
    Answered(Result<Vec<News>, BrokerError>),
    Wanted(Vec<Symbol>),
    Due,
}

impl<F: DataFeed, H: NewsHistory> NewsLoop<F, H> {
    /// A loop over `feed` and `history`; nothing is sent before [`Self::run`].
    pub fn new(config: NewsConfig, feed: Arc<F>, history: Arc<H>, clock: Arc<dyn MarketClock>) -> Self {
        let NewsConfig { symbols, since, seed } = config;
        Self {
            subscription: Arc::new(Subscription { news: symbols, ..Subscription::default() }),
            changes: None,
            is_outdated: false,
            feed,
            history,
            clock,
            life: Life::new(Proof::Uptime(PROVEN_AFTER), seed, Instant::now().into_std()),
            session: None,
            opening: None,
            asking: None,
            ask_at: None,
            opened_at: (MarketTime::EPOCH, 0),
            asked_at: None,
            backoff: Backoff::new(POLL_WAITS.0, POLL_WAITS.1),
            seen: Seen::new(since),
            came: Vec::new(),
            out: Vec::new(),
            stats: Arc::default(),
        }
    }

    /// Hears from there whose news is wanted while it runs.
    #[must_use]
    pub fn with_changes(mut self, changes: mpsc::Receiver<Vec<Symbol>>) -> Self {
        self.changes = Some(changes);
        self
    }

    /// The counters.
    pub fn stats(&self) -> Arc<NewsStats> {
        Arc::clone(&self.stats)
    }

    /// Runs until the reins say stop.
    pub async fn run<S: MarketSink>(mut self, mut sink: S, mut reins: Reins) {
        loop {
            self.say_what_is_wanted().await;
            self.start_tasks();
            let wake = self.wake_at();
            let happened = tokio::select! {
                () = stopped(&mut reins.shutdown) => Happened::Stop,
                Some(nonce) = reins.probes.recv() => Happened::Probe(nonce),
                wanted = changed(&mut self.changes) => Happened::Wanted(wanted),
                result = next(&mut self.session, &mut self.came) => Happened::Frame(result),
                result = done(&mut self.opening) => Happened::Opened(result),
                result = done(&mut self.asking) => Happened::Answered(result),
                () = sleep_until(wake) => Happened::Due,
            };
            match happened {
                Happened::Stop => return,
                Happened::Probe(nonce) => reins.pulse.answer(nonce),
                Happened::Opened(result) => self.opened(result),
                Happened::Frame(result) => self.frame(result),
                Happened::Answered(result) => self.answered(result),
                Happened::Wanted(symbols) => self.resubscribe(symbols),
                Happened::Due => {}
            }
            if !self.out.is_empty() {
                sink.deliver(&self.out);
                self.out.clear();
            }
            reins.pulse.work();
        }
    }

    fn start_tasks(&mut self) {
        let now = Instant::now();
        if self.opens_at().is_some_and(|at| at <= now.into_std()) && self.step(Input::Due) == Step::Open {
            self.is_outdated = false;
            let (feed, wanted) = (Arc::clone(&self.feed), Arc::clone(&self.subscription));
            self.opening = Some(Box::pin(async move {
                timeout(OPEN_WITHIN, feed.open(&wanted)).await.map_err(|_| not_open(OPEN_WITHIN)).flatten()
            }));
        }
        let is_wanted = !self.subscription.news.is_empty();
        if self.asking.is_none() && is_wanted && self.ask_at.take_if(|at| *at <= now).is_some() {
            self.asked_at = Some(now);
            let (history, wanted) = (Arc::clone(&self.history), Arc::clone(&self.subscription));
            let from = self.seen.from();
            self.asking = Some(Box::pin(async move {
                let late = |_| BrokerError::Unavailable { message: format!("no answer in {POLL_WITHIN:?}") };
                timeout(POLL_WITHIN, history.news(&wanted.news, from)).await.map_err(late).flatten()
            }));
        }
    }

    fn wake_at(&self) -> Instant {
        let life = self.opens_at().map(Instant::from_std);
        let ask = self.ask_at.filter(|_| self.asking.is_none() && !self.subscription.news.is_empty());
        [life, ask].into_iter().flatten().fold(Instant::now() + IDLE, Instant::min)
    }

    /// When the life of the connection has something to do. Where no news is wanted, none is made.
    fn opens_at(&self) -> Option<std::time::Instant> {
        let rests = matches!(self.life.phase(), Phase::Waiting { .. }) && self.subscription.news.is_empty();
        self.life.deadline().filter(|_| !rests)
    }

    /// Other news is wanted from now on; what came out a moment ago REST brings.
    fn resubscribe(&mut self, symbols: Vec<Symbol>) {
        if self.subscription.news == symbols {
            return;
        }
        self.subscription = Arc::new(Subscription { news: symbols, ..Subscription::default() });
        self.is_outdated = true;
        self.asking = None;
        if self.session.is_some() {
            self.hurry();
        }
    }

    /// Tells an open connection what it was not asked for when it was made.
    async fn say_what_is_wanted(&mut self) {
        let Some(session) = self.session.as_mut().filter(|_| self.is_outdated) else { return };
        self.is_outdated = false;
        let said = timeout(SAY_WITHIN, session.resubscribe(&self.subscription)).await;
        if let Err(error) = said.map_err(|_| not_open(SAY_WITHIN)).flatten() {
            tracing::warn!(stream = NAME, %error, "the stream ended");
            self.fall(Cause::of(&error, false));
        }
    }

    fn opened(&mut self, result: Result<F::Session, StreamError>) {
        match result {
            Ok(session) => {
                self.step(Input::Opened);
                self.session = Some(session);
                self.opened_at = (self.clock.now(), 0);
                // An answer under way may be older than the subscription.
                self.asking = None;
                self.hurry();
            }
            Err(error) => {
                tracing::warn!(stream = NAME, %error, "the stream does not open");
                self.step(Input::Failed(Cause::of(&error, false)));
                if self.ask_at.is_none() && self.asking.is_none() {
                    self.hurry();
                }
            }
        }
    }

    fn frame(&mut self, result: Result<(), StreamError>) {
        if !self.came.is_empty() {
            self.step(Input::Data);
        }
        let now = self.clock.now();
        for event in self.came.drain(..) {
            match event {
                MarketEvent::News(news) if self.seen.is_new(&news, now) => {
                    self.out.push(MarketEvent::News(news));
                }
                MarketEvent::News(_) => _ = self.stats.repeats.fetch_add(1, Relaxed),
                MarketEvent::Bar(_)
                | MarketEvent::MarkedBar(..)
                | MarketEvent::Quote(_)
                | MarketEvent::Trade(_)
                | MarketEvent::BarsComplete(_)
                | MarketEvent::SessionOpen(_)
                | MarketEvent::SessionClose(_)
                | MarketEvent::Health(..) => _ = self.stats.strangers.fetch_add(1, Relaxed),
            }
        }
        self.stats.news.fetch_add(self.out.len() as u64, Relaxed);
        if let Err(error) = result {
            tracing::warn!(stream = NAME, %error, "the stream ended");
            self.fall(Cause::of(&error, false));
        }
    }

    fn fall(&mut self, cause: Cause) {
        // The old socket is gone before a new one is made: the broker allows one.
        self.session = None;
        self.step(Input::Lost(cause));
        self.hurry();
    }

    fn answered(&mut self, result: Result<Vec<News>, BrokerError>) {
        let now = Instant::now();
        self.stats.polls.fetch_add(1, Relaxed);
        match result {
            Ok(news) => {
                self.backoff.succeed();
                let market = self.clock.now();
                let mut untold = 0;
                for news in news {
                    let told_by = news.updated + TOLD_WITHIN;
                    let (opened, answers) = self.opened_at;
                    let is_owed = answers > 1 && news.updated > opened && told_by < market;
                    if self.seen.is_new(&news, market) {
                        untold += u32::from(is_owed && self.session.is_some());
                        self.out.push(MarketEvent::News(Box::new(news)));
                    } else {
                        self.stats.repeats.fetch_add(1, Relaxed);
                    }
                }
                self.stats.news.fetch_add(self.out.len() as u64, Relaxed);
                let answers = &mut self.opened_at.1;
                *answers = answers.saturating_add(1);
                let is_settled = self.session.is_some() && *answers > 1;
                let span = if is_settled { AUDIT_EVERY } else { POLL_EVERY };
                self.ask_at = Some(now + self.clock.real_until(market + span).max(POLL_FLOOR));
                if untold > 0 {
                    tracing::error!(stream = NAME, untold, "the stream does not tell all of its news");
                    self.fall(Cause::Suspected);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "news cannot be asked for");
                self.stats.polls_failed.fetch_add(1, Relaxed);
                let random = self.life.draw();
                self.ask_at = self.backoff.fail(random).map(|wait| now + wait);
            }
        }
    }

    /// Asks at once; but a connection that falls again and again does not make us ask each time.
    fn hurry(&mut self) {
        let now = Instant::now();
        self.ask_at = Some(self.asked_at.map_or(now, |asked| now.max(asked + POLL_FLOOR)));
    }

    fn step(&mut self, input: Input) -> Step {
        advance(&mut self.life, input, Instant::now().into_std(), &self.stats.connection, NAME)
    }
}

/// Whose news is wanted next; waits for ever when there is nobody to say. Cancel-safe.
async fn changed(changes: &mut Option<mpsc::Receiver<Vec<Symbol>>>) -> Vec<Symbol> {
    let Some(open) = changes else { return std::future::pending().await };
    match open.recv().await {
        Some(symbols) => symbols,
        None => {
            *changes = None;
            std::future::pending().await
        }
    }
}

async fn next<S: DataSession>(
    session: &mut Option<S>,
    came: &mut Vec<MarketEvent>,
) -> Result<(), StreamError> {
    match session {
        Some(session) => session.next(came).await,
        None => std::future::pending().await,
    }
}
