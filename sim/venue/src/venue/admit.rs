//! Whether an order may be taken: its form first, then the account's rules.

use jiff::civil::{Time, time};
use rust_decimal::RoundingStrategy;
use sandpit_types::{MarketTime, Price, Qty, Side, Usd};

use super::{
    MAX_ORDERS, Venue,
    form::{check_exits, check_form, opposite, shares_for},
};
use crate::{
    Amount, Class, ClassKind, NewOrder, OrderKind, Phase, PositionIntent, Reject, TimeInForce,
    account::average,
    book::{OrderIx, Resting},
    ledger::{Hold, Worth},
};

/// GTC orders are cancelled so many days after they came, at that time of day in New York.
const GTC_DAYS: i32 = 90;
const GTC_END: Time = time(16, 15, 0, 0);

/// From here on, until [`AUCTION_AGAIN`], no orders for the open are taken on trading days.
const OPG_END: Time = time(9, 28, 0, 0);
/// Orders for the close are taken until so many seconds before it: 15:50 on a whole day.
const CLS_END_SECS: u64 = 600;
/// From here on orders for the next session's open and close are taken.
const AUCTION_AGAIN: Time = time(19, 0, 0, 0);

/// Decimals of the money that an order holds.
const HOLD_DECIMALS: u32 = 9;

/// A refusal for want of free shares names so many orders that reserve them, the oldest.
const MAX_RELATED: usize = 100;

/// What is settled when an order is taken.
pub(super) struct Admitted {
    pub(super) symbol: usize,
    pub(super) intent: PositionIntent,
    /// At what price its unfilled shares hold buying power; zero for an order that closes.
    pub(super) reserve: Price,
    /// Shares that it reserves, if it closes by notional.
    pub(super) notional_shares: Qty,
    pub(super) expires_at: MarketTime,
    /// Whether it works at once, and is not queued until its session.
    pub(super) works_now: bool,
}

impl Venue {
    /// Whether `order` may be taken now.
    pub(super) fn admit(&self, order: &NewOrder) -> Result<Admitted, Reject> {
        check_form(order)?;
        if self.suspended {
            return Err(Reject::Suspended);
        }
        self.check_client_id_free(order.client_order_id.as_deref())?;
        // An order has at most two legs.
        if !self.has_room(3) {
            return Err(Reject::Full { limit: MAX_ORDERS });
        }
        let symbol = self.listed(order)?;
        let worth = self.worth();
        let shares = self.shares_wanted(symbol, order);
        let intent = self.intent(symbol, order, shares, &worth)?;
        // What is held in fractions may be closed whatever the owner wishes.
        if self.no_fractions && intent.opens() && order.amount.is_fractional() {
            return Err(Reject::FractionalOff);
        }
        if intent.opens() && self.is_restricted(&worth) {
            return Err(Reject::LiquidationOnly);
        }
        check_role(order.class, intent)?;
        check_exits(order, self.books[symbol].mark())?;
        self.check_wash(symbol, order)?;
        self.check_window(order.time_in_force)?;
        self.check_day_trades(symbol, intent)?;
        let is_for_open = order.time_in_force == TimeInForce::Opg && !self.calendar.is_always_open();
        let works_now = self.may_trade(order.extended_hours) && !is_for_open;
        let reserve = if intent.opens() { self.reserve(symbol, order, works_now)? } else { Price::ZERO };
        let cost_basis = cost(intent, order.amount, Qty::ZERO, reserve, shares).power;
        let buying_power = self.power_for(symbol, &worth);
        if cost_basis > buying_power {
            return Err(Reject::BuyingPower { buying_power, cost_basis });
        }
        let expires_at = self.expires_at(order.time_in_force, order.extended_hours);
        Ok(Admitted { symbol, intent, reserve, notional_shares: shares, expires_at, works_now })
    }

    pub(super) fn check_client_id_free(&self, id: Option<&str>) -> Result<(), Reject> {
        let is_used = id.is_some_and(|id| self.by_client_id.contains_key(id));
        if is_used { Err(Reject::ClientOrderIdUsed) } else { Ok(()) }
    }

