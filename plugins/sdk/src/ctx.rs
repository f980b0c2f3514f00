//! What a strategy holds while it handles an event.

use std::time::Duration;

use crate::{
    Account, Amount, Bars, Host, Instrument, Intent, Level, OpenOrder, OrderClass, OrderId, OrderKind,
    Position, Price, Qty, Quote, Replace, Side, StopLoss, Submit, Time, TimeInForce, Trail, runner::Orders,
};

/// What a strategy sees and wants while it handles one event.
///
/// Reads are folded from the events delivered so far: what is wanted now shows up in [`Ctx::position`] once
/// its fill was delivered. Orders are the exception: [`Ctx::open_orders`] lists an order from
/// [`OrderTicket::send`] on.
pub struct Ctx<'a> {
    host: &'a dyn Host,
    orders: &'a mut Orders,
    intents: Vec<Intent>,
}

impl<'a> Ctx<'a> {
    pub(crate) fn new(host: &'a dyn Host, orders: &'a mut Orders) -> Self {
        Self { host, orders, intents: Vec::new() }
    }

    pub(crate) fn into_intents(self) -> Vec<Intent> {
        self.intents
    }

    /// Market time of the event being handled.
    pub fn now(&self) -> Time {
        self.host.now()
    }

    /// This strategy's own position.
    pub fn position(&self, of: Instrument) -> Position {
        self.host.position(of)
    }

    /// This strategy's orders that may still fill, those just sent included.
    pub fn open_orders(&self) -> Vec<OpenOrder> {
        self.orders.open(self.host)
    }

    /// This strategy's orders for this symbol that may still fill, those just sent included.
    pub fn open_orders_of(&self, of: Instrument) -> Vec<OpenOrder> {
        let mut open = self.open_orders();
        open.retain(|order| order.instrument == of);
        open
    }

    /// Whether an order of this strategy for this symbol may still fill, one just sent included.
    pub fn has_open_order(&self, of: Instrument) -> bool {
        !self.open_orders_of(of).is_empty()
    }

    /// Equity and buying power.
    pub fn account(&self) -> Account {
        self.host.account()
    }

    /// The newest quote, if there was one.
    pub fn last_quote(&self, of: Instrument) -> Option<Quote> {
        self.host.last_quote(of)
    }

    /// The newest quote, if it has both sides and is no older than that.
    pub fn fresh_quote(&self, of: Instrument, max_age: Duration) -> Option<Quote> {
        let is_fresh = |quote: &Quote| quote.is_two_sided() && self.now().since(quote.time) <= max_age;
        self.last_quote(of).filter(is_fresh)
    }

    /// The last complete one-minute bars, at most `count`, at most 1,000.
    pub fn history(&self, of: Instrument, count: u32) -> Bars {
        self.host.history(of, count)
    }

    /// A seeded random number, the same again in a replay.
    pub fn random(&self) -> u64 {
        self.host.random()
    }

    /// A line in the host's log, cut at 1 KiB.
    pub fn log(&self, level: Level, message: &str) {
        self.host.log(level, message);
    }

    /// Starts an order to buy that much, [`Qty`] or [`crate::Usd`], at the market until told otherwise.
    pub fn buy(&mut self, instrument: Instrument, amount: impl Into<Amount>) -> OrderTicket<'_, 'a> {
        self.order(instrument, Side::Buy, amount)
    }

    /// Starts an order to sell that much, [`Qty`] or [`crate::Usd`], at the market until told otherwise.
    pub fn sell(&mut self, instrument: Instrument, amount: impl Into<Amount>) -> OrderTicket<'_, 'a> {
        self.order(instrument, Side::Sell, amount)
    }

    /// Starts an order for that much, a day order at the market until told otherwise.
    ///
    /// The orders of one event are a plan. While the host may not send them all at once, those that reduce a
    /// position leave first, then the others by value, larger first.
    pub fn order(
        &mut self,
        instrument: Instrument,
        side: Side,
        amount: impl Into<Amount>,
    ) -> OrderTicket<'_, 'a> {
        let submit = Submit {
            id: OrderId(0),
            instrument,
            side,
            amount: amount.into(),
            kind: OrderKind::Market,
            class: OrderClass::Simple,
            reprice: None,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            time_to_live: Duration::ZERO,
        };
        OrderTicket { ctx: self, submit }
    }

