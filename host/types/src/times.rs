//! How long something takes, counted cheaply enough for the way of every order.

use std::time::Duration;

/// Bounds of the classes, microseconds. An order's way takes tens of them where all is well; a second is a
/// disk or a queue.
pub const TIMES_BOUNDS_US: [u64; 21] = [
    5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 200_000,
    1_000_000,
];

/// A distribution of durations, real time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many there were.
    pub count: u64,
    /// Their sum.
    pub total: Duration,
    /// The longest.
    pub longest: Duration,
    /// How many were no longer than each of [`TIMES_BOUNDS_US`], and longer than the bound before it.
    pub classes: [u64; TIMES_BOUNDS_US.len()],
}

impl Times {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        self.count += 1;
        self.total += took;
        self.longest = self.longest.max(took);
        let bound = |us: u64| Duration::from_micros(us);
        let class = TIMES_BOUNDS_US.partition_point(|us| bound(*us) < took);
        if let Some(class) = self.classes.get_mut(class) {
            *class += 1;
        }
    }

    /// Adds what somebody else counted.
    pub fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
        self.classes.iter_mut().zip(other.classes).for_each(|(own, count)| *own += count);
    }

    /// The mean; zero of none.
    pub fn mean(&self) -> Duration {
        u32::try_from(self.count).ok().and_then(|count| self.total.checked_div(count)).unwrap_or_default()
    }

    /// Each bound, seconds, and how many were no longer.
    pub fn within_secs(&self) -> impl Iterator<Item = (f64, u64)> {
        let sums = self.classes.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        TIMES_BOUNDS_US.iter().map(|us| *us as f64 / 1e6).zip(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_once_in_the_class_below_its_bound() {
        let mut times = Times::default();
        for us in [0, 5, 6, 1_000_000, 1_000_001] {
            times.add(Duration::from_micros(us));
        }
        let within: Vec<u64> = times.within_secs().map(|(_, count)| count).collect();
        assert_eq!((within[0], within[1], within[20]), (2, 3, 4), "{within:?}");
        assert_eq!((times.count, times.longest), (5, Duration::from_micros(1_000_001)));
        assert_eq!(times.mean(), Duration::from_nanos(400_002_400));
        assert_eq!(Times::default().mean(), Duration::ZERO);
    }
}
