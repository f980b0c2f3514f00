//! The account's worth over time.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::Serialize;

use super::{
    ApiError, Params, ok,
    params::{BadParam, When},
};
use crate::{
    sim::Sim,
    trading::history::{Account, History, Hours, Period, Query, Timeframe},
};

pub(super) async fn show(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let query = query(&sim, &params)?;
    let history = sim.with(|desk, now| {
        let venue = &desk.engine.venue;
        let account = venue.account();
        Account {
            curve: &desk.trading.equity,
            calendar: venue.calendar(),
            created_at: account.created_at,
            now,
            equity: account.equity,
        }
        .history(&query)
    });
    let history = history.map_err(|why| ApiError::parameter(why.to_string()))?;
    Ok(ok(&HistoryJson::from(history)))
}

fn query(sim: &Sim, params: &Params) -> Result<Query, ApiError> {
    let period = params.text("period").map(|text| Period::parse(text).ok_or(BadParam("period")));
    let known = |word: &str| Timeframe::WORDS.iter().find(|(known, _)| *known == word);
    let timeframe =
        params.text("timeframe").map(|text| known(text).map(|(_, it)| *it).ok_or(BadParam("timeframe")));
    let moment = |name, of_day: fn(jiff::civil::Date) -> jiff::civil::Date| -> Result<_, BadParam> {
        Ok(params.when(name)?.map(|when| match when {
            When::Moment(moment) => moment,
            When::Day(day) => When::Day(of_day(day)).first_moment(sim.new_york()),
        }))
    };
    // A day that ends the span belongs to it.
    let next = |day: jiff::civil::Date| day.tomorrow().unwrap_or(day);
    let words = ["market_hours", "extended_hours", "continuous"];
    let hours = match params.word("intraday_reporting", &words)? {
        0 if params.flag("extended_hours")? => Hours::Extended,
        0 => Hours::Market,
        1 => Hours::Extended,
        _ => Hours::Continuous,
    };
    let end = match moment("end", next)? {
        Some(end) => Some(end),
        None => moment("date_end", next)?,
    };
    Ok(Query {
        period: period.transpose()?,
        start: moment("start", |day| day)?,
        end,
        timeframe: timeframe.transpose()?,
        hours,
        no_reset: params.word("pnl_reset", &["per_day", "no_reset"])? == 1,
    })
}

/// The broker's shape: numbers, not texts.
#[derive(Serialize)]
struct HistoryJson {
    timestamp: Vec<i64>,
    equity: Vec<Option<f64>>,
    profit_loss: Vec<Option<f64>>,
    profit_loss_pct: Vec<Option<f64>>,
    base_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_value_asof: Option<jiff::civil::Date>,
    timeframe: &'static str,
    /// There are no cash flows here.
    cashflow: serde_json::Map<String, serde_json::Value>,
}

impl From<History> for HistoryJson {
    fn from(history: History) -> Self {
        let numbers = |list: Vec<Decimal>| list.iter().map(Decimal::to_f64).collect();
        Self {
            timestamp: history.timestamp,
            equity: numbers(history.equity),
            profit_loss: numbers(history.profit_loss),
            profit_loss_pct: history.profit_loss_pct.iter().map(|ratio| (*ratio)?.to_f64()).collect(),
            base_value: history.base_value.to_f64(),
            base_value_asof: history.base_value_asof,
            timeframe: history.timeframe,
            cashflow: serde_json::Map::new(),
        }
    }
}
