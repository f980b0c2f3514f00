//! Account, configuration, clock and calendar.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    response::Response,
};
use jiff::{
    ToSpan,
    civil::{Date, date},
};
use sandpit_venue::{Calendar, Session};

use super::{ApiError, Params, ok, params::When};
use crate::{
    sim::Sim,
    wire::{
        account::ConfigurationChange,
        clock::{ClockJson, DayJson},
    },
};

/// First day of the broker's calendar.
const FIRST_DAY: Date = date(1970, 1, 1);
/// Last day of the broker's calendar.
const LAST_DAY: Date = date(2029, 12, 31);
/// Days after the last one in which its settlement day is looked for.
const SETTLEMENT_DAYS: i32 = 14;

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
    let body = body.map_err(ApiError::malformed)?;
    let change: ConfigurationChange = serde_json::from_slice(&body).map_err(ApiError::malformed)?;
    let changed = sim.with(|desk, _| {
        desk.configuration.apply(change)?;
        desk.engine.venue.set_suspended(desk.configuration.suspends_trade());
        desk.engine.venue.set_no_shorting(desk.configuration.forbids_shorting());
        Ok(desk.configuration.clone())
    });
    changed.map(|configuration| ok(&configuration)).map_err(|why: String| ApiError::parameter(why))
}

pub(super) async fn clock(State(sim): State<Arc<Sim>>) -> Response {
    let clock = sim.with(|desk, now| ClockJson::new(now, desk.engine.venue.calendar(), sim.new_york()));
    ok(&clock)
}

pub(super) async fn calendar(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let calendar = Calendar::nyse();
    let day = |name, default| -> Result<Date, ApiError> {
        Ok(match params.when(name)? {
            None => default,
            Some(When::Day(day)) => day,
            Some(When::Moment(moment)) => calendar.date(moment),
        })
    };
    let (first, last) = (day("start", FIRST_DAY)?.max(FIRST_DAY), day("end", LAST_DAY)?.min(LAST_DAY));
    let sessions: Vec<Session> =
        calendar.sessions(first, last.saturating_add(SETTLEMENT_DAYS.days())).collect();
    let days: Vec<DayJson> = sessions
        .windows(2)
        .filter(|pair| pair[0].date <= last)
        .map(|pair| DayJson::new(&pair[0], &pair[1], sim.new_york()))
        .collect();
    Ok(ok(&days))
}
