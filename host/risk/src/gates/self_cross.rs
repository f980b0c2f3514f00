//! Orders of ours must not meet each other.
//!
//! Within a strategy the rule is the broker's wash-trade table, so that it never has to apply it: against an
//! order of the other side a market or stop order is refused always, and two with limits when they cross;
//! trailing stops and whatever belongs to a bracket, an OCO or an OTO are exempt. Between two strategies
//! nothing is exempt, exits that an order brings along and exits that still wait for their entry included.

use sandpit_types::{OrderClass, OrderKind, Refusal, Side};

use super::Case;
use crate::OpenOrder;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    if case.situation.open_orders.iter().any(|open| meets(case, open)) {
        Err(Refusal::SelfCross)
    } else {
        Ok(())
    }
}

fn meets(case: &Case<'_>, open: &OpenOrder) -> bool {
    let submit = case.submit;
    let is_own = open.strategy == *case.strategy;
    if is_own {
        let in_class = submit.class != OrderClass::Simple || case.situation.replaces_in_class;
        let is_exempt = in_class || is_trailing(submit.kind) || open.in_class || is_trailing(open.kind);
        return !is_exempt && crosses(submit.side, submit.kind, open);
    }
    let exit_side = match (submit.class, submit.side) {
        (OrderClass::Oco { .. }, side) => side,
        (_, Side::Buy) => Side::Sell,
        (_, Side::Sell) => Side::Buy,
    };
    crosses(submit.side, submit.kind, open)
        || submit.class.legs().into_iter().any(|(_, kind)| crosses(exit_side, kind, open))
}

/// Two orders with limits meet when the buyer pays what the seller asks; without a limit they always may.
fn crosses(side: Side, own: OrderKind, open: &OpenOrder) -> bool {
    side != open.side
        && match (own.limit_price(), open.kind.limit_price()) {
            (Some(own), Some(resting)) => match side {
                Side::Buy => own >= resting,
                Side::Sell => own <= resting,
            },
            (None, _) | (_, None) => true,
        }
}

const fn is_trailing(kind: OrderKind) -> bool {
    matches!(kind, OrderKind::TrailingStop { .. })
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("nothing open", |_| (), Ok(())),
                ("same side", |w| w.open("a", Side::Buy, "5", "100"), Ok(())),
                ("a sale above", |w| w.open("b", Side::Sell, "5", "100.01"), Ok(())),
                ("a sale at the price", |w| w.open("b", Side::Sell, "5", "100"), Err(Refusal::SelfCross)),
                ("its own sale below", |w| w.open("a", Side::Sell, "5", "99"), Err(Refusal::SelfCross)),
                ("a market sale", |w| w.open("b", Side::Sell, "5", ""), Err(Refusal::SelfCross)),
                (
                    "at the market into a sale",
                    |w| {
                        w.open("b", Side::Sell, "5", "104");
                        w.buy("1", "");
                    },
                    Err(Refusal::SelfCross),
                ),
                (
                    "a sale into a bid",
                    |w| {
                        w.open("b", Side::Buy, "5", "100");
                        w.sell("1", "100");
                    },
                    Err(Refusal::SelfCross),
                ),
                (
                    "a sale above a bid",
                    |w| {
                        w.open("b", Side::Buy, "5", "100");
                        w.sell("1", "100.01");
                    },
                    Ok(()),
                ),
                (
                    "a stop of its own on the other side",
                    |w| w.open_kind("a", Side::Sell, "5", stop("95")),
                    Err(Refusal::SelfCross),
                ),
                (
                    "a stop-limit that does not cross",
                    |w| w.open_kind("a", Side::Sell, "5", stop_limit("95", "100.01")),
                    Ok(()),
                ),
                (
                    "a stop-limit that does",
                    |w| w.open_kind("a", Side::Sell, "5", stop_limit("95", "94")),
                    Err(Refusal::SelfCross),
                ),
                (
                    "a stop into a sale",
                    |w| {
                        w.open("a", Side::Sell, "5", "120");
                        w.stop("105", "");
                    },
                    Err(Refusal::SelfCross),
                ),
                ("its own exits are exempt", |w| w.exits("a", "5", "110", "95"), Ok(())),
                (
                    "those of another strategy are not",
                    |w| w.exits("b", "5", "110", "95"),
                    Err(Refusal::SelfCross),
                ),
                (
                    "nor those that wait for their entry",
                    |w| {
                        w.exits("b", "5", "110", "95");
                        w.situation.open_orders.iter_mut().for_each(|order| order.dormant = true);
                    },
                    Err(Refusal::SelfCross),
                ),
                (
                    "a trailing stop of its own",
                    |w| {
                        let trail = sandpit_types::Trail::Price(world::price("1"));
                        w.open_kind("a", Side::Sell, "5", OrderKind::TrailingStop { trail });
                    },
                    Ok(()),
                ),
                (
                    "a bracket into its own sale",
                    |w| {
                        w.open("a", Side::Sell, "5", "99");
                        w.bracket("110", "95");
                    },
                    Ok(()),
                ),
                (
                    "a bracket whose stop may meet the bid of another",
                    |w| {
                        w.open("b", Side::Buy, "5", "96");
                        w.bracket("110", "95");
                    },
                    Err(Refusal::SelfCross),
                ),
                (
                    "in the place of an exit of a group",
                    |w| {
                        w.open("a", Side::Sell, "5", "99");
                        w.situation.replaces_in_class = true;
                    },
                    Ok(()),
                ),
            ],
        );
    }

    fn stop(stop_price: &str) -> OrderKind {
        OrderKind::Stop { stop_price: world::price(stop_price) }
    }

    fn stop_limit(stop_price: &str, limit_price: &str) -> OrderKind {
        let (stop_price, limit_price) = (world::price(stop_price), world::price(limit_price));
        OrderKind::StopLimit { stop_price, limit_price }
    }
}
