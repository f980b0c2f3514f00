//! The threads of the strategies that run.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sandpit_strategy::Runner;
use sandpit_types::StrategyName;

/// One thread a strategy, until the host ends.
#[derive(Default)]
pub(crate) struct Crew(Mutex<Threads>);

#[derive(Default)]
struct Threads {
    by_name: BTreeMap<StrategyName, Runner>,
    is_closed: bool,
}

impl Crew {
    /// One more, or the next one of that name.
    ///
    /// # Errors
    /// Gives it back when the host ends: nothing new is begun then.
    pub(crate) fn add(&self, name: &StrategyName, runner: Runner) -> Result<(), Runner> {
        let mut threads = self.lock();
        if threads.is_closed {
            return Err(runner);
        }
        threads.by_name.insert(name.clone(), runner);
        Ok(())
    }

    /// Takes one out, to wait for its end.
    pub(crate) fn take(&self, name: &StrategyName) -> Option<Runner> {
        self.lock().by_name.remove(name)
    }

    /// The host ends: gives out all that are left, and takes no more.
    pub(crate) fn close(&self) -> Vec<Runner> {
        let mut threads = self.lock();
        threads.is_closed = true;
        std::mem::take(&mut threads.by_name).into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Threads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
