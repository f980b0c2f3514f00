//! Which orders are taken.

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Side};
use sandpit_venue::{
    Amount, Class, ClosePart, DayTradeRule, EventKind, NewOrder, OrderKind, OrderState, PdtCheck,
    PositionIntent, StopLoss, TimeInForce, Trail,
};

use super::{
    Model, Order, Refusal, Role, Work, cut,
    money::{PATTERN_EQUITY, up},
    tick,
};

pub(super) const PARAMETER: Refusal = (422, 40_010_001);
pub(super) const UNPROCESSABLE: Refusal = (422, 42_210_000);
pub(super) const FORBIDDEN: Refusal = (403, 40_310_000);
const DAY_TRADES: Refusal = (403, 40_310_100);
const NOT_FOUND: Refusal = (404, 40_410_000);

/// Quantities and prices beyond this are absurd.
const ABSURD: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);

fn refuse_if(wrong: bool, refusal: Refusal) -> Result<(), Refusal> {
    if wrong { Err(refusal) } else { Ok(()) }
}

impl Model {
    /// Takes an order, or says why not; the place of the order.
    pub(crate) fn submit(&mut self, new: &NewOrder, now: MarketTime) -> Result<usize, Refusal> {
        self.advance(now);
        let opens = self.admit(new, None)?;
        let place = self.put(new, opens);
        self.route(place);
        Ok(place)
    }

    /// Sends the order that closes a position or a part of it.
    pub(crate) fn close(
        &mut self,
        symbol: usize,
        part: ClosePart,
        now: MarketTime,
    ) -> Result<usize, Refusal> {
        self.advance(now);
        let held = self.markets[symbol].held;
        refuse_if(held.is_zero(), NOT_FOUND)?;
        let qty = match part {
            ClosePart::All => held.abs(),
            ClosePart::Qty(qty) => qty.get(),
            ClosePart::Percent(percent) => {
                refuse_if(percent <= Decimal::ZERO || percent > Decimal::ONE_HUNDRED, PARAMETER)?;
                cut(held.abs() * percent / Decimal::ONE_HUNDRED)
            }
        };
        let order = NewOrder {
            client_order_id: None,
            symbol: self.markets[symbol].listing.symbol.clone(),
            side: if held > Decimal::ZERO { Side::Sell } else { Side::Buy },
            amount: Amount::Qty(sandpit_types::Qty::new(qty)),
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            class: Class::Simple,
            position_intent: None,
        };
        self.submit(&order, now)
    }

    /// All the checks; whether the order adds to the position. `instead` is an order whose place it takes.
    pub(super) fn admit(&self, new: &NewOrder, instead: Option<usize>) -> Result<bool, Refusal> {
        check_figures(new)?;
        check_shape(new)?;
        check_leg_figures(new)?;
        refuse_if(self.suspended, FORBIDDEN)?;
        self.check_client_id(new)?;
        let symbol = self.symbol(new).ok_or(UNPROCESSABLE)?;
        let market = &self.markets[symbol];
        refuse_if(!market.listing.tradable, UNPROCESSABLE)?;
        let whole_only = !market.listing.fractionable;
        refuse_if(is_fractional(new.amount) && whole_only && instead.is_none(), FORBIDDEN)?;
        let unpriced = market.offer().is_none();
        refuse_if(unpriced && matches!(new.amount, Amount::Notional(_)), UNPROCESSABLE)?;
        let opens = match instead {
            Some(order) => self.orders[order].opens,
            None => self.intent(new, symbol)?,
        };
        if !opens {
            let own = instead.map_or(Decimal::ZERO, |order| self.orders[order].left());
            let done = instead.map_or(Decimal::ZERO, |order| self.orders[order].filled);
            let free = market.held.abs() - self.reserved(symbol) + own;
            refuse_if(self.shares(new, symbol)? - done > free, FORBIDDEN)?;
        }
        let unwanted = opens && is_fractional(new.amount) && !self.fractional;
        refuse_if(unwanted && instead.is_none(), FORBIDDEN)?;
        refuse_if(opens && self.is_restricted() && instead.is_none(), FORBIDDEN)?;
        let wrong_way = match new.class {
            Class::Simple => false,
            Class::Oco { .. } => opens,
            Class::Bracket { .. } | Class::OtoTakeProfit { .. } | Class::OtoStopLoss { .. } => !opens,
        };
        refuse_if(wrong_way, UNPROCESSABLE)?;
        self.check_legs(new, symbol)?;
        refuse_if(self.meets_own(new, symbol, instead), FORBIDDEN)?;
        if instead.is_none_or(|order| self.orders[order].time_in_force != new.time_in_force) {
            self.check_window(new.time_in_force)?;
        }
        refuse_if(instead.is_none() && self.is_day_trade(symbol, opens), DAY_TRADES)?;
        if opens {
            self.check_opening(new, symbol, instead)?;
        }
        Ok(opens)
    }

