//! Who listens on a stream, and a bounded queue for each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::mpsc;

/// Most listeners of one stream. An idle one costs about 10 kB (measured with 9,000 of them): its task, its
/// socket's read buffer of 4 kB and the first block of its queue.
pub const MAX_LISTENERS: usize = 12_000;
/// Most frames that wait for one listener; a listener that falls further behind is dropped as slow.
pub const MAX_WAITING: usize = 16_384;
/// Frames that wait for all listeners of one stream together, at about 40 bytes beyond the messages
/// themselves, which they share. From there on whoever has more than his equal share of them waiting is
/// dropped as slow, so that there are never more than twice as many.
pub const MAX_WAITING_TOTAL: usize = 4_000_000;

/// What goes to a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<M = Arc<str>> {
    /// One data message, which may be sent together with others.
    Data(M),
    /// A control message, sent alone.
    Control(M),
    /// The connection ends here, without a word.
    Cut,
}

/// The listeners of one stream. `T` says what each of them wants, `M` is what a message is written as.
#[derive(Debug)]
pub struct Hub<T, M = Arc<str>> {
    /// Those that want nothing cost nothing when a message goes out.
    idle: BTreeMap<u64, Listener<T, M>>,
    listening: BTreeMap<u64, Listener<T, M>>,
    joined: u64,
    waiting: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Listener<T, M> {
    topic: T,
    queue: mpsc::Sender<Frame<M>>,
}

/// The receiving end of a listener's queue.
#[derive(Debug)]
pub struct Frames<M> {
    queue: mpsc::Receiver<Frame<M>>,
    waiting: Arc<AtomicUsize>,
}

impl<M> Frames<M> {
    /// Waits for frames and puts up to `most` into `batch`; none when the hub has dropped this listener.
    pub async fn recv_many(&mut self, batch: &mut Vec<Frame<M>>, most: usize) -> usize {
        let count = self.queue.recv_many(batch, most).await;
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        count
    }

    /// The next frame, if one waits.
    pub fn try_recv(&mut self) -> Option<Frame<M>> {
        let frame = self.queue.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(frame)
    }

    /// Whether the hub has dropped this listener.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl<M> Drop for Frames<M> {
    fn drop(&mut self) {
        // What nobody will read does not wait any more.
        self.queue.close();
        while self.try_recv().is_some() {}
    }
}

impl<T, M> Default for Hub<T, M> {
    fn default() -> Self {
        Self { idle: BTreeMap::new(), listening: BTreeMap::new(), joined: 0, waiting: Arc::default() }
    }
}

impl<T: Default + PartialEq, M: Clone> Hub<T, M> {
    /// A new listener that wants nothing yet; `None` when there are too many. Its queue ends when it is
    /// dropped.
    pub fn join(&mut self) -> Option<(u64, Frames<M>)> {
        if self.len() >= MAX_LISTENERS {
            return None;
        }
        let (queue, frames) = mpsc::channel(MAX_WAITING);
        self.joined += 1;
        self.idle.insert(self.joined, Listener { topic: T::default(), queue });
        Some((self.joined, Frames { queue: frames, waiting: self.waiting.clone() }))
    }

    /// A listener has gone. Unknown ids are none.
    pub fn leave(&mut self, id: u64) {
        self.idle.remove(&id);
        self.listening.remove(&id);
    }

