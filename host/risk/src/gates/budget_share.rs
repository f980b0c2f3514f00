//! A strategy may hold only its own share of the capital, where the operator gave it one. The refusal is that
//! of the gross exposure: it is the same bound, of one strategy.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let would_be = case.situation.own_exposure + case.added();
    let fits = case.situation.grant.budget(case.capital()).is_none_or(|budget| would_be <= budget);
    if case.reduces() || fits { Ok(()) } else { Err(Refusal::GrossExposure) }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::super::world::usd;
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("no share of its own", |w| w.situation.own_exposure = usd("99000"), Ok(())),
                (
                    "up to its share",
                    |w| {
                        w.situation.grant.budget_share = Some(Decimal::TEN);
                        w.situation.own_exposure = usd("9000");
                    },
                    Ok(()),
                ),
                (
                    "beyond it",
                    |w| {
                        w.situation.grant.budget_share = Some(Decimal::TEN);
                        w.situation.own_exposure = usd("9000.01");
                    },
                    Err(Refusal::GrossExposure),
                ),
                (
                    "what others hold is no matter",
                    |w| {
                        w.situation.grant.budget_share = Some(Decimal::TEN);
                        w.situation.gross_exposure = usd("90000");
                    },
                    Ok(()),
                ),
                (
                    "no equity, no share",
                    |w| {
                        w.situation.grant.budget_share = Some(Decimal::TEN);
                        w.situation.equity = None;
                    },
                    Err(Refusal::GrossExposure),
                ),
                (
                    "the order before it makes room",
                    |w| {
                        w.situation.grant.budget_share = Some(Decimal::TEN);
                        w.situation.own_exposure = usd("10000");
                        w.situation.replaced_value = usd("1000");
                    },
                    Ok(()),
                ),
                (
                    "out of what has grown too large",
                    |w| {
                        w.situation.grant.budget_share = Some(Decimal::ONE);
                        w.situation.own_exposure = usd("50000");
                        w.hold("500");
                        w.sell("500", "100");
                    },
                    Ok(()),
                ),
            ],
        );
    }
}
