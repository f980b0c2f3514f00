//! What came since the snapshot, told again to a new life.

use std::collections::VecDeque;

use sandpit_types::{MarketTime, Refusal, StrategyOrderId};

use super::{Session, past::Had, past::Kept};
use crate::{
    Failure, StrategyEvent, bindings::types, bounds::TIMERS_MAX, deadline::Deadline, guest::Guest, translate,
};

/// What is said of an order to one that wants it while it is told of the past.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Nothing: it went when it was wanted first.
    Before,
    /// That it is late: nobody was there to follow it.
    Missed,
    /// The same, unless it is open, or is spoken of in what is still to be told: then the one before wanted
    /// it, too.
    Late(&'a VecDeque<StrategyEvent>),
}

/// Where a new life failed.
enum At {
    /// On the event itself: it is poison.
    Event,
    /// Before or after it.
    Elsewhere,
}

impl Session {
    /// Timers fire where they fired before. Intents are ignored: those of events that were handled before
    /// were followed then, those of events that nobody handled are refused as late, so that the strategy
    /// knows.
    pub(super) fn tell_events(&mut self, guest: &mut Guest) -> Result<(), Failure> {
        let mut whole = self.whole();
        let mut place = 0;
        while let Some(kept) = self.past.since().and_then(|since| since.get(place)).cloned() {
            if let Err((failure, at)) = self.tell_again(guest, &kept, &mut whole) {
                if matches!(at, At::Event) {
                    self.past.forget(place);
                }
                return Err(failure);
            }
            place += 1;
        }
        Ok(())
    }

    fn tell_again(
        &mut self,
        guest: &mut Guest,
        kept: &Kept,
        whole: &mut Deadline,
    ) -> Result<(), (Failure, At)> {
        let elsewhere = |failure| (failure, At::Elsewhere);
        self.next_again(guest, whole, "an event, on all events again,").map_err(elsewhere)?;
        if kept.had == Had::Fired
            && let Some(time) = kept.event.fires()
        {
            self.fire_again(guest, time, Wanted::Before).map_err(elsewhere)?;
        }
        if let Some(time) = kept.event.time() {
            guest.book().advance(time);
        }
        if let StrategyEvent::Tick(_) = kept.event {
            return Ok(());
        }
        let of = guest.book().of(&kept.event);
        let wanted = if kept.had == Had::Missed { Wanted::Missed } else { Wanted::Before };
        let told = self
            .deliver(guest, &kept.event, of)
            .and_then(|intents| self.ignore(guest, intents.unwrap_or_default(), wanted));
        told.map_err(|failure| (failure, At::Event))
    }

    pub(super) fn fire_again(
        &mut self,
        guest: &mut Guest,
        time: MarketTime,
        wanted: Wanted<'_>,
    ) -> Result<(), Failure> {
        let due: Vec<_> = std::iter::from_fn(|| self.timers.pop_due(time)).collect();
        for (at, id) in due {
            if self.poison.timers.contains(&(at, id)) {
                continue;
            }
            guest.book().advance(at);
            let fired = guest.on_event(&types::Event::Timer(id));
            let done = fired.and_then(|intents| self.ignore(guest, intents, wanted));
            done.inspect_err(|_| self.poison.timers.push((at, id)))?;
        }
        Ok(())
    }

    /// Follows what intents say of timers. Where nobody has followed the others, says so to the strategy.
    pub(super) fn ignore(
        &mut self,
        guest: &mut Guest,
        intents: Vec<types::Intent>,
        wanted: Wanted<'_>,
    ) -> Result<(), Failure> {
        let limit = self.birth.bounds.intents_per_event;
        if intents.len() > limit {
            return Err(Failure::TooManyIntents { count: intents.len(), limit });
        }
        for intent in intents {
            let id = match intent {
                types::Intent::SetTimer(timer) => {
                    self.timers.set(timer.id, MarketTime::from_nanos(timer.at));
                    continue;
                }
                types::Intent::CancelTimer(id) => {
                    self.timers.cancel(id);
                    continue;
                }
                types::Intent::Submit(submit) => submit.id,
                types::Intent::Replace(replace) => replace.new_id,
                types::Intent::ClosePosition(close) => close.id,
                types::Intent::Cancel(_) | types::Intent::CancelAll | types::Intent::Signal(_) => continue,
            };
            let id = StrategyOrderId(id);
            let is_late = match wanted {
                Wanted::Before => false,
                Wanted::Missed => true,
                Wanted::Late(still) => {
                    !guest.book().orders.has(id) && !still.iter().any(|event| event.order() == Some(id))
                }
            };
            if is_late {
                let then = guest.on_event(&translate::refused(id, Refusal::Late))?;
                self.ignore(guest, then, Wanted::Before)?;
            }
        }
        if self.timers.len() > TIMERS_MAX {
            return Err(Failure::TooManyTimers { limit: TIMERS_MAX });
        }
        Ok(())
    }
}
