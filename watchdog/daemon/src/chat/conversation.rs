//! What the bot makes of messages. No clock, no I/O.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::Answer;
use crate::alerts::{Failure, plain};

/// A poll waits so long for a message, seconds.
pub(super) const POLL_S: u64 = 25;
/// Messages of one poll; more wait for the next one. After a failure it is one: strangers may write to a bot,
/// and an answer full of the longest messages must not be one that is never read.
const POLL_LIMIT: usize = 10;
/// Strangers that are named in the log; further ones are not.
const MAX_STRANGERS: usize = 16;
/// After the first failure in a row; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a panic waits as long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A poll that brought nothing takes at least so long, whatever the service makes of the wait.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// Characters of a reason.
const MAX_REASON: usize = 200;

const CONFLICT: &str =
    "another program polls this bot, or it has a webhook (409): give the watchdog a bot of its own";

const HELP: &str = "/panic REASON kills: no lease, no host, no open order. Nobody can arm from here.\n\
                    /status says how it stands.";

/// What somebody who may wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Kill.
    Panic {
        chat: i64,
        /// When it was sent, by the service's clock.
        date_unix_s: u64,
        reason: String,
    },
    /// A picture.
    Status { chat: i64 },
    /// Anything else that begins with a slash.
    Help { chat: i64 },
}

impl Order {
    pub(super) fn is_panic(&self) -> bool {
        matches!(self, Self::Panic { .. })
    }
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Kill { reason: String },
    Status { chat: i64 },
    Say { chat: i64, text: String },
    Log(String),
}

/// The whole exchange with the service.
#[derive(Debug)]
pub(super) struct Conversation {
    allowed: BTreeSet<i64>,
    host: String,
    /// The first update that has not been taken.
    offset: i64,
    strangers: BTreeSet<i64>,
    /// Failures in a row.
    failures: u32,
    wish: Duration,
    said: Option<String>,
    /// Nothing older can still come: when the last poll that brought everything began, by our clock.
    emptied_unix_s: Option<u64>,
    /// The last answer held fewer messages than it could.
    is_empty: bool,
    brought_none: bool,
    lines: Vec<String>,
}

impl Conversation {
    /// With whom.
    pub(super) fn new(allowed: &[i64], host: String) -> Self {
        Self {
            allowed: allowed.iter().copied().collect(),
            host,
            offset: 0,
            strangers: BTreeSet::new(),
            failures: 0,
            wish: Duration::ZERO,
            said: None,
            emptied_unix_s: None,
            is_empty: false,
            brought_none: true,
            lines: Vec::new(),
        }
    }

    /// The next question. It confirms everything below its offset.
    pub(super) fn poll(&self) -> Value {
        json!({
            "offset": self.offset,
            "timeout": POLL_S,
            "limit": self.limit(),
            "allowed_updates": ["message"],
        })
    }

    fn limit(&self) -> usize {
        if self.failures > 0 { 1 } else { POLL_LIMIT }
    }

    /// Takes the answer in.
    pub(super) fn take(&mut self, answer: Answer) -> Vec<Order> {
        let limit = self.limit();
        self.is_empty = false;
        self.brought_none = true;
        let updates = match answer {
            Ok(value) => value.get("result").and_then(Value::as_array).cloned(),
            Err(failure) => {
                self.failed(failure);
                return Vec::new();
            }
        };
        let Some(updates) = updates else {
            let why = "the service's answer is not understood".into();
            self.failed(Failure::Later { why, wait: None });
            return Vec::new();
        };
        if std::mem::take(&mut self.failures) > 0 && self.said.take().is_some() {
            self.lines.push("the service answers again".into());
        }
        self.wish = Duration::ZERO;
        self.is_empty = updates.len() < limit;
        self.brought_none = updates.is_empty();
        let mut orders = Vec::new();
        for update in &updates {
            if let Some(id) = update.get("update_id").and_then(Value::as_i64) {
                self.offset = self.offset.max(id.saturating_add(1));
            }
            orders.extend(self.order(update));
        }
        orders
    }

