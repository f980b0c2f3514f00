//! The broker's day-trade rule as it was before 2026-06-04, on request: no fourth day trade in five business
//! days with less than 25,000 USD at the last close. It may stop an exit, as it did at the broker.

use rust_decimal::Decimal;
use sandpit_types::{OrderClass, Refusal, Usd};

use super::Case;
use crate::DayTradeRule;

/// Day trades that are free in five business days.
const FREE: u32 = 3;

/// Equity at the last close from which day trades are not counted.
const ENOUGH: Usd = Usd::new(Decimal::from_parts(25_000, 0, 0, false, 0));

pub(super) fn check(case: &Case<'_>) -> Result<(), Refusal> {
    let known = &case.situation.day_trading;
    match case.limits.day_trade_rule() {
        DayTradeRule::Off => return Ok(()),
        DayTradeRule::Legacy if known.last_equity.is_some_and(|equity| equity >= ENOUGH) => return Ok(()),
        DayTradeRule::Legacy => {}
    }
    // An entry with exits is a day trade by itself: they may fill today.
    let brings_exits = matches!(case.submit.class, OrderClass::Bracket { .. } | OrderClass::Oto(_));
    let closes = case.reduces() && known.opened_today && !known.closing;
    if (closes || brings_exits) && known.count >= FREE { Err(Refusal::DayTrades) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, usd};
    use super::{super::world, check, *};

    /// Three day trades are spent, and what is held was bought today.
    fn spent(w: &mut World) {
        w.legacy();
        w.hold("10");
        w.sell("10", "100");
        w.situation.day_trading.count = 3;
        w.situation.day_trading.opened_today = true;
        w.situation.day_trading.last_equity = Some(usd("24999.99"));
    }

    #[test]
    fn cases() {
        world::check(
            check,
            &[
                ("the fourth", spent, Err(Refusal::DayTrades)),
                (
                    "the rule is off",
                    |w| {
                        spent(w);
                        w.limits = crate::Limits::default();
                    },
                    Ok(()),
                ),
                (
                    "the third",
                    |w| {
                        spent(w);
                        w.situation.day_trading.count = 2;
                    },
                    Ok(()),
                ),
                (
                    "enough equity",
                    |w| {
                        spent(w);
                        w.situation.day_trading.last_equity = Some(usd("25000"));
                    },
                    Ok(()),
                ),
                (
                    "nobody knows how much",
                    |w| {
                        spent(w);
                        w.situation.day_trading.last_equity = None;
                    },
                    Err(Refusal::DayTrades),
                ),
                (
                    "held overnight",
                    |w| {
                        spent(w);
                        w.situation.day_trading.opened_today = false;
                    },
                    Ok(()),
                ),
                (
                    "part of one that is under way",
                    |w| {
                        spent(w);
                        w.situation.day_trading.closing = true;
                    },
                    Ok(()),
                ),
                (
                    "an entry",
                    |w| {
                        spent(w);
                        w.buy("1", "100");
                    },
                    Ok(()),
                ),
                (
                    "an entry with exits",
                    |w| {
                        spent(w);
                        w.buy("1", "100");
                        w.bracket("110", "95");
                    },
                    Err(Refusal::DayTrades),
                ),
            ],
        );
    }
}
