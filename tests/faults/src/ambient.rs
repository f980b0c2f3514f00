//! The world outside: real time, and the waiting for conditions.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Real time now.
#[expect(clippy::disallowed_methods, reason = "the one place where the suite reads the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// CPU time that the calling thread has used.
pub fn cpu_of_this_thread() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).expect("below a second"))
}

/// Waits until `holds`, and says how long that took.
///
/// # Panics
/// When it does not within `bound`, naming `what`.
pub fn until(what: &str, bound: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let started = now();
    while !holds() {
        assert!(started.elapsed() < bound, "waited {bound:?} in vain for {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
    started.elapsed()
}

/// Lets real time pass: only for how long a fault lasts, never in the hope that something is done by then.
pub fn pass(time: Duration) {
    let end = now() + time;
    while now() < end {
        std::thread::park_timeout(end.saturating_duration_since(now()));
    }
}
