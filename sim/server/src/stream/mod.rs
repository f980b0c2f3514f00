//! The WebSocket streams: market data in its seven feeds, and trade updates.

pub mod data;
pub mod hub;
pub(crate) mod session;
pub mod trades;
mod upgrade;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::Response,
    routing::get,
};

use self::{
    data::{DataSession, Encoding, Feed},
    trades::TradeSession,
};
use crate::{keys::KeyPair, sim::Sim};

/// The data streams, one path a feed. That of the news is also an endpoint of REST: see [`news_first`].
pub(crate) fn data_routes() -> Router<Arc<Sim>> {
    let feeds = Feed::ALL.into_iter().filter(|feed| *feed != Feed::News);
    feeds.fold(Router::new(), |router, feed| {
        let serve = async move |State(sim): State<Arc<Sim>>, request: Request| data(&sim, feed, request);
        router.route(feed.path(), get(serve))
    })
}

/// The broker serves the stream of the news and its REST endpoint on two hosts under one path; here a
/// handshake goes to the stream before anything else sees it.
pub(crate) async fn news_first(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    if request.uri().path() == Feed::News.path() && request.headers().contains_key(header::UPGRADE) {
        return data(&sim, Feed::News, request);
    }
    next.run(request).await
}

/// A data stream. Keys may come with the handshake, the encoding does.
fn data(sim: &Arc<Sim>, feed: Feed, request: Request) -> Response {
    let headers = request.headers();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let encoding = Encoding::of(kind);
    let offered = KeyPair::from_headers(headers);
    let sim = sim.clone();
    upgrade::upgrade(request, move |socket| async move {
        let session = DataSession::new(feed, encoding, sim.door(), offered.as_ref(), &sim.settings().keys);
        session::run(sim, socket, session).await;
    })
}

/// `GET /stream`: trade updates. Who finds no place is turned away at the handshake.
pub(crate) async fn trades(State(sim): State<Arc<Sim>>, request: Request) -> Response {
    // Ghosts whose time is over make room first.
    sim.with(|_, _| ());
    let Some(place) = sim.trade_places.take() else { return trades::turned_away() };
    let session = TradeSession::new(request.headers(), Some(place));
    upgrade::upgrade(request, move |socket| session::run(sim, socket, session))
}
