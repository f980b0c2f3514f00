//! The live view: made once a second while anybody looks, and shared by everybody who does.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use tokio::{
    sync::{Notify, oneshot, watch},
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
    places: Arc<Mutex<Places>>,
}

/// Who looks, the one that came first before the others.
#[derive(Default)]
struct Places {
    taken: Vec<Place>,
    next: u64,
}

struct Place {
    number: u64,
    session: String,
    /// Dropped with the place: that is how its page learns that it has none any more.
    _kept: oneshot::Sender<()>,
}

/// One page that looks.
pub(crate) struct Watcher {
    pub(crate) views: watch::Receiver<Bytes>,
    given_away: oneshot::Receiver<()>,
    number: u64,
    places: Arc<Mutex<Places>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { newest: watch::Sender::new(Bytes::new()), comes: Notify::new(), places: Arc::default() }
    }
}

fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    /// A place for a page of this session. When none is free, the oldest page of the same session gives its
    /// own away: a phone that lost its network may hold connections that nobody reads. `None` when all are
    /// others'. The next view is made at once.
    pub(crate) fn watch(&self, session: &str) -> Option<Watcher> {
        let mut places = lock(&self.places);
        if places.taken.len() >= MAX_WATCHERS {
            let oldest = places.taken.iter().position(|place| place.session == session)?;
            places.taken.remove(oldest);
        }
        let (kept, given_away) = oneshot::channel();
        let number = places.next;
        places.next += 1;
        places.taken.push(Place { number, session: session.to_owned(), _kept: kept });
        drop(places);
        self.comes.notify_one();
        let (views, places) = (self.newest.subscribe(), Arc::clone(&self.places));
        Some(Watcher { views, given_away, number, places })
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
    /// The next view; `None` when the host ends, or the place is given away.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            changed = self.views.changed() => changed.ok()?,
            _ = &mut self.given_away => return None,
        }
        Some(self.views.borrow_and_update().clone())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        lock(&self.places).taken.retain(|place| place.number != self.number);
    }
}
