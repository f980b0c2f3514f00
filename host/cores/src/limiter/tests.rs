//! One table a behaviour.

use sandpit_types::StrategyName;

use super::*;

pub(super) const SPAN: Duration = Duration::from_secs(60);

/// A small quota, so that every bound is met within few requests.
pub(super) const SMALL: Bound = Bound { unit: Unit::Requests, span: SPAN, limit: 10, reserve: 1, share: 5 };

pub(super) fn quota(bound: Bound) -> Quota {
    Quota { bounds: vec![bound], leave: 2, polls_first: 0 }
}

pub(super) fn small() -> Limiter {
    Limiter::new(quota(SMALL))
}

pub(super) fn at(secs: i64) -> MarketTime {
    MarketTime::from_secs(secs)
}

pub(super) fn named(index: u8) -> StrategyName {
    StrategyName::new(format!("s{index}"))
}

pub(super) fn request(priority: Priority, strategy: Option<u8>) -> Request {
    Request { priority, strategy: strategy.map(named), deadline: None, tokens: 0 }
}

/// Enqueues `count` requests like `wanted`.
pub(super) fn enqueue(limiter: &mut Limiter, count: usize, wanted: &Request, now: MarketTime) -> Vec<Ticket> {
    (0..count).map(|_| limiter.enqueue(wanted.clone(), now).expect("room in the queue")).collect()
}

pub(super) fn count_go(verdicts: &[(Ticket, Verdict)]) -> usize {
    verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Go).count()
}

