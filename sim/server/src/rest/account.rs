//! The account and its configuration.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    response::Response,
};

use super::{ApiError, ok};
use crate::{sim::Sim, wire::account::ConfigurationChange};

pub(super) async fn show(State(sim): State<Arc<Sim>>) -> Response {
    let (account, today) =
        sim.with(|desk, now| (desk.engine.venue.account(), desk.engine.venue.calendar().date(now)));
    ok(&crate::wire::account::account(&account, today))
}

pub(super) async fn configuration(State(sim): State<Arc<Sim>>) -> Response {
    ok(&sim.with(|desk, _| desk.configuration.clone()))
}

pub(super) async fn configure(
    State(sim): State<Arc<Sim>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let change: ConfigurationChange = serde_json::from_slice(&body?).map_err(ApiError::malformed)?;
    let changed = sim.with(|desk, _| {
        desk.configuration.apply(change)?;
        desk.engine.venue.set_suspended(desk.configuration.suspends_trade());
        desk.engine.venue.set_no_shorting(desk.configuration.forbids_shorting());
        Ok(desk.configuration.clone())
    });
    changed.map(|configuration| ok(&configuration)).map_err(|why: String| ApiError::parameter(why))
}
