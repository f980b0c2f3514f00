//! The register of loops: whose pulse is read, and through which queue a nonce goes.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use sandpit_contract::{LoopBeat, MAX_LOOPS};
use sandpit_types::Pulse;

/// Puts a nonce into a loop's own queue, without waiting. A full queue may drop it: a loop that works through
/// a full queue proves its life by that.
pub(crate) type Probe = Box<dyn Fn(u64) + Send + Sync>;

struct Entry {
    name: String,
    pulse: Arc<Pulse>,
    probe: Probe,
}

/// Every loop that has to be alive for trading to be right.
#[derive(Default)]
pub(crate) struct Loops {
    entries: Mutex<Vec<Entry>>,
    nonce: AtomicU64,
}

impl Loops {
    /// Adds a loop. The plugin loader takes fewer strategies than a beat has room for.
    ///
    /// # Panics
    /// Beyond [`MAX_LOOPS`]: a loop that is not watched must not run.
    pub(crate) fn add(&self, name: impl Into<String>, pulse: Arc<Pulse>, probe: Probe) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(entries.len() < MAX_LOOPS, "the plugin loader keeps the number of loops below {MAX_LOOPS}");
        entries.push(Entry { name: name.into(), pulse, probe });
    }

    /// Forgets a loop that ended in good order.
    pub(crate) fn remove(&self, name: &str) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).retain(|entry| entry.name != name);
    }

    /// The pulse of a loop, for [`crate::sabotage`].
    #[cfg(debug_assertions)]
    pub(crate) fn pulse(&self, name: &str) -> Option<Arc<Pulse>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().find(|entry| entry.name == name).map(|entry| entry.pulse.clone())
    }

    /// Sends a nonce through every loop's own queue.
    pub(crate) fn probe(&self, nonce: u64) {
        self.nonce.store(nonce, Ordering::Relaxed);
        self.send(nonce);
    }

    /// Sends the newest nonce once more, so that whoever does not hand out nonces can see life without taking
    /// a proof away from whoever does.
    pub(crate) fn probe_again(&self) {
        self.send(self.nonce.load(Ordering::Relaxed));
    }

    fn send(&self, nonce: u64) {
        for entry in self.entries.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            (entry.probe)(nonce);
        }
    }

    /// How far every loop has come.
    pub(crate) fn beats(&self) -> Vec<LoopBeat> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let beat = |entry: &Entry| LoopBeat {
            name: entry.name.clone(),
            progress: entry.pulse.progress(),
            nonce: entry.pulse.nonce(),
            memory_bytes: entry.pulse.held_bytes(),
        };
        entries.iter().map(beat).collect()
    }
}
