//! What this program takes from the world: the real time since its start.

use std::time::Duration;

/// Counts real time from now on. Never goes back.
#[expect(clippy::disallowed_methods, reason = "the one place where the simulator reads a clock")]
pub(crate) fn stopwatch() -> impl Fn() -> Duration + Send + Sync {
    let start = std::time::Instant::now();
    move || start.elapsed()
}
