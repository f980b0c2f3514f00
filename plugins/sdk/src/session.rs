//! What a strategy knows of the regular session.

use std::time::Duration;

use crate::{Refusal, Time};

/// The host's answer to an order outside the session.
const SESSION_CLOSED: &str = "session-closed";

/// The regular session of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hours {
    /// When it opens.
    pub open: Time,
    /// When it closes, by the exchange's calendar: earlier on half days.
    pub close: Time,
}

/// What is known of the regular session. Hand it the events, ask it before an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Nothing was told of it yet: started in mid-session, or not in one. Worth a try.
    #[default]
    Unknown,
    /// Open, during these hours.
    Open(Hours),
    /// Closed: no order would be taken.
    Closed,
}

impl Session {
    /// The session opened.
    pub fn open(&mut self, hours: Hours) {
        *self = Self::Open(hours);
    }

    /// The session closed.
    pub fn close(&mut self) {
        *self = Self::Closed;
    }

    /// Learns from a refusal that the session is closed. A refusal for another reason says nothing of it.
    pub fn on_refusal(&mut self, refusal: &Refusal) {
        if refusal.reason == SESSION_CLOSED {
            self.close();
        }
    }

    /// Whether it is known to be closed.
    pub fn is_closed(self) -> bool {
        self == Self::Closed
    }

    /// How long the session has been open; `None` while nothing is known of it, or it is closed.
    pub fn age(self, now: Time) -> Option<Duration> {
        match self {
            Self::Open(hours) => Some(now.since(hours.open)),
            Self::Unknown | Self::Closed => None,
        }
    }

    /// Whether it has been open for that many minutes. Not known to be open is not.
    pub fn has_lasted(self, now: Time, minutes: u32) -> bool {
        self.age(now).is_some_and(|age| age >= Duration::from_secs(60 * u64::from(minutes)))
    }

    /// How long the session will stay open; `None` while nothing is known of it, or it is closed.
    pub fn left(self, now: Time) -> Option<Duration> {
        match self {
            Self::Open(hours) => Some(hours.close.since(now)),
            Self::Unknown | Self::Closed => None,
        }
    }

    /// Whether it closes within that many minutes. Not known to be open does not.
    pub fn closes_within(self, now: Time, minutes: u32) -> bool {
        self.left(now).is_some_and(|left| left <= Duration::from_secs(60 * u64::from(minutes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OrderId;

    #[test]
    fn a_session_ages_while_it_is_open() {
        let at = Time::from_secs(1_000);
        let minute = |count: i64| Time::from_secs(1_000 + 60 * count);
        let mut session = Session::default();
        assert!(!session.is_closed() && !session.has_lasted(minute(1_000), 1));
        session.open(Hours { open: at, close: minute(10) });
        assert_eq!(session.left(minute(3)), Some(Duration::from_secs(420)));
        assert_eq!(session.left(minute(11)), Some(Duration::ZERO));
        assert_eq!([6, 7, 8].map(|of| session.closes_within(minute(3), of)), [false, true, true]);
        assert_eq!(session.age(minute(3)), Some(Duration::from_secs(180)));
        assert_eq!([2, 3, 4].map(|of| session.has_lasted(minute(3), of)), [true, true, false]);
        session.close();
        assert!(session.is_closed() && !session.has_lasted(minute(1_000), 1));
        assert!(!session.closes_within(minute(1_000), 1));
    }

    #[test]
    fn a_refusal_tells_of_a_closed_session() {
        let refused = |reason: &str| {
            let mut session = Session::Open(Hours::default());
            session.on_refusal(&Refusal { id: OrderId(1), reason: reason.to_owned() });
            session
        };
        assert_eq!(refused("stale-data"), Session::Open(Hours::default()));
        assert_eq!(refused("session-closed"), Session::Closed);
    }
}
