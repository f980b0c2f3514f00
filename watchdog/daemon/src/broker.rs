//! The watchdog's own broker client: suspend, cancel, close, look. Tolerant in what it reads, strict in what
//! it concludes.
//!
//! No proxy of the environment, no redirects, no retries of its own, short time-outs. Each lane (`lanes.rs`)
//! has a client of its own with one connection, which stays open between requests.

mod account;

use std::{collections::BTreeSet, time::Duration};

use sandpit_contract::Policy;
use serde_json::{Value, json};
use ureq::{Agent, unversioned::transport::DefaultConnector};

use crate::{
    addresses::{Addresses, Doubt},
    config::Credentials,
    entries::entries,
    error::Error,
    proof::{Cancels, Closes, Order, Scope, Sighting},
    replies::{answer, cancels, closes, count_close, market, page_end, suspension},
    rows::{open_orders, sighting, text},
};

/// A connection must stand within this time.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// A request must be answered within this time.
const CALL_WAIT: Duration = Duration::from_secs(5);
/// A suspension waits at most so long to learn whether it is the first, and a command for a connection that
/// is only being kept warm.
const ASK_WAIT: Duration = Duration::from_millis(200);
/// Connections are kept warm at least so long.
const IDLE: Duration = Duration::from_secs(90);
/// The broker lists at most so many orders.
pub(crate) const PAGE: usize = 500;
/// So many pages are read before the answer counts as no proof.
const MAX_PAGES: usize = 10;

/// The client.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    credentials: Credentials,
    scope: Scope,
    doubt: Doubt,
}

