//! Orders.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sandpit_types::{BrokerOrderId, MarketTime, Side, Symbol};
use sandpit_venue::{OrderState, Venue, VenueOrder};
use serde_json::{Value, json};

use super::{ApiError, Params, Segments, faulty, ok, params::BadParam};
use crate::{
    sim::{Desk, Sim},
    wire::{
        clock::NewYork,
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
    // What takes long is read and written away from the desk.
    let body = body.map_err(ApiError::from).and_then(|body| request::read::<OrderBody>(&body));
    let taken = sim.with(|desk, now| {
        let taken = body.and_then(|body| take(desk, body, now));
        count(desk, taken.is_err());
        taken
    });
    Ok(ok(&taken?.json()))
}

fn take(desk: &mut Desk, body: OrderBody, now: MarketTime) -> Result<Taken, ApiError> {
    let venue = &mut desk.engine.venue;
    let order = body.into_order(|name| venue.resolve(name).cloned().unwrap_or_else(|| Symbol::new(name)))?;
    let id = venue.submit(order, now)?;
    Ok(taken(venue, &id))
}

/// `PATCH /v2/orders/{id}`: the new order. That the old one is replaced is told by the trade updates.
pub(super) async fn replace(
    State(sim): State<Arc<Sim>>,
    Segments(id): Segments<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let id = order_id(&id)?;
    let change = request::read::<ReplaceBody>(&body?)?.into_replacement()?;
    let taken = sim.with(|desk, now| {
        let venue = &mut desk.engine.venue;
        let new = venue.replace(&id, change, now)?;
        Ok::<_, ApiError>(taken(venue, &new))
    })?;
    Ok(ok(&taken.json()))
}

/// Counts an order that was taken or rejected.
pub(super) fn count(desk: &mut Desk, is_rejected: bool) {
    let counts = &mut desk.counts;
    *(if is_rejected { &mut counts.rejected } else { &mut counts.accepted }) += 1;
}

fn taken(venue: &Venue, id: &BrokerOrderId) -> Taken {
    let order = venue.order(id).expect("the venue keeps every order it took");
    Taken::new(order, venue)
}

/// A copy of an order, with its legs if the client wants them inside, to be written away from the desk.
struct Copied {
    order: VenueOrder,
    legs: Vec<VenueOrder>,
}

impl Copied {
    fn new(order: &VenueOrder, venue: &Venue, nested: bool) -> Self {
        let legs = order.legs.iter().filter(|_| nested).filter_map(|leg| venue.order(leg).cloned());
        Self { order: order.clone(), legs: legs.collect() }
    }

    fn json(&self) -> OrderJson<'_> {
        OrderJson::with_legs(&self.order, &self.legs)
    }
}

