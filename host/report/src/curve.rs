//! The account over time, in bounded memory whatever the length.

use std::time::Duration;

use sandpit_types::MarketTime;
use serde::Serialize;

/// Points kept for the chart, at most. When full, two become one.
const POINTS_MAX: usize = 2_048;

/// A stretch of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// When it begins.
    pub time: MarketTime,
    /// The lowest equity in it, US dollars.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// The last.
    pub last: f64,
    /// The deepest drawdown in it, a share of the peak before: zero or less.
    pub drawdown: f64,
    /// The largest gross exposure in it, a share of the equity.
    pub exposure: f64,
}

/// The deepest fall from a peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fall {
    /// A share of the peak: zero or less.
    pub(crate) depth: f64,
    pub(crate) from: MarketTime,
    pub(crate) low: MarketTime,
}

/// The account over time.
#[derive(Clone, Debug)]
pub struct Curve {
    start: MarketTime,
    cash: f64,
    now: MarketTime,
    equity: f64,
    gross: f64,
    /// So many pushes make a point.
    stride: u64,
    in_point: u64,
    points: Vec<Point>,
    days: Vec<(MarketTime, f64)>,
    peak: (f64, MarketTime),
    fall: Fall,
    longest: Duration,
    /// Gross exposure times seconds, and seconds with any and in all; of times at which something was pushed.
    exposure_seconds: f64,
    held_seconds: f64,
    seconds: f64,
    exposure_max: f64,
}

/// What lies further apart is a night or a weekend: it counts for no exposure.
const APART: Duration = Duration::from_secs(3_600);

impl Curve {
    /// Begins with this cash.
    pub fn new(start: MarketTime, cash: f64) -> Self {
        Self {
            start,
            cash,
            now: start,
            equity: cash,
            gross: 0.0,
            stride: 1,
            in_point: 0,
            points: Vec::new(),
            days: Vec::new(),
            peak: (cash, start),
            fall: Fall { depth: 0.0, from: start, low: start },
            longest: Duration::ZERO,
            exposure_seconds: 0.0,
            held_seconds: 0.0,
            seconds: 0.0,
            exposure_max: 0.0,
        }
    }

    /// The account at a time: what it is worth, and what is held of it, without and with its sign. Times
    /// never
    /// go back.
    pub fn push(&mut self, time: MarketTime, equity: f64, gross: f64, _net: f64) {
        let span = time.since(self.now);
        if span <= APART && self.equity > 0.0 {
            let seconds = span.as_secs_f64();
            self.seconds += seconds;
            if self.gross > 0.0 {
                self.exposure_seconds += seconds * self.gross / self.equity;
                self.held_seconds += seconds;
            }
        }
        (self.now, self.equity, self.gross) = (time, equity, gross);
        if equity >= self.peak.0 {
            self.peak = (equity, time);
        } else {
            self.longest = self.longest.max(time.since(self.peak.1));
        }
        let drawdown = if self.peak.0 > 0.0 { equity / self.peak.0 - 1.0 } else { 0.0 };
        if drawdown < self.fall.depth {
            self.fall = Fall { depth: drawdown, from: self.peak.1, low: time };
        }
        let exposure = if equity > 0.0 { gross / equity } else { 0.0 };
        self.exposure_max = self.exposure_max.max(exposure);
        self.plot(Point { time, low: equity, high: equity, last: equity, drawdown, exposure });
    }

    /// The equity last pushed is that of a trading day's close.
    pub fn end_day(&mut self, close: MarketTime) {
        self.days.push((close, self.equity));
    }

    /// The chart's points, in order of time.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The equity at each close, with that of a day that was not over at the end.
    pub(crate) fn days(&self) -> Vec<(MarketTime, f64)> {
        let mut days = self.days.clone();
        if days.last().is_none_or(|(_, equity)| *equity != self.equity) && self.now > self.start {
            days.push((self.now, self.equity));
        }
        days
    }

    pub(crate) const fn start(&self) -> (MarketTime, f64) {
        (self.start, self.cash)
    }

    pub(crate) const fn end(&self) -> (MarketTime, f64) {
        (self.now, self.equity)
    }

    pub(crate) const fn fall(&self) -> Fall {
        self.fall
    }

    /// The longest time below a peak.
    pub(crate) const fn longest(&self) -> Duration {
        self.longest
    }

    /// Average and largest gross exposure, and the share of time with any.
    pub(crate) fn exposure(&self) -> (f64, f64, f64) {
        let of_time = |seconds: f64| if self.seconds > 0.0 { seconds / self.seconds } else { 0.0 };
        (of_time(self.exposure_seconds), self.exposure_max, of_time(self.held_seconds))
    }

    fn plot(&mut self, point: Point) {
        match self.points.last_mut().filter(|_| self.in_point > 0) {
            Some(last) => last.join(&point),
            None => self.points.push(point),
        }
        self.in_point += 1;
        if self.in_point < self.stride {
            return;
        }
        self.in_point = 0;
        if self.points.len() == POINTS_MAX {
            let halved = self.points.chunks(2).map(|pair| {
                let mut first = pair[0];
                pair[1..].iter().for_each(|second| first.join(second));
                first
            });
            self.points = halved.collect();
            self.stride *= 2;
        }
    }
}

impl Point {
    fn join(&mut self, later: &Self) {
        self.low = self.low.min(later.low);
        self.high = self.high.max(later.high);
        self.last = later.last;
        self.drawdown = self.drawdown.min(later.drawdown);
        self.exposure = self.exposure.max(later.exposure);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn whatever_its_length_nothing_of_it_is_lost(steps in vec(-50.0..50.0_f64, 1..9_000)) {
            let mut curve = Curve::new(MarketTime::EPOCH, 10_000.0);
            let (mut equity, mut peak, mut deepest, mut all) = (10_000.0_f64, 10_000.0_f64, 0.0_f64, vec![]);
            for (minute, step) in (1_i64..).zip(&steps) {
                equity += step;
                peak = peak.max(equity);
                deepest = deepest.min(equity / peak - 1.0);
                all.push(equity);
                curve.push(MarketTime::from_secs(60 * minute), equity, 0.0, 0.0);
            }
            prop_assert_eq!(curve.fall().depth, deepest);
            let points = curve.points();
            prop_assert!(points.len() <= POINTS_MAX);
            let low = points.iter().map(|point| point.low).fold(f64::INFINITY, f64::min);
            prop_assert_eq!(low, all.iter().copied().fold(f64::INFINITY, f64::min));
            prop_assert_eq!(points.last().map(|point| point.last), all.last().copied());
            prop_assert!(points.is_sorted_by(|a, b| a.time < b.time));
        }
    }

    #[test]
    fn exposure_is_that_of_time_with_data() {
        let at = |minute: i64| MarketTime::from_secs(60 * minute);
        let mut curve = Curve::new(at(0), 1_000.0);
        curve.push(at(1), 1_000.0, 500.0, 500.0);
        curve.push(at(2), 1_000.0, 500.0, 500.0);
        curve.push(at(3), 1_000.0, 0.0, 0.0);
        curve.push(at(4), 1_000.0, 0.0, 0.0);
        // A night.
        curve.push(at(1_000), 1_000.0, 0.0, 0.0);
        assert_eq!(curve.exposure(), (0.25, 0.5, 0.5));
    }
}
