//! Mean reversion with a stop, long only: buys what has fallen some standard deviations below its mean,
//! leaves when it is back, when it has waited for too long, or at the stop. The README has the reasons.
//!
//! ```text
//!         z <= -entry_z                filled                        z >= -exit_z, too long, late
//!   flat ──────────────> entering ───────────────> holding ──────────────────────────────────────> leaving
//!    ^                      │                        │ the stop                                      │
//!    └──────────────────────┴────────────────────────┴───────────────────────────────────────────────┘
//!         not filled in time
//! ```
//!
//! None of these states is a variable: each is read off the position and the open orders, so that a restart
//! finds them again. An entry brings its stop along (OTO), which the broker watches over while no host runs.
//! When an entry fills in part only, its rest is cancelled and what was bought gets a stop of its own.
//!
//! Position and orders are told one after the other. So a fill and an update only set a timer, and whatever
//! is decided is decided at a bar or at that timer, when both have been heard.

mod parameters;
mod symbol;

use std::{collections::BTreeMap, time::Duration};

use sandpit_sdk::{
    Bar, Ctx, Description, EventKinds, Fill, Hours, Instrument, OpenOrder, OrderId, OrderStatus, OrderUpdate,
    Parameters as _, Qty, Refusal, Session, Side, Strategy, StreamHealth, Time, TimeInForce, export,
};

pub use crate::parameters::Parameters;
use crate::symbol::{Guarded, Kept, Symbol};

/// How long an entry may take, on its way and at the broker, before it is called back.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an entry may wait in the host's queue.
const TIME_TO_LIVE: Duration = Duration::from_secs(5);

/// How long after a fill or an update both have been told.
const SETTLE: Duration = Duration::from_millis(100);

/// How often what is held is looked at, bars or none; an exit that was refused is tried again then.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// An older quote is no price to enter at.
const MAX_QUOTE_AGE: Duration = Duration::from_secs(15);

/// The host's answers to a cancel that came too late, and to leaving what is gone.
const HARMLESS: [&str; 2] = ["unknown-order", "no-position"];

/// The strategy.
pub struct MeanReversion {
    parameters: Parameters,
    names: Vec<String>,
    session: Session,
    /// Whether prices arrive as they happen.
    is_live: bool,
    symbols: Vec<Symbol>,
}

export!(MeanReversion);

impl Strategy for MeanReversion {
    fn describe() -> Description {
        Description {
            name: "Mean reversion",
            version: env!("CARGO_PKG_VERSION"),
            parameters_schema: Parameters::SCHEMA,
            instruments: &["SPY"],
            // Quotes are wanted to price orders, not to act on.
            wants: EventKinds { bar: true, quote: true, ..EventKinds::NONE },
            warmup_bars: parameters::MAX_BARS,
        }
    }

    fn init(parameters: &str, instruments: &[String]) -> Result<Self, String> {
        let parameters = Parameters::parse(parameters)?;
        let symbols = instruments.iter().map(|_| Symbol::new(&parameters)).collect();
        let (names, session) = (instruments.to_vec(), Session::default());
        Ok(Self { parameters, names, session, is_live: true, symbols })
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        self.symbols[bar.instrument.index()].on_close(bar.close, &self.parameters);
        self.tend(ctx, bar.instrument);
        self.consider_entry(ctx, bar.instrument);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, id: u64) {
        if let Some(of) = Instrument::all(self.symbols.len()).find(|of| u64::from(of.0) == id) {
            self.tend(ctx, of);
        }
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, fill: &Fill) {
        wake(ctx, fill.instrument, ctx.now() + SETTLE);
    }

