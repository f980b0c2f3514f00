//! What the main loop shows to the admin port. The loop never waits for a reader.

use std::sync::{
    Arc, Mutex, PoisonError, TryLockError,
    atomic::{AtomicU64, Ordering},
};

use sandpit_contract::{BootTime, Status};

use crate::alerts::Firing;

/// The newest picture.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// As of [`View::published`].
    pub(crate) status: Arc<Status>,
    /// When that was.
    pub(crate) published: BootTime,
    /// Signals of the host.
    pub(crate) firing: Firing,
    /// Counts pictures.
    pub(crate) number: u64,
}

/// One picture, replaced every turn of the main loop.
#[derive(Debug, Default)]
pub(crate) struct Board {
    turned_nanos: AtomicU64,
    view: Mutex<Option<View>>,
}

impl Board {
    /// The main loop has come around, and stands like this. While a reader has the picture, it stays as it is
    /// until the next turn.
    pub(crate) fn publish(&self, now: BootTime, status: Status, firing: Firing) {
        self.turned_nanos.store(now.as_nanos(), Ordering::Relaxed);
        let mut view = match self.view.try_lock() {
            Ok(view) => view,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let number = view.as_ref().map_or(0, |view| view.number) + 1;
        *view = Some(View { status: Arc::new(status), published: now, firing, number });
    }

    /// When the main loop last came around.
    pub(crate) fn turned(&self) -> BootTime {
        BootTime::from_nanos(self.turned_nanos.load(Ordering::Relaxed))
    }

    /// The newest picture; `None` before the first.
    pub(crate) fn view(&self) -> Option<View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use sandpit_contract::{State, Strain};

    use super::*;

    /// Nothing but a state.
    pub(crate) fn plain(state: State) -> Status {
        Status {
            state,
            broker: None,
            epoch: None,
            host_pid: None,
            host_rss_bytes: None,
            lease_ms_left: 0,
            loops: Vec::new(),
            host_restarts: 0,
            kill: None,
            memory_percent: None,
            strain: Strain::default(),
            last_drill: None,
            limits: None,
        }
    }

    #[test]
    fn a_reader_keeps_nobody_waiting() {
        let board = Board::default();
        assert!(board.view().is_none());
        board.publish(BootTime::from_nanos(5), plain(State::Armed), Firing::default());
        let held = board.view.lock().expect("free");
        board.publish(BootTime::from_nanos(6), plain(State::Killed), Firing::default());
        drop(held);
        let view = board.view().expect("published");
        assert_eq!((view.status.state, view.published.as_nanos(), view.number), (State::Armed, 5, 1));
        assert_eq!(board.turned().as_nanos(), 6, "it has turned all the same");
        board.publish(BootTime::from_nanos(7), plain(State::Killed), Firing::default());
        assert_eq!(board.view().expect("published").number, 2);
    }

    #[test]
    fn a_reader_that_panicked_takes_nothing_along() {
        let board = Arc::new(Board::default());
        let reader = Arc::clone(&board);
        let panicked = std::thread::spawn(move || {
            let _held = reader.view.lock().expect("free");
            panic!("with the picture in its hand");
        });
        assert!(panicked.join().is_err());
        board.publish(BootTime::from_nanos(5), plain(State::Armed), Firing::default());
        assert_eq!(board.view().expect("published").number, 1);
    }
}
