//! A script against the venue and the model at once; whatever differs ends the run.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
};

use rust_decimal::Decimal;
use sandpit_types::{Bar, BrokerOrderId, MarketEvent, MarketTime, Quote, Symbol, Trade};
use sandpit_venue::{DayTradeRule, EventKind, ForceReject, Venue, VenueEvent, VenueOrder};

use crate::{
    drive::{self, earlier},
    reference::{Event, Model},
    script::{Action, Pick, SYMBOLS, Script, Step},
};

/// An id that no order has.
const UNKNOWN: &str = "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415";

/// How often things happened over many scripts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) scripts: usize,
    pub(crate) steps: usize,
    pub(crate) orders: usize,
    pub(crate) refusals: usize,
    /// By what of the order, and by the word.
    pub(crate) filled: BTreeMap<(&'static str, &'static str), usize>,
    pub(crate) events: BTreeMap<&'static str, usize>,
    pub(crate) elections: [usize; 3],
    pub(crate) refused: BTreeMap<String, usize>,
}

/// Where and how the two differ.
pub(crate) struct Difference {
    pub(crate) step: usize,
    pub(crate) text: String,
}

pub(crate) fn run(script: &Script, tally: &mut Tally) -> Result<(), Difference> {
    let mut pair = Pair::new(script);
    tally.scripts += 1;
    for (place, step) in script.steps.iter().enumerate() {
        tally.steps += 1;
        pair.step(step, tally).map_err(|text| Difference { step: place, text })?;
    }
    for (count, elections) in tally.elections.iter_mut().zip(pair.model.elections) {
        *count += elections;
    }
    Ok(())
}

struct Pair {
    venue: Venue,
    model: Model,
    now: MarketTime,
    /// What the venue's fills come to: money paid, and shares by symbol.
    paid: Decimal,
    shares: [Decimal; SYMBOLS.len()],
    start: Decimal,
}

fn same<T: PartialEq + Debug>(what: &str, venue: T, model: T) -> Result<(), String> {
    if venue == model { Ok(()) } else { Err(format!("{what}:\n  venue {venue:?}\n  model {model:?}")) }
}

/// Equal to a millionth: far below a cent, far above what a division leaves.
fn near(what: &str, venue: Decimal, model: Decimal) -> Result<(), String> {
    if (venue - model).abs() <= Decimal::new(1, 6) {
        Ok(())
    } else {
        Err(format!("{what}:\n  venue {}\n  model {}", venue.normalize(), model.normalize()))
    }
}

impl Pair {
    fn new(script: &Script) -> Self {
        Self {
            venue: Venue::with_listings(script.config.clone(), &script.listings, script.start),
            model: Model::new(&script.config, &script.listings, script.start),
            now: script.start,
            paid: Decimal::ZERO,
            shares: [Decimal::ZERO; SYMBOLS.len()],
            start: script.config.cash.get(),
        }
    }

    fn step(&mut self, step: &Step, tally: &mut Tally) -> Result<(), String> {
        self.now = step.wait.end(self.now, self.venue.calendar());
        self.act(&step.action, tally)?;
        let events = self.venue.drain_events();
        self.events(&events, tally)?;
        self.orders()?;
        self.positions()?;
        self.account()?;
        self.balance()
    }

    fn act(&mut self, action: &Action, tally: &mut Tally) -> Result<(), String> {
        let id = match action {
            Action::Replace(pick, _) | Action::Cancel(pick) | Action::Force(pick, _) => self.id(*pick),
            _ => BrokerOrderId::new(UNKNOWN),
        };
        let model = drive::act(&mut self.model, action, self.now);
        let (what, venue) = match on_venue(&mut self.venue, action, &id, self.now) {
            Asked::Nothing => return Ok(()),
            Asked::Answer(what, answer) => (what, answer),
        };
        let mut words = String::new();
        let venue = match venue {
            Ok(made) => Ok(made.map(|id| self.venue.place(&id).expect("it was just made"))),
            Err((status, code, message)) => {
                tally.refuse(what, &message);
                words = message;
                Err((status, code.unwrap_or(0)))
            }
        };
        same(&format!("answer to {what} ({words})"), venue, model)
    }

