//! A trade of the spread: which legs, how many shares, when it is over.

use std::time::Duration;

use sandpit_sdk::{Price, Qty, Time, Usd};
use serde::{Deserialize, Serialize};

use crate::{parameters::Parameters, spread::Model};

/// Two positions that belong together. It has to outlive a restart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trade {
    /// The model of the moment of the entry: a later one would have moved along with the spread.
    model: Model,
    /// Whether A was too dear, and not too cheap.
    is_rich: bool,
    since_nanos: i64,
    /// What is to be held of A and of B, units of 10^-9 shares; negative is short, zero is no leg.
    target_nanos: [i64; 2],
}

impl Trade {
    /// The trade against a spread of that score, at these prices. `None` when the money buys no share of a
    /// leg that is needed.
    pub(crate) fn new(
        model: Model,
        z: f64,
        prices: [Price; 2],
        equity: Usd,
        now: Time,
        parameters: &Parameters,
    ) -> Option<Self> {
        let is_rich = z > 0.0;
        let money = equity.scaled(parameters.fraction);
        // One percent of A is hedged by `hedge_ratio` percent of B.
        let weight = 1.0 / (1.0 + model.hedge_ratio);
        let shares = |leg: usize, weight: f64| money.scaled(weight).shares_at(prices[leg]);
        let [a, b] = [shares(0, weight), shares(1, 1.0 - weight)];
        let signed = if is_rich { [-a, b] } else { [a, -b] };
        let needed = |quantity: Qty| parameters.shorts || quantity.is_positive();
        if signed.iter().any(|quantity| quantity.is_zero()) {
            return None;
        }
        let target_nanos = signed.map(|quantity| if needed(quantity) { quantity.nanos() } else { 0 });
        Some(Self { model, is_rich, since_nanos: now.nanos(), target_nanos })
    }

    /// What is to be held of each leg.
    pub(crate) fn targets(&self) -> [Qty; 2] {
        self.target_nanos.map(Qty::from_nanos)
    }

    /// Why it is over, if it is.
    pub(crate) fn reason_to_leave(
        &self,
        closes: Option<[f64; 2]>,
        now: Time,
        parameters: &Parameters,
    ) -> Option<&'static str> {
        let longest = 60.0 * parameters.max_hold_half_lives * self.model.half_life_minutes;
        if now.since(Time::from_nanos(self.since_nanos)) >= Duration::from_secs_f64(longest) {
            return Some("it has taken too long");
        }
        // How far it still has to come back, whichever way it went.
        let away = self.model.z(closes?) * if self.is_rich { 1.0 } else { -1.0 };
        if away <= parameters.exit_z {
            Some("the spread is back")
        } else if away >= parameters.stop_z {
            Some("the spread is running away")
        } else {
            None
        }
    }

    /// What the legs need when no order is under way.
    pub(crate) fn balance(&self, held: [Qty; 2]) -> Balance {
        let targets = self.targets();
        let done = [0, 1].map(|leg| {
            let (held, target) = (held[leg].to_f64(), targets[leg].to_f64());
            if target == 0.0 { (held == 0.0).then_some(f64::INFINITY) } else { Some(held / target) }
        });
        let [Some(a), Some(b)] = done else { return Balance::Broken };
        let least = a.min(b);
        if least <= 0.0 || least.is_infinite() {
            return Balance::Broken;
        }
        for leg in [0, 1] {
            let fits = Qty::from_f64(targets[leg].to_f64() * least).unwrap_or(Qty::ZERO);
            // A hair for what the division rounds.
            let excess = Qty::from_nanos((held[leg] - fits).abs().nanos() + 1_000).whole();
            if !targets[leg].is_zero() && !excess.is_zero() {
                return Balance::TooMuch { leg, excess };
            }
        }
        Balance::Even
    }
}

