//! Orders of ours must not meet each other. The rule is the broker's wash-trade rule, so that it never has to
//! apply it.

use sandpit_types::{Price, Refusal, Side};

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let own = case.submit.kind.limit_price();
    let mut opposite = case.situation.open_orders.iter().filter(|order| order.side != case.submit.side);
    if opposite.any(|order| meet(case.submit.side, own, order.limit_price)) {
        Err(Refusal::SelfCross)
    } else {
        Ok(())
    }
}

/// Two limit orders meet when the buyer pays what the seller asks; without a limit they always may.
fn meet(side: Side, own: Option<Price>, resting: Option<Price>) -> bool {
    match (own, resting) {
        (Some(own), Some(resting)) => match side {
            Side::Buy => own >= resting,
            Side::Sell => own <= resting,
        },
        (None, _) | (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("nothing open", |_| (), Ok(())),
                ("same side", |w| w.open("a", Side::Buy, "5", "100"), Ok(())),
                ("a sale above", |w| w.open("b", Side::Sell, "5", "100.01"), Ok(())),
                ("a sale at the price", |w| w.open("b", Side::Sell, "5", "100"), Err(Refusal::SelfCross)),
                ("its own sale below", |w| w.open("a", Side::Sell, "5", "99"), Err(Refusal::SelfCross)),
                ("a market sale", |w| w.open("b", Side::Sell, "5", ""), Err(Refusal::SelfCross)),
                (
                    "at the market into a sale",
                    |w| {
                        w.open("b", Side::Sell, "5", "104");
                        w.buy("1", "");
                    },
                    Err(Refusal::SelfCross),
                ),
                (
                    "a sale into a bid",
                    |w| {
                        w.open("b", Side::Buy, "5", "100");
                        w.sell("1", "100");
                    },
                    Err(Refusal::SelfCross),
                ),
                (
                    "a sale above a bid",
                    |w| {
                        w.open("b", Side::Buy, "5", "100");
                        w.sell("1", "100.01");
                    },
                    Ok(()),
                ),
            ],
        );
    }
}
