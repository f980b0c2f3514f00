//! Runs one strategy: dispatches events to its handlers and keeps what the SDK remembers of its orders.

use std::{collections::VecDeque, time::Duration};

use crate::{
    Bar, Ctx, Fill, Host, Hours, Instrument, Intent, News, OpenOrder, OrderId, OrderKind, OrderStatus,
    OrderUpdate, Qty, Quote, Refusal, Replace, Side, Strategy, StreamHealth, Submit, Time, Trade,
};

/// How long past its time to live an order counts as open though the host has said nothing of it, market
/// time.
///
/// The host answers every order with an update or a refusal, so silence means that it was not taken, as
/// during warm-up.
pub const UNHEARD_FOR: Duration = Duration::from_secs(120);

/// Orders remembered until the host answers; beyond it the oldest is forgotten.
const MAX_UNHEARD: usize = 1024;

/// Everything but bars in their turn, quotes and trades.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Every bar of the minute that starts at this time is in.
    BarsComplete(Time),
    /// An order changed.
    OrderUpdate(OrderUpdate),
    /// An order filled, wholly or in part.
    Fill(Fill),
    /// An order was not sent.
    Refusal(Refusal),
    /// A timer is due.
    Timer(u64),
    /// The regular session opens.
    SessionOpen(Hours),
    /// The regular session closes.
    SessionClose(Time),
    /// How market data arrives.
    StreamHealth(StreamHealth),
    /// A bar came late.
    LateBar(Bar),
    /// A bar delivered before has other figures.
    CorrectedBar(Bar),
    /// News.
    News(News),
}

/// One strategy and the ids of its orders: what the WASM glue and the native harness both drive.
pub struct Runner<S> {
    strategy: Option<S>,
    orders: Orders,
}

impl<S: Strategy> Runner<S> {
    /// A runner whose strategy is not started yet.
    #[allow(clippy::new_without_default, reason = "a const constructor is what the glue needs")]
    pub const fn new() -> Self {
        Self { strategy: None, orders: Orders { last_id: 0, unheard: VecDeque::new() } }
    }

    /// Starts the strategy.
    ///
    /// # Errors
    /// What the strategy says.
    pub fn init(&mut self, parameters: &str, instruments: &[String]) -> Result<(), String> {
        self.strategy = Some(S::init(parameters, instruments)?);
        Ok(())
    }

    /// Delivers a bar and returns what the strategy wants.
    ///
    /// # Panics
    /// Like every method but [`Runner::init`] and [`Runner::stop`]: before a successful `init`.
    pub fn on_bar(&mut self, host: &dyn Host, bar: &Bar) -> Vec<Intent> {
        self.deliver(host, |strategy, ctx| strategy.on_bar(ctx, bar))
    }

    /// Delivers a quote and returns what the strategy wants.
    pub fn on_quote(&mut self, host: &dyn Host, quote: &Quote) -> Vec<Intent> {
        self.deliver(host, |strategy, ctx| strategy.on_quote(ctx, quote))
    }

    /// Delivers a trade and returns what the strategy wants.
    pub fn on_trade(&mut self, host: &dyn Host, trade: &Trade) -> Vec<Intent> {
        self.deliver(host, |strategy, ctx| strategy.on_trade(ctx, trade))
    }

    /// Delivers any other event and returns what the strategy wants.
    pub fn on_event(&mut self, host: &dyn Host, event: &Event) -> Vec<Intent> {
        self.orders.on(event);
        self.deliver(host, |strategy, ctx| match event {
            Event::BarsComplete(start) => strategy.on_bars_complete(ctx, *start),
            Event::OrderUpdate(update) => strategy.on_order_update(ctx, update),
            Event::Fill(fill) => strategy.on_fill(ctx, fill),
            Event::Refusal(refusal) => strategy.on_refusal(ctx, refusal),
            Event::Timer(id) => strategy.on_timer(ctx, *id),
            Event::SessionOpen(hours) => strategy.on_session_open(ctx, *hours),
            Event::SessionClose(at) => strategy.on_session_close(ctx, *at),
            Event::StreamHealth(health) => strategy.on_stream_health(ctx, *health),
            Event::LateBar(bar) => strategy.on_late_bar(ctx, bar),
            Event::CorrectedBar(bar) => strategy.on_corrected_bar(ctx, bar),
            Event::News(news) => strategy.on_news(ctx, news),
        })
    }

    /// The state to carry over a restart.
    pub fn save(&mut self) -> Vec<u8> {
        self.started().save()
    }

    /// Gives saved state back.
    ///
    /// # Errors
    /// What the strategy says.
    pub fn load(&mut self, version: &str, state: &[u8]) -> Result<(), String> {
        self.started().load(version, state)
    }