    fn on_order_update(&mut self, ctx: &mut Ctx<'_>, update: &OrderUpdate) {
        let symbol = &mut self.symbols[update.instrument.index()];
        if update.status == OrderStatus::Rejected {
            symbol.must_leave |= symbol.guard == Some(update.id) || update.leg.is_some();
            ctx.signal(update.instrument, "the broker rejected the order");
        }
        wake(ctx, update.instrument, ctx.now() + SETTLE);
    }

    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, refusal: &Refusal) {
        if HARMLESS.contains(&refusal.reason.as_str()) {
            return;
        }
        self.session.on_refusal(refusal);
        let OrderId(id) = refusal.id;
        ctx.signal(None, format!("order {id} refused: {}", refusal.reason));
        let found = self.symbols.iter_mut().position(|symbol| symbol.guard == Some(refusal.id));
        let Some(of) = found.and_then(|at| Instrument::all(self.symbols.len()).nth(at)) else { return };
        self.symbols[of.index()].must_leave = true;
        wake(ctx, of, ctx.now() + SETTLE);
    }

    fn on_session_open(&mut self, ctx: &mut Ctx<'_>, hours: Hours) {
        self.session.open(hours);
        for (of, symbol) in Instrument::all(self.symbols.len()).zip(&mut self.symbols) {
            let bars = ctx.history(of, parameters::MAX_BARS);
            let closes = bars.start.iter().zip(&bars.close).filter(|(start, _)| **start >= hours.open);
            symbol.restart_window(closes.map(|(_, close)| *close), &self.parameters);
        }
    }

    fn on_session_close(&mut self, ctx: &mut Ctx<'_>, _at: Time) {
        self.session.close();
        // Stops stay: they guard what a session that ended early has left over.
        let entries = ctx.open_orders().into_iter().filter(is_entry);
        entries.for_each(|order| ctx.cancel(order.id));
    }

    fn on_stream_health(&mut self, _ctx: &mut Ctx<'_>, health: StreamHealth) {
        self.is_live = health == StreamHealth::Live;
    }

    fn save(&self) -> Vec<u8> {
        let rows: BTreeMap<&str, Kept> = self
            .names
            .iter()
            .zip(&self.symbols)
            .filter(|(_, symbol)| symbol.kept != Kept::default())
            .map(|(name, symbol)| (name.as_str(), symbol.kept))
            .collect();
        serde_json::to_vec(&rows).expect("text and numbers are JSON")
    }

    fn load(&mut self, _version: &str, state: &[u8]) -> Result<(), String> {
        if state.is_empty() {
            return Ok(());
        }
        let rows: BTreeMap<String, Kept> =
            serde_json::from_slice(state).map_err(|error| format!("saved stops: {error}"))?;
        for (name, symbol) in self.names.iter().zip(&mut self.symbols) {
            symbol.kept = rows.get(name).copied().unwrap_or_default();
        }
        Ok(())
    }
}

impl MeanReversion {
    /// Sees to a symbol's orders and position: calls entries back, leaves when it is time, keeps the stop.
    fn tend(&mut self, ctx: &mut Ctx<'_>, of: Instrument) {
        let open = ctx.open_orders_of(of);
        let held = ctx.position(of).quantity;
        if self.session.is_closed() || open.iter().any(is_leaving) {
            return;
        }
        if !held.is_zero() {
            // Bars may fail to come; what is held is looked after all the same.
            wake(ctx, of, ctx.now() + LOOK_EVERY);
        }
        if let Some(entry) = open.iter().find(|order| is_entry(order)) {
            return self.call_back(ctx, of, entry.id);
        }
        if held.is_zero() {
            open.iter().for_each(|order| ctx.cancel(order.id));
            self.symbols[of.index()].forget_position();
        } else if let Some(reason) = self.reason_to_leave(ctx, of, held) {
            ctx.signal(of, format!("leaving {held}: {reason}"));
            ctx.close_position(of);
        } else {
            self.guard(ctx, of, held, &open);
        }
    }

    /// Cancels an entry that has had its time, and one of an earlier life.
    fn call_back(&self, ctx: &mut Ctx<'_>, of: Instrument, id: OrderId) {
        match self.symbols[of.index()].entry {
            Some((entry, until)) if entry == id && ctx.now() < until => wake(ctx, of, until),
            Some(_) | None => ctx.cancel(id),
        }
    }

