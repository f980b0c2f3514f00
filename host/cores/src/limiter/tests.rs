use proptest::prelude::*;

use super::*;

const SPAN: Duration = Duration::from_secs(60);

/// A small quota, so that every bound is met within few requests.
const SMALL: Quota = Quota { limit: 10, span: SPAN, share: 5, reserve: 1, leave: 2 };

fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

fn named(index: u8) -> StrategyName {
    StrategyName::new(format!("s{index}"))
}

fn request(priority: Priority, strategy: Option<u8>) -> Request {
    Request { priority, strategy: strategy.map(named), deadline: None }
}

/// Enqueues `count` requests like `wanted`.
fn enqueue(limiter: &mut Limiter, count: usize, wanted: &Request, now: MarketTime) -> Vec<Ticket> {
    (0..count).map(|_| limiter.enqueue(wanted.clone(), now).expect("room in the queue")).collect()
}

fn count_go(verdicts: &[(Ticket, Verdict)]) -> usize {
    verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Go).count()
}

#[test]
fn some_of_the_limit_is_kept_for_the_more_urgent() {
    let check = |priority, strategy, expected| {
        let mut limiter = Limiter::new(SMALL);
        enqueue(&mut limiter, 20, &request(priority, strategy), at(0));
        assert_eq!(count_go(&limiter.poll(at(0))), expected, "{priority:?} of {strategy:?}");
    };
    check(Priority::Cancel, None, 10);
    check(Priority::Reduce, None, 9);
    check(Priority::Enter, None, 8);
    check(Priority::Poll, None, 7);
    // A strategy has its share, but the way out of a position is not shared out.
    check(Priority::Enter, Some(1), 5);
    check(Priority::Poll, Some(1), 5);
    check(Priority::Reduce, Some(1), 9);
    check(Priority::Cancel, Some(1), 10);
}

#[test]
fn a_tiny_limit_still_lets_every_priority_out() {
    for priority in Priority::ALL {
        let mut limiter = Limiter::new(Quota { limit: 0, share: 0, reserve: 50, ..SMALL });
        enqueue(&mut limiter, 2, &request(priority, Some(1)), at(0));
        assert_eq!(count_go(&limiter.poll(at(0))), 1, "{priority:?}");
        assert_eq!(limiter.deadline(), Some(at(60)), "{priority:?}");
    }
}

#[test]
fn the_window_slides_and_does_not_refill_at_the_minute() {
    let mut limiter = Limiter::new(SMALL);
    enqueue(&mut limiter, 4, &request(Priority::Cancel, None), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 4);
    enqueue(&mut limiter, 20, &request(Priority::Cancel, None), at(59));
    assert_eq!(count_go(&limiter.poll(at(59))), 6);
    assert_eq!(limiter.deadline(), Some(at(60)));
    assert_eq!(count_go(&limiter.poll(at(60))), 4);
    assert_eq!(limiter.deadline(), Some(at(119)));
    // Time that goes back opens nothing.
    assert_eq!(count_go(&limiter.poll(at(0))), 0);
    assert_eq!(limiter.usage(at(60)).used, 10);
    assert_eq!(limiter.usage(at(119)).used, 4);
}

#[test]
fn strategies_take_turns_in_a_lane() {
    let mut limiter = Limiter::new(Quota { limit: 100, share: 100, ..SMALL });
    let many = enqueue(&mut limiter, 50, &request(Priority::Enter, Some(1)), at(0));
    let few = enqueue(&mut limiter, 3, &request(Priority::Enter, Some(2)), at(0));
    let host = enqueue(&mut limiter, 1, &request(Priority::Enter, None), at(0));
    let order: Vec<_> = limiter.poll(at(0)).into_iter().map(|(ticket, _)| ticket).collect();
    assert_eq!(order[..7], [host[0], many[0], few[0], many[1], few[1], many[2], few[2]]);
    assert_eq!(order[7..], many[3..]);
}

#[test]
fn a_spent_share_holds_back_nobody_else() {
    let mut limiter = Limiter::new(SMALL);
    enqueue(&mut limiter, 20, &request(Priority::Enter, Some(1)), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 5);
    let other = enqueue(&mut limiter, 2, &request(Priority::Enter, Some(2)), at(1));
    let verdicts: Vec<_> = other.into_iter().map(|ticket| (ticket, Verdict::Go)).collect();
    assert_eq!(limiter.poll(at(1)), verdicts);
}

