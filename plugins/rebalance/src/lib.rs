//! Holds each symbol at its share of the equity: every few minutes it works out how many shares each should
//! have and trades the difference, sells before buys.
//!
//! ```text
//!            every N minutes: targets              nothing left to trade, or the close
//!   idle ────────────────────────────> trading ──────────────────────────────────────> idle
//!                                      │  each minute: a stale order is cancelled, the next one crosses
//!                                      └─ then, and at each fill and finished order: sells go out, buys once
//!                                         nothing is left to sell
//! ```
//!
//! An order rests on our side of the spread at first. One that has not filled in time is cancelled and sent
//! across; while the broker's rate limit makes it wait for its turn, its price follows the quote, up to a
//! worst one. What is refused, rejected or cancelled waits for the next minute; no symbol gets more than a
//! few orders per rebalance, those left out that the host was too busy to take. One event sends and cancels
//! no more than a few dozen: the next one goes on. The orders of one event are a plan: the host sends the
//! larger ones first.

mod parameters;

use std::time::Duration;

use sandpit_sdk::{
    Bar, Ctx, Description, EventKinds, Fill, Hours, Instrument, Level, OpenOrder, OrderId, OrderStatus,
    OrderUpdate, Parameters as _, Price, Qty, Quote, Refusal, Side, Strategy, Time, export,
};

pub use crate::parameters::Parameters;

/// Orders per symbol and rebalance.
const MAX_ORDERS: u8 = 4;

/// Orders and cancels one event may cause: well below what the host takes of one event.
const MAX_DEEDS: usize = 50;

/// How long an order may wait in the host's queue: many orders at once meet the broker's rate limit, and wait
/// their turn.
const TIME_TO_LIVE: Duration = Duration::from_secs(60);

/// The host's answer to a cancel that came too late.
const UNKNOWN_ORDER: &str = "unknown-order";

/// The host's answer to an order outside the session.
const SESSION_CLOSED: &str = "session-closed";

/// The host's answers that say nothing against the order, only that the host was busy: the try is given back.
const BUSY: [&str; 3] = ["order-rate", "open-orders", "late"];

const MINUTE: Duration = Duration::from_secs(60);

/// The strategy.
pub struct Rebalance {
    parameters: Parameters,
    slots: Vec<Slot>,
    /// Which stretch of `every_minutes` the last rebalance was in.
    last_stretch: Option<i64>,
    is_closed: bool,
}

export!(Rebalance);

/// One symbol.
struct Slot {
    weight: f64,
    close: Option<f64>,
    /// How many shares to hold, while a rebalance is under way.
    target: Option<Qty>,
    /// The newest order, and when it was sent.
    sent: Option<(OrderId, Time)>,
    orders_left: u8,
    /// Whether the next order crosses the spread.
    crosses: bool,
    /// Whether the last order failed: the next one waits for the next minute.
    waits: bool,
    /// What updates say is filled of the newest order, and what fills of it have come: while they differ,
    /// the position is behind and no order may be worked out from it.
    told: Qty,
    heard: Qty,
}

impl Slot {
    fn new(weight: f64) -> Self {
        Self {
            weight,
            close: None,
            target: None,
            sent: None,
            orders_left: 0,
            crosses: false,
            waits: false,
            told: Qty::ZERO,
            heard: Qty::ZERO,
        }
    }

    fn aim(&mut self, target: Qty, crosses: bool) {
        self.target = Some(target);
        self.orders_left = MAX_ORDERS;
        self.crosses = crosses;
        self.waits = false;
        self.told = self.heard;
    }

    fn is_newest(&self, id: OrderId) -> bool {
        self.sent.is_some_and(|(sent, _)| sent == id)
    }
}

impl Strategy for Rebalance {
    fn describe() -> Description {
        Description {
            name: "Rebalance",
            version: env!("CARGO_PKG_VERSION"),
            parameters_schema: Parameters::SCHEMA,
            instruments: &["SPY", "IBM", "AIG", "BAC"],
            // Quotes are wanted to price orders, not to act on.
            wants: EventKinds { bar: true, quote: true, ..EventKinds::NONE },
            warmup_bars: 0,
        }
    }

    fn init(parameters: &str, instruments: &[String]) -> Result<Self, String> {
        let parameters = Parameters::parse(parameters)?;
        let slots = parameters.weights_of(instruments)?.into_iter().map(Slot::new).collect();
        Ok(Self { parameters, slots, last_stretch: None, is_closed: false })
    }

