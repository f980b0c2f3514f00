//! Alarms: the rules of the monitor, judged once a second, and what comes of it.
//!
//! Whatever changes goes four ways, none of which the evaluator waits for: the log, the records, `/status`,
//! and the watchdog, which has the ways out to a human. What a signal wants done is done here, too: no
//! entries while one says that the broker is not to be relied on ([`Alarms::entries_stopped`], which the
//! review of every order reads), and a freeze, which a human lifts.

mod evaluator;
mod keep;
mod post;
mod tell;
mod watch;

use std::sync::{
    PoisonError, RwLock,
    atomic::{AtomicBool, Ordering},
};

use sandpit_monitor::AlertFigures;

#[cfg(test)]
pub(crate) use self::post::MOST_A_BEAT;
use self::post::Post;
pub(crate) use self::watch::Watch;

/// What of the alarms others read.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    /// What the watchdog is to be told.
    pub(crate) post: Post,
    entries_stopped: AtomicBool,
    shown: RwLock<Vec<AlertFigures>>,
}

impl Alarms {
    /// Whether a signal that fires wants no new entries. Exits and cancels go on.
    pub(crate) fn entries_stopped(&self) -> bool {
        self.entries_stopped.load(Ordering::Acquire)
    }

    /// What fires, in the order of the rules' table.
    pub(crate) fn firing(&self) -> Vec<AlertFigures> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says whether entries are taken again, or not any more, since the last time.
    fn stop_entries(&self, stopped: bool) -> bool {
        self.entries_stopped.swap(stopped, Ordering::AcqRel) != stopped
    }

    fn show(&self, firing: Vec<AlertFigures>) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = firing;
    }
}

#[cfg(test)]
impl Alarms {
    /// As a signal does that fires, or is over.
    pub(crate) fn set_entries_stopped(&self, stopped: bool) {
        self.stop_entries(stopped);
    }
}
