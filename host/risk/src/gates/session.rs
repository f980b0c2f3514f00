//! Orders go out in the session they are meant for; the broker would queue others to the next open.

use sandpit_types::Refusal;

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let open =
        if case.submit.extended_hours { case.situation.extended_open } else { case.situation.session_open };
    if open { Ok(()) } else { Err(Refusal::SessionClosed) }
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("open", |_| (), Ok(())),
                ("closed", |w| w.situation.session_open = false, Err(Refusal::SessionClosed)),
                (
                    "before the bell, for extended hours",
                    |w| {
                        w.situation.session_open = false;
                        w.submit.extended_hours = true;
                    },
                    Ok(()),
                ),
                (
                    "at night, for extended hours",
                    |w| {
                        w.situation.session_open = false;
                        w.situation.extended_open = false;
                        w.submit.extended_hours = true;
                    },
                    Err(Refusal::SessionClosed),
                ),
            ],
        );
    }
}
