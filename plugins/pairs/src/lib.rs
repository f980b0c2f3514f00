//! Pairs trading: buys the cheap one of two related symbols and sells the dear one short, when the spread
//! between them is some standard deviations from its mean, and leaves both when it is back. The README has
//! the reasons.
//!
//! ```text
//!         entry_z <= |z| < stop_z            both legs filled           back, running away, too long, late
//!   flat ───────────────────────> entering ──────────────────> holding ────────────────────────────> leaving
//!    ^                               │ a leg is missing                                                │
//!    │                               └─────────────────────────────────────────────────────────> leaving
//!    └───────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Both legs are sent at once. What has not filled in time is called back; then the legs are compared: if one
//! is missing the other is left, if one has more than the other hedges it is trimmed. A leg is never chased.
//!
//! The model is fitted to the history each minute, so late and corrected bars and restarts change nothing;
//! the one of the entry is kept, and saved, for as long as the trade lasts. A position that no trade explains
//! is left.
//!
//! Position and orders are told one after the other. So a fill and an update only set a timer, and whatever
//! is decided is decided when a minute is complete or at that timer, when both have been heard.

mod parameters;
mod spread;
mod trade;

use std::time::Duration;

use sandpit_sdk::{
    Ctx, Description, EventKinds, Fill, Hours, Instrument, OpenOrder, OrderId, OrderKind, OrderStatus,
    OrderUpdate, Parameters as _, Price, Qty, Refusal, Session, Side, Strategy, StreamHealth, Time, export,
};

pub use crate::parameters::Parameters;
use crate::{
    spread::Model,
    trade::{Balance, Trade},
};

/// The two symbols, in the order of the manifest.
const LEGS: [Instrument; 2] = [Instrument(0), Instrument(1)];

/// Hedge ratios that two related symbols may have.
const HEDGE_RATIOS: std::ops::RangeInclusive<f64> = 0.2..=5.0;

/// How often an entry is tried until the spread has been back.
const MAX_ENTRY_TRIES: u8 = 3;

/// How long an entry may take, on its way and at the broker, before it is called back.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an entry may wait in the host's queue.
const TIME_TO_LIVE: Duration = Duration::from_secs(5);

/// How long after a fill or an update both have been told.
const SETTLE: Duration = Duration::from_millis(100);

/// How often what is held is looked at, minutes complete or none; an exit that was refused is tried again
/// then.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// An older quote is no price to enter at.
const MAX_QUOTE_AGE: Duration = Duration::from_secs(15);

/// The one timer.
const TIMER: u64 = 0;

/// The host's answers to a cancel that came too late, and to leaving what is gone.
const HARMLESS: [&str; 2] = ["unknown-order", "no-position"];

/// The strategy.
pub struct Pairs {
    parameters: Parameters,
    session: Session,
    /// Whether prices arrive as they happen.
    is_live: bool,
    /// The newest closes of one and the same minute.
    closes: Option<[f64; 2]>,
    trade: Option<Trade>,
    /// When the entries that are under way are called back; entries of an earlier life at once.
    entries_until: Option<Time>,
    /// Entries left until the spread has been back.
    tries: u8,
}

export!(Pairs);

impl Strategy for Pairs {
    fn describe() -> Description {
        Description {
            name: "Pairs",
            version: env!("CARGO_PKG_VERSION"),
            parameters_schema: Parameters::SCHEMA,
            instruments: &["KO", "PEP"],
            // Quotes are wanted to price orders, not to act on.
            wants: EventKinds { bar: true, quote: true, ..EventKinds::NONE },
            warmup_bars: parameters::MAX_MINUTES,
        }
    }

    fn init(parameters: &str, instruments: &[String]) -> Result<Self, String> {
        if instruments.len() != LEGS.len() {
            return Err(format!(
                "a pair is two instruments, not {}: name two in the manifest",
                instruments.len()
            ));
        }
        Ok(Self {
            parameters: Parameters::parse(parameters)?,
            session: Session::default(),
            is_live: true,
            closes: None,
            trade: None,
            entries_until: None,
            tries: MAX_ENTRY_TRIES,
        })
    }

