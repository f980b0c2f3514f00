//! When an order is due, by the closes alone: pure, and the same in the programs that a backtest is compared
//! with (`tests/backtest/python`).

use crate::Parameters;

/// An exponential moving average: the first value, then `alpha * value + (1 - alpha) * previous`, with
/// `alpha = 2 / (period + 1)`. Unlike the SDK's it begins with the first value, as the peers' do; the order
/// of the operations is theirs, too, so that all have the same bits.
#[derive(Clone, Copy, Debug)]
struct Ema {
    alpha: f64,
    average: Option<f64>,
}

impl Ema {
    fn new(period: u32) -> Self {
        Self { alpha: 2.0 / (f64::from(period) + 1.0), average: None }
    }

    fn push(&mut self, value: f64) -> f64 {
        let average = self.average.map_or(value, |average| self.alpha * value + (1.0 - self.alpha) * average);
        self.average = Some(average);
        average
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// To buy, if nothing is held.
    Buy,
    /// To sell what is held, if anything is.
    Sell,
    /// To buy if nothing is held, else to sell it.
    Either,
}

/// One symbol's averages, and what is due of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    fast: Ema,
    slow: Ema,
    /// Closes until the first decision.
    warm_up: u32,
    /// Closes from one order to the next; zero for crosses.
    every: u32,
    seen: u32,
    /// Whether the fast average was above the slow one at the last close.
    was_above: Option<bool>,
    /// What was due and has not been done.
    pub(crate) due: Option<Due>,
}

impl Rule {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        let &Parameters { fast, slow, every, .. } = parameters;
        let (fast, warm_up, slow) = (Ema::new(fast), slow, Ema::new(slow));
        Self { fast, slow, warm_up, every, seen: 0, was_above: None, due: None }
    }

    /// Takes the next close. What becomes due takes the place of what was due before.
    pub(crate) fn push(&mut self, close: f64) {
        let is_above = self.fast.push(close) > self.slow.push(close);
        self.seen += 1;
        if self.every > 0 {
            if self.seen == self.every {
                self.seen = 0;
                self.due = Some(Due::Either);
            }
            return;
        }
        if self.seen < self.warm_up {
            return;
        }
        // It stays there: how many there were is of no interest any more.
        self.seen = self.warm_up;
        let was_above = self.was_above.replace(is_above);
        if was_above.is_some_and(|was_above| was_above != is_above) {
            self.due = Some(if is_above { Due::Buy } else { Due::Sell });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(fast: u32, slow: u32, every: u32) -> Rule {
        Rule::new(&Parameters { fast, slow, every, ..Parameters::default() })
    }

    /// What was due after each close, one letter each; what is due is done at once.
    fn dues(mut rule: Rule, closes: &[f64]) -> String {
        let due = |close: &f64| {
            rule.push(*close);
            match rule.due.take() {
                None => '-',
                Some(Due::Buy) => 'b',
                Some(Due::Sell) => 's',
                Some(Due::Either) => 'e',
            }
        };
        closes.iter().map(due).collect()
    }

    #[test]
    fn by_hand() {
        let check = |fast, slow, every, closes: &[f64], expected: &str| {
            assert_eq!(dues(rule(fast, slow, every), closes), expected, "{closes:?}");
        };
        // Averages of 1 and 3: the second is (value + previous) / 2. After 10, 8, 12: 12 and 10.5, after 9: 9
        // and 9.75, after 10: 10 and 9.875.
        check(1, 3, 0, &[10.0, 8.0, 12.0, 9.0, 10.0], "---sb");
        // One that is there after the warm-up is no cross, and equal is not above.
        check(1, 3, 0, &[10.0, 8.0, 12.0, 13.0], "----");
        check(1, 3, 0, &[10.0, 10.0, 10.0, 10.0, 10.1, 10.1, 10.0], "----b-s");
        check(1, 3, 2, &[10.0; 7], "-e-e-e-");
        check(1, 3, 1, &[10.0; 3], "eee");
    }

    #[test]
    fn what_is_due_stays_until_it_is_done() {
        let mut rule = rule(1, 3, 0);
        [10.0, 8.0, 12.0, 9.0, 8.0, 7.0].iter().for_each(|&close| rule.push(close));
        assert_eq!(rule.due, Some(Due::Sell));
        rule.push(20.0);
        assert_eq!(rule.due, Some(Due::Buy), "the newer one counts");
    }

    proptest! {
        #[test]
        fn as_by_definition(
            fast in 1_u32..20,
            more in 1_u32..20,
            closes in prop::collection::vec(1.0_f64..1_000.0, 0..200),
        ) {
            let slow = fast + more;
            let ema = |period: u32, end: usize| {
                let alpha = 2.0 / (f64::from(period) + 1.0);
                let rest = closes[1..end].iter();
                rest.fold(closes[0], |average, close| alpha * close + (1.0 - alpha) * average)
            };
            let is_above = |end: usize| ema(fast, end) > ema(slow, end);
            let expected: String = (1..=closes.len())
                .map(|end| match end > slow as usize {
                    true if is_above(end) && !is_above(end - 1) => 'b',
                    true if !is_above(end) && is_above(end - 1) => 's',
                    true | false => '-',
                })
                .collect();
            prop_assert_eq!(dues(rule(fast, slow, 0), &closes), expected);
        }
    }
}