    /// Starts an order that takes the place of a working one.
    ///
    /// The old one may still fill until an update calls it [`crate::OrderStatus::Replaced`]; a refusal bears
    /// the new id and leaves the old one alone. The legs of a replaced order go on under its old id. Legs
    /// cannot be replaced, nor the quantity of an order with legs or with a fraction of a share.
    pub fn replace(&mut self, id: OrderId) -> ReplaceTicket<'_, 'a> {
        let time_to_live = Duration::ZERO;
        let replace =
            Replace { id, new_id: OrderId(0), quantity: None, limit: None, stop: None, time_to_live };
        ReplaceTicket { ctx: self, replace }
    }

    /// Leaves a symbol: the host cancels this strategy's orders in it, waits until they are over, and sells
    /// or buys back at the market what is held then. Tells the id of the order that leaves, which is
    /// refused as `no-position` when there is nothing to close. It is forgotten when the host starts
    /// again meanwhile.
    pub fn close_position(&mut self, instrument: Instrument) -> OrderId {
        let id = self.next_id();
        self.orders.closing(self.host, id, instrument);
        self.intents.push(Intent::ClosePosition { id, instrument });
        id
    }

    /// Wants one order of this strategy cancelled, and its legs; when it is over, its legs alone. It may
    /// still fill until an update says otherwise.
    pub fn cancel(&mut self, id: OrderId) {
        self.intents.push(Intent::Cancel(id));
    }

    /// Wants all orders of this strategy cancelled.
    pub fn cancel_all(&mut self) {
        self.intents.push(Intent::CancelAll);
    }

    /// Wants [`crate::Strategy::on_timer`] called at that time; setting the same id again moves the timer.
    pub fn set_timer(&mut self, id: u64, at: Time) {
        self.intents.push(Intent::SetTimer { id, at });
    }

    /// Forgets a timer.
    pub fn cancel_timer(&mut self, id: u64) {
        self.intents.push(Intent::CancelTimer(id));
    }

    fn next_id(&mut self) -> OrderId {
        self.orders.next_id(self.host.now())
    }

    /// Records a decision and its reason, for post-mortems; cut at 1 KiB.
    pub fn signal(&mut self, instrument: impl Into<Option<Instrument>>, reason: impl Into<String>) {
        self.intents.push(Intent::Signal { instrument: instrument.into(), reason: reason.into() });
    }
}

/// An order being written; [`OrderTicket::send`] sends it.
#[must_use = "nothing is sent until `send` is called"]
pub struct OrderTicket<'c, 'a> {
    ctx: &'c mut Ctx<'a>,
    submit: Submit,
}

impl OrderTicket<'_, '_> {
    /// At this price or better; it must be a whole number of ticks ([`Price::round_passive`]). After
    /// [`OrderTicket::stop`] it makes a stop-limit order.
    pub fn limit(mut self, price: Price) -> Self {
        self.submit.kind = match self.submit.kind {
            OrderKind::Stop(stop) | OrderKind::StopLimit { stop, .. } => {
                OrderKind::StopLimit { stop, limit: price }
            }
            OrderKind::Market | OrderKind::Limit(_) | OrderKind::TrailingStop(_) => OrderKind::Limit(price),
        };
        self
    }

    /// Sleeps until a trade is at this price or beyond, a whole number of ticks. With [`OrderTicket::limit`]
    /// it makes a stop-limit order.
    pub fn stop(mut self, price: Price) -> Self {
        self.submit.kind = match self.submit.kind {
            OrderKind::Limit(limit) | OrderKind::StopLimit { limit, .. } => {
                OrderKind::StopLimit { stop: price, limit }
            }
            OrderKind::Market | OrderKind::Stop(_) | OrderKind::TrailingStop(_) => OrderKind::Stop(price),
        };
        self
    }