    fn id(&self, which: Pick) -> BrokerOrderId {
        let place = drive::pick(&self.model, which);
        let order = place.and_then(|place| self.venue.orders().nth(place));
        order.map_or_else(|| BrokerOrderId::new(UNKNOWN), |order| order.id.clone())
    }

    fn events(&mut self, events: &[VenueEvent], tally: &mut Tally) -> Result<(), String> {
        let told = |event: &VenueEvent| Event {
            kind: event.kind,
            order: self.venue.place(&event.order.id).expect("an order of the venue"),
            execution: event.qty.map(|qty| {
                let price = event.price.map_or(Decimal::ZERO, |price| price.get());
                let held = event.position_qty.map_or(Decimal::ZERO, |held| held.get());
                (qty.get(), price, held)
            }),
            state: event.order.state,
        };
        let venue: Vec<Event> = events.iter().map(told).collect();
        for event in events {
            tally.count(event);
            let (Some(qty), Some(price)) = (event.qty, event.price) else { continue };
            let signed = event.order.side.signed(qty).get();
            self.paid += signed * price.get();
            let symbol = SYMBOLS.iter().position(|name| *name == event.order.symbol.as_str());
            self.shares[symbol.expect("a known symbol")] += signed;
        }
        let model = self.model.take_events();
        if venue == model {
            return Ok(());
        }
        let lines =
            |events: &[Event]| -> String { events.iter().map(|event| format!("\n    {event:?}")).collect() };
        Err(format!("events:\n  venue{}\n  model{}", lines(&venue), lines(&model)))
    }

    fn orders(&self) -> Result<(), String> {
        same("number of orders", self.venue.orders().len(), self.model.orders.len())?;
        for (place, (venue, model)) in self.venue.orders().zip(&self.model.orders).enumerate() {
            let what = |field: &str| format!("{field} of order {place}");
            let at = |id: &Option<BrokerOrderId>| id.as_ref().and_then(|id| self.venue.place(id));
            if venue.state != model.state {
                same(&what("state"), venue.state, model.state)?;
            }
            let numbers = |order: &VenueOrder| {
                (order.qty().map(|qty| qty.get()), order.filled_qty.get(), order.position_intent.opens())
            };
            let (qty, filled, opens) = numbers(venue);
            if (qty, filled, opens) != (model.qty, model.filled, model.opens) {
                same(
                    &what("qty, filled, opens"),
                    (qty, filled, opens),
                    (model.qty, model.filled, model.opens),
                )?;
            }
            if let Some(average) = model.average() {
                let venue = venue.filled_avg_price().map_or(Decimal::ZERO, |price| price.get());
                if (venue - average).abs() > Decimal::new(1, 9) {
                    same(&what("average price"), venue, average)?;
                }
            }
            if venue.stop_price.map(|price| price.get()) != model.stop() {
                same(&what("stop"), venue.stop_price.map(|price| price.get()), model.stop())?;
            }
            if venue.expires_at != Some(model.expires) {
                same(&what("end"), venue.expires_at, Some(model.expires))?;
            }
            let links = (at(&venue.replaces), at(&venue.replaced_by));
            if links != (model.replaces, model.replaced_by) {
                same(&what("chain"), links, (model.replaces, model.replaced_by))?;
            }
            let legs = venue.legs.iter().map(|leg| self.venue.place(leg).expect("a leg is an order"));
            let group = (at(&venue.parent), legs.collect::<Vec<usize>>());
            if group != (model.parent, model.legs.clone()) {
                same(&what("group"), group, (model.parent, model.legs.clone()))?;
            }
        }
        Ok(())
    }

    fn positions(&self) -> Result<(), String> {
        for (place, market) in self.model.markets.iter().enumerate() {
            let name = SYMBOLS[place];
            let position = self.venue.position(&Symbol::new(name));
            let Some(position) = position else {
                near(&format!("shares of {name}"), Decimal::ZERO, market.held)?;
                continue;
            };
            near(&format!("shares of {name}"), position.qty.get(), market.held)?;
            near(&format!("cost of {name}"), position.cost_basis.get(), market.cost)?;
            let free = market.held.abs() - self.model.reserved(place);
            near(&format!("free shares of {name}"), position.qty_available.get().abs(), free)?;
            near(&format!("worth of {name}"), position.market_value.get(), market.worth())?;
            let average = (market.cost / market.held).round_dp(9);
            let paid = position.avg_entry_price.get();
            // Little is known of the average of a speck.
            if ((paid - average) * market.held).abs() > Decimal::new(1, 9) {
                near(&format!("average of {name}"), paid, average)?;
            }
        }
        Ok(())
    }

