//! What the operator grants one strategy beside the limits of all: each value can only tighten.

use rust_decimal::Decimal;
use sandpit_types::Usd;

use crate::Limits;

/// The bounds of one strategy. What is absent leaves it to the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Its positions together, without sign and with the open orders that add to them, percent of the
    /// capital.
    pub budget_share: Option<Decimal>,
    /// Its largest order, US dollars.
    pub order_notional: Option<Usd>,
    /// Its largest position in one symbol, US dollars.
    pub position_notional: Option<Usd>,
    /// Its orders in any minute; exits have as many again.
    pub orders_per_minute: Option<u32>,
}

impl Grant {
    /// The largest order.
    pub(crate) fn order_notional(&self, limits: &Limits, capital: Usd) -> Usd {
        tighter(limits.order_notional(capital), self.order_notional)
    }

    /// The largest position in one symbol.
    pub(crate) fn position(&self, limits: &Limits, capital: Usd) -> Usd {
        tighter(limits.position(capital), self.position_notional)
    }

    /// The largest sum of its positions, where there is a bound of its own.
    pub(crate) fn budget(&self, capital: Usd) -> Option<Usd> {
        self.budget_share.map(|percent| capital * (percent / Decimal::ONE_HUNDRED))
    }

    /// Its orders in any minute.
    pub(crate) fn orders_per_minute(&self, limits: &Limits) -> usize {
        let most = limits.strategy_orders_per_minute();
        self.orders_per_minute.map_or(most, |own| most.min(own as usize))
    }
}

fn tighter(limit: Usd, own: Option<Usd>) -> Usd {
    own.map_or(limit, |own| own.min(limit))
}
