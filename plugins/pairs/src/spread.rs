//! The spread of two prices: hedge ratio, z-score, half-life.

use std::cmp::Ordering;

use sandpit_sdk::{Bars, Time};
use serde::{Deserialize, Serialize};

/// Two closes of the same minute, US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) start: Time,
    pub(crate) closes: [f64; 2],
}

/// The minutes that both have, oldest first, at most `most`: a symbol that is silent makes no spread.
pub(crate) fn joined(a: &Bars, b: &Bars, most: usize) -> Vec<Pair> {
    let (mut at, mut bt) = (0, 0);
    let mut pairs = Vec::new();
    while at < a.len() && bt < b.len() {
        match a.start[at].cmp(&b.start[bt]) {
            Ordering::Less => at += 1,
            Ordering::Greater => bt += 1,
            Ordering::Equal => {
                pairs.push(Pair { start: a.start[at], closes: [a.close[at], b.close[bt]] });
                (at, bt) = (at + 1, bt + 1);
            }
        }
    }
    pairs.retain(|pair| pair.closes.iter().all(|close| *close > 0.0));
    pairs.split_off(pairs.len().saturating_sub(most))
}

/// `ln a = intercept + hedge_ratio × ln b + spread`, by least squares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    intercept: f64,
    /// By how many percent A moves when B moves by one.
    pub(crate) hedge_ratio: f64,
    /// The spread's standard deviation.
    deviation: f64,
    /// In how many minutes a deviation halves, at least one.
    pub(crate) half_life_minutes: f64,
}

impl Model {
    /// `None` when the prices do not tell: fewer than three, B stands still, the spread is none, or it does
    /// not come back (its half-life is endless).
    pub(crate) fn fit(pairs: &[Pair]) -> Option<Self> {
        let n = pairs.len() as f64;
        let logs: Vec<[f64; 2]> = pairs.iter().map(|pair| pair.closes.map(f64::ln)).collect();
        let means = [0, 1].map(|of| logs.iter().map(|row: &[f64; 2]| row[of]).sum::<f64>() / n);
        let product = |x: usize, y: usize| -> f64 {
            logs.iter().map(|row| (row[x] - means[x]) * (row[y] - means[y])).sum()
        };
        let variance_b = product(1, 1);
        if pairs.len() < 3 || variance_b <= f64::EPSILON * n {
            return None;
        }
        let hedge_ratio = product(0, 1) / variance_b;
        let intercept = means[0] - hedge_ratio * means[1];
        let spread: Vec<f64> = logs.iter().map(|row| row[0] - intercept - hedge_ratio * row[1]).collect();
        let deviation = (spread.iter().map(|value| value * value).sum::<f64>() / n).sqrt();
        let half_life_minutes = half_life(&spread)?;
        // Less than a millionth of the price is rounding.
        (deviation > 1e-6).then_some(Self { intercept, hedge_ratio, deviation, half_life_minutes })
    }

    /// How many standard deviations A is too dear in terms of B; below zero it is too cheap.
    pub(crate) fn z(&self, closes: [f64; 2]) -> f64 {
        let [a, b] = closes.map(f64::ln);
        (a - self.intercept - self.hedge_ratio * b) / self.deviation
    }
}

