//! A rebalance of 100 symbols in a volatile hour, in virtual time, against a broker that counts strictly.
//!
//! The broker counts what *arrives*, all of an account, in two ways at once, because its documents do not say
//! which: 200 in a fixed minute and 200 in a sliding one. Requests are up to two seconds on their way and
//! overtake each other. The watchdog fires its 20 a minute just when the broker's count is highest.

use std::collections::{BTreeSet, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{
    tests::{at, named, request},
    *,
};

const BROKER_LIMIT: usize = 200;
const WATCHDOG_LIMIT: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// The longest a request is on its way, milliseconds.
const LATENCY_MS: u64 = 2_000;
const TICK: Duration = Duration::from_millis(100);
/// When the hour ends, and when within it the rebalance begins.
const END_SECS: i64 = 3_600;
const START_SECS: i64 = 1_234;
const SYMBOLS: usize = 100;
/// Strategies that trade beside it, and how many requests these and the host make in a minute, about.
const OTHERS: u8 = 4;
const NOISE_A_MINUTE: u64 = 100;
const POLLS_A_MINUTE: u64 = 12;

/// Counts arrivals as strictly as the documents allow.
struct Account {
    phase: Duration,
    sliding: VecDeque<MarketTime>,
    fixed: (i64, usize),
    refused: usize,
    most: usize,
}

impl Account {
    const fn new(phase: Duration) -> Self {
        Self { phase, sliding: VecDeque::new(), fixed: (0, 0), refused: 0, most: 0 }
    }

    fn minute(&self, now: MarketTime) -> i64 {
        (now + self.phase).as_nanos() / 60_000_000_000
    }

    /// Takes a request; gives back what its answer's headers say.
    fn arrive(&mut self, now: MarketTime) -> (u32, MarketTime) {
        while self.sliding.front().is_some_and(|&oldest| oldest + MINUTE < now) {
            self.sliding.pop_front();
        }
        if self.fixed.0 != self.minute(now) {
            self.fixed = (self.minute(now), 0);
        }
        self.sliding.push_back(now);
        self.fixed.1 += 1;
        let count = self.sliding.len().max(self.fixed.1);
        self.refused += usize::from(count > BROKER_LIMIT);
        self.most = self.most.max(count);
        let reset = MarketTime::from_secs((self.fixed.0 + 1) * 60) - self.phase;
        (BROKER_LIMIT.saturating_sub(self.fixed.1) as u32, reset)
    }
}

struct World {
    limiter: Limiter,
    account: Account,
    chance: ChaCha8Rng,
    /// Requests on their way, and whether the host hears the answer.
    flying: BTreeSet<(MarketTime, u64, bool)>,
    watchdog: VecDeque<MarketTime>,
    basket: BTreeSet<Ticket>,
    sells_out: usize,
    out: u64,
    done_at: Option<MarketTime>,
}

/// What one hour came to.
#[derive(Debug)]
struct Hour {
    refused: usize,
    most: usize,
    out: u64,
    rebalance: Duration,
    late: u64,
}

impl World {
    fn new(seed: u64, limit: u32) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let account = Account::new(Duration::from_millis(chance.next_u64() % 60_000));
        Self {
            limiter: Limiter::new(Quota::trading(limit)),
            account,
            chance,
            flying: BTreeSet::new(),
            watchdog: VecDeque::new(),
            basket: BTreeSet::new(),
            sells_out: 0,
            out: 0,
            done_at: None,
        }
    }

    fn hour(seed: u64, limit: u32) -> Hour {
        let mut world = Self::new(seed, limit);
        let mut now = at(0);
        while now < at(END_SECS) {
            if now == at(START_SECS) {
                world.trade(Priority::Reduce, now);
            }
            world.noise(now);
            world.send(now);
            world.arrivals(now);
            world.watchdog(now);
            now = now + TICK;
        }
        let tally = world.limiter.usage(now).tally;
        let done_at = world.done_at.unwrap_or_else(|| panic!("seed {seed}: not done within the hour"));
        Hour {
            refused: world.account.refused,
            most: world.account.most,
            out: world.out,
            rebalance: done_at.since(at(START_SECS)),
            late: tally.late.iter().sum(),
        }
    }

    /// One leg of the rebalance: an order a symbol.
    fn trade(&mut self, leg: Priority, now: MarketTime) {
        for _ in 0..SYMBOLS {
            let ticket = self.limiter.enqueue(request(leg, Some(0)), now).expect("room for a basket");
            self.basket.insert(ticket);
        }
    }

    /// Others enter, replace (an order that adds risk), reduce and cancel, in bursts; the host polls.
    fn noise(&mut self, now: MarketTime) {
        let ticks_a_minute = MINUTE.as_nanos() as u64 / TICK.as_nanos() as u64;
        if self.chance.next_u64() % ticks_a_minute < POLLS_A_MINUTE {
            self.limiter.enqueue(request(Priority::Poll, None), now).expect("room for a poll");
        }
        let burst = 1 + self.chance.next_u64() % 15;
        if self.chance.next_u64() % (ticks_a_minute * 8) >= NOISE_A_MINUTE {
            return;
        }
        let strategy = named(1 + (self.chance.next_u64() % u64::from(OTHERS)) as u8);
        for _ in 0..burst {
            let kinds = [Priority::Cancel, Priority::Reduce, Priority::Enter, Priority::Enter];
            let priority = kinds[(self.chance.next_u64() % 4) as usize];
            let deadline = (priority == Priority::Enter).then(|| now + Duration::from_secs(30));
            let wanted = Request { strategy: Some(strategy.clone()), deadline, ..request(priority, None) };
            // A queue that is full says so to its strategy; nothing is sent.
            let _ = self.limiter.enqueue(wanted, now);
        }
    }

    fn send(&mut self, now: MarketTime) {
        for (ticket, verdict) in self.limiter.poll(now) {
            if verdict == Verdict::Late {
                continue;
            }
            self.fly(now, true);
            if self.basket.remove(&ticket) && self.basket.is_empty() {
                self.sells_out += SYMBOLS;
                if self.sells_out == SYMBOLS {
                    self.trade(Priority::Enter, now);
                } else {
                    self.done_at = Some(now);
                }
            }
        }
    }

    fn fly(&mut self, now: MarketTime, ours: bool) {
        let arrival = now + Duration::from_millis(self.chance.next_u64() % LATENCY_MS);
        self.out += u64::from(ours);
        self.flying.insert((arrival, self.chance.next_u64(), ours));
    }

    fn arrivals(&mut self, now: MarketTime) {
        while let Some(&(arrival, _, ours)) = self.flying.first()
            && arrival <= now
        {
            self.flying.pop_first();
            let refused = self.account.refused;
            let (remaining, reset) = self.account.arrive(arrival);
            if ours && refused == self.account.refused {
                self.limiter.observe_remaining(remaining, reset, now);
            } else if ours {
                self.limiter.observe_too_many(None, now);
            }
        }
    }

    /// All at once, at the worst moment: when the host has used up most of what is its own.
    fn watchdog(&mut self, now: MarketTime) {
        self.watchdog.retain(|&sent| now < sent + MINUTE);
        let free = WATCHDOG_LIMIT - self.watchdog.len();
        if self.account.sliding.len() >= BROKER_LIMIT - 3 * WATCHDOG_LIMIT {
            for _ in 0..free {
                self.watchdog.push_back(now);
                // It goes ahead of everything that is on its way.
                self.account.arrive(now);
            }
        }
    }
}

