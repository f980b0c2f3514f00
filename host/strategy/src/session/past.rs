//! What a new life is told of the one before: the newest snapshot, and what came since.

use std::collections::VecDeque;

use sandpit_types::{MarketEvent, MarketTime};

use crate::{
    Snapshot, StrategyEvent,
    bounds::{KEPT_BYTES_MAX, KEPT_EVENTS_MAX, SNAPSHOT_EVERY},
};

/// One event since the snapshot.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) event: StrategyEvent,
    pub(super) had: Had,
}

/// What the life before had of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Had {
    /// It handled it.
    Handled,
    /// It handled it, and timers fired before it.
    Fired,
    /// It was over already.
    Missed,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    snapshot: Option<Snapshot>,
    since: VecDeque<Kept>,
    /// Of all of these.
    bytes: usize,
    /// Whether there is more since the snapshot than is kept.
    is_torn: bool,
    /// Events handled since `save` was called last.
    handled: usize,
    /// Whether one of them may have changed the state: by night there is none for hours.
    is_changed: bool,
    /// When it has to be called again, market time.
    due: MarketTime,
}

impl Past {
    /// A first life starts from this.
    pub(super) fn starting_from(snapshot: Option<Snapshot>) -> Self {
        Self { snapshot, ..Self::default() }
    }

    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// What came since the snapshot, oldest first; `None` when that was more than is kept.
    pub(super) fn since(&self) -> Option<&VecDeque<Kept>> {
        (!self.is_torn).then_some(&self.since)
    }

    /// Keeps an event, where there is a snapshot for which it is needed.
    pub(super) fn keep(&mut self, event: &StrategyEvent, had: Had) {
        let is_told = is_told(event, had);
        self.is_changed |= is_told;
        if self.snapshot.is_none() || self.is_torn || !is_told {
            return;
        }
        self.bytes += bytes(event);
        if self.since.len() >= KEPT_EVENTS_MAX || self.bytes > KEPT_BYTES_MAX {
            return self.tear();
        }
        self.since.push_back(Kept { event: event.clone(), had });
    }

    /// Keeps no more until the next snapshot.
    pub(super) fn tear(&mut self) {
        self.is_torn = true;
        self.since = VecDeque::new();
    }

    /// Takes out what a new life failed on when it was told again.
    pub(super) fn forget(&mut self, place: usize) {
        if let Some(kept) = self.since.remove(place) {
            self.bytes -= bytes(&kept.event);
        }
    }

    /// One more event was handled.
    pub(super) fn count(&mut self) {
        self.handled += 1;
    }

    /// Whether at `now` it is time for a snapshot.
    pub(super) fn is_due(&self, now: MarketTime) -> bool {
        self.is_changed && (now >= self.due || self.handled >= KEPT_EVENTS_MAX)
    }

    /// `save` was called at `now`, and gave this, or nothing.
    pub(super) fn saved(&mut self, snapshot: Option<Snapshot>, now: MarketTime) {
        *self = Self { snapshot, due: now + SNAPSHOT_EVERY, ..Self::default() };
    }

    /// The state is of no use.
    pub(super) fn drop_state(&mut self) {
        *self = Self { due: self.due, is_changed: self.is_changed, ..Self::default() };
    }
}

/// What it takes to keep the event.
pub(super) fn bytes(event: &StrategyEvent) -> usize {
    let texts = match event {
        StrategyEvent::Market(MarketEvent::News(news)) => {
            let texts = [&news.headline, &news.summary, &news.author, &news.source, &news.url];
            size_of_val(&**news)
                + texts.iter().map(|text| text.len()).sum::<usize>()
                + size_of_val(news.symbols.as_slice())
        }
        _ => 0,
    };
    size_of::<Kept>() + texts
}

/// Whether the event has a handler, or a new life would miss what it caused.
pub(super) fn is_told(event: &StrategyEvent, had: Had) -> bool {
    match event {
        StrategyEvent::Account { .. }
        | StrategyEvent::Position { .. }
        | StrategyEvent::OpenOrder { .. }
        | StrategyEvent::Probe(_)
        | StrategyEvent::Stop(_) => false,
        StrategyEvent::Tick(_) => had == Had::Fired,
        StrategyEvent::Market(_)
        | StrategyEvent::Warmup(_)
        | StrategyEvent::Order(_)
        | StrategyEvent::Fill { .. }
        | StrategyEvent::Refused { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::News;

    use super::*;

    fn news(bytes: usize) -> StrategyEvent {
        StrategyEvent::Market(MarketEvent::News(Box::new(News {
            id: 1,
            created: MarketTime::EPOCH,
            updated: MarketTime::EPOCH,
            headline: String::new(),
            summary: "x".repeat(bytes),
            author: String::new(),
            source: String::new(),
            url: String::new(),
            symbols: Vec::new(),
        })))
    }

    fn past() -> Past {
        let (version, time, timers) = (String::new(), MarketTime::EPOCH, Vec::new());
        Past::starting_from(Some(Snapshot { version, time, timers, state: [].into() }))
    }

    #[test]
    fn what_is_kept_is_bounded_by_number_and_by_bytes() {
        let kept = |past: &Past| past.since().map(VecDeque::len);
        let mut many = past();
        (0..KEPT_EVENTS_MAX).for_each(|_| many.keep(&news(100), Had::Handled));
        assert_eq!(kept(&many), Some(KEPT_EVENTS_MAX));
        many.keep(&news(100), Had::Handled);
        assert_eq!(kept(&many), None);

        let mut large = past();
        (0..7).for_each(|_| large.keep(&news(1 << 20), Had::Handled));
        // What is forgotten makes room.
        large.forget(3);
        large.keep(&news(1 << 20), Had::Handled);
        assert_eq!(kept(&large), Some(7));
        large.keep(&news(1 << 20), Had::Handled);
        assert_eq!(kept(&large), None, "eight times a mebibyte, and a little");
        large.saved(past().snapshot, MarketTime::EPOCH);
        large.keep(&news(1 << 20), Had::Handled);
        assert_eq!(kept(&large), Some(1));
    }
}
