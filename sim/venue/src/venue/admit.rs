//! Whether an order may be taken: its form first, then the account's rules.

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Price, Qty, Side};

use super::{MAX_ORDERS, Venue};
use crate::{Class, NewOrder, OrderKind, Phase, PositionIntent, Reject, TimeInForce, account::decimal};

/// Larger quantities and prices are absurd; below them no sum can overflow.
const MAX_QTY: Decimal = decimal(1_000_000_000, 0);
const MAX_LIMIT_PRICE: Decimal = decimal(1_000_000_000, 0);

/// Shares come in parts of 10^-9.
const QTY_DECIMALS: u32 = 9;

const MAX_CLIENT_ID_CHARS: usize = 128;

/// GTC orders are cancelled so many days after they came, at that time of day in New York.
const GTC_DAYS: i32 = 90;
const GTC_END: jiff::civil::Time = jiff::civil::time(16, 15, 0, 0);

/// A short sale is valued at the offer with this on top.
const SHORT_COLLAR: Decimal = decimal(103, 2);

/// A market buy that waits for the open is valued at the offer with this on top: 4 % below 50 USD, else 2.5
/// %.
const QUEUE_COLLAR_BELOW_50: Decimal = decimal(104, 2);
const QUEUE_COLLAR: Decimal = decimal(1025, 3);

/// What is settled when an order is taken.
pub(super) struct Admitted {
    pub(super) symbol: usize,
    pub(super) qty: Qty,
    pub(super) intent: PositionIntent,
    /// At what price its unfilled shares hold buying power; zero for an order that closes.
    pub(super) reserve: Price,
    pub(super) expires_at: MarketTime,
    /// Whether it works at once, and is not queued until its session.
    pub(super) works_now: bool,
}

impl Venue {
    /// Whether `order` may be taken now.
    pub(super) fn admit(&self, order: &NewOrder) -> Result<Admitted, Reject> {
        let qty = check_form(order)?;
        if self.suspended {
            return Err(Reject::Suspended);
        }
        if order.client_order_id.as_deref().is_some_and(|id| self.by_client_id.contains_key(id)) {
            return Err(Reject::ClientOrderIdUsed);
        }
        if self.entries.len() >= MAX_ORDERS {
            return Err(Reject::Full { limit: MAX_ORDERS });
        }
        let unknown = || Reject::UnknownSymbol { symbol: order.symbol.clone() };
        let symbol = *self.by_symbol.get(&order.symbol).ok_or_else(unknown)?;
        let intent = self.intent(symbol, order, qty)?;
        self.check_wash(symbol, order)?;
        let works_now = self.may_trade(order.extended_hours);
        let reserve = if intent.opens() { self.reserve(symbol, order, works_now)? } else { Price::ZERO };
        let cost_basis = reserve * qty;
        let worth = self.worth();
        let buying_power = self.ledger.buying_power(&worth);
        if cost_basis > buying_power {
            return Err(Reject::BuyingPower { buying_power, cost_basis });
        }
        let expires_at = self.expires_at(order);
        Ok(Admitted { symbol, qty, intent, reserve, expires_at, works_now })
    }

    /// Whether an order trades in the present phase.
    pub(super) fn may_trade(&self, extended_hours: bool) -> bool {
        match self.phase {
            Phase::Open => true,
            Phase::Pre | Phase::Post => extended_hours,
            Phase::Closed => false,
        }
    }

    /// What the order does to the position, if the position and the orders that are open allow it.
    fn intent(&self, symbol: usize, order: &NewOrder, qty: Qty) -> Result<PositionIntent, Reject> {
        let held = self.ledger.holdings[symbol].qty;
        let book = &self.books[symbol];
        let is_long = held.is_positive();
        match order.side {
            Side::Sell if is_long => {
                self.check_available(symbol, order, qty)?;
                Ok(PositionIntent::SellToClose)
            }
            Side::Buy if !is_long && !held.is_zero() => {
                self.check_available(symbol, order, qty)?;
                Ok(PositionIntent::BuyToClose)
            }
            Side::Sell if held.is_zero() && !book.open(Side::Buy).is_empty() => {
                Err(Reject::ShortWhileBuyOpen)
            }
            Side::Buy if held.is_zero() && !book.open(Side::Sell).is_empty() => {
                Err(Reject::BuyWhileShortOpen)
            }
            Side::Sell if !self.may_short(&self.worth()) => Err(Reject::ShortNotAllowed),
            Side::Sell if is_fractional(qty) => Err(Reject::FractionalShort),
            Side::Sell => Ok(PositionIntent::SellToOpen),
            Side::Buy => Ok(PositionIntent::BuyToOpen),
        }
    }

    fn check_available(&self, symbol: usize, order: &NewOrder, qty: Qty) -> Result<(), Reject> {
        let holding = &self.ledger.holdings[symbol];
        let available = holding.available();
        if qty <= available {
            return Ok(());
        }
        let related = self.books[symbol].open(order.side).iter();
        let mut related: Vec<_> = related.map(|resting| resting.ix).collect();
        related.sort_unstable();
        Err(Reject::QtyNotAvailable {
            symbol: order.symbol.clone(),
            requested: qty,
            available,
            existing: holding.qty.abs(),
            held_for_orders: holding.held,
            related_orders: related.into_iter().map(|ix| self.entry(ix).order.id.clone()).collect(),
        })
    }

