//! Which readings of the equity are believed.
//!
//! Brokers serve equities that are missing, zero or far off at odd hours. Such a reading is *unknown*: no
//! loss, and no right to trade either, until two further readings agree with each other and with cash plus
//! market values. Then it is real, and counts as whatever it is: also as a loss.

use super::money::Money;

/// From one reading to the next no account moves by more, in hundredths of a per cent.
const JUMP: u32 = 2_000;
/// Equity and cash plus market values may differ by so much, or by one unit...
const AGREEMENT: u32 = 100;
/// ...whichever is more.
const UNIT: Money = Money::whole(1);
/// Further readings that make a doubtful one real.
const CONFIRMATIONS: u32 = 2;

/// What one reading says about the equity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// The broker's word; `None` when it is missing or no number.
    pub(super) equity: Option<Money>,
    /// The account's cash.
    pub(super) cash: Option<Money>,
    /// The sum of what the positions are worth; `None` when one of them has no value.
    pub(super) values: Option<Money>,
    /// There is at least one position.
    pub(super) has_positions: bool,
}

#[derive(Clone, Debug)]
struct Doubt {
    why: String,
    /// The newest reading that agrees with itself, and how many further ones have agreed with it.
    real: Option<(Money, u32)>,
}

/// The last equity that was believed, and a doubt since.
#[derive(Clone, Debug, Default)]
pub(super) struct Belief {
    last: Option<Money>,
    doubt: Option<Doubt>,
}

impl Belief {
    /// As an earlier life left it.
    pub(super) const fn restored(last: Option<Money>) -> Self {
        Self { last, doubt: None }
    }

    /// The last equity that was believed.
    pub(super) const fn last(&self) -> Option<Money> {
        self.last
    }

    /// Why the equity is unknown now.
    pub(super) fn why_unknown(&self) -> Option<&str> {
        self.doubt.as_ref().map(|doubt| doubt.why.as_str())
    }

    /// Takes a reading in: the equity, if it can be believed.
    pub(super) fn on(&mut self, figures: Figures) -> Option<Money> {
        let sound = sound(figures);
        let problem = match sound {
            Ok(equity) if !equity.is_positive() => Some(format!("the account's equity is {equity}")),
            Ok(equity) => self.jump(equity),
            Err(ref why) => Some(why.clone()),
        };
        let sound = sound.ok();
        if self.doubt.is_none() {
            match problem {
                Some(why) => self.doubt = Some(Doubt { why, real: sound.map(|equity| (equity, 0)) }),
                None => self.last = sound,
            }
            return sound.filter(|_| self.doubt.is_none());
        }
        let real = sound.map(|equity| match self.doubt.as_ref().and_then(|doubt| doubt.real) {
            Some((before, agreeing)) if is_near(equity, before) => (equity, agreeing + 1),
            Some(_) | None => (equity, 1),
        });
        if let Some((equity, CONFIRMATIONS)) = real {
            self.doubt = None;
            self.last = Some(equity);
            return Some(equity);
        }
        if let Some(doubt) = &mut self.doubt {
            doubt.real = real;
            doubt.why = problem.unwrap_or_else(|| std::mem::take(&mut doubt.why));
        }
        None
    }

    /// The owner's money came (above zero) or went.
    pub(super) fn shift(&mut self, net: Money) {
        self.last = self.last.map(|last| last + net);
    }

    fn jump(&self, equity: Money) -> Option<String> {
        let last = self.last.filter(|last| last.is_positive())?;
        let is_jump = (equity - last).abs() > last.part(JUMP);
        is_jump.then(|| format!("the account's equity jumped from {last} to {equity}"))
    }
}

/// The equity, when it is what cash and market values make. An account that shows neither equity nor cash nor
/// positions is an empty answer: there is nothing in it that a kill could save.
fn sound(figures: Figures) -> Result<Money, String> {
    let equity = figures.equity.ok_or("the account's equity is missing or no number")?;
    let cash = figures.cash.ok_or("the account's cash is missing or no number")?;
    let values = figures.values.ok_or("a position of the account has no value")?;
    if equity.is_zero() && cash.is_zero() && !figures.has_positions {
        return Err("the account is shown empty".into());
    }
    let worth = cash + values;
    if is_near(equity, worth) {
        Ok(equity)
    } else {
        Err(format!("the account's equity is {equity}, but cash and market values make {worth}"))
    }
}

