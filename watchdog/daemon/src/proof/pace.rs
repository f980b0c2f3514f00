//! When a request may be sent: lanes with a back-off, and a budget over all of them.

use std::time::Duration;

use sandpit_contract::BootTime;

/// First and longest pause between tries.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// The longest pause that the broker's word is taken for: then it is asked again, should it still say so.
const MOST_PAUSE: Duration = Duration::from_secs(15);
/// Requests that a kill may send at once.
const BURST: u64 = 60;
/// A credit is a 60 000th of a request, so that a millisecond at one request a minute is one credit.
pub(super) const CREDITS: u64 = 60_000;

/// One kind of request: in flight, or due, or neither.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) busy: bool,
    pub(super) due: Option<BootTime>,
    failures: u32,
    /// The broker's own word: nothing is sent before, whatever is due.
    not_before: BootTime,
}

impl Lane {
    /// Due by `at`.
    pub(super) fn first(at: BootTime) -> Self {
        Self { due: Some(at), ..Self::default() }
    }

    pub(super) fn is_ready(&self, now: BootTime) -> bool {
        !self.busy && self.not_before <= now && self.due.is_some_and(|due| due <= now)
    }

    pub(super) fn sent(&mut self) {
        *self = Self { busy: true, due: None, ..*self };
    }

    pub(super) fn answered(&mut self) {
        *self = Self { busy: false, due: self.due, ..Self::default() };
    }

    pub(super) fn by(&mut self, at: BootTime) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Tried again after the pause that the broker asks for, else after a back-off.
    pub(super) fn failed(&mut self, pause: Option<Duration>, now: BootTime) {
        let failures = self.failures.saturating_add(1);
        let next = now + pause.map_or(backoff(failures), |pause| pause.clamp(BACKOFF.0, MOST_PAUSE));
        let not_before = if pause.is_some() { next } else { now };
        *self = Self { busy: false, due: Some(next), failures, not_before };
    }
}

/// The pause after so many tries.
pub(super) fn backoff(tries: u32) -> Duration {
    let doublings = tries.saturating_sub(1).min(10);
    (BACKOFF.0 * 2_u32.pow(doublings)).min(BACKOFF.1)
}

/// Requests that may be sent: a burst, then a rate.
#[derive(Debug)]
pub(super) struct Budget {
    credits: u64,
    at: BootTime,
}

impl Budget {
    pub(super) fn full(now: BootTime) -> Self {
        Self { credits: BURST * CREDITS, at: now }
    }

    pub(super) fn refill(&mut self, per_minute: u64, now: BootTime) {
        let ms = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        if ms > 0 {
            self.credits = self.credits.saturating_add(ms.saturating_mul(per_minute)).min(BURST * CREDITS);
            self.at = now;
        }
    }

    pub(super) fn has(&self, requests: usize) -> bool {
        self.credits >= requests as u64 * CREDITS
    }

    pub(super) fn take(&mut self, requests: usize) -> bool {
        let rest = self.credits.checked_sub(requests as u64 * CREDITS);
        self.credits = rest.unwrap_or(self.credits);
        rest.is_some()
    }
}
