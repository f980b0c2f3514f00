//! Without trade updates a fill would not be seen.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if case.situation.order_stream_up { Ok(()) } else { Err(Refusal::OrderStreamDown) }
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
            ],
        );
    }
}
