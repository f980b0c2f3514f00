//! `/sim/log`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::wrong;
use crate::{
    rest::{ApiError, Params},
    sim::Sim,
};

/// Lines of an answer when the client does not say how many.
const DEFAULT_LIMIT: usize = 1_000;
/// Most lines of an answer.
const MAX_LIMIT: usize = 100_000;

pub(super) async fn show(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let after = params.text("after").unwrap_or("0").parse();
    let after: u64 = after.map_err(|_| wrong("after is the number of a line"))?;
    let limit = params.count("limit", DEFAULT_LIMIT, MAX_LIMIT);
    let limit = limit.map_err(|_| wrong(format!("limit is a number from 1 to {MAX_LIMIT}")))?;
    let lines = sim.with(|desk, _| desk.journal.after(after, limit));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}
