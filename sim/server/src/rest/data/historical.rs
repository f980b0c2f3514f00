//! The past: bars, trades, quotes and auctions, of many symbols or of one, in pages.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use sandpit_types::{MarketTime, Symbol};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    Params,
    asking::{Asking, symbol, symbols},
    ok, refuse,
};
use crate::{
    history::{
        History, Page, Query, Timeframe,
        page::{Row, page},
    },
    rest::{
        ApiError,
        params::{BadParam, DataSegments},
    },
    sim::Sim,
    wire::market::{AuctionJson, BarJson, QuoteJson, TradeJson},
};

/// An answer: of many symbols an object of lists, of one its list and its name.
struct Answer<'a, J> {
    name: &'a str,
    rows: Vec<(Symbol, Vec<J>)>,
    single: Option<&'a Symbol>,
    next: Option<String>,
    currency: Option<&'static str>,
}

impl<J: Serialize> Serialize for Answer<'_, J> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.single {
            Some(symbol) => {
                // The broker may say null for an empty list, which some of its own SDKs cannot read.
                let rows = self.rows.first().map_or(&[][..], |(_, rows)| rows);
                map.serialize_entry(self.name, rows)?;
                map.serialize_entry("symbol", symbol)?;
            }
            None => map.serialize_entry(self.name, &Lists(&self.rows))?,
        }
        map.serialize_entry("next_page_token", &self.next)?;
        if let Some(currency) = self.currency {
            map.serialize_entry("currency", currency)?;
        }
        map.end()
    }
}

struct Lists<'a, J>(&'a [(Symbol, Vec<J>)]);

impl<J: Serialize> Serialize for Lists<'_, J> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(symbol, rows)| (symbol.as_str(), rows)))
    }
}

/// Answers for one symbol or for those of the query. Rows are copied at the desk and written outside.
fn answer<R: Row, J: Serialize>(
    (sim, params, single): (&Sim, &Params, Option<&str>),
    name: &str,
    page_of: impl FnOnce(&History, &Query, MarketTime) -> Page<R>,
    show: impl Fn(&Symbol, &R) -> J,
) -> Result<Response, ApiError> {
    let single = single.map(symbol).transpose()?;
    let wanted = match &single {
        Some(symbol) => vec![symbol.clone()],
        None => symbols(params)?,
    };
    let asking = Asking::read(params, wanted)?;
    let (feed, currency) = (asking.feed, asking.currency);
    let page = sim.with(|desk, now| {
        let query = asking.place(sim, desk, now)?;
        let nothing = || Page { rows: Vec::new(), next: None };
        let page = feed.has_data().then(|| page_of(&desk.engine.history, &query, now));
        Ok::<_, ApiError>(page.unwrap_or_else(nothing))
    })?;
    let rows = page.rows.into_iter().map(|(symbol, rows)| {
        let rows = rows.iter().map(|row| show(&symbol, row)).collect();
        (symbol, rows)
    });
    let next = page.next.map(|token| token.to_string());
    Ok(ok(&Answer { name, rows: rows.collect(), single: single.as_ref(), next, currency }))
}

fn bars_answer(sim: &Sim, params: &Params, single: Option<&str>) -> Result<Response, ApiError> {
    let bad = || refuse(BadParam("timeframe"));
    let frame: Timeframe = params.text("timeframe").ok_or_else(bad)?.parse().map_err(|_| bad())?;
    let page_of = |history: &History, query: &Query, _| {
        // A shorter page than was asked for is a page, too: its token says where to go on.
        let query = Query { limit: query.limit.min(frame.most_bars()), ..query.clone() };
        page(&query, |symbol, span| history.bars(symbol, frame, span))
    };
    answer((sim, params, single), "bars", page_of, BarJson::new)
}

fn trades_answer(sim: &Sim, params: &Params, single: Option<&str>) -> Result<Response, ApiError> {
    let page_of =
        |history: &History, query: &Query, _| page(query, |symbol, span| history.trades(symbol, span));
    answer((sim, params, single), "trades", page_of, TradeJson::new)
}

fn quotes_answer(sim: &Sim, params: &Params, single: Option<&str>) -> Result<Response, ApiError> {
    let page_of =
        |history: &History, query: &Query, _| page(query, |symbol, span| history.quotes(symbol, span));
    answer((sim, params, single), "quotes", page_of, QuoteJson::new)
}

fn auctions_answer(sim: &Sim, params: &Params, single: Option<&str>) -> Result<Response, ApiError> {
    let page_of = |history: &History, query: &Query, now| {
        page(query, |symbol, span| history.auctions(symbol, span, now))
    };
    answer((sim, params, single), "auctions", page_of, AuctionJson::new)
}

macro_rules! endpoints {
    ($($many:ident $single:ident $answer:ident;)*) => {
        $(
            pub(super) async fn $many(
                State(sim): State<Arc<Sim>>,
                params: Params,
            ) -> Result<Response, ApiError> {
                $answer(&sim, &params, None)
            }

            pub(super) async fn $single(
                State(sim): State<Arc<Sim>>,
                DataSegments(symbol): DataSegments<String>,
                params: Params,
            ) -> Result<Response, ApiError> {
                $answer(&sim, &params, Some(&symbol))
            }
        )*
    };
}

endpoints! {
    bars bars_of bars_answer;
    trades trades_of trades_answer;
    quotes quotes_of quotes_answer;
    auctions auctions_of auctions_answer;
}
