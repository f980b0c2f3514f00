//! The account and its configuration.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    response::Response,
};

use jiff::ToSpan;

use super::{ApiError, ok, params::BadParam};
use crate::{sim::Sim, wire::account::ConfigurationChange};

/// Days in which the last close is looked for.
const LONGEST_BREAK_DAYS: i32 = 14;

pub(super) async fn show(State(sim): State<Arc<Sim>>) -> Response {
    sim.with(|desk, now| {
        let (account, calendar) = (desk.engine.venue.account(), desk.engine.venue.calendar());
        let today = calendar.date(now);
        let sessions = calendar.sessions(today.saturating_sub(LONGEST_BREAK_DAYS.days()), today);
        let asof = sessions.filter(|session| session.close <= now).last().map_or(today, |last| last.date);
        ok(&crate::wire::account::account(&account, asof))
    })
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
        desk.configuration.rule(&mut desk.engine.venue);
        Ok(desk.configuration.clone())
    });
    changed.map(|configuration| ok(&configuration)).map_err(|field| BadParam(field).into())
}
