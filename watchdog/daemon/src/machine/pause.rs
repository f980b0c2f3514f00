//! The machine or the watchdog itself stood still.

use std::time::Duration;

use super::{Machine, Now};
use crate::log::Level;

/// Nothing observed for longer than this after a turn means that we stood still.
const PAUSE: Duration = Duration::from_secs(1);

impl Machine {
    /// Before an observation has its effect: what is heard after a pause belongs to the time after it, and
    /// only what was known before is put right.
    pub(super) fn notice_pause(&mut self, now: Now) {
        let gap = now.boot.since(self.ticked_at);
        if gap > PAUSE {
            self.ticked_at = now.boot;
            self.on_pause(gap, now);
        }
    }

    /// Whoever slept with us is no suspect.
    fn on_pause(&mut self, gap: Duration, now: Now) {
        let text = format!("the watchdog stood still for {} ms", gap.as_millis());
        self.log(Level::Warning, text.clone());
        self.raise("pause", text);
        if let Some(host) = &mut self.host {
            host.loops.rebase(gap, now.boot);
        }
        self.starvation.rebase();
        self.limits.slept(gap);
        // A kill is not put off.
        if self.kill.is_none() {
            self.deadline = self.deadline.map(|deadline| deadline + gap);
        }
    }
}
