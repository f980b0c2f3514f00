//! The account: worth, margin, buying power.

use rust_decimal::{Decimal, RoundingStrategy};
use sandpit_types::Side;
use sandpit_venue::{DayTradeRule, NewOrder, OrderKind, Phase, TimeInForce};

use super::{
    Market, Model, Order,
    stops::{stop_limit, trailing_stop},
    tick,
};

/// Equity that a pattern day trader must have (the old rule).
pub(super) const PATTERN_EQUITY: Decimal = Decimal::from_parts(25_000, 0, 0, false, 0);
/// Equity from which margin and short sales begin.
const MARGIN_EQUITY: Decimal = Decimal::from_parts(2_000, 0, 0, false, 0);

impl Market {
    /// What a share is worth: the last price, else the middle of the newest quote.
    pub(crate) fn mark(&self) -> Option<Decimal> {
        self.last.or_else(|| {
            let (_, bid, ask) = self.quote?;
            (!bid.is_zero() && !ask.is_zero()).then(|| (bid + ask) / Decimal::TWO)
        })
    }

    /// What the shares held are worth; without any price what was paid, as the average says.
    pub(crate) fn worth(&self) -> Decimal {
        if self.held.is_zero() {
            return Decimal::ZERO;
        }
        self.mark().or_else(|| self.average()).unwrap_or_default() * self.held
    }

    /// What was paid for a share.
    pub(super) fn average(&self) -> Option<Decimal> {
        (!self.held.is_zero()).then(|| (self.cost / self.held).round_dp(9))
    }

    /// What a share costs on the other side: the offer, else the last price.
    pub(super) fn offer(&self) -> Option<Decimal> {
        self.quote.map(|(_, _, ask)| ask).filter(|ask| !ask.is_zero()).or(self.last)
    }

    /// What the shares take of a buying power that reaches so many times.
    pub(super) fn used(&self, multiplier: u32) -> Decimal {
        self.worth().abs() * if self.listing.marginable { Decimal::ONE } else { multiplier.into() }
    }

    fn initial_margin(&self) -> Decimal {
        let part = if self.listing.marginable { Decimal::new(5, 1) } else { Decimal::ONE };
        self.worth().abs() * part
    }

    fn maintenance_margin(&self) -> Decimal {
        let worth = self.worth().abs();
        let shares = self.held.abs();
        let price = if shares.is_zero() { Decimal::ZERO } else { worth / shares };
        if !self.listing.marginable {
            worth
        } else if self.held > Decimal::ZERO {
            if price >= Decimal::new(25, 1) { worth * Decimal::new(3, 1) } else { worth }
        } else if price >= Decimal::from(5) {
            (shares * Decimal::from(5)).max(worth * Decimal::new(3, 1))
        } else {
            (shares * Decimal::new(25, 1)).max(worth)
        }
    }
}

impl Model {
    pub(super) fn mark(&self, symbol: usize) -> Option<Decimal> {
        self.markets[symbol].mark()
    }

    pub(crate) fn long_value(&self) -> Decimal {
        self.markets.iter().map(Market::worth).filter(|worth| *worth > Decimal::ZERO).sum()
    }

    pub(crate) fn short_value(&self) -> Decimal {
        self.markets.iter().map(Market::worth).filter(|worth| *worth < Decimal::ZERO).sum()
    }

    pub(crate) fn equity(&self) -> Decimal {
        self.cash + self.long_value() + self.short_value()
    }

    pub(crate) fn initial_margin(&self) -> Decimal {
        self.markets.iter().map(Market::initial_margin).sum()
    }

    pub(crate) fn maintenance_margin(&self) -> Decimal {
        self.markets.iter().map(Market::maintenance_margin).sum()
    }

    /// What open orders would cost.
    pub(crate) fn held_for_orders(&self) -> Decimal {
        self.open().into_iter().map(|order| self.orders[order].held()).sum()
    }

    /// How many times its worth an order takes of the buying power.
    pub(super) fn times(&self, symbol: usize) -> Decimal {
        if self.markets[symbol].listing.marginable { Decimal::ONE } else { self.reach().into() }
    }

    /// How many times the equity the buying power of this hour reaches.
    fn reach(&self) -> u32 {
        if self.is_before_close() { self.multiplier() } else { self.multiplier().min(2) }
    }

    pub(crate) fn multiplier(&self) -> u32 {
        let old_rule = self.is_pattern_day_trader() && self.last_equity >= PATTERN_EQUITY;
        if self.equity() < MARGIN_EQUITY || self.max_multiplier == 1 {
            1
        } else if old_rule || self.intraday_margin() {
            self.max_multiplier.min(4)
        } else {
            2
        }
    }

