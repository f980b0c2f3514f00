//! Market data over REST: the past in pages, what is latest, news and reference data.

mod asking;
mod historical;
mod latest;
mod meta;
mod news;
mod screener;

use std::sync::Arc;

use axum::{Router, http::StatusCode, routing::get};
use sandpit_types::Symbol;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{ApiError, Params, ok, params::BadParam};
use crate::sim::Sim;

/// The endpoints of the market-data API.
pub(super) fn routes() -> Router<Arc<Sim>> {
    Router::new()
        .route("/v2/stocks/bars", get(historical::bars))
        .route("/v2/stocks/{symbol}/bars", get(historical::bars_of))
        .route("/v2/stocks/trades", get(historical::trades))
        .route("/v2/stocks/{symbol}/trades", get(historical::trades_of))
        .route("/v2/stocks/quotes", get(historical::quotes))
        .route("/v2/stocks/{symbol}/quotes", get(historical::quotes_of))
        .route("/v2/stocks/auctions", get(historical::auctions))
        .route("/v2/stocks/{symbol}/auctions", get(historical::auctions_of))
        .route("/v2/stocks/bars/latest", get(latest::bars))
        .route("/v2/stocks/{symbol}/bars/latest", get(latest::bar_of))
        .route("/v2/stocks/trades/latest", get(latest::trades))
        .route("/v2/stocks/{symbol}/trades/latest", get(latest::trade_of))
        .route("/v2/stocks/quotes/latest", get(latest::quotes))
        .route("/v2/stocks/{symbol}/quotes/latest", get(latest::quote_of))
        .route("/v2/stocks/snapshots", get(latest::snapshots))
        .route("/v2/stocks/{symbol}/snapshot", get(latest::snapshot_of))
        .route("/v2/stocks/meta/exchanges", get(meta::exchanges))
        .route("/v2/stocks/meta/conditions/{kind}", get(meta::conditions))
        .route("/v1beta1/screener/stocks/most-actives", get(screener::most_actives))
        .route("/v1beta1/screener/{market}/movers", get(screener::movers))
        .route("/v1beta1/news", get(news::articles))
        .route("/v1/corporate-actions", get(meta::corporate_actions))
        .route("/v1beta1/corporate-actions", get(meta::corporate_actions))
}

/// Rows by symbol, as one JSON object in the order of the rows.
struct BySymbol<T>(Vec<(Symbol, T)>);

impl<T: Serialize> Serialize for BySymbol<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (symbol, row) in &self.0 {
            map.serialize_entry(symbol.as_str(), row)?;
        }
        map.end()
    }
}

/// The market-data API answers a bad parameter with 400 and no code. Its words are not known but for a few.
fn refuse(bad: BadParam) -> ApiError {
    ApiError::data(StatusCode::BAD_REQUEST, format!("invalid {}", bad.0))
}