    /// Whether the old rule stands against the order.
    fn is_day_trade(&self, symbol: usize, opens: bool) -> bool {
        let looked_at = match self.pdt_check {
            PdtCheck::Entry => opens,
            PdtCheck::Exit => !opens,
            PdtCheck::Both => true,
        };
        let today = self.markets[symbol].opened == Some(self.calendar.date(self.now));
        self.config.day_trade_rule == DayTradeRule::Legacy
            && self.last_equity < PATTERN_EQUITY
            && self.day_trades() >= 3
            && looked_at
            && (opens || today)
    }

    /// Whether the order adds to the position; what may not be meant so.
    fn intent(&self, new: &NewOrder, symbol: usize) -> Result<bool, Refusal> {
        let held = self.markets[symbol].held;
        let opens = match new.side {
            Side::Buy => held >= Decimal::ZERO,
            Side::Sell => held <= Decimal::ZERO,
        };
        let opposite = self.open().into_iter().any(|place| {
            let other = &self.orders[place];
            other.symbol == symbol && other.opens && other.side != new.side
        });
        refuse_if(held.is_zero() && opposite, FORBIDDEN)?;
        if new.side == Side::Sell && opens {
            refuse_if(is_fractional(new.amount), UNPROCESSABLE)?;
            refuse_if(!self.may_short(symbol), FORBIDDEN)?;
        }
        let intent = match (new.side, opens) {
            (Side::Buy, true) => PositionIntent::BuyToOpen,
            (Side::Buy, false) => PositionIntent::BuyToClose,
            (Side::Sell, true) => PositionIntent::SellToOpen,
            (Side::Sell, false) => PositionIntent::SellToClose,
        };
        refuse_if(new.position_intent.is_some_and(|wanted| wanted != intent), UNPROCESSABLE)?;
        Ok(opens)
    }

    /// The shares that an order that closes a position needs.
    fn shares(&self, new: &NewOrder, symbol: usize) -> Result<Decimal, Refusal> {
        match new.amount {
            Amount::Qty(qty) => Ok(qty.get()),
            Amount::Notional(notional) => {
                let market = &self.markets[symbol];
                let side = |(_, bid, ask)| if new.side == Side::Buy { ask } else { bid };
                let price = market.quote.map(side).filter(|price: &Decimal| !price.is_zero());
                let price = price.or_else(|| market.mark()).or_else(|| market.average());
                Ok(cut(notional.get() / price.ok_or(UNPROCESSABLE)?))
            }
        }
    }

    pub(super) fn check_client_id(&self, new: &NewOrder) -> Result<(), Refusal> {
        let Some(id) = new.client_order_id.as_ref().filter(|id| !id.is_empty()) else { return Ok(()) };
        refuse_if(self.orders.iter().any(|order| order.client_id.as_ref() == Some(id)), UNPROCESSABLE)
    }

    fn symbol(&self, new: &NewOrder) -> Option<usize> {
        self.markets.iter().position(|market| market.listing.symbol == new.symbol)
    }

    /// Orders on the open and the close have their hours on trading days.
    fn check_window(&self, time_in_force: TimeInForce) -> Result<(), Refusal> {
        if self.config.always_open {
            return Ok(());
        }
        let Some(session) = self.calendar.session(self.calendar.date(self.now)) else { return Ok(()) };
        let before =
            |at: MarketTime, minutes: i64| MarketTime::from_nanos(at.as_nanos() - minutes * 60_000_000_000);
        // 19:00 is nine and a half hours after the open.
        let evening = before(session.open, -570);
        let shut = match time_in_force {
            TimeInForce::Opg => self.now >= before(session.open, 2),
            TimeInForce::Cls => self.now >= before(session.close, 10),
            _ => false,
        };
        refuse_if(shut && self.now < evening, FORBIDDEN)
    }

    /// The prices of the legs against each other and against the base prices.
    fn check_legs(&self, new: &NewOrder, symbol: usize) -> Result<(), Refusal> {
        let oco = matches!(new.class, Class::Oco { .. });
        let limit = new.kind.limit_price().map(|price| price.get());
        let take_profit = if oco { limit } else { new.class.take_profit().map(|price| price.get()) };
        let Some(stop) = new.class.stop_loss().map(|stop| stop.stop_price.get()) else { return Ok(()) };
        // Whether the exits sell.
        let long = (new.side == Side::Buy) != oco;
        check_exits(long, take_profit, stop)?;
        // The entry's limit, else what the market says; the take-profit's limit and what the market says.
        let market = if oco || limit.is_none() { self.mark(symbol) } else { None };
        for base in [limit, market].into_iter().flatten() {
            check_stop(long, base, stop)?;
        }
        Ok(())
    }