#[test]
fn a_deadline_makes_a_request_late() {
    let mut limiter = Limiter::new(SMALL);
    enqueue(&mut limiter, 10, &request(Priority::Cancel, None), at(0));
    limiter.poll(at(0));
    let wanted = Request { deadline: Some(at(30)), ..request(Priority::Enter, None) };
    let ticket = limiter.enqueue(wanted.clone(), at(1)).expect("room");
    assert_eq!(limiter.deadline(), Some(at(30)));
    assert_eq!(limiter.poll(at(29)), []);
    assert_eq!(limiter.poll(at(30)), [(ticket, Verdict::Late)]);
    assert_eq!(limiter.deadline(), None);
    let stale = limiter.enqueue(wanted, at(90)).expect("room");
    assert_eq!(limiter.poll(at(90)), [(stale, Verdict::Late)], "late on arrival, with room");
    assert_eq!(limiter.usage(at(90)).late, 2);
}

#[test]
fn the_queue_is_bounded_and_urgent_requests_have_places_of_their_own() {
    let mut limiter = Limiter::new(SMALL);
    limiter.observe_too_many(None, at(0));
    enqueue(&mut limiter, MAX_WAITING_EACH, &request(Priority::Enter, Some(1)), at(0));
    let full = |limit| Err(Full { limit });
    assert_eq!(limiter.enqueue(request(Priority::Enter, Some(1)), at(0)), full(MAX_WAITING_EACH));
    enqueue(&mut limiter, MAX_WAITING - MAX_WAITING_EACH, &request(Priority::Enter, Some(2)), at(0));
    assert_eq!(limiter.enqueue(request(Priority::Enter, Some(3)), at(0)), full(MAX_WAITING));
    assert!(limiter.enqueue(request(Priority::Cancel, Some(1)), at(0)).is_ok());
    assert_eq!(limiter.usage(at(0)).full, 2);
    assert_eq!(limiter.usage(at(0)).waiting, [1, 0, MAX_WAITING, 0]);
}

#[test]
fn the_brokers_count_rules_over_ours() {
    let check = |hints: &[(u32, i64)], expected_go, expected_deadline: i64| {
        let mut limiter = Limiter::new(SMALL);
        for &(remaining, reset) in hints {
            limiter.observe_remaining(remaining, at(reset), at(0));
        }
        enqueue(&mut limiter, 20, &request(Priority::Cancel, None), at(0));
        assert_eq!(count_go(&limiter.poll(at(0))), expected_go, "{hints:?}");
        assert_eq!(limiter.deadline(), Some(at(expected_deadline)), "{hints:?}");
    };
    check(&[], 10, 60);
    // More than we think: our count stands.
    check(&[(200, 30)], 10, 60);
    // Two of what remains are left to others.
    check(&[(5, 30)], 3, 30);
    check(&[(0, 30)], 0, 30);
    check(&[(2, 30)], 0, 30);
    // Answers overtake each other: the lowest of a period is true, and an older period is over.
    check(&[(5, 30), (6, 30)], 3, 30);
    check(&[(6, 30), (5, 30)], 3, 30);
    check(&[(5, 30), (9, 20)], 3, 30);
    check(&[(3, 20), (9, 50)], 7, 50);
    // A reset that is past says nothing; one that is far ahead is taken for a full span.
    check(&[(0, 0)], 10, 60);
    check(&[(0, 100_000)], 0, 60);
}

#[test]
fn what_the_broker_counts_is_over_at_its_reset() {
    let mut limiter = Limiter::new(SMALL);
    limiter.observe_remaining(3, at(30), at(0));
    enqueue(&mut limiter, 20, &request(Priority::Cancel, None), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 1);
    assert_eq!(count_go(&limiter.poll(at(29))), 0);
    assert_eq!(count_go(&limiter.poll(at(30))), 9);
}

