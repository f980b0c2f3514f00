//! Positions, and closing them.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use sandpit_types::{MarketTime, Symbol};
use sandpit_venue::{ClosePart, Venue, VenuePosition};
use serde_json::json;

use super::{ApiError, Params, Segments, faulty, ok, orders};
use crate::{
    sim::{Desk, Sim},
    wire::{asset::permissions, order::Taken, position::PositionJson, request::decimal},
};

pub(super) async fn list(State(sim): State<Arc<Sim>>) -> Response {
    // Written away from the desk.
    let mut positions = Vec::new();
    let held = &mut positions;
    let shown = sim.with(move |desk, now| {
        held.extend(desk.engine.venue.positions());
        held.iter().map(|position| show_one(desk, position, now)).collect::<Vec<_>>()
    });
    ok(&shown)
}

pub(super) async fn show(
    State(sim): State<Arc<Sim>>,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    sim.with(|desk, now| {
        let venue = &desk.engine.venue;
        let position = venue.position(&resolve(venue, &name)?).ok_or_else(no_position)?;
        Ok(ok(&show_one(desk, &position, now)))
    })
}

fn show_one<'a>(desk: &Desk, position: &'a VenuePosition, now: MarketTime) -> PositionJson<'a> {
    let marginable = permissions(&position.symbol).marginable;
    PositionJson::new(position, &desk.trading.today, desk.engine.venue.calendar().next_close(now), marginable)
}

pub(super) async fn close(
    State(sim): State<Arc<Sim>>,
    Segments(name): Segments<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let part = part(&params)?;
    sim.with(|desk, now| {
        let symbol = resolve(&desk.engine.venue, &name)?;
        close_one(desk, &symbol, part, now)
    })
    .map(|order| ok(&order))
}

pub(super) async fn close_all(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let cancels_orders = params.flag("cancel_orders")?;
    let results = sim.with(|desk, now| {
        if cancels_orders {
            orders::cancel_every_order(desk, now);
        }
        let held: Vec<Symbol> = desk.engine.venue.positions().map(|position| position.symbol).collect();
        let mut close_it = |symbol: &Symbol| {
            faulty::item(desk, "/v2/positions", symbol, now, |desk| {
                close_one(desk, symbol, ClosePart::All, now)
            })
        };
        let close = |symbol: Symbol| match close_it(&symbol) {
            Ok(order) => json!({"symbol": symbol, "status": 200, "body": order}),
            Err(error) => {
                json!({"symbol": symbol, "status": error.status().as_u16(), "body": error.into_body()})
            }
        };
        held.into_iter().map(close).collect::<Vec<_>>()
    });
    Ok(super::json(StatusCode::MULTI_STATUS, &results))
}

/// Sends the closing order and shows it.
fn close_one(
    desk: &mut Desk,
    symbol: &Symbol,
    part: ClosePart,
    now: MarketTime,
) -> Result<serde_json::Value, ApiError> {
    let taken = desk.engine.venue.close_position(symbol, part, now);
    orders::count(desk, taken.is_err());
    let venue = &desk.engine.venue;
    let order = venue.order(&taken?).expect("the venue keeps every order it took");
    Ok(json!(Taken::new(order, venue).json()))
}

/// How much of a position is closed.
fn part(params: &Params) -> Result<ClosePart, ApiError> {
    match (params.text("qty"), params.text("percentage")) {
        (None, None) => Ok(ClosePart::All),
        (Some(_), Some(_)) => Err(ApiError::parameter("only one of qty or percentage is accepted")),
        (Some(qty), None) => decimal(qty, "qty").map(ClosePart::Qty),
        (None, Some(percent)) => decimal(percent, "percentage").map(ClosePart::Percent),
    }
}

fn resolve(venue: &Venue, name: &str) -> Result<Symbol, ApiError> {
    venue.resolve(name).cloned().ok_or_else(|| ApiError::not_found(format!("symbol not found: {name}")))
}

fn no_position() -> ApiError {
    ApiError::not_found("position does not exist")
}