    fn on_bar(&mut self, _ctx: &mut Ctx<'_>, bar: &Bar) {
        self.slots[bar.instrument.index()].close = Some(bar.close).filter(|close| *close > 0.0);
    }

    fn on_bars_complete(&mut self, ctx: &mut Ctx<'_>, start: Time) {
        if self.is_closed {
            return;
        }
        self.slots.iter_mut().for_each(|slot| slot.waits = false);
        let end = start + MINUTE;
        let stretch = end.nanos() / (i64::from(self.parameters.every_minutes) * MINUTE.as_nanos() as i64);
        if self.last_stretch.replace(stretch) != Some(stretch) {
            self.aim(ctx);
        }
        let cancels = self.cancel_stale(ctx);
        self.trade(ctx, MAX_DEEDS - cancels);
    }

    fn on_order_update(&mut self, ctx: &mut Ctx<'_>, update: &OrderUpdate) {
        let slot = &mut self.slots[update.instrument.index()];
        if slot.is_newest(update.id) {
            slot.told = slot.told.max(update.filled);
        }
        if self.is_closed {
            return;
        }
        slot.waits |= update.status.is_terminal() && update.status != OrderStatus::Filled;
        self.trade(ctx, MAX_DEEDS);
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, fill: &Fill) {
        let slot = &mut self.slots[fill.instrument.index()];
        if slot.is_newest(fill.id) {
            slot.heard += fill.quantity;
        }
        if !self.is_closed {
            self.trade(ctx, MAX_DEEDS);
        }
    }

    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, refusal: &Refusal) {
        if refusal.reason == UNKNOWN_ORDER {
            return;
        }
        let found = self.slots.iter().position(|slot| slot.is_newest(refusal.id));
        let Some(index) = found else { return };
        let slot = &mut self.slots[index];
        slot.waits = true;
        if BUSY.contains(&refusal.reason.as_str()) {
            slot.orders_left = MAX_ORDERS.min(slot.orders_left + 1);
        }
        ctx.signal(Instrument::all(self.slots.len()).nth(index), format!("refused: {}", refusal.reason));
        if refusal.reason == SESSION_CLOSED {
            self.close();
        }
    }

    fn on_session_open(&mut self, _ctx: &mut Ctx<'_>, _hours: Hours) {
        self.is_closed = false;
        self.last_stretch = None;
    }

    fn on_session_close(&mut self, ctx: &mut Ctx<'_>, _at: Time) {
        self.close();
        ctx.cancel_all();
    }
}

impl Rebalance {
    fn close(&mut self) {
        self.is_closed = true;
        self.slots.iter_mut().for_each(|slot| slot.target = None);
    }

    /// Works out how many shares each symbol should have. One without a price is left as it is.
    fn aim(&mut self, ctx: &mut Ctx<'_>) {
        let equity = ctx.account().equity;
        if !equity.is_positive() {
            ctx.log(Level::Warn, "no rebalance: the equity is not known");
            return;
        }
        let crosses = self.parameters.patience_minutes == 0;
        let mut sides = [0_usize; 2];
        for (instrument, slot) in Instrument::all(self.slots.len()).zip(&mut self.slots) {
            slot.target = None;
            let Some(price) = fair_price(ctx, instrument, slot.close) else { continue };
            let target = equity.scaled(slot.weight).shares_at(price);
            let gap = target - ctx.position(instrument).quantity;
            let allowed = target.to_f64() * self.parameters.drift;
            if gap.is_zero() || (!target.is_zero() && gap.abs().to_f64() < allowed) {
                continue;
            }
            slot.aim(target, crosses);
            sides[usize::from(gap.is_positive())] += 1;
        }
        let [sells, buys] = sides;
        ctx.signal(None, format!("rebalance of {equity} USD: {sells} to sell, {buys} to buy"));
    }

    /// Takes symbols a step nearer to their targets, at most `most` of them: sells first, buys once nothing
    /// is left to sell.
    fn trade(&mut self, ctx: &mut Ctx<'_>, most: usize) {
        let open = ctx.open_orders();
        let gaps = self.gaps(ctx, &open);
        let side = if self.is_selling(ctx, &open) { Side::Sell } else { Side::Buy };
        let mut left = most;
        for (instrument, gap) in gaps {
            if left == 0 {
                return;
            }
            if side == side_of(gap) {
                left -= usize::from(self.send(ctx, instrument, side, gap.abs()));
            }
        }
    }

