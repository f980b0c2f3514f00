//! Market time from the broker's own clock, carried on by the machine's between two readings.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use sandpit_contract::BootTime;
use sandpit_types::{MarketClock, MarketTime};

/// A reading that differs by more than this from what a real market's clock should read is not believed at
/// once: one wrong answer would hold up everything that is counted and timed for as long as it is wrong.
const WILD: Duration = Duration::from_secs(5);

/// The broker's clock: an anchor, and real time since it times the speed of the market.
///
/// It never goes back. A stamp of the broker that is ahead of it moves it forward, so that a simulator may
/// jump over a night.
pub(crate) struct BrokerClock {
    speed: f64,
    real: fn() -> BootTime,
    anchor: Mutex<Anchor>,
    /// A reading that was not believed; the next one may agree with it.
    doubted: Mutex<Option<Anchor>>,
    newest: AtomicI64,
}

#[derive(Clone, Copy)]
struct Anchor {
    market: MarketTime,
    real: BootTime,
}

impl Anchor {
    fn running(self, real: BootTime, speed: f64) -> MarketTime {
        self.market + real.since(self.real).mul_f64(speed)
    }
}

impl BrokerClock {
    /// A clock that reads `market` now and runs at `speed` market seconds a real second.
    pub(crate) fn new(market: MarketTime, speed: f64, real: fn() -> BootTime) -> Self {
        let anchor = Mutex::new(Anchor { market, real: real() });
        Self { speed, real, anchor, doubted: Mutex::new(None), newest: AtomicI64::new(market.as_nanos()) }
    }

    /// Takes another answer of the broker to "what time is it?"; gives back whether it is believed. Of a real
    /// market one that is [`WILD`] is not, unless the next answer agrees with it. A compressed market jumps.
    #[must_use]
    pub(crate) fn correct(&self, market: MarketTime) -> bool {
        let real = (self.real)();
        let agrees = |with: MarketTime| market.since(with).max(with.since(market)) <= WILD;
        let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        let is_second = doubted.take().is_some_and(|first| agrees(first.running(real, self.speed)));
        let believed = self.speed > 1.0 || is_second || agrees(self.running());
        if believed {
            self.set(market);
        } else {
            *doubted = Some(Anchor { market, real });
        }
        believed
    }

    /// Takes the broker's first answer to "what time is it?", whatever it is.
    pub(crate) fn set(&self, market: MarketTime) {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        *anchor = Anchor { market, real: (self.real)() };
    }

    /// Takes note of a stamp the broker put on something that has happened. Only a compressed market is moved
    /// by it: of a real one, a single wrong stamp must not carry the clock away.
    pub(crate) fn observe(&self, stamp: MarketTime) {
        if self.speed > 1.0 && stamp > self.now() {
            self.set(stamp);
        }
    }

    fn running(&self) -> MarketTime {
        let anchor = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        anchor.running((self.real)(), self.speed)
    }
}

impl MarketClock for BrokerClock {
    fn now(&self) -> MarketTime {
        let running = self.running().as_nanos();
        MarketTime::from_nanos(self.newest.fetch_max(running, Ordering::Relaxed).max(running))
    }

    fn real_until(&self, at: MarketTime) -> Duration {
        at.since(self.running()).div_f64(self.speed)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A clock of the machine that stands until a test moves it. Each test runs in a thread of its own.
    fn real() -> BootTime {
        BootTime::from_nanos(REAL_NANOS.get())
    }

    thread_local! {
        static REAL_NANOS: Cell<u64> = const { Cell::new(0) };
    }

    fn pass(secs: u64) {
        REAL_NANOS.set(REAL_NANOS.get() + secs * 1_000_000_000);
    }

    #[test]
    fn runs_at_its_speed_jumps_forward_and_never_back() {
        let clock = BrokerClock::new(MarketTime::from_secs(1_000), 60.0, real);
        let check = |expected_secs: i64| assert_eq!(clock.now(), MarketTime::from_secs(expected_secs));
        check(1_000);
        pass(1);
        check(1_060);
        assert_eq!(clock.real_until(MarketTime::from_secs(1_120)), Duration::from_secs(1));
        assert_eq!(clock.real_until(MarketTime::from_secs(1)), Duration::ZERO);
        clock.observe(MarketTime::from_secs(1_030));
        check(1_060);
        clock.observe(MarketTime::from_secs(2_000));
        check(2_000);
        clock.set(MarketTime::from_secs(1_990));
        check(2_000);
        pass(1);
        check(2_050);

        let real_market = BrokerClock::new(MarketTime::from_secs(1_000), 1.0, real);
        real_market.observe(MarketTime::from_secs(90_000));
        assert_eq!(
            real_market.now(),
            MarketTime::from_secs(1_000),
            "a wrong stamp does not move a real market"
        );
    }
    #[test]
    fn one_wild_answer_is_not_believed_and_two_that_agree_are() {
        /// The clock is right at the start; then each answer is so many seconds wrong, a minute apart.
        fn check(speed: f64, answers: &[(i64, bool)], expected_secs_wrong: i64) {
            let start_secs = 1_000_000;
            let clock = BrokerClock::new(MarketTime::from_secs(start_secs), speed, real);
            let mut right_secs = start_secs;
            for &(secs_wrong, believed) in answers {
                pass(60);
                right_secs += 60 * speed as i64;
                let told = MarketTime::from_secs(right_secs + secs_wrong);
                assert_eq!(clock.correct(told), believed, "{secs_wrong} in {answers:?}");
            }
            let expected = MarketTime::from_secs(right_secs + expected_secs_wrong);
            assert_eq!(clock.now(), expected, "{answers:?}");
        }
        const HOUR: i64 = 3_600;
        check(1.0, &[(0, true), (5, true), (2, true)], 2);
        check(1.0, &[(HOUR, false)], 0);
        check(1.0, &[(-HOUR, false), (0, true)], 0);
        check(1.0, &[(HOUR, false), (0, true), (HOUR, false), (1, true)], 1);
        check(1.0, &[(HOUR, false), (2 * HOUR, false), (2 * HOUR + 3, true)], 2 * HOUR + 3);
        check(60.0, &[(HOUR, true)], HOUR);
    }
}