    fn account(&self) -> Result<(), String> {
        let (venue, model) = (self.venue.account(), &self.model);
        near("cash", venue.cash.get(), model.cash)?;
        near("equity", venue.equity.get(), model.equity())?;
        near("last equity", venue.last_equity.get(), model.last_equity)?;
        near("long value", venue.long_market_value.get(), model.long_value())?;
        near("short value", venue.short_market_value.get(), model.short_value())?;
        near("realized", venue.realized_pl.get(), model.realized)?;
        near("initial margin", venue.initial_margin.get(), model.initial_margin())?;
        near("maintenance margin", venue.maintenance_margin.get(), model.maintenance_margin())?;
        near("last maintenance margin", venue.last_maintenance_margin.get(), model.last_maintenance)?;
        same("restricted", venue.restricted, model.is_restricted())?;
        if model.config.day_trade_rule == DayTradeRule::Legacy {
            same("day trades", venue.day_trade_count as usize, model.day_trades())?;
            same("pattern day trader", venue.pattern_day_trader, model.pattern)?;
        }
        same("multiplier", venue.multiplier, model.multiplier())?;
        near("held for orders", venue.held_for_orders.get(), model.held_for_orders())?;
        near("buying power", venue.buying_power.get(), model.buying_power())
    }

    /// What must hold of the venue by itself.
    fn balance(&self) -> Result<(), String> {
        let account = self.venue.account();
        let worth = account.long_market_value.get() + account.short_market_value.get();
        near("equity is cash and worth", account.equity.get(), account.cash.get() + worth)?;
        let fees: Decimal = self.venue.fees().iter().map(|fee| fee.amount.get()).sum();
        near("cash is what the fills left", account.cash.get(), self.start - self.paid - fees)?;
        for (name, shares) in SYMBOLS.into_iter().zip(self.shares) {
            let held = self.venue.position(&Symbol::new(name)).map_or(Decimal::ZERO, |held| held.qty.get());
            same(&format!("shares of {name} are the sum of the fills"), held, shares)?;
        }
        Ok(())
    }
}

