//! The price has to be near the market: that of a limit order, and that which a market order would find.

use sandpit_types::{Price, Refusal};

use super::Case;

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let price = case.submit.kind.limit_price().or_else(|| case.market_price(case.submit.side));
    let (Some(price), Some(fair)) = (price, case.fair_price()) else { return Err(Refusal::PriceCollar) };
    let distance: Price = (price - fair).abs();
    if distance.get() <= fair.get() * case.limits.price_collar() { Ok(()) } else { Err(Refusal::PriceCollar) }
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
                ("as low as allowed", |w| w.sell("1", "95"), Ok(())),
                ("lower", |w| w.sell("1", "94.99"), Err(Refusal::PriceCollar)),
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
