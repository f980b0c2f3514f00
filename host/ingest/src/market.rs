//! The loop that owns the market-data connection.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sandpit_broker::{DataFeed, DataSession, History, StreamError, Subscription};
use sandpit_cores::{Backoff, Channel, Health, Staleness};
use sandpit_types::{MarketClock, MarketEvent, MarketTime, StreamHealth};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    IngestConfig,
    fetch::{Errand, Fetched, fetch},
    life::{Input, Life, Phase, Proof, Step},
    reins::{Reins, Task, advance, done, failed, stopped},
    sequence::{Moment, Sequence, Source},
    stats::IngestStats,
};

/// Silence is judged in market time, but data is never called overdue sooner than this after the last, real
/// time: in compressed time a minute of the market is shorter than a hiccup of the machine.
const SILENCE_FLOOR: Duration = Duration::from_secs(3);
/// REST is asked for a bar this long after its minute, market time: sooner it may not have it yet, or, as our
/// clock may be ahead of the broker's, only a part of it.
const SETTLE: Duration = Duration::from_secs(5);
/// How far our clock may be behind the broker's, market time: so much longer a bar may have been sent before
/// we came.
const SKEW: Duration = Duration::from_secs(5);
/// While the stream is down, REST is asked this often, market time.
const POLL_EVERY: Duration = Duration::from_secs(15);
/// And never more often than this, real time.
const POLL_FLOOR: Duration = Duration::from_millis(50);
/// From the first request for a gap to the moment at which the stream goes on without it; real time.
const FILL_WITHIN: Duration = Duration::from_secs(20);
/// A connection that is not open after this is a failed one, whatever it waits for; real time.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// The shortest and longest wait between those tries; real time.
const FILL_WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// With nothing to wait for, the loop looks up this often.
const IDLE: Duration = Duration::from_secs(3_600);
const NAME: &str = "market data";

/// Takes market events, in the one order that every strategy sees. It must not block for long: the socket
/// waits.
pub trait MarketSink: Send {
    /// The next events, at least one.
    fn deliver(&mut self, events: &[MarketEvent]);
}

/// Keeps one market-data connection open for as long as the host lives; REST carries the data while it is
/// down.
pub struct Ingest<F: DataFeed, H: History> {
    subscription: Arc<Subscription>,
    feed: Arc<F>,
    history: Arc<H>,
    clock: Arc<dyn MarketClock>,
    life: Life,
    staleness: Staleness,
    sequence: Sequence,
    session: Option<F::Session>,
    opening: Option<Task<Result<F::Session, StreamError>>>,
    fetching: Option<Task<Fetched>>,
    fill: Option<Fill>,
    fill_within: Duration,
    open_within: Duration,
    poll_at: Instant,
    heard_at: Instant,
    health: Option<StreamHealth>,
    buffer: Vec<MarketEvent>,
    stats: Arc<IngestStats>,
}

/// A gap that has to be filled before the stream's events go on.
struct Fill {
    /// The gap ends before this minute: from here on, the stream has all bars.
    to: MarketTime,
    /// When to ask.
    at: Instant,
    /// When to go on without it, even if an answer is still awaited.
    until: Instant,
    backoff: Backoff,
}

enum Happened<S> {
    Stop,
    Probe(u64),
    Opened(Result<S, StreamError>),
    Frame(Result<(), StreamError>),
    Fetched(Fetched),
    Due,
}

impl<F: DataFeed, H: History> Ingest<F, H> {
    /// A loop over `feed` and `history`; nothing is sent before [`Self::run`].
    pub fn new(config: IngestConfig, feed: Arc<F>, history: Arc<H>, clock: Arc<dyn MarketClock>) -> Self {
        let IngestConfig { subscription, days, since, bars_grace, ahead, watches, seed } = config;
        let now = Instant::now();
        Self {
            sequence: Sequence::new(&subscription, days, since, bars_grace, ahead),
            subscription: Arc::new(subscription),
            feed,
            history,
            clock,
            life: Life::new(Proof::Data, seed, now.into_std()),
            staleness: Staleness::new(&watches),
            session: None,
            opening: None,
            fetching: None,
            fill: None,
            fill_within: FILL_WITHIN,
            open_within: OPEN_WITHIN,
            poll_at: now,
            heard_at: now,
            health: None,
            buffer: Vec::new(),
            stats: Arc::default(),
        }
    }

    /// Other bounds than the usual 20 s for filling a gap and 30 s for opening a connection; real time.
    #[must_use]
    pub const fn with_bounds(mut self, fill_within: Duration, open_within: Duration) -> Self {
        (self.fill_within, self.open_within) = (fill_within, open_within);
        self
    }

    /// The counters.
    pub fn stats(&self) -> Arc<IngestStats> {
        Arc::clone(&self.stats)
    }

