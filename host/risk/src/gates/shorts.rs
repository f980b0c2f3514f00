//! Shorting is off: a sale that is not covered by what is held and free is refused.
//!
//! Where a position is short all the same, as after a difference with the broker, it can be bought back and
//! no more: no order turns a position round (the broker answers 403), and none that brings exits along meets
//! a position of the other direction.

use sandpit_types::{OrderClass, Qty, Refusal, Side};

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if case.reduces() {
        return Ok(());
    }
    let is_short = |held: Qty| held < Qty::ZERO;
    let is_oco = matches!(case.submit.class, OrderClass::Oco { .. });
    match case.submit.side {
        Side::Sell => Err(Refusal::ShortNotAllowed),
        Side::Buy if is_short(case.situation.position) || is_short(case.situation.account_position) => {
            Err(Refusal::UnsupportedOrder)
        }
        Side::Buy if is_oco => Err(Refusal::UnsupportedOrder),
        Side::Buy => Ok(()),
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
                (
                    "two exits of the same shares take them once",
                    |w| {
                        w.hold("10");
                        w.exits("a", "5", "110", "95");
                        w.sell("5", "100");
                    },
                    Ok(()),
                ),
                (
                    "and leave the rest",
                    |w| {
                        w.hold("10");
                        w.exits("a", "5", "110", "95");
                        w.sell("6", "100");
                    },
                    Err(Refusal::ShortNotAllowed),
                ),
                (
                    "exits whose entry has not filled take nothing",
                    |w| {
                        w.hold("10");
                        w.exits("a", "10", "110", "95");
                        w.situation.open_orders.iter_mut().for_each(|order| order.dormant = true);
                        w.sell("10", "100");
                    },
                    Ok(()),
                ),
                (
                    "in the place of the order that sold them",
                    |w| {
                        w.hold("6");
                        w.sell("6", "100");
                        w.situation.replaced_remaining = qty("6");
                    },
                    Ok(()),
                ),
                (
                    "a smaller one, while the larger may still fill",
                    |w| {
                        w.hold("5");
                        w.sell("5", "100");
                        w.situation.replaced_remaining = qty("6");
                    },
                    Err(Refusal::ShortNotAllowed),
                ),
                (
                    "two exits of what is held",
                    |w| {
                        w.hold("10");
                        w.oco("110", "95");
                    },
                    Ok(()),
                ),
                ("of nothing", |w| w.oco("110", "95"), Err(Refusal::ShortNotAllowed)),
                (
                    "an entry with exits that would sell what is held",
                    |w| {
                        w.hold("10");
                        w.sell("10", "100");
                        w.bracket("90", "105");
                    },
                    Err(Refusal::ShortNotAllowed),
                ),
                (
                    "back what is short",
                    |w| {
                        w.hold("-10");
                        w.buy("10", "100");
                    },
                    Ok(()),
                ),
                (
                    "and round to the other side",
                    |w| {
                        w.hold("-10");
                        w.buy("10.5", "100");
                    },
                    Err(Refusal::UnsupportedOrder),
                ),
                (
                    "back with exits of its own",
                    |w| {
                        w.hold("-10");
                        w.buy("10", "100");
                        w.bracket("110", "95");
                    },
                    Err(Refusal::UnsupportedOrder),
                ),
                (
                    "two exits that buy while nothing is short",
                    |w| {
                        w.oco("90", "105");
                        w.submit.side = Side::Buy;
                    },
                    Err(Refusal::UnsupportedOrder),
                ),
            ],
        );
    }
}
