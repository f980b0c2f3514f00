//! What the review of each order asks of a run.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sandpit_cores::Trip;
use sandpit_review::Outside;

/// A run as its review sees it: nobody takes the right to trade away, and real time does not pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThisRun(Arc<Mutex<Option<String>>>);

impl ThisRun {
    /// The limit that was reached, if one was.
    pub(crate) fn tripped_by(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Outside for ThisRun {
    fn may_trade(&self) -> bool {
        true
    }

    fn entries_stopped(&self) -> bool {
        false
    }

    fn real_now(&self) -> Duration {
        Duration::ZERO
    }

    fn tripped(&self, trip: &Trip) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trip.to_string());
    }
}
