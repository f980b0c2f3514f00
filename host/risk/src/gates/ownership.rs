//! A symbol has one owning strategy, unless the operator allows sharing.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    match &case.situation.owner {
        Some(owner) if owner != case.strategy => Err(Refusal::NotOwner),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::StrategyName;

    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("its own", |_| (), Ok(())),
                ("nobody's", |w| w.situation.owner = None, Ok(())),
                ("another's", |w| w.situation.owner = Some(StrategyName::new("b")), Err(Refusal::NotOwner)),
            ],
        );
    }
}
