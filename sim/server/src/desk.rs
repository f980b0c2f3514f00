//! Everything that is changed under the one lock: the engine, the listeners, the rules of faults, the log.
//!
//! Whatever is due is played in the order of its time: switches of the venue first, then the market, then
//! messages that a fault has kept back.

use std::{any::Any, collections::BTreeSet, sync::Arc, time::Duration};

use sandpit_types::{MarketTime, Symbol};
use sandpit_venue::{EventKind, VenueConfig};

use crate::{
    engine::Engine,
    faults::{
        Deed, Effect, Faults, Hit, Plan, Request, Rule, Stream,
        line::{Line, Out},
    },
    journal::{Journal, Note},
    presence::Presence,
    stream::{
        data::Outlet,
        hub::Hub,
        trades::{self, Listening},
    },
    tape::Pending,
    trading::{
        Trading,
        updates::{Until, Update},
    },
    wire::{
        self,
        account::Configuration,
        market::{MarketMessage, StatusMessage},
    },
};

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OrderCounts {
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) fills: u64,
    pub(crate) cancels: u64,
}

/// A market message on its way to the listeners.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) message: MarketMessage,
    /// When it became known.
    pub(crate) at: MarketTime,
    pub(crate) is_night: bool,
}

/// The desk.
pub struct Desk {
    /// The venue and its market.
    pub(crate) engine: Engine,
    /// Listeners of market data.
    pub(crate) data: Outlet,
    /// Bars that are still to be told.
    pub(crate) pending: Pending,
    /// Listeners of trade updates.
    pub(crate) trades: Hub<Listening>,
    /// What is remembered of the account's trading.
    pub(crate) trading: Trading,
    pub(crate) configuration: Configuration,
    pub(crate) counts: OrderCounts,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    /// How the venue was set up.
    pub(crate) setup: VenueConfig,
    /// The end of the run: what still waits on a line goes out then.
    end: MarketTime,
    data_line: Line<Told>,
    trade_line: Line<Arc<Update>>,
    /// When faults make the venue behave in another way.
    venue_due: Option<MarketTime>,
    /// Symbols that somebody at the controls has halted.
    halted: BTreeSet<Symbol>,
    /// Symbols that are halted, by whomever.
    is_halted: BTreeSet<Symbol>,
    /// Who is connected.
    pub(crate) presence: Presence,
}

impl Desk {
    /// A desk with nobody listening.
    pub(crate) fn new(engine: Engine, setup: VenueConfig, start: MarketTime, end: MarketTime) -> Self {
        Self {
            trading: Trading::new(setup.seed, setup.cash, engine.venue.now()),
            engine,
            data: Outlet::new(setup.seed, start),
            pending: Pending::default(),
            trades: Hub::default(),
            configuration: Configuration::default(),
            counts: OrderCounts::default(),
            journal: Journal::default(),
            faults: Faults::new(setup.seed, start),
            setup,
            end,
            data_line: Line::default(),
            trade_line: Line::default(),
            venue_due: None,
            halted: BTreeSet::new(),
            is_halted: BTreeSet::new(),
            presence: Presence::default(),
        }
    }

    /// Everything anew over another engine; the listeners are cut off.
    pub(crate) fn reset(&mut self, engine: Engine, setup: VenueConfig, start: MarketTime) {
        let mut fresh = Self::new(engine, setup, start, self.end);
        // The listeners stay with their hubs until they have left.
        self.data.restart(fresh.setup.seed, start);
        self.trades.cut();
        self.presence.begin_anew();
        std::mem::swap(&mut fresh.presence, &mut self.presence);
        std::mem::swap(&mut fresh.data, &mut self.data);
        std::mem::swap(&mut fresh.trades, &mut self.trades);
        *self = fresh;
    }

    /// Arms the rules of a run.
    ///
    /// # Panics
    /// When there are too many.
    pub(crate) fn arm(&mut self, rules: &[Rule], start: MarketTime) {
        for rule in rules {
            self.faults.add(rule.clone()).expect("at most MAX_RULES rules");
        }
        self.rules_changed(start);
    }

