//! Waiting for a condition, with a bound.

use std::time::Duration;

use anyhow::bail;
use nix::{
    poll::{PollTimeout, poll},
    time::{ClockId, clock_gettime},
};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Milliseconds of `CLOCK_BOOTTIME`, by which the watchdog decides.
///
/// # Panics
/// Never on Linux.
pub fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux has CLOCK_BOOTTIME");
    u64::try_from(now.tv_sec() * 1_000 + now.tv_nsec() / 1_000_000).expect("not negative")
}

/// Waits until `look` gives something; returns it and how long that took.
///
/// # Errors
/// When `bound` passes first; the message names `what`. What `look` fails with ends it at once.
pub fn wait_for<T>(
    what: &str,
    bound: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<(T, Duration)> {
    let start = boot_ms();
    loop {
        let found = look()?;
        let taken = Duration::from_millis(boot_ms() - start);
        if let Some(found) = found {
            return Ok((found, taken));
        }
        if taken >= bound {
            bail!("waited {bound:?} in vain for: {what}");
        }
        pass(LOOK);
    }
}

/// Lets real time pass: for a deed that consists of that, never for an effect.
pub fn pass(span: Duration) {
    let ms = u16::try_from(span.as_millis()).unwrap_or(u16::MAX);
    // Interrupted by a signal, it is over sooner.
    let _ = poll(&mut [], PollTimeout::from(ms));
}
