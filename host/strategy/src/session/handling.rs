//! What one event does to a guest that runs.

use std::collections::VecDeque;

use sandpit_types::{Intent, MarketEvent, MarketTime};

use super::{Had, Session};
use crate::{
    Failure, StrategyEvent,
    bindings::types,
    book::{Instrument, bar_end},
    bounds::TIMERS_MAX,
    event::MINUTE,
    guest::Guest,
    translate::{self, LocalRefusal},
};

/// What the calls of one event asked for so far.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) count: usize,
    pub(super) intents: Vec<Intent>,
    pub(super) refused: VecDeque<LocalRefusal>,
}

/// Intents in the current minute of market time.
#[derive(Debug, Default)]
pub(super) struct Rate {
    minute: i64,
    count: u32,
}

impl Rate {
    /// Whether so many more go.
    fn allows(&mut self, more: usize, now: MarketTime, limit: u32) -> bool {
        let minute = now.as_nanos().div_euclid(MINUTE.as_nanos() as i64);
        if minute != self.minute {
            *self = Self { minute, count: 0 };
        }
        self.count = self.count.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        self.count <= limit
    }
}

impl Session {
    /// Fires what is due, folds the event in, calls its handler, brings back what was refused here.
    pub(super) fn handle(
        &mut self,
        guest: &mut Guest,
        event: &StrategyEvent,
        asked: &mut Asked,
    ) -> Result<(), Failure> {
        let fires = event.fires().filter(|time| self.timers.is_due(*time));
        self.fired_until = self.fired_until.max(event.fires().unwrap_or(MarketTime::EPOCH));
        let had = if fires.is_some() { Had::Fired } else { Had::Handled };
        let fired = fires.map_or(Ok(()), |time| self.fire(guest, time, asked));
        // Whatever a timer did, the event is a fact.
        let of = guest.book().apply(event);
        if let Err(failure) = fired {
            self.keep(event, Had::Fired, guest.book());
            return Err(failure);
        }
        let told = self.deliver(guest, event, of);
        let done = told.and_then(|intents| self.absorb(guest, intents.unwrap_or_default(), asked));
        if let Err(failure) = done {
            // The event is poison; that timers fired before it is not, and what they asked for has gone.
            self.keep_poison(event, guest.book());
            if let Some(time) = event.fires().filter(|_| had == Had::Fired) {
                self.keep(&StrategyEvent::Tick(time), had, guest.book());
            }
            return Err(failure);
        }
        self.keep(event, had, guest.book());
        while let Some(LocalRefusal { id, refusal }) = asked.refused.pop_front() {
            let refused = StrategyEvent::Refused { id, refusal, time: guest.book().now };
            let told = guest.on_event(&translate::refused(id, refusal));
            if let Err(failure) = told.and_then(|intents| self.absorb(guest, intents, asked)) {
                self.keep_poison(&refused, guest.book());
                return Err(failure);
            }
            self.keep(&refused, Had::Handled, guest.book());
        }
        Ok(())
    }

    /// Fires the timers that are due. One that is set meanwhile waits for the next event: none can keep an
    /// event going.
    fn fire(&mut self, guest: &mut Guest, time: MarketTime, asked: &mut Asked) -> Result<(), Failure> {
        let due: Vec<_> = std::iter::from_fn(|| self.timers.pop_due(time)).collect();
        for (at, id) in due {
            guest.book().advance(at);
            let fired = guest.on_event(&types::Event::Timer(id));
            let done = fired.and_then(|intents| self.absorb(guest, intents, asked));
            done.inspect_err(|_| self.poison.timers.push((at, id)))?;
        }
        Ok(())
    }

    /// Calls the handler of an event of that instrument, if it has one; what it returned, unless that is to
    /// be ignored.
    pub(super) fn deliver(
        &mut self,
        guest: &mut Guest,
        event: &StrategyEvent,
        of: Option<Instrument>,
    ) -> Result<Option<Vec<types::Intent>>, Failure> {
        let wants = self.plugin.description().wants;
        let standing = match event {
            StrategyEvent::Market(event @ (MarketEvent::SessionOpen(_) | MarketEvent::Health(..))) => {
                Some(event.clone())
            }
            _ => None,
        };
        let event = match event {
            StrategyEvent::Warmup(bar) | StrategyEvent::Market(MarketEvent::Bar(bar)) => {
                let is_live = matches!(event, StrategyEvent::Market(_));
                let is_told = wants.bars && (is_live || bar_end(bar.start) > self.starts_after);
                let Some(of) = of.filter(|_| is_told) else {
                    return Ok(None);
                };
                return match guest.on_bar(of, bar.into()) {
                    Ok(intents) => Ok(is_live.then_some(intents)),
                    Err(failure) => {
                        self.poison.bars.push((of, bar.start));
                        Err(failure)
                    }
                };
            }
            StrategyEvent::Market(MarketEvent::Quote(quote)) => {
                let Some(of) = of.filter(|_| wants.quotes) else {
                    return Ok(None);
                };
                return guest.on_quote(of, &quote.into()).map(Some);
            }
            StrategyEvent::Market(MarketEvent::Trade(trade)) => {
                let Some(of) = of.filter(|_| wants.trades) else {
                    return Ok(None);
                };
                let (at, size) = (trade.time.as_nanos(), trade.size as f64);
                return guest.on_trade(of, at, trade.price, size).map(Some);
            }
            StrategyEvent::Market(MarketEvent::MarkedBar(bar, _)) => {
                let Some(event) = translate::event(event, guest.book()).filter(|_| wants.bars) else {
                    return Ok(None);
                };
                return guest.on_event(&event).map(Some).inspect_err(|_| {
                    self.poison.bars.extend(of.map(|of| (of, bar.start)));
                });
            }
            StrategyEvent::Market(MarketEvent::News(_)) if !wants.news => return Ok(None),
            event => translate::event(event, guest.book()),
        };
        let told = event.map(|event| guest.on_event(&event)).transpose();
        if told.is_err() {
            self.poison.standing.extend(standing);
        }
        told
    }

    /// Takes in what one call asked for: all of it, or nothing when it is too much.
    fn absorb(
        &mut self,
        guest: &mut Guest,
        from: Vec<types::Intent>,
        asked: &mut Asked,
    ) -> Result<(), Failure> {
        if from.is_empty() {
            return Ok(());
        }
        let bounds = self.birth.bounds;
        asked.count += from.len();
        if asked.count > bounds.intents_per_event {
            return Err(Failure::TooManyIntents { count: asked.count, limit: bounds.intents_per_event });
        }
        if !self.rate.allows(from.len(), guest.book().now, bounds.intents_per_minute) {
            return Err(Failure::IntentRate { limit: bounds.intents_per_minute });
        }
        let (intents, refused) = (asked.intents.len(), asked.refused.len());
        for intent in from {
            match translate::intent(intent, guest.book(), bounds.time_to_live, self.birth.rounding) {
                Ok(intent) => {
                    self.timers.follow(&intent);
                    asked.intents.push(intent);
                }
                Err(refusal) => asked.refused.push_back(refusal),
            }
            if self.timers.len() > TIMERS_MAX {
                // The timers end with this life.
                asked.intents.truncate(intents);
                asked.refused.truncate(refused);
                return Err(Failure::TooManyTimers { limit: TIMERS_MAX });
            }
        }
        Ok(())
    }
}
