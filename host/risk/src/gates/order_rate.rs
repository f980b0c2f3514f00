//! Only so many orders in any minute: of one strategy, and of all together. Exits have as many again, so that
//! entries never spend what an exit needs.

use std::{collections::BTreeMap, time::Duration};

use sandpit_cores::Window;
use sandpit_types::{MarketTime, Refusal, StrategyName};

use super::Case;

const MINUTE: Duration = Duration::from_secs(60);

/// Strategies remembered before those without recent orders are forgotten.
const MAX_STRATEGIES: usize = 256;

/// Orders approved in the minute that ends now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) account: usize,
    pub(super) strategy: usize,
}

/// When orders were approved.
#[derive(Debug)]
pub(super) struct Rates {
    account: Window,
    strategies: BTreeMap<StrategyName, Window>,
}

impl Rates {
    pub(super) const fn new() -> Self {
        Self { account: Window::new(MINUTE), strategies: BTreeMap::new() }
    }

    pub(super) fn used(&self, strategy: &StrategyName, now: MarketTime) -> Used {
        let strategy = self.strategies.get(strategy).map_or(0, |window| window.used(now));
        Used { account: self.account.used(now), strategy }
    }

    pub(super) fn note(&mut self, strategy: &StrategyName, now: MarketTime) {
        if self.strategies.len() >= MAX_STRATEGIES {
            self.strategies.retain(|_, window| window.used(now) > 0);
        }
        self.account.note(now);
        self.strategies.entry(strategy.clone()).or_insert_with(|| Window::new(MINUTE)).note(now);
    }
}

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let share = if case.reduces() { 2 } else { 1 };
    let fits = case.used.account < share * case.limits.orders_per_minute()
        && case.used.strategy < share * case.situation.grant.orders_per_minute(case.limits);
    if fits { Ok(()) } else { Err(Refusal::OrderRate) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("none yet", |_| (), Ok(())),
                ("one left", |w| w.used = Used { account: 119, strategy: 59 }, Ok(())),
                (
                    "the strategy's are spent",
                    |w| w.used = Used { account: 60, strategy: 60 },
                    Err(Refusal::OrderRate),
                ),
                (
                    "the strategy's own, smaller ones are spent",
                    |w| {
                        w.situation.grant.orders_per_minute = Some(5);
                        w.used = Used { account: 5, strategy: 5 };
                    },
                    Err(Refusal::OrderRate),
                ),
                (
                    "as many again are there for exits",
                    |w| {
                        w.situation.grant.orders_per_minute = Some(5);
                        w.hold("100");
                        w.sell("10", "");
                        w.used = Used { account: 9, strategy: 9 };
                    },
                    Ok(()),
                ),
                (
                    "a wide grant widens nothing",
                    |w| {
                        w.situation.grant.orders_per_minute = Some(1_000);
                        w.used = Used { account: 60, strategy: 60 };
                    },
                    Err(Refusal::OrderRate),
                ),
                (
                    "the account's are spent",
                    |w| w.used = Used { account: 120, strategy: 0 },
                    Err(Refusal::OrderRate),
                ),
                (
                    "an exit finds entries' spent",
                    |w| {
                        w.hold("100");
                        w.sell("10", "");
                        w.used = Used { account: 239, strategy: 119 };
                    },
                    Ok(()),
                ),
                (
                    "exits have an end, too",
                    |w| {
                        w.hold("100");
                        w.sell("10", "");
                        w.used = Used { account: 240, strategy: 0 };
                    },
                    Err(Refusal::OrderRate),
                ),
            ],
        );
    }

    #[test]
    fn strategies_that_come_and_go_are_forgotten() {
        let mut rates = Rates::new();
        let strategy = |index: i64| StrategyName::new(format!("s{index}"));
        for minute in 0..1_000 {
            rates.note(&strategy(minute), MarketTime::from_secs(minute * 60));
        }
        assert!(rates.strategies.len() <= MAX_STRATEGIES);
        let now = MarketTime::from_secs(999 * 60);
        assert_eq!(rates.used(&strategy(999), now), Used { account: 1, strategy: 1 });
        assert_eq!(rates.used(&strategy(998), now), Used { account: 1, strategy: 0 });
    }
}