    /// Day trades of the last five business days (the old rule).
    pub(crate) fn day_trades(&self) -> usize {
        let mut first = self.calendar.date(self.now);
        // A trading day begins with its pre-market.
        let begun = |date| self.calendar.session(date).is_some_and(|session| session.pre_open <= self.now);
        let mut days = usize::from(begun(first));
        while days < 5 {
            first = first.saturating_sub(jiff::Span::new().days(1));
            days += usize::from(begun(first));
        }
        self.day_trades.iter().filter(|&&date| date >= first).count()
    }

    pub(crate) fn is_pattern_day_trader(&self) -> bool {
        self.config.day_trade_rule == DayTradeRule::Legacy && self.pattern
    }

    /// Whether the rules from 4 June 2026 hold.
    pub(super) fn intraday_margin(&self) -> bool {
        self.config.day_trade_rule == DayTradeRule::Intraday
            && self.calendar.date(self.now) >= jiff::civil::date(2026, 6, 4)
    }

    pub(crate) fn buying_power(&self) -> Decimal {
        let reach = self.reach();
        let used: Decimal = self.markets.iter().map(|market| market.used(reach)).sum();
        let mut free = self.equity() * Decimal::from(reach) - used;
        if reach == 4 {
            let more = (used - self.last_used).max(Decimal::ZERO);
            free = free.min((self.last_equity - self.last_maintenance) * Decimal::from(4) - more);
        }
        let open = self.open().into_iter().map(|order| &self.orders[order]);
        let held: Decimal = open.map(|order| order.held() * self.times(order.symbol)).sum();
        (free.max(Decimal::ZERO) - held).max(Decimal::ZERO)
    }

    /// Whether a regular session is on, or its pre-market.
    fn is_before_close(&self) -> bool {
        matches!(self.calendar.phase(self.now), Phase::Pre | Phase::Open)
    }

    /// Whether only closing orders are taken.
    pub(crate) fn is_restricted(&self) -> bool {
        let worth = self.long_value() - self.short_value();
        self.restricted_until.is_some_and(|until| self.calendar.date(self.now) < until)
            || worth > self.equity() * Decimal::from(6)
    }

    pub(super) fn may_short(&self, symbol: usize) -> bool {
        self.config.shorting
            && !self.no_shorting
            && self.markets[symbol].listing.shortable
            && self.multiplier() > 1
    }

    /// What each share of an order that opens a position holds; `open`: whether it goes to work at once.
    pub(super) fn hold(&self, symbol: usize, new: &NewOrder, open: bool) -> Option<Decimal> {
        let (side, kind) = (new.side, new.kind);
        let open = open && new.time_in_force != TimeInForce::Cls;
        let offer = self.markets[symbol].offer();
        // In the session the worst that can be paid of the offer; else it may be elsewhere by the time.
        let shown = self.markets[symbol].ask.filter(|_| open).map(|level| level.price + tick(level.price));
        let far = shown.or_else(|| {
            let offer = offer?;
            let part = if offer < Decimal::from(50) { Decimal::new(104, 2) } else { Decimal::new(1025, 3) };
            Some((offer * part).max(offer + tick(offer)))
        });
        let short = |price: Decimal| offer.map_or(price, |offer| price.max(offer * Decimal::new(103, 2)));
        match (side, kind) {
            (Side::Buy, OrderKind::Market) => far,
            (Side::Buy, OrderKind::TrailingStop { trail }) => {
                self.mark(symbol).map(|mark| stop_limit(trailing_stop(side, mark, trail)))
            }
            (Side::Buy, OrderKind::Stop { stop_price }) => Some(stop_limit(stop_price.get())),
            (Side::Buy, OrderKind::Limit { limit_price } | OrderKind::StopLimit { limit_price, .. }) => {
                Some(limit_price.get())
            }
            (Side::Sell, OrderKind::Market | OrderKind::TrailingStop { .. }) => offer.map(short),
            (Side::Sell, OrderKind::Stop { stop_price }) => Some(short(stop_price.get())),
            (Side::Sell, OrderKind::Limit { limit_price } | OrderKind::StopLimit { limit_price, .. }) => {
                Some(short(limit_price.get()))
            }
        }
    }
}

impl Order {
    /// What the order holds of the buying power.
    pub(super) fn held(&self) -> Decimal {
        match (self.opens, self.notional) {
            (false, _) => Decimal::ZERO,
            (true, Some(notional)) => notional,
            (true, None) => up(self.hold * self.left()),
        }
    }
}

/// Money that is held, rounded up to nine decimals.
pub(super) fn up(money: Decimal) -> Decimal {
    money.round_dp_with_strategy(9, RoundingStrategy::ToPositiveInfinity)
}
