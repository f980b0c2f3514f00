//! The only place in xtask that reads a clock or waits for real time.

use std::time::{Duration, Instant};

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
