//! What the benchmark reads of the machine: its steady clock, and waits by it.

use std::{net::TcpListener, time::Duration};

use nix::time::{ClockId, clock_gettime};

/// How long anything may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nanoseconds of the machine's steady clock; other processes read the same.
pub(crate) fn nanos() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock of this machine");
    Duration::from(time).as_nanos() as u64
}

/// Waits until the steady clock reads `due`.
#[expect(clippy::disallowed_methods, reason = "a benchmark keeps its own pace")]
pub(crate) fn sleep_until(due: u64) {
    let wait = due.saturating_sub(nanos());
    if wait > 0 {
        std::thread::sleep(Duration::from_nanos(wait));
    }
}

/// Waits until `look` gives something, a minute at most.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = nanos() + PATIENCE.as_nanos() as u64;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(nanos() < end, "waited {PATIENCE:?} in vain for: {what}");
        sleep_until(nanos() + 5_000_000);
    }
}

/// An address of this machine with a port that was free a moment ago.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}
