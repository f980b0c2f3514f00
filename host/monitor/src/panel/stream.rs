//! Answers that go on: the live view, and the steps of a panic.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;
use tokio::sync::{mpsc, watch};

use super::{
    PanicStep,
    feed::{OVER, Watcher},
    routes::Panel,
};

/// A page that looks: one event a second, until it goes, its session ends or the host does.
pub(crate) fn live(panel: Arc<Panel>, session: String, watcher: Watcher) -> Response {
    let stop = panel.stop.clone();
    let looks = Some(Looks { panel, session, watcher, stop });
    let events = unfold(looks, |looks| async move {
        let mut looks = looks?;
        let event = tokio::select! {
            event = looks.watcher.next() => event?,
            // An error means that the host is gone, which is a stop too.
            _ = looks.stop.wait_for(|stop| *stop) => return None,
        };
        if looks.panel.is_open(&looks.session) {
            Some((Ok::<Bytes, Infallible>(event), Some(looks)))
        } else {
            Some((Ok(OVER), None))
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
}

struct Looks {
    panel: Arc<Panel>,
    session: String,
    watcher: Watcher,
    stop: watch::Receiver<bool>,
}

/// One line of JSON a step. That it was asked for stands first, because the host may not live to say more.
pub(crate) fn steps(steps: mpsc::Receiver<PanicStep>) -> Response {
    let first = Some(Bytes::from_static(b"{\"step\":\"asked\"}\n"));
    let lines = unfold((first, steps), |(first, mut steps)| async move {
        let line = match first {
            Some(line) => line,
            None => Bytes::from(serde_json::to_string(&steps.recv().await?).ok()? + "\n"),
        };
        Some((Ok::<Bytes, Infallible>(line), (None, steps)))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
