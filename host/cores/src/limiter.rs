//! The request budget: who may send the next request, and when.
//!
//! One sliding window counts every request of the account: no span of 60 s ever holds more than the limit,
//! because a full bucket that refills at the minute could send twice the limit around it. Inside it each
//! strategy has a window of its own, its share. Requests wait in four lanes, the more urgent lane goes first,
//! and some of the limit is kept for every more urgent lane, so a cancel finds room even when entries have
//! used all of theirs. Within a lane the strategies take turns, and a strategy's requests keep their order.
//!
//! The broker's word rules over our count: when it says that fewer remain than we think, fewer go out until
//! its reset; after a 429 nothing goes out until the pause is over.
//!
//! Each operation costs O(log n) in the requests that wait plus O(s) in the strategies that wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sandpit_types::{MarketTime, StrategyName};

mod lane;
mod window;

use self::lane::Lane;
pub use self::window::Window;

/// How many requests of one priority may wait.
pub const MAX_WAITING: usize = 1_024;

/// How many requests of one priority may wait for one strategy (or for the host itself), so that none fills
/// the lane.
pub const MAX_WAITING_EACH: usize = 512;

/// The pause after a 429 that names none.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause that is believed; a longer one is cut to this.
pub const MAX_PAUSE: Duration = Duration::from_secs(3_600);

/// How urgent a request is. Earlier variants go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Cancels.
    Cancel,
    /// Orders that lower the risk, and questions about an order with an unknown outcome.
    Reduce,
    /// Orders that add risk.
    Enter,
    /// Everything that can wait.
    Poll,
}

impl Priority {
    /// All, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Cancel, Self::Reduce, Self::Enter, Self::Poll];

    const fn rank(self) -> usize {
        self as usize
    }

    /// Whether a strategy's own share holds it back. Getting out of a position never waits for a spent share.
    const fn is_shared_out(self) -> bool {
        match self {
            Self::Cancel | Self::Reduce => false,
            Self::Enter | Self::Poll => true,
        }
    }
}

/// What a limiter keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests in any `span`; at least one is assumed.
    pub limit: u32,
    /// The length of the window, market time.
    pub span: Duration,
    /// Requests of one strategy in any `span` that add risk or can wait.
    pub share: u32,
    /// Of the limit, how many requests are kept free for each more urgent priority. At least one request is
    /// left for every priority whatever this says.
    pub reserve: u32,
    /// Of what the broker says remains, how many are left to others on the same account (the watchdog).
    pub leave: u32,
}

impl Default for Quota {
    /// The trading API of Alpaca (200 a minute): 160 for the host, 20 for the watchdog, 20 unused.
    fn default() -> Self {
        Self { limit: 160, span: Duration::from_secs(60), share: 100, reserve: 8, leave: 20 }
    }
}

/// A request that wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How urgent it is.
    pub priority: Priority,
    /// For which strategy; `None` for the host itself, which has no share of its own.
    pub strategy: Option<StrategyName>,
    /// From this moment on it is late and must not be sent.
    pub deadline: Option<MarketTime>,
}

/// A place in the queue; a later ticket arrived later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What became of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it now. It is counted from now on, sent or not.
    Go,
    /// Its deadline has come: it must not be sent.
    Late,
}

/// The queue is full: the request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} requests are waiting already: slow down or drop some")]
pub struct Full {
    /// How many may wait.
    pub limit: usize,
}

/// Figures for metrics and the live view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests within the span that ends now.
    pub used: usize,
    /// Requests allowed in one span.
    pub limit: usize,
    /// Requests that wait, by priority, the most urgent first.
    pub waiting: [usize; 4],
    /// Requests let out since the start.
    pub granted: u64,
    /// Of these, how many had to wait.
    pub delayed: u64,
    /// How long these waited in all, market time.
    pub delay: Duration,
    /// Requests that waited until their deadline.
    pub late: u64,
    /// Requests refused because the queue was full.
    pub full: u64,
    /// Answers of the broker that asked to pause.
    pub pauses: u64,
    /// End of the pause under way.
    pub paused_until: Option<MarketTime>,
}

/// What the broker said remains, less what went out since and what is left to others.
#[derive(Clone, Copy, Debug)]
struct BrokerCount {
    left: usize,
    reset: MarketTime,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    since: MarketTime,
}

