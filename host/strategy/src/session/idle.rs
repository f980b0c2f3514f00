//! Ticks that cause nothing. They come ten times a second, by night too, and all they do is move the time on:
//! so of any number of them, only the newest is recorded, and only once something else is. A replay then
//! finds the same time at each event, and a strategy about which nothing happens costs the record nothing.

use sandpit_types::MarketTime;

use super::{Life, Session};
use crate::{EntryRef, StrategyEvent};

impl Session {
    /// Whether a tick at this time causes nothing: no timer is due, no rest is over, no snapshot is due.
    pub(super) fn is_idle(&mut self, time: MarketTime) -> bool {
        match &mut self.life {
            Life::Running(guest) => {
                !self.timers.is_due(time) && !self.past.is_due(guest.book().now.max(time))
            }
            Life::Resting { until, .. } => time < *until,
            Life::Quarantined(_) => true,
        }
    }

    /// Moves the time on, and nothing else.
    pub(super) fn pass(&mut self, time: MarketTime) {
        if self.recorder.is_some() {
            self.idle = self.idle.max(Some(time));
        }
        if let Some(estate) = self.life.estate() {
            estate.book.advance(time);
        }
    }

    /// Records an entry, and before it the tick that told the time last.
    pub(super) fn record(&mut self, entry: EntryRef<'_>) {
        let Some(recorder) = &mut self.recorder else { return };
        if let Some(time) = self.idle.take() {
            recorder.record(EntryRef::Event(&StrategyEvent::Tick(time)));
        }
        recorder.record(entry);
    }
}
