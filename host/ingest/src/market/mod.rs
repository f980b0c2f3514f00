//! The loop that owns the market-data connection.

mod events;
mod membership;
mod pulse;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use sandpit_broker::{DataFeed, DataSession, History, StreamError, Subscription};
use sandpit_cores::Staleness;
use sandpit_types::{MarketClock, MarketEvent, StreamHealth, Symbol};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use self::{
    events::Audits,
    pulse::{Excuse, Silence},
};
use crate::{
    IngestConfig, Resubscription,
    fetch::{Fetched, fetch},
    life::{Input, Life, Phase, Proof, Step},
    plan::Plan,
    reins::{OPEN_WITHIN, Reins, Task, advance, done, not_open, stopped},
    rest::{Due, Mode, Rest},
    sequence::{Moment, Sequence},
    stats::IngestStats,
};

/// Silence is judged in market time, but data is never called overdue sooner than this after the last, real
/// time: in compressed time a minute of the market is shorter than a hiccup of the machine.
const SILENCE_FLOOR: Duration = Duration::from_secs(3);
/// A silence is believed when it lasts for this after it was first noticed, real time: after a pause of ours,
/// what came meanwhile waits in the socket until the thread has been to the system and back.
const SECOND_LOOK: Duration = Duration::from_millis(50);
/// A second look that comes so late is no better than the first.
const STALL: Duration = Duration::from_secs(1);
/// REST has so long to say whether a stream of bars alone is silent for a reason; real time.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// From the first request for a gap to the moment at which the stream goes on without it; real time.
const FILL_WITHIN: Duration = Duration::from_secs(20);
/// So long after the close REST still carries the last bars, market time.
const TAIL: Duration = Duration::from_secs(70);
/// With nothing to wait for, the loop looks up this often.
const IDLE: Duration = Duration::from_secs(3_600);
/// Room for events that is kept from one delivery to the next.
const ROOM: usize = 16_384;
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
    plan: Plan,
    /// Other subscriptions, as they come.
    changes: Option<mpsc::Receiver<Resubscription>>,
    /// Whether the open connection, or the one that is being made, was asked for something else than is
    /// wanted now.
    is_outdated: bool,
    feed: Arc<F>,
    history: Arc<H>,
    clock: Arc<dyn MarketClock>,
    life: Life,
    staleness: Staleness,
    sequence: Sequence,
    rest: Rest,
    session: Option<F::Session>,
    opening: Option<Task<Result<F::Session, StreamError>>>,
    /// At most one request of each kind is under way.
    bars: Option<Task<Fetched>>,
    quotes: Option<Task<Fetched>>,
    /// What REST is asked for while the stream is down, the canary included.
    over_rest: Arc<Subscription>,
    wanted_quotes: Arc<[Symbol]>,
    /// Wanted quotes that the plan does not allow us to hear.
    untold_quotes: Arc<[Symbol]>,
    fill_within: Duration,
    open_within: Duration,
    silence: Silence,
    excuse: Excuse,
    audits: Audits,
    ahead: Duration,
    /// By when REST's answer about a silence is awaited.
    answer_by: Option<Instant>,
    /// Since when the stream does not deliver, from its first fall until it is live again.
    down: Option<Down>,
    health: Option<StreamHealth>,
    /// What the session gave, not yet in the sequence.
    came: Vec<MarketEvent>,
    /// What the sequence gave, not yet delivered.
    out: Vec<MarketEvent>,
    stats: Arc<IngestStats>,
}

/// A time without the stream.
#[derive(Clone, Copy, Debug)]
struct Down {
    noticed: Instant,
    /// Whether the newest request of each kind was answered.
    bars: bool,
    quotes: bool,
    /// Whether REST has carried anything yet.
    carried: bool,
}

enum Happened<S> {
    Stop,
    Probe(u64),
    Opened(Result<S, StreamError>),
    Frame(Result<(), StreamError>),
    Bars(Fetched),
    Quotes(Fetched),
    Wanted(Resubscription),
    Due,
}

