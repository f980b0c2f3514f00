//! The opening range, and the prices that follow from it.

use std::time::Duration;

use sandpit_sdk::{Bars, Price, Qty, Side, Time, Usd};

use crate::parameters::Parameters;

/// The nearest a stop may lie to the entry, as a share of its price and in USD: twice what the broker wants
/// at least.
const MIN_STOP_DISTANCE: (f64, f64) = (0.002, 0.02);

/// High and low of the first minutes of a session, US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

/// What a trade of a range looks like. Prices are on a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The most that an entry may pay.
    pub(crate) worst_entry: Price,
    pub(crate) take_profit: Price,
    pub(crate) stop: Price,
}

impl Range {
    /// Of the bars that start in the `minutes` after the open. `None` when fewer than half of them are there:
    /// such a symbol hardly trades, or its data have a hole.
    pub(crate) fn of(bars: &Bars, open: Time, minutes: u32) -> Option<Self> {
        let end = open + Duration::from_secs(60 * u64::from(minutes));
        let inside = || (0..bars.len()).filter(|&at| (open..end).contains(&bars.start[at]));
        let high = inside().map(|at| bars.high[at]).fold(f64::NEG_INFINITY, f64::max);
        let low = inside().map(|at| bars.low[at]).fold(f64::INFINITY, f64::min);
        let is_enough = 2 * inside().count() >= minutes as usize;
        (is_enough && low > 0.0 && high.is_finite()).then_some(Self { high, low })
    }

    pub(crate) fn height(self) -> f64 {
        self.high - self.low
    }

    /// Whether it is neither so narrow that noise leaves it nor so wide that nothing is left of the move.
    pub(crate) fn is_tradable(self, parameters: &Parameters) -> bool {
        let percent = 100.0 * self.height() / self.high;
        (parameters.min_range_percent..=parameters.max_range_percent).contains(&percent)
    }

    /// `None` when no such prices exist, as with a stop below zero.
    pub(crate) fn plan(self, parameters: &Parameters) -> Option<Plan> {
        let Parameters { target_ranges, stop_ranges, chase_ranges, .. } = parameters;
        let price = |ranges: f64| Price::from_f64(self.high + ranges * self.height());
        let plan = Plan {
            worst_entry: price(*chase_ranges)?.round_passive(Side::Buy),
            take_profit: price(*target_ranges)?.round_passive(Side::Sell),
            stop: price(-stop_ranges)?.round_down_to_tick(),
        };
        let is_sound =
            plan.stop.is_positive() && plan.stop < plan.worst_entry && plan.worst_entry < plan.take_profit;
        is_sound.then_some(plan)
    }
}

impl Plan {
    /// Whether an entry at this price is neither too late nor too near the stop for the broker.
    pub(crate) fn allows(&self, entry: Price) -> bool {
        let (share, usd) = MIN_STOP_DISTANCE;
        let nearest = Price::from_f64((entry.to_f64() * share).max(usd)).unwrap_or(entry);
        entry <= self.worst_entry && entry - self.stop >= nearest
    }

    /// So many whole shares that the stop costs no more than the risk, and the entry no more than the budget.
    pub(crate) fn shares(&self, entry: Price, equity: Usd, parameters: &Parameters) -> Qty {
        let by_risk = equity.scaled(parameters.risk_fraction).shares_at(entry - self.stop);
        let by_budget = equity.scaled(parameters.fraction).shares_at(entry);
        by_risk.min(by_budget)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    fn price(value: f64) -> Price {
        Price::from_f64(value).expect("fits")
    }

    #[test]
    fn the_range_is_that_of_its_minutes() {
        let bars = |rows: &[(i64, f64, f64)]| Bars {
            start: rows.iter().map(|row| Time::from_secs(60 * row.0)).collect(),
            high: rows.iter().map(|row| row.1).collect(),
            low: rows.iter().map(|row| row.2).collect(),
            ..Bars::default()
        };
        let check = |rows: &[(i64, f64, f64)], expected: Option<(f64, f64)>| {
            let found = Range::of(&bars(rows), Time::from_secs(600), 4).map(|range| (range.high, range.low));
            assert_eq!(found, expected, "{rows:?}");
        };
        check(&[(9, 99.0, 1.0), (10, 11.0, 10.0), (13, 12.0, 10.5), (14, 99.0, 1.0)], Some((12.0, 10.0)));
        // One minute of four.
        check(&[(9, 99.0, 1.0), (10, 11.0, 10.0), (14, 99.0, 1.0)], None);
        check(&[], None);
        check(&[(10, 11.0, 0.0), (11, 11.0, 10.0)], None);
    }

    #[test]
    fn a_plan_follows_from_the_range() {
        let parameters = Parameters::default();
        let range = Range { high: 102.0, low: 100.0 };
        assert!(range.is_tradable(&parameters));
        let plan = range.plan(&parameters).expect("sound");
        let [worst_entry, take_profit, stop] = [102.5, 105.0, 100.0].map(price);
        assert_eq!(plan, Plan { worst_entry, take_profit, stop });
        let allowed = [100.1, 100.21, 102.5, 102.51].map(|ask| plan.allows(price(ask)));
        assert_eq!(allowed, [false, true, true, false]);
        // 100 USD at risk, 2.20 a share; 5,000 USD in all, 102.20 a share.
        assert_eq!(plan.shares(price(102.2), Usd::dollars(100_000), &parameters), Qty::shares(45));
        let wide = Parameters { fraction: 0.01, ..parameters.clone() };
        assert_eq!(plan.shares(price(102.2), Usd::dollars(100_000), &wide), Qty::shares(9));
        let check = |high: f64, low: f64, expected: bool| {
            assert_eq!(Range { high, low }.is_tradable(&parameters), expected, "{high} {low}");
        };
        check(100.0, 99.9, false);
        check(100.0, 99.5, true);
        check(100.0, 96.9, false);
        let far = Parameters { stop_ranges: 5.0, ..parameters };
        assert_eq!(Range { high: 10.0, low: 7.0 }.plan(&far), None, "a stop below zero");
    }

    proptest! {
        #[test]
        fn no_plan_risks_more_than_it_may(
            high in 2.0..1_000.0_f64,
            height in 0.001..0.03_f64,
            risk_fraction in 0.0001..0.1_f64,
            above in 0.0..1.0_f64,
        ) {
            let parameters = Parameters { risk_fraction, ..Parameters::default() };
            let range = Range { high, low: high * (1.0 - height) };
            if let Some(plan) = range.plan(&parameters) {
                let room = plan.worst_entry.to_f64() - high;
                let entry = price(high + above * room.max(0.0)).round_down_to_tick().min(plan.worst_entry);
                let equity = Usd::dollars(100_000);
                let shares = plan.shares(entry, equity, &parameters);
                prop_assert!((entry - plan.stop) * shares <= equity.scaled(risk_fraction));
                prop_assert!(entry * shares <= equity.scaled(parameters.fraction));
                if plan.allows(entry) {
                    prop_assert!(plan.stop < entry && entry < plan.take_profit);
                }
            }
        }
    }
}
