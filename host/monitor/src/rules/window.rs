//! What was seen within a window, in rings of buckets: memory is bounded by the number of buckets, whatever
//! the number of readings.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    sample::MOST_CLASSES,
    signal::{HOUR, WEEK},
};

/// Buckets of a window of counters: it forgets in steps of a twelfth.
pub(super) const COUNT_BUCKETS: u64 = 12;

/// Buckets of a window of levels: quarters of an hour of a day, of the seven days hour by hour and better.
pub(super) const LEVEL_BUCKETS: u64 = 192;

/// Hours of the history.
pub(super) const HOURS: u64 = WEEK.as_secs() / HOUR.as_secs();

/// The number of the bucket in which `now` lies; at least a millisecond long.
fn bucket(now: Duration, window: Duration, buckets: u64) -> u64 {
    let span = (window.as_millis() / u128::from(buckets)).max(1);
    u64::try_from(now.as_millis() / span).unwrap_or(u64::MAX)
}

/// How much counters grew. A counter that is lower than before began anew at zero.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Increases {
    /// When the counters were read last, and what they were. Of no use to another life of the host.
    #[serde(skip)]
    last: Option<(Duration, Vec<f64>)>,
    buckets: VecDeque<(u64, Vec<f64>)>,
}

impl Increases {
    /// Takes the counters. What grew while nothing was read for longer than the window is not counted: nobody
    /// knows when it was.
    pub(super) fn add(&mut self, now: Duration, counts: &[f64], window: Duration) {
        let at = bucket(now, window, COUNT_BUCKETS);
        if self.buckets.back().is_some_and(|(_, grown)| grown.len() != counts.len()) {
            self.buckets.clear();
            self.last = None;
        }
        while self.buckets.front().is_some_and(|(first, _)| first.saturating_add(COUNT_BUCKETS) <= at) {
            self.buckets.pop_front();
        }
        if self.buckets.back().is_none_or(|(last, _)| *last < at) {
            self.buckets.push_back((at, vec![0.0; counts.len()]));
        }
        let last = self.last.replace((now, counts.to_vec()));
        let Some((_, last)) = last.filter(|(then, _)| now.saturating_sub(*then) <= window) else { return };
        let (_, grown) = self.buckets.back_mut().expect("just made");
        for ((sum, new), old) in grown.iter_mut().zip(counts).zip(last) {
            *sum += if *new < old { *new } else { *new - old };
        }
    }

    /// The growth of each counter within the window that ends with the newest reading.
    pub(super) fn sums(&self) -> Vec<f64> {
        let width = self.buckets.back().map_or(0, |(_, grown)| grown.len());
        let mut sums = vec![0.0; width];
        for (_, grown) in &self.buckets {
            sums.iter_mut().zip(grown).for_each(|(sum, grown)| *sum += grown);
        }
        sums
    }

    fn mend(&mut self, now: Duration, window: Duration) {
        let at = bucket(now, window, COUNT_BUCKETS);
        let width = self.buckets.back().map_or(0, |(_, grown)| grown.len());
        let is_sane = |grown: &Vec<f64>| {
            grown.len() == width && width <= MOST_CLASSES && grown.iter().all(|grown| grown.is_finite())
        };
        keep(&mut self.buckets, at, COUNT_BUCKETS, is_sane);
    }
}

/// The first and the highest level of each bucket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Levels(VecDeque<(u64, (f64, f64))>);

impl Levels {
    /// Takes a level.
    pub(super) fn add(&mut self, now: Duration, level: f64, window: Duration) {
        let at = bucket(now, window, LEVEL_BUCKETS);
        while self.0.front().is_some_and(|(first, _)| first.saturating_add(LEVEL_BUCKETS) <= at) {
            self.0.pop_front();
        }
        match self.0.back_mut() {
            Some((last, (_, highest))) if *last >= at => *highest = highest.max(level),
            Some(_) | None => self.0.push_back((at, (level, level))),
        }
    }

    /// The oldest level of the window.
    pub(super) fn first(&self) -> Option<f64> {
        self.0.front().map(|(_, (first, _))| *first)
    }

    /// The highest level of the window.
    pub(super) fn highest(&self) -> Option<f64> {
        self.0.iter().map(|(_, (_, highest))| *highest).reduce(f64::max)
    }

    fn mend(&mut self, now: Duration, window: Duration) {
        let is_sane = |(first, highest): &(f64, f64)| first.is_finite() && highest.is_finite();
        keep(&mut self.0, bucket(now, window, LEVEL_BUCKETS), LEVEL_BUCKETS, is_sane);
    }
}

