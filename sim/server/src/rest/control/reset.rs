//! `/sim/reset`.

use std::sync::Arc;

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use rust_decimal::Decimal;
use sandpit_types::Usd;
use serde::Deserialize;

use super::{busy, read, wrong};
use crate::{
    rest::{ApiError, ok},
    sim::{ResetError, Settings, Sim},
};

/// What is to be different; the rest is as it was.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    seed: Option<u64>,
    cash: Option<Decimal>,
}

pub(super) async fn reset(State(sim): State<Arc<Sim>>, body: Bytes) -> Result<Response, ApiError> {
    let Change { seed, cash } = read(&body)?;
    let most = Decimal::from(Settings::MAX_CASH);
    if cash.is_some_and(|cash| cash <= Decimal::ZERO || cash > most) {
        return Err(wrong(format!("cash is an amount above zero and at most {most}")));
    }
    let own = sim.clone();
    let done = sim.deeds.see_control_through(async move { own.reset(seed, cash.map(Usd::new)).await }).await;
    match done.ok_or_else(busy)? {
        Ok(()) => {}
        Err(why @ ResetError::OnceOnly) => {
            return Err(ApiError::data(StatusCode::CONFLICT, why.to_string()));
        }
        Err(why @ ResetError::Data(_)) => {
            return Err(ApiError::data(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()));
        }
    }
    let (seed, cash, now) = sim.with(|desk, now| (desk.setup.seed, desk.setup.cash, now));
    Ok(ok(&serde_json::json!({"seed": seed, "cash": cash, "market_time": now})))
}