    /// Whether every listener has room for so many frames.
    pub(crate) fn have_room(&self, frames: usize) -> bool {
        self.data.has_room(frames) && self.trades.have_room(frames) && self.trading.updates.have_room(frames)
    }

    /// Drops every listener who has no room for so many frames.
    pub(crate) fn drop_slow(&mut self, frames: usize) {
        self.data.drop_slow(frames);
        self.trades.drop_slow(frames);
        self.trading.updates.drop_slow(frames);
    }

    /// Whether nothing more can come for who reads trade updates so far: faults may still hold some back.
    pub(crate) fn is_all_told(&self, until: Until, now: MarketTime) -> bool {
        self.trading.updates.is_over(until, now) && self.trade_line.deadline().is_none()
    }

    /// Plays everything that is due and tells the listeners, in order.
    pub(crate) fn catch_up(&mut self, now: MarketTime, real: Duration) {
        while self.play_next(now).is_some() {}
        // At the end of the run time stands still, and nobody could wait for a ghost to go.
        self.presence.pass(if now >= self.end { END_OF_TIME } else { now });
        self.sample(now);
        self.tell_between(now + JUST_AFTER);
        self.data.pass(now, real);
        self.engine.venue.advance(now);
        self.tell();
    }

    /// Plays what is due next, if it is due by `now`; returns its time.
    pub(crate) fn play_next(&mut self, now: MarketTime) -> Option<MarketTime> {
        let market = self.engine.next_due();
        let line = self.line_due(now);
        let at = earliest([self.venue_due, market, line]).filter(|at| *at <= now)?;
        self.sample(at);
        if self.venue_due == Some(at) {
            self.tell_between(at + JUST_AFTER);
            self.engine.venue.advance(at);
            self.switch_venue(at);
        } else if market == Some(at) {
            if let Some((tick, is_played)) = self.engine.step(at) {
                self.tell_tick(&tick, is_played);
            }
        } else {
            self.tell_between(at + JUST_AFTER);
            self.let_out(if at >= self.end { END_OF_TIME } else { at });
        }
        self.tell();
        Some(at)
    }

    /// When something has to be done next.
    pub(crate) fn next_due(&mut self) -> MarketTime {
        let market = self.engine.next_due();
        let lines = earliest([self.data_line.deadline(), self.trade_line.deadline()]);
        let venue = self.engine.venue.deadline();
        earliest([self.venue_due, market, lines, Some(venue)]).unwrap_or(venue)
    }

    /// What faults do to a request; noted in the log.
    pub(crate) fn plan(&mut self, request: Request<'_>, now: MarketTime) -> Plan {
        let plan = self.faults.on_request(request, now);
        for hit in &plan.hits {
            self.note_hit(*hit, &format!("{} {}", request.method, request.path), now);
        }
        plan
    }

    /// Whether one of the things of a request about all fails: its status, and whether it is done all the
    /// same.
    pub(crate) fn fail_item(&mut self, path: &str, symbol: &Symbol, now: MarketTime) -> Option<(u16, Deed)> {
        let (status, deed, hit) = self.faults.on_item(path, symbol, now)?;
        self.note_hit(hit, &format!("{path} {symbol}"), now);
        Some((status, deed))
    }

    /// A connection goes that came in this run, with the place it holds, if any; a fault may let that count
    /// on. One that came in a run before leaves nothing behind.
    pub(crate) fn leave(&mut self, stream: Stream, run: u64, held: Option<impl Any + Send>, now: MarketTime) {
        let is_present = self.presence.leave(run);
        let Some(held) = held.filter(|_| is_present) else { return };
        let Some((time, hit)) = self.faults.on_leave(stream, now) else { return };
        self.note_hit(hit, stream.as_str(), now);
        self.presence.haunt(hit.rule, now + time, held);
    }

    /// Somebody at the controls halts a symbol, or lets it trade again as far as he is concerned.
    pub(crate) fn set_halted(&mut self, symbol: &Symbol, halted: bool, now: MarketTime) {
        if halted {
            self.halted.insert(symbol.clone());
        } else {
            self.halted.remove(symbol);
        }
        self.switch_venue(now);
        self.tell();
    }

