//! All positions together, with the orders that add to them, may only be so large.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let would_be = case.situation.gross_exposure + case.added();
    if case.reduces() || would_be <= case.limits.gross(case.capital()) {
        Ok(())
    } else {
        Err(Refusal::GrossExposure)
    }
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
                ("up to the capital", |w| w.situation.gross_exposure = usd("99000"), Ok(())),
                ("beyond it", |w| w.situation.gross_exposure = usd("99000.01"), Err(Refusal::GrossExposure)),
                (
                    "an exit",
                    |w| {
                        w.situation.gross_exposure = usd("150000");
                        w.hold("10");
                        w.sell("10", "100");
                    },
                    Ok(()),
                ),
            ],
        );
    }
}
