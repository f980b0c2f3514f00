//! The exchange's clock and calendar, in both of the broker's versions.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use jiff::{
    ToSpan,
    civil::{Date, date},
};
use sandpit_types::MarketTime;
use sandpit_venue::{Calendar, Session};
use serde_json::json;

use super::{
    ApiError, Params, Segments, ok,
    params::{BadParam, When},
};
use crate::{
    sim::Sim,
    wire::clock::{ClockJson, DayJson, MARKETS, MarketClockJson, MarketDayJson, MarketJson, NewYork},
};

/// First day of the broker's calendar.
const FIRST_DAY: Date = date(1970, 1, 1);
/// Last day of the broker's calendar.
const LAST_DAY: Date = date(2029, 12, 31);
/// Days around a session in which its neighbours are looked for.
const LONGEST_BREAK_DAYS: i32 = 14;

pub(super) async fn clock(State(sim): State<Arc<Sim>>) -> Response {
    let clock = sim.with(|desk, now| ClockJson::new(now, desk.engine.venue.calendar(), sim.new_york()));
    ok(&clock)
}

pub(super) async fn calendar(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let (first, last) = (day(&params, "start", FIRST_DAY)?, day(&params, "end", LAST_DAY)?);
    let settles = params.word("date_type", &["TRADING", "SETTLEMENT"])? == 1;
    let wanted = |session: &Session, next: &Session| {
        (first..=last).contains(if settles { &next.date } else { &session.date })
    };
    let days: Vec<DayJson> = sessions(first, last)
        .windows(2)
        .filter(|pair| wanted(&pair[0], &pair[1]))
        .map(|pair| DayJson::new(&pair[0], &pair[1], sim.new_york()))
        .collect();
    Ok(ok(&days))
}

/// `GET /v3/clock`: of some markets, now or at another time.
pub(super) async fn clocks(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let markets = match params.list("markets") {
        None => MARKETS.iter().collect(),
        Some(names) => names.into_iter().map(market).collect::<Result<Vec<_>, _>>()?,
    };
    let time = params.when("time").map_err(refuse)?.map(|when| match when {
        When::Moment(moment) => moment,
        When::Day(day) => sim.new_york().midnight(day).unwrap_or(MarketTime::EPOCH),
    });
    let clocks = sim.with(|desk, now| {
        let calendar = desk.engine.venue.calendar();
        let clock = |market| MarketClockJson::new(market, time.unwrap_or(now), calendar, sim.new_york());
        json!({"clocks": markets.into_iter().map(clock).collect::<Vec<_>>()})
    });
    Ok(ok(&clocks))
}

/// `GET /v3/calendar/{market}`: a week from today on, or from another day to another.
pub(super) async fn calendar_of(
    State(sim): State<Arc<Sim>>,
    Segments(name): Segments<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let market = market(&name)?;
    let utc = NewYork::utc();
    let zone = match params.text("timezone") {
        None => sim.new_york(),
        Some("UTC") => &utc,
        Some(_) => return Err(refuse(BadParam("timezone"))),
    };
    let today = sim.with(|desk, now| desk.engine.venue.calendar().date(now));
    let first = day(&params, "start", today).map_err(refuse)?;
    let last = day(&params, "end", first.saturating_add(1.week())).map_err(refuse)?;
    let days: Vec<MarketDayJson> = sessions(first, last)
        .windows(2)
        .filter(|pair| (first..=last).contains(&pair[0].date))
        .map(|pair| MarketDayJson::new(&pair[0], &pair[1], zone))
        .collect();
    Ok(ok(&json!({"market": market, "calendar": days})))
}

/// The sessions from `first` to `last`, and at least one more on each side.
fn sessions(first: Date, last: Date) -> Vec<Session> {
    let (before, after) = (first.saturating_sub(LONGEST_BREAK_DAYS.days()), LONGEST_BREAK_DAYS.days());
    Calendar::nyse().sessions(before, last.saturating_add(after)).collect()
}

/// A day of the broker's calendar; of a moment, the day as it is written.
fn day(params: &Params, name: &'static str, default: Date) -> Result<Date, BadParam> {
    let day = params.day(name)?.unwrap_or(default);
    Ok(day.clamp(FIRST_DAY, LAST_DAY))
}

fn market(name: &str) -> Result<&'static MarketJson, ApiError> {
    let market = MARKETS.iter().find(|market| market.is_called(name));
    market.ok_or_else(|| ApiError::data(StatusCode::BAD_REQUEST, format!("invalid market: {name}")))
}

/// The third version answers a bad parameter with 400, as market data does.
fn refuse(bad: BadParam) -> ApiError {
    ApiError::data(StatusCode::BAD_REQUEST, format!("invalid {}", bad.0))
}
