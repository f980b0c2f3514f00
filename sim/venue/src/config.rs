//! How a venue is set up.

use sandpit_types::Usd;

use crate::{Realism, account::decimal};

/// How a venue is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueConfig {
    /// Cash at the start.
    pub cash: Usd,
    /// What all ids and all chance are drawn from.
    pub seed: u64,
    /// Sessions never close: see [`crate::Calendar::always_open`].
    pub always_open: bool,
    /// Whether short sales are allowed at all.
    pub shorting: bool,
    /// How true to life fills are.
    pub realism: Realism,
    /// Which rule limits day trading.
    pub day_trade_rule: DayTradeRule,
}

impl Default for VenueConfig {
    /// 100 000 USD, the real calendar, short sales allowed, exact fills, the rules of each time.
    fn default() -> Self {
        let cash = Usd::new(decimal(100_000, 0));
        Self {
            cash,
            seed: 1,
            always_open: false,
            shorting: true,
            realism: Realism::exact(),
            day_trade_rule: DayTradeRule::Intraday,
        }
    }
}

/// Which rule limits day trading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DayTradeRule {
    /// The broker's: intraday margin from 2026-06-04 on, no count of day trades at any time.
    #[default]
    Intraday,
    /// The old one, at any time: the fourth day trade within five business days needs 25 000 USD.
    Legacy,
}

/// When the old rule looks at an order (the account configuration `pdt_check`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PdtCheck {
    /// When a position is opened that could not be closed the same day.
    #[default]
    Entry,
    /// When closing it would be the fourth day trade.
    Exit,
    /// At both.
    Both,
}