    /// Notes something in the log.
    pub(crate) fn note(&mut self, note: &Note<'_>, now: MarketTime) -> u64 {
        self.journal.note(now, note)
    }

    /// Rules have come or gone: what depends on the time only is looked at anew.
    pub(crate) fn rules_changed(&mut self, now: MarketTime) {
        self.switch_venue(now);
        self.tell();
    }

    /// A rule has gone, or all of them: what it made mute speaks again, and its ghosts do not count.
    pub(crate) fn end_rule(&mut self, rule: Option<u64>) {
        self.data_line.unmute(rule);
        self.trade_line.unmute(rule);
        self.presence.forget(rule);
    }

    fn note_hit(&mut self, hit: Hit, on: &str, now: MarketTime) {
        self.journal.note(now, &Note::Fault { rule: hit.rule, fault: hit.fault, on });
    }

    /// When a line lets something out; at the end of the run, at once.
    fn line_due(&self, now: MarketTime) -> Option<MarketTime> {
        let due = earliest([self.data_line.deadline(), self.trade_line.deadline()]);
        due.map(|due| if now >= self.end { due.min(now) } else { due })
    }

    fn let_out(&mut self, by: MarketTime) {
        for out in self.data_line.due(by) {
            self.send_data(out);
        }
        for out in self.trade_line.due(by) {
            self.send_update(out);
        }
    }

    /// The venue behaves as the rules want it from `now` on.
    fn switch_venue(&mut self, now: MarketTime) {
        let (venue, hits) = self.faults.venue(now);
        for hit in hits {
            self.note_hit(hit, "venue", now);
        }
        self.engine.venue.set_stuck_cancels(venue.has_stuck_cancels);
        let halted: BTreeSet<Symbol> = venue.halted.union(&self.halted).cloned().collect();
        let changed: Vec<Symbol> = halted.symmetric_difference(&self.is_halted).cloned().collect();
        self.is_halted = halted;
        for symbol in &changed {
            let is_halted = self.is_halted.contains(symbol);
            self.engine.venue.set_halted(symbol, is_halted);
            self.inject(StatusMessage::halt(symbol, is_halted, now).into(), now);
        }
        self.venue_due = self.faults.next_change(now);
    }

    /// Sends a market message on its way to the listeners.
    pub(crate) fn tell_market(&mut self, told: Told) {
        if self.data_line.is_clear() && !self.faults.touch_messages() {
            return self.send_data(Out::Send(told, 0));
        }
        // An article is about many symbols: rules go by the first.
        let (symbol, at) = (told.message.symbols().first().cloned(), told.at);
        let effects = match self.data_line.is_mute(at) {
            true => Vec::new(),
            false => self.effects(Stream::Data, symbol.as_ref(), at),
        };
        for out in self.data_line.push(told, &effects, at) {
            self.send_data(out);
        }
    }

    /// Tells the listeners what happened to orders.
    pub(crate) fn tell(&mut self) {
        self.trading.note_fees(self.engine.venue.fees());
        for event in self.engine.venue.drain_events() {
            self.counts.fills += u64::from(matches!(event.kind, EventKind::Fill | EventKind::PartialFill));
            self.counts.cancels += u64::from(event.kind == EventKind::Canceled);
            self.journal.note(event.time, &Note::Order((&event).into()));
            let update = self.trading.record(event, &self.engine.venue);
            self.tell_update(update);
        }
    }

    /// Notes what the account is worth when a minute has ended before `now`.
    fn sample(&mut self, now: MarketTime) {
        if self.trading.equity.is_due(now) {
            self.trading.equity.sample(self.engine.venue.account().equity, now);
        }
    }

    fn tell_update(&mut self, update: Arc<Update>) {
        if self.trade_line.is_clear() && !self.faults.touch_messages() {
            return self.send_update(Out::Send(update, 0));
        }
        let (symbol, at) = (update.event.order.symbol.clone(), update.event.time);
        let effects = match self.trade_line.is_mute(at) {
            true => Vec::new(),
            false => self.effects(Stream::Trades, Some(&symbol), at),
        };
        for out in self.trade_line.push(update, &effects, at) {
            self.send_update(out);
        }
    }

