//! The limits: ceilings in code, which configuration can only tighten.

use std::time::Duration;

use rust_decimal::Decimal;
use sandpit_cores::LossLimits;
use sandpit_types::Usd;
use serde::{Deserialize, Serialize};

/// The operator's `[limits]`. What is absent stays at the ceiling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Largest position in one symbol, percent of the capital.
    pub position_percent: Option<Decimal>,
    /// All positions together, without sign, percent of the capital.
    pub gross_percent: Option<Decimal>,
    /// Largest single order, percent of the capital.
    pub order_notional_percent: Option<Decimal>,
    /// How far an order's price may be from the market, percent.
    pub price_collar_percent: Option<Decimal>,
    /// Loss since the session's start, percent of the capital.
    pub day_loss_percent: Option<Decimal>,
    /// Loss from the highest equity seen, percent of the capital.
    pub drawdown_percent: Option<Decimal>,
    /// Loss within 30 minutes, percent of the capital.
    pub half_hour_loss_percent: Option<Decimal>,
    /// Orders of all strategies in any minute.
    pub orders_per_minute: Option<u32>,
    /// Orders of one strategy in any minute.
    pub strategy_orders_per_minute: Option<u32>,
    /// How old a price may be, seconds of market time.
    pub price_age_secs: Option<u32>,
    /// Open orders of all strategies.
    pub open_orders: Option<u32>,
    /// Capital that may be used, US dollars; without it all equity is.
    pub nav_usd: Option<Decimal>,
    /// Whether day trades are counted as the broker did before 2026-06-04.
    pub day_trade_rule: Option<DayTradeRule>,
}

/// Whether day trades are bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayTradeRule {
    /// They are not: the rule is gone (FINRA 4210, effective 2026-06-04, and at Alpaca since that day).
    #[default]
    Off,
    /// As it was: no fourth one in five business days with less than 25,000 USD at the last close.
    Legacy,
}

/// A limit in the configuration that the code does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Configuration can only tighten.
    #[error("limits.{key} = {value} is looser than the built-in {ceiling}; set it to {ceiling} or less")]
    AboveCeiling {
        /// The key in `[limits]`.
        key: &'static str,
        /// What was configured.
        value: Decimal,
        /// The most that may be configured.
        ceiling: Decimal,
    },
    /// Nothing could be traded, or it is a slip.
    #[error("limits.{key} = {value} must be above zero; leave it out for the built-in value")]
    NotPositive {
        /// The key in `[limits]`.
        key: &'static str,
        /// What was configured.
        value: Decimal,
    },
}

/// The limits in force. The default are the ceilings; [`Limits::tightened`] is the only way to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    position_percent: Decimal,
    gross_percent: Decimal,
    order_notional_percent: Decimal,
    price_collar_percent: Decimal,
    day_loss_percent: Decimal,
    drawdown_percent: Decimal,
    half_hour_loss_percent: Decimal,
    orders_per_minute: u32,
    strategy_orders_per_minute: u32,
    price_age_secs: u32,
    open_orders: u32,
    nav: Option<Usd>,
    day_trade_rule: DayTradeRule,
}

/// The most that configuration may allow.
const CEILINGS: Limits = Limits {
    position_percent: Decimal::TEN,
    gross_percent: Decimal::ONE_HUNDRED,
    order_notional_percent: Decimal::TEN,
    price_collar_percent: percent(5),
    day_loss_percent: percent(2),
    drawdown_percent: Decimal::TEN,
    half_hour_loss_percent: Decimal::ONE,
    orders_per_minute: 120,
    strategy_orders_per_minute: 60,
    // Minute data: a price is up to a minute old by nature, and one missing minute is normal in a thin
    // symbol.
    price_age_secs: 120,
    open_orders: 500,
    nav: None,
    day_trade_rule: DayTradeRule::Off,
};

const fn percent(whole: u32) -> Decimal {
    Decimal::from_parts(whole, 0, 0, false, 0)
}

impl Default for Limits {
    fn default() -> Self {
        CEILINGS
    }
}

impl Limits {
    /// The ceilings, tightened by what the operator configured.
    ///
    /// # Errors
    /// When a value is above its ceiling, or not above zero. The error names the key.
    pub fn tightened(overrides: &Overrides) -> Result<Self, LimitError> {
        macro_rules! tightened {
            ($key:ident) => {
                tighter(stringify!($key), overrides.$key, CEILINGS.$key)?
            };
        }
        Ok(Self {
            position_percent: tightened!(position_percent),
            gross_percent: tightened!(gross_percent),
            order_notional_percent: tightened!(order_notional_percent),
            price_collar_percent: tightened!(price_collar_percent),
            day_loss_percent: tightened!(day_loss_percent),
            drawdown_percent: tightened!(drawdown_percent),
            half_hour_loss_percent: tightened!(half_hour_loss_percent),
            orders_per_minute: tightened!(orders_per_minute),
            strategy_orders_per_minute: tightened!(strategy_orders_per_minute),
            price_age_secs: tightened!(price_age_secs),
            open_orders: tightened!(open_orders),
            nav: match overrides.nav_usd {
                Some(nav) => Some(Usd::new(tighter("nav_usd", Some(nav), Decimal::MAX)?)),
                None => None,
            },
            day_trade_rule: overrides.day_trade_rule.unwrap_or(CEILINGS.day_trade_rule),
        })
    }