#[test]
fn a_429_pauses_everything() {
    let check = |pauses: &[(Option<u64>, i64)], expected: i64| {
        let mut limiter = Limiter::new(SMALL);
        for &(after, now) in pauses {
            limiter.observe_too_many(after.map(Duration::from_secs), at(now));
        }
        enqueue(&mut limiter, 1, &request(Priority::Cancel, None), at(1));
        assert_eq!(limiter.deadline(), Some(at(expected)), "{pauses:?}");
        assert_eq!(limiter.usage(at(1)).paused_until, Some(at(expected)));
        assert_eq!(limiter.poll(at(expected - 1)), []);
        assert_eq!(count_go(&limiter.poll(at(expected))), 1);
        assert_eq!(limiter.usage(at(expected)).paused_until, None);
    };
    check(&[(None, 0)], 60);
    check(&[(Some(10), 0)], 10);
    // A shorter pause does not end a longer one, and no pause is longer than the cap.
    check(&[(Some(30), 0), (Some(5), 1)], 30);
    check(&[(Some(1_000_000), 0)], 3_600);
}

#[test]
fn a_withdrawn_request_is_as_if_never_made() {
    let mut limiter = Limiter::new(SMALL);
    limiter.observe_too_many(None, at(0));
    let tickets = enqueue(&mut limiter, 3, &request(Priority::Enter, Some(1)), at(0));
    limiter.withdraw(tickets[1]);
    limiter.withdraw(tickets[1]);
    assert_eq!(limiter.usage(at(0)).waiting, [0, 0, 2, 0]);
    assert_eq!(limiter.poll(at(60)), [(tickets[0], Verdict::Go), (tickets[2], Verdict::Go)]);
    limiter.withdraw(tickets[0]);
    assert_eq!(limiter.usage(at(60)).used, 2, "what has gone out counts");
}

#[test]
fn waits_are_measured() {
    let mut limiter = Limiter::new(SMALL);
    enqueue(&mut limiter, 12, &request(Priority::Cancel, None), at(0));
    limiter.poll(at(0));
    limiter.poll(at(60));
    let usage = limiter.usage(at(60));
    assert_eq!((usage.granted, usage.delayed, usage.delay), (12, 2, Duration::from_secs(120)));
    assert_eq!((usage.used, usage.limit), (2, 10));
}

#[test]
fn strategies_that_come_and_go_leave_nothing_behind() {
    let mut limiter = Limiter::new(SMALL);
    for minute in 0..200 {
        enqueue(&mut limiter, 1, &request(Priority::Enter, Some(minute)), at(i64::from(minute) * 60));
        limiter.poll(at(i64::from(minute) * 60));
    }
    assert!(limiter.shares.len() <= limiter.limit());
    assert!(limiter.waiting.is_empty() && limiter.lanes.iter().all(|lane| lane.by_owner.is_empty()));
}

#[derive(Clone, Debug)]
enum Step {
    Arrive { priority: Priority, strategy: Option<u8>, ttl_secs: Option<u64>, count: u8 },
    Withdraw(usize),
    Wait { millis: u64 },
    Remaining { requests: u32, reset_secs: u64 },
    TooMany { after_secs: u64 },
}

fn steps(hints: u32) -> impl Strategy<Value = Vec<Step>> {
    let priority = prop::sample::select(Priority::ALL.to_vec());
    let arrive =
        (priority, prop::option::of(0_u8..3), prop::option::weighted(0.2, 0_u64..200), 1_u8..8).prop_map(
            |(priority, strategy, ttl_secs, count)| Step::Arrive { priority, strategy, ttl_secs, count },
        );
    prop::collection::vec(
        prop_oneof![
            8 => arrive,
            1 => any::<usize>().prop_map(Step::Withdraw),
            6 => (0_u64..40_000).prop_map(|millis| Step::Wait { millis }),
            hints => (0_u32..20, 0_u64..90)
                .prop_map(|(requests, reset_secs)| Step::Remaining { requests, reset_secs }),
            hints => (0_u64..90).prop_map(|after_secs| Step::TooMany { after_secs }),
        ],
        1..80,
    )
}

/// A limiter with a diary of what it let out.
struct Desk {
    limiter: Limiter,
    now: MarketTime,
    requests: BTreeMap<Ticket, Request>,
    went: Vec<(Ticket, MarketTime)>,
    decided: usize,
    withdrawn: usize,
}

