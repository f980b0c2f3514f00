//! The ordered list of gates.

use std::time::Duration;

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Price, Qty, Quote, Refusal, Side, StrategyName, Submit, Usd};

use crate::{Approved, Limits, OpenOrder, Situation};

mod buying_power;
mod duplicate_id;
mod frozen;
mod gross_exposure;
mod lease;
mod no_shorts;
mod open_orders;
mod order_notional;
mod order_rate;
mod order_stream;
mod ownership;
mod position_limit;
mod price_collar;
mod reconciled;
mod self_cross;
mod session;
mod shape;
mod stale_data;

use order_rate::{Rates, Used};

/// A price stamped further ahead than this is no price: it would never grow old.
const MAX_AHEAD: Duration = Duration::from_secs(60);

/// One question to an order.
type Gate = fn(&Case<'_>) -> Result<(), Refusal>;

/// In the order in which they are asked: first what is wrong with the order itself, last what it costs
/// others.
const GATES: [Gate; 18] = [
    shape::check,
    duplicate_id::check,
    ownership::check,
    frozen::check,
    lease::check,
    reconciled::check,
    order_stream::check,
    session::check,
    stale_data::check,
    price_collar::check,
    order_notional::check,
    position_limit::check,
    gross_exposure::check,
    buying_power::check,
    no_shorts::check,
    self_cross::check,
    order_rate::check,
    open_orders::check,
];

/// The gates with the limits in force and the memory of recent orders.
#[derive(Debug)]
pub struct Gates {
    limits: Limits,
    rates: Rates,
}

impl Gates {
    /// Gates that have let nothing pass yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, rates: Rates::new() }
    }

    /// The limits in force.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Asks every gate. `situation` is that of the order's symbol at `now`, with every order approved before
    /// in it.
    ///
    /// # Errors
    /// The [`Refusal`] of the first gate that objects.
    pub fn check(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        situation: &Situation,
        now: MarketTime,
    ) -> Result<Approved, Refusal> {
        let used = self.rates.used(strategy, now);
        let case = Case { strategy, submit, situation, limits: &self.limits, used, now };
        for gate in GATES {
            gate(&case)?;
        }
        let reduces = case.reduces();
        self.rates.note(strategy, now);
        Ok(Approved::new(strategy.clone(), submit.clone(), reduces))
    }
}

/// One order and the world it comes into, as the gates see it.
#[derive(Clone, Copy, Debug)]
struct Case<'a> {
    strategy: &'a StrategyName,
    submit: &'a Submit,
    situation: &'a Situation,
    limits: &'a Limits,
    used: Used,
    now: MarketTime,
}

impl Case<'_> {
    /// Whether the order takes from what is held and cannot turn it round, all of our orders on its side
    /// filling.
    ///
    /// Both books have to say so: the strategy's own, so that it does not sell what another strategy holds,
    /// and the account's, so that a difference between the books does not make a short out of an exit.
    fn reduces(&self) -> bool {
        let Submit { side, qty, .. } = *self.submit;
        let own = self.working(side, |order| order.strategy == *self.strategy);
        let all = self.working(side, |_| true);
        let takes = |held: Qty, working: Qty| qty + working <= -side.signed(held);
        takes(self.situation.position, own) && takes(self.situation.account_position, all)
    }

    /// Shares that open orders of ours on `side` may still fill.
    fn working(&self, side: Side, counts: impl Fn(&OpenOrder) -> bool) -> Qty {
        let orders = self.situation.open_orders.iter().filter(|order| order.side == side && counts(order));
        orders.map(|order| order.remaining).sum()
    }

    /// The capital that percentages are taken of; nothing while the equity is not known.
    fn capital(&self) -> Usd {
        self.situation.equity.map_or(Usd::ZERO, |equity| self.limits.capital(equity))
    }

    /// The quote, if it is young enough to trade on.
    fn quote(&self) -> Option<&Quote> {
        self.situation.quote.as_ref().filter(|quote| self.is_fresh(quote.time))
    }

    /// The last price, if it is young enough to trade on.
    fn last(&self) -> Option<Price> {
        self.situation.last_price.filter(|last| self.is_fresh(last.time)).map(|last| last.price)
    }

    fn is_fresh(&self, time: MarketTime) -> bool {
        self.now.since(time) <= self.limits.price_age() && time.since(self.now) <= MAX_AHEAD
    }

    /// What a market order on `side` would pay or get: the far side of the quote, else the last price.
    fn market_price(&self, side: Side) -> Option<Price> {
        let far = self.quote().and_then(|quote| match side {
            Side::Buy => usable(quote.ask),
            Side::Sell => usable(quote.bid),
        });
        far.or_else(|| self.last())
    }

    /// What a share held is worth: the last price, else the middle of the quote.
    fn fair_price(&self) -> Option<Price> {
        self.last().or_else(|| {
            let quote = self.quote()?;
            match (usable(quote.bid), usable(quote.ask)) {
                (Some(bid), Some(ask)) => Some(Price::new((bid + ask).get() / Decimal::TWO)),
                (one_side, None) | (None, one_side) => one_side,
            }
        })
    }

    /// The order's value at its limit, or at what the market asks; without any price it is beyond every
    /// limit.
    fn notional(&self) -> Usd {
        let price = self.submit.kind.limit_price().or_else(|| self.market_price(self.submit.side));
        price.map_or(Usd::new(Decimal::MAX), |price| price * self.submit.qty)
    }
}

/// A price of market data as money; `None` for an empty side or a number that is no price.
fn usable(price: f64) -> Option<Price> {
    Price::from_f64(price).ok().filter(|price| price.is_positive())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
