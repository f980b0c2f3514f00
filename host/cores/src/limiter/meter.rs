//! One window of the quota with the shares inside it.

use std::collections::BTreeMap;

use sandpit_types::{MarketTime, StrategyName};

use super::{
    quota::{Bound, Unit},
    request::{Priority, Request},
    usage::WindowUsage,
    window::Window,
};

/// Strategies whose windows are remembered before those with nothing in them are forgotten.
const MAX_SHARES: usize = 256;

/// A moment that is always past.
const PAST: MarketTime = MarketTime::from_nanos(i64::MIN);

/// What went out in one window, of all and of each strategy.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) bound: Bound,
    account: Window,
    /// What somebody unknown may have let out, and when it is over.
    assumed: Option<(u64, MarketTime)>,
    shares: BTreeMap<StrategyName, Window>,
}

impl Meter {
    pub(super) fn new(bound: Bound) -> Self {
        let account = Window::for_limit(bound.span, bound.limit());
        Self { bound, account, assumed: None, shares: BTreeMap::new() }
    }

    /// What a request costs here.
    pub(super) const fn cost(&self, request: &Request) -> u64 {
        match self.bound.unit {
            Unit::Requests => 1,
            Unit::Tokens => request.tokens,
        }
    }

    /// When the window has room for a request on the terms of a priority. It may be past.
    pub(super) fn opens(&self, request: &Request, terms: Priority) -> MarketTime {
        let cost = self.cost(request);
        // A request larger than what is left to its priority waits for an empty window instead of for ever.
        let ceiling = self.bound.ceiling(terms).max(cost);
        let opens = |ceiling| self.account.room_at(cost, ceiling).unwrap_or(PAST);
        let alone = opens(ceiling);
        self.assumed.map_or(alone, |(amount, until)| {
            opens(ceiling.saturating_sub(amount).max(cost)).min(alone.max(until))
        })
    }

    /// Assumes that half of a window of requests was spent before now by the host that ran before this one.
    pub(super) fn assume_half(&mut self, now: MarketTime) {
        if self.bound.unit == Unit::Requests {
            self.assumed = Some((self.bound.limit() / 2, now + self.bound.span));
        }
    }

    /// Nothing is assumed any more.
    pub(super) fn assume_nothing(&mut self) {
        self.assumed = None;
    }

    /// One of the requests was on its way until now.
    pub(super) fn note_slow(&mut self, now: MarketTime) {
        match self.bound.unit {
            Unit::Requests => self.account.note(now),
            Unit::Tokens => {}
        }
    }

    /// When the strategy's own window has room for its request. It may be past.
    pub(super) fn share_opens(&self, request: &Request) -> MarketTime {
        let cost = self.cost(request);
        let ceiling = self.bound.share(request.priority).max(cost);
        let window = request.strategy.as_ref().and_then(|name| self.shares.get(name));
        window.and_then(|window| window.room_at(cost, ceiling)).unwrap_or(PAST)
    }

    /// The request goes out.
    pub(super) fn note(&mut self, request: &Request, now: MarketTime) {
        let cost = self.cost(request);
        self.account.note_amount(cost, now);
        if let Some(name) = request.strategy.clone() {
            let bound = self.bound;
            let window = || Window::for_limit(bound.span, bound.limit());
            self.shares.entry(name).or_insert_with(window).note_amount(cost, now);
            if self.shares.len() > MAX_SHARES {
                self.shares.retain(|_, window| window.sum(now) > 0);
            }
        }
    }

    pub(super) fn usage(&self, now: MarketTime) -> WindowUsage {
        let Bound { unit, span, .. } = self.bound;
        WindowUsage { unit, span, used: self.account.sum(now), limit: self.bound.limit() }
    }

    #[cfg(test)]
    pub(super) fn strategies(&self) -> usize {
        self.shares.len()
    }
}