/// In how many steps a deviation halves, at least one, by `change = speed × value before`, least squares.
/// `None` when it does not shrink.
fn half_life(spread: &[f64]) -> Option<f64> {
    let (mut product, mut square) = (0.0, 0.0);
    for step in spread.windows(2) {
        product += step[0] * (step[1] - step[0]);
        square += step[0] * step[0];
    }
    let left = 1.0 + product / square;
    if left >= 1.0 || left.is_nan() {
        return None;
    }
    Some(if left <= 0.5 { 1.0 } else { 0.5_f64.ln() / left.ln() })
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::prop, prop_assert, proptest};

    use super::*;

    fn pairs(rows: impl IntoIterator<Item = [f64; 2]>) -> Vec<Pair> {
        let pair = |(minute, closes)| Pair { start: Time::from_secs(60 * minute), closes };
        (0_i64..).zip(rows).map(pair).collect()
    }

    #[test]
    fn minutes_of_both_are_joined() {
        let bars = |rows: &[(i64, f64)]| Bars {
            start: rows.iter().map(|row| Time::from_secs(row.0)).collect(),
            close: rows.iter().map(|row| row.1).collect(),
            ..Bars::default()
        };
        let a = bars(&[(1, 10.0), (2, 11.0), (4, 13.0), (5, 14.0)]);
        let b = bars(&[(2, 20.0), (3, 21.0), (4, 22.0), (5, 0.0)]);
        let found: Vec<_> = joined(&a, &b, 9).iter().map(|pair| (pair.start.nanos(), pair.closes)).collect();
        assert_eq!(found, [(2_000_000_000, [11.0, 20.0]), (4_000_000_000, [13.0, 22.0])]);
        assert_eq!(joined(&a, &b, 1).len(), 1);
        assert_eq!(joined(&a, &b, 1)[0].closes, [13.0, 22.0]);
        assert!(joined(&a, &Bars::default(), 9).is_empty());
    }

    #[test]
    fn a_half_life_is_that_of_the_decay() {
        let decay = |factor: f64| half_life(&(0..50).map(|step| factor.powi(step)).collect::<Vec<_>>());
        for (factor, expected) in [(0.5, 1.0), (0.5_f64.sqrt(), 2.0), (0.5_f64.powf(0.1), 10.0), (0.1, 1.0)] {
            let found = decay(factor).expect("it shrinks");
            assert!((found - expected).abs() < 1e-9, "{factor}: {found}");
        }
        assert_eq!([decay(1.0), decay(1.1), half_life(&[]), half_life(&[0.0; 9])], [None; 4]);
    }

    #[test]
    fn prices_that_do_not_tell_make_no_model() {
        assert_eq!(Model::fit(&[]), None);
        assert_eq!(Model::fit(&pairs([[1.0, 1.0], [2.0, 2.0]])), None);
        assert_eq!(
            Model::fit(&pairs([[1.0, 5.0], [2.0, 5.0], [1.0, 5.0], [2.0, 5.0]])),
            None,
            "B stands still"
        );
        let same = (0..30).map(|at| [10.0 + f64::from(at % 7), 20.0 + 2.0 * f64::from(at % 7)]);
        assert_eq!(Model::fit(&pairs(same)), None, "no spread");
    }

    proptest! {
        /// What the prices were made of is found again.
        #[test]
        fn a_model_is_recovered(
            hedge_ratio in 0.3..3.0_f64,
            intercept in -1.0..1.0_f64,
            keep in 0.0..0.8_f64,
            noise in prop::collection::vec((-1.0..1.0_f64, -1.0..1.0_f64), 300),
        ) {
            let (mut b, mut spread) = (4.0_f64, 0.0);
            let rows = noise.iter().map(|(of_b, of_spread)| {
                b += 0.01 * of_b;
                spread = keep * spread + 0.001 * of_spread;
                [(intercept + hedge_ratio * b + spread).exp(), b.exp()]
            });
            let rows = pairs(rows);
            let model = Model::fit(&rows).expect("it comes back");
            prop_assert!((model.hedge_ratio - hedge_ratio).abs() < 0.1, "{model:?}");
            let expected = if keep <= 0.5 { 1.0 } else { 0.5_f64.ln() / keep.ln() };
            let off = (model.half_life_minutes - expected).abs();
            prop_assert!(off < 1.0 + expected, "{model:?}, not {expected}");
            let scores: Vec<f64> = rows.iter().map(|pair| model.z(pair.closes)).collect();
            let mean = scores.iter().sum::<f64>() / 300.0;
            let square = scores.iter().map(|score| score * score).sum::<f64>() / 300.0;
            prop_assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-6);
        }
    }
}
