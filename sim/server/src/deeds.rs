//! What was asked for is done, once begun: even if whoever asked goes away before, but never in another run
//! than the one in which it began.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::sync::{Semaphore, watch};

/// Most requests under way at one time, each with a body of at most 64 KiB; one more is turned away with a
/// 503 and not noted.
pub(crate) const MAX_DEEDS: usize = 4_096;
/// Most controls under way at one time. They have room of their own: they are the way out when a fault holds
/// all the other.
const MAX_CONTROLS: usize = 256;

/// The deeds under way, and the run in which they are done.
#[derive(Debug)]
pub(crate) struct Deeds {
    run: watch::Sender<u64>,
    room: Arc<Semaphore>,
    room_for_controls: Arc<Semaphore>,
}

impl Deeds {
    /// Nothing is under way, in the first run.
    pub(crate) fn new() -> Self {
        let room = |most| Arc::new(Semaphore::new(most));
        Self { run: watch::Sender::new(0), room: room(MAX_DEEDS), room_for_controls: room(MAX_CONTROLS) }
    }

    /// Carries a deed out to its end even if nobody waits for it any more; `None` when too many are under
    /// way.
    pub(crate) async fn see_through<T: Send + 'static>(
        &self,
        deed: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        see_through(&self.room, deed).await
    }

    /// The same for a control.
    pub(crate) async fn see_control_through<T: Send + 'static>(
        &self,
        deed: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        see_through(&self.room_for_controls, deed).await
    }

    /// Carries a deed out as long as the run lasts in which it begins; `None` when another begins before its
    /// end. What it does between two waits is wholly in one run. Deeds must not be nested.
    pub(crate) async fn in_one_run<T>(&self, deed: impl Future<Output = T>) -> Option<T> {
        let mut runs = self.run.subscribe();
        let own = *runs.borrow_and_update();
        let mut deed = pin!(deed);
        let guarded = poll_fn(|context| {
            // Held over this turn of the deed: a run that begins anew waits for it.
            let run = self.run.borrow();
            if *run == own { deed.as_mut().poll(context).map(Some) } else { Poll::Ready(None) }
        });
        tokio::select! {
            biased;
            _ = runs.changed() => None,
            done = guarded => done,
        }
    }

    /// Begins another run while no deed has its turn, if `begin` can.
    pub(crate) fn begin_anew<E>(&self, begin: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut outcome = Ok(());
        self.run.send_if_modified(|run| {
            outcome = begin();
            *run += u64::from(outcome.is_ok());
            outcome.is_ok()
        });
        outcome
    }
}

async fn see_through<T: Send + 'static>(
    room: &Arc<Semaphore>,
    deed: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let place = room.clone().try_acquire_owned().ok()?;
    let task = tokio::spawn(async move {
        let done = deed.await;
        drop(place);
        done
    });
    match task.await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(done) => Some(done),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime is going down, and with it whoever waits here.
        Err(Err(_)) => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_deed_ends_with_its_run() {
        let deeds = Arc::new(Deeds::new());
        let (begun, is_begun) = oneshot::channel();
        let (held, is_dropped) = oneshot::channel::<()>();
        let task = tokio::spawn({
            let deeds = deeds.clone();
            async move {
                let deed = async {
                    let _held = held;
                    begun.send(()).expect("the test waits");
                    pending::<()>().await;
                };
                deeds.in_one_run(deed).await
            }
        });
        is_begun.await.expect("it begins");
        assert_eq!(deeds.begin_anew(|| Err("no")), Err("no"));
        tokio::task::yield_now().await;
        assert!(!task.is_finished(), "the run goes on");
        deeds.begin_anew(|| Ok::<_, ()>(())).expect("it can");
        assert_eq!(task.await.expect("no panic"), None);
        assert!(is_dropped.await.is_err());
        assert_eq!(deeds.in_one_run(async { 7 }).await, Some(7), "the new run");
    }

    #[tokio::test]
    async fn a_deed_goes_on_alone_and_they_are_bounded() {
        let deeds = Arc::new(Deeds::new());
        let (go, may_go) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let asking = tokio::spawn({
            let deeds = deeds.clone();
            async move {
                let deed = async move {
                    may_go.await.expect("the test lets it go");
                    done.send(()).expect("the test waits");
                };
                deeds.see_through(deed).await
            }
        });
        while deeds.room.available_permits() == MAX_DEEDS {
            tokio::task::yield_now().await;
        }
        asking.abort();
        assert!(asking.await.is_err_and(|error| error.is_cancelled()));
        go.send(()).expect("it waits still");
        is_done.await.expect("it is done though nobody asks any more");
        let all = deeds.room.clone().acquire_many_owned(MAX_DEEDS as u32).await;
        assert_eq!(deeds.see_through(async { 7 }).await, None);
        assert_eq!(deeds.see_control_through(async { 7 }).await, Some(7), "the way out");
        drop(all);
        assert_eq!(deeds.see_through(async { 7 }).await, Some(7));
    }
}