    fn on_bars_complete(&mut self, ctx: &mut Ctx<'_>, start: Time) {
        let window = self.parameters.window_minutes;
        // Twice as many, because a silent minute of one is none of the pair.
        let [a, b] = LEGS.map(|leg| ctx.history(leg, u32::try_from(2 * window).unwrap_or(u32::MAX)));
        let pairs = spread::joined(&a, &b, window);
        let newest = pairs.last().filter(|pair| pair.start == start);
        self.closes = newest.map(|pair| pair.closes).or(self.closes);
        self.tend(ctx);
        if newest.is_some() && pairs.len() == window {
            self.consider_entry(ctx, Model::fit(&pairs));
        }
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, _id: u64) {
        self.tend(ctx);
    }

    fn on_fill(&mut self, ctx: &mut Ctx<'_>, _fill: &Fill) {
        wake(ctx, SETTLE);
    }

    fn on_order_update(&mut self, ctx: &mut Ctx<'_>, update: &OrderUpdate) {
        if update.status == OrderStatus::Rejected {
            ctx.signal(update.instrument, "the broker rejected the order");
        }
        wake(ctx, SETTLE);
    }

    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, refusal: &Refusal) {
        if HARMLESS.contains(&refusal.reason.as_str()) {
            return;
        }
        self.session.on_refusal(refusal);
        let OrderId(id) = refusal.id;
        ctx.signal(None, format!("order {id} refused: {}", refusal.reason));
    }

    fn on_session_open(&mut self, _ctx: &mut Ctx<'_>, hours: Hours) {
        self.session.open(hours);
    }

    fn on_session_close(&mut self, ctx: &mut Ctx<'_>, _at: Time) {
        self.session.close();
        ctx.cancel_all();
    }

    fn on_stream_health(&mut self, _ctx: &mut Ctx<'_>, health: StreamHealth) {
        self.is_live = health == StreamHealth::Live;
    }

    fn save(&self) -> Vec<u8> {
        self.trade.map_or_else(Vec::new, |trade| serde_json::to_vec(&trade).expect("numbers are JSON"))
    }

    fn load(&mut self, _version: &str, state: &[u8]) -> Result<(), String> {
        if !state.is_empty() {
            let trade = serde_json::from_slice(state).map_err(|error| format!("saved trade: {error}"))?;
            self.trade = Some(trade);
        }
        Ok(())
    }
}

impl Pairs {
    /// Sees to both legs: calls entries back, leaves when it is time, keeps the legs even.
    fn tend(&mut self, ctx: &mut Ctx<'_>) {
        let open = ctx.open_orders();
        let held = LEGS.map(|leg| ctx.position(leg).quantity);
        if self.session.is_closed() || open.iter().any(reduces) {
            return;
        }
        if held.iter().any(|quantity| !quantity.is_zero()) {
            // Bars may fail to come; what is held is looked after all the same.
            wake(ctx, LOOK_EVERY);
        }
        if !open.is_empty() {
            return self.call_back(ctx, &open);
        }
        if held == [Qty::ZERO; 2] {
            self.trade = None;
        } else if let Some(reason) = self.reason_to_leave(ctx.now(), held) {
            ctx.signal(None, format!("leaving {} and {}: {reason}", held[0], held[1]));
            LEGS.into_iter().zip(held).filter(|(_, quantity)| !quantity.is_zero()).for_each(|(leg, _)| {
                ctx.close_position(leg);
            });
        } else if let Some(Balance::TooMuch { leg, excess }) = self.trade.map(|trade| trade.balance(held)) {
            ctx.signal(LEGS[leg], format!("{excess} more than the other leg hedges"));
            let side = if held[leg].is_positive() { Side::Sell } else { Side::Buy };
            ctx.order(LEGS[leg], side, excess).send();
        }
    }

