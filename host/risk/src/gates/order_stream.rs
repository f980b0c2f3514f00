//! Without trade updates a fill would not be seen. Orders that lower the risk pass all the same.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if case.situation.order_stream_up || case.reduces() { Ok(()) } else { Err(Refusal::OrderStreamDown) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("up", |w| w.situation.order_stream_up = true, Ok(())),
                ("down", |w| w.situation.order_stream_up = false, Err(Refusal::OrderStreamDown)),
                (
                    "an exit while it is down",
                    |w| {
                        w.situation.order_stream_up = false;
                        w.hold("10");
                        w.sell("10", "");
                    },
                    Ok(()),
                ),
                (
                    "an exit that would turn the position round",
                    |w| {
                        w.situation.order_stream_up = false;
                        w.hold("10");
                        w.sell("11", "");
                    },
                    Err(Refusal::OrderStreamDown),
                ),
            ],
        );
    }
}