    fn order(&mut self, update: &Value) -> Option<Order> {
        let message = update.get("message")?;
        let chat = message.pointer("/chat/id")?.as_i64()?;
        if !self.allowed.contains(&chat) {
            if self.strangers.len() < MAX_STRANGERS && self.strangers.insert(chat) {
                self.lines.push(format!(
                    "chat {chat} spoke to the bot, is not in `telegram_chat_ids`, and gets no answer"
                ));
            }
            return None;
        }
        let text = message.get("text")?.as_str()?.trim();
        let (command, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        // In a group the bot's name may follow.
        let command = command.split('@').next().unwrap_or_default().to_ascii_lowercase();
        match command.as_str() {
            "/panic" => {
                let date_unix_s = message.get("date").and_then(Value::as_u64).unwrap_or(u64::MAX);
                let reason = plain(rest.trim()).chars().take(MAX_REASON).collect();
                Some(Order::Panic { chat, date_unix_s, reason })
            }
            "/status" => Some(Order::Status { chat }),
            _ if command.starts_with('/') => Some(Order::Help { chat }),
            _ => None,
        }
    }

    /// Decides about what the poll that began at `began_unix_s` brought; `armed_at` is when a human armed, by
    /// the same clock, `None` when not armed or not known.
    pub(super) fn judge(
        &mut self,
        orders: Vec<Order>,
        armed_at: Option<u64>,
        began_unix_s: u64,
    ) -> Vec<Deed> {
        let mut deeds: Vec<Deed> = std::mem::take(&mut self.lines).into_iter().map(Deed::Log).collect();
        for order in orders {
            match order {
                Order::Panic { chat, date_unix_s, .. } if self.is_stale(date_unix_s, armed_at) => {
                    let text = "ignored: that /panic is older than the arming; send it again to kill";
                    deeds.push(Deed::Say { chat, text: text.into() });
                    deeds.push(Deed::Log(format!(
                        "a /panic of chat {chat} is older than the arming: ignored"
                    )));
                }
                Order::Panic { chat, reason, .. } => {
                    let reason = if reason.is_empty() { "no reason given".into() } else { reason };
                    deeds.push(Deed::Kill { reason: format!("chat {chat}: {reason}") });
                    let text = "taken: no lease is granted any more; /status shows the proof";
                    deeds.push(Deed::Say { chat, text: text.into() });
                }
                Order::Status { chat } => deeds.push(Deed::Status { chat }),
                Order::Help { chat } => deeds.push(Deed::Say { chat, text: HELP.into() }),
            }
        }
        if self.is_empty {
            self.emptied_unix_s = Some(began_unix_s);
        }
        deeds
    }

    /// Sent before a human armed: he has seen to it. The two clocks may differ, and a kill is not lost to
    /// that: what comes after a poll that brought everything, and that began after the arming, is newer.
    fn is_stale(&self, date_unix_s: u64, armed_at: Option<u64>) -> bool {
        let Some(armed_at) = armed_at else {
            return false;
        };
        let came_since = self.emptied_unix_s.is_some_and(|emptied| armed_at < emptied);
        date_unix_s < armed_at && !came_since
    }

    /// How long to wait before the next poll, after one that took so long.
    pub(super) fn pause(&self, took: Duration) -> Duration {
        if self.failures > 0 {
            let doubled = FIRST_PAUSE * 2_u32.saturating_pow((self.failures - 1).min(6));
            return doubled.min(LONGEST_PAUSE).max(self.wish);
        }
        if self.brought_none { SHORTEST_POLL.saturating_sub(took) } else { Duration::ZERO }
    }

    fn failed(&mut self, failure: Failure) {
        self.failures = self.failures.saturating_add(1);
        let (why, wish) = match failure {
            Failure::Later { why, wait } => (why, wait.unwrap_or_default()),
            Failure::Refused(why) if why.starts_with("status 409") => (CONFLICT.into(), Duration::ZERO),
            Failure::Refused(why) => (why, Duration::ZERO),
        };
        self.wish = wish.min(LONGEST_PAUSE);
        if self.said.as_ref() != Some(&why) {
            self.lines.push(format!("no commands are heard, tried again: {why}"));
            self.said = Some(why);
        }
    }

    /// A few lines about how it stands: `status` is the one that `sandpit-watchdog status --json` prints.
    pub(super) fn describe(&self, status: &Value) -> String {
        let word = |path: &str| status.pointer(path).and_then(Value::as_str);
        let number = |path: &str| status.pointer(path).and_then(Value::as_i64);
        let mut text = format!("{}: {}", self.host, word("/state").unwrap_or("unknown"));
        match number("/host_pid") {
            Some(pid) => {
                text += &format!("\nhost {pid}, lease {} ms", number("/lease_ms_left").unwrap_or(0));
            }
            None => text += "\nno host",
        }
        if let Some(percent) = number("/memory_percent") {
            text += &format!(", memory {percent} % of its limit");
        }
        if let Some(restarts) = number("/host_restarts").filter(|restarts| *restarts > 0) {
            text += &format!(", restarts {restarts}");
        }
        if let Some(cents) = number("/limits/equity_cents") {
            text += &format!("\nequity {}.{:02}", cents / 100, cents.unsigned_abs() % 100);
        }
        if let Some(layer) = word("/kill/layer") {
            let reason = plain(word("/kill/reason").unwrap_or_default());
            text += &format!("\nkilled by {layer}: {reason}\n{}", word("/broker").unwrap_or_default());
        }
        text
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
