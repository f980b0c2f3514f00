//! What a new life is told of the one before: the newest snapshot, and what came since.

use std::collections::VecDeque;

use sandpit_types::{MarketEvent, MarketTime, Quote};

use crate::{
    Snapshot, StrategyEvent,
    book::Standing,
    bounds::{KEPT_BYTES_MAX, KEPT_EVENTS_MAX, SNAPSHOT_EVERY},
    plugin::Wants,
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
    /// What held when it was taken.
    standing: Standing,
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
    /// Whether it is not called at all.
    is_off: bool,
}

impl Past {
    /// A first life starts from this.
    pub(super) fn starting_from(snapshot: Option<Snapshot>) -> Self {
        Self { snapshot, ..Self::default() }
    }

    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// What held when the snapshot was taken.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// What came since the snapshot, oldest first; `None` when that was more than is kept.
    pub(super) fn since(&self) -> Option<&VecDeque<Kept>> {
        (!self.is_torn).then_some(&self.since)
    }

    /// Keeps an event, where there is a snapshot for which it is needed: of one that the strategy does not
    /// want, that timers fired before it, and of the quotes of a rest the newest of each symbol.
    pub(super) fn keep(&mut self, event: &StrategyEvent, had: Had, wants: Wants) {
        if !wants_it(wants, event) {
            let fired = event.fires().filter(|_| had == Had::Fired);
            return fired.map_or((), |time| self.keep(&StrategyEvent::Tick(time), had, wants));
        }
        let is_told = is_told(event, had);
        self.is_changed |= is_told;
        if self.snapshot.is_none() || self.is_torn || !is_told {
            return;
        }
        if let (StrategyEvent::Market(MarketEvent::Quote(quote)), Had::Missed) = (event, had) {
            self.forget_missed(quote);
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

    /// Forgets the quote that this one took the place of while nobody listened.
    fn forget_missed(&mut self, newer: &Quote) {
        let is_older = |kept: &Kept| {
            matches!(
                &kept.event,
                StrategyEvent::Market(MarketEvent::Quote(quote)) if quote.symbol == newer.symbol
            )
        };
        let missed = self.since.iter().rev().take_while(|kept| kept.had == Had::Missed);
        if let Some(back) = missed.map(is_older).position(|is_older| is_older) {
            self.forget(self.since.len() - 1 - back);
        }
    }

    /// One more event was handled.
    pub(super) fn count(&mut self) {
        self.handled += 1;
    }

    /// `save` is not called, and nothing kept.
    pub(super) const fn never_save(&mut self) {
        self.is_off = true;
    }

    /// Whether at `now` it is time for a snapshot.
    pub(super) fn is_due(&self, now: MarketTime) -> bool {
        self.is_changed && !self.is_off && (now >= self.due || self.handled >= KEPT_EVENTS_MAX)
    }

    /// `save` was called at `now`, while this held, and gave this, or nothing.
    pub(super) fn saved(&mut self, snapshot: Option<Snapshot>, now: MarketTime, standing: Standing) {
        *self = Self { snapshot, standing, due: now + SNAPSHOT_EVERY, ..Self::default() };
    }

    /// The state is of no use.
    pub(super) fn drop_state(&mut self) {
        *self = Self { due: self.due, is_off: self.is_off, is_changed: self.is_changed, ..Self::default() };
    }
}

/// Whether the strategy is told such events.
fn wants_it(wants: Wants, event: &StrategyEvent) -> bool {
    match event {
        StrategyEvent::Market(MarketEvent::Bar(_) | MarketEvent::MarkedBar(..))
        | StrategyEvent::Warmup(_) => wants.bars,
        StrategyEvent::Market(MarketEvent::Quote(_)) => wants.quotes,
        StrategyEvent::Market(MarketEvent::Trade(_)) => wants.trades,
        StrategyEvent::Market(MarketEvent::News(_)) => wants.news,
        _ => true,
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

    const ALL: Wants = Wants { bars: true, quotes: true, trades: true, news: true };

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
        (0..KEPT_EVENTS_MAX).for_each(|_| many.keep(&news(100), Had::Handled, ALL));
        assert_eq!(kept(&many), Some(KEPT_EVENTS_MAX));
        many.keep(&news(100), Had::Handled, ALL);
        assert_eq!(kept(&many), None);

        let mut large = past();
        (0..7).for_each(|_| large.keep(&news(1 << 20), Had::Handled, ALL));
        // What is forgotten makes room.
        large.forget(3);
        large.keep(&news(1 << 20), Had::Handled, ALL);
        assert_eq!(kept(&large), Some(7));
        large.keep(&news(1 << 20), Had::Handled, ALL);
        assert_eq!(kept(&large), None, "eight times a mebibyte, and a little");
        large.saved(past().snapshot, MarketTime::EPOCH, Standing::default());
        large.keep(&news(1 << 20), Had::Handled, ALL);
        assert_eq!(kept(&large), Some(1));
    }

    #[test]
    fn of_what_is_missed_only_the_newest_quotes_are_kept_and_nothing_that_is_not_wanted() {
        let quote = |symbol, secs| {
            let (symbol, time) = (sandpit_types::Symbol::new(symbol), MarketTime::from_secs(secs));
            let quote = Quote { symbol, time, bid: 1.0, bid_size: 1, ask: 2.0, ask_size: 1 };
            StrategyEvent::Market(MarketEvent::Quote(quote))
        };
        let mut kept = past();
        kept.keep(&quote("A", 1), Had::Handled, ALL);
        for secs in 2..10_000 {
            kept.keep(&quote(if secs % 2 == 0 { "A" } else { "B" }, secs), Had::Missed, ALL);
        }
        let events = |past: &Past| past.since().expect("whole").iter().map(|it| it.event.clone()).collect();
        let found: Vec<_> = events(&kept);
        assert_eq!(found, [quote("A", 1), quote("A", 9_998), quote("B", 9_999)]);

        let mut kept = past();
        let wants = Wants { quotes: false, ..ALL };
        kept.keep(&quote("A", 1), Had::Handled, wants);
        kept.keep(&quote("A", 2), Had::Missed, wants);
        kept.keep(&quote("A", 3), Had::Fired, wants);
        let found: Vec<_> = events(&kept);
        assert_eq!(found, [StrategyEvent::Tick(MarketTime::from_secs(3))]);
    }
}