/// The values of the hours of 7 days.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    /// The hour under way, and whether it was seen from its beginning.
    #[serde(skip)]
    hour: Option<(u64, bool)>,
    hours: VecDeque<(u64, f64)>,
}

/// What is usual of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Typical {
    /// The median of the hours.
    pub median: f64,
    /// Their interquartile range: half of them lie within it.
    pub spread: f64,
    /// How many hours it is made of.
    pub hours: usize,
}

impl History {
    /// Takes the value of the sixty minutes that end now. The first reading of an hour is kept as the value
    /// of the hour before it, when that one was seen from its beginning.
    pub(super) fn add(&mut self, now: Duration, value: Option<f64>) {
        let hour = bucket(now, WEEK, HOURS);
        while self.hours.front().is_some_and(|(first, _)| first.saturating_add(HOURS) <= hour) {
            self.hours.pop_front();
        }
        let was = self.hour.filter(|(was, _)| *was == hour || was.saturating_add(1) == hour);
        let is_next = was.is_some_and(|(was, _)| was != hour);
        if let Some((was, true)) = was.filter(|_| is_next) {
            self.hours.extend(value.map(|value| (was, value)));
        }
        self.hour = Some((hour, is_next || was.is_some_and(|(_, is_whole)| is_whole)));
    }

    /// What is usual; `None` of no hours at all.
    pub(super) fn typical(&self) -> Option<Typical> {
        let mut values: Vec<f64> = self.hours.iter().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        let of = |share: f64| quantile(&values, share);
        Some(Typical { median: of(0.5)?, spread: of(0.75)? - of(0.25)?, hours: values.len() })
    }

    fn mend(&mut self, now: Duration) {
        let hour = bucket(now, WEEK, HOURS);
        self.hour = None;
        keep(&mut self.hours, hour, HOURS, |value| value.is_finite());
    }
}

/// A quantile of sorted values, interpolated as Prometheus does in `quantile_over_time`.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (rank.floor() as usize, rank.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * rank.fract())
}

/// Of a ring that comes from a file: what is in order, not in the future, not too old, and not too much.
fn keep<T>(ring: &mut VecDeque<(u64, T)>, at: u64, most: u64, is_sane: impl Fn(&T) -> bool) {
    let mut before = None;
    ring.retain(|(index, value)| {
        let is_next = before.is_none_or(|before| before < *index);
        let fits = is_next && *index <= at && index.saturating_add(most) > at && is_sane(value);
        before = if fits { Some(*index) } else { before };
        fits
    });
}

/// All that a series remembers. What its test does not need stays empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    /// A counter, and when it moved last. Of no use to another life of the host.
    #[serde(skip)]
    pub(super) moved: Option<(f64, Duration)>,
    #[serde(default)]
    pub(super) increases: Increases,
    #[serde(default)]
    pub(super) levels: Levels,
    #[serde(default)]
    pub(super) history: History,
}

impl Memory {
    /// Makes what comes from a file fit to go on with at `now`.
    pub(super) fn mend(&mut self, now: Duration, window: Duration) {
        self.increases.mend(now, window);
        self.levels.mend(now, window);
        self.history.mend(now);
    }

    /// How many figures are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let grown: usize = self.increases.buckets.iter().map(|(_, grown)| grown.len()).sum();
        grown + self.levels.0.len() + self.history.hours.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(secs: u64) -> Duration {
        Duration::from_secs(1_700_000_000 + secs)
    }

    #[test]
    fn growth_is_forgotten_with_its_window_and_a_restart_counts_from_zero() {
        let mut increases = Increases::default();
        let mut check = |secs, count: f64, expected: f64| {
            increases.add(at(secs), &[count], MINUTE);
            assert_eq!(increases.sums(), [expected], "{count} at {secs} s");
        };
        check(0, 100.0, 0.0);
        check(10, 103.0, 3.0);
        check(50, 103.0, 3.0);
        check(75, 103.0, 0.0);
        check(80, 2.0, 2.0);
        // Nothing was read for longer than the window.
        check(300, 9.0, 0.0);
        check(301, 10.0, 1.0);
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.25), Some(1.75));
        assert_eq!(quantile(&[7.0], 0.75), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_file_cannot_make_a_ring_larger_or_older() {
        let mut ring: VecDeque<_> =
            [(1, 0.5), (9, 1.0), (9, 2.0), (8, 3.0), (10, f64::NAN), (10, 4.0), (11, 5.0)]
                .into_iter()
                .collect();
        keep(&mut ring, 10, 5, |value: &f64| value.is_finite());
        assert_eq!(ring, [(9, 1.0), (10, 4.0)]);
    }
}
