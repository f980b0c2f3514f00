//! Inventory-skewed quoting: rests a bid and an ask about a reservation price that leans against what is
//! held, after Avellaneda and Stoikov. The README has the formula and the reasons.
//!
//! Every few seconds a timer looks at each symbol: it measures the price, works out both quotes, and moves
//! those that are off. Nothing is decided between two looks, but that stale prices take the quotes down at
//! once. A position may know of a fill that its order has not told of yet: those shares count twice then,
//! and the quote is too small until the next look, never too large.
//!
//! A quote is moved by a replacement, which keeps its shares: what is held and what the bid may still buy are
//! never more than the most, and the ask never sells what is not held. Those two sums are all that a restart
//! has to find again, and they are read off the position and the open orders.

mod ledger;
mod parameters;
mod skew;
mod volatility;

use std::{collections::BTreeMap, time::Duration};

use sandpit_sdk::{
    Ctx, Description, EventKinds, Fill, Hours, Instrument, OpenOrder, OrderId, OrderKind, OrderStatus,
    OrderUpdate, Parameters as _, Price, Qty, Quote, Refusal, Session, Side, Strategy, StreamHealth, Time,
    export,
};

pub use crate::parameters::Parameters;
use crate::{ledger::Ledger, skew::Quotes, volatility::Volatility};

/// A market whose newest quote is older is not quoted.
const MAX_QUOTE_AGE: Duration = Duration::from_secs(15);

/// How long an order may wait in the host's queue: then its price is an old one.
const TIME_TO_LIVE: Duration = Duration::from_secs(2);

/// How long it sends nothing after a refusal.
const PAUSE: Duration = Duration::from_secs(30);

/// The host's answers that only say that an order has moved on meanwhile: the next look sees it.
const HARMLESS: [&str; 5] = ["unknown-order", "no-position", "not-replaceable", "self-cross", "late"];

/// The strategy.
pub struct MarketMaker {
    parameters: Parameters,
    names: Vec<String>,
    session: Session,
    /// Whether prices arrive as they happen.
    is_live: bool,
    symbols: Vec<Symbol>,
}

export!(MarketMaker);

/// One symbol.
#[derive(Default)]
struct Symbol {
    volatility: Volatility,
    ledger: Ledger,
    /// When the next look is due.
    next_look: Option<Time>,
    /// The newest order of each side.
    sent: [Option<Sent>; 2],
    /// Nothing is sent of a side before.
    paused_until: [Option<Time>; 2],
}

/// An order that was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sent {
    id: OrderId,
    /// Whether it took the place of another, which may have filled before.
    is_replacement: bool,
}

impl Symbol {
    /// The side whose newest order this is.
    fn side_of(&self, id: OrderId) -> Option<usize> {
        self.sent.iter().position(|sent| sent.is_some_and(|sent| sent.id == id))
    }
}

impl Strategy for MarketMaker {
    fn describe() -> Description {
        Description {
            name: "Market maker",
            version: env!("CARGO_PKG_VERSION"),
            parameters_schema: Parameters::SCHEMA,
            instruments: &["SPY"],
            wants: EventKinds { quote: true, ..EventKinds::NONE },
            warmup_bars: 0,
        }
    }

    fn init(parameters: &str, instruments: &[String]) -> Result<Self, String> {
        let parameters = Parameters::parse(parameters)?;
        let symbols = instruments.iter().map(|_| Symbol::default()).collect();
        let (names, session) = (instruments.to_vec(), Session::default());
        Ok(Self { parameters, names, session, is_live: true, symbols })
    }

    /// Starts the looks, also again when a timer was lost.
    fn on_quote(&mut self, ctx: &mut Ctx<'_>, quote: &Quote) {
        let period = self.period();
        let is_due = |at: Time| ctx.now() > at + period;
        if self.symbols[quote.instrument.index()].next_look.is_none_or(is_due) {
            self.look_again(ctx, quote.instrument);
        }
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, id: u64) {
        if let Some(of) = Instrument::all(self.symbols.len()).find(|of| u64::from(of.0) == id) {
            self.look_again(ctx, of);
            self.look(ctx, of);
        }
    }

