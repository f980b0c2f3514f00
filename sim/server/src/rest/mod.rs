//! The REST API: routes, and what every request passes before it reaches one.

mod account;
mod activities;
mod assets;
mod clock;
mod control;
mod data;
mod error;
mod events;
mod faulty;
mod orders;
mod params;
mod portfolio;
mod positions;
mod record;
mod trading;
mod watchlists;

pub(crate) use error::ApiError;
pub(crate) use params::{Params, Segments};

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use crate::{keys::KeyPair, limit::Api, sim::Sim, stream};

/// Largest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Every endpoint and stream of the broker, on one router. Faults that cut connections need [`crate::serve`];
/// on another server they answer with an empty 502.
///
/// ```text
/// record (number, log) ─> admit (keys, quota) ─> faulty ─> endpoint
///                     └─> faulty ─> stream
/// ```
pub fn router(sim: Arc<Sim>) -> Router {
    let broker = Router::new()
        .merge(trading::trading_routes())
        .merge(data::routes())
        .fallback(async || ApiError::not_found("endpoint not found"))
        .method_not_allowed_fallback(async || ApiError::not_found("endpoint not found"))
        .layer(from_fn_with_state(sim.clone(), faulty::request))
        .layer(from_fn_with_state(sim.clone(), admit))
        .layer(from_fn_with_state(sim.clone(), stream::news_first))
        .layer(from_fn_with_state(sim.clone(), faulty::news_handshake));
    let streams = Router::new()
        .route("/stream", get(stream::trades))
        .merge(stream::data_routes())
        .layer(from_fn_with_state(sim.clone(), faulty::handshake));
    streams
        .merge(broker)
        .layer(from_fn_with_state(sim.clone(), record::request))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .merge(control::routes())
        .with_state(sim)
}

/// Lets a request in if its keys are good and its quota is not used up.
async fn admit(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    let pair = KeyPair::from_headers(request.headers());
    let pair = pair.filter(|pair| sim.settings().keys.accept(pair));
    let api = Api::of_path(request.uri().path());
    let (standing, reset) = sim.admit(pair.as_ref(), api);
    let mut response = if standing.admitted {
        next.run(request).await
    } else if pair.is_some() {
        too_many_requests()
    } else {
        ApiError::data(StatusCode::UNAUTHORIZED, "unauthorized.").into_response()
    };
    for (name, value) in [
        ("x-ratelimit-limit", i64::from(standing.limit)),
        ("x-ratelimit-remaining", i64::from(standing.remaining)),
        ("x-ratelimit-reset", reset),
    ] {
        set_header(&mut response, HeaderName::from_static(name), &value.to_string());
    }
    response
}

/// The broker's words for a quota that is used up.
fn too_many_requests() -> Response {
    ApiError::trading(StatusCode::TOO_MANY_REQUESTS, 42_910_000, "rate limit exceeded").into_response()
}

fn set_header(response: &mut Response, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("digits are a header value");
    response.headers_mut().insert(name, value);
}

/// An answer with a JSON body.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("numbers, texts and string keys are always JSON");
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer of 200 with a JSON body.
fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}