/// What the venue says to a step.
enum Asked {
    Nothing,
    Answer(&'static str, Result<Option<BrokerOrderId>, (u16, Option<i64>, String)>),
}

/// The venue takes a step.
fn on_venue(venue: &mut Venue, action: &Action, id: &BrokerOrderId, now: MarketTime) -> Asked {
    let answer = match action {
        Action::Quote { .. } | Action::Trade { .. } | Action::Bar { .. } => {
            venue.on_market(&market_event(action, now));
            return Asked::Nothing;
        }
        Action::Submit(order) => {
            let answer = venue.submit(order.as_ref().clone(), now);
            ("submit", answer.map(Some).map_err(|no| no.http()))
        }
        Action::Replace(_, with) => {
            let answer = venue.replace(id, with.as_ref().clone(), now);
            ("replace", answer.map(Some).map_err(|no| no.http()))
        }
        Action::Cancel(_) => ("cancel", venue.cancel(id, now).map(|()| None).map_err(|no| no.http())),
        Action::Close(symbol, part) => {
            let answer = venue.close_position(&Symbol::new(SYMBOLS[*symbol]), *part, now);
            ("close", answer.map(Some).map_err(|no| no.http()))
        }
        Action::Force(_, kind) => {
            let answer = venue.force(id, *kind, now);
            (
                "force",
                answer.map(|()| None).map_err(|no| match no {
                    ForceReject::NotFound { .. } => (404, None, no.to_string()),
                    ForceReject::Impossible(_) => (422, None, no.to_string()),
                }),
            )
        }
        _ => {
            switch(venue, action, now);
            return Asked::Nothing;
        }
    };
    Asked::Answer(answer.0, answer.1)
}

fn switch(venue: &mut Venue, action: &Action, now: MarketTime) {
    venue.advance(now);
    match *action {
        Action::Halt(symbol, halted) => venue.set_halted(&Symbol::new(SYMBOLS[symbol]), halted),
        Action::Suspend(on) => venue.set_suspended(on),
        Action::NoShorting(on) => venue.set_no_shorting(on),
        Action::Fractional(on) => venue.set_fractional(on),
        Action::MarginLimit(limit) => venue.set_margin_limit(limit),
        Action::StuckCancels(stuck) => venue.set_stuck_cancels(stuck),
        Action::Pdt(check) => venue.set_pdt_check(check),
        _ => {}
    }
}

fn market_event(action: &Action, now: MarketTime) -> MarketEvent {
    let float = |price: Decimal| price.to_string().parse::<f64>().expect("a number");
    match *action {
        Action::Quote { symbol, bid, bid_size, ask, ask_size, age_seconds } => MarketEvent::Quote(Quote {
            symbol: Symbol::new(SYMBOLS[symbol]),
            time: earlier(now, age_seconds),
            bid: float(bid),
            bid_size,
            ask: float(ask),
            ask_size,
        }),
        Action::Trade { symbol, price, age_seconds } => MarketEvent::Trade(Trade {
            symbol: Symbol::new(SYMBOLS[symbol]),
            time: earlier(now, age_seconds),
            price: float(price),
            size: 100,
        }),
        Action::Bar { symbol, high, low, close, volume } => MarketEvent::Bar(Bar {
            symbol: Symbol::new(SYMBOLS[symbol]),
            start: earlier(now, 60),
            open: float(close),
            high: float(high),
            low: float(low),
            close: float(close),
            volume,
            vwap: float(close),
        }),
        _ => unreachable!("only what the market says comes here"),
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fills = self.fills();
        let share = |count: usize| count * 100 / self.steps.max(1);
        writeln!(f, "{} scripts, {} steps, {} orders", self.scripts, self.steps, self.orders)?;
        writeln!(f, "fills: {fills}, {} for each 100 steps", share(fills))?;
        writeln!(f, "refusals: {}, {} % of the steps", self.refusals, share(self.refusals))?;
        writeln!(f, "elections of stop, stop-limit, trailing stop: {:?}", self.elections)?;
        writeln!(f, "events: {:?}", self.events)?;
        for ((what, word), count) in &self.filled {
            writeln!(f, "fills of {what} {word}: {count}")?;
        }
        for (refusal, count) in &self.refused {
            writeln!(f, "refused {count} times: {refusal}")?;
        }
        Ok(())
    }
}

impl Tally {
    /// Executions in all.
    pub(crate) fn fills(&self) -> usize {
        ["fill", "partial_fill"].iter().filter_map(|event| self.events.get(event)).sum()
    }

    fn refuse(&mut self, what: &str, message: &str) {
        self.refusals += 1;
        let known = message.split(|letter: char| letter.is_ascii_digit() || letter == '"').next();
        *self.refused.entry(format!("{what}: {}", known.unwrap_or_default())).or_default() += 1;
    }

    fn count(&mut self, event: &VenueEvent) {
        *self.events.entry(event.kind.as_str()).or_default() += 1;
        let order = &event.order;
        if event.kind == EventKind::PendingNew {
            self.orders += 1;
        }
        if matches!(event.kind, EventKind::Fill | EventKind::PartialFill) {
            let amount = if order.notional().is_some() {
                "notional"
            } else if order.remaining().get().fract().is_zero() && order.filled_qty.get().fract().is_zero() {
                "whole"
            } else {
                "fraction"
            };
            let class = match (order.class.as_str(), order.parent.is_some()) {
                ("", _) => "simple",
                (class, false) => class,
                ("bracket", true) => "bracket leg",
                ("oco", true) => "oco leg",
                (_, true) => "oto leg",
            };
            for key in [
                ("kind", order.kind.as_str()),
                ("time in force", order.time_in_force.as_str()),
                ("class", class),
                ("amount", amount),
                ("side", order.side.as_str()),
                ("intent", order.position_intent.as_str()),
            ] {
                *self.filled.entry(key).or_default() += 1;
            }
        }
    }
}