    /// Two orders of one account may not meet: a market order on either side always might, two limits when
    /// they cross (Alpaca's user-protection table, 2026-09-16).
    fn check_wash(&self, symbol: usize, order: &NewOrder) -> Result<(), Reject> {
        let limit = order.kind.limit_price();
        let other_side = match order.side {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        };
        let meets = |other: Option<Price>| match (limit, other) {
            (Some(limit), Some(other)) => crosses(order.side, limit, other),
            (None, _) | (_, None) => true,
        };
        match self.books[symbol].open(other_side).iter().find(|resting| meets(resting.limit)) {
            Some(resting) => Err(Reject::WashTrade {
                existing_order_id: self.entry(resting.ix).order.id.clone(),
                existing_is_market: resting.limit.is_none(),
            }),
            None => Ok(()),
        }
    }

    /// The price at which an order that opens holds buying power.
    fn reserve(&self, symbol: usize, order: &NewOrder, works_now: bool) -> Result<Price, Reject> {
        let book = &self.books[symbol];
        let shown = book.level(Side::Buy).filter(|_| works_now);
        let no_price = || Reject::NotTradable { symbol: order.symbol.clone() };
        match (order.side, order.kind) {
            (Side::Buy, OrderKind::Limit { limit_price }) => Ok(limit_price),
            (Side::Buy, OrderKind::Market) => match shown {
                // One tick more is the most that it can cost.
                Some(level) => Ok(level.price + level.price.tick()),
                None => {
                    let offer = book.offer().ok_or_else(no_price)?;
                    let collar =
                        if offer.get() < decimal(50, 0) { QUEUE_COLLAR_BELOW_50 } else { QUEUE_COLLAR };
                    Ok(Price::new(offer.get() * collar))
                }
            },
            (Side::Sell, OrderKind::Limit { limit_price }) => {
                Ok(book.offer().map_or(limit_price, |offer| with_collar(offer).max(limit_price)))
            }
            (_, OrderKind::Stop { .. } | OrderKind::StopLimit { .. } | OrderKind::TrailingStop { .. }) => {
                Err(Reject::NotOffered)
            }
            (Side::Sell, OrderKind::Market) => Ok(with_collar(book.offer().ok_or_else(no_price)?)),
        }
    }

    /// When the order's time runs out. Immediate orders that wait for their session end with it.
    fn expires_at(&self, order: &NewOrder) -> MarketTime {
        match order.time_in_force {
            TimeInForce::Gtc => self.calendar.days_later(self.now, GTC_DAYS, GTC_END),
            TimeInForce::Day if order.extended_hours => self.calendar.next_post_close(self.now),
            TimeInForce::Day | TimeInForce::Ioc | TimeInForce::Fok | TimeInForce::Opg | TimeInForce::Cls => {
                self.calendar.next_close(self.now)
            }
        }
    }
}

/// Whether an order of `side` with this limit accepts the other price.
pub(super) fn crosses(side: Side, limit: Price, other: Price) -> bool {
    match side {
        Side::Buy => limit >= other,
        Side::Sell => limit <= other,
    }
}

fn with_collar(offer: Price) -> Price {
    Price::new(offer.get() * SHORT_COLLAR)
}

fn is_fractional(qty: Qty) -> bool {
    !qty.get().fract().is_zero()
}

/// What can be said of an order without knowing anything else.
fn check_form(order: &NewOrder) -> Result<Qty, Reject> {
    let is_old = matches!(order.kind, OrderKind::Market | OrderKind::Limit { .. })
        && !matches!(order.time_in_force, TimeInForce::Opg | TimeInForce::Cls)
        && order.class == Class::Simple;
    let qty = order.amount.qty().filter(|_| is_old).ok_or(Reject::NotOffered)?;
    if !qty.is_positive() {
        return Err(Reject::QtyNotPositive);
    }
    if qty.get() > MAX_QTY || qty.get().normalize().scale() > QTY_DECIMALS {
        return Err(Reject::QtyInvalid);
    }
    if let Some(limit_price) = order.kind.limit_price() {
        if !limit_price.is_positive() || limit_price.get() > MAX_LIMIT_PRICE {
            return Err(Reject::PriceInvalid { field: "limit_price", price: limit_price });
        }
        if !limit_price.is_on_tick() {
            return Err(Reject::SubPenny { field: "limit_price", price: limit_price });
        }
    }
    if order.client_order_id.as_deref().is_some_and(|id| id.chars().count() > MAX_CLIENT_ID_CHARS) {
        return Err(Reject::ClientOrderIdTooLong);
    }
    let is_day_or_gtc = matches!(order.time_in_force, TimeInForce::Day | TimeInForce::Gtc);
    if order.extended_hours && (order.kind == OrderKind::Market || !is_day_or_gtc) {
        return Err(Reject::ExtendedHours);
    }
    if is_fractional(qty) && order.time_in_force != TimeInForce::Day {
        return Err(Reject::FractionalNotDay);
    }
    Ok(qty)
}
