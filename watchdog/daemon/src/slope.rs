//! How fast memory grows: the median of the slopes between every two samples of a window (Theil and Sen),
//! which a quarter of wild samples does not move.
//!
//! Two windows: a short one of single samples sees a leak of hundreds of megabytes a second, a long one of
//! the lowest sample of each ten seconds sees one of a megabyte a minute under all that comes and goes.

use std::{collections::VecDeque, time::Duration};

use sandpit_contract::BootTime;

/// Samples of the short window: two seconds at four a second.
const SHORT_POINTS: usize = 8;
/// With fewer nothing is said of the near future.
const SHORT_MIN: usize = 4;
/// So many samples in a row must each be above the one before, for a future that is judged at once.
const RISES: usize = 3;
/// A point of the long window is the lowest sample of so long.
const LONG_EVERY: Duration = Duration::from_secs(10);
/// Points of the long window: ten minutes.
const LONG_POINTS: usize = 60;
/// With fewer, a minute's worth, nothing is said of a minute.
const LONG_MIN: usize = 6;

/// Both windows over one host's memory.
#[derive(Debug, Default)]
pub(crate) struct Slope {
    short: VecDeque<(BootTime, u64)>,
    long: VecDeque<(BootTime, u64)>,
    /// The long window's next point, since when it is gathered, and the lowest sample so far.
    gathering: Option<(BootTime, u64)>,
    per_minute: Option<i64>,
}

impl Slope {
    /// Takes a sample in. One that is not later than the last changes nothing.
    pub(crate) fn on(&mut self, bytes: u64, now: BootTime) {
        if self.short.back().is_some_and(|(last, _)| *last >= now) {
            return;
        }
        push(&mut self.short, SHORT_POINTS, (now, bytes));
        let (since, lowest) = self.gathering.get_or_insert((now, bytes));
        *lowest = bytes.min(*lowest);
        if now.since(*since) >= LONG_EVERY {
            let point = (now, *lowest);
            self.gathering = None;
            push(&mut self.long, LONG_POINTS, point);
            if self.long.len() >= LONG_MIN {
                self.per_minute = theil_sen(&self.long).map(|a_second| a_second.saturating_mul(60));
            }
        }
    }

    /// Bytes a minute over the last minutes; `None` until there is a minute's worth of samples.
    pub(crate) fn per_minute(&self) -> Option<i64> {
        self.per_minute
    }

    /// Bytes a second over the last two seconds; `None` until there is about one.
    pub(crate) fn per_second(&self) -> Option<i64> {
        if self.short.len() < SHORT_MIN { None } else { theil_sen(&self.short) }
    }

