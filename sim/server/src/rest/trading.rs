//! Every route of the trading API.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use futures_util::StreamExt;

use super::{
    ApiError, MAX_BODY_BYTES, account, activities, assets, clock, events, orders, portfolio, positions,
    watchlists,
};
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
        .route_layer(from_fn(refuse_huge))
}

/// So much of a refused body is still taken in, bytes.
const LINGER_BYTES: usize = 16 << 20;
/// For so long, real time.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Refuses a body that is announced to be too large before it is sent, and hangs up on it.
async fn refuse_huge(request: Request, next: Next) -> Response {
    if !is_huge(request.headers()) {
        return next.run(request).await;
    }
    tokio::spawn(tokio::time::timeout(LINGER_TIME, discard(request.into_body())));
    let mut response = ApiError::too_large().into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Takes in what the client is still sending. A connection that is closed with bytes unread is reset, and a
/// client whose sending fails then may give up before it reads the answer.
async fn discard(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut left = LINGER_BYTES;
    while let Some(Ok(chunk)) = chunks.next().await {
        let Some(rest) = left.checked_sub(chunk.len()) else { return };
        left = rest;
    }
}

/// Whether a body is announced that is too large.
pub(super) fn is_huge(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > MAX_BODY_BYTES as u64)
}
