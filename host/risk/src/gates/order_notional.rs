//! One order may be only so large; a strategy may have a bound of its own below that of all.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let largest = case.situation.grant.order_notional(case.limits, case.capital());
    if case.reduces() || case.notional() <= largest { Ok(()) } else { Err(Refusal::OrderNotional) }
}

#[cfg(test)]
mod tests {
    use super::super::world::usd;
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("a tenth of the capital", |w| w.buy("100", "100"), Ok(())),
                ("more", |w| w.buy("100.01", "100"), Err(Refusal::OrderNotional)),
                ("behind a stop what the broker's limit allows", |w| w.stopped("94", "103", ""), Ok(())),
                ("a share more", |w| w.stopped("95", "103", ""), Err(Refusal::OrderNotional)),
                ("a limit behind a stop", |w| w.stopped("100", "99", "100"), Ok(())),
                ("a trail begins above the market", |w| w.trailed("96", "5"), Err(Refusal::OrderNotional)),
                ("at the market the offer counts", |w| w.buy("100", ""), Err(Refusal::OrderNotional)),
                (
                    "the operator's capital counts",
                    |w| {
                        w.nav("50000");
                        w.buy("51", "100");
                    },
                    Err(Refusal::OrderNotional),
                ),
                (
                    "the strategy's own bound counts",
                    |w| {
                        w.situation.grant.order_notional = Some(usd("999.99"));
                        w.buy("10", "100");
                    },
                    Err(Refusal::OrderNotional),
                ),
                ("up to it", |w| w.situation.grant.order_notional = Some(usd("1000")), Ok(())),
                (
                    "it never widens the limit of all",
                    |w| {
                        w.situation.grant.order_notional = Some(usd("50000"));
                        w.buy("100.01", "100");
                    },
                    Err(Refusal::OrderNotional),
                ),
                (
                    "an exit passes it",
                    |w| {
                        w.situation.grant.order_notional = Some(usd("1"));
                        w.hold("5000");
                        w.sell("5000", "100");
                    },
                    Ok(()),
                ),
                ("no equity, no risk", |w| w.situation.equity = None, Err(Refusal::OrderNotional)),
                (
                    "an exit of any size",
                    |w| {
                        w.situation.equity = None;
                        w.hold("5000");
                        w.sell("5000", "100");
                    },
                    Ok(()),
                ),
            ],
        );
    }
}
