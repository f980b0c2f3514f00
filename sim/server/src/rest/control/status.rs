//! `GET /sim/status`: the simulator about itself. No key, no quota.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde_json::json;

use crate::{rest::ok, schedule::RunPhase, sim::Sim};

pub(super) async fn show(State(sim): State<Arc<Sim>>) -> Response {
    let (requests, http_429) = sim.request_counts();
    let status = sim.with(|desk, now| {
        let phase = sim.phase(now);
        let (data, orders) = (desk.engine.counts, desk.counts);
        json!({
            "market_time": now,
            "speed": sim.clock().speed(),
            "phase": phase.as_str(),
            "ended": phase == RunPhase::Done,
            "symbols": desk.engine.venue.symbols().collect::<Vec<_>>(),
            "bars": data.bars,
            "quotes": data.quotes,
            "trades": data.trades,
            "requests": requests,
            "http_429": http_429,
            "orders_accepted": orders.accepted,
            "orders_rejected": orders.rejected,
            "fills": orders.fills,
            "cancels": orders.cancels,
            "open_orders": desk.engine.venue.open_orders().len(),
            "data_streams": desk.data.len(),
            "trade_streams": desk.trades.len(),
        })
    });
    ok(&status)
}
