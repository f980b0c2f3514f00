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
    /// When the peak was reached again; `None` if it was not.
    pub(crate) over: Option<MarketTime>,
}

/// Below a peak by less than this share of it is rounding: cash and values of what is held are sums of
/// floats.
const ROUNDING: f64 = 1e-9;

/// What is pushed so soon after a close is of the same trading day: the hours after the session.
const AFTER_CLOSE: Duration = Duration::from_secs(8 * 3_600);

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
    /// Whether the equity is below the peak.
    is_under: bool,
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
            is_under: false,
            fall: Fall { depth: 0.0, from: start, low: start, over: Some(start) },
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
        let drawdown = self.fall_to(time, equity);
        let exposure = if equity > 0.0 { gross / equity } else { 0.0 };
        self.exposure_max = self.exposure_max.max(exposure);
        self.plot(Point { time, low: equity, high: equity, last: equity, drawdown, exposure });
    }

    /// The drawdown at a time: a share of the peak, zero or less.
    fn fall_to(&mut self, time: MarketTime, equity: f64) -> f64 {
        let was_under = std::mem::replace(&mut self.is_under, equity < self.peak.0 * (1.0 - ROUNDING));
        if was_under || self.is_under {
            self.longest = self.longest.max(time.since(self.peak.1));
        }
        if !self.is_under {
            if was_under && self.fall.from == self.peak.1 {
                self.fall.over = Some(time);
            }
            self.peak = (self.peak.0.max(equity), time);
            return 0.0;
        }
        let drawdown = if self.peak.0 > 0.0 { equity / self.peak.0 - 1.0 } else { 0.0 };
        if drawdown < self.fall.depth {
            self.fall = Fall { depth: drawdown, from: self.peak.1, low: time, over: None };
        }
        drawdown
    }

    /// The equity last pushed is that of a trading day's close.
    pub fn end_day(&mut self, close: MarketTime) {
        self.days.push((close, self.equity));
    }

    /// The chart's points, in order of time.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// What the account was worth last, US dollars.
    pub const fn equity(&self) -> f64 {
        self.equity
    }

    /// The equity at each close, with that of a day that was not over at the end. What came in the hours
    /// after the last close belongs to its day.
    pub(crate) fn days(&self) -> Vec<(MarketTime, f64)> {
        let mut days = self.days.clone();
        match days.last_mut() {
            Some((close, equity)) if self.now.since(*close) < AFTER_CLOSE => *equity = self.equity,
            Some((_, equity)) if *equity == self.equity => {}
            None if self.now <= self.start => {}
            _ => days.push((self.now, self.equity)),
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
            prop_assert!((curve.fall().depth - deepest).abs() <= ROUNDING);
            let points = curve.points();
            prop_assert!(points.len() <= POINTS_MAX);
            let low = points.iter().map(|point| point.low).fold(f64::INFINITY, f64::min);
            prop_assert_eq!(low, all.iter().copied().fold(f64::INFINITY, f64::min));
            prop_assert_eq!(points.last().map(|point| point.last), all.last().copied());
            prop_assert!(points.is_sorted_by(|a, b| a.time < b.time));
        }
    }

    #[test]
    fn a_drawdown_lasts_from_its_peak_to_its_recovery() {
        let at = |hour: i64| MarketTime::from_secs(3_600 * hour);
        // Hours with equities; hours of the longest fall; the deepest one's peak, low and end.
        let check = |steps: &[(i64, f64)], longest: u64, (from, low, over): (i64, i64, Option<i64>)| {
            let mut curve = Curve::new(at(0), 1_000.0);
            steps.iter().for_each(|(hour, equity)| curve.push(at(*hour), *equity, 0.0, 0.0));
            assert_eq!(curve.longest(), Duration::from_secs(3_600 * longest), "{steps:?}");
            let Fall { from: f, low: l, over: o, .. } = curve.fall();
            assert_eq!((f, l, o), (at(from), at(low), over.map(at)), "{steps:?}");
        };
        // Over a weekend: it lasts until it is over, not until it was last seen.
        check(&[(1, 900.0), (66, 1_000.0)], 66, (0, 1, Some(66)));
        check(&[(1, 900.0), (5, 950.0)], 5, (0, 1, None));
        // The longest is not the deepest, and the later one is not over.
        check(&[(1, 500.0), (2, 1_000.0), (3, 990.0), (9, 995.0)], 7, (0, 1, Some(2)));
        check(&[(1, 990.0), (7, 1_001.0), (8, 500.0), (9, 600.0)], 7, (7, 8, None));
        // Rising, and standing still, are no falls; nor is rounding.
        check(&[(1, 1_100.0), (99, 1_100.0), (200, 1_200.0)], 0, (0, 0, Some(0)));
        check(&[(1, 1_000.0 - 1e-10), (99, 1_000.0 - 2e-10), (200, 1_000.0)], 0, (0, 0, Some(0)));
    }

    #[test]
    fn hours_after_a_close_are_no_day() {
        let at = |hour: i64| MarketTime::from_secs(3_600 * hour);
        let check = |steps: &[(i64, f64)], expected: &[(i64, f64)]| {
            let mut curve = Curve::new(at(0), 1_000.0);
            curve.push(at(6), 1_010.0, 0.0, 0.0);
            curve.end_day(at(6));
            steps.iter().for_each(|(hour, equity)| curve.push(at(*hour), *equity, 0.0, 0.0));
            let expected: Vec<_> = expected.iter().map(|(hour, equity)| (at(*hour), *equity)).collect();
            assert_eq!(curve.days(), expected, "{steps:?}");
        };
        check(&[], &[(6, 1_010.0)]);
        check(&[(8, 1_005.0)], &[(6, 1_005.0)]);
        check(&[(8, 1_005.0), (25, 1_020.0)], &[(6, 1_010.0), (25, 1_020.0)]);
        check(&[(25, 1_010.0)], &[(6, 1_010.0)]);
        assert_eq!(Curve::new(at(0), 1.0).days(), []);
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
