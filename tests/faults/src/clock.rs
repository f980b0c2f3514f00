//! The host's idea of market time, as the simulator's clock set it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use sandpit_types::{MarketClock, MarketTime};

use crate::ambient;

/// What stands in for "never" while the market's clock stands, real time.
const LONG: Duration = Duration::from_secs(3_600);

/// Market time: an anchor, and real time since it times the speed of the market. Never goes back.
#[derive(Debug)]
pub struct TestClock {
    anchor: Mutex<Anchor>,
    newest: AtomicI64,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    market: MarketTime,
    real: Instant,
    speed: u32,
}

impl TestClock {
    /// A clock that reads `market` now and runs at `speed` market seconds a real one; at 0 it stands.
    pub fn new(market: MarketTime, speed: u32) -> Self {
        let anchor = Anchor { market, real: ambient::now(), speed };
        Self { anchor: Mutex::new(anchor), newest: AtomicI64::new(market.as_nanos()) }
    }

    /// From now on it runs so.
    pub fn set(&self, market: MarketTime, speed: u32) {
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) =
            Anchor { market, real: ambient::now(), speed };
    }

    fn read(&self) -> (MarketTime, u32) {
        let anchor = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        (anchor.market + anchor.real.elapsed() * anchor.speed, anchor.speed)
    }
}

impl MarketClock for TestClock {
    fn now(&self) -> MarketTime {
        let running = self.read().0.as_nanos();
        MarketTime::from_nanos(self.newest.fetch_max(running, Ordering::Relaxed).max(running))
    }

    fn real_until(&self, at: MarketTime) -> Duration {
        let (now, speed) = self.read();
        if speed == 0 { LONG } else { at.since(now) / speed }
    }
}