    fn reason_to_leave(&mut self, ctx: &Ctx<'_>, of: Instrument, held: Qty) -> Option<&'static str> {
        let now = ctx.now();
        let longest = Duration::from_secs(60 * u64::from(self.parameters.max_hold_minutes));
        let symbol = &mut self.symbols[of.index()];
        if !held.is_positive() {
            return Some("short, which it never means to be");
        }
        if symbol.must_leave {
            return Some("its stop was not taken");
        }
        if self.session.closes_within(now, self.parameters.flatten_before_close_minutes) {
            return Some("late in the session");
        }
        if symbol.held_for(now) >= longest {
            return Some("held for too long");
        }
        let is_back = symbol.score.value().is_some_and(|score| score >= -self.parameters.exit_z);
        is_back.then_some("back at the mean")
    }

    /// Sees to it that stops guard exactly what is held.
    fn guard(&mut self, ctx: &mut Ctx<'_>, of: Instrument, held: Qty, open: &[OpenOrder]) {
        let guards = open.iter().filter(|order| order.is_guard(Side::Sell, open));
        let guarded = Guarded::new(held, OpenOrder::guarded(Side::Sell, open));
        let symbol = &mut self.symbols[of.index()];
        let was_too_much = std::mem::replace(&mut symbol.guards_too_much, guarded == Guarded::TooMuch);
        match guarded {
            Guarded::Wholly => {}
            // The position may know of a fill that the stop has not told of yet: a second look decides.
            Guarded::TooMuch if !was_too_much => wake(ctx, of, ctx.now() + SETTLE),
            // They are over by the time it is looked at again, and the right one is sent.
            Guarded::TooMuch => guards.for_each(|order| ctx.cancel(order.id)),
            Guarded::Lacks(shares) => {
                let stop = symbol.stop(ctx.position(of).average_price, &self.parameters);
                ctx.signal(of, format!("a stop at {stop} for {shares}"));
                let ticket = ctx.sell(of, shares).stop(stop).time_in_force(TimeInForce::Gtc);
                symbol.guard = Some(ticket.send());
            }
        }
    }

    /// Enters when nothing is held or under way, the price is far enough below its mean, and it is known.
    fn consider_entry(&mut self, ctx: &mut Ctx<'_>, of: Instrument) {
        let symbol = &mut self.symbols[of.index()];
        let is_late = self.session.closes_within(ctx.now(), self.parameters.flatten_before_close_minutes);
        let is_free = ctx.position(of).quantity.is_zero() && !ctx.has_open_order(of);
        let Some(score) = symbol.score.value().filter(|score| *score <= -self.parameters.entry_z) else {
            return;
        };
        let may_enter = !self.session.is_closed() && !is_late && self.is_live;
        if !may_enter || !is_free || symbol.tries == 0 {
            return;
        }
        let quote = ctx.fresh_quote(of, MAX_QUOTE_AGE);
        let Some(price) = quote.and_then(|quote| quote.across(Side::Buy)) else { return };
        let shares = ctx.account().equity.scaled(self.parameters.fraction).shares_at(price);
        if shares.is_zero() {
            ctx.signal(of, format!("z {score:.2}, but the budget buys no share at {price}"));
            return;
        }
        let stop = symbol.stop_below(price, &self.parameters);
        ctx.signal(of, format!("z {score:.2}: buying {shares} at {price}, stop at {stop}"));
        let ticket = ctx.buy(of, shares).limit(price).oto_stop_loss(stop).time_in_force(TimeInForce::Gtc);
        let id = ticket.time_to_live(TIME_TO_LIVE).send();
        let until = ctx.now() + PATIENCE;
        symbol.tries -= 1;
        symbol.entry = Some((id, until));
        symbol.kept = Kept { stop_nanos: Some(stop.nanos()), since_nanos: Some(ctx.now().nanos()) };
        wake(ctx, of, until);
    }
}

fn wake(ctx: &mut Ctx<'_>, of: Instrument, at: Time) {
    ctx.set_timer(u64::from(of.0), at);
}

fn is_entry(order: &OpenOrder) -> bool {
    order.leg.is_none() && order.side == Side::Buy
}

/// Whether it is the order that closes the position.
fn is_leaving(order: &OpenOrder) -> bool {
    order.leg.is_none() && order.kind == sandpit_sdk::OrderKind::Market
}

#[cfg(test)]
mod tests;
