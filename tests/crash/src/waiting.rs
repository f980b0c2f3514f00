//! Waiting for a condition, with a bound.

use std::time::Duration;

use anyhow::bail;
use nix::poll::{PollTimeout, poll};
use sandpit_system_tests::monotonic_ms;

/// How often a condition is looked at.
const LOOK_MS: u16 = 3;

/// Waits until `look` gives something; returns it and how long that took.
///
/// # Errors
/// When `bound` passes first; the message names `what`. What `look` fails with ends it at once.
pub fn wait_for<T>(
    what: &str,
    bound: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<(T, Duration)> {
    let start = monotonic_ms();
    loop {
        let found = look()?;
        let taken = Duration::from_millis(monotonic_ms() - start);
        if let Some(found) = found {
            return Ok((found, taken));
        }
        if taken >= bound {
            bail!("waited {bound:?} in vain for: {what}");
        }
        pass(Duration::from_millis(LOOK_MS.into()));
    }
}

/// Lets real time pass.
pub fn pass(span: Duration) {
    let ms = u16::try_from(span.as_millis()).unwrap_or(u16::MAX);
    // Interrupted by a signal, it is over sooner.
    let _ = poll(&mut [], PollTimeout::from(ms));
}
