//! Sums that a report is made of: slopes and latencies. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The line through points by least squares; its rise for one of x. `None` for fewer than two points, or when
/// all have one x.
#[cfg(test)]
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    common_slope(&[points.to_vec()])
}

/// The one slope of several lines that may each begin at a height of its own, by least squares.
pub(crate) fn common_slope(lines: &[Vec<(f64, f64)>]) -> Option<f64> {
    let (mut rise, mut run) = (0.0, 0.0);
    for line in lines.iter().filter(|line| line.len() > 1) {
        let count = line.len() as f64;
        let mean_x = line.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = line.iter().map(|(_, y)| y).sum::<f64>() / count;
        rise += line.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>();
        run += line.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>();
    }
    (run > 0.0).then(|| rise / run)
}

/// How often each latency came. Durations are kept with three digits, rounded up, so that any number of them
/// fits; the longest is kept as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latencies {
    /// Microseconds to how often.
    counts: BTreeMap<u64, u64>,
    max_us: u64,
}

impl Latencies {
    /// Takes one.
    pub(crate) fn add(&mut self, us: u64) {
        *self.counts.entry(three_digits(us)).or_default() += 1;
        self.max_us = self.max_us.max(us);
    }

    /// Takes those of another run.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (us, count) in &other.counts {
            *self.counts.entry(*us).or_default() += count;
        }
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The longest, microseconds.
    pub(crate) const fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The duration that so many per cent are not longer than, microseconds; `None` when there are none.
    pub(crate) fn percentile_us(&self, percent: f64) -> Option<u64> {
        let rank = percent / 100.0 * self.count() as f64;
        let mut so_far = 0;
        self.counts.iter().find_map(|(us, count)| {
            so_far += count;
            (so_far as f64 >= rank).then(|| (*us).min(self.max_us))
        })
    }
}

/// The next number up with no more than three digits that are not zero.
const fn three_digits(us: u64) -> u64 {
    let mut unit = 1;
    while us.div_ceil(unit) >= 1_000 {
        unit *= 10;
    }
    us.div_ceil(unit) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_the_nearest_line() {
        let line: Vec<_> = (0..50).map(|n| (f64::from(n), 7.0 + 0.25 * f64::from(n))).collect();
        assert!((slope(&line).expect("a line") - 0.25).abs() < 1e-9);
        // By hand: means 1 and 2, so (-1 × -1 + 0 × -1 + 1 × 2) / 2.
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 1.0), (2.0, 4.0)]), Some(1.5));
        assert_eq!(slope(&[(1.0, 5.0)]), None);
        assert_eq!(slope(&[(1.0, 5.0), (1.0, 6.0)]), None);
    }

    #[test]
    fn lives_of_different_heights_have_one_slope() {
        let line = |height: f64, rise: f64| (0..9).map(move |n| (f64::from(n), height + rise * f64::from(n)));
        // One line through all of these would fall: the second life begins lower, and later.
        let later = line(10.0, 2.0).map(|(x, y)| (x + 9.0, y)).collect();
        let lines = [line(500.0, 2.0).collect(), later];
        assert!((common_slope(&lines).expect("lines") - 2.0).abs() < 1e-9);
    }

    #[test]
    fn percentiles_are_durations_that_came() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile_us(99.0), None);
        (1..=100).for_each(|us| latencies.add(us));
        assert_eq!(latencies.percentile_us(50.0), Some(50));
        assert_eq!(latencies.percentile_us(99.0), Some(99));
        assert_eq!(latencies.percentile_us(100.0), Some(100));
        latencies.add(123_456);
        assert_eq!((latencies.max_us(), latencies.percentile_us(100.0)), (123_456, Some(123_456)));
        assert_eq!(three_digits(999), 999);
        assert_eq!(three_digits(1_001), 1_010, "never told shorter than it was");
        assert_eq!(three_digits(50_001), 50_100);
        let mut twice = latencies.clone();
        twice.merge(&latencies);
        assert_eq!((twice.count(), twice.percentile_us(50.0)), (202, latencies.percentile_us(50.0)));
    }
}
