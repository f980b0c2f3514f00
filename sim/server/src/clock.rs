//! The market's clock: real time since the start, through the schedule.

use std::{sync::Arc, time::Duration};

use sandpit_types::MarketTime;

use crate::schedule::Schedule;

/// Real time since the run began; each binary and test hands in its own.
pub type Elapsed = Box<dyn Fn() -> Duration + Send + Sync>;

/// Tells market time.
pub struct SimClock {
    schedule: Arc<Schedule>,
    elapsed: Elapsed,
}

impl SimClock {
    /// A clock that plays `schedule`; `elapsed` must never go back.
    pub fn new(schedule: Arc<Schedule>, elapsed: Elapsed) -> Self {
        Self { schedule, elapsed }
    }

    /// Market time now.
    pub fn now(&self) -> MarketTime {
        self.schedule.at((self.elapsed)())
    }

    /// Real time since the start.
    pub fn real(&self) -> Duration {
        (self.elapsed)()
    }

    /// Market time that has passed since the start, jumps left out; it goes on when the clock stands still.
    pub fn flow(&self) -> Duration {
        self.schedule.flow((self.elapsed)())
    }

    /// Real time until market time `at`; zero if it is past.
    pub fn real_until(&self, at: MarketTime) -> Duration {
        self.schedule.real_at(at).saturating_sub((self.elapsed)())
    }
}
