//! Market data over REST: bars and latest quotes.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use jiff::{ToSpan, civil::Date};
use sandpit_types::{MarketTime, Symbol};
use serde_json::json;

use super::{
    ApiError, Params, ok,
    params::{BadParam, When},
};
use crate::{
    data::MAX_SYMBOLS,
    history::{BarQuery, Page, PageToken},
    sim::{Desk, Sim},
    wire::market::{BarJson, QuoteJson},
};

/// Bars of a page when the client does not say how many.
const DEFAULT_LIMIT: usize = 1_000;
/// Most bars of a page.
const MAX_LIMIT: usize = 10_000;

pub(super) async fn bars(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let symbols = symbols(&params)?;
    answer(&sim, &params, symbols, |page| {
        let bars: BTreeMap<&str, Vec<BarJson>> =
            page.bars.iter().map(|(symbol, bars)| (symbol.as_str(), show(bars))).collect();
        json!({"bars": bars, "next_page_token": page.next.as_ref().map(PageToken::to_string)})
    })
}

pub(super) async fn bars_of(
    State(sim): State<Arc<Sim>>,
    Path(symbol): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    answer(&sim, &params, vec![Symbol::new(symbol.as_str())], |page| {
        let bars = page.bars.first().map_or(Vec::new(), |(_, bars)| show(bars));
        let next = page.next.as_ref().map(PageToken::to_string);
        json!({"symbol": symbol, "bars": bars, "next_page_token": next})
    })
}

pub(super) async fn latest_quotes(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let symbols = symbols(&params)?;
    let quotes = sim.with(|desk, _| {
        let quote = |symbol: &Symbol| Some((symbol.to_string(), latest(desk, symbol)?));
        symbols.iter().filter_map(quote).collect::<BTreeMap<_, _>>()
    });
    Ok(ok(&json!({ "quotes": quotes })))
}

pub(super) async fn latest_quote_of(
    State(sim): State<Arc<Sim>>,
    Path(symbol): Path<String>,
) -> Result<Response, ApiError> {
    let quote = sim.with(|desk, _| latest(desk, &Symbol::new(symbol.as_str())));
    let quote = quote.ok_or_else(|| ApiError::not_found(format!("symbol not found: {symbol}")))?;
    Ok(ok(&json!({"symbol": symbol, "quote": quote})))
}

fn latest(desk: &Desk, symbol: &Symbol) -> Option<QuoteJson> {
    desk.engine.venue.last_quote(symbol).map(QuoteJson::from)
}

fn show(bars: &[&crate::history::StoredBar]) -> Vec<BarJson> {
    bars.iter().map(|bar| BarJson::from(*bar)).collect()
}

fn answer(
    sim: &Sim,
    params: &Params,
    symbols: Vec<Symbol>,
    show: impl FnOnce(&Page<'_>) -> serde_json::Value,
) -> Result<Response, ApiError> {
    if !matches!(params.text("timeframe"), Some("1Min" | "1T")) {
        return Err(refuse(BadParam("timeframe: only 1Min is offered")));
    }
    let start = params.when("start").map_err(refuse)?;
    let end = params.when("end").map_err(refuse)?;
    let after = params.text("page_token").map(|text| PageToken::parse(text).ok_or(BadParam("page_token")));
    let mut query = BarQuery {
        symbols,
        start: MarketTime::EPOCH,
        end: MarketTime::EPOCH,
        limit: params.count("limit", DEFAULT_LIMIT, MAX_LIMIT).map_err(refuse)?,
        descending: params.word("sort", &["asc", "desc"]).map_err(refuse)? == 1,
        after: after.transpose().map_err(refuse)?,
    };
    let midnight = |date: Date| sim.new_york().midnight(date).unwrap_or(MarketTime::EPOCH);
    Ok(sim.with(|desk, now| {
        let today = desk.engine.venue.calendar().date(now);
        query.start = match start {
            None => midnight(today),
            Some(When::Day(day)) => midnight(day),
            Some(When::Moment(moment)) => moment,
        };
        query.end = match end {
            None => now,
            // The whole day counts.
            Some(When::Day(day)) => {
                midnight(day.saturating_add(1.day())) - std::time::Duration::from_nanos(1)
            }
            Some(When::Moment(moment)) => moment,
        };
        ok(&show(&desk.engine.history.page(&query)))
    }))
}

/// The symbols asked for, sorted, none twice.
fn symbols(params: &Params) -> Result<Vec<Symbol>, ApiError> {
    let names = params.list("symbols").filter(|names| (1..=MAX_SYMBOLS).contains(&names.len()));
    let mut symbols: Vec<Symbol> =
        names.ok_or(refuse(BadParam("symbols")))?.into_iter().map(Symbol::new).collect();
    symbols.sort();
    symbols.dedup();
    Ok(symbols)
}

/// The market-data API answers a bad parameter with 400 and no code.
fn refuse(bad: BadParam) -> ApiError {
    ApiError::data(StatusCode::BAD_REQUEST, format!("invalid {}", bad.0))
}
