//! Buying power: what orders hold of it, how much there is, and who may use it.

use sandpit_types::{MarketTime, Price, Side, Usd};

use rust_decimal::Decimal;

use super::Venue;
use crate::{
    DayTradeRule, NewOrder, OrderKind, Phase, Reject, TimeInForce, Trail, account::decimal, book::up_to_tick,
    ledger::Worth,
};

/// Midnight in New York before 2026-06-04, when intraday margin took the place of the day-trade count.
const INTRADAY_SINCE: MarketTime = MarketTime::from_secs(1_780_545_600);

/// A short sale is valued at the offer with this on top.
const SHORT_COLLAR: Decimal = decimal(103, 2);

/// A buy at no price of its own is valued, and an elected buy stop limited, with this on top: 4 % below 50
/// USD, else 2.5 %.
const COLLAR_BELOW_50: Decimal = decimal(104, 2);
const COLLAR: Decimal = decimal(1025, 3);

/// Positions above so many times the equity restrict the account.
const MAX_LEVERAGE: Decimal = decimal(6, 0);

/// A margin deficit at so many closes in a row restricts the account for so many days.
const DEFICIT_CLOSES: u32 = 5;
const RESTRICTED_DAYS: i32 = 90;

/// With the old rule, four times the equity is for those who have this much.
const DAY_TRADER_EQUITY: Decimal = decimal(25_000, 0);

/// What the account's margin goes by.
#[derive(Debug)]
pub(super) struct Margin {
    /// The owner's wish: at most so many times the equity.
    pub(super) limit: u32,
    pub(super) last_maintenance: Usd,
    /// What the positions bound of four times the equity at the last close.
    last_bound: Usd,
    deficit_closes: u32,
    restricted_until: Option<MarketTime>,
}

impl Default for Margin {
    fn default() -> Self {
        Self {
            limit: 4,
            last_maintenance: Usd::ZERO,
            last_bound: Usd::ZERO,
            deficit_closes: 0,
            restricted_until: None,
        }
    }
}

/// Buying power in its kinds, open orders taken off.
pub(super) struct Power {
    pub(super) multiplier: u32,
    pub(super) now: Usd,
    /// How many times its worth an order for what is not marginable takes of `now`.
    pub(super) factor: u32,
    pub(super) regt: Usd,
    pub(super) intraday: Usd,
    pub(super) non_marginable: Usd,
}

impl Venue {
    pub(super) fn power(&self, worth: &Worth) -> Power {
        let free = |power: Usd, times: u32| (power - self.ledger.held_of(times)).max(Usd::ZERO);
        let multiplier = self.multiplier(worth);
        let over_night = multiplier.min(2);
        let regt = free(worth.power(over_night), over_night);
        let is_before_close = matches!(self.phase, Phase::Pre | Phase::Open);
        let intraday = if multiplier == 4 { free(self.intraday(worth), 4) } else { regt };
        let (now, factor) = if is_before_close { (intraday, multiplier) } else { (regt, over_night) };
        let non_marginable = free(worth.equity - worth.gross(), 1);
        Power { multiplier, now, factor, regt, intraday, non_marginable }
    }

    /// Four times the equity of the last close less what was bound since, and never more than four times the
    /// present equity bears: what was lost today cannot be used again.
    fn intraday(&self, worth: &Worth) -> Usd {
        let used = (worth.bound(4) - self.margin.last_bound).max(Usd::ZERO);
        let most = (self.last_equity - self.margin.last_maintenance) * decimal(4, 0);
        (most - used).min(worth.power(4))
    }

    /// What may be spent on a symbol now.
    pub(super) fn power_for(&self, symbol: usize, worth: &Worth) -> Usd {
        let power = self.power(worth);
        let factor = if self.books[symbol].listing.marginable { 1 } else { power.factor };
        Usd::new(power.now.get() / Decimal::from(factor))
    }

    /// How far equity reaches.
    fn multiplier(&self, worth: &Worth) -> u32 {
        let most = match self.config.day_trade_rule {
            DayTradeRule::Intraday if self.now >= INTRADAY_SINCE => 4,
            DayTradeRule::Legacy if self.is_pattern_day_trader() && self.has_day_trader_equity() => 4,
            DayTradeRule::Intraday | DayTradeRule::Legacy => 2,
        };
        // There is no account with a multiplier of three.
        let limit = if self.margin.limit == 3 { 2 } else { self.margin.limit };
        if worth.has_margin() { most.min(limit) } else { 1 }
    }

    pub(super) fn has_day_trader_equity(&self) -> bool {
        self.last_equity.get() >= DAY_TRADER_EQUITY
    }

    /// Whether only closing orders are taken.
    pub(super) fn is_restricted(&self, worth: &Worth) -> bool {
        self.margin.restricted_until.is_some_and(|until| self.now < until)
            || worth.gross() > worth.equity.max(Usd::ZERO) * MAX_LEVERAGE
    }

