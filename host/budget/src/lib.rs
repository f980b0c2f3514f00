//! The async edge of the request budget: everything that wants to send waits here.
//!
//! There is no task behind it: every waiting request drives the limiter itself, sleeping until the next
//! moment at which something may go, so there is nothing that could die and leave the others waiting.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandpit_broker::{Admission, Class, Gate, GateError, RateHint};
use sandpit_cores::{Limiter, Priority, QueueError, Quota, Request, Ticket, Usage, Verdict};
use sandpit_types::{MarketClock, MarketTime, StrategyName};
use tokio::sync::{Notify, oneshot};

/// The longest sleep, real time: the market clock may be set, and then a sleep computed before would be too
/// long.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// The shortest sleep, real time: a clock that rounds down must not make a busy loop.
const SHORTEST_NAP: Duration = Duration::from_millis(1);

/// Why nothing may be sent to a source that counts tokens. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpendError {
    /// As for any request.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// It costs more than a whole window may hold: split it.
    #[error("the request costs {tokens} tokens and {limit} are allowed at once: split it")]
    TooLarge {
        /// What it costs.
        tokens: u64,
        /// What the smallest window holds.
        limit: u64,
    },
}

/// One quota and the queue for it.
pub struct Budget {
    clock: Arc<dyn MarketClock>,
    state: Mutex<State>,
    /// Something happened after which a request may go sooner than its sleeper thinks.
    changed: Notify,
}

struct State {
    limiter: Limiter,
    /// Who is to be told the verdict on a ticket.
    waiters: BTreeMap<Ticket, oneshot::Sender<Verdict>>,
    stopping: bool,
}

