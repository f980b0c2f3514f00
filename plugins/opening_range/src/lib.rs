//! Opening-range breakout with a bracket, long only: when a bar closes above the high of the session's first
//! minutes it buys, once a session, with a take-profit and a stop that the broker watches over. The README
//! has the reasons.
//!
//! ```text
//!         first minutes      a close above the high           filled            target, stop, late
//!   idle ──────────────> armed ───────────────────> entering ───────> holding ────────────────────> done
//!                          │                           │ not filled in time                           ^
//!                          └───────────────────────────┴──────────────────────────────────────────────┘
//! ```
//!
//! The range is read off the history each session, so a restart, a late and a corrected bar change nothing.
//! Only that a session has had its entry is saved; the rest is read off the position and the open orders. An
//! entry that fills in part is called back, and what was bought gets an OCO of the same two prices.
//!
//! Position and orders are told one after the other. So a fill and an update only set a timer, and whatever
//! is decided is decided at a bar or at that timer, when both have been heard.

mod parameters;
mod range;

use std::{collections::BTreeMap, time::Duration};

use sandpit_sdk::{
    Bar, Ctx, Description, EventKinds, Fill, Hours, Instrument, OpenOrder, OrderId, OrderKind, OrderStatus,
    OrderUpdate, Parameters as _, Qty, Refusal, Session, Side, Strategy, StreamHealth, Time, TimeInForce,
    export,
};

pub use crate::parameters::Parameters;
use crate::range::{Plan, Range};

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

/// How often an entry is sent in a session that does not fill at all.
const MAX_ENTRY_TRIES: u8 = 3;

/// Bars that are read to find the range: all that there may be.
const HISTORY_BARS: u32 = 1_000;

/// Warm-up bars: the range of a session that is under way.
const WARMUP_BARS: u32 = 390;

/// The host's answers to a cancel that came too late, and to leaving what is gone.
const HARMLESS: [&str; 2] = ["unknown-order", "no-position"];

/// The strategy.
pub struct OpeningRange {
    parameters: Parameters,
    names: Vec<String>,
    session: Session,
    /// When this session opened, also after its close.
    opened: Option<Time>,
    /// Whether prices arrive as they happen.
    is_live: bool,
    symbols: Vec<Symbol>,
}

export!(OpeningRange);

/// One symbol.
#[derive(Default)]
struct Symbol {
    /// The range of this session, once it is complete and was wanted.
    range: Option<Range>,
    /// The open of the session in which it bought.
    entered: Option<Time>,
    /// Entries sent in this session.
    tries: u8,
    /// The order that opens a position, and when it is called back.
    entry: Option<(OrderId, Time)>,
    /// The exits that were sent for a position the entry's own do not guard.
    guard: Option<OrderId>,
    /// Whether exits guarded more than is held when it was last looked at.
    guards_too_much: bool,
    /// Whether to leave whatever the price: its exits were not taken.
    must_leave: bool,
}

impl Strategy for OpeningRange {
    fn describe() -> Description {
        Description {
            name: "Opening range",
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
        let symbols = instruments.iter().map(|_| Symbol::default()).collect();
        let (names, session) = (instruments.to_vec(), Session::default());
        Ok(Self { parameters, names, session, opened: None, is_live: true, symbols })
    }

    fn on_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        self.tend(ctx, bar.instrument);
        self.consider_entry(ctx, bar);
    }

    /// A bar that belongs into the range makes another one.
    fn on_late_bar(&mut self, _ctx: &mut Ctx<'_>, bar: &Bar) {
        self.symbols[bar.instrument.index()].range = None;
    }

    fn on_corrected_bar(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        self.on_late_bar(ctx, bar);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, id: u64) {
        if let Some(of) = Instrument::all(self.symbols.len()).find(|of| u64::from(of.0) == id) {
            self.tend(ctx, of);
        }
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, fill: &Fill) {
        if fill.side == Side::Buy {
            self.symbols[fill.instrument.index()].entered = self.opened;
        }
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
        for (of, symbol) in Instrument::all(self.symbols.len()).zip(&mut self.symbols) {
            if symbol.guard == Some(refusal.id) {
                symbol.must_leave = true;
                wake(ctx, of, ctx.now() + SETTLE);
            }
        }
    }

    fn on_session_open(&mut self, _ctx: &mut Ctx<'_>, hours: Hours) {
        self.session.open(hours);
        self.opened = Some(hours.open);
        for symbol in &mut self.symbols {
            (symbol.range, symbol.tries) = (None, 0);
        }
    }

    fn on_session_close(&mut self, ctx: &mut Ctx<'_>, _at: Time) {
        self.session.close();
        // Exits stay: they guard what a session that ended early has left over.
        let entries = ctx.open_orders().into_iter().filter(is_entry);
        entries.for_each(|order| ctx.cancel(order.id));
    }

    fn on_stream_health(&mut self, _ctx: &mut Ctx<'_>, health: StreamHealth) {
        self.is_live = health == StreamHealth::Live;
    }

    fn save(&self) -> Vec<u8> {
        let entered = |symbol: &Symbol| symbol.entered.map(Time::nanos);
        let rows: BTreeMap<&str, i64> = self
            .names
            .iter()
            .zip(&self.symbols)
            .filter_map(|(name, symbol)| Some((name.as_str(), entered(symbol)?)))
            .collect();
        serde_json::to_vec(&rows).expect("text and numbers are JSON")
    }

    fn load(&mut self, _version: &str, state: &[u8]) -> Result<(), String> {
        if state.is_empty() {
            return Ok(());
        }
        let rows: BTreeMap<String, i64> =
            serde_json::from_slice(state).map_err(|error| format!("saved entries: {error}"))?;
        for (name, symbol) in self.names.iter().zip(&mut self.symbols) {
            symbol.entered = rows.get(name).copied().map(Time::from_nanos);
        }
        Ok(())
    }
}

