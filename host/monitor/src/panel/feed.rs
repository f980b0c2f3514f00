//! The live view: made once a second while anybody looks, and shared by everybody who does.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use super::{Deeds, view::view};
use crate::Source;

/// How often a view is made, real time.
const EVERY: Duration = Duration::from_secs(1);
/// How long the watchdog may take to say how it stands, real time.
const FENCE_WITHIN: Duration = Duration::from_millis(500);
/// Pages that may look at a time.
const MAX_WATCHERS: usize = 16;

/// The newest view, and who looks at it.
pub(crate) struct Feed {
    newest: watch::Sender<Bytes>,
    comes: Notify,
    room: Arc<Semaphore>,
}

/// One page that looks.
pub(crate) struct Watcher {
    pub(crate) views: watch::Receiver<Bytes>,
    _place: OwnedSemaphorePermit,
}

impl Default for Feed {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(MAX_WATCHERS));
        Self { newest: watch::Sender::new(Bytes::new()), comes: Notify::new(), room }
    }
}

impl Feed {
    /// A place; `None` when there is none left. The next view is made at once.
    pub(crate) fn watch(&self) -> Option<Watcher> {
        let place = self.room.clone().try_acquire_owned().ok()?;
        let watcher = Watcher { views: self.newest.subscribe(), _place: place };
        self.comes.notify_one();
        Some(watcher)
    }

    /// Makes views, for as long as it is not dropped.
    pub(crate) async fn run(&self, source: Source, deeds: Arc<dyn Deeds>) {
        loop {
            tokio::select! {
                () = sleep(EVERY) => {}
                () = self.comes.notified() => {}
            }
            if self.newest.receiver_count() > 0 {
                let fence = timeout(FENCE_WITHIN, deeds.fence()).await.unwrap_or_default();
                let event = event(&view(&source(), &fence));
                self.newest.send_replace(event);
            }
        }
    }
}

fn event(line: &str) -> Bytes {
    Bytes::from(format!("data: {line}\n\n"))
}

/// The last event of a page that is not signed in any more.
pub(crate) const OVER: Bytes = Bytes::from_static(b"event: over\ndata: {}\n\n");

impl Watcher {
    /// The next view; `None` when the host ends.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.views.changed().await.ok()?;
        Some(self.views.borrow_and_update().clone())
    }
}