    /// The limits in force as an operator would write all of them.
    pub fn in_force(&self) -> Overrides {
        Overrides {
            position_percent: Some(self.position_percent),
            gross_percent: Some(self.gross_percent),
            order_notional_percent: Some(self.order_notional_percent),
            price_collar_percent: Some(self.price_collar_percent),
            day_loss_percent: Some(self.day_loss_percent),
            drawdown_percent: Some(self.drawdown_percent),
            half_hour_loss_percent: Some(self.half_hour_loss_percent),
            orders_per_minute: Some(self.orders_per_minute),
            strategy_orders_per_minute: Some(self.strategy_orders_per_minute),
            price_age_secs: Some(self.price_age_secs),
            open_orders: Some(self.open_orders),
            nav_usd: self.nav.map(Usd::get),
            day_trade_rule: Some(self.day_trade_rule),
        }
    }

    /// The capital that percentages are taken of: `min(equity, NAV_USD)`, never below zero.
    pub fn capital(&self, equity: Usd) -> Usd {
        self.nav.map_or(equity, |nav| nav.min(equity)).max(Usd::ZERO)
    }

    /// The capital that may be used, if the operator set one.
    pub const fn nav(&self) -> Option<Usd> {
        self.nav
    }

    /// Whether day trades are bounded.
    pub const fn day_trade_rule(&self) -> DayTradeRule {
        self.day_trade_rule
    }

    /// Every limit in force as `key = value`, one a line, for a human to read and to confirm.
    pub fn lines(&self) -> String {
        let nav = self.nav.map_or_else(|| "all equity".into(), |nav| nav.to_string());
        let rule = match self.day_trade_rule {
            DayTradeRule::Off => "off",
            DayTradeRule::Legacy => "legacy",
        };
        let lines = [
            format!("position_percent = {}", self.position_percent.normalize()),
            format!("gross_percent = {}", self.gross_percent.normalize()),
            format!("order_notional_percent = {}", self.order_notional_percent.normalize()),
            format!("price_collar_percent = {}", self.price_collar_percent.normalize()),
            format!("half_hour_loss_percent = {}", self.half_hour_loss_percent.normalize()),
            format!("day_loss_percent = {}", self.day_loss_percent.normalize()),
            format!("drawdown_percent = {}", self.drawdown_percent.normalize()),
            format!("orders_per_minute = {}", self.orders_per_minute),
            format!("strategy_orders_per_minute = {}", self.strategy_orders_per_minute),
            format!("price_age_secs = {}", self.price_age_secs),
            format!("open_orders = {}", self.open_orders),
            format!("nav_usd = {nav}"),
            format!("day_trade_rule = {rule}"),
        ];
        lines.join("\n")
    }

    /// The limits of the loss breakers.
    pub fn loss(&self) -> LossLimits {
        LossLimits {
            half_hour: fraction(self.half_hour_loss_percent),
            day: fraction(self.day_loss_percent),
            drawdown: fraction(self.drawdown_percent),
            nav: self.nav,
        }
    }

    /// The largest position in one symbol.
    pub(crate) fn position(&self, capital: Usd) -> Usd {
        capital * fraction(self.position_percent)
    }

    /// The largest sum of all positions.
    pub(crate) fn gross(&self, capital: Usd) -> Usd {
        capital * fraction(self.gross_percent)
    }

    /// The largest order.
    pub(crate) fn order_notional(&self, capital: Usd) -> Usd {
        capital * fraction(self.order_notional_percent)
    }

    /// How far a price may be from the market, as a fraction of it.
    pub(crate) fn price_collar(&self) -> Decimal {
        fraction(self.price_collar_percent)
    }

    /// Orders of all strategies in any minute.
    pub(crate) const fn orders_per_minute(&self) -> usize {
        self.orders_per_minute as usize
    }

    /// Orders of one strategy in any minute.
    pub(crate) const fn strategy_orders_per_minute(&self) -> usize {
        self.strategy_orders_per_minute as usize
    }

    /// How old a price may be, market time.
    pub const fn price_age(&self) -> Duration {
        Duration::from_secs(self.price_age_secs as u64)
    }

