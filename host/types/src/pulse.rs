//! Proof of life: one progress counter a loop.

#[cfg(debug_assertions)]
use std::sync::atomic::AtomicU8;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far one loop has come. The loop holds it, the heartbeat reads it.
///
/// It counts up only when that loop does a piece of work or answers a nonce that came through its own queue:
/// a timer that beats for a stuck loop would prove nothing.
#[derive(Debug, Default)]
pub struct Pulse {
    progress: AtomicU64,
    nonce: AtomicU64,
    held_bytes: AtomicU64,
    #[cfg(debug_assertions)]
    halt: AtomicU8,
}

/// How a loop stands still in a test.
#[cfg(debug_assertions)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// As in a deadlock: its thread sleeps for ever.
    Asleep = 1,
    /// As in an endless loop: its thread takes a whole core.
    Spinning = 2,
}

impl Pulse {
    /// One piece of work is done.
    pub fn work(&self) {
        #[cfg(debug_assertions)]
        self.obey();
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// A nonce came out of the loop's own queue.
    pub fn answer(&self, nonce: u64) {
        #[cfg(debug_assertions)]
        self.obey();
        self.nonce.store(nonce, Ordering::Relaxed);
        self.work();
    }

    /// The loop's strategy holds so much memory.
    pub fn hold(&self, bytes: u64) {
        self.held_bytes.store(bytes, Ordering::Relaxed);
    }

    /// What the loop's strategy held when it was last asked, bytes; 0 for a loop that is no strategy's.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Pieces of work since the start.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// The newest nonce answered.
    pub fn nonce(&self) -> u64 {
        self.nonce.load(Ordering::Relaxed)
    }

    /// The loop stands still at its next piece of work, for ever. Only a build with debug assertions can be
    /// told to.
    #[cfg(debug_assertions)]
    pub fn halt(&self, how: Halt) {
        self.halt.store(how as u8, Ordering::Relaxed);
    }

    /// It is the loop itself that comes here: nobody else brings its thread to a stop.
    #[cfg(debug_assertions)]
    fn obey(&self) {
        let told = self.halt.load(Ordering::Relaxed);
        if told == Halt::Asleep as u8 {
            loop {
                std::thread::park();
            }
        }
        if told == Halt::Spinning as u8 {
            loop {
                std::hint::spin_loop();
            }
        }
    }
}