pub(super) async fn list(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let filter = Filter::new(&params)?;
    let orders = sim.with(|desk, _| filter.orders(&desk.engine.venue))?;
    Ok(ok(&orders.iter().map(Copied::json).collect::<Vec<_>>()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Open,
    Closed,
    All,
}

/// What a list's parameters mean at the venue: which places it is about, and whose orders it shows.
struct Scope<'a> {
    places: Range<usize>,
    symbols: Option<BTreeSet<&'a Symbol>>,
}

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
            Ok(params.when(name)?.map(|when| when.first_moment(&NewYork::utc())))
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

    /// The orders of the list, oldest or newest first.
    fn orders(&self, venue: &Venue) -> Result<Vec<Copied>, ApiError> {
        let scope = self.scope(venue)?;
        if !self.has_stocks || scope.symbols.as_ref().is_some_and(BTreeSet::is_empty) {
            return Ok(Vec::new());
        }
        let some = |orders: &mut dyn Iterator<Item = &VenueOrder>| {
            let wanted = orders.filter(|order| self.wants(order, &scope)).take(self.limit);
            wanted.map(|order| Copied::new(order, venue, self.nested)).collect()
        };
        let is_inside =
            |order: &&VenueOrder| venue.place(&order.id).is_some_and(|place| scope.places.contains(&place));
        Ok(match (self.status, self.ascending) {
            (Status::Open, false) => some(&mut venue.open_orders().rev().filter(is_inside)),
            (Status::Open, true) => some(&mut venue.open_orders().filter(is_inside)),
            (Status::Closed | Status::All, false) => some(&mut venue.orders_at(scope.places.clone()).rev()),
            (Status::Closed | Status::All, true) => some(&mut venue.orders_at(scope.places.clone())),
        })
    }

    fn scope<'a>(&self, venue: &'a Venue) -> Result<Scope<'a>, ApiError> {
        let place = |id: &Option<BrokerOrderId>, name| {
            id.as_ref().map(|id| venue.place(id).ok_or(BadParam(name))).transpose()
        };
        let named = |names: &Vec<String>| names.iter().filter_map(|name| venue.resolve(name)).collect();
        let after = place(&self.after_order, "after_order_id")?.map_or(0, |place| place + 1);
        let before = place(&self.before_order, "before_order_id")?;
        let from = self.after.map_or(0, |after| venue.orders_while(|at| at <= after)).max(after);
        let to = self.until.map_or(venue.orders().len(), |until| venue.orders_while(|at| at < until));
        let to = before.map_or(to, |before| before.min(to));
        Ok(Scope { places: from.min(to)..to, symbols: self.symbols.as_ref().map(named) })
    }

    fn wants(&self, order: &VenueOrder, scope: &Scope<'_>) -> bool {
        // A leg that waits for its turn was never seen in the broker's lists of open orders (2020-2024,
        // alpaca-trade-api-python#322); nested, legs are inside the order they hang on.
        let is_shown = match self.status {
            Status::Open => order.state != OrderState::Held,
            Status::Closed => !order.is_open(),
            Status::All => true,
        };
        is_shown
            && !(self.nested && order.parent.is_some())
            && self.side.is_none_or(|side| order.side == side)
            && scope.symbols.as_ref().is_none_or(|symbols| symbols.contains(&order.symbol))
    }
}

pub(super) async fn show(
    State(sim): State<Arc<Sim>>,
    Segments(id): Segments<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let (id, nested) = (order_id(&id)?, params.flag("nested")?);
    let order = sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        venue.order(&id).map(|order| Copied::new(order, venue, nested))
    });
    Ok(ok(&order.ok_or_else(|| unknown(&id))?.json()))
}

pub(super) async fn by_client_id(State(sim): State<Arc<Sim>>, params: Params) -> Result<Response, ApiError> {
    let Some(id) = params.text("client_order_id") else {
        return Err(ApiError::parameter("client_order_id is required"));
    };
    let nested = params.flag("nested")?;
    let order = sim.with(|desk, _| {
        let venue = &desk.engine.venue;
        venue.by_client_id(id).map(|order| Copied::new(order, venue, nested))
    });
    Ok(ok(&order.ok_or_else(|| unknown(id))?.json()))
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
    let open = desk.engine.venue.open_orders();
    let open: Vec<(BrokerOrderId, Symbol)> =
        open.map(|order| (order.id.clone(), order.symbol.clone())).collect();
    let show = |(id, symbol): (BrokerOrderId, Symbol)| {
        let canceled = faulty::item(desk, "/v2/orders", &symbol, now, |desk| cancel_if_open(desk, &id, now));
        match canceled {
            Ok(()) => json!({"id": id, "status": 200}),
            Err(error) => json!({"id": id, "status": error.status().as_u16(), "body": error.into_body()}),
        }
    };
    open.into_iter().map(show).collect()
}

/// Cancels one of many orders. What hangs on an order has gone with it.
fn cancel_if_open(desk: &mut Desk, id: &BrokerOrderId, now: MarketTime) -> Result<(), ApiError> {
    let venue = &mut desk.engine.venue;
    let has_gone = venue.order(id).is_some_and(|order| !order.is_open());
    venue.cancel(id, now).or_else(|reject| if has_gone { Ok(()) } else { Err(reject.into()) })
}

/// The id of a path, with or without dashes.
fn order_id(text: &str) -> Result<BrokerOrderId, ApiError> {
    let id = uuid::Uuid::parse_str(text).map_err(|_| ApiError::parameter("order_id is missing"))?;
    Ok(BrokerOrderId::new(id.to_string()))
}

fn unknown(id: impl std::fmt::Display) -> ApiError {
    ApiError::not_found(format!("order not found for {id}"))
}