    /// A regular session ends: what counts until the next end is noted.
    pub(super) fn note_close(&mut self) {
        let worth = self.worth();
        self.last_equity = worth.equity;
        self.margin.last_maintenance = worth.maintenance;
        self.margin.last_bound = worth.bound(4);
        let has_intraday = self.config.day_trade_rule == DayTradeRule::Intraday && self.now >= INTRADAY_SINCE;
        let has_deficit = has_intraday && worth.initial_margin() > worth.equity;
        self.margin.deficit_closes = if has_deficit { self.margin.deficit_closes + 1 } else { 0 };
        if self.margin.deficit_closes == DEFICIT_CLOSES {
            self.margin.deficit_closes = 0;
            let until = self.calendar.days_later(self.now, RESTRICTED_DAYS, jiff::civil::Time::midnight());
            self.margin.restricted_until = Some(until);
        }
    }

    /// The price at which an order that opens holds buying power.
    pub(super) fn reserve(&self, symbol: usize, order: &NewOrder, works_now: bool) -> Result<Price, Reject> {
        let book = &self.books[symbol];
        let no_price = || Reject::NotTradable { symbol: book.symbol.clone() };
        let short = |own: Option<Price>| {
            let offer = book.offer().map(|offer| Price::new(offer.get() * SHORT_COLLAR));
            offer.max(own).ok_or_else(no_price)
        };
        match (order.side, order.kind) {
            (Side::Buy, OrderKind::Limit { limit_price } | OrderKind::StopLimit { limit_price, .. }) => {
                Ok(limit_price)
            }
            (Side::Buy, OrderKind::Stop { stop_price }) => Ok(limit_of_elected_buy(stop_price)),
            (Side::Buy, OrderKind::TrailingStop { trail }) => {
                let mark = book.mark().ok_or_else(no_price)?;
                Ok(limit_of_elected_buy(stop_of(Side::Buy, mark, trail)))
            }
            (Side::Buy, OrderKind::Market) => {
                let offer = book.offer().ok_or_else(no_price)?;
                let next = offer + offer.tick();
                // Shown now, and with fills that never stray: a tick more is the most that it can cost.
                let is_certain = works_now && order.time_in_force != TimeInForce::Cls;
                let is_certain = is_certain && !self.config.realism.strays();
                let has_level = book.level(Side::Buy).is_some();
                Ok(if is_certain && has_level { next } else { with_collar(offer).max(next) })
            }
            (Side::Sell, OrderKind::Limit { limit_price } | OrderKind::StopLimit { limit_price, .. }) => {
                short(Some(limit_price))
            }
            (Side::Sell, OrderKind::Stop { stop_price }) => short(Some(stop_price)),
            (Side::Sell, OrderKind::Market | OrderKind::TrailingStop { .. }) => short(None),
        }
    }
}

fn with_collar(price: Price) -> Price {
    let collar = if price.get() < decimal(50, 0) { COLLAR_BELOW_50 } else { COLLAR };
    Price::new(price.get() * collar)
}

/// The limit that a buy stop works with once it is elected.
pub(super) fn limit_of_elected_buy(stop_price: Price) -> Price {
    up_to_tick(with_collar(stop_price))
}

/// Where a trailing stop of this side lies when the best price was `best`.
pub(super) fn stop_of(side: Side, best: Price, trail: Trail) -> Price {
    let distance = match trail {
        Trail::Price(price) => price.get(),
        Trail::Percent(percent) => best.get() * (percent / Decimal::ONE_HUNDRED),
    };
    let stop = match side {
        Side::Sell => best.get() - distance,
        Side::Buy => best.get() + distance,
    };
    let nearest =
        crate::book::to_tick(Price::new(stop), rust_decimal::RoundingStrategy::MidpointAwayFromZero);
    nearest.max(super::matching::LEAST_PRICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intraday_margin_begins_at_midnight_in_new_york() {
        assert_eq!(Ok(INTRADAY_SINCE), MarketTime::parse("2026-06-04T00:00:00-04:00").map_err(|_| ()));
    }

    #[test]
    fn stops_and_their_limits() {
        let price = |text: &str| text.parse::<Price>().expect(text);
        let limit = |stop: &str, expected: &str| {
            assert_eq!(limit_of_elected_buy(price(stop)).to_string(), expected, "{stop}");
        };
        limit("49.99", "51.99");
        limit("50", "51.25");
        limit("100.01", "102.52");
        limit("0.5555", "0.5778");
        let stop = |side, best: &str, trail, expected: &str| {
            assert_eq!(stop_of(side, price(best), trail).to_string(), expected, "{best} {trail:?}");
        };
        stop(Side::Sell, "100", Trail::Price(price("1.5")), "98.5");
        stop(Side::Buy, "100", Trail::Price(price("1.5")), "101.5");
        stop(Side::Sell, "33.33", Trail::Percent(decimal(1, 0)), "33");
        stop(Side::Buy, "33.33", Trail::Percent(decimal(1, 0)), "33.66");
        stop(Side::Sell, "1.25", Trail::Percent(decimal(10, 0)), "1.13");
        stop(Side::Sell, "5", Trail::Price(price("5")), "0.0001");
    }
}