    /// Whether the order could meet an open one of the account: the wash-trade table.
    fn meets_own(&self, new: &NewOrder, symbol: usize, instead: Option<usize>) -> bool {
        if exempt(new.kind, new.class) {
            return false;
        }
        self.open().into_iter().filter(|&place| Some(place) != instead).any(|place| {
            let other = &self.orders[place];
            if other.symbol != symbol || other.side == new.side || exempt(other.kind, other.class) {
                return false;
            }
            match (new.kind.limit_price(), other.kind.limit_price()) {
                (Some(one), Some(two)) if new.side == Side::Buy => one >= two,
                (Some(one), Some(two)) => two >= one,
                _ => true,
            }
        })
    }

    /// Orders that add to a position: shorts must be allowed, and somebody must pay.
    pub(super) fn check_opening(
        &self,
        new: &NewOrder,
        symbol: usize,
        instead: Option<usize>,
    ) -> Result<(), Refusal> {
        // An order that cannot be valued.
        let open = self.calendar.is_open(self.now) || instead.is_some();
        let hold = self.hold(symbol, new, open).ok_or(UNPROCESSABLE)?;
        let done = instead.map_or(Decimal::ZERO, |order| self.orders[order].filled);
        let cost = match new.amount {
            Amount::Qty(qty) => up(hold * (qty.get() - done)),
            Amount::Notional(notional) => {
                refuse_if(self.markets[symbol].offer().is_none(), UNPROCESSABLE)?;
                notional.get()
            }
        };
        let more = cost - instead.map_or(Decimal::ZERO, |order| self.orders[order].held());
        refuse_if(more > Decimal::ZERO && self.is_restricted(), FORBIDDEN)?;
        refuse_if(more * self.times(symbol) > self.buying_power(), FORBIDDEN)
    }

    /// Writes the order and its legs down.
    pub(super) fn put(&mut self, new: &NewOrder, opens: bool) -> usize {
        let symbol = self.symbol(new).expect("it was admitted");
        let place = self.orders.len();
        let open = self.calendar.is_open(self.now);
        let order = Order {
            client_id: new.client_order_id.clone().filter(|id| !id.is_empty()),
            symbol,
            side: new.side,
            qty: new.amount.qty().map(|qty| qty.get()),
            notional: new.amount.notional().map(|notional| notional.get()),
            kind: new.kind,
            time_in_force: new.time_in_force,
            extended: new.extended_hours,
            class: new.class,
            role: match new.class {
                Class::Simple => Role::Single,
                Class::Oco { .. } => Role::TakeProfit,
                _ => Role::Entry,
            },
            parent: None,
            legs: Vec::new(),
            state: OrderState::PendingNew,
            routed: false,
            begun: false,
            queued: false,
            filled: Decimal::ZERO,
            filled_cost: Decimal::ZERO,
            opens,
            hold: self.hold(symbol, new, open).unwrap_or_default(),
            reserve: match new.amount {
                Amount::Notional(_) if !opens => self.shares(new, symbol).expect("it was admitted"),
                _ => Decimal::ZERO,
            },
            work: work(new.kind),
            high_water: None,
            expires: self.end_of(new.time_in_force, new.extended_hours),
            replaced_by: None,
            replaces: None,
        };
        self.orders.push(order);
        if let Some(limit_price) = new.class.take_profit() {
            self.put_leg(place, Role::TakeProfit, OrderKind::Limit { limit_price });
        }
        if let Some(stop_loss) = new.class.stop_loss() {
            self.put_leg(place, Role::StopLoss, leg_kind(stop_loss));
        }
        place
    }

    fn put_leg(&mut self, parent: usize, role: Role, kind: OrderKind) {
        let mut leg = self.orders[parent].clone();
        let oco = matches!(leg.class, Class::Oco { .. });
        if !oco {
            leg.side = if leg.side == Side::Buy { Side::Sell } else { Side::Buy };
        }
        leg.client_id = None;
        (leg.role, leg.kind, leg.work) = (role, kind, work(kind));
        (leg.parent, leg.legs) = (Some(parent), Vec::new());
        (leg.state, leg.opens) = (OrderState::Held, false);
        let place = self.orders.len();
        self.orders.push(leg);
        self.orders[parent].legs.push(place);
    }

    /// A new order goes to work, or is queued without a word.
    pub(super) fn route(&mut self, place: usize) {
        if self.in_session(place) && self.goes_to_work(place) {
            self.say(EventKind::PendingNew, place);
        }
        self.begin(place);
    }

    /// An order on the open of the next session is queued even while this one is on.
    fn goes_to_work(&self, place: usize) -> bool {
        let _ = place;
        true
    }
}

