//! Random arrivals: what must hold whatever comes, and in which order.

use proptest::prelude::*;
use sandpit_types::StrategyName;

use super::{
    tests::{SMALL, SPAN, at, named, quota},
    *,
};

/// Cases of each property here: 100,000 in all with these. `PROPTEST_CASES` raises it.
const CASES: u32 = 17_000;

#[derive(Clone, Debug)]
enum Step {
    Arrive { priority: Priority, strategy: Option<u8>, ttl_secs: Option<u64>, count: u8, tokens: u64 },
    Withdraw(usize),
    Wait { millis: u64 },
    SetBack { millis: u64 },
    Remaining { requests: u32, reset_secs: u64 },
    TooMany { after_secs: u64 },
    Slow,
    FormerLife,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let priority = prop::sample::select(Priority::ALL.to_vec());
    let owner = prop::option::of(0_u8..3);
    let ttl = prop::option::weighted(0.2, 0_u64..200);
    let arrive = (priority, owner, ttl, 1_u8..8, 0_u64..40).prop_map(
        |(priority, strategy, ttl_secs, count, tokens)| Step::Arrive {
            priority,
            strategy,
            ttl_secs,
            count,
            tokens,
        },
    );
    prop::collection::vec(
        prop_oneof![
            8 => arrive,
            1 => any::<usize>().prop_map(Step::Withdraw),
            6 => (0_u64..40_000).prop_map(|millis| Step::Wait { millis }),
            1 => (0_u64..40_000).prop_map(|millis| Step::SetBack { millis }),
            1 => (0_u32..20, 0_u64..90)
                .prop_map(|(requests, reset_secs)| Step::Remaining { requests, reset_secs }),
            1 => (0_u64..90).prop_map(|after_secs| Step::TooMany { after_secs }),
            1 => Just(Step::Slow),
            1 => Just(Step::FormerLife),
        ],
        1..40,
    )
}

/// Only requests count, as at the trading API.
fn trading() -> Quota {
    Quota { polls_first: 2, ..quota(SMALL) }
}

/// Requests and tokens count, in windows of several lengths.
fn source() -> Quota {
    let tokens = |span, limit, share| Bound { share, ..Bound::new(Unit::Tokens, span, limit) };
    Quota { bounds: vec![SMALL, tokens(SPAN, 60, 45), tokens(SPAN * 5, 150, 150)], ..trading() }
}

/// What was let out, and when.
struct Went {
    ticket: Ticket,
    time: MarketTime,
    /// Who waited at that moment, this one included.
    waiting: Vec<Ticket>,
}

/// What the broker said, in the limiter's time.
#[derive(Clone, Copy)]
enum Hint {
    Remaining { requests: u32, reset: MarketTime },
    Paused { until: MarketTime },
}

/// A limiter with a diary.
struct Desk {
    limiter: Limiter,
    /// What the clock says.
    now: MarketTime,
    /// The newest it ever said.
    newest: MarketTime,
    requests: BTreeMap<Ticket, Request>,
    went: Vec<Went>,
    /// What the broker said, each with how many had gone before.
    hints: Vec<(usize, Hint)>,
    decided: usize,
    withdrawn: usize,
}

