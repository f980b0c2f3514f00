//! The broker has to be able to cover it, after the orders it has not counted yet. Unknown buying power is
//! none.

use sandpit_types::{Refusal, Usd};

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let known = case.situation.buying_power.unwrap_or(Usd::ZERO);
    let free = known - case.situation.pending_exposure;
    if case.reduces() || case.added() <= free { Ok(()) } else { Err(Refusal::BuyingPower) }
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
                ("enough", |w| w.situation.buying_power = Some(usd("1000")), Ok(())),
                ("too little", |w| w.situation.buying_power = Some(usd("999.99")), Err(Refusal::BuyingPower)),
                ("unknown", |w| w.situation.buying_power = None, Err(Refusal::BuyingPower)),
                (
                    "spent on orders that the broker has not counted yet",
                    |w| w.situation.pending_exposure = usd("99000.01"),
                    Err(Refusal::BuyingPower),
                ),
                (
                    "an exit costs nothing",
                    |w| {
                        w.situation.buying_power = Some(usd("0"));
                        w.hold("10");
                        w.sell("10", "100");
                    },
                    Ok(()),
                ),
            ],
        );
    }
}
