//! Who listens on a stream, and a bounded queue for each.

use std::sync::Arc;

use tokio::sync::mpsc;

/// Most listeners of one stream.
pub const MAX_LISTENERS: usize = 16_384;
/// Most frames that wait for one listener; a listener that falls further behind is dropped as slow.
pub const MAX_WAITING: usize = 16_384;

/// What goes to a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One data message, which may be sent together with others.
    Data(Arc<str>),
    /// A control message, sent alone.
    Control(Arc<str>),
}

/// The listeners of one stream. `T` says what each of them wants.
#[derive(Debug)]
pub struct Hub<T> {
    listeners: Vec<Listener<T>>,
    joined: u64,
}

#[derive(Debug)]
struct Listener<T> {
    id: u64,
    topic: T,
    queue: mpsc::Sender<Frame>,
}

impl<T> Default for Hub<T> {
    fn default() -> Self {
        Self { listeners: Vec::new(), joined: 0 }
    }
}

impl<T: Default> Hub<T> {
    /// A new listener that wants nothing yet; `None` when there are too many. Its queue ends when it is
    /// dropped.
    pub fn join(&mut self) -> Option<(u64, mpsc::Receiver<Frame>)> {
        if self.listeners.len() >= MAX_LISTENERS {
            return None;
        }
        let (queue, frames) = mpsc::channel(MAX_WAITING);
        self.joined += 1;
        self.listeners.push(Listener { id: self.joined, topic: T::default(), queue });
        Some((self.joined, frames))
    }

    /// A listener has gone. Unknown ids are none.
    pub fn leave(&mut self, id: u64) {
        self.listeners.retain(|listener| listener.id != id);
    }

    /// How many listen.
    pub fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Sends `message` to everybody who `wants` it; it is written only if somebody does.
    pub fn publish(&mut self, wants: impl Fn(&T) -> bool, message: impl FnOnce() -> Arc<str>) {
        let mut message = Some(message);
        let mut written: Option<Arc<str>> = None;
        self.listeners.retain(|listener| {
            if !wants(&listener.topic) {
                return true;
            }
            if let Some(write) = message.take() {
                written = Some(write());
            }
            let frame = written.clone().expect("written at the first listener");
            listener.queue.try_send(Frame::Data(frame)).is_ok()
        });
    }

    /// Answers one listener and, with `topic`, changes what it wants from this very place of its queue on.
    pub fn answer(&mut self, id: u64, messages: Vec<Arc<str>>, topic: Option<T>) {
        let Some(index) = self.listeners.iter().position(|listener| listener.id == id) else { return };
        let listener = &mut self.listeners[index];
        if let Some(topic) = topic {
            listener.topic = topic;
        }
        let sent = messages.into_iter().all(|text| listener.queue.try_send(Frame::Control(text)).is_ok());
        if !sent {
            self.listeners.swap_remove(index);
        }
    }
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
        assert_eq!(quick_frames.try_recv(), Ok(Frame::Control("ok".into())));
        for n in 0..MAX_WAITING {
            hub.publish(|wants| *wants, || n.to_string().into());
            assert_eq!(quick_frames.try_recv(), Ok(Frame::Data(n.to_string().into())));
        }
        assert_eq!(hub.len(), 2);
        assert!(slow_frames.is_closed());
        assert_eq!(slow_frames.try_recv(), Ok(Frame::Control("ok".into())));
        assert!(deaf_frames.try_recv().is_err(), "a listener that wants nothing gets nothing");
    }

    #[test]
    fn listeners_are_bounded() {
        let mut hub: Hub<()> = Hub::default();
        let queues: Vec<_> = (0..MAX_LISTENERS).map(|_| hub.join().expect("room")).collect();
        assert!(hub.join().is_none());
        hub.leave(queues[0].0);
        assert!(hub.join().is_some());
    }
}