impl Desk {
    fn play(quota: Quota, steps: &[Step]) -> Self {
        let mut desk = Self {
            limiter: Limiter::new(quota),
            now: at(1_000),
            newest: at(1_000),
            requests: BTreeMap::new(),
            went: Vec::new(),
            hints: Vec::new(),
            decided: 0,
            withdrawn: 0,
        };
        // The limiter has seen the time before it is set back.
        desk.poll();
        for step in steps {
            desk.step(step);
            desk.poll();
        }
        desk
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Arrive { priority, strategy, ttl_secs, count, tokens } => {
                let deadline = ttl_secs.map(|secs| self.now + Duration::from_secs(secs));
                for _ in 0..count {
                    let wanted = Request { priority, strategy: strategy.map(named), deadline, tokens };
                    let ticket = self.limiter.enqueue(wanted.clone(), self.now).expect("few");
                    self.requests.insert(ticket, wanted);
                }
            }
            Step::Withdraw(index) => {
                let waiting: Vec<_> = self.limiter.waiting.keys().copied().collect();
                if let Some(&ticket) = waiting.get(index % waiting.len().max(1)) {
                    self.limiter.withdraw(ticket);
                    self.withdrawn += 1;
                }
            }
            Step::Wait { millis } => self.now = self.now + Duration::from_millis(millis),
            Step::SetBack { millis } => self.now = self.now - Duration::from_millis(millis),
            Step::Remaining { requests, reset_secs } => {
                let reset = self.now + Duration::from_secs(reset_secs);
                self.limiter.observe_remaining(requests, reset, self.now);
                // No reset is far ahead.
                let reset = reset.min(self.newest + SPAN);
                self.hints.push((self.went.len(), Hint::Remaining { requests, reset }));
            }
            Step::TooMany { after_secs } => {
                self.limiter.observe_too_many(Some(Duration::from_secs(after_secs)), self.now);
                let until = self.newest + Duration::from_secs(after_secs.max(1));
                self.hints.push((self.went.len(), Hint::Paused { until }));
            }
            Step::Slow => self.limiter.observe_slow(self.now),
            Step::FormerLife => self.limiter.assume_a_former_life(self.now),
        }
        self.newest = self.newest.max(self.now);
    }

    fn poll(&mut self) -> usize {
        let mut waiting: Vec<_> = self.limiter.waiting.keys().copied().collect();
        let verdicts = self.limiter.poll(self.now);
        for &(ticket, verdict) in &verdicts {
            if verdict == Verdict::Go {
                self.went.push(Went { ticket, time: self.newest, waiting: waiting.clone() });
            }
            waiting.retain(|waits| *waits != ticket);
        }
        self.decided += verdicts.len();
        verdicts.len()
    }

    fn of(&self, went: &Went) -> &Request {
        &self.requests[&went.ticket]
    }

    /// The most that went out in any span, by whatever `cost` says.
    fn most(&self, span: Duration, cost: impl Fn(&Request) -> u64) -> u64 {
        let sum = |from: usize| -> u64 {
            let start = self.went[from].time;
            let within = self.went[from..].iter().take_while(|went| went.time < start + span);
            within.map(|went| cost(self.of(went))).sum()
        };
        (0..self.went.len()).map(sum).max().unwrap_or(0)
    }
}

fn is_of(strategy: u8) -> impl Fn(&Request) -> bool {
    move |request| request.strategy == Some(named(strategy))
}

/// As many cases as the environment asks for, and no fewer than these.
fn at_least(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(cases), ..asked }
}