    /// Open orders of all strategies.
    pub(crate) const fn open_orders(&self) -> usize {
        self.open_orders as usize
    }
}

fn fraction(percent: Decimal) -> Decimal {
    percent / Decimal::ONE_HUNDRED
}

/// The configured value if it is within `(0, ceiling]`.
fn tighter<T>(key: &'static str, configured: Option<T>, ceiling: T) -> Result<T, LimitError>
where
    T: Copy + PartialOrd + Into<Decimal>,
{
    let Some(value) = configured else { return Ok(ceiling) };
    if value > ceiling {
        return Err(LimitError::AboveCeiling { key, value: value.into(), ceiling: ceiling.into() });
    }
    if value.into() <= Decimal::ZERO {
        return Err(LimitError::NotPositive { key, value: value.into() });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect(text)
    }

    #[test]
    fn configuration_can_only_tighten() {
        let check = |overrides: Overrides, expected: Result<(), LimitError>| {
            assert_eq!(Limits::tightened(&overrides).map(drop), expected, "{overrides:?}");
        };
        let none = Overrides::default;
        check(none(), Ok(()));
        check(Overrides { position_percent: Some(decimal("9.5")), ..none() }, Ok(()));
        check(Overrides { position_percent: Some(decimal("10")), ..none() }, Ok(()));
        check(
            Overrides { position_percent: Some(decimal("10.01")), ..none() },
            Err(LimitError::AboveCeiling {
                key: "position_percent",
                value: decimal("10.01"),
                ceiling: decimal("10"),
            }),
        );
        check(
            Overrides { open_orders: Some(501), ..none() },
            Err(LimitError::AboveCeiling {
                key: "open_orders",
                value: decimal("501"),
                ceiling: decimal("500"),
            }),
        );
        check(
            Overrides { day_loss_percent: Some(decimal("0")), ..none() },
            Err(LimitError::NotPositive { key: "day_loss_percent", value: decimal("0") }),
        );
        check(
            Overrides { nav_usd: Some(decimal("-1")), ..none() },
            Err(LimitError::NotPositive { key: "nav_usd", value: decimal("-1") }),
        );
    }

    #[test]
    fn the_error_names_key_value_and_ceiling() {
        let overrides = Overrides { gross_percent: Some(decimal("200")), ..Overrides::default() };
        let error = Limits::tightened(&overrides).expect_err("above the ceiling");
        assert_eq!(
            error.to_string(),
            "limits.gross_percent = 200 is looser than the built-in 100; set it to 100 or less"
        );
    }

    #[test]
    fn the_limits_in_force_written_out_are_the_same_limits() {
        for nav in [None, Some(decimal("25000"))] {
            let overrides = Overrides { nav_usd: nav, open_orders: Some(7), ..Overrides::default() };
            let limits = Limits::tightened(&overrides).expect("tighter");
            assert_eq!(
                Limits::tightened(&limits.in_force()).expect("as tight").in_force(),
                limits.in_force()
            );
            assert_eq!((limits.in_force().open_orders, limits.in_force().nav_usd), (Some(7), nav));
        }
    }

    #[test]
    fn every_limit_is_said() {
        let overrides = Overrides { gross_percent: Some(decimal("50.0")), ..Overrides::default() };
        let lines = Limits::tightened(&overrides).expect("tighter").lines();
        assert!(
            lines.contains("gross_percent = 50\n") && lines.contains("nav_usd = all equity\n"),
            "{lines}"
        );
        // One a field: what is missing here nobody would read before real money is traded.
        assert_eq!(lines.lines().count(), format!("{:#?}", Limits::default()).lines().count() - 2);
    }

    #[test]
    fn the_breakers_get_fractions() {
        let overrides = Overrides { nav_usd: Some(decimal("25000")), ..Overrides::default() };
        let loss = Limits::tightened(&overrides).expect("tighter").loss();
        let expected = LossLimits {
            half_hour: decimal("0.01"),
            day: decimal("0.02"),
            drawdown: decimal("0.1"),
            nav: Some(Usd::new(decimal("25000"))),
        };
        assert_eq!(loss, expected);
    }

    #[test]
    fn capital_is_the_smaller_of_equity_and_nav() {
        let check = |nav: Option<&str>, equity: &str, expected: &str| {
            let overrides = Overrides { nav_usd: nav.map(decimal), ..Overrides::default() };
            let limits = Limits::tightened(&overrides).expect("tighter");
            assert_eq!(limits.capital(Usd::new(decimal(equity))), Usd::new(decimal(expected)));
        };
        check(None, "100000", "100000");
        check(Some("25000"), "100000", "25000");
        check(Some("25000"), "20000", "20000");
        check(None, "-5", "0");
    }
}