    /// Whether a sell is open, or some symbol still has shares to sell.
    fn is_selling(&self, ctx: &Ctx<'_>, open: &[OpenOrder]) -> bool {
        let has_more = |(instrument, slot): (Instrument, &Slot)| {
            slot.target.is_some_and(|target| target < ctx.position(instrument).quantity)
        };
        open.iter().any(|order| order.side == Side::Sell)
            || Instrument::all(self.slots.len()).zip(&self.slots).any(has_more)
    }

    /// Cancels what has rested for too long, and what was sent in an earlier life: once a minute, until it is
    /// gone. Says how many it cancelled, at most [`MAX_DEEDS`].
    fn cancel_stale(&mut self, ctx: &mut Ctx<'_>) -> usize {
        let mut cancels = 0;
        let patience = Duration::from_secs(60 * u64::from(self.parameters.patience_minutes.max(1)));
        let now = ctx.now();
        for order in ctx.open_orders() {
            let slot = &mut self.slots[order.instrument.index()];
            let is_fresh = slot.sent.is_some_and(|(_, at)| now.since(at) < patience);
            if cancels < MAX_DEEDS && !(is_fresh && slot.is_newest(order.id)) {
                slot.crosses = true;
                ctx.cancel(order.id);
                cancels += 1;
            }
        }
        cancels
    }

    /// What is left to trade of the symbols that have no open order and need not wait.
    fn gaps(&mut self, ctx: &Ctx<'_>, open: &[OpenOrder]) -> Vec<(Instrument, Qty)> {
        let mut gaps = Vec::new();
        for (instrument, slot) in Instrument::all(self.slots.len()).zip(&mut self.slots) {
            let Some(target) = slot.target else { continue };
            let is_behind = slot.heard < slot.told;
            if slot.waits || is_behind || open.iter().any(|order| order.instrument == instrument) {
                continue;
            }
            let gap = target - ctx.position(instrument).quantity;
            if gap.is_zero() || slot.orders_left == 0 {
                slot.target = None;
            } else {
                gaps.push((instrument, gap));
            }
        }
        gaps
    }

    /// Sends an order, unless there is no price for it; whether it did.
    fn send(&mut self, ctx: &mut Ctx<'_>, instrument: Instrument, side: Side, quantity: Qty) -> bool {
        let slot = &mut self.slots[instrument.index()];
        let Some(price) = limit_price(ctx, instrument, slot, side) else { return false };
        slot.orders_left -= 1;
        (slot.told, slot.heard) = (Qty::ZERO, Qty::ZERO);
        let ticket = ctx.order(instrument, side, quantity).time_to_live(TIME_TO_LIVE).limit(price);
        let worst = worst_price(price, side, self.parameters.slippage);
        let ticket = if slot.crosses { ticket.reprice(worst) } else { ticket };
        slot.sent = Some((ticket.send(), ctx.now()));
        true
    }
}

/// The way that closes a gap.
fn side_of(gap: Qty) -> Side {
    if gap.is_positive() { Side::Buy } else { Side::Sell }
}

/// The middle of the quote, or else the last close.
fn fair_price(ctx: &Ctx<'_>, instrument: Instrument, close: Option<f64>) -> Option<Price> {
    let quote = ctx.last_quote(instrument).filter(Quote::is_two_sided);
    let price = quote.map(|quote| quote.mid()).or(close)?;
    Price::from_f64(price).filter(|price| price.is_positive())
}

/// Our side of the spread, or across it; the last close where there is no quote. On a tick.
fn limit_price(ctx: &Ctx<'_>, instrument: Instrument, slot: &Slot, side: Side) -> Option<Price> {
    let quote = ctx.last_quote(instrument).filter(Quote::is_two_sided);
    match (quote, slot.crosses) {
        (Some(quote), true) => quote.across(side),
        (Some(quote), false) => quote.beside(side),
        (None, crosses) => {
            let price = Price::from_f64(slot.close?)?;
            let price = if crosses { price.round_marketable(side) } else { price.round_passive(side) };
            Some(price).filter(|price| price.is_positive())
        }
    }
}

/// The worst price of an order that crosses, on a tick: no better than where it crosses now.
fn worst_price(price: Price, side: Side, slippage: f64) -> Price {
    let factor = match side {
        Side::Buy => 1.0 + slippage,
        Side::Sell => 1.0 - slippage,
    };
    let worst = Price::from_f64(price.to_f64() * factor).unwrap_or(price).round_passive(side);
    match side {
        Side::Buy => worst.max(price),
        Side::Sell => worst.min(price),
    }
}

#[cfg(test)]
mod tests;
