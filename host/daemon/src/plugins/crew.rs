//! The threads of the strategies that run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sandpit_strategy::{Inbox, Runner, StrategyEvent};
use sandpit_types::StrategyName;

/// One thread a strategy, until the host ends. `R` is what waits for a thread's end.
pub(crate) struct Crew<R = Runner>(Mutex<Threads<R>>);

struct Threads<R> {
    by_name: BTreeMap<StrategyName, (R, Arc<Inbox>)>,
    is_closed: bool,
}

impl<R> Default for Crew<R> {
    fn default() -> Self {
        Self(Mutex::new(Threads { by_name: BTreeMap::new(), is_closed: false }))
    }
}

impl<R> Crew<R> {
    /// One more with its queue, or the next one of that name.
    ///
    /// # Errors
    /// Gives it back when the host ends: nothing new is begun then.
    pub(crate) fn add(&self, name: &StrategyName, runner: R, inbox: Arc<Inbox>) -> Result<(), R> {
        let mut threads = self.lock();
        if threads.is_closed {
            return Err(runner);
        }
        threads.by_name.insert(name.clone(), (runner, inbox));
        Ok(())
    }

    /// Takes one out, to wait for its end.
    pub(crate) fn take(&self, name: &StrategyName) -> Option<R> {
        self.lock().by_name.remove(name).map(|(runner, _)| runner)
    }

    /// The host ends: tells all that are left to stop, also those that nobody else knows yet, gives them out,
    /// and takes no more.
    pub(crate) fn close(&self, reason: &str) -> Vec<R> {
        let mut threads = self.lock();
        threads.is_closed = true;
        let all = std::mem::take(&mut threads.by_name).into_values();
        all.map(|(runner, inbox)| {
            inbox.push(StrategyEvent::Stop(reason.to_owned()));
            runner
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Threads<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of each, also after one that did not end in good order; whether all did.
pub(crate) fn join_all<R>(runners: Vec<R>, join: impl Fn(R) -> bool) -> bool {
    runners.into_iter().map(join).filter(|has_ended| !has_ended).count() == 0
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use sandpit_strategy::Next;
    use sandpit_types::MarketTime;

    use super::*;

    #[test]
    fn everybody_is_told_to_stop_and_nobody_comes_any_more() {
        let crew = Crew::<u8>::default();
        let [a, b, c] = ["a", "b", "c"].map(|text| StrategyName::parse(text).expect(text));
        let inbox = || Arc::new(Inbox::new([]));
        let left = inbox();
        assert_eq!(crew.add(&a, 1, inbox()), Ok(()));
        assert_eq!(crew.add(&b, 2, left.clone()), Ok(()));
        assert_eq!((crew.take(&a), crew.take(&a)), (Some(1), None));
        left.push(StrategyEvent::Tick(MarketTime::EPOCH));
        assert_eq!(crew.close("the end"), [2]);
        assert_eq!(left.pop(), Next::Event(StrategyEvent::Stop("the end".into())));
        assert_eq!(crew.add(&c, 3, inbox()), Err(3));
        assert_eq!(crew.close("again"), [0; 0]);
    }

    #[test]
    fn one_that_breaks_keeps_nobody_from_being_waited_for() {
        let joined = RefCell::new(Vec::new());
        let join = |number: u8| {
            joined.borrow_mut().push(number);
            number != 2
        };
        assert!(!join_all(vec![1, 2, 3], join));
        assert_eq!(joined.take(), [1, 2, 3]);
        assert!(join_all(vec![1, 3], |number| number != 2));
    }
}
