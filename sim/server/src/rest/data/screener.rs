//! Which symbols are traded most, and which move most, today.

use std::{cmp::Reverse, sync::Arc};

use axum::{extract::State, http::StatusCode, response::Response};
use sandpit_types::Symbol;
use serde::Serialize;
use serde_json::json;

use super::{Params, ok, refuse};
use crate::{
    history::Candle,
    rest::{ApiError, params::DataSegments},
    sim::Sim,
};

const DEFAULT_TOP: usize = 10;
const MAX_ACTIVES: usize = 100;
const MAX_MOVERS: usize = 50;

#[derive(Serialize)]
struct ActiveJson {
    symbol: Symbol,
    volume: u64,
    trade_count: u64,
}

#[derive(Serialize)]
struct MoverJson {
    symbol: Symbol,
    percent_change: f64,
    change: f64,
    price: f64,
}

impl MoverJson {
    /// The day's close so far against the close of the day before; on the first day against its own open.
    fn new(symbol: Symbol, today: &Candle, before: Option<&Candle>) -> Self {
        let base = before.map_or(today.open, |before| before.close);
        let change = today.close - base;
        let rounded = |value: f64, digits: f64| (value * digits).round() / digits;
        let percent_change = if base > 0.0 { rounded(change / base * 100.0, 100.0) } else { 0.0 };
        Self { symbol, percent_change, change: rounded(change, 10_000.0), price: today.close }
    }
}

/// Every symbol that has traded, with its last two days.
fn days(sim: &Sim) -> (Vec<(Symbol, Candle, Option<Candle>)>, sandpit_types::MarketTime) {
    sim.with(|desk, now| {
        let history = &desk.engine.history;
        let days = history.symbols().filter_map(|symbol| {
            let [today, before] = history.days(symbol);
            Some((symbol.clone(), today?, before))
        });
        (days.collect(), now)
    })
}

/// `GET /v1beta1/screener/stocks/most-actives`.
pub(super) async fn most_actives(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let by_trades = params.word("by", &["volume", "trades"]).map_err(refuse)? == 1;
    let top = params.count("top", DEFAULT_TOP, MAX_ACTIVES).map_err(refuse)?;
    let (days, now) = days(&sim);
    let mut actives: Vec<ActiveJson> = days
        .into_iter()
        .map(|(symbol, today, _)| ActiveJson { symbol, volume: today.volume, trade_count: today.trades })
        .collect();
    // Symbols come sorted; of equals the first stays first.
    actives.sort_by_key(|active| Reverse(if by_trades { active.trade_count } else { active.volume }));
    actives.truncate(top);
    Ok(ok(&json!({"most_actives": actives, "last_updated": now})))
}

/// `GET /v1beta1/screener/stocks/movers`.
pub(super) async fn movers(
    State(sim): State<Arc<Sim>>,
    DataSegments(market): DataSegments<String>,
    params: Params,
) -> Result<Response, ApiError> {
    if market != "stocks" {
        return Err(ApiError::data(StatusCode::BAD_REQUEST, format!("invalid market type: {market}")));
    }
    let top = params.count("top", DEFAULT_TOP, MAX_MOVERS).map_err(refuse)?;
    let (days, now) = days(&sim);
    let mut movers: Vec<MoverJson> = days
        .into_iter()
        .map(|(symbol, today, before)| MoverJson::new(symbol, &today, before.as_ref()))
        .collect();
    movers.sort_by(|a, b| b.percent_change.total_cmp(&a.percent_change));
    let losers = movers.iter().rev().filter(|mover| mover.percent_change < 0.0).take(top);
    let gainers = movers.iter().filter(|mover| mover.percent_change > 0.0).take(top);
    Ok(ok(&json!({
        "gainers": gainers.collect::<Vec<_>>(),
        "losers": losers.collect::<Vec<_>>(),
        "market_type": "stocks",
        "last_updated": now,
    })))
}
