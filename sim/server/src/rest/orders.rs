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
use sandpit_venue::{OrderState, Venue, VenueOrder};
use serde_json::{Value, json};

use super::{
    ApiError, Params, Segments, ok,
    params::{BadParam, When},
};
use crate::{
    sim::{Desk, Sim},
    wire::{
        order::{OrderJson, Taken},
        request::{self, OrderBody, ReplaceBody},
    },
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
    let body: OrderBody = request::read(body)?;
    let order = body.into_order(|name| venue.resolve(name).cloned().unwrap_or_else(|| Symbol::new(name)))?;
    let id = venue.submit(order, now)?;
    Ok(show_taken(venue, &id))
}

/// `PATCH /v2/orders/{id}`: the new order. That the old one is replaced is told by the trade updates.
pub(super) async fn replace(
    State(sim): State<Arc<Sim>>,
    Segments(id): Segments<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let id = order_id(&id)?;
    let change = request::read::<ReplaceBody>(&body?)?.into_replacement()?;
    sim.with(|desk, now| {
        let venue = &mut desk.engine.venue;
        let new = venue.replace(&id, change, now)?;
        Ok(show_taken(venue, &new))
    })
}

/// Counts an order that was taken or rejected.
pub(super) fn count(desk: &mut Desk, is_rejected: bool) {
    let counts = &mut desk.counts;
    *(if is_rejected { &mut counts.rejected } else { &mut counts.accepted }) += 1;
}

fn show_taken(venue: &Venue, id: &BrokerOrderId) -> Response {
    let order = venue.order(id).expect("the venue keeps every order it took");
    ok(&Taken::new(order, venue).json())
}

/// An order, with its legs inside if the client wants them there.
fn show_order<'a>(order: &'a VenueOrder, venue: &'a Venue, nested: bool) -> OrderJson<'a> {
    if nested { OrderJson::nested(order, venue) } else { OrderJson::from(order) }
}

pub(super) async fn list(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let filter = Filter::new(&params)?;
    sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        let places = filter.places(venue)?;
        let wanted = |order: &&VenueOrder| filter.wants(order, venue, places);
        let some = |orders: &mut dyn Iterator<Item = &VenueOrder>| {
            let orders = orders.filter(wanted).take(filter.limit);
            ok(&orders.map(|order| show_order(order, venue, filter.nested)).collect::<Vec<_>>())
        };
        Ok(match (filter.status, filter.ascending) {
            (Status::Open, false) => some(&mut venue.open_orders().rev()),
            (Status::Open, true) => some(&mut venue.open_orders()),
            (Status::Closed | Status::All, false) => some(&mut venue.orders().rev()),
            (Status::Closed | Status::All, true) => some(&mut venue.orders()),
        })
    })
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
    nested: bool,
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
            has_stocks: params
                .list("asset_class")
                .is_none_or(|classes| classes.contains(&"us_equity") || classes.contains(&"all")),
            nested: params.flag("nested")?,
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
        // A leg that waits for its turn was never seen in the broker's lists of open orders (2020-2024,
        // alpaca-trade-api-python#322); nested, legs are inside the order they hang on.
        let is_shown = match self.status {
            Status::Open => order.state != OrderState::Held,
            Status::Closed => !order.is_open(),
            Status::All => true,
        };
        is_shown
            && !(self.nested && order.parent.is_some())
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
    params: Params,
) -> Result<Response, ApiError> {
    let (id, nested) = (order_id(&id)?, params.flag("nested")?);
    sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        let order = venue.order(&id).ok_or_else(|| unknown(&id))?;
        Ok(ok(&show_order(order, venue, nested)))
    })
}

pub(super) async fn by_client_id(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let Some(id) = params.text("client_order_id") else {
        return Err(ApiError::parameter("client_order_id is required"));
    };
    let nested = params.flag("nested")?;
    sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        let order = venue.by_client_id(id).ok_or_else(|| unknown(id))?;
        Ok(ok(&show_order(order, venue, nested)))
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
    let cancel = |id: BrokerOrderId| {
        // What hangs on an order goes with it.
        let has_gone = venue.order(&id).is_some_and(|order| !order.is_open());
        match venue.cancel(&id, now) {
            Err(reject) if !has_gone => {
                let error = ApiError::from(reject);
                json!({"id": id, "status": error.status().as_u16(), "body": error.into_body()})
            }
            Ok(()) | Err(_) => json!({"id": id, "status": 200}),
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
