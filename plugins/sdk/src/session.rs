//! What a strategy knows of the regular session.

use std::time::Duration;

use crate::{Refusal, Time};

/// The host's answer to an order outside the session.
const SESSION_CLOSED: &str = "session-closed";

/// What is known of the regular session. Hand it the events, ask it before an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Nothing was told of it yet: started in mid-session, or not in one. Worth a try.
    #[default]
    Unknown,
    /// Open since then.
    Open(Time),
    /// Closed: no order would be taken.
    Closed,
}

impl Session {
    /// The session opened.
    pub fn open(&mut self, at: Time) {
        *self = Self::Open(at);
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
            Self::Open(at) => Some(now.since(at)),
            Self::Unknown | Self::Closed => None,
        }
    }

    /// Whether it has been open for that many minutes. Not known to be open is not.
    pub fn has_lasted(self, now: Time, minutes: u32) -> bool {
        self.age(now).is_some_and(|age| age >= Duration::from_secs(60 * u64::from(minutes)))
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
        session.open(at);
        assert_eq!(session.age(minute(3)), Some(Duration::from_secs(180)));
        assert_eq!([2, 3, 4].map(|of| session.has_lasted(minute(3), of)), [true, true, false]);
        session.close();
        assert!(session.is_closed() && !session.has_lasted(minute(1_000), 1));
    }

    #[test]
    fn a_refusal_tells_of_a_closed_session() {
        let refused = |reason: &str| {
            let mut session = Session::Open(Time::default());
            session.on_refusal(&Refusal { id: OrderId(1), reason: reason.to_owned() });
            session
        };
        assert_eq!(refused("stale-data"), Session::Open(Time::default()));
        assert_eq!(refused("session-closed"), Session::Closed);
    }
}
