//! The last values, with their sums kept in constant time and without drift.

/// A ring of the last `period` values, and the sums of their distances from a pivot.
///
/// A running sum drifts as values are added and taken away. So a second pair of sums starts at every wrap of
/// the ring and only adds; at the next wrap it covers exactly the ring, and takes over. The pivot (the mean
/// at the last wrap) keeps squares small beside the variance that is wanted of them.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    values: Box<[f64]>,
    next: usize,
    is_full: bool,
    current: Sums,
    fresh: Sums,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    pivot: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn about(pivot: f64) -> Self {
        Self { pivot, ..Self::default() }
    }

    fn add(&mut self, value: f64) {
        let distance = value - self.pivot;
        self.sum += distance;
        self.squares += distance * distance;
    }

    fn take(&mut self, value: f64) {
        let distance = value - self.pivot;
        self.sum -= distance;
        self.squares -= distance * distance;
    }
}

impl Window {
    /// # Panics
    /// When the period is zero.
    pub(crate) fn new(period: usize) -> Self {
        assert!(period > 0, "a window needs a period of at least one");
        Self {
            values: vec![0.0; period].into_boxed_slice(),
            next: 0,
            is_full: false,
            current: Sums::default(),
            fresh: Sums::default(),
        }
    }

    /// Takes a value in; the oldest goes when the window is full. Not finite is skipped.
    pub(crate) fn push(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if self.next == 0 && !self.is_full {
            (self.current, self.fresh) = (Sums::about(value), Sums::about(value));
        }
        let oldest = std::mem::replace(&mut self.values[self.next], value);
        if self.is_full {
            self.current.take(oldest);
        }
        self.current.add(value);
        self.fresh.add(value);
        self.next += 1;
        if self.next == self.values.len() {
            self.next = 0;
            self.is_full = true;
            self.current = self.fresh;
            self.fresh = Sums::about(self.mean_now());
        }
    }

    /// The mean, once the window is full.
    pub(crate) fn mean(&self) -> Option<f64> {
        self.is_full.then(|| self.mean_now())
    }

    /// The population's standard deviation, once the window is full.
    pub(crate) fn deviation(&self) -> Option<f64> {
        let period = self.values.len() as f64;
        let distance = self.current.sum / period;
        self.is_full.then(|| (self.current.squares / period - distance * distance).max(0.0).sqrt())
    }

    fn mean_now(&self) -> f64 {
        self.current.pivot + self.current.sum / self.values.len() as f64
    }
}