    /// Runs until the reins say stop.
    pub async fn run<S: MarketSink>(mut self, mut sink: S, mut reins: Reins) {
        loop {
            self.start_tasks();
            let wake = self.wake_at();
            let happened = tokio::select! {
                () = stopped(&mut reins.shutdown) => Happened::Stop,
                Some(nonce) = reins.probes.recv() => Happened::Probe(nonce),
                result = next(&mut self.session, &mut self.buffer) => Happened::Frame(result),
                result = done(&mut self.opening) => Happened::Opened(result),
                result = done(&mut self.fetching) => Happened::Fetched(result),
                () = sleep_until(wake) => Happened::Due,
            };
            match happened {
                Happened::Stop => return,
                Happened::Probe(nonce) => reins.pulse.answer(nonce),
                Happened::Opened(result) => self.opened(result),
                Happened::Frame(result) => self.frame(result, &mut sink),
                Happened::Fetched(fetched) => self.fetched(fetched, &mut sink),
                Happened::Due => {}
            }
            self.look_at_the_clock(&mut sink);
            self.stats.set_counts(self.sequence.counts());
            reins.pulse.work();
        }
    }

    /// Begins what is due: a connection, a gap, a poll. One request at a time.
    fn start_tasks(&mut self) {
        let now = Instant::now();
        if self.life.deadline().is_some_and(|at| at <= now.into_std()) && self.step(Input::Due) == Step::Open
        {
            let (feed, subscription) = (Arc::clone(&self.feed), Arc::clone(&self.subscription));
            let within = self.open_within;
            let late = move |_| StreamError::Down { message: format!("it is not open within {within:?}") };
            self.opening = Some(Box::pin(async move {
                timeout(within, feed.open(&subscription)).await.map_err(late).flatten()
            }));
        }
        if self.fetching.is_some() {
            return;
        }
        let from = self.sequence.gap_start();
        let errand = match &self.fill {
            Some(fill) if fill.at <= now => Errand::Fill { from, to: fill.to },
            Some(_) => return,
            None if self.polls() && self.poll_at <= now => {
                let market = self.clock.now();
                self.poll_at = now + self.clock.real_until(market + POLL_EVERY).max(POLL_FLOOR);
                Errand::Poll { from, to: (market - SETTLE).minute() }
            }
            None => return,
        };
        self.fetching = Some(fetch(Arc::clone(&self.history), Arc::clone(&self.subscription), errand));
    }

    /// Whether REST carries the data: in a session, from a fall until the stream has proven itself again.
    fn polls(&self) -> bool {
        self.life.failures() > 0 && self.sequence.sessions().is_open(self.clock.now())
    }

