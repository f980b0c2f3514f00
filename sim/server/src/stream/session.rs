//! What the two streams have in common: a conversation that is pure, and the socket loop that speaks it.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{sync::mpsc, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{
    hub::{Frame, Hub},
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

/// What a conversation answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<T> {
    /// Control messages, in order.
    pub messages: Vec<Arc<str>>,
    /// What the connection wants to hear from now on, if that changed.
    pub topic: Option<T>,
}

impl<T> Answer<T> {
    /// One message, no change.
    pub(crate) fn say(message: Arc<str>) -> Self {
        Self { messages: vec![message], topic: None }
    }
}

/// One side of a stream's conversation with one client. Pure: no socket, no clock.
pub(crate) trait Session: Send + 'static {
    /// Which stream this is.
    const STREAM: Stream;
    /// What a connection wants to hear.
    type Topic: Default + Send;

    /// The stream's listeners.
    fn hub(desk: &mut Desk) -> &mut Hub<Self::Topic>;
    /// What is said first.
    fn hello(&self) -> Vec<Arc<str>>;
    /// Answers a message of the client.
    fn on(&mut self, text: &str, keys: &Keys) -> Answer<Self::Topic>;
    /// What to say before hanging up if the time to authenticate is over now.
    fn is_overdue(&self) -> Option<Arc<str>>;
    /// What to say before hanging up when there are too many connections.
    fn full() -> Option<Arc<str>>;
    /// What to say before hanging up on a client that does not keep up.
    fn slow() -> Option<Arc<str>>;
    /// Frames as they go over the wire.
    fn write(frames: &[Frame]) -> Vec<Message>;
}

/// Speaks with one client until it goes, is too slow, or does not authenticate in time.
pub(super) async fn run<S: Session>(sim: Arc<Sim>, mut socket: WebSocket, mut session: S) {
    let joined = sim.with(|desk, _| S::hub(desk).join());
    let last_words = match joined {
        Some((id, frames)) => {
            let end = converse(&sim, &mut socket, &mut session, id, frames).await;
            sim.with(|desk, now| {
                S::hub(desk).leave(id);
                desk.leave(S::STREAM, session, now);
            });
            match end {
                End::Cut => return,
                End::Words(words) => words,
            }
        }
        None => S::full(),
    };
    if let Some(words) = last_words {
        send(&mut socket, S::write(&[Frame::Control(words)])).await;
    }
    // The client may be gone already; there is nobody left to tell.
    let _ = timeout(WRITE_TIMEOUT, socket.close(None)).await;
}

/// How a conversation ends.
enum End {
    /// A fault: the connection is gone.
    Cut,
    /// With these last words, or none.
    Words(Option<Arc<str>>),
}

/// The conversation; returns how it ended.
async fn converse<S: Session>(
    sim: &Arc<Sim>,
    socket: &mut WebSocket,
    session: &mut S,
    id: u64,
    mut frames: mpsc::Receiver<Frame>,
) -> End {
    sim.with(|desk, _| S::hub(desk).answer(id, session.hello(), None));
    let overdue = tokio::time::sleep(sim.settings().auth_timeout);
    tokio::pin!(overdue);
    let mut authentication_due = true;
    let mut batch = Vec::with_capacity(MAX_BATCH);
    loop {
        tokio::select! {
            count = frames.recv_many(&mut batch, MAX_BATCH) => {
                // The hub dropped us: what still waits is not worth a slow client's time.
                if count == 0 || frames.is_closed() {
                    return End::Words(S::slow());
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
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => answer(sim, session, id, text.as_str()),
                Some(Ok(Message::Binary(bytes))) => {
                    answer(sim, session, id, &String::from_utf8_lossy(&bytes));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Words(None),
            },
            () = &mut overdue, if authentication_due => {
                authentication_due = false;
                if let Some(words) = session.is_overdue() {
                    return End::Words(Some(words));
                }
            }
        }
    }
}

fn answer<S: Session>(sim: &Arc<Sim>, session: &mut S, id: u64, text: &str) {
    let Answer { messages, topic } = session.on(text, &sim.settings().keys);
    sim.with(|desk, _| S::hub(desk).answer(id, messages, topic));
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
