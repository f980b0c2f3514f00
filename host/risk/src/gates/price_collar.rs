//! Prices have to be near the market: those that an order names, and that which a market order would find.
//!
//! An exit is bound only where its limit is far through the market, which is a slip of a digit: far on the
//! other side it waits for a profit, and a stop or a market order has to get out whatever the market does.

use rust_decimal::Decimal;
use sandpit_types::{OrderKind, Price, Refusal, Side};

use super::{Case, distance};

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let fair = case.fair_price();
    let is_near = if case.reduces() {
        fair.is_none_or(|fair| exit_is_near(case, fair))
    } else {
        fair.is_some_and(|fair| entry_is_near(case, fair))
    };
    if is_near { Ok(()) } else { Err(Refusal::PriceCollar) }
}

fn entry_is_near(case: &Case<'_>, fair: Price) -> bool {
    let collar = case.limits.price_collar();
    match case.submit.kind {
        OrderKind::Market => {
            case.market_price(case.submit.side).is_some_and(|market| is_within(market, fair, collar))
        }
        OrderKind::Limit { limit_price } => is_within(limit_price, fair, collar),
        OrderKind::Stop { stop_price } => is_within(stop_price, fair, collar),
        OrderKind::StopLimit { stop_price, limit_price } => {
            is_within(stop_price, fair, collar) && is_within(limit_price, stop_price, collar)
        }
        OrderKind::TrailingStop { trail } => distance(trail, fair).get() <= fair.get() * collar,
    }
}

fn exit_is_near(case: &Case<'_>, fair: Price) -> bool {
    let OrderKind::Limit { limit_price } = case.submit.kind else { return true };
    let is_passive = match case.submit.side {
        Side::Sell => limit_price >= fair,
        Side::Buy => limit_price <= fair,
    };
    is_passive || is_within(limit_price, fair, case.limits.price_collar())
}

fn is_within(price: Price, fair: Price, collar: Decimal) -> bool {
    (price - fair).abs().get() <= fair.get() * collar
}

#[cfg(test)]
mod tests {
    use super::{super::world, check, *};

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("at the market", |_| (), Ok(())),
                ("as high as allowed", |w| w.buy("1", "105"), Ok(())),
                ("higher", |w| w.buy("1", "105.01"), Err(Refusal::PriceCollar)),
                ("as low as allowed", |w| w.buy("1", "95"), Ok(())),
                ("lower", |w| w.buy("1", "94.99"), Err(Refusal::PriceCollar)),
                ("a stop as far as allowed", |w| w.stop("105", ""), Ok(())),
                ("a stop further", |w| w.stop("105.01", ""), Err(Refusal::PriceCollar)),
                ("a limit near its stop", |w| w.stop("105", "110.25"), Ok(())),
                ("a limit far from its stop", |w| w.stop("105", "110.26"), Err(Refusal::PriceCollar)),
                ("a trail", |w| w.trail_price("5"), Ok(())),
                ("a long trail", |w| w.trail_price("5.01"), Err(Refusal::PriceCollar)),
                ("a trail of so many percent", |w| w.trail_percent("5"), Ok(())),
                ("of more", |w| w.trail_percent("5.1"), Err(Refusal::PriceCollar)),
                (
                    "an exit through the market",
                    |w| {
                        w.hold("1");
                        w.sell("1", "95");
                    },
                    Ok(()),
                ),
                (
                    "an exit far through it",
                    |w| {
                        w.hold("1");
                        w.sell("1", "94.99");
                    },
                    Err(Refusal::PriceCollar),
                ),
                (
                    "an exit that waits for a profit",
                    |w| {
                        w.hold("1");
                        w.sell("1", "150");
                    },
                    Ok(()),
                ),
                (
                    "an exit at the market, which has fallen since the last trade",
                    |w| {
                        w.hold("1");
                        w.sell("1", "");
                        w.situation.quote.as_mut().expect("calm").bid = 50.0;
                    },
                    Ok(()),
                ),
                (
                    "a stop far below what is held",
                    |w| {
                        w.hold("10");
                        w.submit.side = Side::Sell;
                        w.stop("70", "");
                    },
                    Ok(()),
                ),
                (
                    "an exit that nobody can price",
                    |w| {
                        w.hold("1");
                        w.sell("1", "100");
                        (w.situation.quote, w.situation.last_price) = (None, None);
                    },
                    Ok(()),
                ),
                ("a slip of a digit", |w| w.buy("1", "10"), Err(Refusal::PriceCollar)),
                ("at the market, whatever it is", |w| w.buy("1", ""), Ok(())),
                (
                    "at the market, which asks for the moon",
                    |w| {
                        w.buy("1", "");
                        w.situation.quote.as_mut().expect("calm").ask = 199_999.0;
                    },
                    Err(Refusal::PriceCollar),
                ),
                (
                    "the middle of the quote counts when there was no trade",
                    |w| {
                        w.buy("1", "105.01");
                        w.situation.last_price = None;
                    },
                    Err(Refusal::PriceCollar),
                ),
                (
                    "a quote too old to trade on does not count",
                    |w| {
                        w.buy("1", "200");
                        w.age(121);
                    },
                    Err(Refusal::PriceCollar),
                ),
            ],
        );
    }
}
