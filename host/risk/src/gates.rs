//! The ordered list of gates.

use std::{collections::BTreeMap, time::Duration};

use rust_decimal::Decimal;
use sandpit_types::{
    ClientOrderId, MarketTime, OrderClass, OrderKind, Price, Qty, Quote, Refusal, Side, StrategyName, Submit,
    Trail, Usd,
};

use crate::{Approved, Limits, OpenOrder, Situation};

mod budget_share;
mod buying_power;
mod day_trades;
mod duplicate_id;
mod entries_stopped;
mod frozen;
mod gross_exposure;
mod lease;
mod open_orders;
mod order_notional;
mod order_rate;
mod order_stream;
mod ownership;
mod paused;
mod position_limit;
mod price_collar;
mod protective;
mod reconciled;
mod self_cross;
mod session;
mod shape;
mod shorts;
mod stale_data;
mod supported;

use order_rate::{Rates, Used};

/// A price stamped further ahead than this is no price: it would never grow old.
const MAX_AHEAD: Duration = Duration::from_secs(60);

/// One question to an order.
type Gate = fn(&Case<'_>) -> Result<(), Refusal>;

/// In the order in which they are asked: first what is wrong with the order itself, last what it costs
/// others.
const GATES: [Gate; 24] = [
    shape::check,
    supported::check,
    duplicate_id::check,
    ownership::check,
    frozen::check,
    paused::check,
    entries_stopped::check,
    lease::check,
    reconciled::check,
    order_stream::check,
    session::check,
    stale_data::check,
    protective::check,
    price_collar::check,
    order_notional::check,
    position_limit::check,
    gross_exposure::check,
    budget_share::check,
    buying_power::check,
    shorts::check,
    day_trades::check,
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
        let reduces = self.would_pass(strategy, submit, situation, now)?;
        self.rates.note(strategy, now);
        Ok(Approved::new(strategy.clone(), submit.clone(), reduces))
    }

    /// Asks every gate and remembers nothing: whether the order would reduce.
    ///
    /// # Errors
    /// The [`Refusal`] of the first gate that objects.
    pub fn would_pass(
        &self,
        strategy: &StrategyName,
        submit: &Submit,
        situation: &Situation,
        now: MarketTime,
    ) -> Result<bool, Refusal> {
        let used = self.rates.used(strategy, now);
        let case = Case::new(strategy, submit, situation, &self.limits, used, now);
        for gate in GATES {
            gate(&case)?;
        }
        Ok(case.reduces())
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
    /// Asked by many gates, so it is found out once.
    reduces: bool,
}

impl<'a> Case<'a> {
    fn new(
        strategy: &'a StrategyName,
        submit: &'a Submit,
        situation: &'a Situation,
        limits: &'a Limits,
        used: Used,
        now: MarketTime,
    ) -> Self {
        let case = Self { strategy, submit, situation, limits, used, now, reduces: false };
        Self { reduces: case.takes_from_what_is_held(), ..case }
    }

    /// Whether the order lowers the risk.
    const fn reduces(&self) -> bool {
        self.reduces
    }

    /// Whether the order takes from what is held and cannot turn it round, all of our orders on its side
    /// filling. An entry that brings its exits along is none, whatever is held.
    ///
    /// Both books have to say so: the strategy's own, so that it does not sell what another strategy holds,
    /// and the account's, so that a difference between the books does not make a short out of an exit.
    fn takes_from_what_is_held(&self) -> bool {
        if matches!(self.submit.class, OrderClass::Bracket { .. } | OrderClass::Oto(_)) {
            return false;
        }
        let (side, may_fill) = (self.submit.side, self.may_fill());
        let own = self.working(side, |order| order.strategy == *self.strategy);
        let all = self.working(side, |_| true);
        let takes = |held: Qty, working: Qty| may_fill + working <= -side.signed(held);
        takes(self.situation.position, own) && takes(self.situation.account_position, all)
    }

    /// Shares that the order may fill, in the worst case: never less than the order before it may still fill.
    fn may_fill(&self) -> Qty {
        self.submit.qty.max(self.situation.replaced_remaining)
    }

    /// Shares that open orders of ours on `side` may still fill.
    fn working(&self, side: Side, counts: impl Fn(&OpenOrder) -> bool) -> Qty {
        self.sum_of_groups(side, counts, |order| order.remaining)
    }

    /// The sum of something over the open orders of ours on `side`, the largest of each group counting. Exits
    /// whose entry has not filled cannot fill.
    fn sum_of_groups<T>(
        &self,
        side: Side,
        counts: impl Fn(&OpenOrder) -> bool,
        figure: impl Fn(&OpenOrder) -> T,
    ) -> T
    where
        T: Ord + Copy + std::iter::Sum,
    {
        let counts = |order: &&OpenOrder| order.side == side && !order.dormant && counts(order);
        let mut groups = BTreeMap::<&ClientOrderId, T>::new();
        let mut alone = Vec::new();
        for order in self.situation.open_orders.iter().filter(counts) {
            let figure = figure(order);
            match &order.group {
                Some(group) => {
                    groups
                        .entry(group)
                        .and_modify(|largest| *largest = figure.max(*largest))
                        .or_insert(figure);
                }
                None => alone.push(figure),
            }
        }
        groups.into_values().chain(alone).sum()
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

    /// The worst price that an order may plausibly fill at; `None` when there is none to go by.
    ///
    /// A stop that buys fills beyond its price: Alpaca makes it a stop-limit 4 % above it, 2.5 % from 50 USD
    /// upwards. A trailing stop begins at its distance from the market and only comes nearer.
    fn worst_price(&self, kind: OrderKind, side: Side) -> Option<Price> {
        let market = self.market_price(side);
        let beyond = |stop: Price| match side {
            Side::Buy => slipped(market.map_or(stop, |market| market.max(stop))),
            Side::Sell => market.map_or(stop, |market| market.max(stop)),
        };
        match kind {
            OrderKind::Market => market,
            OrderKind::Limit { limit_price } | OrderKind::StopLimit { limit_price, .. } => Some(limit_price),
            OrderKind::Stop { stop_price } => Some(beyond(stop_price)),
            OrderKind::TrailingStop { trail } => market.map(|market| match side {
                Side::Buy => beyond(market + distance(trail, market)),
                Side::Sell => market,
            }),
        }
    }

    /// The order's value at the worst price it may fill at; without any price it is beyond every limit.
    fn notional(&self) -> Usd {
        let price = self.worst_price(self.submit.kind, self.submit.side);
        price.map_or(Usd::new(Decimal::MAX), |price| price * self.may_fill())
    }

    /// What the order adds to that which is open: all of its value, less that of the order before it.
    fn added(&self) -> Usd {
        (self.notional() - self.situation.replaced_value).max(Usd::ZERO)
    }
}

/// How far a trailing stop stays behind a price.
fn distance(trail: Trail, price: Price) -> Price {
    match trail {
        Trail::Price(distance) => distance,
        Trail::Percent(percent) => Price::new(price.get() * percent / Decimal::ONE_HUNDRED),
    }
}

/// Where the limit of a stop that buys lies at the broker.
fn slipped(stop: Price) -> Price {
    let permille = if stop.get() < Decimal::from(50) { 1_040 } else { 1_025 };
    Price::new(stop.get() * Decimal::new(permille, 3))
}

/// A price of market data as money; `None` for an empty side or a number that is no price.
fn usable(price: f64) -> Option<Price> {
    Price::from_f64(price).ok().filter(|price| price.is_positive())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
#[cfg(test)]
mod worst_case;
