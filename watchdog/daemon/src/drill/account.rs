//! The drill account: the only thing in this program that can place an order.
//!
//! It exists only for an account that has been told apart from the traded one ([`DrillAccount::open`]), so an
//! order of a drill cannot reach that one. It reads the broker with code of its own: what a kill claims is
//! compared with what another reader sees.

use std::{collections::BTreeMap, ffi::OsString, time::Duration};

use serde_json::{Value, json};
use ureq::Agent;

use super::address::Address;
use crate::{ambient, config::Credentials, error::Error, secret::secret};

/// Begins every client order id of a drill.
pub(crate) const PREFIX: &str = "sp-drill-";
/// The two halves of the drill account's key in the environment.
pub(crate) const KEY_NAMES: [&str; 2] = ["DRILL_APCA_API_KEY_ID", "DRILL_APCA_API_SECRET_KEY"];
/// A connection must stand within this time.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// A request must be answered within this time.
const CALL_WAIT: Duration = Duration::from_secs(10);
/// A broker that says 429 has done nothing: it is asked again, for longer than the minute that it counts.
const PATIENCE: Duration = Duration::from_secs(65);
/// Between two such tries.
const AGAIN: Duration = Duration::from_secs(3);
/// An answer is never longer.
const MAX_BODY_BYTES: u64 = 16 << 20;
/// The broker lists at most so many orders; an account with more is no drill account.
const PAGE: usize = 500;
/// States of an order that is over. Any other, known or not, is open.
const OVER: [&str; 5] = ["filled", "canceled", "expired", "rejected", "replaced"];
/// Far below the market, and cheap if it were filled.
const LIMIT_PRICE: &str = "1.00";
/// The exits of a bracket around it.
const EXITS: (&str, &str) = ("2.00", "0.50");

/// How an account is known to be no traded one.
pub(crate) enum Guard<'a> {
    /// It must not be this one.
    NotTraded(&'a Traded),
    /// It must be the one with this id, which was told apart before.
    Exactly(&'a str),
}

/// The account that the host trades. Nothing but its id is ever asked for.
pub(crate) struct Traded {
    /// Where.
    pub(crate) url: String,
    /// Its key.
    pub(crate) key: Credentials,
}

/// An account that may be drilled.
pub(crate) struct DrillAccount {
    wire: Wire,
    id: String,
}

/// An order of a drill.
pub(crate) struct DrillOrder<'a> {
    /// What is bought; one share.
    pub(crate) symbol: &'a str,
    /// Begins with [`PREFIX`].
    pub(crate) client_id: &'a str,
    /// With a take-profit and a stop.
    pub(crate) is_bracket: bool,
}

/// An order as the broker lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The broker's id.
    pub(crate) id: String,
    /// The client's id.
    pub(crate) client_id: String,
    /// It, or a leg of it, is not over.
    pub(crate) is_open: bool,
    /// It was cancelled.
    pub(crate) is_cancelled: bool,
}

impl DrillAccount {
    /// The one way to such an account. `url` must be an [`Address`] that may be drilled, the key another one
    /// than the traded account's at the same place, and the ids that the broker tells must differ. Where the
    /// traded account cannot be read, another place is proof enough, the same place is not.
    ///
    /// # Errors
    /// [`Error::DrillRefused`] when it is, or may be, the traded account; or when the broker does not answer.
    pub(crate) fn open(url: &str, key: Credentials, guard: &Guard<'_>) -> Result<Self, Error> {
        let refused = |why: &str| Err(Error::DrillRefused(why.into()));
        let address = Address::parse(url).map_err(Error::DrillRefused)?;
        if let Guard::NotTraded(traded) = guard
            && traded.key.key_id == key.key_id
            && address.is_same_place(&traded.url)
        {
            return refused(
                "DRILL_APCA_API_KEY_ID is the key of the traded account (APCA_API_KEY_ID): a drill would \
                 stop its trading; give the drill an account of its own",
            );
        }
        let wire = Wire::new(address.base(), key);
        let id = wire.account_id()?;
        match guard {
            Guard::Exactly(expected) if id != *expected => {
                return refused("the broker's account is not the one that the drill was begun with");
            }
            Guard::Exactly(_) => {}
            Guard::NotTraded(traded) => match Wire::new(&traded.url, traded.key.clone()).account_id() {
                Ok(other) if other == id => {
                    return refused(
                        "the drill's key leads to the traded account: a drill would stop its trading; give \
                         the drill an account of its own",
                    );
                }
                Ok(_) => {}
                Err(_) if address.is_same_place(&traded.url) => {
                    return refused(
                        "the traded account is at the same broker and could not be read, so nobody can tell \
                         that the drill's is another one",
                    );
                }
                // Another place may be the same account behind a proxy.
                Err(_) if traded.key.key_id == wire.key.key_id => {
                    return refused(
                        "DRILL_APCA_API_KEY_ID is APCA_API_KEY_ID, and the traded account could not be read, \
                         so nobody can tell that the drill's is another one",
                    );
                }
                Err(_) => {}
            },
        }
        Ok(Self { wire, id })
    }

