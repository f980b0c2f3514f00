//! Watchlists, by id and by name.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequestParts, Path, State, rejection::BytesRejection},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use sandpit_types::{MarketTime, Symbol};
use serde::{Deserialize, de::DeserializeOwned};

use super::{ApiError, Params, Segments, ok};
use crate::{
    sim::{Desk, Sim},
    trading::watchlists::{Watchlist, WatchlistError, Which},
    wire::watchlist::WatchlistJson,
};

type Body = Result<Bytes, BytesRejection>;

/// `POST` and `PUT`: what is missing or null is left alone, and so is a symbol that is null.
#[derive(Debug, Deserialize)]
struct ListBody {
    name: Option<String>,
    symbols: Option<Vec<Option<String>>>,
}

/// A symbol for the end of a list.
#[derive(Debug, Deserialize)]
struct SymbolBody {
    symbol: Option<String>,
}

pub(super) async fn list(State(sim): State<Arc<Sim>>) -> Response {
    sim.with(|desk, _| {
        let account = desk.engine.venue.account().id;
        let lists = desk.trading.watchlists.all().iter();
        ok(&lists.map(|list| WatchlistJson::without_assets(list, &account)).collect::<Vec<_>>())
    })
}

pub(super) async fn create(State(sim): State<Arc<Sim>>, body: Body) -> Result<Response, ApiError> {
    let body: ListBody = read(body)?;
    sim.with(|desk, now| {
        let symbols = body.symbols.unwrap_or_default();
        let symbols = resolve_all(desk, symbols)?;
        let id = desk.trading.uuid();
        let name = body.name.unwrap_or_default();
        let list = desk.trading.watchlists.create(id, name, symbols, now)?.clone();
        Ok(show_list(desk, list))
    })
}

pub(super) async fn show(State(sim): State<Arc<Sim>>, Named(which): Named) -> Result<Response, ApiError> {
    sim.with(|desk, _| Ok(show_list(desk, desk.trading.watchlists.find(&which)?.clone())))
}

pub(super) async fn change(
    State(sim): State<Arc<Sim>>,
    Named(which): Named,
    body: Body,
) -> Result<Response, ApiError> {
    let body: ListBody = read(body)?;
    edit(&sim, |desk, now| {
        let symbols = body.symbols.map(|symbols| resolve_all(desk, symbols)).transpose()?;
        Ok(desk.trading.watchlists.change(&which, body.name, symbols, now)?.clone())
    })
}

pub(super) async fn add(
    State(sim): State<Arc<Sim>>,
    Named(which): Named,
    body: Body,
) -> Result<Response, ApiError> {
    let body: SymbolBody = read(body)?;
    let name = body.symbol.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| ApiError::parameter("symbol is required"))?;
    edit(&sim, |desk, now| {
        desk.trading.watchlists.find(&which)?;
        let symbol = resolve(desk, &name)?;
        Ok(desk.trading.watchlists.add(&which, symbol, now)?.clone())
    })
}

pub(super) async fn remove(
    State(sim): State<Arc<Sim>>,
    Segments((list, name)): Segments<(String, String)>,
) -> Result<Response, ApiError> {
    let which = by_id(&list)?;
    edit(&sim, |desk, now| {
        desk.trading.watchlists.find(&which)?;
        let symbol = resolve(desk, &name)?;
        Ok(desk.trading.watchlists.remove(&which, &symbol, now)?.clone())
    })
}

pub(super) async fn delete(State(sim): State<Arc<Sim>>, Named(which): Named) -> Result<Response, ApiError> {
    sim.with(|desk, _| desk.trading.watchlists.delete(&which))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Changes a list and shows it.
fn edit(
    sim: &Sim,
    change: impl FnOnce(&mut Desk, MarketTime) -> Result<Watchlist, ApiError>,
) -> Result<Response, ApiError> {
    sim.with(|desk, now| change(desk, now).map(|list| show_list(desk, list)))
}

fn show_list(desk: &Desk, list: Watchlist) -> Response {
    let venue = &desk.engine.venue;
    ok(&WatchlistJson::new(&list, &venue.account().id, venue))
}

fn read<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    serde_json::from_slice(&body?).map_err(ApiError::malformed)
}

fn resolve_all(desk: &Desk, names: Vec<Option<String>>) -> Result<Vec<Symbol>, ApiError> {
    names.into_iter().flatten().map(|name| resolve(desk, &name)).collect()
}

/// A listed symbol. What is not one is not found, as the broker's old documents say of watchlists.
fn resolve(desk: &Desk, name: &str) -> Result<Symbol, ApiError> {
    let symbol = desk.engine.venue.resolve(name).cloned();
    symbol.ok_or_else(|| ApiError::not_found(format!("asset not found for {name}")))
}

/// Which list a request means: by the id of its path, or else by the name of its query.
pub(super) struct Named(Which);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if let Ok(Path(id)) = Path::<String>::from_request_parts(parts, state).await {
            return by_id(&id).map(Self);
        }
        let params = Params::from_request_parts(parts, state).await?;
        let name = params.text("name").ok_or_else(|| ApiError::parameter("name is required"))?;
        Ok(Self(Which::Name(name.to_owned())))
    }
}

fn by_id(text: &str) -> Result<Which, ApiError> {
    let id = uuid::Uuid::parse_str(text);
    id.map(Which::Id).map_err(|_| ApiError::parameter("watchlist_id is missing"))
}

impl From<WatchlistError> for ApiError {
    fn from(error: WatchlistError) -> Self {
        match error {
            WatchlistError::NotFound | WatchlistError::NotListed(_) => Self::not_found(error.to_string()),
            WatchlistError::NameTaken
            | WatchlistError::Name
            | WatchlistError::TooManyLists
            | WatchlistError::TooManySymbols => Self::parameter(error.to_string()),
        }
    }
}
