//! Before the books agree with the broker nobody knows what an order would do.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if case.situation.reconciled { Ok(()) } else { Err(Refusal::NotReconciled) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("agreed", |w| w.situation.reconciled = true, Ok(())),
                ("not yet", |w| w.situation.reconciled = false, Err(Refusal::NotReconciled)),
            ],
        );
    }
}
