//! The watchdog's own broker client: suspend, cancel, look. Tolerant in what it reads, strict in what it
//! concludes.
//!
//! No proxy of the environment, no redirects, no retries of its own, short time-outs. Three lanes, each a
//! thread with a queue of its own, so that a slow answer to one command delays no other.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use serde_json::{Value, json};
use ureq::{
    Agent, Body,
    http::{Response, StatusCode},
};

use crate::{
    ambient,
    config::Credentials,
    error::Error,
    machine::Input,
    mailbox::Mailbox,
    proof::{Command, Report, Scope, Sighting},
};

/// Begins every client order id of ours.
pub(crate) const PREFIX: &str = "sp-";
/// A connection must stand within this time.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// A request must be answered within this time.
const CALL_WAIT: Duration = Duration::from_secs(5);
/// Connections are kept warm at least so long.
const IDLE: Duration = Duration::from_secs(90);
/// An answer is never longer: 500 orders with legs take about 2 MB.
const MAX_BODY_BYTES: u64 = 16 << 20;
/// Commands that wait in a lane; the machine never sends more.
const LANE_DEPTH: usize = 4;
/// The broker lists at most so many orders.
const PAGE: usize = 500;
/// States of an order that is over. Any other, known or not, is open.
const OVER: [&str; 5] = ["filled", "canceled", "expired", "rejected", "replaced"];

/// The client.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    credentials: Credentials,
    scope: Scope,
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
        Self { agent: config.into(), base: base.trim_end_matches('/').into(), credentials, scope }
    }

    /// Whether trading is suspended.
    ///
    /// # Errors
    /// When the broker does not say.
    pub(crate) fn is_suspended(&self) -> Result<bool, Error> {
        let (_, body) = self.call("GET", "/v2/account/configurations", None)?;
        body.get("suspend_trade")
            .and_then(Value::as_bool)
            .ok_or(Error::BrokerUnproven("no `suspend_trade` in it"))
    }

    /// Suspends trading, or lifts it.
    ///
    /// # Errors
    /// When the broker does not confirm it.
    pub(crate) fn suspend(&self, suspend: bool) -> Result<(), Error> {
        let change = json!({ "suspend_trade": suspend });
        let (_, body) = self.call("PATCH", "/v2/account/configurations", Some(&change))?;
        match body.get("suspend_trade").and_then(Value::as_bool) {
            Some(now) if now != suspend => Err(Error::BrokerUnproven("`suspend_trade` did not change")),
            Some(_) | None => Ok(()),
        }
    }

    /// Asks for the cancel of every open order; how many cancels were taken.
    ///
    /// # Errors
    /// When the broker does not take the request.
    pub(crate) fn cancel_all(&self) -> Result<usize, Error> {
        let (_, body) = self.call("DELETE", "/v2/orders", None)?;
        let taken = |row: &&Value| row.get("status").and_then(Value::as_u64).is_some_and(|s| s < 300);
        Ok(body.as_array().map_or(0, |rows| rows.iter().filter(taken).count()))
    }

    /// Asks for the cancel of these; how many were taken. One that is over already (404, 422) is no failure:
    /// the next read tells.
    ///
    /// # Errors
    /// The last failure, when any order could not be asked for.
    pub(crate) fn cancel_each(&self, ids: &[String]) -> Result<usize, Error> {
        let mut taken = 0;
        let mut failure = None;
        for id in ids {
            match self.call("DELETE", &format!("/v2/orders/{id}"), None) {
                Ok(_) => taken += 1,
                Err(Error::BrokerStatus { status: 404 | 422, .. }) => {}
                // Each of the others would wait as long.
                Err(error @ Error::BrokerSilent(_)) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(taken), Err)
    }

    /// Looks for anything open.
    ///
    /// # Errors
    /// When either read fails or is not a list.
    pub(crate) fn look(&self) -> Result<Sighting, Error> {
        let path = format!("/v2/orders?status=open&limit={PAGE}&nested=true");
        let (_, orders) = self.call("GET", &path, None)?;
        let (_, positions) = self.call("GET", "/v2/positions", None)?;
        sighting(&orders, &positions, self.scope)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value), Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("APCA-API-KEY-ID", &self.credentials.key_id)
            .header("APCA-API-SECRET-KEY", &self.credentials.secret_key);
        let built = |error: ureq::http::Error| Error::BrokerSilent(error.to_string());
        let response = match body {
            None => self.agent.run(request.body(()).map_err(built)?)?,
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string()).map_err(built)?)?
            }
        };
        answer(response)
    }
}