impl Budget {
    /// A budget nothing of which is spent.
    pub fn new(quota: Quota, clock: Arc<dyn MarketClock>) -> Self {
        let state = State { limiter: Limiter::new(quota), waiters: BTreeMap::new(), stopping: false };
        Self { clock, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Figures for metrics and the live view.
    pub fn usage(&self) -> Usage {
        self.state().limiter.usage(self.clock.now())
    }

    /// Assumes that the host that ran before this one has spent half of what may go, until that is over or
    /// the broker says what remains.
    pub fn assume_a_former_life(&self) {
        self.state().limiter.assume_a_former_life(self.clock.now());
    }

    /// From now on only cancels are let out; all others, those that wait included, end in
    /// [`GateError::Stopping`].
    pub fn stop(&self) {
        self.state().stopping = true;
        self.changed.notify_waiters();
    }

    /// As [`Gate::acquire`], for a request that also costs tokens.
    ///
    /// # Errors
    /// See [`SpendError`].
    pub async fn spend(
        &self,
        class: Class,
        strategy: Option<&StrategyName>,
        deadline: Option<MarketTime>,
        tokens: u64,
    ) -> Result<(), SpendError> {
        let request = Request { priority: priority(class), strategy: strategy.cloned(), deadline, tokens };
        Ok(self.wait(self.queue(request)?, class).await?)
    }

    async fn admit(
        &self,
        class: Class,
        strategy: Option<&StrategyName>,
        deadline: Option<MarketTime>,
    ) -> Result<(), GateError> {
        self.spend(class, strategy, deadline, 0).await.map_err(|error| match error {
            SpendError::Gate(error) => error,
            SpendError::TooLarge { .. } => unreachable!("what costs nothing is not too large"),
        })
    }

    async fn wait(&self, queued: Queued<'_>, class: Class) -> Result<(), GateError> {
        let (place, mut verdict) = queued;
        loop {
            let changed = self.changed.notified();
            let nap = self.turn();
            self.go_on(class)?;
            tokio::select! {
                biased;
                told = &mut verdict => {
                    let told = told.expect("a ticket's waiter is dropped with its place, or told");
                    // It may have been told by another's turn, just as the host stopped.
                    self.go_on(class)?;
                    return place.settle(told);
                }
                () = changed => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Refuses all but cancels once the host stops.
    fn go_on(&self, class: Class) -> Result<(), GateError> {
        let refused = class != Class::Cancel && self.state().stopping;
        if refused { Err(GateError::Stopping) } else { Ok(()) }
    }

    fn queue(&self, request: Request) -> Result<Queued<'_>, SpendError> {
        let mut state = self.state();
        let queued = state.limiter.enqueue(request, self.clock.now());
        let ticket = queued.map_err(|error| match error {
            QueueError::Full { limit } => GateError::Full { limit }.into(),
            QueueError::TooLarge { tokens, limit } => SpendError::TooLarge { tokens, limit },
        })?;
        let (tell, verdict) = oneshot::channel();
        state.waiters.insert(ticket, tell);
        Ok((Place { budget: self, ticket: Some(ticket) }, verdict))
    }

    /// Hands out every verdict that is due, and says how long to sleep.
    fn turn(&self) -> Duration {
        let mut state = self.state();
        for (ticket, verdict) in state.limiter.poll(self.clock.now()) {
            if let Some(waiter) = state.waiters.remove(&ticket) {
                // A waiter that goes away at this very moment has spent its slot: nothing is sent for it.
                let _ = waiter.send(verdict);
            }
        }
        let nap = state.limiter.deadline().map_or(LONGEST_NAP, |at| self.clock.real_until(at));
        nap.clamp(SHORTEST_NAP, LONGEST_NAP)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not take the way out of the market with it: the limiter is whole between
        // calls.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for Budget {
    fn acquire<'a>(
        &'a self,
        class: Class,
        strategy: Option<&'a StrategyName>,
        deadline: Option<MarketTime>,
    ) -> Admission<'a> {
        Box::pin(self.admit(class, strategy, deadline))
    }

    fn observe(&self, hint: RateHint) {
        let now = self.clock.now();
        let mut state = self.state();
        match hint {
            RateHint::Remaining { requests, reset } => state.limiter.observe_remaining(requests, reset, now),
            RateHint::Slow => state.limiter.observe_slow(now),
            RateHint::TooMany { after } => state.limiter.observe_too_many(after, now),
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

/// A place and the word that is waited for.
type Queued<'a> = (Place<'a>, oneshot::Receiver<Verdict>);

/// A place in the queue, given up when its future is dropped.
struct Place<'a> {
    budget: &'a Budget,
    ticket: Option<Ticket>,
}

impl Place<'_> {
    fn settle(mut self, verdict: Verdict) -> Result<(), GateError> {
        self.ticket = None;
        match verdict {
            Verdict::Go => Ok(()),
            Verdict::Late => Err(GateError::Late),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut state = self.budget.state();
            state.limiter.withdraw(ticket);
            state.waiters.remove(&ticket);
            drop(state);
            // It may have held up somebody.
            self.budget.changed.notify_waiters();
        }
    }
}

const fn priority(class: Class) -> Priority {
    match class {
        Class::Cancel => Priority::Cancel,
        Class::Reduce => Priority::Reduce,
        Class::Enter => Priority::Enter,
        Class::Poll => Priority::Poll,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicI64, AtomicUsize, Ordering},
        task::{Context, Poll, Wake, Waker},
    };

    use sandpit_cores::{Bound, Unit};
    use tokio::task::JoinHandle;

    use super::*;

    /// A market clock that stands until a test moves it.
    struct HandClock(AtomicI64);

    impl HandClock {
        fn set(&self, secs: i64) {
            self.0.store(MarketTime::from_secs(secs).as_nanos(), Ordering::SeqCst);
        }
    }

    impl MarketClock for HandClock {
        fn now(&self) -> MarketTime {
            MarketTime::from_nanos(self.0.load(Ordering::SeqCst))
        }

        fn real_until(&self, _: MarketTime) -> Duration {
            Duration::from_millis(5)
        }
    }

    const LIMIT: u64 = 4;

    fn quota() -> Quota {
        let bounds = vec![
            Bound::new(Unit::Requests, Duration::from_secs(60), LIMIT),
            Bound::new(Unit::Tokens, Duration::from_secs(60), 1_000),
        ];
        Quota { bounds, leave: 0, polls_first: 0 }
    }

    fn desk() -> (Arc<HandClock>, Arc<Budget>) {
        let clock = Arc::new(HandClock(AtomicI64::new(0)));
        (clock.clone(), Arc::new(Budget::new(quota(), clock)))
    }

    fn send(budget: &Arc<Budget>, class: Class, late_at: Option<i64>) -> JoinHandle<Result<(), GateError>> {
        let budget = budget.clone();
        let strategy = StrategyName::new("s");
        tokio::spawn(async move {
            budget.acquire(class, Some(&strategy), late_at.map(MarketTime::from_secs)).await
        })
    }

    async fn outcome(task: JoinHandle<Result<(), GateError>>) -> Result<(), GateError> {
        tokio::time::timeout(Duration::from_secs(10), task)
            .await
            .expect("an outcome within 10 s")
            .expect("no panic")
    }

    /// Waits until so many requests wait, the most urgent first.
    async fn waiting(budget: &Budget, expected: [usize; 4]) {
        let reached = async {
            while budget.usage().waiting != expected {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reached).await.expect("requests queue within 10 s");
    }

    /// Spends the whole limit at time zero.
    async fn spend(budget: &Arc<Budget>) {
        for _ in 0..LIMIT {
            assert_eq!(outcome(send(budget, Class::Poll, None)).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn what_exceeds_the_limit_waits_for_the_window() {
        let (clock, budget) = desk();
        spend(&budget).await;
        let enter = send(&budget, Class::Enter, None);
        waiting(&budget, [0, 0, 1, 0]).await;
        clock.set(59);
        let cancels: Vec<_> = (0..4).map(|_| send(&budget, Class::Cancel, None)).collect();
        waiting(&budget, [4, 0, 1, 0]).await;
        assert_eq!(budget.usage().granted(), 4, "nothing before the window has slid");
        clock.set(60);
        for cancel in cancels {
            assert_eq!(outcome(cancel).await, Ok(()));
        }
        assert!(!enter.is_finished(), "the cancels came later and went first");
        clock.set(120);
        assert_eq!(outcome(enter).await, Ok(()));
        assert_eq!(budget.usage().windows[0].used, 1);
    }

    #[tokio::test]
    async fn a_dropped_request_leaves_nothing_behind() {
        let (clock, budget) = desk();
        spend(&budget).await;
        let dropped = send(&budget, Class::Enter, None);
        let kept = send(&budget, Class::Enter, None);
        waiting(&budget, [0, 0, 2, 0]).await;
        dropped.abort();
        waiting(&budget, [0, 0, 1, 0]).await;
        assert_eq!(budget.state().waiters.len(), 1);
        clock.set(60);
        assert_eq!(outcome(kept).await, Ok(()));
        assert_eq!(budget.usage().windows[0].used, 1);
        assert!(budget.state().waiters.is_empty());
    }

    #[tokio::test]
    async fn a_request_past_its_deadline_is_late() {
        let (clock, budget) = desk();
        spend(&budget).await;
        let late = send(&budget, Class::Enter, Some(30));
        waiting(&budget, [0, 0, 1, 0]).await;
        clock.set(30);
        assert_eq!(outcome(late).await, Err(GateError::Late));
    }

    #[tokio::test]
    async fn the_broker_is_heard() {
        let (clock, budget) = desk();
        budget.observe(RateHint::TooMany { after: Some(Duration::from_secs(10)) });
        let paused = send(&budget, Class::Cancel, None);
        waiting(&budget, [1, 0, 0, 0]).await;
        clock.set(10);
        assert_eq!(outcome(paused).await, Ok(()));
        budget.observe(RateHint::Remaining { requests: 0, reset: MarketTime::from_secs(30) });
        let held = send(&budget, Class::Cancel, None);
        waiting(&budget, [1, 0, 0, 0]).await;
        clock.set(30);
        assert_eq!(outcome(held).await, Ok(()));
        (0..LIMIT).for_each(|_| budget.observe(RateHint::Slow));
        let late = send(&budget, Class::Cancel, None);
        waiting(&budget, [1, 0, 0, 0]).await;
        clock.set(90);
        assert_eq!(outcome(late).await, Ok(()));
    }

    #[tokio::test]
    async fn a_former_life_has_spent_half() {
        let (clock, budget) = desk();
        budget.assume_a_former_life();
        for _ in 0..LIMIT / 2 {
            assert_eq!(outcome(send(&budget, Class::Poll, None)).await, Ok(()));
        }
        let held = send(&budget, Class::Poll, None);
        waiting(&budget, [0, 0, 0, 1]).await;
        clock.set(60);
        assert_eq!(outcome(held).await, Ok(()));
    }

    #[tokio::test]
    async fn tokens_count_too() {
        let (clock, budget) = desk();
        let too_large = SpendError::TooLarge { tokens: 1_001, limit: 1_000 };
        assert_eq!(budget.spend(Class::Poll, None, None, 1_001).await, Err(too_large));
        assert_eq!(budget.spend(Class::Poll, None, None, 700).await, Ok(()));
        let other = budget.clone();
        let dear = tokio::spawn(async move { other.spend(Class::Poll, None, None, 400).await });
        waiting(&budget, [0, 0, 0, 1]).await;
        clock.set(60);
        let done = tokio::time::timeout(Duration::from_secs(10), dear).await;
        assert_eq!(done.expect("an outcome within 10 s").expect("no panic"), Ok(()));
        assert_eq!(budget.usage().windows[1].used, 400);
    }

    #[tokio::test]
    async fn a_full_queue_says_so() {
        let (_, budget) = desk();
        spend(&budget).await;
        let limit = sandpit_cores::MAX_WAITING_EACH;
        let queued: Vec<_> = (0..limit).map(|_| send(&budget, Class::Enter, None)).collect();
        waiting(&budget, [0, 0, limit, 0]).await;
        assert_eq!(outcome(send(&budget, Class::Enter, None)).await, Err(GateError::Full { limit }));
        queued.iter().for_each(JoinHandle::abort);
        waiting(&budget, [0; 4]).await;
    }

    #[tokio::test]
    async fn only_cancels_go_out_of_a_host_that_stops() {
        let (clock, budget) = desk();
        spend(&budget).await;
        let enter = send(&budget, Class::Enter, None);
        let cancel = send(&budget, Class::Cancel, None);
        waiting(&budget, [1, 0, 1, 0]).await;
        budget.stop();
        assert_eq!(outcome(enter).await, Err(GateError::Stopping));
        clock.set(60);
        assert_eq!(outcome(cancel).await, Ok(()));
        assert_eq!(outcome(send(&budget, Class::Poll, None)).await, Err(GateError::Stopping));
    }
    /// Counts how often it is woken.
    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn an_entry_that_was_told_to_go_as_the_host_stopped_does_not() {
        let (clock, budget) = desk();
        spend(&budget).await;
        let bell = Waker::from(Arc::new(Bell::default()));
        let mut cx = Context::from_waker(&bell);
        let mut enter = budget.acquire(Class::Enter, None, None);
        let mut cancel = budget.acquire(Class::Cancel, None, None);
        assert!(enter.as_mut().poll(&mut cx).is_pending() && cancel.as_mut().poll(&mut cx).is_pending());
        clock.set(60);
        budget.stop();
        // The cancel's turn tells both.
        assert_eq!(cancel.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
        assert_eq!(budget.usage().waiting, [0; 4]);
        assert_eq!(enter.as_mut().poll(&mut cx), Poll::Ready(Err(GateError::Stopping)));
    }

    #[tokio::test]
    async fn whoever_leaves_wakes_those_he_held_up() {
        let (_, budget) = desk();
        assert_eq!(budget.spend(Class::Poll, None, None, 700).await, Ok(()));
        let mut dear = Box::pin(budget.spend(Class::Poll, None, None, 400));
        let mut cheap = Box::pin(budget.spend(Class::Poll, None, None, 100));
        let (bell, silent) = (Arc::new(Bell::default()), Waker::noop());
        assert!(dear.as_mut().poll(&mut Context::from_waker(silent)).is_pending());
        let waker = Waker::from(bell.clone());
        assert!(cheap.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "nobody overtakes");
        drop(dear);
        assert_eq!(bell.0.load(Ordering::SeqCst), 1, "woken at once");
        assert_eq!(cheap.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(())));
    }
}