    /// The broker's id of it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Places an order, unless `may_trade` says no at the last moment; the broker's id of it.
    ///
    /// # Errors
    /// [`Error::DrillFailed`] without the right to trade; or the broker's answer.
    pub(crate) fn place(
        &self,
        order: &DrillOrder<'_>,
        may_trade: impl Fn() -> bool,
    ) -> Result<String, Error> {
        let mut body = json!({
            "symbol": order.symbol, "qty": "1", "side": "buy", "type": "limit", "time_in_force": "day",
            "limit_price": LIMIT_PRICE, "client_order_id": order.client_id,
        });
        if order.is_bracket {
            body["order_class"] = json!("bracket");
            body["take_profit"] = json!({ "limit_price": EXITS.0 });
            body["stop_loss"] = json!({ "stop_price": EXITS.1 });
        }
        let answer = patiently(|| {
            // Each time anew: the lease may have ended while we waited.
            if !may_trade() {
                return Err(Error::DrillFailed("the lease ended before an order left".into()));
            }
            self.wire.call_once("POST", "/v2/orders", Some(&body))
        })?;
        text(&answer, "id").ok_or(Error::BrokerUnproven("a placed order has no id"))
    }

    /// Asks for the cancel of one order. One that is over already is no failure.
    ///
    /// # Errors
    /// When the broker does not take the request.
    pub(crate) fn cancel(&self, id: &str) -> Result<(), Error> {
        match self.wire.call("DELETE", &format!("/v2/orders/{id}"), None) {
            Ok(_) | Err(Error::BrokerStatus { status: 404 | 422, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Every open order, whosever.
    ///
    /// # Errors
    /// When the broker does not list them.
    pub(crate) fn open_orders(&self) -> Result<Vec<Listed>, Error> {
        let listed = self.list("open")?;
        Ok(listed.into_iter().filter(|order| order.is_open).collect())
    }

    /// The orders, over or not, whose client id begins with `prefix`, among the newest 500.
    ///
    /// # Errors
    /// When the broker does not list them.
    pub(crate) fn orders_of(&self, prefix: &str) -> Result<BTreeMap<String, Listed>, Error> {
        let listed = self.list("all")?.into_iter().filter(|order| order.client_id.starts_with(prefix));
        Ok(listed.map(|order| (order.id.clone(), order)).collect())
    }

    fn list(&self, status: &str) -> Result<Vec<Listed>, Error> {
        let path = format!("/v2/orders?status={status}&limit={PAGE}&direction=desc&nested=true");
        let answer = self.wire.call("GET", &path, None)?;
        let rows = answer.as_array().ok_or(Error::BrokerUnproven("the orders are not a list"))?;
        if status == "open" && rows.len() >= PAGE {
            return Err(Error::BrokerUnproven("there are more open orders than one page holds"));
        }
        rows.iter().map(listed).collect()
    }

    /// Symbols of which there is a position.
    ///
    /// # Errors
    /// When the broker does not list them.
    pub(crate) fn positions(&self) -> Result<Vec<String>, Error> {
        let answer = self.wire.call("GET", "/v2/positions", None)?;
        let rows = answer.as_array().ok_or(Error::BrokerUnproven("the positions are not a list"))?;
        Ok(rows.iter().map(|row| text(row, "symbol").unwrap_or_default()).collect())
    }

    /// Whether trading is suspended.
    ///
    /// # Errors
    /// When the broker does not say.
    pub(crate) fn is_suspended(&self) -> Result<bool, Error> {
        suspension(&self.wire.call("GET", "/v2/account/configurations", None)?)
    }

    /// Lifts the suspension.
    ///
    /// # Errors
    /// When the broker does not confirm it.
    pub(crate) fn lift(&self) -> Result<(), Error> {
        let change = json!({ "suspend_trade": false });
        match suspension(&self.wire.call("PATCH", "/v2/account/configurations", Some(&change))?)? {
            false => Ok(()),
            true => Err(Error::BrokerUnproven("`suspend_trade` did not change")),
        }
    }
}

/// The drill account's key.
///
/// # Errors
/// [`Error::Config`] when a half is missing.
pub(crate) fn key(variable: impl Fn(&str) -> Option<OsString>) -> Result<Credentials, Error> {
    let read = |name: &str| match secret(&variable, name)? {
        Some(secret) => Ok(secret.expose().to_owned()),
        None => Err(Error::Config(format!(
            "the environment variable {name} is missing: set it to the key of the account for drills"
        ))),
    };
    Ok(Credentials { key_id: read(KEY_NAMES[0])?, secret_key: read(KEY_NAMES[1])? })
}

/// Requests and answers: no proxy, no redirect, no retry.
struct Wire {
    agent: Agent,
    base: String,
    key: Credentials,
}

impl Wire {
    fn new(base: &str, key: Credentials) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WAIT))
            .timeout_global(Some(CALL_WAIT))
            .user_agent("sandpit-watchdog drill")
            .build();
        Self { agent: config.into(), base: base.trim_end_matches('/').into(), key }
    }

    fn account_id(&self) -> Result<String, Error> {
        let account = self.call("GET", "/v2/account", None)?;
        text(&account, "id").ok_or(Error::BrokerUnproven("the account has no id"))
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        patiently(|| self.call_once(method, path, body))
    }

    fn call_once(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("APCA-API-KEY-ID", &self.key.key_id)
            .header("APCA-API-SECRET-KEY", &self.key.secret_key);
        let built = |error: ureq::http::Error| Error::BrokerSilent(error.to_string());
        let mut response = match body {
            None => self.agent.run(request.body(()).map_err(built)?)?,
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string()).map_err(built)?)?
            }
        };
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
}