#[test]
fn some_of_the_limit_is_kept_for_the_more_urgent() {
    let check = |priority, strategy, expected| {
        let mut limiter = small();
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
    // One strategy's reductions leave room for the ways out of the others; a cancel never waits for its own.
    check(Priority::Reduce, Some(1), 8);
    check(Priority::Cancel, Some(1), 10);
}

#[test]
fn a_tiny_limit_still_lets_every_priority_out() {
    for priority in Priority::ALL {
        let mut limiter = Limiter::new(quota(Bound { limit: 0, share: 0, reserve: 50, ..SMALL }));
        enqueue(&mut limiter, 2, &request(priority, Some(1)), at(0));
        assert_eq!(count_go(&limiter.poll(at(0))), 1, "{priority:?}");
        assert_eq!(limiter.deadline(), Some(at(60)), "{priority:?}");
    }
}

#[test]
fn the_window_slides_and_does_not_refill_at_the_minute() {
    let mut limiter = small();
    enqueue(&mut limiter, 4, &request(Priority::Cancel, None), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 4);
    enqueue(&mut limiter, 20, &request(Priority::Cancel, None), at(59));
    assert_eq!(count_go(&limiter.poll(at(59))), 6);
    assert_eq!(limiter.deadline(), Some(at(60)));
    assert_eq!(count_go(&limiter.poll(at(60))), 4);
    assert_eq!(limiter.deadline(), Some(at(119)));
    // Time that goes back opens nothing.
    assert_eq!(count_go(&limiter.poll(at(0))), 0);
    assert_eq!(limiter.usage(at(60)).windows[0].used, 10);
    assert_eq!(limiter.usage(at(119)).windows[0].used, 4);
}

#[test]
fn strategies_take_turns_in_a_lane() {
    let mut limiter = Limiter::new(quota(Bound { limit: 100, share: 100, ..SMALL }));
    let many = enqueue(&mut limiter, 50, &request(Priority::Enter, Some(1)), at(0));
    let few = enqueue(&mut limiter, 3, &request(Priority::Enter, Some(2)), at(0));
    let host = enqueue(&mut limiter, 1, &request(Priority::Enter, None), at(0));
    let order: Vec<_> = limiter.poll(at(0)).into_iter().map(|(ticket, _)| ticket).collect();
    assert_eq!(order[..7], [host[0], many[0], few[0], many[1], few[1], many[2], few[2]]);
    assert_eq!(order[7..], many[3..]);
}

#[test]
fn a_spent_share_holds_back_nobody_else() {
    let mut limiter = small();
    enqueue(&mut limiter, 20, &request(Priority::Enter, Some(1)), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 5);
    let other = enqueue(&mut limiter, 2, &request(Priority::Enter, Some(2)), at(1));
    let verdicts: Vec<_> = other.into_iter().map(|ticket| (ticket, Verdict::Go)).collect();
    assert_eq!(limiter.poll(at(1)), verdicts);
}

#[test]
fn a_deadline_makes_a_request_late() {
    let mut limiter = small();
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
    assert_eq!(limiter.usage(at(90)).tally.late, [0, 0, 2, 0]);
}

#[test]
fn the_queue_is_bounded_and_nobody_is_shut_out() {
    let mut limiter = small();
    limiter.observe_too_many(None, at(0));
    let full = |limit| Err(QueueError::Full { limit });
    let entry = |strategy| request(Priority::Enter, strategy);
    enqueue(&mut limiter, MAX_WAITING_EACH, &entry(Some(1)), at(0));
    assert_eq!(limiter.enqueue(entry(Some(1)), at(0)), full(MAX_WAITING_EACH));
    let free = MAX_WAITING - KEPT_PLACES - MAX_WAITING_EACH;
    enqueue(&mut limiter, free, &entry(Some(2)), at(0));
    assert_eq!(limiter.enqueue(entry(Some(2)), at(0)), full(free), "the last places are kept");
    for quiet in 3..3 + (KEPT_PLACES / FEW) as u8 - 1 {
        enqueue(&mut limiter, FEW, &entry(Some(quiet)), at(0));
        assert_eq!(limiter.enqueue(entry(Some(quiet)), at(0)), full(FEW), "of s{quiet}");
    }
    enqueue(&mut limiter, FEW, &entry(None), at(0));
    assert_eq!(limiter.enqueue(entry(Some(99)), at(0)), full(MAX_WAITING));
    assert!(limiter.enqueue(request(Priority::Cancel, Some(1)), at(0)).is_ok());
    assert_eq!(limiter.usage(at(0)).waiting, [1, 0, MAX_WAITING, 0]);
    // The host may have a lane for itself.
    enqueue(&mut limiter, MAX_WAITING - 1, &request(Priority::Cancel, None), at(0));
    assert_eq!(limiter.enqueue(request(Priority::Cancel, None), at(0)), full(MAX_WAITING));
    assert_eq!(limiter.usage(at(0)).tally.full[0], 1);
}

#[test]
fn the_brokers_count_rules_over_ours() {
    let check = |hints: &[(u32, i64)], expected_go, expected_deadline: i64| {
        let mut limiter = small();
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
    let mut limiter = small();
    limiter.observe_remaining(3, at(30), at(0));
    enqueue(&mut limiter, 20, &request(Priority::Cancel, None), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 1);
    assert_eq!(count_go(&limiter.poll(at(29))), 0);
    assert_eq!(count_go(&limiter.poll(at(30))), 9);
}

#[test]
fn a_429_pauses_everything() {
    let check = |pauses: &[(Option<u64>, i64)], expected: i64| {
        let mut limiter = small();
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
    check(&[(Some(0), 1)], 2); // "Try again at once" is no answer to too many tries.
    // A shorter pause does not end a longer one, and no pause is longer than the cap.
    check(&[(Some(30), 0), (Some(5), 1)], 30);
    check(&[(Some(1_000_000), 0)], 3_600);
}

#[test]
fn a_429_without_a_time_pauses_until_the_reset_of_a_count_that_has_run_out() {
    let check = |hint: Option<(u32, i64)>, after: Option<u64>, expected: i64| {
        let mut limiter = small();
        if let Some((remaining, reset)) = hint {
            limiter.observe_remaining(remaining, at(reset), at(0));
        }
        limiter.observe_too_many(after.map(Duration::from_secs), at(1));
        assert_eq!(limiter.usage(at(1)).paused_until, Some(at(expected)), "{hint:?} {after:?}");
    };
    check(None, None, 61);
    check(Some((0, 4)), None, 6);
    check(Some((0, 4)), Some(30), 31); // The broker's own word on it.
    check(Some((2, 4)), None, 6); // The two are left to others.
    check(Some((5, 4)), None, 61); // Some remain: it is another limit that was met.
    check(Some((0, 60)), None, 61);
    check(Some((0, 1)), None, 61); // That reset is past.
}

#[test]
fn a_request_that_was_long_on_its_way_counts_from_its_end() {
    let mut limiter = small();
    enqueue(&mut limiter, 20, &request(Priority::Cancel, None), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 10);
    (0..4).for_each(|_| limiter.observe_slow(at(9)));
    assert_eq!(count_go(&limiter.poll(at(60))), 6);
    assert_eq!(limiter.deadline(), Some(at(69)));
    assert_eq!(count_go(&limiter.poll(at(69))), 4);
    // Tokens are counted by the request alone.
    let mut source = source();
    source.observe_slow(at(0));
    let used: Vec<_> = source.usage(at(0)).windows.iter().map(|window| window.used).collect();
    assert_eq!(used, [1, 0, 0]);
}

#[test]
fn half_is_taken_for_spent_by_a_former_life_until_the_broker_says_what_remains() {
    let born = || {
        let mut limiter = small();
        limiter.assume_a_former_life(at(0));
        enqueue(&mut limiter, 20, &request(Priority::Cancel, None), at(0));
        assert_eq!(count_go(&limiter.poll(at(0))), 5);
        assert_eq!(limiter.deadline(), Some(at(60)));
        limiter
    };
    let mut silent = born();
    assert_eq!(count_go(&silent.poll(at(59))), 0);
    assert_eq!(count_go(&silent.poll(at(60))), 10, "both lives are over");
    let mut told = born();
    told.observe_remaining(6, at(30), at(1));
    assert_eq!(count_go(&told.poll(at(1))), 4);
    let mut full = born();
    full.observe_remaining(200, at(30), at(1));
    assert_eq!(count_go(&full.poll(at(1))), 5);
    let mut tiny = Limiter::new(Quota::trading(1));
    tiny.assume_a_former_life(at(0));
    enqueue(&mut tiny, 1, &request(Priority::Poll, None), at(0));
    assert_eq!(count_go(&tiny.poll(at(0))), 1, "a start needs at least one");
}

#[test]
fn quotes_do_not_wait_behind_pages() {
    let mut limiter = Limiter::new(Quota::data(180));
    enqueue(&mut limiter, 180, &request(Priority::Poll, None), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 153);
    enqueue(&mut limiter, 20, &request(Priority::Reduce, None), at(1));
    assert_eq!(count_go(&limiter.poll(at(1))), 18, "the rest is for cancels, which data has none of");
}

#[test]
fn a_withdrawn_request_is_as_if_never_made() {
    let mut limiter = small();
    limiter.observe_too_many(None, at(0));
    let tickets = enqueue(&mut limiter, 3, &request(Priority::Enter, Some(1)), at(0));
    limiter.withdraw(tickets[1]);
    limiter.withdraw(tickets[1]);
    assert_eq!(limiter.usage(at(0)).waiting, [0, 0, 2, 0]);
    assert_eq!(limiter.poll(at(60)), [(tickets[0], Verdict::Go), (tickets[2], Verdict::Go)]);
    limiter.withdraw(tickets[0]);
    assert_eq!(limiter.usage(at(60)).windows[0].used, 2, "what has gone out counts");
}

#[test]
fn waits_are_measured() {
    let mut limiter = small();
    enqueue(&mut limiter, 12, &request(Priority::Cancel, None), at(0));
    limiter.poll(at(0));
    limiter.poll(at(60));
    let usage = limiter.usage(at(60));
    let waits = usage.tally.waits[0];
    assert_eq!((waits.count, waits.delayed, waits.sum), (12, 2, Duration::from_secs(120)));
    let expected = WAIT_BUCKETS_MS.map(|bound_ms| if bound_ms < 60_000 { 10 } else { 12 });
    assert_eq!(waits.within, expected, "a wait of exactly a bound is within it");
    assert_eq!((usage.granted(), usage.windows[0].used, usage.windows[0].limit), (12, 2, 10));
}

#[test]
fn strategies_that_come_and_go_leave_nothing_behind() {
    let mut limiter = small();
    for minute in 0..2_000_i64 {
        let wanted = Request {
            strategy: Some(StrategyName::new(format!("s{minute}"))),
            ..request(Priority::Enter, None)
        };
        enqueue(&mut limiter, 1, &wanted, at(minute * 60));
        limiter.poll(at(minute * 60));
    }
    assert!(limiter.meters.iter().all(|meter| meter.strategies() <= 257));
    assert!(limiter.waiting.is_empty() && limiter.lanes.iter().all(|lane| lane.in_turn().count() == 0));
}

#[test]
fn a_strategy_that_only_reduces_leaves_room_for_the_ways_out_of_others() {
    let mut limiter = small();
    enqueue(&mut limiter, 50, &request(Priority::Reduce, Some(1)), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 8);
    let reduce = enqueue(&mut limiter, 1, &request(Priority::Reduce, Some(2)), at(1));
    assert_eq!(limiter.poll(at(1)), [(reduce[0], Verdict::Go)]);
    let cancel = enqueue(&mut limiter, 1, &request(Priority::Cancel, Some(2)), at(2));
    assert_eq!(limiter.poll(at(2)), [(cancel[0], Verdict::Go)]);
}

#[test]
fn a_cancel_never_waits_for_what_its_own_strategy_sent() {
    let mut limiter = small();
    enqueue(&mut limiter, 9, &request(Priority::Reduce, Some(1)), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 8);
    enqueue(&mut limiter, 50, &request(Priority::Cancel, Some(1)), at(1));
    assert_eq!(count_go(&limiter.poll(at(1))), 2, "all that is left");
    // Of several strategies that cancel each has its turn.
    let other = enqueue(&mut limiter, 1, &request(Priority::Cancel, Some(2)), at(2));
    let went = limiter.poll(at(60));
    assert!(went[..2].contains(&(other[0], Verdict::Go)), "{went:?}");
}

#[test]
fn a_few_polls_go_before_entries_and_the_rest_behind_them() {
    let mut limiter = Limiter::new(Quota { polls_first: 2, ..quota(Bound { share: 10, ..SMALL }) });
    enqueue(&mut limiter, 30, &request(Priority::Enter, Some(1)), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 8);
    let polls = enqueue(&mut limiter, 5, &request(Priority::Poll, None), at(1));
    let went = limiter.poll(at(60));
    assert_eq!(went[..2], [(polls[0], Verdict::Go), (polls[1], Verdict::Go)]);
    assert!(went[2..].iter().all(|(ticket, _)| !polls.contains(ticket)) && went.len() == 8);
    // Cancels and reductions go before even these.
    let cancel = enqueue(&mut limiter, 1, &request(Priority::Cancel, Some(1)), at(61));
    let reduce = enqueue(&mut limiter, 1, &request(Priority::Reduce, None), at(61));
    let went = limiter.poll(at(120));
    assert_eq!(went[..3], [cancel[0], reduce[0], polls[2]].map(|ticket| (ticket, Verdict::Go)));
}

/// A source of which requests and tokens are counted, a minute and a day.
fn source() -> Limiter {
    let bounds = vec![
        Bound::new(Unit::Requests, SPAN, 5),
        Bound::new(Unit::Tokens, SPAN, 1_000),
        Bound::new(Unit::Tokens, SPAN * 10, 1_500),
    ];
    Limiter::new(Quota { bounds, leave: 0, polls_first: 0 })
}

fn costing(tokens: u64, strategy: Option<u8>) -> Request {
    Request { tokens, ..request(Priority::Poll, strategy) }
}

#[test]
fn a_request_goes_when_it_fits_into_every_window() {
    let mut limiter = source();
    enqueue(&mut limiter, 3, &costing(400, None), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 2, "tokens of the minute");
    assert_eq!(limiter.deadline(), Some(at(60)));
    assert_eq!(count_go(&limiter.poll(at(60))), 1);
    enqueue(&mut limiter, 1, &costing(301, None), at(61));
    assert_eq!(limiter.deadline(), Some(at(600)), "tokens of the longer window");
    assert_eq!(count_go(&limiter.poll(at(600))), 1);
    enqueue(&mut limiter, 9, &costing(0, None), at(601));
    assert_eq!(count_go(&limiter.poll(at(601))), 4, "requests of the minute");
    let used: Vec<_> = limiter.usage(at(601)).windows.iter().map(|w| (w.unit, w.used, w.limit)).collect();
    let tokens = Unit::Tokens;
    assert_eq!(used, [(Unit::Requests, 5, 5), (tokens, 301, 1_000), (tokens, 701, 1_500)]);
}

#[test]
fn a_request_that_could_never_go_is_not_taken() {
    let mut limiter = source();
    let error = QueueError::TooLarge { tokens: 1_001, limit: 1_000 };
    assert_eq!(limiter.enqueue(costing(1_001, None), at(0)), Err(error));
    assert!(limiter.enqueue(costing(1_000, None), at(0)).is_ok());
    assert_eq!((limiter.usage(at(0)).tally.too_large, count_go(&limiter.poll(at(0)))), (1, 1));
}

#[test]
fn a_large_request_is_not_starved_by_small_ones() {
    let mut limiter = source();
    enqueue(&mut limiter, 1, &costing(600, Some(1)), at(0));
    limiter.poll(at(0));
    let large = enqueue(&mut limiter, 1, &costing(500, Some(2)), at(1));
    let small = enqueue(&mut limiter, 2, &costing(10, Some(3)), at(1));
    let lesser_would_fit = limiter.poll(at(1));
    assert_eq!(lesser_would_fit, [], "it is the turn of s2, and nobody overtakes");
    assert_eq!(limiter.deadline(), Some(at(60)));
    let went: Vec<_> = limiter.poll(at(60)).into_iter().map(|(ticket, _)| ticket).collect();
    assert_eq!(went, [large[0], small[0], small[1]]);
}

#[test]
fn with_no_window_only_the_brokers_word_counts() {
    let mut limiter = Limiter::new(Quota { bounds: Vec::new(), leave: 0, polls_first: 0 });
    limiter.observe_remaining(2, at(30), at(0));
    enqueue(&mut limiter, 3, &request(Priority::Poll, None), at(0));
    assert_eq!(count_go(&limiter.poll(at(0))), 2);
    assert_eq!((limiter.usage(at(0)).broker_left, limiter.deadline()), (Some(0), Some(at(30))));
    assert_eq!(count_go(&limiter.poll(at(30))), 1);
    assert_eq!(limiter.usage(at(30)).broker_left, None);
}
