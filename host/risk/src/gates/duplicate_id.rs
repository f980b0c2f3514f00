//! The same id again is the same order, and that one exists.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if !case.situation.known_id { Ok(()) } else { Err(Refusal::DuplicateId) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("used before", |w| w.situation.known_id = true, Err(Refusal::DuplicateId)),
                ("new", |w| w.situation.known_id = false, Ok(())),
            ],
        );
    }
}