    fn effects(&mut self, stream: Stream, symbol: Option<&Symbol>, at: MarketTime) -> Vec<Effect> {
        let effects = self.faults.on_message(stream, symbol, at);
        let on = format!("{} {}", stream.as_str(), symbol.map_or("*", Symbol::as_str));
        for (effect, hit) in &effects {
            // A wrong stamp is on every message: there is nothing to tell of each.
            if !matches!(effect, Effect::Skew(_)) {
                self.note_hit(*hit, &on, at);
            }
        }
        effects.into_iter().map(|(effect, _)| effect).collect()
    }

    fn send_data(&mut self, out: Out<Told>) {
        let Out::Send(mut told, skew_secs) = out else { return self.data.hub().cut() };
        if skew_secs != 0 {
            told.message.set_time(skewed(told.message.time(), skew_secs));
        }
        self.data.publish(told.message, told.at, told.is_night);
    }

    fn send_update(&mut self, out: Out<Arc<Update>>) {
        let Out::Send(mut update, skew_secs) = out else {
            self.trading.updates.cut();
            return self.trades.cut();
        };
        if skew_secs != 0 {
            let mut skewed_update = (*update).clone();
            skewed_update.event.time = skewed(update.event.time, skew_secs);
            update = Arc::new(skewed_update);
        }
        self.trading.updates.tell(&update);
        for shape in [Listening::Json, Listening::Packed] {
            self.trades.publish(
                |listening| *listening == shape,
                || {
                    let message = wire::update::TradeUpdateJson::from(&update.event);
                    let json = serde_json::to_string(&message).expect("numbers and texts are always JSON");
                    trades::in_shape(&json, shape)
                },
            );
        }
    }
}

/// What turns a moment into the end of all that is due by it.
const JUST_AFTER: Duration = Duration::from_nanos(1);
/// Later than every moment of a market.
const END_OF_TIME: MarketTime = MarketTime::from_nanos(i64::MAX);

fn earliest<const N: usize>(times: [Option<MarketTime>; N]) -> Option<MarketTime> {
    times.into_iter().flatten().min()
}

/// A time as a clock shows it that is wrong by so many seconds.
pub(crate) fn skewed(time: MarketTime, skew_secs: i64) -> MarketTime {
    let error = std::time::Duration::from_secs(skew_secs.unsigned_abs());
    if skew_secs < 0 { time - error } else { time + error }
}

#[cfg(test)]
mod tests {
    use std::iter::empty;

    use sandpit_types::SessionDay;
    use serde_json::json;

    use super::*;
    use crate::{Market, Settings, Sim};

    #[test]
    fn on_the_way_to_the_end_what_waits_comes_at_its_time() {
        let at = |text: &str| MarketTime::parse(&format!("2026-03-16T{text}Z")).expect(text);
        let days = vec![SessionDay { open: at("13:30:00"), close: at("20:00:00") }];
        let market =
            Market { symbols: vec![Symbol::new("SPY")], days, feed: Box::new(empty()), rewind: None };
        let slow = br#"{"kind":"slow","stream":"data","delay_ms":600000}"#;
        let faults = vec![Rule::from_json(slow).expect("a rule")];
        let sim = Sim::new(Settings { faults, ..Settings::default() }, market, Box::new(|| Duration::ZERO));
        for secs in [0, 10] {
            sim.clock().forward_to(Duration::from_secs(secs));
            sim.inject(json!({"T": "q", "S": "SPY", "bp": 1, "bs": 1, "ap": 2, "as": 1})).expect("a quote");
        }
        let end = at("20:01:00");
        sim.with(|desk, _| {
            assert_eq!(desk.play_next(end), Some(at("13:35:00")));
            assert_eq!(desk.data_line.deadline(), Some(at("13:35:10")), "not yet");
            assert_eq!(desk.play_next(end), Some(at("13:35:10")));
        });
        sim.clock().forward_to(Duration::from_secs(86_400));
        sim.inject(json!({"T": "q", "S": "SPY", "bp": 1, "bs": 1, "ap": 2, "as": 1})).expect("a quote");
        sim.with(|desk, _| assert!(desk.data_line.is_clear(), "at the end nothing waits"));
    }
}
