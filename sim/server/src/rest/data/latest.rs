//! The present: latest bars, trades and quotes, and snapshots of all three.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use sandpit_types::{MarketTime, Symbol};
use serde::Serialize;
use serde_json::json;

use super::{
    BySymbol, Params,
    asking::{DataFeed, symbol, symbols},
    ok,
};
use crate::{
    history::History,
    rest::{ApiError, params::DataSegments},
    sim::Sim,
    wire::market::{BarJson, QuoteJson, SnapshotJson, TradeJson},
};

/// What is known of a symbol at a moment.
type Look<J> = fn(&History, &Symbol, MarketTime) -> Option<J>;

fn bar(history: &History, symbol: &Symbol, at: MarketTime) -> Option<BarJson> {
    history.bar_at(symbol, at).map(|bar| BarJson::new(symbol, bar))
}

fn trade(history: &History, symbol: &Symbol, at: MarketTime) -> Option<TradeJson> {
    history.trade_at(symbol, at).map(|trade| TradeJson::new(symbol, trade))
}

fn quote(history: &History, symbol: &Symbol, at: MarketTime) -> Option<QuoteJson> {
    history.quote_at(symbol, at).map(|quote| QuoteJson::new(symbol, quote))
}

/// `None` only of a symbol that the market does not have.
fn snapshot(history: &History, symbol: &Symbol, at: MarketTime) -> Option<SnapshotJson> {
    let [daily, previous] = history.days_at(symbol, at);
    history.has(symbol).then(|| SnapshotJson {
        latest_trade: trade(history, symbol, at),
        latest_quote: quote(history, symbol, at),
        minute_bar: bar(history, symbol, at),
        daily_bar: daily.map(|day| BarJson::new(symbol, &day)),
        prev_daily_bar: previous.map(|day| BarJson::new(symbol, &day)),
    })
}

/// What is known of many symbols; those of which nothing is known are left out.
fn of_many<J>(sim: &Sim, params: &Params, look: Look<J>) -> Result<BySymbol<J>, ApiError> {
    let (symbols, feed) = (symbols(params)?, DataFeed::latest(params, sim.settings().plan)?);
    Ok(sim.with(|desk, now| {
        let found = symbols.into_iter().filter(|_| feed.has_data()).filter_map(|symbol| {
            let found = look(&desk.engine.history, &symbol, feed.present(now))?;
            Some((symbol, found))
        });
        BySymbol(found.collect())
    }))
}

/// What is known of one symbol.
///
/// # Errors
/// 404 when nothing is. The broker's words for that are not known.
fn of_one<J>(sim: &Sim, params: &Params, name: &str, what: &str, look: Look<J>) -> Result<J, ApiError> {
    let (symbol, feed) = (symbol(name)?, DataFeed::latest(params, sim.settings().plan)?);
    let found = sim.with(|desk, now| look(&desk.engine.history, &symbol, feed.present(now)));
    let found = found.filter(|_| feed.has_data());
    found.ok_or_else(|| ApiError::data(StatusCode::NOT_FOUND, format!("no {what} found for {name}")))
}

fn wrapped(name: &str, value: &impl Serialize) -> Response {
    ok(&json!({ name: value }))
}

macro_rules! endpoints {
    ($($many:ident $one:ident $look:ident;)*) => {
        $(
            pub(super) async fn $many(
                State(sim): State<Arc<Sim>>,
                params: Params,
            ) -> Result<Response, ApiError> {
                Ok(wrapped(stringify!($many), &of_many(&sim, &params, $look)?))
            }

            pub(super) async fn $one(
                State(sim): State<Arc<Sim>>,
                DataSegments(name): DataSegments<String>,
                params: Params,
            ) -> Result<Response, ApiError> {
                let found = of_one(&sim, &params, &name, stringify!($look), $look)?;
                Ok(ok(&json!({"symbol": name, stringify!($look): found})))
            }
        )*
    };
}

endpoints! {
    bars bar_of bar;
    trades trade_of trade;
    quotes quote_of quote;
}

/// Symbols stand at the top of the answer.
pub(super) async fn snapshots(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    Ok(ok(&of_many(&sim, &params, snapshot)?))
}

#[derive(Serialize)]
struct OneSnapshot {
    symbol: String,
    #[serde(flatten)]
    snapshot: SnapshotJson,
}

/// The name and the parts stand side by side.
pub(super) async fn snapshot_of(
    State(sim): State<Arc<Sim>>,
    DataSegments(name): DataSegments<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let snapshot = of_one(&sim, &params, &name, "snapshot", snapshot)?;
    Ok(ok(&OneSnapshot { symbol: name, snapshot }))
}
