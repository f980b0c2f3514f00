//! The request budget: who may send the next request, and when.
//!
//! Sliding windows count what goes out: no span ever lets out more than its limit, because a full bucket that
//! refills at the minute could send twice the limit around it. The broker counts what comes in: so a request
//! counts a little longer than its window, and once more at its end when it was long on its way. A quota has
//! as many windows as it needs, of requests or of tokens, and a request goes when it fits into all. Inside
//! each every strategy has a window of its own, its share.
//!
//! Requests wait in four lanes. The more urgent lane goes first, and some of the limit is kept for every more
//! urgent lane, so a cancel finds room even when entries have used all of theirs. While a request waits for
//! room in the windows of all, nothing less urgent goes; one that waits for its strategy's own share holds
//! nobody up. A few polls a minute go before entries, so that they do not starve. Within a lane the
//! strategies take turns, and a strategy's requests keep their order.
//!
//! The broker's word rules over our count: when it says that fewer remain than we think, fewer go out until
//! its reset; after a 429 nothing goes out until the pause is over, cancels included.
//!
//! Each operation costs O(log n) in the requests that wait plus O(s log s) in the strategies that wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sandpit_types::MarketTime;

mod broker_word;
mod lane;
mod meter;
mod quota;
mod request;
mod usage;
mod window;

use self::{broker_word::BrokerWord, lane::Lane, meter::Meter};
pub use self::{
    broker_word::{DEFAULT_PAUSE, MAX_PAUSE, MIN_PAUSE},
    lane::{FEW, KEPT_PLACES, MAX_WAITING, MAX_WAITING_EACH},
    quota::{Bound, Quota, Unit},
    request::{Priority, QueueError, Request, Ticket, Verdict},
    usage::{Tally, Usage, WAIT_BUCKETS_MS, Waits, WindowUsage},
    window::{MAX_MOMENTS, Window},
};

/// The windows, the shares and the queue.
#[derive(Debug)]
pub struct Limiter {
    quota: Quota,
    now: MarketTime,
    meters: Vec<Meter>,
    /// Polls let out, for those that go before entries.
    polls: Window,
    lanes: [Lane; 4],
    waiting: BTreeMap<Ticket, Waiting>,
    deadlines: BTreeSet<(MarketTime, Ticket)>,
    broker: BrokerWord,
    next_ticket: u64,
    tally: Tally,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    since: MarketTime,
}

/// One way out of the queue: a lane, and the terms on which its requests go.
#[derive(Clone, Copy)]
struct Way {
    lane: Priority,
    terms: Priority,
    /// Whether only a few a minute may go this way.
    few: bool,
}

impl Way {
    /// All, the first to go first.
    const ALL: [Self; 5] = [
        Self::of(Priority::Cancel),
        Self::of(Priority::Reduce),
        Self { lane: Priority::Poll, terms: Priority::Enter, few: true },
        Self::of(Priority::Enter),
        Self::of(Priority::Poll),
    ];

    /// The span in which few may go.
    const SPAN: Duration = Duration::from_secs(60);

    const fn of(priority: Priority) -> Self {
        Self { lane: priority, terms: priority, few: false }
    }
}

/// When a way opens for what waits now.
struct Opening {
    /// From here on a request has its turn and its share.
    turn: MarketTime,
    /// From here on one goes.
    go: MarketTime,
}

impl Limiter {
    /// A limiter that has seen no request yet.
    pub fn new(quota: Quota) -> Self {
        Self {
            now: MarketTime::from_nanos(i64::MIN),
            meters: quota.bounds.iter().copied().map(Meter::new).collect(),
            polls: Window::for_limit(Way::SPAN, u64::from(quota.polls_first)),
            lanes: Default::default(),
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            broker: BrokerWord::new(),
            next_ticket: 0,
            tally: Tally::default(),
            quota,
        }
    }