/// The sliding window, the shares and the queue.
#[derive(Debug)]
pub struct Limiter {
    quota: Quota,
    now: MarketTime,
    account: Window,
    shares: BTreeMap<StrategyName, Window>,
    lanes: [Lane; 4],
    waiting: BTreeMap<Ticket, Waiting>,
    deadlines: BTreeSet<(MarketTime, Ticket)>,
    broker: Option<BrokerCount>,
    paused_until: MarketTime,
    next_ticket: u64,
    usage: Usage,
}

impl Limiter {
    /// A limiter that has seen no request yet.
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            now: MarketTime::from_nanos(i64::MIN),
            account: Window::new(quota.span),
            shares: BTreeMap::new(),
            lanes: Default::default(),
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            broker: None,
            paused_until: MarketTime::from_nanos(i64::MIN),
            next_ticket: 0,
            usage: Usage::default(),
        }
    }

    /// Takes a request into the queue; [`Limiter::poll`] says when it may go.
    ///
    /// # Errors
    /// [`Full`] when [`MAX_WAITING`] requests of its priority wait, or [`MAX_WAITING_EACH`] of its strategy
    /// in it.
    pub fn enqueue(&mut self, request: Request, now: MarketTime) -> Result<Ticket, Full> {
        let now = self.advance(now);
        let lane = &mut self.lanes[request.priority.rank()];
        if lane.len >= MAX_WAITING {
            self.usage.full += 1;
            return Err(Full { limit: MAX_WAITING });
        }
        if lane.by_owner.get(&request.strategy).is_some_and(|own| own.len() >= MAX_WAITING_EACH) {
            self.usage.full += 1;
            return Err(Full { limit: MAX_WAITING_EACH });
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        lane.push(request.strategy.clone(), ticket);
        if let Some(deadline) = request.deadline {
            self.deadlines.insert((deadline, ticket));
        }
        self.waiting.insert(ticket, Waiting { request, since: now });
        Ok(ticket)
    }

    /// Takes a request out of the queue whose sender has gone. A ticket with a verdict is left as it is.
    pub fn withdraw(&mut self, ticket: Ticket) {
        self.take(ticket);
    }

    /// Everything decided by `now`: first what is late, then what may go, in the order in which it should.
    pub fn poll(&mut self, now: MarketTime) -> Vec<(Ticket, Verdict)> {
        let now = self.advance(now);
        let mut verdicts = Vec::new();
        while let Some(&(deadline, ticket)) = self.deadlines.first()
            && deadline <= now
        {
            self.take(ticket);
            self.usage.late += 1;
            verdicts.push((ticket, Verdict::Late));
        }
        for priority in Priority::ALL {
            while self.has_room(priority)
                && let Some(ticket) = self.next_in(priority)
            {
                self.grant(ticket);
                verdicts.push((ticket, Verdict::Go));
            }
        }
        verdicts
    }

    /// When [`Limiter::poll`] should be asked next; `None` when nothing waits. It may be past.
    pub fn deadline(&self) -> Option<MarketTime> {
        let lanes = Priority::ALL.into_iter().filter_map(|priority| self.lane_opens(priority));
        let late = self.deadlines.first().map(|&(deadline, _)| deadline);
        lanes.chain(late).min()
    }

    /// The broker said how many requests remain until `reset`.
    pub fn observe_remaining(&mut self, requests: u32, reset: MarketTime, now: MarketTime) {
        let now = self.advance(now);
        // A stamp far ahead would starve us on one bad header: the quota is full again after one span at the
        // latest.
        let reset = reset.min(now + self.quota.span);
        if reset <= now {
            return;
        }
        let left = requests.saturating_sub(self.quota.leave) as usize;
        self.broker = match self.broker {
            // Answers overtake each other: of one quota period the lowest count is true, an older period is
            // over.
            Some(known) if reset < known.reset => Some(known),
            Some(known) if reset == known.reset => Some(BrokerCount { left: left.min(known.left), reset }),
            Some(_) | None => Some(BrokerCount { left, reset }),
        };
    }

    /// The broker answered 429: nothing goes out for `after`, or for [`DEFAULT_PAUSE`].
    pub fn observe_too_many(&mut self, after: Option<Duration>, now: MarketTime) {
        let now = self.advance(now);
        self.usage.pauses += 1;
        self.paused_until = self.paused_until.max(now + after.unwrap_or(DEFAULT_PAUSE).min(MAX_PAUSE));
    }

    /// Figures as of `now`.
    pub fn usage(&self, now: MarketTime) -> Usage {
        let now = now.max(self.now);
        Usage {
            used: self.account.used(now),
            limit: self.limit(),
            waiting: Priority::ALL.map(|priority| self.lanes[priority.rank()].len),
            paused_until: (now < self.paused_until).then_some(self.paused_until),
            ..self.usage
        }
    }

    /// Time that goes back is taken to stand still.
    fn advance(&mut self, now: MarketTime) -> MarketTime {
        self.now = self.now.max(now);
        if self.broker.is_some_and(|known| known.reset <= self.now) {
            self.broker = None;
        }
        self.now
    }

    fn limit(&self) -> usize {
        self.quota.limit.max(1) as usize
    }

    /// How much of the room is kept for more urgent requests.
    fn kept_from(&self, priority: Priority) -> usize {
        (self.quota.reserve as usize * priority.rank()).min(self.limit() - 1)
    }

    fn has_room(&self, priority: Priority) -> bool {
        let own = self.limit().saturating_sub(self.account.used(self.now));
        let room = self.broker.map_or(own, |known| own.min(known.left));
        self.paused_until <= self.now && room > self.kept_from(priority)
    }

    fn share(&self) -> usize {
        (self.quota.share.max(1) as usize).min(self.limit())
    }

    fn has_share(&self, priority: Priority, owner: Option<&StrategyName>) -> bool {
        !priority.is_shared_out()
            || owner
                .and_then(|name| self.shares.get(name))
                .is_none_or(|window| window.used(self.now) < self.share())
    }

    /// Whose turn it is, and his oldest request.
    fn next_in(&self, priority: Priority) -> Option<Ticket> {
        let lane = &self.lanes[priority.rank()];
        lane.in_turn()
            .find(|(owner, _)| self.has_share(priority, owner.as_ref()))
            .and_then(|(_, tickets)| tickets.first().copied())
    }

    fn grant(&mut self, ticket: Ticket) {
        let Some(Waiting { request, since }) = self.take(ticket) else { return };
        let waited = self.now.since(since);
        self.usage.granted += 1;
        self.usage.delayed += u64::from(waited > Duration::ZERO);
        self.usage.delay += waited;
        self.account.note(self.now);
        if let Some(known) = &mut self.broker {
            known.left = known.left.saturating_sub(1);
        }
        self.lanes[request.priority.rank()].last = Some(request.strategy.clone());
        if let Some(name) = request.strategy {
            self.note_share(name);
        }
    }

    fn note_share(&mut self, name: StrategyName) {
        let now = self.now;
        self.shares.entry(name).or_insert_with(|| Window::new(self.quota.span)).note(now);
        // Strategies come and go: a window with nothing in it is forgotten, so there are never more than
        // `limit`.
        if self.shares.len() > self.limit() {
            self.shares.retain(|_, window| window.used(now) > 0);
        }
    }

    fn take(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        self.lanes[waiting.request.priority.rank()].remove(&waiting.request.strategy, ticket);
        if let Some(deadline) = waiting.request.deadline {
            self.deadlines.remove(&(deadline, ticket));
        }
        Some(waiting)
    }

    /// The earliest moment at which something of this priority may go.
    fn lane_opens(&self, priority: Priority) -> Option<MarketTime> {
        let kept = self.kept_from(priority);
        let window = self.account.below_at(self.limit() - kept).unwrap_or(self.now);
        let broker = self.broker.filter(|known| known.left <= kept).map_or(self.now, |known| known.reset);
        let gate = window.max(broker).max(self.paused_until);
        self.lanes[priority.rank()]
            .by_owner
            .keys()
            .map(|owner| gate.max(self.share_opens(priority, owner)))
            .min()
    }

    fn share_opens(&self, priority: Priority, owner: &Option<StrategyName>) -> MarketTime {
        let window =
            owner.as_ref().filter(|_| priority.is_shared_out()).and_then(|name| self.shares.get(name));
        window.and_then(|window| window.below_at(self.share())).unwrap_or(self.now)
    }
}

#[cfg(test)]
mod tests;