fn answer(mut response: Response<Body>) -> Result<(StatusCode, Value), Error> {
    let status = response.status();
    let text = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_string()?;
    if !status.is_success() {
        let message = text.chars().take(200).collect();
        return Err(Error::BrokerStatus { status: status.as_u16(), message });
    }
    if text.is_empty() {
        return Ok((status, Value::Null));
    }
    let body = serde_json::from_str(&text).map_err(|_| Error::BrokerUnproven("it is not JSON"))?;
    Ok((status, body))
}

/// What is open, from the two lists.
fn sighting(orders: &Value, positions: &Value, scope: Scope) -> Result<Sighting, Error> {
    let orders = orders.as_array().ok_or(Error::BrokerUnproven("the orders are not a list"))?;
    let positions = positions.as_array().ok_or(Error::BrokerUnproven("the positions are not a list"))?;
    let mut seen = Sighting::default();
    let mut foreign = Vec::new();
    for order in orders {
        let is_ours = text(order, "client_order_id").is_some_and(|id| id.starts_with(PREFIX));
        if scope == Scope::Account || is_ours {
            open_ids(order, &mut seen.open)?;
        } else {
            foreign.extend(text(order, "symbol"));
        }
    }
    for position in positions {
        let symbol = text(position, "symbol").unwrap_or_default();
        // In scope `ours` a foreign order on the symbol explains a reservation.
        if is_reserved(position) && !foreign.contains(&symbol) {
            seen.reserved.push(symbol.into());
        }
    }
    Ok(seen)
}

/// The order's id and those of its legs, as far as they are not over.
fn open_ids(order: &Value, ids: &mut Vec<String>) -> Result<(), Error> {
    if !text(order, "status").is_some_and(|status| OVER.contains(&status)) {
        let id = text(order, "id").ok_or(Error::BrokerUnproven("an order has no id"))?;
        // It goes into a path: nothing but what an id is made of.
        if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Error::BrokerUnproven("an order's id is not one"));
        }
        ids.push(id.into());
    }
    let legs = order.get("legs").and_then(Value::as_array);
    legs.into_iter().flatten().try_for_each(|leg| open_ids(leg, ids))
}

/// Part of the position is held for an order, listed or not. A quantity that is not a number counts as held.
fn is_reserved(position: &Value) -> bool {
    let number = |key| match position.get(key) {
        Some(Value::String(text)) => text.parse::<f64>().ok().map(f64::abs),
        Some(Value::Number(number)) => number.as_f64().map(f64::abs),
        Some(_) | None => None,
    };
    match position.get("qty_available") {
        None | Some(Value::Null) => false,
        Some(_) => match (number("qty_available"), number("qty")) {
            (Some(available), Some(all)) => available < all,
            (None, _) | (_, None) => true,
        },
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The three threads.
pub(crate) struct Lanes {
    suspend: SyncSender<Command>,
    cancel: SyncSender<Command>,
    read: SyncSender<Command>,
}

impl Lanes {
    /// Starts them.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn start(client: &Arc<Client>, mailbox: &Mailbox) -> io::Result<Self> {
        let lane = |name: &str| -> io::Result<SyncSender<Command>> {
            let (commands, waiting) = sync_channel(LANE_DEPTH);
            let (client, mailbox) = (Arc::clone(client), mailbox.clone());
            let thread = std::thread::Builder::new().name(name.into()).stack_size(crate::STACK_BYTES);
            thread.spawn(move || work(&client, &waiting, &mailbox))?;
            Ok(commands)
        };
        Ok(Self { suspend: lane("suspend")?, cancel: lane("cancel")?, read: lane("read")? })
    }

    /// Never waits. False when the lane is full, which means that the machine lost count.
    pub(crate) fn send(&self, command: Command) -> bool {
        let lane = match &command {
            Command::Suspend => &self.suspend,
            Command::CancelAll | Command::CancelEach(_) => &self.cancel,
            Command::Warm | Command::Read => &self.read,
        };
        lane.try_send(command).is_ok()
    }
}

fn work(client: &Client, waiting: &Receiver<Command>, mailbox: &Mailbox) {
    while let Ok(command) = waiting.recv() {
        let words = |error: Error| error.to_string();
        let report = match command {
            Command::Warm => Report::Warmed(client.is_suspended().map_err(words)),
            Command::Suspend => Report::Suspended(client.suspend(true).map_err(words)),
            Command::CancelAll => Report::Cancelled(client.cancel_all().map_err(words)),
            Command::CancelEach(ids) => Report::Cancelled(client.cancel_each(&ids).map_err(words)),
            Command::Read => {
                let started = ambient::boot_time();
                Report::Read { started, result: client.look().map_err(words) }
            }
        };
        if !mailbox.post(Input::Broker(report)) {
            return;
        }
    }
}

#[cfg(test)]
#[path = "broker_tests.rs"]
mod tests;
