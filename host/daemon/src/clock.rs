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

/// The broker's clock: an anchor, and real time since it times the speed of the market.
///
/// It never goes back. A stamp of the broker that is ahead of it moves it forward, so that a simulator may
/// jump over a night.
pub(crate) struct BrokerClock {
    speed: f64,
    real: fn() -> BootTime,
    anchor: Mutex<Anchor>,
    newest: AtomicI64,
}

#[derive(Clone, Copy)]
struct Anchor {
    market: MarketTime,
    real: BootTime,
}

impl BrokerClock {
    /// A clock that reads `market` now and runs at `speed` market seconds a real second.
    pub(crate) fn new(market: MarketTime, speed: f64, real: fn() -> BootTime) -> Self {
        let anchor = Mutex::new(Anchor { market, real: real() });
        Self { speed, real, anchor, newest: AtomicI64::new(market.as_nanos()) }
    }

    /// Takes the broker's answer to "what time is it?".
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
        anchor.market + (self.real)().since(anchor.real).mul_f64(self.speed)
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
    use std::sync::atomic::AtomicU64;

    use super::*;

    static REAL_NANOS: AtomicU64 = AtomicU64::new(0);

    fn real() -> BootTime {
        BootTime::from_nanos(REAL_NANOS.load(Ordering::Relaxed))
    }

    #[test]
    fn runs_at_its_speed_jumps_forward_and_never_back() {
        let clock = BrokerClock::new(MarketTime::from_secs(1_000), 60.0, real);
        let check = |expected_secs: i64| assert_eq!(clock.now(), MarketTime::from_secs(expected_secs));
        check(1_000);
        REAL_NANOS.fetch_add(1_000_000_000, Ordering::Relaxed);
        check(1_060);
        assert_eq!(clock.real_until(MarketTime::from_secs(1_120)), Duration::from_secs(1));
        assert_eq!(clock.real_until(MarketTime::from_secs(1)), Duration::ZERO);
        clock.observe(MarketTime::from_secs(1_030));
        check(1_060);
        clock.observe(MarketTime::from_secs(2_000));
        check(2_000);
        clock.set(MarketTime::from_secs(1_990));
        check(2_000);
        REAL_NANOS.fetch_add(1_000_000_000, Ordering::Relaxed);
        check(2_050);

        let real_market = BrokerClock::new(MarketTime::from_secs(1_000), 1.0, real);
        real_market.observe(MarketTime::from_secs(90_000));
        assert_eq!(
            real_market.now(),
            MarketTime::from_secs(1_000),
            "a wrong stamp does not move a real market"
        );
    }
}
