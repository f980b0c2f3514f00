//! Every order needs the watchdog's lease; it is asked again when the bytes are written.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if case.situation.lease { Ok(()) } else { Err(Refusal::NoLease) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("held", |w| w.situation.lease = true, Ok(())),
                ("not held", |w| w.situation.lease = false, Err(Refusal::NoLease)),
                (
                    "an exit needs it too",
                    |w| {
                        w.hold("10");
                        w.sell("10", "");
                        w.situation.lease = false;
                    },
                    Err(Refusal::NoLease),
                ),
            ],
        );
    }
}
