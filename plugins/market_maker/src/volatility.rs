//! How much a price moves.

use std::time::Duration;

use sandpit_sdk::Time;

/// After this long a move counts half.
const HALF_LIFE: Duration = Duration::from_secs(300);

/// Moves that are wanted before anything is said.
const MIN_MOVES: u32 = 12;

/// A longer gap between two prices is no move but a hole in the data.
const MAX_GAP: Duration = Duration::from_secs(600);

/// The exponentially weighted variance of a price, in USD² a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Volatility {
    newest: Option<(Time, f64)>,
    moves: u32,
    variance: f64,
}

impl Volatility {
    /// Takes the next price, US dollars.
    pub(crate) fn push(&mut self, now: Time, price: f64) {
        let Some((before, old)) = self.newest.replace((now, price)) else { return };
        let span = now.since(before);
        if span.is_zero() || span > MAX_GAP {
            return;
        }
        let seconds = span.as_secs_f64();
        let variance = (price - old).powi(2) / seconds;
        // The first few moves are averaged, so that none of them weighs as if it were all there is.
        let weight =
            (1.0 - 0.5_f64.powf(seconds / HALF_LIFE.as_secs_f64())).max(1.0 / f64::from(self.moves + 1));
        self.variance += weight * (variance - self.variance);
        self.moves = self.moves.saturating_add(1);
    }

    /// The standard deviation of the move over that span, US dollars; `None` while too little is known.
    pub(crate) fn over(&self, span: Duration) -> Option<f64> {
        (self.moves >= MIN_MOVES).then(|| (self.variance * span.as_secs_f64()).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(moves: &[(i64, f64)]) -> Volatility {
        let (mut now, mut price, mut volatility) = (0, 100.0, Volatility::default());
        volatility.push(Time::default(), price);
        for (seconds, step) in moves {
            (now, price) = (now + seconds, price + step);
            volatility.push(Time::from_secs(now), price);
        }
        volatility
    }

    #[test]
    fn it_grows_with_the_root_of_time() {
        let check = |moves: &[(i64, f64)], seconds: u64, expected: Option<f64>| {
            let found = after(moves).over(Duration::from_secs(seconds));
            match (found, expected) {
                (Some(found), Some(expected)) => {
                    assert!((found - expected).abs() < 1e-9, "{found} {expected}")
                }
                (found, expected) => assert_eq!(found, expected),
            }
        };
        check(&[(1, 0.1); 11], 1, None);
        check(&[(1, 0.1); 12], 1, Some(0.1));
        check(&[(1, 0.1), (1, -0.1)].repeat(6), 100, Some(1.0));
        // The same market, looked at every four seconds.
        check(&[(4, 0.2); 50], 100, Some(1.0));
        // A night is no move, nor is the same moment.
        check(&[vec![(1, 0.1); 12], vec![(60_000, 50.0), (0, 50.0)]].concat(), 1, Some(0.1));
    }

    #[test]
    fn what_is_long_ago_fades() {
        let calm = after(&[vec![(1, 1.0); 2_000], vec![(1, 0.0); 600]].concat());
        let left = calm.over(Duration::from_secs(1)).expect("moves enough");
        assert!(
            (0.4..0.6).contains(&left),
            "two half-lives of the variance are one of the deviation: {left}"
        );
    }
}