/// A take-profit lies beyond its stop-loss.
pub(super) fn check_exits(long: bool, take_profit: Option<Decimal>, stop: Decimal) -> Result<(), Refusal> {
    let wrong = |profit: Decimal| if long { profit <= stop } else { profit >= stop };
    refuse_if(take_profit.is_some_and(wrong), UNPROCESSABLE)
}

/// A stop-loss keeps away from the base price: a thousandth and a cent.
pub(super) fn check_stop(long: bool, base: Decimal, stop: Decimal) -> Result<(), Refusal> {
    let (part, cent) = (Decimal::new(1001, 3), Decimal::new(1, 2));
    let near = if long {
        stop > base / part || stop > base - cent
    } else {
        stop < base * part || stop < base + cent
    };
    refuse_if(near, UNPROCESSABLE)
}

fn work(kind: OrderKind) -> Work {
    match kind {
        OrderKind::Market => Work::Market,
        OrderKind::Limit { limit_price } => Work::Limit(limit_price.get()),
        OrderKind::Stop { .. } | OrderKind::StopLimit { .. } | OrderKind::TrailingStop { .. } => Work::Waits,
    }
}

fn leg_kind(stop_loss: StopLoss) -> OrderKind {
    let stop_price = stop_loss.stop_price;
    match stop_loss.limit_price {
        Some(limit_price) => OrderKind::StopLimit { stop_price, limit_price },
        None => OrderKind::Stop { stop_price },
    }
}

fn exempt(kind: OrderKind, class: Class) -> bool {
    matches!(kind, OrderKind::TrailingStop { .. }) || class != Class::Simple
}

fn is_fractional(amount: Amount) -> bool {
    match amount {
        Amount::Qty(qty) => !qty.get().fract().is_zero(),
        Amount::Notional(_) => true,
    }
}

pub(super) fn check_qty(qty: Decimal) -> Result<(), Refusal> {
    refuse_if(qty <= Decimal::ZERO || qty > ABSURD || qty.normalize().scale() > 9, PARAMETER)
}

/// Numbers that cannot be meant.
pub(super) fn check_figures(new: &NewOrder) -> Result<(), Refusal> {
    match new.amount {
        Amount::Qty(qty) => check_qty(qty.get())?,
        Amount::Notional(notional) => {
            check_qty(notional.get())?;
            refuse_if(notional.get() < Decimal::ONE, FORBIDDEN)?;
        }
    }
    for price in [new.kind.stop_price(), new.kind.limit_price()].into_iter().flatten() {
        check_price(price.get())?;
    }
    match new.kind {
        OrderKind::TrailingStop { trail: Trail::Price(price) } => {
            refuse_if(price.get() <= Decimal::ZERO || price.get() > ABSURD, PARAMETER)?;
        }
        OrderKind::TrailingStop { trail: Trail::Percent(percent) } => {
            refuse_if(percent < Decimal::new(1, 1) || percent >= Decimal::ONE_HUNDRED, PARAMETER)?;
        }
        _ => {}
    }
    refuse_if(new.client_order_id.as_ref().is_some_and(|id| id.chars().count() > 128), PARAMETER)
}

/// Numbers of legs that cannot be meant.
fn check_leg_figures(new: &NewOrder) -> Result<(), Refusal> {
    let stop_loss = new.class.stop_loss();
    let stop = stop_loss.map(|stop| stop.stop_price);
    let limit = stop_loss.and_then(|stop| stop.limit_price);
    for price in [new.class.take_profit(), stop, limit].into_iter().flatten() {
        check_price(price.get())?;
    }
    Ok(())
}

fn check_price(price: Decimal) -> Result<(), Refusal> {
    refuse_if(price <= Decimal::ZERO || price > ABSURD, PARAMETER)?;
    refuse_if(!(price % tick(price)).is_zero(), UNPROCESSABLE)
}

/// Combinations that do not exist.
fn check_shape(new: &NewOrder) -> Result<(), Refusal> {
    let lasting = matches!(new.time_in_force, TimeInForce::Day | TimeInForce::Gtc);
    let auction = matches!(new.time_in_force, TimeInForce::Opg | TimeInForce::Cls);
    let simple = new.class == Class::Simple;
    let limit = matches!(new.kind, OrderKind::Limit { .. });
    let plain = limit || new.kind == OrderKind::Market;
    let trailing = matches!(new.kind, OrderKind::TrailingStop { .. });
    let fractional = is_fractional(new.amount);
    let wrong = (fractional && (new.time_in_force != TimeInForce::Day || !simple || trailing))
        || (new.extended_hours && !(limit && lasting && simple))
        || (!plain && !lasting)
        || (auction && !simple)
        || !(simple || lasting && plain)
        || (matches!(new.class, Class::Oco { .. }) && !limit);
    refuse_if(wrong, UNPROCESSABLE)
}