/// Waits for the quota, and for nothing else.
fn patiently(mut call: impl FnMut() -> Result<Value, Error>) -> Result<Value, Error> {
    let start = ambient::boot_time();
    loop {
        match call() {
            Err(Error::BrokerStatus { status: 429, .. }) if ambient::boot_time().since(start) < PATIENCE => {
                ambient::pause(AGAIN);
            }
            result => return result,
        }
    }
}

fn suspension(body: &Value) -> Result<bool, Error> {
    let is_suspended = body.get("suspend_trade").and_then(Value::as_bool);
    is_suspended.ok_or(Error::BrokerUnproven("no `suspend_trade` in it"))
}

fn listed(row: &Value) -> Result<Listed, Error> {
    let id = text(row, "id").ok_or(Error::BrokerUnproven("an order has no id"))?;
    // It goes into a path: nothing but what an id is made of.
    if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(Error::BrokerUnproven("an order has an id that is none"));
    }
    Ok(Listed {
        id,
        client_id: text(row, "client_order_id").unwrap_or_default(),
        is_open: is_open(row),
        is_cancelled: text(row, "status").as_deref() == Some("canceled"),
    })
}

fn is_open(row: &Value) -> bool {
    let is_over = text(row, "status").is_some_and(|status| OVER.contains(&status.as_str()));
    !is_over || row.get("legs").and_then(Value::as_array).is_some_and(|legs| legs.iter().any(is_open))
}

fn text(row: &Value, name: &str) -> Option<String> {
    row.get(name).and_then(Value::as_str).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key_id: &str) -> Credentials {
        Credentials { key_id: key_id.into(), secret_key: "s".into() }
    }

    #[test]
    fn no_traded_account_is_opened() {
        // Nobody listens there: what is refused is refused before anything is sent.
        let nowhere = "http://127.0.0.1:9";
        let traded = Traded { url: "http://localhost:9".into(), key: pair("traded") };
        let open = |url, key: &str| DrillAccount::open(url, pair(key), &Guard::NotTraded(&traded)).err();
        assert!(matches!(open(nowhere, "traded"), Some(Error::DrillRefused(_))));
        assert!(matches!(open("https://api.alpaca.markets", "other"), Some(Error::DrillRefused(_))));
        // Another key, so the broker is asked, and is not there.
        assert!(matches!(open(nowhere, "other"), Some(Error::BrokerSilent(_))));
    }

    #[test]
    fn nothing_leaves_without_a_lease() {
        let wire = Wire::new("http://127.0.0.1:9", pair("k"));
        let account = DrillAccount { wire, id: "a".into() };
        let order = DrillOrder { symbol: "SPY", client_id: "sp-drill-1", is_bracket: false };
        assert!(matches!(account.place(&order, || false), Err(Error::DrillFailed(_))));
        // With one it is tried, and nobody is there.
        assert!(matches!(account.place(&order, || true), Err(Error::BrokerSilent(_))));
    }

    #[test]
    fn an_open_leg_keeps_its_order_open() {
        let row =
            |status: &str, leg: &str| json!({ "id": "a", "status": status, "legs": [{ "status": leg }] });
        for (status, leg, expected) in [
            ("canceled", "canceled", false),
            ("filled", "held", true),
            ("pending_cancel", "canceled", true),
            ("something new", "canceled", true),
        ] {
            assert_eq!(listed(&row(status, leg)).expect("an order").is_open, expected, "{status} {leg}");
        }
        assert!(listed(&json!({ "id": "../x", "status": "new" })).is_err());
        assert!(listed(&json!({ "id": "x" })).expect("an order").is_open, "an unknown state is open");
    }
}
