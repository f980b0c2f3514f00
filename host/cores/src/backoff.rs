//! How long to wait before trying again.

use std::time::Duration;

/// Waits that grow: `min(cap, base * 2^n) * (0.5 + u)`, where `u` in `[0, 1)` comes from the caller.
///
/// The chance spreads callers that failed together, so that they do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    attempts: Option<u32>,
    failures: u32,
}

impl Backoff {
    /// Waits from `base` up to `cap`, for ever.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, attempts: None, failures: 0 }
    }

    /// Gives up after `attempts` waits in a row.
    #[must_use]
    pub const fn at_most(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// One more try failed: how long to wait before the next, or `None` when there is to be no next.
    ///
    /// `random` is any 64 random bits.
    pub fn fail(&mut self, random: u64) -> Option<Duration> {
        if self.attempts.is_some_and(|attempts| self.failures >= attempts) {
            return None;
        }
        let doubled = 2_u32.checked_pow(self.failures).and_then(|factor| self.base.checked_mul(factor));
        let wait = doubled.map_or(self.cap, |wait| wait.min(self.cap));
        self.failures = self.failures.saturating_add(1);
        Some(wait.mul_f64(0.5 + fraction(random)))
    }

    /// Failures since the start or the last success.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked: the next wait is the shortest again.
    pub const fn succeed(&mut self) {
        self.failures = 0;
    }
}

/// A number in `[0, 1)`: the top 53 bits, which a float holds exactly.
fn fraction(random: u64) -> f64 {
    const STEPS: f64 = 9_007_199_254_740_992.0; // 2^53
    (random >> 11) as f64 / STEPS
}

/// What to do after a WebSocket was lost or could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Wait this long, real time, then open a new one.
    pub after: Duration,
    /// Call a human: true once in a row of failures.
    pub page: bool,
}

/// The schedule of a WebSocket: on average `min(2^n, 60)` s, for ever, and a page on the way.
#[derive(Clone, Debug)]
pub struct Reconnect {
    backoff: Backoff,
}

impl Reconnect {
    /// The failures in a row after which a human is called.
    pub const PAGE_AFTER: u32 = 5;

    /// The longest wait on average.
    pub const CAP: Duration = Duration::from_secs(60);

    /// A schedule that has seen no failure.
    pub const fn new() -> Self {
        Self { backoff: Backoff::new(Duration::from_secs(1), Self::CAP) }
    }

    /// The connection was lost or could not be made. `random` is any 64 random bits.
    pub fn fail(&mut self, random: u64) -> Retry {
        let after = self.backoff.fail(random).expect("a schedule without a bound on attempts goes on");
        Retry { after, page: self.backoff.failures() == Self::PAGE_AFTER }
    }

    /// Failures in a row.
    pub const fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// The connection has lasted. One that opens, sends a little and closes is another failure, so do not
    /// call this at the first data.
    pub const fn succeed(&mut self) {
        self.backoff.succeed();
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The `u` of the formula is one half: the wait is the schedule itself.
    const MIDDLE: u64 = 1 << 63;

    #[test]
    fn waits_double_up_to_the_cap() {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1));
        let waits: Vec<_> =
            (0..4).filter_map(|_| backoff.fail(MIDDLE)).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 1_000]);
        backoff.succeed();
        assert_eq!(backoff.fail(MIDDLE), Some(Duration::from_millis(250)));
    }

    #[test]
    fn attempts_run_out() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8)).at_most(3);
        let tries: Vec<_> = (0..5).map(|_| backoff.fail(MIDDLE).is_some()).collect();
        assert_eq!(tries, [true, true, true, false, false]);
        backoff.succeed();
        assert!(backoff.fail(MIDDLE).is_some());
    }

    #[test]
    fn a_websocket_pages_once_and_keeps_trying() {
        let mut reconnect = Reconnect::new();
        let retries: Vec<_> = (0..9).map(|_| reconnect.fail(MIDDLE)).collect();
        let secs: Vec<_> = retries.iter().map(|retry| retry.after.as_secs()).collect();
        assert_eq!(secs, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let pages: Vec<_> = (0..9).filter(|&n| retries[n].page).collect();
        assert_eq!(pages, [4], "after the fifth failure");
        reconnect.succeed();
        let again: Vec<_> = (0..5).map(|_| reconnect.fail(MIDDLE).page).collect();
        assert_eq!(again, [false, false, false, false, true]);
    }

    proptest! {
        #[test]
        fn waits_stay_in_bounds(
            base_ms in 1_u64..100_000,
            cap_ms in 1_u64..1_000_000,
            randoms in prop::collection::vec(any::<u64>(), 1..80),
        ) {
            let (base, cap) = (Duration::from_millis(base_ms), Duration::from_millis(cap_ms));
            let mut backoff = Backoff::new(base, cap);
            for random in randoms {
                let wait = backoff.fail(random).expect("no bound on attempts");
                prop_assert!(wait >= base.min(cap) / 2);
                prop_assert!(wait <= cap * 3 / 2);
            }
        }
    }
}
