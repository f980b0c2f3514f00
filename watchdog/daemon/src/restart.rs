//! When the host may be started again, and when its crashes have become a reason to kill.

use std::time::Duration;

/// A host that held leases for so long before it ended had started well: its end opens a new row of crashes.
pub(crate) const STEADY: Duration = Duration::from_secs(30);

/// While the broker cannot be reached the host is tried again this often, at the least and at the most.
const BROKER_AWAY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// The back-off of restarts: the first is immediate, then the configured delays, then no more.
#[derive(Debug)]
pub(crate) struct Restarts {
    delays: Vec<Duration>,
    in_a_row: usize,
}

impl Restarts {
    /// With the delays of the second and later restarts.
    pub(crate) fn new(delays: Vec<Duration>) -> Self {
        Self { delays, in_a_row: 0 }
    }

    /// The host ended after holding leases for `leased`. How long to wait, or `None`: it has outlasted the
    /// back-off.
    pub(crate) fn ended(&mut self, leased: Duration) -> Option<Duration> {
        self.forget_after(leased);
        self.in_a_row += 1;
        match self.in_a_row {
            1 => Some(Duration::ZERO),
            row => self.delays.get(row - 2).copied(),
        }
    }

    /// The host ended because it could not reach the broker: no fault of its own, so it neither counts nor
    /// ends. How long to wait: the longest configured delay, within [`BROKER_AWAY`].
    pub(crate) fn broker_away(&mut self, leased: Duration) -> Duration {
        self.forget_after(leased);
        let longest = self.delays.iter().max().copied().unwrap_or_default();
        longest.clamp(BROKER_AWAY.0, BROKER_AWAY.1)
    }

    /// The host was ended for its memory: that neither counts here nor waits.
    pub(crate) fn drained(&mut self, leased: Duration) -> Duration {
        self.forget_after(leased);
        Duration::ZERO
    }

    fn forget_after(&mut self, leased: Duration) {
        if leased >= STEADY {
            self.in_a_row = 0;
        }
    }

    /// A human looked at it.
    pub(crate) fn reset(&mut self) {
        self.in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(leases_s: &[u64], expected_ms: &[Option<u64>]) {
        let mut restarts = Restarts::new(vec![Duration::from_millis(100), Duration::from_millis(500)]);
        let got: Vec<_> = leases_s.iter().map(|&s| restarts.ended(Duration::from_secs(s))).collect();
        let expected: Vec<_> = expected_ms.iter().map(|ms| ms.map(Duration::from_millis)).collect();
        assert_eq!(got, expected, "{leases_s:?}");
    }

    #[test]
    fn the_first_is_immediate_and_the_row_ends() {
        check(&[0, 0, 0, 0, 0], &[Some(0), Some(100), Some(500), None, None]);
        check(&[0, 29, 30, 0], &[Some(0), Some(100), Some(0), Some(100)]);
    }

    #[test]
    fn an_end_for_memory_is_no_crash_and_a_long_life_before_it_counts() {
        let mut restarts = Restarts::new(vec![Duration::from_millis(100)]);
        assert_eq!(restarts.ended(Duration::ZERO), Some(Duration::ZERO));
        assert!((0..100).all(|_| restarts.drained(Duration::ZERO) == Duration::ZERO));
        assert_eq!(restarts.ended(Duration::ZERO), Some(Duration::from_millis(100)));
        restarts.drained(STEADY);
        assert_eq!(restarts.ended(Duration::ZERO), Some(Duration::ZERO));
    }

    #[test]
    fn a_broker_that_is_away_never_ends_the_row() {
        let ms = Duration::from_millis;
        for (delays, expected) in
            [(vec![], 5000), (vec![ms(100)], 5000), (vec![ms(9000), ms(1)], 9000), (vec![ms(90_000)], 30_000)]
        {
            let mut restarts = Restarts::new(delays.clone());
            assert!((0..100).all(|_| restarts.broker_away(Duration::ZERO) == ms(expected)), "{delays:?}");
            assert_eq!(restarts.ended(Duration::ZERO), Some(Duration::ZERO));
        }
    }
}
