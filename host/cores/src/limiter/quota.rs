//! What a limiter keeps to.

use std::time::Duration;

use super::request::Priority;

/// The span of most quotas.
const MINUTE: Duration = Duration::from_secs(60);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Each request is one.
    Requests,
    /// Each request costs what it says.
    Tokens,
}

impl Unit {
    /// One lower-case word, for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }
}

/// One sliding window: no `span` ever holds more than `limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What is counted in it.
    pub unit: Unit,
    /// The length of the window, market time.
    pub span: Duration,
    /// How much any `span` may hold; at least one is assumed.
    pub limit: u64,
    /// Of the limit, how much is kept free for each more urgent priority. At least one request is left for
    /// every priority whatever this says.
    pub reserve: u64,
    /// What one strategy may have let out in any `span` when more is wanted that adds risk or can wait.
    pub share: u64,
}

impl Bound {
    /// A window that nobody shares.
    pub const fn new(unit: Unit, span: Duration, limit: u64) -> Self {
        Self { unit, span, limit, reserve: 0, share: limit }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit.max(1)
    }

    /// How much of the window is kept for more urgent requests.
    pub(super) fn kept_from(&self, priority: Priority) -> u64 {
        (self.reserve * priority.rank() as u64).min(self.limit() - 1)
    }

    /// How full a request may make the window.
    pub(super) fn ceiling(&self, priority: Priority) -> u64 {
        self.limit() - self.kept_from(priority)
    }

    /// How full a request may make its strategy's own window. Ways out have as much as entries have in all:
    /// so no strategy alone ever fills what is kept for the ways out of the others.
    pub(super) fn share(&self, priority: Priority) -> u64 {
        let out = self.ceiling(Priority::Enter);
        if priority.is_shared_out() { self.share.clamp(1, self.limit()) } else { out }
    }
}

/// What a limiter keeps to, all of it at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The windows; with none of them only the broker's word counts.
    pub bounds: Vec<Bound>,
    /// Of what the broker says remains, how many are left to others on the same account (the watchdog).
    pub leave: u32,
    /// Requests of [`Priority::Poll`] in any minute that go on the terms of entries and before these, so
    /// that entries never starve them.
    pub polls_first: u32,
}

impl Quota {
    /// How long a request may be on its way. The broker counts arrivals and we count departures: each counts
    /// this much longer with us, or a slow minute followed by a fast one would be too much for the broker.
    pub const ON_THE_WAY: Duration = Duration::from_secs(2);

    /// `limit` requests a minute and nothing else, for a quota of which all requests are alike.
    pub fn per_minute(limit: u32) -> Self {
        let bound = Bound::new(Unit::Requests, MINUTE + Self::ON_THE_WAY, limit.into());
        Self { bounds: vec![bound], leave: 0, polls_first: 0 }
    }

    /// The trading API of an account that a watchdog shares: `limit` requests a minute for the host.
    pub fn trading(limit: u32) -> Self {
        let mut quota = Self { leave: 20, polls_first: 8, ..Self::per_minute(limit) };
        for bound in &mut quota.bounds {
            (bound.reserve, bound.share) = (8, 100);
        }
        quota
    }

    /// How much the broker's count is kept for more urgent requests.
    pub(super) fn kept_of_the_brokers(&self, priority: Priority) -> u64 {
        let requests = self.bounds.iter().filter(|bound| bound.unit == Unit::Requests);
        requests.map(|bound| bound.kept_from(priority)).min().unwrap_or(0)
    }

    /// After how long a quota of the broker is full again at the latest.
    pub(super) fn longest_span(&self) -> Duration {
        self.bounds.iter().map(|bound| bound.span).max().unwrap_or(MINUTE)
    }
}

impl Default for Quota {
    /// The trading API of Alpaca (200 a minute): 160 for the host, 20 for the watchdog, 20 unused.
    fn default() -> Self {
        Self::trading(160)
    }
}
