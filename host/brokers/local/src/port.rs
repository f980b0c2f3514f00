//! The broker port over the venue.

use sandpit_broker::{Broker, BrokerError, Class, SendTerms};
use sandpit_types::{
    Account, Activity, BrokerOrder, BrokerOrderId, Change, ClientOrderId, Clock, MarketTime, OrderRequest,
    Position, SessionDay, StrategyName,
};
use sandpit_venue::{Replacement, Venue};

use super::{
    LocalBroker,
    words::{broker_order, new_order, position, refused, rejected},
};

impl Broker for LocalBroker {
    async fn submit(&self, order: &OrderRequest, terms: SendTerms) -> Result<BrokerOrder, BrokerError> {
        terms.permit.check()?;
        let mut account = self.now();
        let result = account.venue.submit(new_order(order), self.clock.now());
        self.pass_on(&mut account);
        let id = result.map_err(|reject| rejected(reject.http()))?;
        taken(&account.venue, &id)
    }

    async fn cancel(&self, id: &BrokerOrderId, _: Option<&StrategyName>) -> Result<(), BrokerError> {
        let mut account = self.now();
        let result = account.venue.cancel(id, self.clock.now());
        self.pass_on(&mut account);
        result.map_err(|reject| refused(reject.http()))
    }

    async fn replace(
        &self,
        id: &BrokerOrderId,
        by: &ClientOrderId,
        change: &Change,
        terms: SendTerms,
    ) -> Result<BrokerOrder, BrokerError> {
        terms.permit.check()?;
        let replacement = Replacement {
            qty: change.qty,
            limit_price: change.limit_price,
            stop_price: change.stop_price,
            client_order_id: Some(by.to_string()),
            ..Replacement::default()
        };
        let mut account = self.now();
        let result = account.venue.replace(id, replacement, self.clock.now());
        self.pass_on(&mut account);
        let id = result.map_err(|reject| rejected(reject.http()))?;
        taken(&account.venue, &id)
    }

    async fn order(&self, id: &BrokerOrderId, _: Class) -> Result<BrokerOrder, BrokerError> {
        let account = self.now();
        let venue = &account.venue;
        let not_found = || BrokerError::NotFound { message: format!("order not found for {id}") };
        venue.order(id).map(|order| broker_order(order, venue)).ok_or_else(not_found)
    }

    async fn orders_since(&self, since: MarketTime) -> Result<Vec<BrokerOrder>, BrokerError> {
        let account = self.now();
        let venue = &account.venue;
        let places = venue.orders_while(|at| at < since)..venue.orders().len();
        Ok(venue.orders_at(places).map(|order| broker_order(order, venue)).collect())
    }

    async fn activities(&self, since: MarketTime) -> Result<Vec<Activity>, BrokerError> {
        Ok(self.now().ledger.since(since))
    }

    async fn order_by_client_id(&self, id: &ClientOrderId) -> Result<BrokerOrder, BrokerError> {
        let account = self.now();
        let venue = &account.venue;
        let not_found = || BrokerError::NotFound { message: format!("order not found for {id}") };
        let order = venue.by_client_id(&id.to_string());
        order.map(|order| broker_order(order, venue)).ok_or_else(not_found)
    }

    async fn open_orders(&self) -> Result<Vec<BrokerOrder>, BrokerError> {
        let account = self.now();
        let venue = &account.venue;
        Ok(venue.open_orders().map(|order| broker_order(order, venue)).collect())
    }

    async fn positions(&self) -> Result<Vec<Position>, BrokerError> {
        Ok(self.now().venue.positions().map(position).collect())
    }

    async fn account(&self) -> Result<Account, BrokerError> {
        Ok(reading(&self.now().venue))
    }

    async fn clock(&self) -> Result<Clock, BrokerError> {
        let now = self.clock.now();
        let calendar = &self.calendar;
        Ok(Clock {
            now,
            is_open: calendar.is_open(now),
            next_open: calendar.next_open(now),
            next_close: calendar.next_close(now),
        })
    }

    async fn calendar(&self, from: MarketTime, to: MarketTime) -> Result<Vec<SessionDay>, BrokerError> {
        let days = self.calendar.sessions(self.calendar.date(from), self.calendar.date(to));
        Ok(days.map(|day| SessionDay { open: day.open, close: day.close }).collect())
    }
}

/// The account as it stands.
pub(super) fn reading(venue: &Venue) -> Account {
    let account = venue.account();
    Account {
        id: "dry-run".to_owned(),
        equity: account.equity,
        last_equity: account.last_equity,
        cash: account.cash,
        buying_power: account.buying_power,
        trading_blocked: account.suspended,
    }
}

/// The order that was just taken, as it stands now.
fn taken(venue: &Venue, id: &BrokerOrderId) -> Result<BrokerOrder, BrokerError> {
    let lost = || BrokerError::OutcomeUnknown { message: format!("the venue lost order {id}") };
    venue.order(id).map(|order| broker_order(order, venue)).ok_or_else(lost)
}