    /// Tells the strategy that the host lets go of it; nothing if it never started.
    pub fn stop(&mut self, reason: &str) {
        if let Some(strategy) = &mut self.strategy {
            strategy.stop(reason);
        }
    }

    fn deliver(&mut self, host: &dyn Host, handle: impl FnOnce(&mut S, &mut Ctx<'_>)) -> Vec<Intent> {
        let strategy = self.strategy.as_mut().expect("the host calls `init` before it delivers");
        let mut ctx = Ctx::new(host, &mut self.orders);
        handle(strategy, &mut ctx);
        ctx.into_intents()
    }

    fn started(&mut self) -> &mut S {
        self.strategy.as_mut().expect("the host calls `init` first")
    }
}

/// The ids given out, and the orders sent that the host has not answered yet.
#[derive(Default)]
pub(crate) struct Orders {
    last_id: u64,
    unheard: VecDeque<Unheard>,
}

struct Unheard {
    order: OpenOrder,
    until: Time,
}

impl Orders {
    /// Ids count up from the microsecond of the event, so that a strategy that was restarted within a session
    /// does not repeat an id of its earlier life, and a replay gives the same ids again.
    pub(crate) fn next_id(&mut self, now: Time) -> OrderId {
        let microsecond = u64::try_from(now.nanos() / 1_000).unwrap_or(0);
        self.last_id = microsecond.max(self.last_id + 1);
        OrderId(self.last_id)
    }

    /// Remembers an order and its legs as open until the host answers.
    pub(crate) fn sent(&mut self, submit: &Submit, now: Time) {
        let Submit { id, instrument, side, kind, class, .. } = *submit;
        let quantity = submit.shares().unwrap_or(Qty::ZERO);
        let order = pending(id, instrument, side, quantity, kind);
        let side = class.side_of_legs(side);
        let leg = |(leg, kind)| {
            let (leg, status) = (Some(leg), OrderStatus::Held);
            OpenOrder { leg, status, ..pending(id, instrument, side, quantity, kind) }
        };
        let until = now + submit.time_to_live + UNHEARD_FOR;
        std::iter::once(order).chain(class.legs().map(leg)).for_each(|order| self.remember(order, until));
    }

    /// Remembers the order that is to take the place of another one.
    pub(crate) fn replacing(&mut self, host: &dyn Host, replace: &Replace) {
        let is_old = |order: &OpenOrder| order.id == replace.id && order.leg.is_none();
        let Some(old) = self.open(host).into_iter().find(is_old) else { return };
        let (id, status) = (replace.new_id, OrderStatus::Pending);
        let (quantity, kind) = (replace.quantity.unwrap_or(old.quantity), replace.changed(old.kind));
        self.remember(
            OpenOrder { id, quantity, kind, status, ..old },
            host.now() + replace.time_to_live + UNHEARD_FOR,
        );
    }

    /// Remembers the order that is to close a position.
    pub(crate) fn closing(&mut self, host: &dyn Host, id: OrderId, instrument: Instrument) {
        let held = host.position(instrument).quantity;
        let side = if held.is_positive() { Side::Sell } else { Side::Buy };
        let order = pending(id, instrument, side, held.abs(), OrderKind::Market);
        self.remember(order, host.now() + UNHEARD_FOR);
    }

    fn remember(&mut self, order: OpenOrder, until: Time) {
        if self.unheard.len() == MAX_UNHEARD {
            self.unheard.pop_front();
        }
        self.unheard.push_back(Unheard { order, until });
    }

    /// The host's list, and behind it what it has not answered yet.
    pub(crate) fn open(&self, host: &dyn Host) -> Vec<OpenOrder> {
        let now = host.now();
        let mut open = host.open_orders();
        for Unheard { order, until } in &self.unheard {
            let is_known = |known: &OpenOrder| (known.id, known.leg) == (order.id, order.leg);
            if now < *until && !open.iter().any(is_known) {
                open.push(*order);
            }
        }
        open
    }

    /// Any word of the host on an order: from here on its own list tells.
    fn on(&mut self, event: &Event) {
        let id = match event {
            Event::OrderUpdate(update) => update.id,
            Event::Fill(fill) => fill.id,
            Event::Refusal(refusal) => refusal.id,
            Event::BarsComplete(_)
            | Event::Timer(_)
            | Event::SessionOpen(_)
            | Event::SessionClose(_)
            | Event::StreamHealth(_)
            | Event::LateBar(_)
            | Event::CorrectedBar(_)
            | Event::News(_) => return,
        };
        self.unheard.retain(|unheard| unheard.order.id != id);
    }
}

fn pending(id: OrderId, instrument: Instrument, side: Side, quantity: Qty, kind: OrderKind) -> OpenOrder {
    let (leg, filled, status) = (None, Qty::ZERO, OrderStatus::Pending);
    OpenOrder { id, leg, instrument, side, quantity, filled, kind, status }
}
