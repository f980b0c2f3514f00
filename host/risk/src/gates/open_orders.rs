//! Only so many orders may be open, the exits that an order brings along included. Orders that only take from
//! what is held have as many places again.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let with_it = case.situation.open_order_count + 1 + case.submit.class.legs().len();
    let share = if case.reduces() { 2 } else { 1 };
    if with_it <= share * case.limits.open_orders() { Ok(()) } else { Err(Refusal::OpenOrders) }
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
                (
                    "its exits find none",
                    |w| {
                        w.situation.open_order_count = 498;
                        w.bracket("110", "95");
                    },
                    Err(Refusal::OpenOrders),
                ),
                (
                    "a place for each",
                    |w| {
                        w.situation.open_order_count = 497;
                        w.bracket("110", "95");
                    },
                    Ok(()),
                ),
                (
                    "an exit finds one among its own",
                    |w| {
                        w.hold("100");
                        w.sell("10", "");
                        w.situation.open_order_count = 999;
                    },
                    Ok(()),
                ),
                ("none left", |w| w.situation.open_order_count = 500, Err(Refusal::OpenOrders)),
            ],
        );
    }
}
