//! Only so many orders may be open.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if case.situation.open_order_count < case.limits.open_orders() {
        Ok(())
    } else {
        Err(Refusal::OpenOrders)
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
                ("one place left", |w| w.situation.open_order_count = 499, Ok(())),
                ("none left", |w| w.situation.open_order_count = 500, Err(Refusal::OpenOrders)),
            ],
        );
    }
}
