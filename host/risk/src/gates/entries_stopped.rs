//! While a signal says that the broker is not to be relied on, only what lowers the risk is sent.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if !case.situation.entries_stopped || case.reduces() { Ok(()) } else { Err(Refusal::EntriesStopped) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("nothing fires", |_| (), Ok(())),
                ("an entry", |w| w.situation.entries_stopped = true, Err(Refusal::EntriesStopped)),
                (
                    "an exit",
                    |w| {
                        w.situation.entries_stopped = true;
                        w.hold("10");
                        w.sell("10", "");
                    },
                    Ok(()),
                ),
                (
                    "an exit that would turn the position round",
                    |w| {
                        w.situation.entries_stopped = true;
                        w.hold("10");
                        w.sell("11", "");
                    },
                    Err(Refusal::EntriesStopped),
                ),
            ],
        );
    }
}