    /// Sleeps until the price has turned back from its best by this [`Price`] or [`crate::Percent`].
    pub fn trailing_stop(mut self, trail: impl Into<Trail>) -> Self {
        self.submit.kind = OrderKind::TrailingStop(trail.into());
        self
    }

    /// Once it has filled wholly, two exits of which one cancels the other: at a limit price, and at a stop.
    pub fn bracket(self, take_profit: Price, stop_loss: impl Into<StopLoss>) -> Self {
        self.class(OrderClass::Bracket { take_profit, stop_loss: stop_loss.into() })
    }

    /// It is an exit, a limit order, and here is another one: one cancels the other.
    pub fn oco(self, stop_loss: impl Into<StopLoss>) -> Self {
        self.class(OrderClass::Oco(stop_loss.into()))
    }

    /// Once it has filled wholly, an exit at this limit price.
    pub fn oto_take_profit(self, price: Price) -> Self {
        self.class(OrderClass::OtoTakeProfit(price))
    }

    /// Once it has filled wholly, an exit that limits the loss.
    pub fn oto_stop_loss(self, stop_loss: impl Into<StopLoss>) -> Self {
        self.class(OrderClass::OtoStopLoss(stop_loss.into()))
    }

    fn class(mut self, class: OrderClass) -> Self {
        self.submit.class = class;
        self
    }

    /// For a limit order: if it has to wait in the host's queue, its limit is the far side of the quote of
    /// the moment when it leaves, but never worse than this price, a whole number of ticks.
    pub fn reprice(mut self, worst: Price) -> Self {
        self.submit.reprice = Some(worst);
        self
    }

    /// How long it stays at the broker; a day order if not said.
    pub fn time_in_force(mut self, time_in_force: TimeInForce) -> Self {
        self.submit.time_in_force = time_in_force;
        self
    }

    /// It may fill outside the regular session.
    pub fn extended_hours(mut self) -> Self {
        self.submit.extended_hours = true;
        self
    }

    /// How long it may wait in the host's queue, market time, down to milliseconds, before it is refused as
    /// `late`; the host's default if not said.
    pub fn time_to_live(mut self, span: Duration) -> Self {
        self.submit.time_to_live = span;
        self
    }

    /// Sends it and tells its id, which no other order of this strategy has.
    pub fn send(mut self) -> OrderId {
        self.submit.id = self.ctx.next_id();
        self.ctx.orders.sent(&self.submit, self.ctx.host.now());
        self.ctx.intents.push(Intent::Submit(self.submit));
        self.submit.id
    }
}

/// A replacement being written; [`ReplaceTicket::send`] sends it.
#[must_use = "nothing is sent until `send` is called"]
pub struct ReplaceTicket<'c, 'a> {
    ctx: &'c mut Ctx<'a>,
    replace: Replace,
}

impl ReplaceTicket<'_, '_> {
    /// Another quantity: shares in all, those already filled included.
    pub fn quantity(mut self, shares: Qty) -> Self {
        self.replace.quantity = Some(shares);
        self
    }

    /// Another limit price, for kinds that have one; a whole number of ticks.
    pub fn limit(mut self, price: Price) -> Self {
        self.replace.limit = Some(price);
        self
    }

    /// Another stop price, for kinds that have one; a whole number of ticks.
    pub fn stop(mut self, price: Price) -> Self {
        self.replace.stop = Some(price);
        self
    }

    /// How long it may wait in the host's queue: see [`OrderTicket::time_to_live`].
    pub fn time_to_live(mut self, span: Duration) -> Self {
        self.replace.time_to_live = span;
        self
    }

    /// Sends it and tells the id of the order that takes the other one's place.
    pub fn send(mut self) -> OrderId {
        self.replace.new_id = self.ctx.next_id();
        self.ctx.orders.replacing(self.ctx.host, &self.replace);
        self.ctx.intents.push(Intent::Replace(self.replace));
        self.replace.new_id
    }
}