proptest! {
    #![proptest_config(at_least(CASES))]

    #[test]
    fn no_window_ever_holds_more_than_its_limit(steps in steps()) {
        for quota in [trading(), source()] {
            let desk = Desk::play(quota.clone(), &steps);
            for bound in quota.bounds {
                let cost = |request: &Request| match bound.unit {
                    Unit::Requests => 1,
                    Unit::Tokens => request.tokens,
                };
                let most = desk.most(bound.span, cost);
                prop_assert!(most <= bound.limit, "{most} in {bound:?}");
            }
            let polls = desk.most(SPAN, |request| u64::from(request.priority == Priority::Poll));
            prop_assert!(polls <= 7, "{polls} polls");
            for strategy in 0..3 {
                let own = is_of(strategy);
                let is_shared = |request: &Request| own(request) && request.priority >= Priority::Enter;
                let share = desk.most(SPAN, |request| u64::from(is_shared(request)));
                prop_assert!(share <= 5, "s{strategy} had {share}");
                let mild = |request: &Request| own(request) && request.priority != Priority::Cancel;
                prop_assert!(desk.most(SPAN, |request| u64::from(mild(request))) <= 8);
            }
        }
    }

    /// When an entry or a poll goes no cancel and no reduction waits; when a reduction goes, no cancel. A
    /// poll goes before an entry only as one of the few, or while the entry's strategy has spent its share.
    #[test]
    fn nothing_waits_behind_something_less_urgent(steps in steps()) {
        let desk = Desk::play(trading(), &steps);
        for (index, went) in desk.went.iter().enumerate() {
            let priority = desk.of(went).priority;
            for more_urgent in went.waiting.iter().map(|ticket| &desk.requests[ticket]) {
                let since = |earlier: &&Went| went.time < earlier.time + SPAN;
                let before = || desk.went[..index].iter().filter(since);
                let is_own = |earlier: &&Went| desk.of(earlier).strategy == more_urgent.strategy;
                let own = before().filter(is_own).count();
                let polls = before().filter(|earlier| desk.of(earlier).priority == Priority::Poll).count();
                let spent = |share: usize| more_urgent.strategy.is_some() && own >= share;
                let fine = match (priority, more_urgent.priority) {
                    (Priority::Enter | Priority::Poll, Priority::Cancel | Priority::Reduce) => false,
                    (Priority::Reduce, Priority::Cancel) => false,
                    (Priority::Poll, Priority::Enter) => polls < 2 || spent(5),
                    (going, waiting) => going <= waiting,
                };
                prop_assert!(fine, "{:?} went before {more_urgent:?}", desk.of(went));
            }
        }
    }

    /// While a strategy waits with its share unspent, each other gets at most one turn of the lane between
    /// two turns of its own, and its own requests keep their order.
    #[test]
    fn no_strategy_starves_another(steps in steps()) {
        for quota in [trading(), source()] {
            let desk = Desk::play(quota.clone(), &steps);
            let owners = [None, Some(named(0)), Some(named(1)), Some(named(2))];
            for (priority, owner) in Priority::ALL.into_iter().flat_map(|p| owners.clone().map(|o| (p, o))) {
                let is_own = |ticket: &Ticket| {
                    let request = &desk.requests[ticket];
                    request.priority == priority && request.strategy == owner
                };
                let mut turns: BTreeMap<Option<StrategyName>, u32> = BTreeMap::new();
                for (index, went) in desk.went.iter().enumerate() {
                    let Some(oldest) = went.waiting.iter().find(|ticket| is_own(ticket)) else {
                        turns.clear();
                        continue;
                    };
                    if is_own(&went.ticket) {
                        prop_assert_eq!(*oldest, went.ticket, "the oldest goes first");
                        turns.clear();
                    } else if spent(&desk, &quota, index, &desk.requests[oldest]) {
                        turns.clear();
                    } else if desk.of(went).priority == priority {
                        let turns = turns.entry(desk.of(went).strategy.clone()).or_default();
                        *turns += 1;
                        prop_assert!(*turns <= 1, "{owner:?} waits in {priority:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_goes_at_or_after_its_deadline(steps in steps()) {
        for quota in [trading(), source()] {
            let desk = Desk::play(quota, &steps);
            for went in &desk.went {
                prop_assert!(desk.of(went).deadline.is_none_or(|deadline| went.time < deadline));
            }
        }
    }

    #[test]
    fn the_brokers_word_is_kept(steps in steps()) {
        let desk = Desk::play(trading(), &steps);
        let mut newest_reset = at(0);
        for (index, &(before, hint)) in desk.hints.iter().enumerate() {
            let after = &desk.went[before..];
            match hint {
                Hint::Paused { until } => prop_assert!(after.iter().all(|went| went.time >= until)),
                // An older period is over; of the same one the lowest count is true.
                Hint::Remaining { requests, reset } if reset >= newest_reset => {
                    newest_reset = reset;
                    let newer = desk.hints[index + 1..].iter().find_map(|&(count, hint)| match hint {
                        Hint::Remaining { reset: next, .. } => (next > reset).then_some(count - before),
                        Hint::Paused { .. } => None,
                    });
                    let heeded = &after[..newer.unwrap_or(after.len())];
                    let went = heeded.iter().filter(|went| went.time < reset).count();
                    prop_assert!(went <= requests.saturating_sub(2) as usize, "{went} of {requests}");
                }
                Hint::Remaining { .. } => {}
            }
        }
    }

    #[test]
    fn every_request_gets_its_verdict_and_the_deadline_is_exact(steps in steps()) {
        for quota in [trading(), source()] {
            let mut desk = Desk::play(quota, &steps);
            desk.now = desk.newest;
            let mut turns = 0;
            while let Some(deadline) = desk.limiter.deadline() {
                prop_assert!(deadline > desk.now, "a polled limiter has nothing due");
                desk.now = deadline - Duration::from_nanos(1);
                desk.newest = desk.now;
                prop_assert_eq!(desk.poll(), 0, "nothing before the deadline");
                desk.now = deadline;
                desk.newest = deadline;
                prop_assert!(desk.poll() > 0, "something at the deadline");
                turns += 1;
                prop_assert!(turns < 1_000, "no end");
            }
            prop_assert_eq!(desk.decided + desk.withdrawn, desk.requests.len());
            prop_assert!(desk.limiter.waiting.is_empty());
        }
    }
}

/// Whether the share of a request's strategy was spent before the one at `index` went.
fn spent(desk: &Desk, quota: &Quota, index: usize, request: &Request) -> bool {
    let now = desk.went[index].time;
    request.strategy.is_some()
        && quota.bounds.iter().any(|bound| {
            let cost = |request: &Request| if bound.unit == Unit::Requests { 1 } else { request.tokens };
            let own = desk.went[..index]
                .iter()
                .filter(|went| now < went.time + bound.span && desk.of(went).strategy == request.strategy);
            let used: u64 = own.map(|went| cost(desk.of(went))).sum();
            let ceiling = bound.share(request.priority).max(cost(request));
            used + cost(request) > ceiling
        })
}
