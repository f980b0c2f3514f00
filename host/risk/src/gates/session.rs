//! Orders go out in the session they are meant for; the broker would queue others to the next open.

use sandpit_types::{OrderKind, Refusal, Submit, TimeInForce};

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let open = if case.submit.extended_hours {
        // In the regular session too the broker takes such an order only in a form fit for extended hours.
        case.situation.extended_open && is_fit_for_extended_hours(case.submit)
    } else {
        case.situation.session_open
    };
    if open { Ok(()) } else { Err(Refusal::SessionClosed) }
}

/// The broker takes limit orders for the day or until cancelled there, and answers 422 to others.
fn is_fit_for_extended_hours(submit: &Submit) -> bool {
    let limit = match submit.kind {
        OrderKind::Limit { .. } => true,
        OrderKind::Market
        | OrderKind::Stop { .. }
        | OrderKind::StopLimit { .. }
        | OrderKind::TrailingStop { .. } => false,
    };
    let rests = match submit.time_in_force {
        TimeInForce::Day | TimeInForce::Gtc => true,
        TimeInForce::Ioc | TimeInForce::Fok => false,
    };
    limit && rests
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
                (
                    "a market order for extended hours, though the session is open",
                    |w| {
                        w.buy("1", "");
                        w.submit.extended_hours = true;
                    },
                    Err(Refusal::SessionClosed),
                ),
                (
                    "at once or not at all, for extended hours",
                    |w| {
                        w.submit.extended_hours = true;
                        w.submit.time_in_force = TimeInForce::Ioc;
                    },
                    Err(Refusal::SessionClosed),
                ),
            ],
        );
    }
}
