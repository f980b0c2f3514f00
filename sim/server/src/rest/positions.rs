//! Positions, and closing them.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use sandpit_types::{MarketTime, Symbol};
use sandpit_venue::{ClosePart, Venue};
use serde_json::json;

use super::{ApiError, Params, ok, orders};
use crate::{
    sim::{Desk, Sim},
    wire::{order::OrderJson, position::PositionJson},
};

pub(super) async fn list(State(sim): State<Arc<Sim>>) -> Response {
    let positions: Vec<_> = sim.with(|desk, _| desk.engine.venue.positions().collect());
    ok(&positions.iter().map(PositionJson::from).collect::<Vec<_>>())
}

pub(super) async fn show(
    State(sim): State<Arc<Sim>>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let position = sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        venue.position(&resolve(venue, &name)?).ok_or_else(no_position)
    })?;
    Ok(ok(&PositionJson::from(&position)))
}

pub(super) async fn close(
    State(sim): State<Arc<Sim>>,
    Path(name): Path<String>,
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
        let close = |symbol: Symbol| match close_one(desk, &symbol, ClosePart::All, now) {
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
    let order = desk.engine.venue.order(&taken?).expect("the venue keeps every order it took");
    Ok(json!(OrderJson::from(order)))
}

/// How much of a position is closed.
fn part(params: &Params) -> Result<ClosePart, ApiError> {
    match (params.text("qty"), params.text("percentage")) {
        (None, None) => Ok(ClosePart::All),
        (Some(_), Some(_)) => Err(ApiError::parameter("only one of qty or percentage is accepted")),
        (Some(qty), None) => qty.parse().map(ClosePart::Qty).map_err(|_| ApiError::parameter("invalid qty")),
        (None, Some(percent)) => {
            percent.parse().map(ClosePart::Percent).map_err(|_| ApiError::parameter("invalid percentage"))
        }
    }
}

fn resolve(venue: &Venue, name: &str) -> Result<Symbol, ApiError> {
    venue.resolve(name).cloned().ok_or_else(|| ApiError::not_found(format!("symbol not found: {name}")))
}

fn no_position() -> ApiError {
    ApiError::not_found("position does not exist")
}