impl<F: DataFeed, H: History> Ingest<F, H> {
    /// A loop over `feed` and `history`; nothing is sent before [`Self::run`].
    pub fn new(config: IngestConfig, feed: Arc<F>, history: Arc<H>, clock: Arc<dyn MarketClock>) -> Self {
        let IngestConfig { subscription, canary, days, since, bars_grace, ahead, watches, seed } = config;
        let now = Instant::now();
        let moment = Moment { real: now.into_std(), market: clock.now() };
        let plan = Plan::new(subscription.clone(), canary.clone());
        let over_rest = Arc::new(plan.over_rest());
        Self {
            sequence: Sequence::new(&subscription, canary.as_ref(), days, since, bars_grace, ahead),
            rest: Rest::new(subscription.bars.len(), since, moment),
            wanted_quotes: over_rest.quotes.as_slice().into(),
            over_rest,
            untold_quotes: Arc::new([]),
            plan,
            changes: None,
            is_outdated: false,
            feed,
            history,
            clock,
            life: Life::new(Proof::Data, seed, now.into_std()),
            staleness: Staleness::new(&watches),
            session: None,
            opening: None,
            bars: None,
            quotes: None,
            fill_within: FILL_WITHIN,
            open_within: OPEN_WITHIN,
            silence: Silence::new(now),
            excuse: Excuse::default(),
            audits: Audits::default(),
            ahead,
            answer_by: None,
            down: None,
            health: None,
            came: Vec::new(),
            out: Vec::new(),
            stats: Arc::default(),
        }
    }

    /// Other bounds than the usual 20 s for filling a gap and 30 s for opening a connection; real time.
    #[must_use]
    pub const fn with_bounds(mut self, fill_within: Duration, open_within: Duration) -> Self {
        (self.fill_within, self.open_within) = (fill_within, open_within);
        self
    }

    /// Another span than the usual 15 s that a connection has to last before the waits are short again; real
    /// time. For tests of many falls.
    #[must_use]
    pub const fn forgiving_after(mut self, span: Duration) -> Self {
        self.life.forgive_after(span);
        self
    }

    /// Takes other subscriptions from there while it runs.
    #[must_use]
    pub fn with_changes(mut self, changes: mpsc::Receiver<Resubscription>) -> Self {
        self.changes = Some(changes);
        self
    }

    /// The counters.
    pub fn stats(&self) -> Arc<IngestStats> {
        Arc::clone(&self.stats)
    }

    /// Runs until the reins say stop.
    pub async fn run<S: MarketSink>(mut self, mut sink: S, mut reins: Reins) {
        let mut now = self.moment();
        let mut sleep = pin!(sleep_until(Instant::from_std(now.real)));
        loop {
            self.say_what_is_wanted(now).await;
            self.start_tasks(now);
            let wake = self.wake_at(now);
            // One that wakes too early does no harm, and data need not move it each time.
            if wake < sleep.deadline() || sleep.is_elapsed() {
                sleep.as_mut().reset(wake);
            }
            let happened = tokio::select! {
                () = stopped(&mut reins.shutdown) => Happened::Stop,
                Some(nonce) = reins.probes.recv() => Happened::Probe(nonce),
                change = membership::next(&mut self.changes) => Happened::Wanted(change),
                result = next(&mut self.session, &mut self.came) => Happened::Frame(result),
                result = done(&mut self.opening) => Happened::Opened(result),
                fetched = done(&mut self.bars) => Happened::Bars(fetched),
                fetched = done(&mut self.quotes) => Happened::Quotes(fetched),
                () = &mut sleep => Happened::Due,
            };
            now = self.moment();
            match happened {
                Happened::Stop => return,
                Happened::Probe(nonce) => reins.pulse.answer(nonce),
                Happened::Opened(result) => self.opened(result, now),
                Happened::Frame(result) => self.frame(result, now),
                Happened::Bars(fetched) => self.bars_fetched(fetched, now),
                Happened::Quotes(fetched) => self.quotes_fetched(fetched, now),
                Happened::Wanted(change) => self.resubscribe(change, now),
                Happened::Due => {}
            }
            // After a pause of ours, what came meanwhile is heard before anything is called silent.
            if self.is_overdue(now)
                && let Some(result) = at_once(next(&mut self.session, &mut self.came)).await
            {
                self.frame(result, now);
            }
            self.look_at_the_clock(now);
            self.deliver(&mut sink);
            self.stats.set_counts(self.sequence.counts());
            reins.pulse.work();
        }
    }