    /// Assumes that a host that ran until now has spent half of every window of requests, until the windows
    /// are over or the broker says what remains.
    pub fn assume_a_former_life(&mut self, now: MarketTime) {
        let now = self.advance(now);
        self.meters.iter_mut().for_each(|meter| meter.assume_half(now));
    }

    /// Takes a request into the queue; [`Limiter::poll`] says when it may go.
    ///
    /// # Errors
    /// [`QueueError::Full`] when [`MAX_WAITING`] requests of its priority wait, or [`MAX_WAITING_EACH`] of
    /// its strategy in it, or when the lane has only [`KEPT_PLACES`] left and [`FEW`] of its strategy
    /// wait; [`QueueError::TooLarge`] when it could never go.
    pub fn enqueue(&mut self, request: Request, now: MarketTime) -> Result<Ticket, QueueError> {
        let now = self.advance(now);
        let priority = request.priority;
        let lane = &mut self.lanes[priority.rank()];
        let fits = self.meters.iter().find(|meter| meter.cost(&request) > meter.bound.limit());
        let too_large = fits.map_or(Ok(()), |meter| {
            Err(QueueError::TooLarge { tokens: request.tokens, limit: meter.bound.limit() })
        });
        too_large
            .and_then(|()| lane.admits(&request.strategy))
            .map_err(|error| self.tally.not_taken(priority, error))?;
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
            let late = self.take(ticket).expect("a deadline belongs to a request that waits");
            self.tally.late[late.request.priority.rank()] += 1;
            verdicts.push((ticket, Verdict::Late));
        }
        while let Some(ticket) = self.next() {
            self.grant(ticket);
            verdicts.push((ticket, Verdict::Go));
        }
        verdicts
    }

    /// When [`Limiter::poll`] should be asked next; `None` when nothing waits. It may be past.
    pub fn deadline(&self) -> Option<MarketTime> {
        let late = self.deadlines.first().map(|&(deadline, _)| deadline);
        self.next_go().into_iter().chain(late).min()
    }

    /// The broker said how many requests remain until `reset`.
    pub fn observe_remaining(&mut self, requests: u32, reset: MarketTime, now: MarketTime) {
        let now = self.advance(now);
        // A stamp far ahead would starve us on one bad header: the quota is full again after one span at the
        // latest.
        let reset = reset.min(now + self.quota.longest_span());
        if reset > now {
            // Its count knows of a former life.
            self.meters.iter_mut().for_each(Meter::assume_nothing);
            self.broker.remaining(requests.saturating_sub(self.quota.leave).into(), reset);
        }
    }

    /// A request was longer on its way than [`Quota::ON_THE_WAY`] and has just arrived, or was given up: it
    /// counts once more from now on, because that is when the broker may have counted it.
    pub fn observe_slow(&mut self, now: MarketTime) {
        let now = self.advance(now);
        self.meters.iter_mut().for_each(|meter| meter.note_slow(now));
    }

    /// The broker answered 429: nothing goes out for `after`. If it names no time, nothing goes out until the
    /// reset of its count, when that has run out, else for [`DEFAULT_PAUSE`].
    pub fn observe_too_many(&mut self, after: Option<Duration>, now: MarketTime) {
        let now = self.advance(now);
        self.tally.pauses += 1;
        self.broker.pause(after, now);
    }

    /// Figures as of `now`.
    pub fn usage(&self, now: MarketTime) -> Usage {
        let now = now.max(self.now);
        Usage {
            windows: self.meters.iter().map(|meter| meter.usage(now)).collect(),
            waiting: Priority::ALL.map(|priority| self.lanes[priority.rank()].len),
            tally: self.tally,
            broker_left: self.broker.left(now),
            paused_until: self.broker.paused_until(now),
        }
    }

    /// Time that goes back is taken to stand still.
    fn advance(&mut self, now: MarketTime) -> MarketTime {
        self.now = self.now.max(now);
        self.broker.advance(self.now);
        self.now
    }

    /// Who goes now: the first who has his turn and his share, if there is room for him.
    fn next(&self) -> Option<Ticket> {
        let turns = Way::ALL.into_iter().map(|way| (way, self.whose_turn(way)));
        let (way, ticket) = turns.into_iter().find_map(|(way, ticket)| Some((way, ticket?)))?;
        (self.room_opens(ticket, way) <= self.now).then_some(ticket)
    }

    fn whose_turn(&self, way: Way) -> Option<Ticket> {
        let mut turns = self.lanes[way.lane.rank()].in_turn();
        turns.find(|&ticket| self.turn_opens(ticket, way).is_some_and(|opens| opens <= self.now))
    }

    /// When this request may have its turn this way, room or not; `None` for never. It may be past.
    fn turn_opens(&self, ticket: Ticket, way: Way) -> Option<MarketTime> {
        let request = &self.waiting[&ticket].request;
        let share = self.meters.iter().map(|meter| meter.share_opens(request)).max();
        let share = share.unwrap_or(self.now);
        match (way.few, u64::from(self.quota.polls_first)) {
            (false, _) => Some(share),
            (true, 0) => None,
            (true, first) => Some(self.polls.room_at(1, first).map_or(share, |opens| opens.max(share))),
        }
    }

    /// When there is room for this request in the windows of all. It may be past.
    fn room_opens(&self, ticket: Ticket, way: Way) -> MarketTime {
        let request = &self.waiting[&ticket].request;
        let broker = self.broker.opens(self.quota.kept_of_the_brokers(way.terms));
        self.meters.iter().map(|meter| meter.opens(request, way.terms)).fold(broker, MarketTime::max)
    }

    /// When the next request goes, were none to come, leave or be late.
    fn next_go(&self) -> Option<MarketTime> {
        let mut next: Option<MarketTime> = None;
        // From here on somebody more urgent has his turn, and holds up the rest.
        let mut held_up: Option<MarketTime> = None;
        for opening in Way::ALL.into_iter().filter_map(|way| self.opening(way)) {
            if held_up.is_none_or(|held_up| opening.go < held_up) {
                next = Some(next.map_or(opening.go, |next| next.min(opening.go)));
            }
            held_up = Some(held_up.map_or(opening.turn, |held_up| held_up.min(opening.turn)));
        }
        next
    }

    /// Whose turn it is changes whenever another's share opens: from one such moment to the next, is there
    /// room for him?
    fn opening(&self, way: Way) -> Option<Opening> {
        let heads = self.lanes[way.lane.rank()].in_turn().enumerate();
        let mut turns: Vec<_> = heads
            .filter_map(|(place, ticket)| Some((self.turn_opens(ticket, way)?.max(self.now), place, ticket)))
            .collect();
        turns.sort_unstable();
        let &(turn, mut first, mut ticket) = turns.first()?;
        for (at, &(opens, place, candidate)) in turns.iter().enumerate() {
            if place < first {
                (first, ticket) = (place, candidate);
            }
            let go = self.room_opens(ticket, way).max(opens);
            if turns.get(at + 1).is_none_or(|&(until, _, _)| go < until) {
                return Some(Opening { turn, go });
            }
        }
        None
    }

    fn grant(&mut self, ticket: Ticket) {
        let Some(Waiting { request, since }) = self.take(ticket) else { return };
        let rank = request.priority.rank();
        self.tally.waits[rank].note(self.now.since(since));
        for meter in &mut self.meters {
            meter.note(&request, self.now);
        }
        // Without polls that go first the window is never asked.
        if request.priority == Priority::Poll && self.quota.polls_first > 0 {
            self.polls.note(self.now);
        }
        self.broker.spend();
        self.lanes[rank].last = Some(request.strategy);
    }

    fn take(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        self.lanes[waiting.request.priority.rank()].remove(&waiting.request.strategy, ticket);
        if let Some(deadline) = waiting.request.deadline {
            self.deadlines.remove(&(deadline, ticket));
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod rebalance_tests;
#[cfg(test)]
mod tests;
