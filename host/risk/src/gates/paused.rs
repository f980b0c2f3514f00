//! A pause lets orders of its strategy through that lower the risk, and nothing else of it.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if !case.situation.paused || case.reduces() { Ok(()) } else { Err(Refusal::Paused) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("not paused", |_| (), Ok(())),
                ("an entry", |w| w.situation.paused = true, Err(Refusal::Paused)),
                (
                    "an exit",
                    |w| {
                        w.situation.paused = true;
                        w.hold("10");
                        w.sell("10", "");
                    },
                    Ok(()),
                ),
                (
                    "one that adds to what is held",
                    |w| {
                        w.situation.paused = true;
                        w.hold("10");
                    },
                    Err(Refusal::Paused),
                ),
                (
                    "an exit that would turn the position round",
                    |w| {
                        w.situation.paused = true;
                        w.hold("10");
                        w.sell("11", "");
                    },
                    Err(Refusal::Paused),
                ),
            ],
        );
    }
}
