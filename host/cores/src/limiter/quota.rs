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

/// One sliding window: no `span` ever lets out more than `limit`. What the broker counts is when requests
/// arrive: see [`Quota::ON_THE_WAY`].
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
    /// What one strategy may have let out in any `span` when more is wanted that adds risk or can wait. Its
    /// cancels have the whole limit, its reductions half of it at least.
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

    /// How full a request may make its strategy's own window. Reductions have as much as entries have in all,
    /// so those of one strategy never fill what is kept for the ways out of the others. A cancel never waits
    /// for its own strategy while there is room: it is the most urgent of all, and strategies take turns.
    pub(super) fn share(&self, priority: Priority) -> u64 {
        match priority {
            Priority::Cancel => self.limit(),
            Priority::Reduce => self.ceiling(Priority::Enter).max(self.limit() / 2).max(1),
            Priority::Enter | Priority::Poll => self.share.clamp(1, self.limit()),
        }
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
    /// One that takes longer has to be told with [`Limiter::observe_slow`](super::Limiter::observe_slow).
    pub const ON_THE_WAY: Duration = Duration::from_secs(2);

    /// `limit` requests a minute and nothing else, for a quota of which all requests are alike.
    pub fn per_minute(limit: u32) -> Self {
        let bound = Bound::new(Unit::Requests, MINUTE + Self::ON_THE_WAY, limit.into());
        Self { bounds: vec![bound], leave: 0, polls_first: 0 }
    }

    /// The trading API of an account that a watchdog shares: `limit` requests a minute for the host. A
    /// twentieth is kept for each more urgent priority, as many polls go first, and a strategy has five
    /// eighths.
    pub fn trading(limit: u32) -> Self {
        let quota = Self { leave: 20, polls_first: limit / 20, ..Self::per_minute(limit) };
        quota.keeping(20, |limit| limit * 5 / 8)
    }

    /// A market-data API: `limit` requests a minute. A twentieth is kept for each more urgent priority, so
    /// that neither handshakes nor the newest quotes wait behind pages of history.
    pub fn data(limit: u32) -> Self {
        Self::per_minute(limit).keeping(20, |limit| limit)
    }

    /// One of `parts` is kept for each more urgent priority, and each strategy has its `share`.
    fn keeping(mut self, parts: u64, share: fn(u64) -> u64) -> Self {
        for bound in &mut self.bounds {
            (bound.reserve, bound.share) = (bound.limit() / parts, share(bound.limit()).max(1));
        }
        self
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tightened_quota_keeps_its_proportions() {
        /// How full each priority may make the window, and its strategy's own; and how many polls go first.
        fn check(limit: u32, ceilings: [u64; 4], shares: [u64; 4], polls_first: u32) {
            let quota = Quota::trading(limit);
            let bound = quota.bounds[0];
            assert_eq!(Priority::ALL.map(|priority| bound.ceiling(priority)), ceilings, "{limit}");
            assert_eq!(Priority::ALL.map(|priority| bound.share(priority)), shares, "{limit}");
            assert_eq!(quota.polls_first, polls_first, "{limit}");
        }
        check(1, [1; 4], [1; 4], 0);
        check(10, [10; 4], [10, 10, 6, 6], 0);
        check(17, [17; 4], [17, 17, 10, 10], 0);
        check(25, [25, 24, 23, 22], [25, 23, 15, 15], 1);
        check(40, [40, 38, 36, 34], [40, 36, 25, 25], 2);
        check(160, [160, 152, 144, 136], [160, 144, 100, 100], 8);
    }
}
