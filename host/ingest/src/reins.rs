//! How a loop is watched and stopped, and the waiting that the loops share.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use sandpit_broker::StreamError;
use sandpit_types::Pulse;
use tokio::sync::{mpsc, watch};

use crate::{
    life::{Input, Life, Step},
    stats::ConnectionStats,
};

/// What a loop is held by.
#[derive(Debug)]
pub struct Reins {
    /// Where the loop reports its work.
    pub pulse: Arc<Pulse>,
    /// Nonces that the loop answers in its own time.
    pub probes: mpsc::Receiver<u64>,
    /// The loop ends when this turns true, or when its sender is gone.
    pub shutdown: watch::Receiver<bool>,
}

/// A connection that is not open after this is a failed one, whatever it waits for; real time.
pub(crate) const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// A future in a box.
pub(crate) type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The result of the task, which is then gone from its slot; waits for ever while there is none. Cancel-safe.
pub(crate) async fn done<T>(slot: &mut Option<Task<T>>) -> T {
    let Some(task) = slot else { return std::future::pending().await };
    let result = task.await;
    *slot = None;
    result
}

/// Waits until the loop has to end. Cancel-safe.
pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to stop us: the host is going down.
    let _gone = shutdown.wait_for(|stop| *stop).await;
}

/// Why a connection was given up that does not open.
pub(crate) fn not_open(within: Duration) -> StreamError {
    StreamError::Down { message: format!("it is not open within {within:?}") }
}

/// Moves the life on, keeps the statistics, speaks to the log. `stream` is a word for people.
pub(crate) fn advance(
    life: &mut Life,
    input: Input,
    now: Instant,
    stats: &ConnectionStats,
    stream: &'static str,
) -> Step {
    let step = life.on(input, now).unwrap_or_else(|error| {
        tracing::error!(stream, %error, "this is a fault of ours");
        Step::Stay
    });
    stats.set(life.phase(), life.failures());
    match step {
        Step::Stay | Step::Open => {}
        Step::Drop { cause, wait, page } => {
            stats.fell(cause, page);
            let failures = life.failures();
            if page {
                tracing::error!(
                    stream,
                    ?cause,
                    failures,
                    event = "stream-down",
                    "a human has to look at this stream"
                );
            } else {
                let event = "stream-down";
                tracing::warn!(stream, ?cause, failures, ?wait, event, "the stream will be opened again");
            }
        }
    }
    if input == Input::Opened {
        stats.opened();
        tracing::info!(stream, event = "stream-up", "the stream is open");
    }
    step
}
