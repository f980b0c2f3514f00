//! Who listens just now: read by many, changed rarely.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// The listeners of this moment, in the order in which they came. Each change gives the roster another
/// number, so that whoever keeps something made of it sees by one read whether that still holds.
#[derive(Debug)]
pub struct Roster<L> {
    number: AtomicU64,
    members: Mutex<Arc<[Arc<L>]>>,
}

impl<L> Default for Roster<L> {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl<L> Roster<L> {
    /// A roster of these.
    pub fn of(members: Vec<Arc<L>>) -> Self {
        Self { number: AtomicU64::new(1), members: Mutex::new(members.into()) }
    }

    /// Another one after each change. It may be seen a moment late.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// Everybody who listens now.
    pub fn members(&self) -> Arc<[Arc<L>]> {
        Arc::clone(&self.lock())
    }

    /// The same, with the number that they have.
    pub fn numbered(&self) -> (u64, Arc<[Arc<L>]>) {
        let members = self.lock();
        (self.number(), Arc::clone(&members))
    }

    /// Lets somebody come, go, or take the place of another one.
    pub fn change(&self, change: impl FnOnce(&mut Vec<Arc<L>>)) {
        let mut members = self.lock();
        let mut changed = members.to_vec();
        change(&mut changed);
        *members = changed.into();
        // Under the lock, so that numbers rise in the order of the changes.
        self.number.fetch_add(1, Ordering::Relaxed);
    }

    /// A list is exchanged as a whole, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Arc<[Arc<L>]>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
