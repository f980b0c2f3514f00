//! The REST API: routes, and what every request passes before it reaches one.

mod account;
mod assets;
mod data;
mod error;
mod orders;
mod params;
mod positions;
mod status;

pub(crate) use error::ApiError;
pub(crate) use params::Params;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use serde::Serialize;

use crate::{keys::KeyPair, limit::Api, sim::Sim, stream};

/// Largest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Every endpoint and stream of the broker, on one router.
pub fn router(sim: Arc<Sim>) -> Router {
    let broker = Router::new()
        .route("/v2/account", get(account::show))
        .route("/v2/account/configurations", get(account::configuration).patch(account::configure))
        .route("/v2/clock", get(account::clock))
        .route("/v2/calendar", get(account::calendar))
        .route("/v2/assets", get(assets::list))
        .route("/v2/assets/{asset}", get(assets::show))
        .route("/v2/orders", get(orders::list).post(orders::submit).delete(orders::cancel_all))
        .route("/v2/orders:by_client_order_id", get(orders::by_client_id))
        .route("/v2/orders/{id}", get(orders::show).delete(orders::cancel))
        .route("/v2/positions", get(positions::list).delete(positions::close_all))
        .route("/v2/positions/{asset}", get(positions::show).merge(delete(positions::close)))
        .merge(data::routes())
        .fallback(async || ApiError::not_found("endpoint not found"))
        .method_not_allowed_fallback(async || ApiError::not_found("endpoint not found"))
        .layer(from_fn_with_state(sim.clone(), admit))
        .layer(from_fn_with_state(sim.clone(), stream::news_first))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
    Router::new()
        .route("/stream", get(stream::trades))
        .merge(stream::data_routes())
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
    let api = if data::is_data(request.uri().path()) { Api::Data } else { Api::Trading };
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
