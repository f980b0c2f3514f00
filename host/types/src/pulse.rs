//! Proof of life: one progress counter a loop.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far one loop has come. The loop holds it, the heartbeat reads it.
///
/// It counts up only when that loop does a piece of work or answers a nonce that came through its own queue:
/// a timer that beats for a stuck loop would prove nothing.
#[derive(Debug, Default)]
pub struct Pulse {
    progress: AtomicU64,
    nonce: AtomicU64,
}

impl Pulse {
    /// One piece of work is done.
    pub fn work(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// A nonce came out of the loop's own queue.
    pub fn answer(&self, nonce: u64) {
        self.nonce.store(nonce, Ordering::Relaxed);
        self.work();
    }

    /// Pieces of work since the start.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// The newest nonce answered.
    pub fn nonce(&self) -> u64 {
        self.nonce.load(Ordering::Relaxed)
    }
}