    fn on_fill(&mut self, _ctx: &mut Ctx<'_>, fill: &Fill) {
        self.symbols[fill.instrument.index()].ledger.on_fill(fill);
    }

    fn on_order_update(&mut self, ctx: &mut Ctx<'_>, update: &OrderUpdate) {
        if update.status == OrderStatus::Rejected {
            let symbol = &mut self.symbols[update.instrument.index()];
            let side = symbol.side_of(update.id);
            let Some(side) = side.filter(|side| symbol.sent[*side].is_some_and(|sent| !sent.is_replacement))
            else {
                return;
            };
            ctx.signal(update.instrument, "the broker rejected the order");
            symbol.paused_until[side] = Some(ctx.now() + PAUSE);
        }
    }

    fn on_refusal(&mut self, ctx: &mut Ctx<'_>, refusal: &Refusal) {
        if HARMLESS.contains(&refusal.reason.as_str()) {
            return;
        }
        self.session.on_refusal(refusal);
        let OrderId(id) = refusal.id;
        ctx.signal(None, format!("order {id} refused: {}; a pause of {} s", refusal.reason, PAUSE.as_secs()));
        for symbol in &mut self.symbols {
            if let Some(side) = symbol.side_of(refusal.id) {
                symbol.paused_until[side] = Some(ctx.now() + PAUSE);
            }
        }
    }

    fn on_session_open(&mut self, ctx: &mut Ctx<'_>, hours: Hours) {
        self.session.open(hours);
        self.symbols.iter_mut().for_each(|symbol| symbol.ledger.open(hours.open));
        Instrument::all(self.symbols.len()).for_each(|of| self.look_again(ctx, of));
    }

    fn on_session_close(&mut self, ctx: &mut Ctx<'_>, _at: Time) {
        self.session.close();
        ctx.cancel_all();
    }

    fn on_stream_health(&mut self, ctx: &mut Ctx<'_>, health: StreamHealth) {
        self.is_live = health == StreamHealth::Live;
        if !self.is_live {
            ctx.cancel_all();
        }
    }

    fn save(&self) -> Vec<u8> {
        let ledgers = self.symbols.iter().map(|symbol| symbol.ledger);
        let rows: BTreeMap<&str, Ledger> = self.names.iter().map(String::as_str).zip(ledgers).collect();
        serde_json::to_vec(&rows).expect("text and numbers are JSON")
    }

    fn load(&mut self, _version: &str, state: &[u8]) -> Result<(), String> {
        if state.is_empty() {
            return Ok(());
        }
        let rows: BTreeMap<String, Ledger> =
            serde_json::from_slice(state).map_err(|error| format!("saved profits: {error}"))?;
        for (name, symbol) in self.names.iter().zip(&mut self.symbols) {
            symbol.ledger = rows.get(name).copied().unwrap_or_default();
        }
        Ok(())
    }
}

impl MarketMaker {
    fn period(&self) -> Duration {
        Duration::from_secs(u64::from(self.parameters.requote_seconds))
    }

    fn look_again(&mut self, ctx: &mut Ctx<'_>, of: Instrument) {
        let at = ctx.now() + self.period();
        self.symbols[of.index()].next_look = Some(at);
        ctx.set_timer(u64::from(of.0), at);
    }

    /// Measures the market, and leaves, takes the quotes down, or puts them where they belong.
    fn look(&mut self, ctx: &mut Ctx<'_>, of: Instrument) {
        let Session::Open(_) = self.session else { return };
        let market = ctx.fresh_quote(of, MAX_QUOTE_AGE).filter(|_| self.is_live);
        if let Some(market) = &market {
            self.symbols[of.index()].volatility.push(ctx.now(), market.mid());
            self.watch_the_loss(ctx, of, market);
        }
        let open = ctx.open_orders_of(of);
        let symbol = &self.symbols[of.index()];
        if self.session.closes_within(ctx.now(), self.parameters.flatten_before_close_minutes)
            || symbol.ledger.is_stopped
        {
            return leave(ctx, of, &open);
        }
        if open.iter().any(is_leaving) {
            return;
        }
        let horizon = Duration::from_secs(u64::from(self.parameters.horizon_seconds));
        let held = ctx.position(of).quantity;
        let quotes = market.zip(symbol.volatility.over(horizon)).and_then(|(market, sigma)| {
            let inventory = skew::inventory(held.to_f64(), &self.parameters);
            Quotes::new(&market, inventory, sigma, &self.parameters)
        });
        match quotes {
            Some(quotes) => [Side::Buy, Side::Sell].iter().for_each(|side| {
                self.quote(ctx, of, *side, quotes.on(*side), &open);
            }),
            None => open.iter().for_each(|order| ctx.cancel(order.id)),
        }
    }

