//! Orders.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::tz::TimeZone;
use sandpit_types::{BrokerOrderId, MarketTime, Side, Symbol};
use sandpit_venue::{Venue, VenueOrder};
use serde_json::{Value, json};

use super::{
    ApiError, Params, Segments, ok,
    params::{BadParam, When},
};
use crate::{
    sim::{Desk, Sim},
    wire::order::{OrderBody, OrderJson},
};

/// Orders of a list when the client does not say how many.
const DEFAULT_LIMIT: usize = 50;
/// Most orders of a list.
const MAX_LIMIT: usize = 500;

pub(super) async fn submit(
    State(sim): State<Arc<Sim>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(ApiError::from);
    sim.with(|desk, now| {
        let taken = body.and_then(|body| take(desk, &body, now));
        count(desk, taken.is_err());
        taken
    })
}

fn take(desk: &mut Desk, body: &[u8], now: MarketTime) -> Result<Response, ApiError> {
    let venue = &mut desk.engine.venue;
    let body: OrderBody<'_> = serde_json::from_slice(body).map_err(ApiError::malformed)?;
    let order = body.into_order(|name| venue.resolve(name).cloned().unwrap_or_else(|| Symbol::new(name)))?;
    let id = venue.submit(order, now)?;
    Ok(show_order(venue, &id))
}

/// Counts an order that was taken or rejected.
pub(super) fn count(desk: &mut Desk, is_rejected: bool) {
    let counts = &mut desk.counts;
    *(if is_rejected { &mut counts.rejected } else { &mut counts.accepted }) += 1;
}

fn show_order(venue: &Venue, id: &BrokerOrderId) -> Response {
    ok(&OrderJson::from(venue.order(id).expect("the venue keeps every order it took")))
}

pub(super) async fn list(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let filter = Filter::new(&params)?;
    sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        let places = filter.places(venue)?;
        let wanted = |order: &&VenueOrder| filter.wants(order, venue, places);
        let orders: Vec<OrderJson<'_>> = match (filter.status, filter.ascending) {
            (Status::Open, false) => show_some(venue.open_orders().rev().filter(wanted), filter.limit),
            (Status::Open, true) => show_some(venue.open_orders().filter(wanted), filter.limit),
            (Status::Closed | Status::All, false) => {
                show_some(venue.orders().rev().filter(wanted), filter.limit)
            }
            (Status::Closed | Status::All, true) => show_some(venue.orders().filter(wanted), filter.limit),
        };
        Ok(ok(&orders))
    })
}

fn show_some<'a>(orders: impl Iterator<Item = &'a VenueOrder>, limit: usize) -> Vec<OrderJson<'a>> {
    orders.take(limit).map(OrderJson::from).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Open,
    Closed,
    All,
}

/// The places of the orders that a list begins after and ends before.
type Places = (Option<usize>, Option<usize>);

/// Which orders a list shows.
struct Filter {
    status: Status,
    limit: usize,
    after: Option<MarketTime>,
    until: Option<MarketTime>,
    after_order: Option<BrokerOrderId>,
    before_order: Option<BrokerOrderId>,
    ascending: bool,
    symbols: Option<Vec<String>>,
    side: Option<Side>,
    has_stocks: bool,
}

