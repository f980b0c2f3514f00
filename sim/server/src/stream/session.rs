//! What the streams have in common: a conversation that is pure, and the socket loop that speaks it.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{
    hub::{Frame, Frames, Hub},
    upgrade::WebSocket,
};
use crate::{
    faults::Stream,
    keys::Keys,
    sim::{Desk, Sim},
};

/// Most frames put into one write.
const MAX_BATCH: usize = 256;
/// Longest wait for a client to take what is written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Pings in a row that stay without any sign of life; then the client is taken for gone.
const MAX_UNANSWERED: u32 = 3;
/// Most messages of a client that has not said who it is.
const MAX_OF_A_STRANGER: u32 = 64;

/// What a conversation answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<T, M = Arc<str>> {
    /// Control messages, in order.
    pub messages: Vec<M>,
    /// What the connection wants to hear from now on, if that changed.
    pub topic: Option<T>,
}

impl<T, M> Answer<T, M> {
    /// One message, no change.
    pub(crate) fn say(message: M) -> Self {
        Self { messages: vec![message], topic: None }
    }
}

/// One side of a stream's conversation with one client. Pure: no socket, no clock.
pub(crate) trait Session: Send + 'static {
    /// Which stream this is.
    const STREAM: Stream;
    /// What a connection wants to hear; the default is nothing.
    type Topic: Default + PartialEq + Send;
    /// What a message is written as.
    type Message: Clone + PartialEq + Send;

    /// The stream's listeners.
    fn hub(desk: &mut Desk) -> &mut Hub<Self::Topic, Self::Message>;
    /// What is said first.
    fn hello(&self) -> Vec<Self::Message>;
    /// Answers a text message of the client.
    fn on(&mut self, text: &str, keys: &Keys) -> Answer<Self::Topic, Self::Message>;
    /// Answers a binary message; it holds text unless the conversation knows better.
    fn on_binary(&mut self, bytes: &[u8], keys: &Keys) -> Answer<Self::Topic, Self::Message> {
        self.on(&String::from_utf8_lossy(bytes), keys)
    }
    /// Whether another connection could be turned away because of this one.
    fn holds_place(&self) -> bool {
        true
    }
    /// What to say before hanging up if the time to authenticate is over now.
    fn is_overdue(&self) -> Option<Self::Message>;
    /// What to say before hanging up when there are too many connections.
    fn full(&self) -> Option<Self::Message>;
    /// What to say before hanging up on a client that does not keep up.
    fn slow(&self) -> Option<Self::Message>;
    /// Frames as they go over the wire.
    fn write(frames: &[Frame<Self::Message>]) -> Vec<Message>;
}

/// Speaks with one client until it goes, is too slow, or does not authenticate in time.
pub(super) async fn run<S: Session>(sim: Arc<Sim>, mut socket: WebSocket, mut session: S) {
    let joined =
        sim.with(|desk, _| S::hub(desk).join().map(|(id, frames)| (desk.presence.enter(), id, frames)));
    let last_words = match joined {
        Some((run, id, frames)) => {
            let end = converse(&sim, &mut socket, &mut session, id, frames).await;
            // Whatever the session holds is free for the next connection before the farewell, which may take
            // long, unless a fault lets it count on.
            sim.with(|desk, now| {
                S::hub(desk).leave(id);
                let place = session.holds_place().then_some(session);
                desk.leave(S::STREAM, run, place, now);
            });
            match end {
                End::Cut => return,
                End::Words(words) => words,
            }
        }
        None => {
            let words = session.full();
            drop(session);
            words
        }
    };
    if let Some(words) = last_words {
        send(&mut socket, S::write(&[Frame::Control(words)])).await;
    }
    // The client may be gone already; there is nobody left to tell.
    let _ = timeout(WRITE_TIMEOUT, socket.close(None)).await;
}

/// How a conversation ends.
enum End<M> {
    /// A fault: the connection is gone.
    Cut,
    /// With these last words, or none.
    Words(Option<M>),
}

/// The conversation; returns how it ended.
async fn converse<S: Session>(
    sim: &Arc<Sim>,
    socket: &mut WebSocket,
    session: &mut S,
    id: u64,
    mut frames: Frames<S::Message>,
) -> End<S::Message> {
    sim.with(|desk, _| S::hub(desk).answer(id, session.hello(), None));
    let overdue = tokio::time::sleep(sim.settings().auth_timeout);
    tokio::pin!(overdue);
    let mut authentication_due = true;
    let mut pings = interval(sim.settings().ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once.
    pings.tick().await;
    let (mut unanswered, mut of_a_stranger) = (0, 0);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            count = frames.recv_many(&mut batch, MAX_BATCH) => {
                // The hub dropped us: what still waits is not worth a slow client's time.
                if count == 0 || frames.is_closed() {
                    return End::Words(session.slow());
                }
                let cut = batch.iter().position(|frame| *frame == Frame::Cut);
                if !send(socket, S::write(&batch[..cut.unwrap_or(count)])).await {
                    return End::Words(None);
                }
                if cut.is_some() {
                    return End::Cut;
                }
                batch.clear();
            }
            message = socket.next() => {
                unanswered = 0;
                let keys = &sim.settings().keys;
                let Answer { messages, topic } = match message {
                    Some(Ok(Message::Text(text))) => session.on(text.as_str(), keys),
                    Some(Ok(Message::Binary(bytes))) => session.on_binary(&bytes, keys),
                    // Pings are answered below us.
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Words(None),
                };
                // Nonsense of strangers is not worth the desk's time for ever.
                of_a_stranger += u32::from(session.is_overdue().is_some());
                if of_a_stranger > MAX_OF_A_STRANGER {
                    return End::Words(None);
                }
                if !messages.is_empty() || topic.is_some() {
                    sim.with(|desk, _| S::hub(desk).answer(id, messages, topic));
                }
            }
            _ = pings.tick() => {
                if unanswered == MAX_UNANSWERED || !send(socket, vec![Message::Ping(Bytes::new())]).await {
                    return End::Words(None);
                }
                unanswered += 1;
            }
            () = &mut overdue, if authentication_due => {
                authentication_due = false;
                if let Some(words) = session.is_overdue() {
                    return End::Words(Some(words));
                }
            }
        }
    }
}

/// Writes messages; whether the client took them in time.
async fn send(socket: &mut WebSocket, messages: Vec<Message>) -> bool {
    let write = async {
        for message in messages {
            socket.feed(message).await?;
        }
        socket.flush().await
    };
    matches!(timeout(WRITE_TIMEOUT, write).await, Ok(Ok(())))
}