impl OpeningRange {
    /// Sees to a symbol's orders and position: calls entries back, leaves when it is time, keeps the exits.
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
            let symbol = &mut self.symbols[of.index()];
            (symbol.guard, symbol.guards_too_much, symbol.must_leave) = (None, false, false);
        } else {
            self.keep(ctx, of, held, &open);
        }
    }

    /// Cancels an entry that has had its time, and one of an earlier life.
    fn call_back(&self, ctx: &mut Ctx<'_>, of: Instrument, id: OrderId) {
        match self.symbols[of.index()].entry {
            Some((entry, until)) if entry == id && ctx.now() < until => wake(ctx, of, until),
            Some(_) | None => ctx.cancel(id),
        }
    }

    /// Leaves when it is time; else sees to it that exits guard exactly what is held.
    fn keep(&mut self, ctx: &mut Ctx<'_>, of: Instrument, held: Qty, open: &[OpenOrder]) {
        let guarded = OpenOrder::guarded(Side::Sell, open);
        let plan = self.range(ctx, of).and_then(|range| range.plan(&self.parameters));
        let is_late = self.session.closes_within(ctx.now(), self.parameters.flatten_before_close_minutes);
        let symbol = &mut self.symbols[of.index()];
        let was_too_much = std::mem::replace(&mut symbol.guards_too_much, guarded > held);
        let reason = if is_late {
            "late in the session"
        } else if symbol.must_leave {
            "its exits were not taken"
        } else if guarded == held {
            return;
        } else if guarded > held && !was_too_much {
            // The position may know of a fill that the exits have not told of yet: a second look decides.
            return wake(ctx, of, ctx.now() + SETTLE);
        } else if guarded > held {
            // They are over by the time it is looked at again, and the right ones are sent.
            let guards = open.iter().filter(|order| order.is_guard(Side::Sell, open));
            return guards.for_each(|order| ctx.cancel(order.id));
        } else if let Some(plan) = plan.filter(|_| held.is_positive()) {
            return self.guard(ctx, of, held - guarded, &plan);
        } else {
            "nothing says where its exits belong"
        };
        ctx.signal(of, format!("leaving {held}: {reason}"));
        ctx.close_position(of);
    }

    /// Sends both exits for shares that have none.
    fn guard(&mut self, ctx: &mut Ctx<'_>, of: Instrument, shares: Qty, plan: &Plan) {
        let Plan { take_profit, stop, .. } = *plan;
        ctx.signal(of, format!("exits for {shares}: {take_profit} or {stop}"));
        let ticket = ctx.sell(of, shares).limit(take_profit).oco(stop).time_in_force(TimeInForce::Gtc);
        self.symbols[of.index()].guard = Some(ticket.send());
    }

    /// The opening range, once it is complete.
    fn range(&mut self, ctx: &Ctx<'_>, of: Instrument) -> Option<Range> {
        let (open, minutes) = (self.opened?, self.parameters.range_minutes);
        let end = open + Duration::from_secs(60 * u64::from(minutes));
        let symbol = &mut self.symbols[of.index()];
        if symbol.range.is_none() && ctx.now() >= end {
            symbol.range = Range::of(&ctx.history(of, HISTORY_BARS), open, minutes);
        }
        symbol.range
    }

    /// Enters when a bar after the range closes above it, once a session, while the price is not gone yet.
    fn consider_entry(&mut self, ctx: &mut Ctx<'_>, bar: &Bar) {
        let (of, now) = (bar.instrument, ctx.now());
        let Parameters { last_entry_minutes, flatten_before_close_minutes, .. } = self.parameters;
        let is_over = self.session.has_lasted(now, last_entry_minutes)
            || self.session.closes_within(now, flatten_before_close_minutes);
        let is_free = ctx.position(of).quantity.is_zero() && !ctx.has_open_order(of);
        let Session::Open(Hours { open, .. }) = self.session else { return };
        let symbol = &self.symbols[of.index()];
        let had_its_entry = symbol.entered == Some(open) || symbol.tries == MAX_ENTRY_TRIES;
        if is_over || !is_free || !self.is_live || had_its_entry {
            return;
        }
        // No bar of the range is above it.
        let Some(range) = self.range(ctx, of).filter(|range| bar.close > range.high) else {
            return;
        };
        let Some(plan) = range.plan(&self.parameters).filter(|_| range.is_tradable(&self.parameters)) else {
            return;
        };
        let ask = ctx.fresh_quote(of, MAX_QUOTE_AGE).and_then(|quote| quote.across(Side::Buy));
        // Above the worst price the move has gone without us; it may come back.
        let Some(price) = ask.filter(|ask| plan.allows(*ask)) else { return };
        let shares = plan.shares(price, ctx.account().equity, &self.parameters);
        if shares.is_zero() {
            ctx.signal(of, format!("above {}, but the risk buys no share at {price}", range.high));
            return;
        }
        let Plan { take_profit, stop, .. } = plan;
        ctx.signal(
            of,
            format!("above {}: buying {shares} at {price}, exits {take_profit}, {stop}", range.high),
        );
        let ticket = ctx.buy(of, shares).limit(price).bracket(take_profit, stop);
        let id = ticket.time_in_force(TimeInForce::Gtc).time_to_live(TIME_TO_LIVE).send();
        let symbol = &mut self.symbols[of.index()];
        symbol.tries += 1;
        symbol.entry = Some((id, now + PATIENCE));
        wake(ctx, of, now + PATIENCE);
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
    order.leg.is_none() && order.kind == OrderKind::Market
}

#[cfg(test)]
mod tests;
