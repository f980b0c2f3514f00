//! The calendar as a sequence of bells.

use std::time::Duration;

use sandpit_types::{MarketEvent, MarketTime, SessionDay};

/// Which bell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bell {
    /// This session opens.
    Open(SessionDay),
    /// The session closes.
    Close(MarketTime),
}

impl Bell {
    /// When it rings.
    pub(crate) const fn time(self) -> MarketTime {
        match self {
            Self::Open(day) => day.open,
            Self::Close(time) => time,
        }
    }

    /// What strategies are told.
    pub(crate) const fn event(self) -> MarketEvent {
        match self {
            Self::Open(day) => MarketEvent::SessionOpen(day),
            Self::Close(time) => MarketEvent::SessionClose(time),
        }
    }
}

/// Regular sessions, in order, and which bell rings next.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    days: Vec<SessionDay>,
    /// Bells that have rung: two a day.
    rung: usize,
}

impl Sessions {
    /// The sessions that end after `since`; one that is under way rings its opening bell at once.
    pub(crate) fn new(mut days: Vec<SessionDay>, since: MarketTime) -> Self {
        days.retain(|day| day.close > since && day.open < day.close);
        days.sort_by_key(|day| day.open);
        Self { days, rung: 0 }
    }

    /// The next bell.
    pub(crate) fn next(&self) -> Option<Bell> {
        let day = self.days.get(self.rung / 2)?;
        Some(if self.rung.is_multiple_of(2) { Bell::Open(*day) } else { Bell::Close(day.close) })
    }

    /// The next bell rings.
    pub(crate) const fn ring(&mut self) {
        self.rung += 1;
    }

    /// Whether a session is open at `now`, bells aside.
    pub(crate) fn is_open(&self, now: MarketTime) -> bool {
        let started = self.days.partition_point(|day| day.open <= now);
        started.checked_sub(1).is_some_and(|last| now < self.days[last].close)
    }

    /// The next moment after `now` at which [`Self::is_open`] changes.
    pub(crate) fn next_change(&self, now: MarketTime) -> Option<MarketTime> {
        let started = self.days.partition_point(|day| day.open <= now);
        let closing = started.checked_sub(1).map(|last| self.days[last].close).filter(|&close| now < close);
        closing.or_else(|| self.days.get(started).map(|day| day.open))
    }
}

/// A minute of market time.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bells_ring_in_order_and_past_days_are_silent() {
        let at = MarketTime::from_secs;
        let day = |open, close| SessionDay { open: at(open), close: at(close) };
        let days = vec![day(500, 600), day(100, 200), day(300, 400)];
        let check = |since: i64, expected: &[Bell]| {
            let mut sessions = Sessions::new(days.clone(), at(since));
            let rung: Vec<Bell> = std::iter::from_fn(|| {
                let bell = sessions.next();
                sessions.ring();
                bell
            })
            .collect();
            assert_eq!(rung, expected, "since {since}");
        };
        let (open, close) = (|s| Bell::Open(day(s, s + 100)), |s| Bell::Close(at(s)));
        check(0, &[open(100), close(200), open(300), close(400), open(500), close(600)]);
        check(350, &[open(300), close(400), open(500), close(600)]);
        check(400, &[open(500), close(600)]);
        check(600, &[]);

        let sessions = Sessions::new(days.clone(), at(0));
        for (now, open, change) in [
            (0, false, Some(100)),
            (100, true, Some(200)),
            (200, false, Some(300)),
            (599, true, Some(600)),
            (600, false, None),
        ] {
            assert_eq!(sessions.is_open(at(now)), open, "{now}");
            assert_eq!(sessions.next_change(at(now)), change.map(at), "{now}");
        }
    }
}
