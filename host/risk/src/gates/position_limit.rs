//! The position with every order of ours that adds to it may only be so large; a strategy may have a bound of
//! its own below that of all.

use sandpit_types::{Qty, Refusal, Usd};

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let largest = case.situation.grant.position(case.limits, case.capital());
    if case.reduces() || would_be(case) <= largest { Ok(()) } else { Err(Refusal::PositionLimit) }
}

/// What the account would hold of the symbol on the order's side, had every order on that side filled. What
/// it holds on the other side counts for nothing: this order may be the one that remains. A low bid is worth
/// what the shares are worth, for that is the position it ends in.
fn would_be(case: &Case<'_>) -> Usd {
    let side = case.submit.side;
    let Some(fair) = case.fair_price() else { return case.notional() };
    let held = side.signed(case.situation.account_position).max(Qty::ZERO);
    let working = case.sum_of_groups(
        side,
        |_| true,
        |order| case.worst_price(order.kind, side).map_or(fair, |worst| worst.max(fair)) * order.remaining,
    );
    fair * held + working + case.notional().max(fair * case.may_fill())
}

#[cfg(test)]
mod tests {
    use sandpit_types::Side;

    use super::super::world::usd;
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("a tenth of the capital", |w| w.buy("100", "100"), Ok(())),
                (
                    "with what is held",
                    |w| {
                        w.hold("60");
                        w.buy("40", "100");
                    },
                    Ok(()),
                ),
                (
                    "a share more",
                    |w| {
                        w.hold("60");
                        w.buy("41", "100");
                    },
                    Err(Refusal::PositionLimit),
                ),
                (
                    "the strategy's own bound counts",
                    |w| {
                        w.situation.grant.position_notional = Some(usd("1500"));
                        w.hold("6");
                    },
                    Err(Refusal::PositionLimit),
                ),
                (
                    "up to it",
                    |w| {
                        w.situation.grant.position_notional = Some(usd("1500"));
                        w.hold("5");
                    },
                    Ok(()),
                ),
                (
                    "out of it",
                    |w| {
                        w.situation.grant.position_notional = Some(usd("1"));
                        w.hold("5");
                        w.sell("5", "100");
                    },
                    Ok(()),
                ),
                (
                    "what another strategy is about to buy counts",
                    |w| {
                        w.open("b", Side::Buy, "60", "100");
                        w.buy("41", "100");
                    },
                    Err(Refusal::PositionLimit),
                ),
                (
                    "what is about to be sold makes no room before it is",
                    |w| {
                        w.hold("60");
                        w.open("a", Side::Sell, "60", "101");
                        w.buy("41", "100");
                    },
                    Err(Refusal::PositionLimit),
                ),
                (
                    "nor does it count as if it were bought",
                    |w| {
                        w.hold("40");
                        w.open("a", Side::Sell, "40", "101");
                        w.buy("60", "100");
                    },
                    Ok(()),
                ),
                (
                    "a low bid that waits is worth what the shares are",
                    |w| {
                        w.open("a", Side::Buy, "60", "50");
                        w.buy("41", "100");
                    },
                    Err(Refusal::PositionLimit),
                ),
                (
                    "out of a position that has grown too large",
                    |w| {
                        w.hold("500");
                        w.sell("500", "100");
                    },
                    Ok(()),
                ),
                (
                    "but not further in",
                    |w| {
                        w.hold("500");
                        w.buy("1", "100");
                    },
                    Err(Refusal::PositionLimit),
                ),
            ],
        );
    }
}