    /// When there is something to do without an event.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let market = self.clock.now();
        let real = |at: MarketTime| now + self.clock.real_until(at);
        let (bell, minute) = self.sequence.deadline();
        let request = match &self.fill {
            Some(fill) if self.fetching.is_some() => Some(fill.until),
            None if self.fetching.is_some() => None,
            Some(fill) => Some(fill.at.min(fill.until)),
            None => self.polls().then_some(self.poll_at),
        };
        let silent = self.staleness.deadline().map(|(at, _)| real(at).max(self.heard_at + SILENCE_FLOOR));
        [
            self.life.deadline().map(Instant::from_std),
            minute.map(Instant::from_std),
            bell.map(real),
            self.sequence.sessions().next_change(market).map(real),
            request,
            silent,
        ]
        .into_iter()
        .flatten()
        .fold(now + IDLE, Instant::min)
    }

    fn opened(&mut self, result: Result<F::Session, StreamError>) {
        match result {
            Ok(session) => {
                self.step(Input::Opened);
                self.session = Some(session);
                let (now, market) = (Instant::now(), self.clock.now());
                self.heard_at = now;
                self.staleness.on_subscribed(market);
                self.sequence.hold();
                // A bar whose minute ended before we subscribed will not come again over the stream.
                let to = (market + SKEW).minute();
                let has_gap = self.sequence.gap_start() < to;
                let at = if has_gap { now + self.clock.real_until(to + SETTLE) } else { now };
                let backoff = Backoff::new(FILL_WAITS.0, FILL_WAITS.1);
                self.fill = Some(Fill { to, at, until: at + self.fill_within, backoff });
            }
            Err(error) => {
                tracing::warn!(stream = NAME, %error, "the stream does not open");
                self.step(failed(&error));
            }
        }
    }

    fn frame(&mut self, result: Result<(), StreamError>, sink: &mut impl MarketSink) {
        let mut events = std::mem::take(&mut self.buffer);
        if !events.is_empty() {
            let (now, market) = (Instant::now(), self.clock.now());
            let moment = Moment { real: now.into_std(), market };
            self.heard_at = now;
            self.step(Input::Data);
            for event in events.drain(..) {
                if let Some(channel) = channel_of(&event) {
                    self.staleness.on_data(channel, market);
                }
                self.sequence.on(event, Source::Stream, moment, &mut |event| {
                    sink.deliver(std::slice::from_ref(event))
                });
            }
        }
        self.buffer = events;
        if let Err(error) = result {
            tracing::warn!(stream = NAME, %error, "the stream ended");
            self.fall(Input::Lost);
        }
    }

    fn fall(&mut self, input: Input) {
        // The old socket is gone before a new one is made: the broker allows one.
        self.session = None;
        self.staleness.on_down();
        self.sequence.forget();
        self.fill = None;
        self.poll_at = Instant::now();
        self.step(input);
    }

    fn fetched(&mut self, fetched: Fetched, sink: &mut impl MarketSink) {
        let now = Moment { real: Instant::now().into_std(), market: self.clock.now() };
        let emit = &mut |event: &MarketEvent| sink.deliver(std::slice::from_ref(event));
        let is_fill = matches!(fetched.errand, Errand::Fill { .. });
        if !is_fill {
            self.stats.polls.fetch_add(1, Ordering::Relaxed);
        }
        for event in fetched.events {
            self.sequence.on(event, Source::Rest, now, emit);
        }
        match fetched.result {
            Ok(()) => {
                if self.fill.take_if(|fill| fetched.errand.fills(fill.to)).is_some() {
                    self.stats.gaps_filled.fetch_add(1, Ordering::Relaxed);
                    self.sequence.release(now, emit);
                } else if self.polls() {
                    self.tell(StreamHealth::Fallback, sink);
                }
            }
            Err(error) if is_fill => {
                tracing::warn!(%error, "a gap in the bars is not filled yet");
                if let Some(fill) = &mut self.fill
                    && let Some(wait) = fill.backoff.fail(self.life.draw())
                {
                    fill.at = Instant::from_std(now.real) + wait;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "market data cannot be polled");
                self.stats.polls_failed.fetch_add(1, Ordering::Relaxed);
                if self.polls() {
                    self.tell(StreamHealth::Stale, sink);
                }
            }
        }
    }

    /// Live data is worth more than old bars: after some time, the stream goes on without them. What is being
    /// fetched is dropped, for it may hang.
    fn give_up_a_late_fill(&mut self, now: Moment, sink: &mut impl MarketSink) {
        let is_late = |fill: &mut Fill| fill.until.into_std() <= now.real;
        let Some(fill) = self.fill.take_if(is_late) else { return };
        self.fetching = None;
        let from = self.sequence.gap_start();
        tracing::error!(%from, to = %fill.to, "bars are missing: history cannot be reached");
        self.stats.gaps_open.fetch_add(1, Ordering::Relaxed);
        self.sequence.release(now, &mut |event| sink.deliver(std::slice::from_ref(event)));
    }

    /// Bells, minutes whose grace is over, silence, and what all that says about the health of the data.
    fn look_at_the_clock(&mut self, sink: &mut impl MarketSink) {
        let (now, market) = (Instant::now(), self.clock.now());
        self.give_up_a_late_fill(Moment { real: now.into_std(), market }, sink);
        self.sequence.on_time(market, now.into_std(), &mut |event| sink.deliver(std::slice::from_ref(event)));
        let is_open = self.sequence.sessions().is_open(market);
        self.staleness.on_session(is_open, market);
        if now >= self.heard_at + SILENCE_FLOOR
            && let Health::Silent(channel) = self.staleness.check(market)
        {
            tracing::warn!(stream = NAME, ?channel, "the stream is open but silent");
            self.fall(Input::Silent);
        }
        let holding = self.sequence.is_holding();
        match self.life.phase() {
            // Before the bell an open stream owes nothing.
            Phase::Proving { .. } if !is_open && !holding => self.tell(StreamHealth::Live, sink),
            Phase::Live if !holding => self.tell(StreamHealth::Live, sink),
            // Before the first failure, the first connection is still being made.
            Phase::Waiting { .. } if self.life.failures() > 0 => {
                if self.health != Some(StreamHealth::Fallback) || !is_open {
                    self.tell(StreamHealth::Stale, sink);
                }
            }
            Phase::Waiting { .. } | Phase::Opening | Phase::Proving { .. } | Phase::Live => {}
        }
    }

    fn tell(&mut self, health: StreamHealth, sink: &mut impl MarketSink) {
        if self.health != Some(health) {
            self.health = Some(health);
            self.stats.set_health(health);
            sink.deliver(&[MarketEvent::Health(health, self.clock.now())]);
        }
    }

    fn step(&mut self, input: Input) -> Step {
        advance(&mut self.life, input, Instant::now().into_std(), &self.stats.connection, NAME)
    }
}

const fn channel_of(event: &MarketEvent) -> Option<Channel> {
    match event {
        MarketEvent::Bar(_) => Some(Channel::Bars),
        MarketEvent::Quote(_) => Some(Channel::Quotes),
        MarketEvent::Trade(_) => Some(Channel::Trades),
        MarketEvent::MarkedBar(..)
        | MarketEvent::BarsComplete(_)
        | MarketEvent::SessionOpen(_)
        | MarketEvent::SessionClose(_)
        | MarketEvent::News(_)
        | MarketEvent::Health(..) => None,
    }
}

async fn next<S: DataSession>(
    session: &mut Option<S>,
    buffer: &mut Vec<MarketEvent>,
) -> Result<(), StreamError> {
    match session {
        Some(session) => session.next(buffer).await,
        None => std::future::pending().await,
    }
}