impl Desk {
    fn play(steps: &[Step]) -> Self {
        let mut desk = Self {
            limiter: Limiter::new(SMALL),
            now: at(1_000),
            requests: BTreeMap::new(),
            went: Vec::new(),
            decided: 0,
            withdrawn: 0,
        };
        for step in steps {
            desk.step(step);
            desk.poll();
        }
        desk
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Arrive { priority, strategy, ttl_secs, count } => {
                let deadline = ttl_secs.map(|secs| self.now + Duration::from_secs(secs));
                for _ in 0..count {
                    let wanted = Request { deadline, ..request(priority, strategy) };
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
            Step::Remaining { requests, reset_secs } => {
                let reset = self.now + Duration::from_secs(reset_secs);
                self.limiter.observe_remaining(requests, reset, self.now);
            }
            Step::TooMany { after_secs } => {
                self.limiter.observe_too_many(Some(Duration::from_secs(after_secs)), self.now);
            }
        }
    }

    fn poll(&mut self) -> usize {
        let verdicts = self.limiter.poll(self.now);
        self.decided += verdicts.len();
        let now = self.now;
        self.went
            .extend(verdicts.iter().filter(|(_, v)| *v == Verdict::Go).map(|&(ticket, _)| (ticket, now)));
        verdicts.len()
    }

    /// How many of `counts` went out in the span that starts with the one at `index`.
    fn in_span_from(&self, index: usize, counts: impl Fn(&Request) -> bool) -> usize {
        let start = self.went[index].1;
        let span = self.went[index..].iter().take_while(|(_, time)| *time < start + SPAN);
        span.filter(|(ticket, _)| counts(&self.requests[ticket])).count()
    }
}

/// As many cases as the environment asks for, and no fewer than these.
fn at_least(cases: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(cases), ..asked }
}

proptest! {
    #![proptest_config(at_least(1_000))]

    #[test]
    fn no_window_ever_holds_more_than_the_limit(steps in steps(1)) {
        let desk = Desk::play(&steps);
        for index in 0..desk.went.len() {
            prop_assert!(desk.in_span_from(index, |_| true) <= 10);
            let polls = desk.in_span_from(index, |request| request.priority == Priority::Poll);
            prop_assert!(polls <= 7);
            for strategy in 0..3 {
                let share = desk.in_span_from(index, |request| {
                    request.strategy == Some(named(strategy)) && request.priority.is_shared_out()
                });
                prop_assert!(share <= 5, "s{strategy} had {share}");
            }
        }
    }

    #[test]
    fn nothing_urgent_goes_after_something_lesser_that_came_later(steps in steps(1)) {
        let desk = Desk::play(&steps);
        for (index, (later, _)) in desk.went.iter().enumerate() {
            for (earlier, _) in &desk.went[..index] {
                let (first, second) = (&desk.requests[earlier], &desk.requests[later]);
                let overtaken = second.priority < first.priority && later < earlier;
                // Only a spent share may hold the more urgent one back, and cancels have none.
                prop_assert!(!overtaken || second.priority == Priority::Enter && second.strategy.is_some());
                let same = first.priority == second.priority && first.strategy == second.strategy;
                prop_assert!(!same || earlier < later, "a strategy's requests keep their order");
            }
        }
    }

    #[test]
    fn every_request_gets_its_verdict_and_the_deadline_is_exact(steps in steps(1)) {
        let mut desk = Desk::play(&steps);
        let mut turns = 0;
        while let Some(deadline) = desk.limiter.deadline() {
            prop_assert!(deadline > desk.now, "a polled limiter has nothing due");
            desk.now = deadline - Duration::from_nanos(1);
            prop_assert_eq!(desk.poll(), 0, "nothing before the deadline");
            desk.now = deadline;
            prop_assert!(desk.poll() > 0, "something at the deadline");
            turns += 1;
            prop_assert!(turns < 1_000, "no end");
        }
        prop_assert_eq!(desk.decided + desk.withdrawn, desk.requests.len());
        prop_assert!(desk.limiter.waiting.is_empty());
    }
}
