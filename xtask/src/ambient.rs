//! The only place in xtask that reads a clock or waits for real time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Real time now.
#[expect(clippy::disallowed_methods, reason = "the ambient edge of this binary")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets real time pass.
#[expect(clippy::disallowed_methods, reason = "the ambient edge of this binary")]
pub(crate) fn wait(span: Duration) {
    std::thread::sleep(span);
}

/// A number that is another one each time: the clock's.
#[expect(clippy::disallowed_methods, reason = "the ambient edge of this binary")]
pub(crate) fn seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs())
}
