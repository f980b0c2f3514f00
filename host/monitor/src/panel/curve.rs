//! The equity curve of the plot: the newest part whole, what is older thinner the older it is. Pure.

use super::EquityPoint;

/// Points that are kept. Past them, every second one of the older half goes.
const MAX_POINTS: usize = 3_000;

/// The curve, in the order of time.
#[derive(Debug, Default)]
pub(crate) struct Curve {
    points: Vec<EquityPoint>,
}

impl Curve {
    /// Takes further points; one that is not newer than the newest is passed over.
    pub(crate) fn extend(&mut self, points: impl IntoIterator<Item = EquityPoint>) {
        for point in points {
            if point.usd.is_finite() && self.newest_ms().is_none_or(|newest| point.at_ms > newest) {
                self.points.push(point);
            }
            if self.points.len() > MAX_POINTS {
                self.thin();
            }
        }
    }

    /// When the newest one was.
    pub(crate) fn newest_ms(&self) -> Option<i64> {
        self.points.last().map(|point| point.at_ms)
    }

    /// As JSON: a list of `[Unix milliseconds, US dollars]`.
    pub(crate) fn json(&self) -> String {
        let points: Vec<_> = self.points.iter().map(|point| (point.at_ms, point.usd)).collect();
        serde_json::to_string(&points).expect("numbers, which JSON can hold")
    }

    /// Of each four points of the older half the lowest and the highest stay: peaks and falls are what the
    /// plot is for.
    fn thin(&mut self) {
        let newer = self.points.split_off(MAX_POINTS / 2);
        let older = std::mem::take(&mut self.points);
        for four in older.chunks(4) {
            let by_usd = |one: &&EquityPoint, other: &&EquityPoint| one.usd.total_cmp(&other.usd);
            let (lowest, highest) = (four.iter().min_by(by_usd), four.iter().max_by(by_usd));
            let kept = four.iter().filter(|point| lowest == Some(point) || highest == Some(point));
            self.points.extend(kept.take(2));
        }
        self.points.extend(newer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_ms: i64, usd: f64) -> EquityPoint {
        EquityPoint { at_ms, usd }
    }

    #[test]
    fn it_is_bounded_in_order_and_keeps_peak_and_fall() {
        let mut curve = Curve::default();
        let usd = |at: i64| match at {
            777 => 200.0,
            900 => 50.0,
            _ => 100.0 + (at % 7) as f64,
        };
        curve.extend((0..20_000).map(|at| point(at, usd(at))));
        assert!(curve.points.len() <= MAX_POINTS && curve.points.len() > MAX_POINTS / 2);
        assert!(curve.points.is_sorted_by(|one, next| one.at_ms < next.at_ms));
        for (at_ms, wanted) in [(777, 200.0), (900, 50.0), (19_999, usd(19_999))] {
            assert!(curve.points.contains(&point(at_ms, wanted)), "{at_ms}");
        }
    }

    #[test]
    fn what_is_old_or_no_number_is_passed_over() {
        let mut curve = Curve::default();
        curve.extend([point(5, 1.0), point(5, 2.0), point(4, 3.0), point(6, f64::NAN), point(7, 4.0)]);
        assert_eq!(curve.json(), "[[5,1.0],[7,4.0]]");
        assert_eq!(curve.newest_ms(), Some(7));
    }
}
