//! A freeze lets orders through that lower the risk, and nothing else.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if !case.situation.frozen || case.reduces() { Ok(()) } else { Err(Refusal::Frozen) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("not frozen", |_| (), Ok(())),
                ("an entry", |w| w.situation.frozen = true, Err(Refusal::Frozen)),
                (
                    "an exit",
                    |w| {
                        w.situation.frozen = true;
                        w.hold("10");
                        w.sell("10", "");
                    },
                    Ok(()),
                ),
                (
                    "an exit that would turn the position round",
                    |w| {
                        w.situation.frozen = true;
                        w.hold("10");
                        w.sell("11", "");
                    },
                    Err(Refusal::Frozen),
                ),
            ],
        );
    }
}
