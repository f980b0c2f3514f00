//! There has to be a price that is young enough to trade on. An exit needs none: whoever cannot see the
//! market has all the more reason to leave it.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if case.market_price(case.submit.side).is_some() || case.reduces() {
        Ok(())
    } else {
        Err(Refusal::StaleData)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("fresh", |_| (), Ok(())),
                ("as old as allowed", |w| w.age(120), Ok(())),
                ("older", |w| w.age(121), Err(Refusal::StaleData)),
                ("as far ahead as allowed", |w| w.now = w.now - Duration::from_secs(60), Ok(())),
                (
                    "stamped in the future",
                    |w| w.now = w.now - Duration::from_secs(61),
                    Err(Refusal::StaleData),
                ),
                ("a bar, and no quote", |w| w.situation.quote = None, Ok(())),
                ("a quote, and no trade yet", |w| w.situation.last_price = None, Ok(())),
                (
                    "neither",
                    |w| (w.situation.quote, w.situation.last_price) = (None, None),
                    Err(Refusal::StaleData),
                ),
                (
                    "an exit without a price",
                    |w| {
                        (w.situation.quote, w.situation.last_price) = (None, None);
                        w.hold("10");
                        w.sell("10", "");
                    },
                    Ok(()),
                ),
                (
                    "nobody offers, and no trade yet",
                    |w| {
                        w.situation.last_price = None;
                        w.situation.quote.as_mut().expect("calm").ask = 0.0;
                    },
                    Err(Refusal::StaleData),
                ),
                (
                    "an offer that is not a number",
                    |w| {
                        w.situation.last_price = None;
                        w.situation.quote.as_mut().expect("calm").ask = f64::NAN;
                    },
                    Err(Refusal::StaleData),
                ),
            ],
        );
    }
}
