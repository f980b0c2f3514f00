//! Four questions to the broker, by GET: the account, the clock, an asset, and the time on its answer.
//!
//! It passes no gate of the host's budget: a human's command asks once, in a process of its own.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use crate::{World, keys::KeyPair, times::http_date};

/// A connection must stand within this time.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
/// A question must be answered within this time, its name looked up.
const CALL_WAIT: Duration = Duration::from_secs(6);
/// An answer is never longer.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// What the broker said.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Yes, and this.
    Given(Value),
    /// It does not accept the key (401, 403).
    NotAccepted(u16),
    /// It has no such thing (404).
    Nothing,
    /// Something else than an answer.
    Odd(u16),
    /// Nothing in time, or no connection; in words.
    Silent(String),
}

/// The broker at one address.
pub(crate) struct Broker {
    agent: Agent,
    base: String,
}

/// How the machine's clock stands against the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    /// Seconds that the machine is ahead; the broker's stamp is one of whole seconds.
    pub(crate) ahead_s: i64,
}

impl Broker {
    /// At `base`, such as `https://paper-api.alpaca.markets`.
    pub(crate) fn new(base: &str) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WAIT))
            .timeout_global(Some(CALL_WAIT))
            .user_agent("sandpit")
            .build();
        Self { agent: config.into(), base: base.trim_end_matches('/').to_owned() }
    }

    /// The account behind the keys.
    pub(crate) fn account(&self, keys: &KeyPair) -> Answer {
        self.get("/v2/account", keys).0
    }

    /// An asset, such as `SPY`.
    pub(crate) fn asset(&self, symbol: &str, keys: &KeyPair) -> Answer {
        self.get(&format!("/v2/assets/{symbol}"), keys).0
    }

    /// Whether it answers at all, and how the machine's clock stands against the date on the answer.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub(crate) fn skew(&self, keys: Option<&KeyPair>, world: &World) -> Result<Option<Skew>, String> {
        let nobody = KeyPair::nobody();
        let before = (world.now_unix_s)();
        let (answer, date) = self.get("/v2/clock", keys.unwrap_or(&nobody));
        let after = (world.now_unix_s)();
        match answer {
            Answer::Silent(why) => Err(why),
            Answer::Given(_) | Answer::NotAccepted(_) | Answer::Nothing | Answer::Odd(_) => {
                Ok(date.map(|date| skew(before, date, after)))
            }
        }
    }

    fn get(&self, path: &str, keys: &KeyPair) -> (Answer, Option<u64>) {
        let request = self.agent.get(format!("{}{path}", self.base));
        let request = request.header("APCA-API-KEY-ID", keys.id.expose());
        let mut response = match request.header("APCA-API-SECRET-KEY", keys.secret.expose()).call() {
            Ok(response) => response,
            Err(error) => return (Answer::Silent(error.to_string()), None),
        };
        let date = response.headers().get("date").and_then(|date| http_date(date.to_str().ok()?));
        let answer = match response.status().as_u16() {
            200 => match response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_json() {
                Ok(value) => Answer::Given(value),
                Err(_) => Answer::Odd(200),
            },
            status @ (401 | 403) => Answer::NotAccepted(status),
            404 => Answer::Nothing,
            status => Answer::Odd(status),
        };
        (answer, date)
    }
}

impl KeyPair {
    /// For a question that needs no key to be answered with a date.
    fn nobody() -> Self {
        let word = |text: &str| crate::keys::Secret::new(text).expect("one word");
        Self { id: word("none"), secret: word("none") }
    }
}

/// The least that explains the stamps: the answer left the broker between `before` and `after`, and its date
/// has lost its fraction.
fn skew(before: u64, date: u64, after: u64) -> Skew {
    let (before, date, after) = [before, date, after].map(|at| i64::try_from(at).unwrap_or(i64::MAX)).into();
    let ahead_s = if before > date + 1 {
        before - date - 1
    } else if after < date {
        after - date
    } else {
        0
    };
    Skew { ahead_s }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_only_wrong_by_what_the_stamps_cannot_explain() {
        let check = |before, date, after, ahead_s| {
            assert_eq!(skew(before, date, after), Skew { ahead_s }, "{before} {date} {after}");
        };
        check(100, 100, 100, 0);
        check(100, 99, 100, 0);
        check(100, 98, 100, 1);
        check(100, 103, 106, 0);
        check(100, 103, 101, -2);
        check(200, 100, 201, 99);
    }
}
