//! The watchdog's own broker client: suspend, cancel, look. Tolerant in what it reads, strict in what it
//! concludes.
//!
//! No proxy of the environment, no redirects, no retries of its own, short time-outs. Three lanes, each a
//! thread with a queue of its own, so that a slow answer to one command delays no other.

mod sighting;

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use serde_json::{Value, json};
use ureq::{Agent, Body, http::Response};

use crate::{
    ambient,
    config::Credentials,
    error::Error,
    machine::Input,
    mailbox::Mailbox,
    proof::{Command, Report, Scope, Sighting, Unread},
};
use sighting::{sighting, text};

/// A connection must stand within this time.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// A request must be answered within this time.
const CALL_WAIT: Duration = Duration::from_secs(5);
/// A suspension waits at most so long to learn whether it is the first.
const ASK_WAIT: Duration = Duration::from_millis(200);
/// Connections are kept warm at least so long.
const IDLE: Duration = Duration::from_secs(90);
/// An answer is never longer: 500 orders with legs take about 2 MB.
const MAX_BODY_BYTES: u64 = 16 << 20;
/// Commands that wait in a lane; the machine never sends more.
const LANE_DEPTH: usize = 4;
/// The broker lists at most so many orders.
const PAGE: usize = 500;
/// So many pages are read before the answer counts as no proof.
const MAX_PAGES: usize = 10;

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
        self.ask_suspended(CALL_WAIT)
    }

    /// As [`Self::is_suspended`], but a suspension waits for it: no answer in time is none.
    pub(crate) fn was_suspended(&self) -> Option<bool> {
        self.ask_suspended(ASK_WAIT).ok()
    }

    fn ask_suspended(&self, wait: Duration) -> Result<bool, Error> {
        let body = self.call("GET", "/v2/account/configurations", None, wait)?;
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
        let body = self.call("PATCH", "/v2/account/configurations", Some(&change), CALL_WAIT)?;
        match body.get("suspend_trade").and_then(Value::as_bool) {
            Some(now) if now == suspend => Ok(()),
            Some(_) => Err(Error::BrokerUnproven("`suspend_trade` did not change")),
            None => Err(Error::BrokerUnproven("no `suspend_trade` in it")),
        }
    }

    /// Asks for the cancel of every open order; how many cancels were taken.
    ///
    /// # Errors
    /// When the broker does not take the request.
    pub(crate) fn cancel_all(&self) -> Result<usize, Error> {
        let body = self.call("DELETE", "/v2/orders", None, CALL_WAIT)?;
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
            match self.call("DELETE", &format!("/v2/orders/{id}"), None, CALL_WAIT) {
                Ok(_) => taken += 1,
                Err(Error::BrokerStatus { status: 404 | 422, .. }) => {}
                // Each of the others would wait as long.
                Err(error @ Error::BrokerSilent(_)) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(taken), Err)
    }

    /// Looks for anything open. In scope `ours` every page counts, because foreign orders may fill the first
    /// ones, and the legs of a parent that is over are listed only as rows of their own.
    ///
    /// # Errors
    /// When a read fails, is not a list, or does not end.
    pub(crate) fn look(&self) -> Result<Sighting, Error> {
        let (nested, flat) = match self.scope {
            Scope::Account => (self.page(true, None)?, Vec::new()),
            Scope::Ours => (self.open_orders(true)?, self.open_orders(false)?),
        };
        let positions = self.call("GET", "/v2/positions", None, CALL_WAIT)?;
        sighting(&nested, &flat, &positions, self.scope)
    }

    /// Every page, newest orders first.
    fn open_orders(&self, nested: bool) -> Result<Vec<Value>, Error> {
        let mut orders: Vec<Value> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut until = None;
        for _ in 0..MAX_PAGES {
            let page = self.page(nested, until.as_deref())?;
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

    fn page(&self, nested: bool, until: Option<&str>) -> Result<Vec<Value>, Error> {
        let mut path = format!("/v2/orders?status=open&limit={PAGE}&direction=desc&nested={nested}");
        if let Some(until) = until {
            path += &format!("&until={}", until.replace('+', "%2B"));
        }
        match self.call("GET", &path, None, CALL_WAIT)? {
            Value::Array(orders) => Ok(orders),
            _ => Err(Error::BrokerUnproven("the orders are not a list")),
        }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>, wait: Duration) -> Result<Value, Error> {
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

fn answer(mut response: Response<Body>) -> Result<Value, Error> {
    let status = response.status();
    let text = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_string()?;
    if !status.is_success() {
        let message = text.chars().take(200).collect();
        return Err(Error::BrokerStatus { status: status.as_u16(), message });
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).map_err(|_| Error::BrokerUnproven("it is not JSON"))
}

/// Where the next page begins: `until` is exclusive, and the page may have cut orders of one moment in two,
/// so the moment before the last one counts. What comes twice is known by its id.
fn page_end(page: &[Value]) -> Result<String, Error> {
    let moments = page.iter().rev().map(|order| text(order, "submitted_at"));
    let moments: Option<Vec<&str>> = moments.collect();
    let moments = moments.ok_or(Error::BrokerUnproven("an order has no `submitted_at`"))?;
    let is_plain = |moment: &str| moment.chars().all(|c| c.is_ascii_alphanumeric() || "+-:.".contains(c));
    let end = moments.iter().find(|moment| Some(*moment) != moments.first() && is_plain(moment));
    end.map(|end| (*end).to_owned()).ok_or(Error::BrokerUnproven("a whole page of orders is of one moment"))
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
            Command::Suspend { .. } | Command::Check => &self.suspend,
            Command::CancelAll | Command::CancelEach(_) => &self.cancel,
            Command::Warm | Command::Read => &self.read,
        };
        lane.try_send(command).is_ok()
    }
}

fn unread(error: Error) -> Unread {
    match error {
        Error::BrokerStatus { status: 401 | 403, .. } => Unread::KeyRefused(error.to_string()),
        error => Unread::Other(error.to_string()),
    }
}

fn work(client: &Client, waiting: &Receiver<Command>, mailbox: &Mailbox) {
    while let Ok(command) = waiting.recv() {
        let words = |error: Error| error.to_string();
        let report = match command {
            Command::Warm => Report::Warmed(client.is_suspended().map_err(unread)),
            Command::Check => Report::Checked(client.is_suspended().map_err(words)),
            Command::Suspend { asks } => {
                if asks
                    && let Some(before) = client.was_suspended()
                    && !mailbox.post(Input::Broker(Report::SuspendedBefore(before)))
                {
                    return;
                }
                Report::Suspended(client.suspend(true).map_err(words))
            }
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