    /// Cancels entries that have had their time, and those of an earlier life.
    fn call_back(&self, ctx: &mut Ctx<'_>, open: &[OpenOrder]) {
        match self.entries_until {
            Some(until) if ctx.now() < until => ctx.set_timer(TIMER, until),
            Some(_) | None => open.iter().for_each(|order| ctx.cancel(order.id)),
        }
    }

    fn reason_to_leave(&self, now: Time, held: [Qty; 2]) -> Option<&'static str> {
        let Some(trade) = self.trade else { return Some("no trade explains it") };
        if self.session.closes_within(now, self.parameters.flatten_before_close_minutes) {
            return Some("late in the session");
        }
        if trade.balance(held) == Balance::Broken {
            return Some("a leg is missing");
        }
        trade.reason_to_leave(self.closes, now, &self.parameters)
    }

    /// Enters when nothing is held or under way, and the spread is far from its mean but not gone.
    fn consider_entry(&mut self, ctx: &mut Ctx<'_>, model: Option<Model>) {
        let (Some(model), Some(closes)) = (model, self.closes) else { return };
        let Parameters { entry_z, exit_z, stop_z, max_half_life_minutes, .. } = self.parameters;
        let z = model.z(closes);
        if z.abs() <= exit_z.max(0.0) {
            self.tries = MAX_ENTRY_TRIES;
        }
        let is_related =
            HEDGE_RATIOS.contains(&model.hedge_ratio) && model.half_life_minutes <= max_half_life_minutes;
        let is_late = self.session.closes_within(ctx.now(), self.parameters.flatten_before_close_minutes);
        let may_enter = self.is_live && !self.session.is_closed() && !is_late && self.tries > 0;
        let is_free = self.trade.is_none()
            && ctx.open_orders().is_empty()
            && LEGS.iter().all(|leg| ctx.position(*leg).quantity.is_zero());
        if may_enter && is_free && is_related && (entry_z..stop_z).contains(&z.abs()) {
            self.enter(ctx, model, z);
        }
    }

    fn enter(&mut self, ctx: &mut Ctx<'_>, model: Model, z: f64) {
        // The dear leg is sold, the cheap one is bought.
        let sides = if z > 0.0 { [Side::Sell, Side::Buy] } else { [Side::Buy, Side::Sell] };
        let price =
            |leg: usize| -> Option<Price> { ctx.fresh_quote(LEGS[leg], MAX_QUOTE_AGE)?.across(sides[leg]) };
        let (Some(a), Some(b)) = (price(0), price(1)) else { return };
        let (equity, now) = (ctx.account().equity, ctx.now());
        let Some(trade) = Trade::new(model, z, [a, b], equity, now, &self.parameters) else {
            ctx.signal(None, format!("z {z:.2}, but the budget buys no share of a leg at {a} and {b}"));
            return;
        };
        let (ratio, half_life, [of_a, of_b]) = (model.hedge_ratio, model.half_life_minutes, trade.targets());
        ctx.signal(
            None,
            format!("z {z:.2}, hedge ratio {ratio:.2}, half-life {half_life:.1} min: {of_a}, {of_b}"),
        );
        for (leg, target) in trade.targets().into_iter().enumerate().filter(|(_, target)| !target.is_zero()) {
            let ticket = ctx.order(LEGS[leg], sides[leg], target.abs()).limit([a, b][leg]);
            ticket.time_to_live(TIME_TO_LIVE).send();
        }
        self.tries -= 1;
        self.trade = Some(trade);
        self.entries_until = Some(now + PATIENCE);
        wake(ctx, PATIENCE);
    }
}

fn wake(ctx: &mut Ctx<'_>, after: Duration) {
    ctx.set_timer(TIMER, ctx.now() + after);
}

/// Whether it is an order that closes or trims a leg.
fn reduces(order: &OpenOrder) -> bool {
    order.kind == OrderKind::Market
}

#[cfg(test)]
mod tests;
