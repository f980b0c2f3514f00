//! Articles, newest first unless asked otherwise, in pages.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use sandpit_types::{MarketTime, Symbol};
use serde_json::json;

use super::{
    Params,
    asking::{last_moment, symbol},
    ok, refuse,
};
use crate::{
    data::MAX_SYMBOLS,
    news::{NewsQuery, NewsToken},
    rest::{ApiError, params::BadParam},
    sim::Sim,
    wire::market::NewsJson,
};

const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 50;

pub(super) async fn articles(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let names = params.list("symbols").unwrap_or_default();
    if names.len() > MAX_SYMBOLS {
        return Err(refuse(BadParam("symbols")));
    }
    let token = params.text("page_token").map(NewsToken::parse);
    let with_content = params.flag("include_content").map_err(refuse)?;
    let clock = sim.new_york();
    let (start, end) = (params.when("start").map_err(refuse)?, params.when("end").map_err(refuse)?);
    let mut query = NewsQuery {
        symbols: names.into_iter().map(symbol).collect::<Result<Vec<Symbol>, ApiError>>()?,
        start: start.map_or(MarketTime::EPOCH, |start| start.first_moment(clock)),
        end: end.map_or(MarketTime::EPOCH, |end| last_moment(end, clock)),
        ascending: params.word("sort", &["desc", "asc"]).map_err(refuse)? == 1,
        with_content: params.flag("exclude_contentless").map_err(refuse)?,
        limit: params.count("limit", DEFAULT_LIMIT, MAX_LIMIT).map_err(refuse)?,
        after: token.map(|token| token.ok_or(refuse(BadParam("page_token")))).transpose()?,
    };
    let (articles, next) = sim.with(|desk, now| {
        if end.is_none() {
            query.end = now;
        }
        desk.engine.news.page(&query)
    });
    let articles = articles.into_iter().map(|article| NewsJson::new(article, with_content));
    let next = next.map(|token| token.to_string());
    Ok(ok(&json!({"news": articles.collect::<Vec<_>>(), "next_page_token": next})))
}
