//! Follows the trend, long only: buys when a fast moving average of the closes crosses above a slow one,
//! sells when it is below again. One position and at most one open order per symbol.
//!
//! Orders are limits across the spread, or market orders where there is no quote. One that is still open at
//! the next bar is cancelled. An entry that does not come about is tried again at the next bars, a few times;
//! an exit for ever.

mod parameters;

use std::time::Duration;

use sandpit_sdk::{
    Bar, Ctx, Description, EventKinds, Fill, Hours, Instrument, OrderId, OrderStatus, OrderUpdate,
    Parameters as _, Price, Qty, Refusal, Session, Side, Strategy, Time, Usd, export, indicators::Sma,
};

pub use crate::parameters::Parameters;

/// How often an entry is tried before the cross counts as missed.
const MAX_ENTRY_TRIES: u8 = 3;

/// An order that waits longer than this in the host's queue is of no use: the next bar decides anew.
const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// The host's answer to a cancel that came too late.
const UNKNOWN_ORDER: &str = "unknown-order";

/// Warms the averages up whatever the parameters: they are not known yet when it is asked.
const WARMUP_BARS: u32 = parameters::MAX_BARS as u32;

/// The strategy.
pub struct SmaCross {
    parameters: Parameters,
    session: Session,
    symbols: Vec<Symbol>,
}

export!(SmaCross);

/// One symbol's averages, and the entry that is due.
struct Symbol {
    fast: Sma,
    slow: Sma,
    /// Whether the fast average was above the slow one at the last bar.
    was_above: Option<bool>,
    /// Tries left of an entry whose cross has come and whose position has not.
    tries: u8,
}

/// What the averages say at a bar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trend {
    Unknown,
    Above,
    Below,
}

impl Symbol {
    fn new(parameters: &Parameters) -> Self {
        let (fast, slow) = (Sma::new(parameters.fast), Sma::new(parameters.slow));
        Self { fast, slow, was_above: None, tries: 0 }
    }

    /// Takes the next close. A cross upwards makes an entry due, a cross downwards takes it back.
    fn on_close(&mut self, close: f64) -> Trend {
        let (Some(fast), Some(slow)) = (self.fast.push(close), self.slow.push(close)) else {
            return Trend::Unknown;
        };
        let is_above = fast > slow;
        match (self.was_above.replace(is_above), is_above) {
            (Some(false), true) => self.tries = MAX_ENTRY_TRIES,
            (_, false) => self.tries = 0,
            (None | Some(true), true) => {}
        }
        if is_above { Trend::Above } else { Trend::Below }
    }
}

impl Strategy for SmaCross {
    fn describe() -> Description {
        Description {
            name: "SMA cross",
            version: env!("CARGO_PKG_VERSION"),
            parameters_schema: Parameters::SCHEMA,
            instruments: &["SPY"],
            // Quotes are wanted to price orders, not to act on.
            wants: EventKinds { bar: true, quote: true, ..EventKinds::NONE },
            warmup_bars: WARMUP_BARS,
        }
    }

    fn init(parameters: &str, instruments: &[String]) -> Result<Self, String> {
        let parameters = Parameters::parse(parameters)?;
        let symbols = instruments.iter().map(|_| Symbol::new(&parameters)).collect();
        Ok(Self { parameters, session: Session::default(), symbols })
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        let trend = self.symbols[bar.instrument.index()].on_close(bar.close);
        let mut open = ctx.open_orders();
        open.retain(|order| order.instrument == bar.instrument);
        if !open.is_empty() {
            open.iter().for_each(|order| ctx.cancel(order.id));
            return;
        }
        if self.session.is_closed() {
            return;
        }
        let held = ctx.position(bar.instrument).quantity;
        let is_late = self.is_late(ctx.now());
        if held.is_positive() && (trend == Trend::Below || is_late) {
            self.exit(ctx, bar, held);
        } else if held.is_zero() && trend == Trend::Above && !is_late {
            self.enter(ctx, bar);
        }
    }

    fn on_order_update(&mut self, ctx: &mut Ctx<'_>, update: &OrderUpdate) {
        if update.status == OrderStatus::Rejected {
            ctx.signal(update.instrument, "the broker rejected the order; the next bar decides anew");
        }
    }

    fn on_fill(&mut self, _ctx: &mut Ctx<'_>, fill: &Fill) {
        if fill.side == Side::Buy {
            self.symbols[fill.instrument.index()].tries = 0;
        }
    }

    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, refusal: &Refusal) {
        if refusal.reason == UNKNOWN_ORDER {
            return;
        }
        let OrderId(id) = refusal.id;
        ctx.signal(None, format!("order {id} refused: {}; the next bar decides anew", refusal.reason));
        self.session.on_refusal(refusal);
    }

    fn on_session_open(&mut self, _ctx: &mut Ctx<'_>, hours: Hours) {
        self.session.open(hours);
    }

    fn on_session_close(&mut self, _ctx: &mut Ctx<'_>, _at: Time) {
        self.session.close();
    }
}

impl SmaCross {
    /// Whether it is so late in the session that positions are only sold.
    fn is_late(&self, now: Time) -> bool {
        self.parameters
            .flatten_before_close_minutes
            .is_some_and(|minutes| self.session.closes_within(now, minutes))
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        let symbol = &mut self.symbols[bar.instrument.index()];
        let Some(tries) = symbol.tries.checked_sub(1) else { return };
        symbol.tries = tries;
        let limit = marketable(ctx, bar.instrument, Side::Buy);
        let Some(price) = limit.or_else(|| Price::from_f64(bar.close)) else { return };
        let quantity = self.budget(ctx).shares_at(price);
        if quantity.is_zero() {
            ctx.signal(bar.instrument, format!("crossed up, but the budget buys no share at {price}"));
            return;
        }
        ctx.signal(bar.instrument, format!("crossed up: buying {quantity} at {price}"));
        send(ctx, bar.instrument, Side::Buy, quantity, limit);
    }

    fn exit(&self, ctx: &mut Ctx<'_>, bar: &Bar, held: Qty) {
        ctx.signal(bar.instrument, format!("below, or late in the session: selling {held}"));
        let limit = marketable(ctx, bar.instrument, Side::Sell);
        send(ctx, bar.instrument, Side::Sell, held, limit);
    }

    fn budget(&self, ctx: &Ctx<'_>) -> Usd {
        match self.parameters.usd.and_then(Usd::from_f64) {
            Some(usd) => usd,
            None => ctx.account().equity.scaled(self.parameters.fraction),
        }
    }
}

fn send(ctx: &mut Ctx<'_>, instrument: Instrument, side: Side, quantity: Qty, limit: Option<Price>) {
    let ticket = ctx.order(instrument, side, quantity).time_to_live(TIME_TO_LIVE);
    match limit {
        Some(price) => ticket.limit(price).send(),
        None => ticket.send(),
    };
}

/// The price across the spread, on a tick; `None` without a quote of both sides.
fn marketable(ctx: &Ctx<'_>, instrument: Instrument, side: Side) -> Option<Price> {
    ctx.last_quote(instrument)?.across(side)
}

#[cfg(test)]
mod tests;
