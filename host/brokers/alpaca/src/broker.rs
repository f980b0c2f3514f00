//! The trading side: one request a call.

use reqwest::Method;
use sandpit_broker::{Broker, BrokerError, Class, SendTerms};
use sandpit_types::{
    Account, Activity, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Clock, MarketTime, OrderRequest,
    Position, SessionDay, StrategyName,
};

use crate::{
    Alpaca, map,
    map::MapError,
    orders::Span,
    outcome::Answer,
    rest::Ask,
    wire::{
        account::{AccountWire, CalendarWire, ClockWire, PositionWire},
        order::OrderWire,
    },
};

impl Broker for Alpaca {
    async fn submit(&self, order: &OrderRequest, terms: SendTerms) -> Result<BrokerOrder, BrokerError> {
        let json = serde_json::to_vec(&map::submit(order)).expect("text and booleans always write");
        let strategy = &order.client_id.strategy;
        let answer = self.trading.send_order(Method::POST, "/v2/orders", json, strategy, terms).await?;
        made(&answer, &order.client_id)
    }

    async fn cancel(&self, id: &BrokerOrderId, strategy: Option<&StrategyName>) -> Result<(), BrokerError> {
        let ask = Ask { class: Class::Cancel, strategy, deadline: None };
        self.trading.read(Method::DELETE, &format!("/v2/orders/{id}"), &[], ask).await?.done()
    }

    async fn replace(
        &self,
        id: &BrokerOrderId,
        by: &ClientOrderId,
        change: &Change,
        terms: SendTerms,
    ) -> Result<BrokerOrder, BrokerError> {
        let json = serde_json::to_vec(&map::replace(by, change)).expect("text always writes");
        let path = format!("/v2/orders/{id}");
        let answer = self.trading.send_order(Method::PATCH, &path, json, &by.strategy, terms).await?;
        made(&answer, by)
    }

    async fn order(&self, id: &BrokerOrderId, class: Class) -> Result<BrokerOrder, BrokerError> {
        let ask = Ask { class, ..Ask::POLL };
        let path = format!("/v2/orders/{id}");
        let answer = self.trading.read(Method::GET, &path, &[("nested", "true")], ask).await?;
        map::order(answer.value()?).map_err(malformed)
    }

    async fn orders_since(&self, since: MarketTime) -> Result<Vec<BrokerOrder>, BrokerError> {
        self.orders_of(Span::Since(since)).await
    }

    async fn activities(&self, since: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        self.activities_since(since).await
    }

    async fn order_by_client_id(&self, id: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
        let ask = Ask { class: Class::Reduce, strategy: Some(&id.strategy), deadline: None };
        let query = [("client_order_id", &*id.to_string())];
        let answer = self.trading.read(Method::GET, "/v2/orders:by_client_order_id", &query, ask).await?;
        map::order(answer.value()?).map_err(malformed)
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerError> {
        let mut orders = self.orders_of(Span::Open).await?;
        orders.retain(|order| !order.status.is_terminal());
        Ok(orders)
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

/// The order that an answer says was made: it has to be the one with our id.
fn made(answer: &Answer, id: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
    let unknown = |message: String| BrokerError::OutcomeUnknown { message };
    let made = map::order(answer.submitted::<OrderWire>()?)
        .map_err(|error| unknown(format!("the answer is not an order: {error}")))?;
    if made.client_id == id.to_string() {
        Ok(made)
    } else {
        Err(unknown(format!("the answer is about another order, {:?}", made.client_id)))
    }
}

pub(crate) fn malformed(error: MapError) -> BrokerError {
    BrokerError::Malformed { message: error.to_string() }
}
