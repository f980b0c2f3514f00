//! The REST API: routes, and what every request passes before it reaches one.

mod account;
mod activities;
mod assets;
mod clock;
mod data;
mod error;
mod events;
mod orders;
mod params;
mod portfolio;
mod positions;
mod status;
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

/// Every endpoint and stream of the broker, on one router.
pub fn router(sim: Arc<Sim>) -> Router {
    let broker = Router::new()
        .merge(trading::trading_routes())
        .route("/v2/stocks/bars", get(data::bars))
        .route("/v2/stocks/{symbol}/bars", get(data::bars_of))
        .route("/v2/stocks/quotes/latest", get(data::latest_quotes))
        .route("/v2/stocks/{symbol}/quotes/latest", get(data::latest_quote_of))
        .fallback(async || ApiError::not_found("endpoint not found"))
        .method_not_allowed_fallback(async || ApiError::not_found("endpoint not found"))
        .layer(from_fn_with_state(sim.clone(), admit))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    Router::new()
        .route("/stream", get(stream::trades))
        .route("/v2/iex", get(stream::data))
        .route("/v2/sip", get(stream::data))
        .merge(broker)
        .layer(from_fn_with_state(sim.clone(), number))
        .route("/sim/status", get(status::show))
        .with_state(sim)
}

/// Counts a request and names it in the answer.
async fn number(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    let number = sim.number_request();
    let mut response = next.run(request).await;
    // Two odd factors spread the count over all digits, as a client expects of an id.
    let (high, low) =
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15), number.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    set_header(&mut response, HeaderName::from_static("x-request-id"), &format!("{high:016x}{low:016x}"));
    response
}

/// Lets a request in if its keys are good and its quota is not used up.
async fn admit(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    let pair = KeyPair::from_headers(request.headers());
    let Some(pair) = pair.filter(|pair| sim.settings().keys.accept(pair)) else {
        return ApiError::data(StatusCode::UNAUTHORIZED, "unauthorized.").into_response();
    };
    let api = if request.uri().path().starts_with("/v2/stocks") { Api::Data } else { Api::Trading };
    let (standing, reset) = sim.admit(&pair, api);
    let mut response = if standing.admitted {
        next.run(request).await
    } else {
        ApiError::trading(StatusCode::TOO_MANY_REQUESTS, 42_910_000, "rate limit exceeded").into_response()
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
