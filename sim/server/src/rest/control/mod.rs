//! `/sim`: the controls of the simulator. No key, no quota.
//!
//! * `GET /sim/status`: what the simulator says of itself.
//! * `GET /sim/clock`: market time, gait, phase. `POST /sim/clock` works it: `{"pause":true}`,
//!   `{"resume":true}`, `{"speed":60}`, `{"advance":"5m"}`, `{"advance_to":"2026-03-16T14:00:00Z"}`, several
//!   at once. An advance plays everything on the way, in order, and answers when it is done.
//! * `POST /sim/inject`: makes something happen in the market, now; see [`inject`].
//! * `GET /sim/faults`: the rules, and how often each hit. `POST /sim/faults` arms one, written as in the
//!   file (see [`crate::faults`]) but as JSON, and answers its number; `DELETE /sim/faults/{id}` takes it
//!   away, `DELETE /sim/faults` all.
//! * `GET /sim/log?after=N&limit=N`: the event log from number N + 1 on, one line of JSON each.
//! * `POST /sim/reset`: the run from its start, with `{"seed":7,"cash":"50000"}`, both optional. The
//!   streams and the requests under way are cut, the log is empty, the faults are those of the start; the
//!   clock's gait stays.
//!
//! What is wrong is answered with a 4xx and `{"message": "..."}`; too much at once with a 503, data that
//! cannot be read again for a reset with a 500.

mod clock;
mod faults;
mod inject;
mod log;
mod reset;
mod status;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    routing::{delete, get, post},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ApiError;
use crate::{journal::Note, sim::Desk, sim::Sim};

/// Largest body of a request to the controls, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The routes of the controls.
pub(super) fn routes() -> Router<Arc<Sim>> {
    Router::new()
        .route("/sim/status", get(status::show))
        .route("/sim/clock", get(clock::show).post(clock::set))
        .route("/sim/inject", post(inject::inject))
        .route("/sim/faults", get(faults::list).post(faults::add).merge(delete(faults::remove_all)))
        .route("/sim/faults/{id}", delete(faults::remove))
        .route("/sim/log", get(log::show))
        .route("/sim/reset", post(reset::reset))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

/// Something about a request to the controls is wrong.
fn wrong(why: impl Into<String>) -> ApiError {
    ApiError::data(StatusCode::UNPROCESSABLE_ENTITY, why)
}

/// Too much is under way.
fn busy() -> ApiError {
    ApiError::data(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way")
}

/// A body of this shape; nothing stands for an empty object.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))
}

/// Notes that somebody worked the controls.
fn note(desk: &mut Desk, action: &str, with: Value, now: sandpit_types::MarketTime) {
    desk.note(&Note::Control { action, with }, now);
}
