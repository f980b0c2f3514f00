//! How well orders fill: whether those that had to did in time, how long they took, what they cost.
//!
//! An order *had to fill* when it was a market order, or a limit order whose limit was marketable by the
//! quote of the moment in which it was recorded. One that rests by intent says nothing about the broker, nor
//! does one that somebody on our side cancelled in time, or that was rejected. Slippage is measured from the
//! middle of the quote when the strategy's intent came; of an order that waits for its price (a stop), and of
//! one without a quote, there is none.

use std::{collections::BTreeMap, time::Duration};

use sandpit_types::{
    ClientOrderId, Fill, MarketTime, OrderClass, OrderKind, Price, Quote, Side, StrategyName,
    StrategyOrderId, Submit, Usd,
};

use super::Machine;
use crate::{QualityCounts, Review};

/// An order that had to fill did so in time within this, from the broker's taking it on; market time.
pub(super) const IN_TIME: Duration = Duration::from_secs(30);

/// Orders that are watched. Of further ones nothing is measured until some are over.
const MAX_WATCHED: usize = 2_000;
/// Intents that wait for their turn, and whose coming is remembered.
const MAX_HEARD: usize = 10_000;

/// What is remembered of orders until they are over.
#[derive(Debug, Default)]
pub(super) struct Quality {
    /// Of intents that wait in the plan: when they came, and the price then.
    heard: BTreeMap<(StrategyName, StrategyOrderId), (MarketTime, Option<Price>)>,
    watched: BTreeMap<ClientOrderId, Watch>,
    /// Before this nothing becomes overdue.
    overdue_at: Option<MarketTime>,
}

#[cfg(test)]
impl Quality {
    /// Whether nothing is remembered of what waits.
    pub(super) fn is_at_rest(&self) -> bool {
        self.heard.is_empty()
    }
}

/// One order under way.
#[derive(Debug)]
struct Watch {
    signal: MarketTime,
    arrival: Option<Price>,
    had_to_fill: bool,
    /// When the broker took it.
    taken: Option<MarketTime>,
    /// Whether it is known whether it was in time.
    is_judged: bool,
}

impl<R: Review> Machine<R> {
    /// A strategy wants an order, which may have to wait.
    pub(super) fn hear_intent(&mut self, strategy: &StrategyName, submit: &Submit, now: MarketTime) {
        if self.quality.heard.len() < MAX_HEARD {
            let arrival = self.review.quote(&submit.symbol, now).as_ref().and_then(middle);
            self.quality.heard.insert((strategy.clone(), submit.id), (now, arrival));
        }
    }

    /// An order was recorded and leaves. Its legs are not watched.
    pub(super) fn watch_order(&mut self, id: &ClientOrderId, submit: &Submit, now: MarketTime) {
        let heard = self.quality.heard.remove(&(id.strategy.clone(), submit.id));
        if self.quality.watched.len() >= MAX_WATCHED {
            return;
        }
        let quote = self.review.quote(&submit.symbol, now);
        let (signal, arrival) = heard.unwrap_or_else(|| (now, quote.as_ref().and_then(middle)));
        let watch = Watch {
            signal,
            arrival: arrival.filter(|_| !waits_for_price(submit.kind)),
            had_to_fill: has_to_fill(submit, quote.as_ref()),
            taken: None,
            is_judged: false,
        };
        self.quality.watched.insert(id.clone(), watch);
    }

    /// The broker has taken it on.
    pub(super) fn watch_taken(&mut self, id: &ClientOrderId, now: MarketTime) {
        let Some(watch) = self.quality.watched.get_mut(id) else { return };
        watch.taken.get_or_insert(now);
        if watch.had_to_fill {
            let overdue = now + IN_TIME;
            self.quality.overdue_at = Some(self.quality.overdue_at.map_or(overdue, |at| at.min(overdue)));
        }
    }

