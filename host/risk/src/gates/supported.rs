//! What the broker takes: kind, class, time in force, hours and fractions have to go together.
//!
//! The rules are Alpaca's (order types, extended hours and fractional trading, as read in 2026-09). Where
//! they are silent the stricter reading counts: stops rest, so they are for the day or until cancelled, and
//! the entry of a group is a market or a limit order.

use sandpit_types::{OrderClass, OrderKind, Refusal, Submit, TimeInForce};

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let submit = case.submit;
    let is_taken = fits_time(submit)
        && fits_hours(submit)
        && fits_fraction(submit)
        && fits_class(submit)
        && (submit.reprice.is_none() || is_limit(submit.kind));
    if is_taken { Ok(()) } else { Err(Refusal::UnsupportedOrder) }
}

/// Stops rest.
fn fits_time(submit: &Submit) -> bool {
    match submit.kind {
        OrderKind::Market | OrderKind::Limit { .. } => true,
        OrderKind::Stop { .. } | OrderKind::StopLimit { .. } | OrderKind::TrailingStop { .. } => {
            rests(submit.time_in_force)
        }
    }
}

/// For extended hours the broker takes single limit orders that rest, in the regular session too.
fn fits_hours(submit: &Submit) -> bool {
    !submit.extended_hours
        || (is_limit(submit.kind) && rests(submit.time_in_force) && submit.class == OrderClass::Simple)
}

/// Fractions are for the day, single, and not behind a moving stop.
fn fits_fraction(submit: &Submit) -> bool {
    let is_whole = submit.qty.get().normalize().scale() == 0;
    let is_trailing = matches!(submit.kind, OrderKind::TrailingStop { .. });
    is_whole
        || (submit.time_in_force == TimeInForce::Day && submit.class == OrderClass::Simple && !is_trailing)
}

fn fits_class(submit: &Submit) -> bool {
    let is_entry = is_limit(submit.kind) || submit.kind == OrderKind::Market;
    match submit.class {
        OrderClass::Simple => true,
        OrderClass::Oco { .. } => is_limit(submit.kind) && rests(submit.time_in_force),
        OrderClass::Bracket { .. } | OrderClass::Oto(_) => is_entry && rests(submit.time_in_force),
    }
}

const fn is_limit(kind: OrderKind) -> bool {
    matches!(kind, OrderKind::Limit { .. })
}

const fn rests(time_in_force: TimeInForce) -> bool {
    match time_in_force {
        TimeInForce::Day | TimeInForce::Gtc => true,
        TimeInForce::Ioc | TimeInForce::Fok => false,
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{Exit, Reprice};

    use super::super::world::{World, price};
    use super::{super::world, check, *};

    const TIMES: [TimeInForce; 4] = [TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok];

    /// Asks about one order with each time in force: those in which it is taken have an `x`.
    fn in_times(name: &str, change: fn(&mut World), taken: &str) {
        for (time_in_force, mark) in TIMES.into_iter().zip(taken.chars()) {
            let mut world = World::calm();
            change(&mut world);
            world.submit.time_in_force = time_in_force;
            let expected = if mark == 'x' { Ok(()) } else { Err(Refusal::UnsupportedOrder) };
            assert_eq!(check(&world.case()), expected, "{name} {time_in_force:?}");
        }
    }

    #[test]
    fn every_kind_and_class_in_every_time_in_force() {
        let check = in_times;
        check("market", |w| w.buy("1", ""), "xxxx");
        check("limit", |w| w.buy("1", "100"), "xxxx");
        check("stop", |w| w.stop("105", ""), "xx--");
        check("stop-limit", |w| w.stop("105", "106"), "xx--");
        check("trailing by price", |w| w.trail_price("1"), "xx--");
        check("trailing by percent", |w| w.trail_percent("1"), "xx--");
        check("bracket", |w| w.bracket("110", "95"), "xx--");
        check(
            "bracket at the market",
            |w| {
                w.buy("1", "");
                w.bracket("110", "95");
            },
            "xx--",
        );
        check(
            "bracket behind a stop",
            |w| {
                w.stop("105", "");
                w.bracket("110", "95");
            },
            "----",
        );
        check("one triggers another", |w| w.oto(Exit::TakeProfit(price("110"))), "xx--");
        check(
            "one triggers another behind a trailing stop",
            |w| {
                w.trail_price("1");
                w.oto(Exit::TakeProfit(price("110")));
            },
            "----",
        );
        check("one cancels the other", |w| w.oco("110", "95"), "xx--");
        check(
            "one cancels the other at the market",
            |w| {
                w.oco("110", "95");
                w.submit.kind = OrderKind::Market;
            },
            "----",
        );
    }

    #[test]
    fn extended_hours() {
        let check = |name, change: fn(&mut World), taken| {
            let mut world = World::calm();
            change(&mut world);
            world.submit.extended_hours = true;
            for (time_in_force, mark) in TIMES.into_iter().zip(str::chars(taken)) {
                world.submit.time_in_force = time_in_force;
                let expected = if mark == 'x' { Ok(()) } else { Err(Refusal::UnsupportedOrder) };
                assert_eq!(super::check(&world.case()), expected, "{name} {time_in_force:?}");
            }
        };
        check("limit", |w| w.buy("1", "100"), "xx--");
        check("market", |w| w.buy("1", ""), "----");
        check("stop", |w| w.stop("105", ""), "----");
        check("trailing", |w| w.trail_price("1"), "----");
        check("bracket", |w| w.bracket("110", "95"), "----");
    }

    #[test]
    fn fractions() {
        let check = |name, change: fn(&mut World), taken| {
            let mut world = World::calm();
            change(&mut world);
            world.submit.qty = world::qty("0.5");
            for (time_in_force, mark) in TIMES.into_iter().zip(str::chars(taken)) {
                world.submit.time_in_force = time_in_force;
                let expected = if mark == 'x' { Ok(()) } else { Err(Refusal::UnsupportedOrder) };
                assert_eq!(super::check(&world.case()), expected, "{name} {time_in_force:?}");
            }
        };
        check("limit", |w| w.buy("1", "100"), "x---");
        check("market", |w| w.buy("1", ""), "x---");
        check("stop", |w| w.stop("105", ""), "x---");
        check("stop-limit", |w| w.stop("105", "106"), "x---");
        check("trailing", |w| w.trail_percent("1"), "----");
        check("bracket", |w| w.bracket("110", "95"), "----");
    }

    #[test]
    fn only_a_limit_follows_the_market() {
        world::check(
            check,
            &[
                ("a limit", |w| w.submit.reprice = Some(Reprice { worst: price("101") }), Ok(())),
                (
                    "a market order",
                    |w| {
                        w.buy("1", "");
                        w.submit.reprice = Some(Reprice { worst: price("101") });
                    },
                    Err(Refusal::UnsupportedOrder),
                ),
            ],
        );
    }
}
