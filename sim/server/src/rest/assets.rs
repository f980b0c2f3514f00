//! Assets.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use super::{ApiError, Params, Segments, ok};
use crate::{sim::Sim, wire::asset::AssetJson};

pub(super) async fn list(State(sim): State<Arc<Sim>>, params: Params) -> Response {
    let is_wanted = |name, value: &str| params.text(name).is_none_or(|wanted| wanted == value);
    // Everything that is listed is an active stock.
    let any = is_wanted("status", "active") && is_wanted("asset_class", "us_equity");
    let attributes = params.list("attributes");
    sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        let assets =
            venue.symbols().filter_map(|symbol| Some(AssetJson::new(symbol, venue.asset_id(symbol)?)));
        let wanted = |asset: &AssetJson<'_>| {
            any && is_wanted("exchange", asset.exchange())
                && attributes.as_ref().is_none_or(|attributes| asset.has_any(attributes))
        };
        let listed: Vec<AssetJson<'_>> = assets.filter(wanted).collect();
        ok(&listed)
    })
}

pub(super) async fn show(
    State(sim): State<Arc<Sim>>,
    Segments(name): Segments<String>,
) -> Result<Response, ApiError> {
    sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        let asset =
            venue.resolve(&name).and_then(|symbol| Some(AssetJson::new(symbol, venue.asset_id(symbol)?)));
        asset
            .map(|asset| ok(&asset))
            .ok_or_else(|| ApiError::not_found(format!("asset not found for {name}")))
    })
}