    /// When `bytes` will be reached if it goes on like in the last two seconds, or like in the last step
    /// where that is slower. `None` unless it goes on: each of the last samples is above the one before.
    pub(crate) fn time_to(&self, bytes: u64) -> Option<Duration> {
        let mut newest = self.short.iter().rev().filter(|_| self.is_rising());
        let (last, before) = (newest.next()?, newest.next()?);
        let a_second = self.per_second()?.min(between(before, last));
        let a_second = u64::try_from(a_second).ok().filter(|slope| *slope > 0)?;
        let left = u128::from(bytes.saturating_sub(last.1));
        let nanos = left * 1_000_000_000 / u128::from(a_second);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// A single jump is not that.
    fn is_rising(&self) -> bool {
        let newest = self.short.iter().rev().take(RISES + 1);
        let earlier = newest.clone().skip(1);
        self.short.len() > RISES && newest.zip(earlier).all(|(later, earlier)| later.1 > earlier.1)
    }
}

fn push(window: &mut VecDeque<(BootTime, u64)>, most: usize, point: (BootTime, u64)) {
    if window.len() == most {
        window.pop_front();
    }
    window.push_back(point);
}

/// The slope between two points, per second.
fn between((from, before): &(BootTime, u64), (to, after): &(BootTime, u64)) -> i64 {
    let nanos = i128::try_from(to.since(*from).as_nanos()).unwrap_or(i128::MAX).max(1);
    let slope = (i128::from(*after) - i128::from(*before)) * 1_000_000_000 / nanos;
    i64::try_from(slope).unwrap_or(if slope > 0 { i64::MAX } else { i64::MIN })
}

/// The median slope, per second. The points' times differ.
fn theil_sen(points: &VecDeque<(BootTime, u64)>) -> Option<i64> {
    let pairs = points
        .iter()
        .enumerate()
        .flat_map(|(index, first)| points.iter().skip(index + 1).map(move |second| between(first, second)));
    let mut slopes: Vec<i64> = pairs.collect();
    let middle = slopes.len() / 2;
    (!slopes.is_empty()).then(|| *slopes.select_nth_unstable(middle).1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn at(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }

    /// Samples in MiB, four a second.
    fn slope_of(samples: impl IntoIterator<Item = u64>) -> Slope {
        let mut slope = Slope::default();
        (1..).zip(samples).for_each(|(number, mib)| slope.on(mib * MIB, at(number * 250)));
        slope
    }

    /// The slope in MiB a second, and the milliseconds until 1000 MiB if it goes on.
    fn check(samples: &[u64], expected: Option<i64>, rising_ms: Option<u128>) {
        let slope = slope_of(samples.iter().copied());
        let mib = slope.per_second().map(|bytes| bytes / (1 << 20));
        let until = slope.time_to(1000 * MIB);
        assert_eq!((mib, until.map(|until| until.as_millis())), (expected, rising_ms), "{samples:?}");
    }

    #[test]
    fn a_leak_has_a_slope_and_a_spike_has_none() {
        check(&[100, 225, 350], None, None);
        check(&[100, 225, 350, 475], Some(500), Some(1050));
        check(&[100, 225, 350, 475, 600, 725, 850, 975, 1100], Some(500), Some(0));
        check(&[100, 100, 100, 100, 100, 100, 100, 900], Some(0), None);
        check(&[100, 100, 100, 100, 100, 100, 900, 900], Some(0), None);
        check(&[100, 900, 100, 900, 100, 100, 100, 100], Some(0), None);
        check(&[800, 700, 600, 500, 400], Some(-400), None);
        // It grew and stopped.
        check(&[100, 225, 350, 475, 475, 475], Some(333), None);
    }

    #[test]
    fn a_slow_leak_is_seen_under_a_saw() {
        // 1 MiB a minute, below allocations of up to 50 MiB that come and go within seconds.
        let bytes = |n: u64| 200 * MIB + n * MIB / 240 + (n % 13) * 4 * MIB;
        let mut slope = Slope::default();
        for n in 1..=2400 {
            slope.on(bytes(n), at(n * 250));
            assert_eq!(slope.per_minute().is_some(), n > 240 + 5, "after {n} samples");
        }
        let a_minute = slope.per_minute().expect("ten minutes");
        assert!((900_000..1_200_000).contains(&a_minute), "{a_minute}");
    }

    #[test]
    fn time_that_stands_or_goes_back_adds_nothing() {
        let mut slope = slope_of([1, 2, 3, 4]);
        let before = slope.per_second();
        slope.on(999 * MIB, at(1000));
        slope.on(999 * MIB, at(0));
        assert_eq!(slope.per_second(), before);
    }

    proptest! {
        /// Whatever two samples of eight say, the slope lies within that of the others.
        #[test]
        fn two_wild_samples_move_nothing(
            step in 0u64..200,
            wild in proptest::collection::btree_map(0usize..8, 0u64..100_000, 0..=2),
        ) {
            let samples = (0..8u64).map(|n| wild.get(&(n as usize)).copied().unwrap_or(1000 + n * step));
            let slope = slope_of(samples).per_second().expect("enough");
            let expected = i64::try_from(step * 4 * MIB).expect("small");
            prop_assert!((slope - expected).abs() <= 4, "{} is not {}", slope, expected);
        }

        #[test]
        fn a_line_is_its_own_slope(
            a_second in 0u64..1 << 34,
            gaps in proptest::collection::vec(50u64..5000, 4..40),
        ) {
            let (mut slope, mut ms) = (Slope::default(), 0);
            for gap in gaps {
                ms += gap;
                slope.on(a_second * ms / 1000, at(ms));
            }
            let got = u64::try_from(slope.per_second().expect("enough")).expect("it grows");
            prop_assert!(got.abs_diff(a_second) <= 40, "{} is not {}", got, a_second);
        }

        #[test]
        fn what_never_grows_is_never_full(samples in proptest::collection::vec(0u64..1000, 1..40)) {
            let mut falling = samples;
            falling.sort_unstable_by(|a, b| b.cmp(a));
            let slope = slope_of(falling);
            prop_assert!(slope.time_to(2000 * MIB).is_none());
        }
    }
}
