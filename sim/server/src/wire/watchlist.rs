//! Watchlists.

use sandpit_types::MarketTime;
use sandpit_venue::Venue;
use serde::Serialize;

use super::{Text, asset::AssetJson};
use crate::trading::watchlists::Watchlist;

/// The watchlist object; lists of them leave the assets out.
#[derive(Serialize)]
pub(crate) struct WatchlistJson<'a> {
    id: Text<uuid::Uuid>,
    account_id: &'a str,
    created_at: MarketTime,
    updated_at: MarketTime,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    assets: Option<Vec<AssetJson<'a>>>,
}

impl<'a> WatchlistJson<'a> {
    pub(crate) fn new(list: &'a Watchlist, account_id: &'a str, venue: &'a Venue) -> Self {
        let asset = |symbol| Some(AssetJson::new(symbol, venue.asset_id(symbol)?));
        let assets = list.symbols.iter().filter_map(asset).collect();
        Self { assets: Some(assets), ..Self::without_assets(list, account_id) }
    }

    pub(crate) fn without_assets(list: &'a Watchlist, account_id: &'a str) -> Self {
        Self {
            id: Text(list.id),
            account_id,
            created_at: list.created_at,
            updated_at: list.updated_at,
            name: &list.name,
            assets: None,
        }
    }
}