    /// Puts one quote where it belongs, unless the side has a pause.
    fn quote(&mut self, ctx: &mut Ctx<'_>, of: Instrument, side: Side, price: Price, open: &[OpenOrder]) {
        let room = self.room(ctx.position(of).quantity, side);
        let own: Vec<_> = open.iter().filter(|order| order.side == side).collect();
        let meets = |order: &OpenOrder| match (side, order.kind.limit_price()) {
            (Side::Buy, Some(ask)) => price >= ask,
            (Side::Sell, Some(bid)) => price <= bid,
            (_, None) => true,
        };
        // Our other quote has to go first; it does so at this look, and this one at the next.
        let is_blocked = open.iter().any(|order| order.side != side && meets(order));
        let until = self.symbols[of.index()].paused_until[side as usize];
        let waits = is_blocked || until.is_some_and(|until| ctx.now() < until);
        let sent = match own.as_slice() {
            [order] if order.left() > room => return ctx.cancel(order.id),
            [] if room.is_positive() && !waits => {
                let shares = room.min(Qty::shares(i64::from(self.parameters.quote_shares)));
                let id = ctx.order(of, side, shares).limit(price).time_to_live(TIME_TO_LIVE).send();
                Sent { id, is_replacement: false }
            }
            [order] if order.status != OrderStatus::Pending && !waits && self.is_off(order, price) => {
                let id = ctx.replace(order.id).limit(price).time_to_live(TIME_TO_LIVE).send();
                Sent { id, is_replacement: true }
            }
            // Where it belongs, or on its way.
            _ => return,
        };
        self.symbols[of.index()].sent[side as usize] = Some(sent);
    }

    /// Whole shares that this side may still trade: up to the most, and down to nothing.
    fn room(&self, held: Qty, side: Side) -> Qty {
        match side {
            Side::Buy => (Qty::shares(i64::from(self.parameters.max_shares)) - held.max(Qty::ZERO)).whole(),
            Side::Sell => held.whole(),
        }
    }

    fn is_off(&self, order: &OpenOrder, price: Price) -> bool {
        let Some(now) = order.kind.limit_price() else { return false };
        (now - price).abs().to_f64() > price.to_f64() * self.parameters.tolerance_bps / 1e4
    }

    /// Stops for this session when the loss is too large.
    fn watch_the_loss(&mut self, ctx: &mut Ctx<'_>, of: Instrument, market: &Quote) {
        let held = ctx.position(of).quantity;
        let ledger = &mut self.symbols[of.index()].ledger;
        let Some(mid) = Price::from_f64(market.mid()) else { return };
        let profit = ledger.profit(held, mid);
        if !ledger.is_stopped && profit.to_f64() <= -self.parameters.max_loss_usd {
            ctx.signal(of, format!("{profit} USD since the open: out until the next session"));
            ledger.is_stopped = true;
        }
    }
}

/// Takes the quotes down and sells what is held, if that is not under way.
fn leave(ctx: &mut Ctx<'_>, of: Instrument, open: &[OpenOrder]) {
    if open.iter().any(is_leaving) {
        return;
    }
    let held = ctx.position(of).quantity;
    if held.is_zero() {
        open.iter().for_each(|order| ctx.cancel(order.id));
    } else {
        ctx.signal(of, format!("leaving {held}"));
        ctx.close_position(of);
    }
}

/// Whether it is the order that closes the position.
fn is_leaving(order: &OpenOrder) -> bool {
    order.kind == OrderKind::Market
}

#[cfg(test)]
mod tests;
