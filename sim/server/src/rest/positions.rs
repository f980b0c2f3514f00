//! Positions, and closing them.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Qty, Symbol};
use sandpit_venue::Venue;
use serde_json::json;

use super::{ApiError, Params, Segments, ok, orders};
use crate::{
    sim::{Desk, Sim},
    wire::{order::OrderJson, position::PositionJson},
};

/// Decimals of a quantity.
const QTY_DECIMALS: u32 = 9;

pub(super) async fn list(State(sim): State<Arc<Sim>>) -> Response {
    let positions: Vec<_> = sim.with(|desk, _| desk.engine.venue.positions().collect());
    ok(&positions.iter().map(PositionJson::from).collect::<Vec<_>>())
}

pub(super) async fn show(
    State(sim): State<Arc<Sim>>,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    let position = sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        venue.position(&resolve(venue, &name)?).ok_or_else(no_position)
    })?;
    Ok(ok(&PositionJson::from(&position)))
}

pub(super) async fn close(
    State(sim): State<Arc<Sim>>,
    Segments(name): Segments<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let part = Part::new(&params)?;
    sim.with(|desk, now| {
        let symbol = resolve(&desk.engine.venue, &name)?;
        let qty = part.of(&desk.engine.venue, &symbol)?;
        close_one(desk, &symbol, qty, now)
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
        let close = |symbol: Symbol| match close_one(desk, &symbol, None, now) {
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
    qty: Option<Qty>,
    now: MarketTime,
) -> Result<serde_json::Value, ApiError> {
    let taken = desk.engine.venue.close_position(symbol, qty, now);
    orders::count(desk, taken.is_err());
    let order = desk.engine.venue.order(&taken?).expect("the venue keeps every order it took");
    Ok(json!(OrderJson::from(order)))
}

/// How much of a position is closed.
enum Part {
    Everything,
    Shares(Qty),
    Percent(Decimal),
}

impl Part {
    fn new(params: &Params) -> Result<Self, ApiError> {
        match (params.text("qty"), params.text("percentage")) {
            (None, None) => Ok(Self::Everything),
            (Some(_), Some(_)) => Err(ApiError::parameter("only one of qty or percentage is accepted")),
            (Some(qty), None) => {
                qty.parse().map(Self::Shares).map_err(|_| ApiError::parameter("invalid qty"))
            }
            (None, Some(percent)) => percent
                .parse()
                .ok()
                .filter(|percent| *percent > Decimal::ZERO && *percent <= Decimal::ONE_HUNDRED)
                .map(Self::Percent)
                .ok_or_else(|| ApiError::parameter("percentage must be between 0 and 100")),
        }
    }

    /// The shares it comes to; `None` for all.
    fn of(&self, venue: &Venue, symbol: &Symbol) -> Result<Option<Qty>, ApiError> {
        match self {
            Self::Everything => Ok(None),
            Self::Shares(qty) => Ok(Some(*qty)),
            Self::Percent(percent) => {
                let held = venue.position(symbol).ok_or_else(no_position)?.qty.abs().get();
                let shares = held.saturating_mul(*percent) / Decimal::ONE_HUNDRED;
                let shares =
                    shares.round_dp_with_strategy(QTY_DECIMALS, rust_decimal::RoundingStrategy::ToZero);
                Ok(Some(Qty::new(shares.normalize())))
            }
        }
    }
}

fn resolve(venue: &Venue, name: &str) -> Result<Symbol, ApiError> {
    venue.resolve(name).cloned().ok_or_else(|| ApiError::not_found(format!("symbol not found: {name}")))
}

fn no_position() -> ApiError {
    ApiError::not_found("position does not exist")
}