/// Whether two amounts agree.
pub(super) fn is_near(a: Money, b: Money) -> bool {
    (a - b).abs() <= a.abs().part(AGREEMENT).max(UNIT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Equity and cash, with one position of value 1000; equity -1 is a missing one.
    fn check(readings: &[(i64, i64)], expected: &[Option<i64>]) {
        let mut belief = Belief::default();
        let believed: Vec<_> = readings
            .iter()
            .map(|&(equity, cash)| {
                belief.on(Figures {
                    equity: Some(Money::whole(equity)).filter(|_| equity >= 0),
                    cash: Some(Money::whole(cash)),
                    values: Some(Money::whole(1000)),
                    has_positions: true,
                })
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|equity| equity.map(Money::whole)).collect();
        assert_eq!(believed, expected, "{readings:?}");
    }

    const GOOD: (i64, i64) = (10_000, 9_000);

    #[test]
    fn an_odd_reading_is_unknown_until_two_further_ones_agree() {
        let good = Some(10_000);
        check(&[GOOD, GOOD], &[good, good]);
        // hummingbot#1145, #1866: a zero, a missing one, a zero that lasts.
        check(&[GOOD, (0, 9_000), GOOD, GOOD], &[good, None, None, good]);
        check(&[GOOD, (-1, 9_000), GOOD, GOOD], &[good, None, None, good]);
        check(&[GOOD, (0, 9_000), (0, 9_000), (0, 9_000), (0, 9_000)], &[good, None, None, None, None]);
        check(&[(0, 0), GOOD, GOOD], &[None, None, good]);
        // A jump that agrees with the cash is real after two further ones; one that does not, never.
        check(&[GOOD, (5_000, 4_000), (5_010, 4_010), (5_000, 4_000)], &[good, None, None, Some(5_000)]);
        check(&[GOOD, (5_000, 9_000), (5_000, 9_000), (5_000, 9_000)], &[good, None, None, None]);
        check(&[GOOD, (5_000, 4_000), (7_000, 6_000), (7_000, 6_000)], &[good, None, None, Some(7_000)]);
        check(&[GOOD, (5_000, 4_000), GOOD, GOOD], &[good, None, None, good]);
        // A fall below a fifth is believed at once.
        check(&[GOOD, (8_000, 7_000)], &[good, Some(8_000)]);
        check(&[GOOD, (7_999, 6_999)], &[good, None]);
        // Really nothing, and worse than nothing.
        let gone = (0, -1_000);
        check(&[GOOD, gone, gone, gone], &[good, None, None, Some(0)]);
    }

    #[test]
    fn an_empty_answer_never_becomes_real() {
        let mut belief = Belief::restored(Some(Money::whole(10_000)));
        let zero = Some(Money::ZERO);
        let empty = Figures { equity: zero, cash: zero, values: zero, has_positions: false };
        assert!((0..20).all(|_| belief.on(empty).is_none()));
        assert!(belief.why_unknown().is_some_and(|why| why.contains("empty")));
    }

    #[test]
    fn what_has_no_value_is_unknown() {
        let good = Figures {
            equity: Some(Money::whole(100)),
            cash: Some(Money::whole(100)),
            values: Some(Money::ZERO),
            has_positions: true,
        };
        for odd in [Figures { cash: None, ..good }, Figures { values: None, ..good }] {
            assert_eq!(Belief::default().on(odd), None);
        }
        assert_eq!(Belief::default().on(good), Some(Money::whole(100)));
    }

    proptest! {
        #[test]
        fn nothing_is_believed_that_cash_and_values_contradict(
            readings in proptest::collection::vec((0_i64..20_000, 0_i64..20_000), 1..60)
        ) {
            let mut belief = Belief::default();
            for (equity, cash) in readings {
                let believed = belief.on(Figures {
                    equity: Some(Money::whole(equity)),
                    cash: Some(Money::whole(cash)),
                    values: Some(Money::ZERO),
                    has_positions: false,
                });
                if let Some(believed) = believed {
                    prop_assert!(is_near(believed, Money::whole(cash)));
                    prop_assert_eq!(believed, Money::whole(equity));
                }
                prop_assert_eq!(believed.is_none(), belief.why_unknown().is_some());
            }
        }
    }
}
