//! The WebSocket handshake, done by hand on top of the HTTP server so that one port serves everything.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header, response},
    response::{IntoResponse, Response},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use crate::rest::ApiError;

/// Longest message of a client, in bytes: thousands of symbols fit.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Read buffer of a connection, in bytes. Clients say little.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// The server's end of a connection.
pub(super) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers the handshake and runs `serve` on the connection it becomes.
pub(super) fn upgrade<F>(
    mut request: Request,
    serve: impl FnOnce(WebSocket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    let Some(key) = handshake_key(request.method(), request.headers()) else {
        return ApiError::data(StatusCode::BAD_REQUEST, "a WebSocket handshake is expected here")
            .into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    let Some(pending) = request.extensions_mut().remove::<OnUpgrade>() else {
        return ApiError::data(StatusCode::UPGRADE_REQUIRED, "this connection cannot be upgraded")
            .into_response();
    };
    tokio::spawn(async move {
        match pending.await {
            Ok(upgraded) => {
                let config = WebSocketConfig::default()
                    .read_buffer_size(READ_BUFFER_BYTES)
                    .max_message_size(Some(MAX_MESSAGE_BYTES))
                    .max_frame_size(Some(MAX_MESSAGE_BYTES));
                let io = TokioIo::new(upgraded);
                serve(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await).await;
            }
            Err(error) => tracing::debug!(%error, "client left during the handshake"),
        }
    });
    let response = response::Builder::new()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept);
    response.body(Body::empty()).expect("a base64 text is a header value")
}

/// The client's key, if this is a handshake of version 13.
fn handshake_key(method: &Method, headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let has = |name, word: &str| {
        text(name).is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    let is_handshake = *method == Method::GET
        && has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    text(header::SEC_WEBSOCKET_KEY).filter(|_| is_handshake).map(str::to_owned)
}