/// In each window of 62 s the ways out of the others take 60 at most, and of the 84 that are left to entries
/// the rebalance has a fifth at least, because five strategies take turns: 100 buys need 7 windows. The sells
/// are ways out: two windows. The broker's own minute may hold up each leg once.
const BOUND: Duration = Duration::from_secs((7 + 2) * 62 + 2 * 60);

#[test]
fn a_rebalance_of_100_symbols_in_a_volatile_hour_meets_no_429() {
    let mut longest = Duration::ZERO;
    let (mut most, mut out, mut late) = (0, 0, 0);
    for seed in 0..24 {
        let hour = World::hour(seed, 160);
        assert_eq!(hour.refused, 0, "seed {seed}: {hour:?}");
        assert!(hour.rebalance <= BOUND, "seed {seed}: {hour:?}");
        assert!(hour.most > 160, "seed {seed}: the hour was not volatile: {hour:?}");
        longest = longest.max(hour.rebalance);
        (most, out, late) = (most.max(hour.most), out + hour.out, late + hour.late);
    }
    println!(
        "24 hours, {out} requests, {late} entries late, 0 x 429: at most {most} of {BROKER_LIMIT} in a \
         minute, 200 orders out within {longest:?} (bound {BOUND:?})"
    );
}

/// The host sends as much as it may, as early as it may; all of one minute arrives late and all of the next
/// at once.
#[test]
fn a_slow_minute_before_a_fast_one_is_not_too_much_for_the_broker() {
    let mut limiter = Limiter::new(Quota::trading(160));
    let mut account = Account::new(Duration::ZERO);
    let mut now = at(0);
    for _ in 0..4 * 160 {
        limiter.enqueue(request(Priority::Cancel, None), now).expect("room in the lane");
    }
    for delay_ms in [LATENCY_MS - 1, 0, LATENCY_MS - 1, 0] {
        for _ in limiter.poll(now) {
            account.arrive(now + Duration::from_millis(delay_ms));
        }
        now = limiter.deadline().unwrap_or(now);
    }
    assert_eq!((account.most, limiter.usage(now).granted()), (160, 4 * 160));
}

/// The network stalls: all of the first minute arrives nine seconds late and all of the next at once. What
/// was long on its way is told when it has arrived.
#[test]
fn a_minute_that_was_stalled_is_not_too_much_for_the_broker() {
    let stalled = |is_told: bool| {
        let mut limiter = Limiter::new(Quota::trading(160));
        let mut account = Account::new(Duration::ZERO);
        for _ in 0..2 * 160 {
            limiter.enqueue(request(Priority::Cancel, None), at(0)).expect("room in the lane");
        }
        for _ in limiter.poll(at(0)) {
            account.arrive(at(9));
            if is_told {
                limiter.observe_slow(at(9));
            }
        }
        let next = limiter.deadline().expect("as many wait again");
        for _ in limiter.poll(next) {
            account.arrive(next);
        }
        (account.most, next)
    };
    assert_eq!(stalled(true), (160, at(9 + 62)));
    assert_eq!(stalled(false), (320, at(62)));
}

#[test]
fn the_broker_of_this_test_does_answer_429() {
    let refused: usize = (0..4).map(|seed| World::hour(seed, 240).refused).sum();
    assert!(refused > 0, "a host that takes more than its part is refused");
}
