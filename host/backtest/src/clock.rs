//! The clock of a run: it stands where the run has put it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use sandpit_types::{MarketClock, MarketTime};

/// Market time that moves when it is told to.
#[derive(Debug)]
pub(crate) struct StillClock(AtomicI64);

impl StillClock {
    /// A clock that shows this.
    pub(crate) const fn at(now: MarketTime) -> Self {
        Self(AtomicI64::new(now.as_nanos()))
    }

    /// Moves it on; never back.
    pub(crate) fn advance(&self, now: MarketTime) {
        self.0.fetch_max(now.as_nanos(), Ordering::Relaxed);
    }
}

impl MarketClock for StillClock {
    fn now(&self) -> MarketTime {
        MarketTime::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn real_until(&self, _: MarketTime) -> Duration {
        Duration::ZERO
    }
}