impl Client {
    /// For the account behind `credentials` at `base`, such as `https://paper-api.alpaca.markets`.
    pub(crate) fn new(base: &str, credentials: Credentials, scope: Scope) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WAIT))
            .timeout_global(Some(CALL_WAIT))
            .max_idle_age(IDLE)
            .user_agent("sandpit-watchdog")
            .build();
        let addresses = Addresses::default();
        let doubt = addresses.doubt();
        let agent = Agent::with_parts(config, DefaultConnector::default(), addresses);
        Self { agent, base: base.trim_end_matches('/').into(), credentials, scope, doubt }
    }

    /// The same with connections of its own.
    pub(crate) fn apart(&self) -> Self {
        Self::new(&self.base, self.credentials.clone(), self.scope)
    }

    /// Opens the connection, or keeps it open; whether trading is suspended. Whoever comes meanwhile waits
    /// at most [`ASK_WAIT`] longer than for a new connection, which is made when the old one is that slow.
    ///
    /// # Errors
    /// When the broker does not say.
    pub(crate) fn warm(&self) -> Result<bool, Error> {
        match self.ask_suspended(ASK_WAIT) {
            Err(Error::BrokerSilent(_)) => self.is_suspended(),
            answered => answered,
        }
    }

    /// Whether trading is suspended.
    ///
    /// # Errors
    /// When the broker does not say.
    pub(crate) fn is_suspended(&self) -> Result<bool, Error> {
        self.ask_suspended(CALL_WAIT)
    }

    /// As [`Self::is_suspended`], but a suspension waits for it: no answer in time is none.
    pub(crate) fn was_suspended(&self) -> Option<bool> {
        self.ask_suspended(ASK_WAIT).ok()
    }

    fn ask_suspended(&self, wait: Duration) -> Result<bool, Error> {
        suspension(&self.call("GET", "/v2/account/configurations", None, wait)?)
    }

    /// Suspends trading, or lifts it.
    ///
    /// # Errors
    /// When the broker does not confirm it.
    pub(crate) fn suspend(&self, suspend: bool) -> Result<(), Error> {
        let change = json!({ "suspend_trade": suspend });
        let body = self.call("PATCH", "/v2/account/configurations", Some(&change), CALL_WAIT)?;
        if suspension(&body)? == suspend {
            Ok(())
        } else {
            Err(Error::BrokerUnproven("`suspend_trade` did not change"))
        }
    }

    /// Asks for the cancel of every open order. An order that is over already (404, 422) is no failure: the
    /// next read tells.
    ///
    /// # Errors
    /// When the broker does not take the request.
    pub(crate) fn cancel_all(&self) -> Result<Cancels, Error> {
        let body = self.call("DELETE", "/v2/orders", None, CALL_WAIT)?;
        Ok(cancels(&body))
    }

    /// Asks for the cancel of these, as [`Self::cancel_all`].
    ///
    /// # Errors
    /// The last failure, when any order could not be asked for.
    pub(crate) fn cancel_each(&self, ids: &[String]) -> Result<Cancels, Error> {
        let mut cancels = Cancels::default();
        let mut failure = None;
        for id in ids {
            match self.call("DELETE", &format!("/v2/orders/{id}"), None, CALL_WAIT) {
                Ok(_) => cancels.taken += 1,
                Err(Error::BrokerStatus { status: 404 | 422, .. }) => {}
                // Each of the others would wait as long, or be refused as well.
                Err(error @ (Error::BrokerSilent(_) | Error::BrokerBusy { .. })) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(cancels), Err)
    }

    /// Asks for the cancel of every order and the close of every position.
    ///
    /// # Errors
    /// When the broker does not take the request.
    pub(crate) fn close_all(&self) -> Result<Closes, Error> {
        let body = self.call("DELETE", "/v2/positions?cancel_orders=true", None, CALL_WAIT)?;
        Ok(closes(&body))
    }

    /// Asks for the close of these. One that is closed already (404) is no failure: the next read tells.
    ///
    /// # Errors
    /// The last failure, when any position could not be asked for.
    pub(crate) fn close_each(&self, keys: &[String]) -> Result<Closes, Error> {
        let mut closes = Closes::default();
        let mut failure = None;
        for key in keys {
            let path = format!("/v2/positions/{}", key.replace('/', "%2F"));
            match self.call("DELETE", &path, None, CALL_WAIT) {
                Ok(order) => count_close(200, &order, &mut closes),
                Err(Error::BrokerStatus { status: status @ (403 | 404 | 422), message }) => {
                    let body = serde_json::from_str(&message).unwrap_or(Value::Null);
                    count_close(status.into(), &body, &mut closes);
                }
                Err(error @ (Error::BrokerSilent(_) | Error::BrokerBusy { .. })) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(closes), Err)
    }

    /// Looks for anything open. Where orders may stay, every page counts, because those may fill the first
    /// ones, and so do the legs of a parent that is over: they are listed only as rows of their own. That
    /// list is also read before it is said that nothing is open.
    ///
    /// Orders are told as soon as they are listed: cancels need not wait for what comes behind, or fails.
    ///
    /// # Errors
    /// When a read fails, is not a list, or does not end.
    pub(crate) fn look(&self, policy: Policy, tell: &mut dyn FnMut(Vec<Order>)) -> Result<Sighting, Error> {
        let scope = if policy == Policy::Flatten { Scope::Account } else { self.scope };
        let may_stay = scope == Scope::Ours || policy == Policy::CancelKeepStops;
        let mut nested =
            if may_stay { self.open_orders(true)? } else { self.page("open", "nested=true", None)? };
        tell(open_orders(&nested, &[], scope)?);
        let positions = match self.call("GET", "/v2/positions", None, CALL_WAIT) {
            Err(error) if !may_stay || matches!(error, Error::BrokerBusy { .. }) => return Err(error),
            answered => answered,
        };
        let flat = match (may_stay, nested.is_empty()) {
            (true, _) => self.open_orders(false)?,
            // What is reserved says nothing where the broker leaves it out, or nets it away.
            (false, true) => self.page("open", "nested=false", None)?,
            (false, false) => Vec::new(),
        };
        if may_stay {
            nested.extend(entries(&nested, &flat, |of, until| self.page("closed", of, until))?);
        }
        if positions.is_err() {
            tell(open_orders(&nested, &flat, scope)?);
        }
        let positions = positions?;
        let mut seen = sighting(&nested, &flat, &positions, scope)?;
        if policy == Policy::Flatten && !seen.positions.is_empty() {
            // It only explains what is waited for, so a failure is no answer.
            let clock = self.call("GET", "/v2/clock", None, CALL_WAIT).ok();
            seen.market = clock.as_ref().and_then(market);
        }
        Ok(seen)
    }

    /// Every page, newest orders first.
    fn open_orders(&self, nested: bool) -> Result<Vec<Value>, Error> {
        let mut orders: Vec<Value> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut until = None;
        for _ in 0..MAX_PAGES {
            let page = self.page("open", &format!("nested={nested}"), until.as_deref())?;
            let is_last = page.len() < PAGE;
            let next = if is_last { None } else { Some(page_end(&page)?) };
            for order in page {
                let id = text(&order, "id").ok_or(Error::BrokerUnproven("an order has no id"))?;
                if seen.insert(id.to_owned()) {
                    orders.push(order);
                }
            }
            if is_last {
                return Ok(orders);
            }
            until = next;
        }
        Err(Error::BrokerUnproven("there are more pages of orders than are read"))
    }

    fn page(&self, status: &str, of: &str, until: Option<&str>) -> Result<Vec<Value>, Error> {
        let mut path = format!("/v2/orders?status={status}&limit={PAGE}&direction=desc&{of}");
        if let Some(until) = until {
            path += &format!("&until={}", until.replace('+', "%2B"));
        }
        match self.call("GET", &path, None, CALL_WAIT)? {
            Value::Array(orders) => Ok(orders),
            _ => Err(Error::BrokerUnproven("the orders are not a list")),
        }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>, wait: Duration) -> Result<Value, Error> {
        let answered = self.send(method, path, body, wait);
        // One that had no time to answer says nothing of where it is.
        if wait > ASK_WAIT && matches!(answered, Err(Error::BrokerSilent(_))) {
            self.doubt.raise();
        }
        answered
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>, wait: Duration) -> Result<Value, Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("APCA-API-KEY-ID", &self.credentials.key_id)
            .header("APCA-API-SECRET-KEY", &self.credentials.secret_key);
        let built = |error: ureq::http::Error| Error::BrokerSilent(error.to_string());
        let response = match body {
            None => {
                let request = request.body(()).map_err(built)?;
                let request = self.agent.configure_request(request).timeout_global(Some(wait)).build();
                self.agent.run(request)?
            }
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                let request = request.body(body.to_string()).map_err(built)?;
                let request = self.agent.configure_request(request).timeout_global(Some(wait)).build();
                self.agent.run(request)?
            }
        };
        answer(response)
    }
}

#[cfg(test)]
#[path = "broker_tests.rs"]
pub(crate) mod tests;