impl Filter {
    fn new(params: &Params) -> Result<Self, ApiError> {
        let moment = |name| -> Result<Option<MarketTime>, ApiError> {
            Ok(params.when(name)?.map(|when| match when {
                When::Moment(moment) => moment,
                When::Day(day) => {
                    day.to_zoned(TimeZone::UTC).map_or(MarketTime::EPOCH, |day| day.timestamp().into())
                }
            }))
        };
        let order = |name: &'static str| -> Result<Option<BrokerOrderId>, ApiError> {
            params.text(name).map(|id| order_id(id).map_err(|_| BadParam(name).into())).transpose()
        };
        let (after, until) = (moment("after")?, moment("until")?);
        let (after_order, before_order) = (order("after_order_id")?, order("before_order_id")?);
        if (after.is_some() || until.is_some()) && (after_order.is_some() || before_order.is_some()) {
            let why = "before_order_id and after_order_id do not go with after and until";
            return Err(ApiError::parameter(why));
        }
        // Legs are a matter of order classes that are not offered: nested or not is the same.
        params.flag("nested")?;
        Ok(Self {
            status: [Status::Open, Status::Closed, Status::All]
                [params.word("status", &["open", "closed", "all"])?],
            limit: params.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?,
            after,
            until,
            after_order,
            before_order,
            ascending: params.word("direction", &["desc", "asc"])? == 1,
            symbols: params.list("symbols").map(|list| list.into_iter().map(str::to_owned).collect()),
            side: [None, Some(Side::Buy), Some(Side::Sell)][params.word("side", &["", "buy", "sell"])?],
            has_stocks: params.list("asset_class").is_none_or(|classes| classes.contains(&"us_equity")),
        })
    }

    fn places(&self, venue: &Venue) -> Result<Places, ApiError> {
        let place = |id: &Option<BrokerOrderId>, name| {
            id.as_ref().map(|id| venue.place(id).ok_or(BadParam(name))).transpose()
        };
        Ok((place(&self.after_order, "after_order_id")?, place(&self.before_order, "before_order_id")?))
    }

    fn wants(&self, order: &VenueOrder, venue: &Venue, (after, before): Places) -> bool {
        let is_named = |names: &Vec<String>| {
            names.iter().any(|name| venue.resolve(name).is_some_and(|symbol| *symbol == order.symbol))
        };
        (self.status != Status::Closed || !order.is_open())
            && self.after.is_none_or(|after| order.submitted_at > after)
            && self.until.is_none_or(|until| order.submitted_at < until)
            && after.is_none_or(|after| venue.place(&order.id) > Some(after))
            && before.is_none_or(|before| venue.place(&order.id) < Some(before))
            && self.side.is_none_or(|side| order.side == side)
            && self.symbols.as_ref().is_none_or(is_named)
            && self.has_stocks
    }
}

pub(super) async fn show(
    State(sim): State<Arc<Sim>>,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let id = order_id(&id)?;
    sim.with(|desk, _| {
        let order = desk.engine.venue.order(&id);
        order.map(|order| ok(&OrderJson::from(order))).ok_or_else(|| unknown(&id))
    })
}

pub(super) async fn by_client_id(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let Some(id) = params.text("client_order_id") else {
        return Err(ApiError::parameter("client_order_id is required"));
    };
    sim.with(|desk, _| {
        let order = desk.engine.venue.by_client_id(id);
        order.map(|order| ok(&OrderJson::from(order))).ok_or_else(|| unknown(id))
    })
}

pub(super) async fn cancel(
    State(sim): State<Arc<Sim>>,
    Segments(id): Segments<String>,
) -> Result<Response, ApiError> {
    let id = order_id(&id)?;
    sim.with(|desk, now| desk.engine.venue.cancel(&id, now))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn cancel_all(State(sim): State<Arc<Sim>>) -> Response {
    let results = sim.with(cancel_every_order);
    super::json(StatusCode::MULTI_STATUS, &results)
}

/// Cancels what is open and says for each order how it went.
pub(super) fn cancel_every_order(desk: &mut Desk, now: MarketTime) -> Vec<Value> {
    let venue = &mut desk.engine.venue;
    let open: Vec<BrokerOrderId> = venue.open_orders().map(|order| order.id.clone()).collect();
    let cancel = |id: BrokerOrderId| match venue.cancel(&id, now) {
        Ok(()) => json!({"id": id, "status": 200}),
        Err(reject) => {
            let error = ApiError::from(reject);
            json!({"id": id, "status": error.status().as_u16(), "body": error.into_body()})
        }
    };
    open.into_iter().map(cancel).collect()
}

/// The id of a path, with or without dashes.
fn order_id(text: &str) -> Result<BrokerOrderId, ApiError> {
    let id = uuid::Uuid::parse_str(text).map_err(|_| ApiError::parameter("order_id is missing"))?;
    Ok(BrokerOrderId::new(id.to_string()))
}

fn unknown(id: impl std::fmt::Display) -> ApiError {
    ApiError::not_found(format!("order not found for {id}"))
}
