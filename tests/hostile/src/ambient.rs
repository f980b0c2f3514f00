//! The world outside: real time, and the waiting for conditions.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Real time since the start of the machine.
///
/// # Panics
/// Never on Linux.
pub fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).expect("it counts from the start of the machine")
}

/// Waits until `look` gives something.
///
/// # Panics
/// When it does not within `bound`, naming `what`.
pub fn until<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() - start < bound, "waited {bound:?} in vain for {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Lets real time pass until then: the pace of a feeder, never the hope that something is done by then.
pub(crate) fn pass_until(then: Duration) {
    loop {
        let left = then.saturating_sub(now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}
