//! Every route of the trading API.

use std::sync::Arc;

use axum::{
    Router,
    routing::{delete, get},
};

use super::{account, activities, assets, clock, events, orders, portfolio, positions, watchlists};
use crate::sim::Sim;

/// Account, orders, positions, watchlists, assets, clock, and trade updates as server-sent events.
pub(super) fn trading_routes() -> Router<Arc<Sim>> {
    let lists =
        get(watchlists::show).put(watchlists::change).post(watchlists::add).delete(watchlists::delete);
    Router::new()
        .route("/v2/account", get(account::show))
        .route("/v2/account/configurations", get(account::configuration).patch(account::configure))
        .route("/v2/account/activities", get(activities::list))
        .route("/v2/account/activities/{kind}", get(activities::list_of))
        .route("/v2/account/portfolio/history", get(portfolio::show))
        .route("/v2/clock", get(clock::clock))
        .route("/v2/calendar", get(clock::calendar))
        .route("/v3/clock", get(clock::clocks))
        .route("/v3/calendar/{market}", get(clock::calendar_of))
        .route("/v2/assets", get(assets::list))
        .route("/v2/assets/{asset}", get(assets::show))
        .route("/v2/watchlists", get(watchlists::list).post(watchlists::create))
        .route("/v2/watchlists:by_name", lists.clone())
        .route("/v2/watchlists/{id}", lists)
        .route("/v2/watchlists/{id}/{symbol}", delete(watchlists::remove))
        .route("/v2/orders", get(orders::list).post(orders::submit).delete(orders::cancel_all))
        .route("/v2/orders:by_client_order_id", get(orders::by_client_id))
        .route("/v2/orders/{id}", get(orders::show).patch(orders::replace).delete(orders::cancel))
        .route("/v2/positions", get(positions::list).delete(positions::close_all))
        .route("/v2/positions/{asset}", get(positions::show).merge(delete(positions::close)))
        .route("/v2/events/trades", get(events::trades))
}