    /// The symbol's place, if it may be traded so.
    fn listed(&self, order: &NewOrder) -> Result<usize, Reject> {
        let name = || order.symbol.clone();
        let symbol =
            *self.by_symbol.get(&order.symbol).ok_or_else(|| Reject::UnknownSymbol { symbol: name() })?;
        let listing = &self.books[symbol].listing;
        if !listing.tradable {
            return Err(Reject::NotTradable { symbol: name() });
        }
        if order.amount.is_fractional() && !listing.fractionable {
            return Err(Reject::NotFractionable { symbol: name() });
        }
        if matches!(order.amount, Amount::Notional(_)) && self.books[symbol].offer().is_none() {
            return Err(Reject::NotTradable { symbol: name() });
        }
        Ok(symbol)
    }

    /// Shares that an order asks for; by notional at the standing bid (a sale) or offer.
    fn shares_wanted(&self, symbol: usize, order: &NewOrder) -> Qty {
        let book = &self.books[symbol];
        match order.amount {
            Amount::Qty(qty) => qty,
            Amount::Notional(notional) => {
                let far = match order.side {
                    Side::Sell => book.bid(),
                    Side::Buy => book.offer(),
                };
                let holding = &self.ledger.holdings[symbol];
                let far = far.or_else(|| average(holding.cost, holding.qty));
                far.map_or(Qty::ZERO, |far| shares_for(notional.get(), far))
            }
        }
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
    fn intent(
        &self,
        symbol: usize,
        order: &NewOrder,
        shares: Qty,
        worth: &Worth,
    ) -> Result<PositionIntent, Reject> {
        let held = self.ledger.holdings[symbol].qty;
        let book = &self.books[symbol];
        let (is_long, is_short) = (held.is_positive(), !held.is_positive() && !held.is_zero());
        let is_open = |side| book.all(side).next().is_some();
        let closes = (order.side == Side::Sell && is_long) || (order.side == Side::Buy && is_short);
        let intent = match order.side {
            side if closes => PositionIntent::closing(side),
            Side::Sell if held.is_zero() && is_open(Side::Buy) => return Err(Reject::ShortWhileBuyOpen),
            Side::Buy if held.is_zero() && is_open(Side::Sell) => return Err(Reject::BuyWhileShortOpen),
            Side::Sell if order.amount.is_fractional() => return Err(Reject::FractionalShort),
            Side::Sell if !self.may_short(worth) => return Err(Reject::ShortNotAllowed),
            Side::Sell if !book.listing.shortable => {
                return Err(Reject::NotShortable { symbol: order.symbol.clone() });
            }
            Side::Sell => PositionIntent::SellToOpen,
            Side::Buy => PositionIntent::BuyToOpen,
        };
        if let Some(specified) = order.position_intent.filter(|specified| *specified != intent) {
            return Err(Reject::IntentMismatch { inferred: intent, specified });
        }
        if closes {
            self.check_available(symbol, order.side, shares, Qty::ZERO)?;
        }
        Ok(intent)
    }

    /// Whether so many shares are free, those that `own` order reserves itself included.
    pub(super) fn check_available(
        &self,
        symbol: usize,
        side: Side,
        requested: Qty,
        own: Qty,
    ) -> Result<(), Reject> {
        let holding = &self.ledger.holdings[symbol];
        let available = holding.available();
        if requested <= available + own {
            return Ok(());
        }
        let reserves = |ix: &OrderIx| self.entry(*ix).hold.shares.is_positive();
        let mut related: Vec<OrderIx> = self.books[symbol].all(side).filter(reserves).collect();
        related.sort_unstable();
        related.truncate(MAX_RELATED);
        Err(Reject::QtyNotAvailable {
            symbol: self.books[symbol].symbol.clone(),
            requested,
            available,
            existing: holding.qty.abs(),
            held_for_orders: holding.held,
            related_orders: related.into_iter().map(|ix| self.entry(ix).order.id.clone()).collect(),
        })
    }

    /// Two orders of one account may not meet: always rejected, unless both are limit or stop-limit orders
    /// that do not cross (Alpaca's user-protection table, 2026-09-16). Trailing stops and groups are exempt.
    pub(super) fn check_wash(&self, symbol: usize, order: &NewOrder) -> Result<(), Reject> {
        if order.class != Class::Simple || is_trailing(order.kind) {
            return Ok(());
        }
        let limit = order.kind.limit_price();
        let meets = |resting: &OrderIx| {
            let resting = &self.entry(*resting).order;
            let is_exempt = resting.class != ClassKind::Simple || is_trailing(resting.kind);
            !is_exempt
                && match (limit, resting.kind.limit_price()) {
                    (Some(limit), Some(other)) => crosses(order.side, limit, other),
                    (None, _) | (_, None) => true,
                }
        };
        let (book, side) = (&self.books[symbol], opposite(order.side));
        // Behind the first limit that is too far away there are only worse ones.
        let is_near = |resting: &Resting| match (limit, resting.limit) {
            (Some(limit), Some(other)) => book.has_elected_stops() || crosses(order.side, limit, other),
            (None, _) | (_, None) => true,
        };
        let open = book.open(side).iter().copied().take_while(is_near).map(|resting| resting.ix);
        match open.chain(book.stops_of(side)).find(meets) {
            Some(ix) => {
                let resting = &self.entry(ix).order;
                Err(Reject::WashTrade {
                    existing_order_id: resting.id.clone(),
                    existing_is_market: resting.kind.limit_price().is_none(),
                })
            }
            None => Ok(()),
        }
    }

    /// Orders for the open and the close come within their hours on trading days, at any time on others.
    pub(super) fn check_window(&self, time_in_force: TimeInForce) -> Result<(), Reject> {
        let reject = match time_in_force {
            TimeInForce::Opg => Reject::OpgWindow,
            TimeInForce::Cls => Reject::ClsWindow,
            TimeInForce::Day | TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => return Ok(()),
        };
        let date = self.calendar.date(self.now);
        let Some(session) = self.calendar.session(date).filter(|_| !self.calendar.is_always_open()) else {
            return Ok(());
        };
        let end = match time_in_force {
            TimeInForce::Opg => self.calendar.days_later(self.now, 0, OPG_END),
            _ => MarketTime::from_nanos(session.close.as_nanos() - (CLS_END_SECS * 1_000_000_000) as i64),
        };
        let again = self.calendar.days_later(self.now, 0, AUCTION_AGAIN);
        if self.now >= end && self.now < again { Err(reject) } else { Ok(()) }
    }

    /// When the order's time runs out. Immediate orders that wait for their session end with it.
    pub(super) fn expires_at(&self, time_in_force: TimeInForce, extended_hours: bool) -> MarketTime {
        match time_in_force {
            TimeInForce::Gtc => self.calendar.days_later(self.now, GTC_DAYS, GTC_END),
            TimeInForce::Day if extended_hours => self.calendar.next_post_close(self.now),
            // In a session the next change of phase is its close: no need to ask the calendar.
            _ if self.phase == Phase::Open => self.next_change,
            TimeInForce::Day | TimeInForce::Opg | TimeInForce::Cls | TimeInForce::Ioc | TimeInForce::Fok => {
                self.calendar.next_close(self.now)
            }
        }
    }
}

/// An OCO closes a position, an entry opens one.
fn check_role(class: Class, intent: PositionIntent) -> Result<(), Reject> {
    match class {
        Class::Simple => Ok(()),
        Class::Oco { .. } if intent.opens() => Err(Reject::OcoNotExit),
        Class::Oco { .. } => Ok(()),
        Class::Bracket { .. } | Class::OtoTakeProfit { .. } | Class::OtoStopLoss { .. } if intent.opens() => {
            Ok(())
        }
        Class::Bracket { .. } | Class::OtoTakeProfit { .. } | Class::OtoStopLoss { .. } => {
            Err(Reject::EntryCloses { class: class.as_str() })
        }
    }
}

/// What an order reserves when so much of it has filled. Money is rounded up, so that sums of it stay exact
/// whatever the sizes.
pub(super) fn cost(
    intent: PositionIntent,
    amount: Amount,
    filled: Qty,
    reserve: Price,
    notional_shares: Qty,
) -> Hold {
    match (intent.opens(), amount) {
        (true, Amount::Qty(qty)) => {
            let power = (reserve * (qty - filled)).get();
            let power = power.round_dp_with_strategy(HOLD_DECIMALS, RoundingStrategy::ToPositiveInfinity);
            Hold { power: Usd::new(power), shares: Qty::ZERO }
        }
        (true, Amount::Notional(notional)) => Hold { power: notional, shares: Qty::ZERO },
        (false, Amount::Qty(qty)) => Hold { power: Usd::ZERO, shares: qty - filled },
        (false, Amount::Notional(_)) => Hold { power: Usd::ZERO, shares: notional_shares },
    }
}

/// Whether an order of `side` with this limit accepts the other price.
pub(super) fn crosses(side: Side, limit: Price, other: Price) -> bool {
    match side {
        Side::Buy => limit >= other,
        Side::Sell => limit <= other,
    }
}

const fn is_trailing(kind: OrderKind) -> bool {
    matches!(kind, OrderKind::TrailingStop { .. })
}
