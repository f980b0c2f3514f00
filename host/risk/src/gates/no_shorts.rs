//! Shorting is off: a sale that is not covered by what is held and free is refused.

use sandpit_types::{Refusal, Side};

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    match case.submit.side {
        Side::Sell if !case.reduces() => Err(Refusal::ShortNotAllowed),
        Side::Sell | Side::Buy => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::qty;
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("a buy", |_| (), Ok(())),
                ("nothing held", |w| w.sell("1", "100"), Err(Refusal::ShortNotAllowed)),
                (
                    "all that is held",
                    |w| {
                        w.hold("10");
                        w.sell("10", "100");
                    },
                    Ok(()),
                ),
                (
                    "more than is held",
                    |w| {
                        w.hold("10");
                        w.sell("10.5", "100");
                    },
                    Err(Refusal::ShortNotAllowed),
                ),
                (
                    "what another sale of its own may already take",
                    |w| {
                        w.hold("10");
                        w.open("a", Side::Sell, "5", "101");
                        w.sell("6", "100");
                    },
                    Err(Refusal::ShortNotAllowed),
                ),
                (
                    "what is about to be bought takes nothing",
                    |w| {
                        w.hold("10");
                        w.open("a", Side::Buy, "5", "90");
                        w.sell("10", "100");
                    },
                    Ok(()),
                ),
                (
                    "what another strategy holds",
                    |w| {
                        w.situation.account_position = qty("10");
                        w.sell("1", "100");
                    },
                    Err(Refusal::ShortNotAllowed),
                ),
                (
                    "what the account does not have, whatever the book says",
                    |w| {
                        w.situation.position = qty("10");
                        w.sell("10", "100");
                    },
                    Err(Refusal::ShortNotAllowed),
                ),
            ],
        );
    }
}