    /// Shares of it filled; `is_whole` when none are left.
    pub(super) fn watch_fills(
        &mut self,
        id: &ClientOrderId,
        fills: &[Fill],
        is_whole: bool,
        now: MarketTime,
    ) {
        let Some(watch) = self.quality.watched.get_mut(id).filter(|_| !fills.is_empty()) else { return };
        let counts = |count: &dyn Fn(&mut QualityCounts)| self.stats.write(|all| count(&mut all.quality));
        if let Some(arrival) = watch.arrival {
            for fill in fills {
                let worse = match fill.side {
                    Side::Buy => fill.price - arrival,
                    Side::Sell => arrival - fill.price,
                };
                let (traded, slipped) = (fill.price * fill.qty, (worse * fill.qty).max(Usd::ZERO));
                counts(&|counts| {
                    counts.fills += 1;
                    counts.traded += traded;
                    counts.slippage += slipped;
                });
            }
        }
        if is_whole && watch.had_to_fill {
            let filled = fills.iter().map(|fill| fill.time).max().unwrap_or(now).min(now);
            let in_time = watch.taken.is_none_or(|taken| filled.since(taken) <= IN_TIME);
            if !std::mem::replace(&mut watch.is_judged, true) {
                counts(&|counts| {
                    counts.due += 1;
                    counts.in_time += u64::from(in_time);
                });
            }
            let took = now.since(watch.signal);
            counts(&|counts| counts.latency.add(took));
        }
    }

    /// An order is over. One that the broker ended without filling it was due.
    pub(super) fn watch_end(&mut self, id: &ClientOrderId, is_ours: bool) {
        let Some(watch) = self.quality.watched.remove(id) else { return };
        if watch.had_to_fill && !watch.is_judged && watch.taken.is_some() && !is_ours {
            self.stats.write(|counts| counts.quality.due += 1);
        }
    }

    /// Counts those that should have filled by now.
    pub(super) fn watch_overdue(&mut self, now: MarketTime) {
        if self.planning.is_empty() && !self.quality.heard.is_empty() {
            // What is remembered was refused or withdrawn.
            self.quality.heard.clear();
        }
        if self.quality.overdue_at.is_none_or(|at| now <= at) {
            return;
        }
        let (mut overdue, mut next) = (0, None::<MarketTime>);
        for watch in self.quality.watched.values_mut() {
            let Some(taken) = watch.taken.filter(|_| watch.had_to_fill && !watch.is_judged) else { continue };
            let at = taken + IN_TIME;
            if now > at {
                watch.is_judged = true;
                overdue += 1;
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        self.quality.overdue_at = next;
        self.stats.write(|counts| counts.quality.due += overdue);
    }

    /// Somebody was paid.
    pub(super) fn fee_paid(&mut self, net: Usd) {
        self.stats.write(|counts| counts.quality.fees += (-net).max(Usd::ZERO));
    }
}

fn waits_for_price(kind: OrderKind) -> bool {
    match kind {
        OrderKind::Market | OrderKind::Limit { .. } => false,
        OrderKind::Stop { .. } | OrderKind::StopLimit { .. } | OrderKind::TrailingStop { .. } => true,
    }
}

fn has_to_fill(submit: &Submit, quote: Option<&Quote>) -> bool {
    match (submit.kind, submit.class) {
        // Two exits that rest.
        (_, OrderClass::Oco { .. }) => false,
        (OrderKind::Market, _) => true,
        (OrderKind::Limit { limit_price }, _) => quote.is_some_and(|quote| match submit.side {
            Side::Buy => price(quote.ask).is_some_and(|ask| limit_price >= ask),
            Side::Sell => price(quote.bid).is_some_and(|bid| limit_price <= bid),
        }),
        (OrderKind::Stop { .. } | OrderKind::StopLimit { .. } | OrderKind::TrailingStop { .. }, _) => false,
    }
}

fn middle(quote: &Quote) -> Option<Price> {
    price(quote.bid)
        .zip(price(quote.ask))
        .and_then(|(..)| Price::from_f64((quote.bid + quote.ask) / 2.0).ok())
}

fn price(side: f64) -> Option<Price> {
    Price::from_f64(side).ok().filter(|price| price.is_positive())
}
