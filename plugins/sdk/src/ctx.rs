//! What a strategy holds while it handles an event.

use std::time::Duration;

use crate::{
    Account, Bars, Host, Instrument, Intent, Level, OpenOrder, OrderId, OrderKind, Position, Price, Qty,
    Quote, Side, Submit, Time, TimeInForce, runner::Orders,
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

    /// Whether an order of this strategy for this symbol may still fill, one just sent included.
    pub fn has_open_order(&self, of: Instrument) -> bool {
        self.open_orders().iter().any(|order| order.instrument == of)
    }

    /// Equity and buying power.
    pub fn account(&self) -> Account {
        self.host.account()
    }

    /// The newest quote, if there was one.
    pub fn last_quote(&self, of: Instrument) -> Option<Quote> {
        self.host.last_quote(of)
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

    /// Starts an order to buy that many shares, at the market until told otherwise.
    pub fn buy(&mut self, instrument: Instrument, quantity: Qty) -> OrderTicket<'_, 'a> {
        self.order(instrument, Side::Buy, quantity)
    }

    /// Starts an order to sell that many shares, at the market until told otherwise.
    pub fn sell(&mut self, instrument: Instrument, quantity: Qty) -> OrderTicket<'_, 'a> {
        self.order(instrument, Side::Sell, quantity)
    }

    /// Starts an order for that many shares, a day order at the market until told otherwise.
    pub fn order(&mut self, instrument: Instrument, side: Side, quantity: Qty) -> OrderTicket<'_, 'a> {
        let submit = Submit {
            id: OrderId(0),
            instrument,
            side,
            quantity,
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            time_to_live: Duration::ZERO,
        };
        OrderTicket { ctx: self, submit }
    }

    /// Wants one order of this strategy cancelled. It may still fill until an update says otherwise.
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
    /// At this price or better; it must be a whole number of ticks ([`Price::round_passive`]).
    pub fn limit(mut self, price: Price) -> Self {
        self.submit.kind = OrderKind::Limit(price);
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

    /// How long it may wait in the host's queue, market time, down to milliseconds; the host's default if not
    /// said.
    pub fn time_to_live(mut self, span: Duration) -> Self {
        self.submit.time_to_live = span;
        self
    }

    /// Sends it and tells its id, which no other order of this strategy has.
    pub fn send(mut self) -> OrderId {
        let now = self.ctx.host.now();
        self.submit.id = self.ctx.orders.next_id(now);
        self.ctx.orders.sent(&self.submit, now);
        self.ctx.intents.push(Intent::Submit(self.submit));
        self.submit.id
    }
}
