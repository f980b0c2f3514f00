//! One rule: what goes wrong, where, how often and when. Read from TOML or JSON, checked once.

use std::time::Duration;

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Symbol};
use serde::{Deserialize, Serialize};

use super::fields::{self, Fields};
use crate::limit::Api;

/// Longest wait of one request, milliseconds of real time.
pub const MAX_WAIT_MS: u64 = 600_000;
/// Most messages that one hit of a `replay` rule sends again.
pub const MAX_REPLAY: usize = 100;
/// Longest real wait of a `timeout` that does not say how long, milliseconds.
pub(super) const DEFAULT_HOLD_MS: u64 = 60_000;
/// How long a connection that has gone still counts, as clients have seen it (alpaca-trade-api-csharp#558).
pub(super) const DEFAULT_GHOST_SECS: u64 = 90;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The request waits before it is looked at. Real time: clients time out by it.
    Latency(Spread),
    /// 429, whatever the quota says.
    RateLimit,
    /// A server error.
    ServerError(u16, Deed),
    /// The connection is cut without an answer.
    Reset(Deed),
    /// No answer for so much real time, then the connection is cut.
    Timeout(Duration, Deed),
    /// An HTML page with this status, as a proxy in front of the broker sends it.
    Html(u16, Deed),
    /// A stream's handshake is answered 429.
    Handshake429,
    /// The account shows another equity.
    Equity(Reading),
    /// The clock is wrong by so many seconds; with `true`, the stamps of stream messages are, too.
    ClockSkew(i64, bool),
    /// One of the things that a 207 lists fails with this status.
    PartialFailure(u16, Deed),
    /// Every connection of a stream is cut instead of this message.
    Drop,
    /// A stream stays open, answers, and sends no events for so much market time; `None`: for ever.
    Mute(Option<Duration>),
    /// A message comes twice.
    Duplicate,
    /// A message comes after the next one.
    Reorder,
    /// A message, and all after it, wait for so much market time.
    Slow(Spread),
    /// A message never comes.
    Lose,
    /// The newest so many messages come again after this one.
    Replay(usize),
    /// A connection that has gone still counts for so much market time.
    Ghost(Duration),
    /// Cancels are taken and never carried out.
    StuckCancels,
    /// A symbol is halted.
    Halt(Symbol),
}

/// Whether the deed is done before it goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// Nothing happened.
    #[default]
    Undone,
    /// It happened, and the answer lies.
    Done,
}

/// A fixed figure, or evenly from a range with both ends, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Least, milliseconds.
    pub least_ms: u64,
    /// Most, milliseconds.
    pub most_ms: u64,
}

/// What an account shows instead of its equity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// This many US dollars.
    Amount(Decimal),
    /// The equity, so many times.
    Factor(Decimal),
}

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Market data.
    Data,
    /// Trade updates.
    Trades,
}

impl Stream {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Trades => "trades",
        }
    }
}

/// What a rule can hit; each kind hits one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A request to one of the APIs, a stream's handshake included.
    Request,
    /// One order or position of a request about all.
    Item,
    /// A message of a stream.
    Message,
    /// A connection of a stream that goes.
    Leaver,
    /// How the venue behaves, all the time.
    Venue,
}

/// Where a rule applies: everything that is given must fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// This API.
    pub api: Option<Api>,
    /// This method, in capitals.
    pub method: Option<String>,
    /// Paths that begin so.
    pub path: Option<String>,
    /// This stream.
    pub stream: Option<Stream>,
    /// This symbol.
    pub symbol: Option<Symbol>,
}

/// How often a rule hits of the times that it could: everything that is given must agree, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HowOften {
    /// The first so many times only.
    pub first: Option<u64>,
    /// Every so manieth time.
    pub every: Option<u64>,
    /// With this probability, from 0 to 1.
    pub probability: Option<f64>,
    /// So many hits in all.
    pub at_most: Option<u64>,
}

/// When a rule applies, in market time: from the first, inclusive, to the last, exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// A moment.
    pub from: Option<MarketTime>,
    /// A moment.
    pub until: Option<MarketTime>,
    /// After the start of the run.
    pub after: Option<Duration>,
    /// After the start of the run.
    pub until_after: Option<Duration>,
}

impl When {
    /// The moments between which a rule applies, in a run that starts at `start`; `None`: without end.
    pub(crate) fn window(self, start: MarketTime) -> (Option<MarketTime>, Option<MarketTime>) {
        let moment = |after: Option<Duration>| after.map(|after| start + after);
        let (until, until_after) = (self.until, moment(self.until_after));
        let sooner = until.zip(until_after).map(|(a, b)| a.min(b)).or(until).or(until_after);
        (self.from.max(moment(self.after)), sooner)
    }

    /// Whether it has a moment from `now` to `end`, in a run that starts at `start`.
    pub(crate) fn has_any(self, start: MarketTime, now: MarketTime, end: MarketTime) -> bool {
        let (from, until) = self.window(start);
        let first = from.unwrap_or(now).max(now);
        first <= end && until.is_none_or(|until| first < until)
    }
}

/// A rule, as somebody wrote it and as it is meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub(super) fields: Fields,
    /// What goes wrong.
    pub kind: Kind,
    /// Where.
    pub scope: Scope,
    /// How often.
    pub how_often: HowOften,
    /// When.
    pub when: When,
}

impl Rule {
    /// Reads a rule from JSON.
    ///
    /// # Errors
    /// What is wrong, with the nearest valid key for a misspelt one.
    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        let fields: Fields =
            serde_json::from_slice(text).map_err(|error| fields::explain(&error.to_string()))?;
        fields.check()
    }

    /// The word for its kind.
    pub const fn name(&self) -> &'static str {
        self.fields.kind.as_str()
    }

    /// The rule as it was written.
    pub fn as_written(&self) -> &impl Serialize {
        &self.fields
    }
}

impl Kind {
    /// What it hits.
    pub const fn target(&self) -> Target {
        match self {
            Self::Latency(_)
            | Self::RateLimit
            | Self::ServerError(..)
            | Self::Reset(_)
            | Self::Timeout(..)
            | Self::Html(..)
            | Self::Handshake429
            | Self::Equity(_)
            | Self::ClockSkew(..) => Target::Request,
            Self::PartialFailure(..) => Target::Item,
            Self::Drop
            | Self::Mute(_)
            | Self::Duplicate
            | Self::Reorder
            | Self::Slow(_)
            | Self::Lose
            | Self::Replay(_) => Target::Message,
            Self::Ghost(_) => Target::Leaver,
            Self::StuckCancels | Self::Halt(_) => Target::Venue,
        }
    }
}
