//! The bells of the exchange, one after the other.

use std::time::Duration;

use sandpit_types::{MarketEvent, MarketTime, SessionDay};
use sandpit_venue::Calendar;

/// Days before the first event that the gates know the sessions of.
const BEFORE: Duration = Duration::from_secs(30 * 86_400);

/// The next bell.
pub(crate) struct Bells {
    calendar: Calendar,
    next: MarketTime,
}

impl Bells {
    /// The bells after `now`.
    pub(crate) fn after(calendar: Calendar, now: MarketTime) -> Self {
        let mut bells = Self { calendar, next: now };
        bells.next = bells.following(now);
        bells
    }

    /// When the next one rings.
    pub(crate) const fn next(&self) -> MarketTime {
        self.next
    }

    /// The session that is on.
    pub(crate) fn session(&self, now: MarketTime) -> Option<SessionDay> {
        let session = self.calendar.session(self.calendar.date(now))?;
        let day = SessionDay { open: session.open, close: session.close };
        (day.open <= now && now < day.close).then_some(day)
    }

    /// What the bell says that rings now.
    pub(crate) fn ring(&mut self) -> MarketEvent {
        let now = self.next;
        self.next = self.following(now);
        self.session(now).map_or(MarketEvent::SessionClose(now), MarketEvent::SessionOpen)
    }

    fn following(&self, now: MarketTime) -> MarketTime {
        self.calendar.next_open(now).min(self.calendar.next_close(now))
    }
}

/// The sessions from a month before `from` up to `to`, for the gates.
pub(crate) fn sessions(calendar: &Calendar, from: MarketTime, to: MarketTime) -> Vec<SessionDay> {
    let days = calendar.sessions(calendar.date(from - BEFORE), calendar.date(to));
    days.map(|day| SessionDay { open: day.open, close: day.close }).collect()
}