/// How the legs of a trade stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balance {
    /// Each has the same part of its target, to the share.
    Even,
    /// One leg has whole shares more than the other one hedges.
    TooMuch {
        /// Which.
        leg: usize,
        /// How many.
        excess: Qty,
    },
    /// A leg is missing, or there is one that does not belong.
    Broken,
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;
    use crate::spread::Pair;

    /// ln a = ln b + spread, deviation 0.001, half-life one minute.
    fn model() -> Model {
        let row = |minute: i64| {
            let b = 100.0 * (1.0 + 0.01 * (minute as f64 * 0.7).sin());
            let spread = if minute % 2 == 0 { 0.001_f64 } else { -0.001 };
            Pair { start: Time::from_secs(60 * minute), closes: [b * spread.exp(), b] }
        };
        Model::fit(&(0..100).map(row).collect::<Vec<_>>()).expect("a spread")
    }

    fn trade(z: f64, shorts: bool) -> Trade {
        let prices = [50.0, 100.0].map(|price| Price::from_f64(price).expect("fits"));
        let parameters = Parameters { shorts, ..Parameters::default() };
        Trade::new(model(), z, prices, Usd::dollars(100_000), Time::default(), &parameters)
            .expect("money enough")
    }

    #[test]
    fn legs_are_weighted_by_the_hedge_ratio() {
        let check = |z: f64, shorts: bool, expected: [i64; 2]| {
            assert_eq!(trade(z, shorts).targets(), expected.map(Qty::shares), "{z} {shorts}");
        };
        // A hedge ratio of about 1: half of 10,000 USD each, at 50 and 100.
        check(-2.0, true, [100, -49]);
        check(2.0, true, [-100, 49]);
        check(-2.0, false, [100, 0]);
        check(2.0, false, [0, 49]);
    }

    #[test]
    fn a_trade_is_over_for_a_reason() {
        let parameters = Parameters::default();
        let check = |z: f64, now: f64, seconds: i64, expected: Option<&str>| {
            let closes = [100.0 * (now * 0.001_f64).exp(), 100.0];
            let found = trade(z, true).reason_to_leave(Some(closes), Time::from_secs(seconds), &parameters);
            assert_eq!(found, expected, "{z} {now} {seconds}");
        };
        for (z, sign) in [(-2.0, -1.0), (2.0, 1.0)] {
            check(z, 2.0 * sign, 60, None);
            check(z, 0.4 * sign, 60, Some("the spread is back"));
            check(z, -3.0 * sign, 60, Some("the spread is back"));
            check(z, 4.1 * sign, 60, Some("the spread is running away"));
            check(z, 2.0 * sign, 181, Some("it has taken too long"));
        }
        assert_eq!(trade(2.0, true).reason_to_leave(None, Time::from_secs(60), &parameters), None);
    }

    #[test]
    fn legs_are_even_or_not() {
        let check = |shorts: bool, held: [i64; 2], expected: Balance| {
            assert_eq!(trade(-2.0, shorts).balance(held.map(Qty::shares)), expected, "{shorts} {held:?}");
        };
        let too_much = |leg, excess| Balance::TooMuch { leg, excess: Qty::shares(excess) };
        check(true, [100, -49], Balance::Even);
        check(true, [50, -25], Balance::Even);
        check(true, [100, -25], too_much(0, 48));
        check(true, [52, -25], Balance::Even);
        check(true, [20, -49], too_much(1, 39));
        for broken in [[100, 0], [0, -49], [100, 49], [-100, -49], [0, 0]] {
            check(true, broken, Balance::Broken);
        }
        check(false, [100, 0], Balance::Even);
        check(false, [7, 0], Balance::Even);
        check(false, [100, -1], Balance::Broken);
        check(false, [0, 0], Balance::Broken);
    }

    proptest! {
        /// Trimming ends, and leaves both legs.
        #[test]
        fn legs_become_even(a in 1_i64..=100, b in 1_i64..=49) {
            let trade = trade(-2.0, true);
            let mut held = [Qty::shares(a), Qty::shares(-b)];
            let mut trims = 0;
            while let Balance::TooMuch { leg, excess } = trade.balance(held) {
                let less = held[leg].abs() - excess;
                prop_assert!(less.is_positive());
                held[leg] = if leg == 0 { less } else { -less };
                trims += 1;
                prop_assert!(trims <= 2, "{held:?}");
            }
            prop_assert!(trade.balance(held) == Balance::Even);
        }
    }
}
