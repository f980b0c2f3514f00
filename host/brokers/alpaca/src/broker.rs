//! The trading side: one request a call.

use std::collections::HashSet;

use reqwest::Method;
use sandpit_broker::{Broker, BrokerError, Class, SendTerms};
use sandpit_types::{
    Account, Activity, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Clock, MarketTime, OrderRequest,
    Position, SessionDay, StrategyName,
};

use crate::{
    Alpaca, map,
    map::MapError,
    rest::Ask,
    wire::{
        account::{AccountWire, CalendarWire, ClockWire, PositionWire},
        order::OrderWire,
    },
};

/// Alpaca gives at most this many orders a page, legs not counted.
const ORDERS_PER_PAGE: usize = 500;
/// More open orders than this many pages are not read: an account of ours never has 10 000.
const MAX_ORDER_PAGES: usize = 20;

impl Broker for Alpaca {
    async fn submit(&self, order: &OrderRequest, terms: SendTerms) -> Result<BrokerOrder, BrokerError> {
        let json = serde_json::to_vec(&map::submit(order)).expect("text and booleans always write");
        let answer = self.trading.post("/v2/orders", json, &order.client_id.strategy, terms).await?;
        let unknown = |message: String| BrokerError::OutcomeUnknown { message };
        let made = map::order(answer.submitted::<OrderWire>()?)
            .map_err(|error| unknown(format!("the answer is not an order: {error}")))?;
        if made.client_id == order.client_id.to_string() {
            Ok(made)
        } else {
            Err(unknown(format!("the answer is about another order, {:?}", made.client_id)))
        }
    }

    async fn cancel(&self, id: &BrokerOrderId, strategy: Option<&StrategyName>) -> Result<(), BrokerError> {
        let ask = Ask { class: Class::Cancel, strategy, deadline: None };
        self.trading.read(Method::DELETE, &format!("/v2/orders/{id}"), &[], ask).await?.done()
    }

    async fn replace(
        &self,
        _: &BrokerOrderId,
        _: &ClientOrderId,
        _: &Change,
        _: SendTerms,
    ) -> Result<BrokerOrder, BrokerError> {
        Err(foundation())
    }

    async fn order(&self, _: &BrokerOrderId) -> Result<BrokerOrder, BrokerError> {
        Err(foundation())
    }

    async fn orders_since(&self, _: MarketTime) -> Result<Vec<BrokerOrder>, BrokerError> {
        Err(foundation())
    }

    async fn activities(&self, _: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        Err(foundation())
    }

    async fn order_by_client_id(&self, id: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
        let ask = Ask { class: Class::Reduce, strategy: Some(&id.strategy), deadline: None };
        let query = [("client_order_id", &*id.to_string())];
        let answer = self.trading.read(Method::GET, "/v2/orders:by_client_order_id", &query, ask).await?;
        map::order(answer.value()?).map_err(malformed)
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerError> {
        let mut orders: Vec<BrokerOrder> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut until = None;
        for _ in 0..MAX_ORDER_PAGES {
            let mut page = self.order_page(until).await?;
            let is_last = page.len() < ORDERS_PER_PAGE;
            let oldest = page.last().and_then(|row| row.submitted_at.or(row.created_at));
            page.retain(|row| seen.insert(row.id.clone()));
            let brought_any = !page.is_empty();
            map::flatten(page, &mut orders).map_err(malformed)?;
            if is_last {
                orders.retain(|order| !order.status.is_terminal());
                return Ok(orders);
            }
            // `until` is exclusive; one microsecond more keeps the rows that share the last one's stamp.
            until = oldest.map(|stamp| stamp.0 + std::time::Duration::from_micros(1));
            if until.is_none() || !brought_any {
                break;
            }
        }
        Err(BrokerError::Malformed { message: "the list of open orders does not end".to_owned() })
    }

    async fn positions(&self) -> Result<Vec<Position>, BrokerError> {
        let answer = self.trading.read(Method::GET, "/v2/positions", &[], Ask::POLL).await?;
        let rows: Vec<PositionWire> = answer.value()?;
        rows.into_iter().map(|row| map::position(row).map_err(malformed)).collect()
    }

    async fn account(&self) -> Result<Account, BrokerError> {
        let answer = self.trading.read(Method::GET, "/v2/account", &[], Ask::POLL).await?;
        map::account(&answer.value::<AccountWire>()?).map_err(malformed)
    }

    async fn clock(&self) -> Result<Clock, BrokerError> {
        let answer = self.trading.read(Method::GET, "/v2/clock", &[], Ask::POLL).await?;
        answer.value::<ClockWire>().map(|wire| map::clock(&wire))
    }

    async fn calendar(&self, from: MarketTime, to: MarketTime) -> Result<Vec<SessionDay>, BrokerError> {
        let (start, end) = (map::new_york_date(from), map::new_york_date(to));
        let query = [("start", &*start), ("end", &*end)];
        let answer = self.trading.read(Method::GET, "/v2/calendar", &query, Ask::POLL).await?;
        let rows: Vec<CalendarWire> = answer.value()?;
        rows.iter().map(|row| map::session(row).map_err(malformed)).collect()
    }
}

impl Alpaca {
    /// Open orders submitted before `until`, newest first, legs inside their parents.
    async fn order_page(&self, until: Option<MarketTime>) -> Result<Vec<OrderWire>, BrokerError> {
        let limit = ORDERS_PER_PAGE.to_string();
        let until = until.map(|time| time.to_string());
        let mut query =
            vec![("status", "open"), ("nested", "true"), ("direction", "desc"), ("limit", &*limit)];
        query.extend(until.as_deref().map(|until| ("until", until)));
        self.trading.read(Method::GET, "/v2/orders", &query, Ask::POLL).await?.value()
    }
}

fn foundation() -> BrokerError {
    BrokerError::Unavailable { message: "FOUNDATION: to be written".into() }
}

pub(crate) fn malformed(error: MapError) -> BrokerError {
    BrokerError::Malformed { message: error.to_string() }
}