    /// How many listen.
    pub fn len(&self) -> usize {
        self.idle.len() + self.listening.len()
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends `message` to everybody who `wants` it; it is written only if somebody does.
    pub fn publish(&mut self, wants: impl Fn(&T) -> bool, message: impl FnOnce() -> M) {
        let mut message = Some(message);
        let mut written: Option<M> = None;
        self.publish_each(|topic| {
            if !wants(topic) {
                return None;
            }
            if let Some(write) = message.take() {
                written = Some(write());
            }
            written.clone()
        });
    }

    /// Sends everybody what `write` makes for him.
    pub fn publish_each(&mut self, mut write: impl FnMut(&T) -> Option<M>) {
        let (waiting, share) = (&self.waiting, MAX_WAITING_TOTAL / self.listening.len().max(1));
        self.listening.retain(|_, listener| match write(&listener.topic) {
            Some(message) => send(listener, waiting, share, Frame::Data(message)),
            None => true,
        });
    }

    /// Cuts every listener off once it has got what waits for it. It counts until it has left.
    pub fn cut(&mut self) {
        self.idle.append(&mut self.listening);
        let waiting = &self.waiting;
        self.idle.retain(|_, listener| {
            listener.topic = T::default();
            send(listener, waiting, MAX_WAITING, Frame::Cut)
        });
    }

    /// Whether everybody who listens has room for so many frames.
    pub fn have_room(&self, frames: usize) -> bool {
        self.listening.values().all(|listener| listener.queue.capacity() >= frames)
    }

    /// Drops everybody who has no room for so many frames.
    pub fn drop_slow(&mut self, frames: usize) {
        self.listening.retain(|_, listener| listener.queue.capacity() >= frames);
    }

    /// Answers one listener and, with `topic`, changes what it wants from this very place of its queue on.
    pub fn answer(&mut self, id: u64, messages: Vec<M>, topic: Option<T>) {
        let Some(mut listener) = self.idle.remove(&id).or_else(|| self.listening.remove(&id)) else { return };
        if let Some(topic) = topic {
            listener.topic = topic;
        }
        let (waiting, share) = (&self.waiting, MAX_WAITING_TOTAL / MAX_LISTENERS);
        if messages.into_iter().all(|message| send(&listener, waiting, share, Frame::Control(message))) {
            let is_idle = listener.topic == T::default();
            let home = if is_idle { &mut self.idle } else { &mut self.listening };
            home.insert(id, listener);
        }
    }
}

/// Puts a frame into a queue; whether there was room. `share` is how many may wait for one listener when too
/// many wait for all.
fn send<T, M>(listener: &Listener<T, M>, waiting: &AtomicUsize, share: usize, frame: Frame<M>) -> bool {
    let own = MAX_WAITING - listener.queue.capacity();
    if waiting.load(Ordering::Relaxed) >= MAX_WAITING_TOTAL && own >= share {
        return false;
    }
    // Counted before it can be read.
    waiting.fetch_add(1, Ordering::Relaxed);
    let is_sent = listener.queue.try_send(frame).is_ok();
    if !is_sent {
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
    is_sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_listener_is_dropped_and_the_others_are_served() {
        let mut hub: Hub<bool> = Hub::default();
        let (slow, mut slow_frames) = hub.join().expect("room");
        let (quick, mut quick_frames) = hub.join().expect("room");
        let (_, mut deaf_frames) = hub.join().expect("room");
        for id in [slow, quick] {
            hub.answer(id, vec!["ok".into()], Some(true));
        }
        assert_eq!(quick_frames.try_recv(), Some(Frame::Control("ok".into())));
        for n in 0..MAX_WAITING {
            hub.publish(|wants| *wants, || n.to_string().into());
            assert_eq!(quick_frames.try_recv(), Some(Frame::Data(n.to_string().into())));
        }
        assert_eq!(hub.len(), 2);
        assert!(slow_frames.is_closed());
        assert_eq!(slow_frames.try_recv(), Some(Frame::Control("ok".into())));
        assert_eq!(deaf_frames.try_recv(), None, "a listener that wants nothing gets nothing");
        drop(slow_frames);
        assert_eq!(hub.waiting.load(Ordering::Relaxed), 0, "what nobody reads does not wait");
    }

    #[test]
    fn listeners_are_bounded() {
        let mut hub: Hub<()> = Hub::default();
        let queues: Vec<_> = (0..MAX_LISTENERS).map(|_| hub.join().expect("room")).collect();
        assert!(hub.join().is_none());
        hub.leave(queues[0].0);
        assert!(hub.join().is_some());
    }

    #[test]
    fn what_waits_is_bounded_over_all_listeners_and_the_quick_stay() {
        let mut hub: Hub<bool> = Hub::default();
        let mut listen = || {
            let (id, frames) = hub.join().expect("room");
            hub.answer(id, Vec::new(), Some(true));
            frames
        };
        let slow: Vec<_> = (0..2 * MAX_WAITING_TOTAL / MAX_WAITING).map(|_| listen()).collect();
        let mut quick = listen();
        let text: Arc<str> = "x".into();
        for _ in 0..MAX_WAITING {
            hub.publish(|wants| *wants, || text.clone());
            assert!(quick.try_recv().is_some(), "it reads everything at once");
            assert!(hub.waiting.load(Ordering::Relaxed) <= 2 * MAX_WAITING_TOTAL);
        }
        assert!(hub.len() < slow.len() / 2, "{} of {} slow ones are left", hub.len() - 1, slow.len());
        drop(slow);
        assert_eq!(hub.waiting.load(Ordering::Relaxed), 0);
    }
}
