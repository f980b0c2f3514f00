//! The two WebSocket streams: market data and trade updates.

pub mod data;
pub mod hub;
mod session;
pub mod trades;
mod upgrade;

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header,
    response::Response,
};
use futures_util::SinkExt;

use self::{data::DataSession, trades::TradeSession};
use crate::{keys::KeyPair, sim::Sim};

/// `GET /v2/iex` and `/v2/sip`: the data stream. Keys may come with the handshake.
pub(crate) async fn data(State(sim): State<Arc<Sim>>, request: Request) -> Response {
    let headers = request.headers();
    let is_msgpack = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/msgpack");
    let session = DataSession::new(KeyPair::from_headers(headers).as_ref(), &sim.settings().keys);
    upgrade::upgrade(request, move |mut socket| async move {
        if is_msgpack {
            let words = "MessagePack is not offered; connect with Content-Type: application/json";
            // A client that has gone cannot be told.
            let _ = socket.send(data::error(400, words).as_ref().into()).await;
            let _ = socket.close(None).await;
        } else {
            session::run(sim, socket, session).await;
        }
    })
}

/// `GET /stream`: trade updates. Who finds no place is turned away at the handshake.
pub(crate) async fn trades(State(sim): State<Arc<Sim>>, request: Request) -> Response {
    let Some(place) = sim.trade_places.take() else { return trades::turned_away() };
    let session = TradeSession::new(request.headers(), Some(place));
    upgrade::upgrade(request, move |socket| session::run(sim, socket, session))
}