    /// One batch a wakeup. The room of an unusually large one is given back.
    fn deliver(&mut self, sink: &mut impl MarketSink) {
        if !self.out.is_empty() {
            sink.deliver(&self.out);
            self.out.clear();
            self.out.shrink_to(ROOM);
        }
    }

    fn moment(&self) -> Moment {
        Moment { real: Instant::now().into_std(), market: self.clock.now() }
    }

    /// Begins what is due: a connection, bars, quotes.
    fn start_tasks(&mut self, now: Moment) {
        if self.opens_at().is_some_and(|at| at <= now.real) && self.step(Input::Due, now) == Step::Open {
            self.is_outdated = false;
            let (feed, asked, within) = (Arc::clone(&self.feed), self.plan.asked(), self.open_within);
            self.opening = Some(Box::pin(async move {
                timeout(within, feed.open(&asked)).await.map_err(|_| not_open(within)).flatten()
            }));
        }
        if self.bars.is_none()
            && let Some(errand) = self.rest.ask_bars(self.mode(now), now)
        {
            self.bars = Some(self.fetch(errand));
        }
        if self.quotes.is_none()
            && let Some(symbols) = self.polled_quotes(now).cloned()
            && let Some(errand) = self.rest.ask_quotes(&symbols, now)
        {
            self.quotes = Some(self.fetch(errand));
        }
    }

    fn fetch(&mut self, errand: crate::fetch::Errand) -> Task<Fetched> {
        let (history, wanted) = (Arc::clone(&self.history), Arc::clone(&self.over_rest));
        fetch(history, wanted, errand, self.sequence.ask())
    }

    /// What REST is for: in a session, it carries the data from a fall until the stream has proven itself
    /// again; else it audits the stream.
    fn mode(&self, now: Moment) -> Mode {
        match self.life.phase() {
            Phase::Live => Mode::Audit,
            Phase::Proving { .. } if self.down.is_none() => Mode::Audit,
            Phase::Waiting { .. } | Phase::Opening | Phase::Proving { .. } => {
                if self.carries(now) {
                    Mode::Carry
                } else {
                    Mode::Rest
                }
            }
        }
    }

    fn carries(&self, now: Moment) -> bool {
        let sessions = self.sequence.sessions();
        self.down.is_some() && (sessions.is_open(now.market) || sessions.is_open(now.market - TAIL))
    }

    /// The quotes that REST brings just now, if any.
    fn polled_quotes(&self, now: Moment) -> Option<&Arc<[Symbol]>> {
        let symbols = if self.down.is_some() { &self.wanted_quotes } else { &self.untold_quotes };
        Some(symbols).filter(|symbols| !symbols.is_empty() && self.sequence.sessions().is_open(now.market))
    }

    /// When there is something to do without an event.
    fn wake_at(&self, now: Moment) -> Instant {
        let instant = Instant::from_std(now.real);
        let real = |at| if at <= now.market { instant } else { instant + self.clock.real_until(at) };
        let both = |due: Due| real(due.market).max(Instant::from_std(due.real));
        let (bell, minute) = self.sequence.deadline();
        let bars = self.rest.bars_due(self.mode(now), self.bars.is_some());
        let polls_quotes = self.quotes.is_none() && self.polled_quotes(now).is_some();
        let silent = self.silent_at(now).map(|(at, _)| {
            let looked = self.answer_by.or_else(|| self.silence.doubted.map(|since| since + SECOND_LOOK));
            looked.map_or(at, |looked| at.max(looked))
        });
        let change = self.sequence.sessions().next_change(now.market);
        [
            self.opens_at().map(Instant::from_std),
            minute.map(Instant::from_std),
            bell.into_iter().chain(change).min().map(real),
            bars.map(both),
            polls_quotes.then(|| both(self.rest.quotes_due())),
            silent,
        ]
        .into_iter()
        .flatten()
        .fold(instant + IDLE, Instant::min)
    }

    fn step(&mut self, input: Input, now: Moment) -> Step {
        advance(&mut self.life, input, now.real, &self.stats.connection, NAME)
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

/// What a future gives without waiting, if it does.
async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
