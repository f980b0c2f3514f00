//! The loss breakers, fed with the account as the broker reports it.

use sandpit_cores::{LossBreaker, Trip};
use sandpit_risk::Limits;
use sandpit_types::{Account, MarketTime, Usd};

use crate::sessions::Sessions;

/// The breakers and the session they measure the day from.
pub(crate) struct Losses {
    breaker: LossBreaker,
    sessions: Sessions,
    day: Option<MarketTime>,
}

impl Losses {
    /// Breakers with the limits in force.
    pub(crate) fn new(limits: &Limits, sessions: Sessions) -> Self {
        Self { breaker: LossBreaker::new(limits.loss()), sessions, day: None }
    }

    /// Takes a reading of the account; says which limit it reached.
    ///
    /// The day is measured from the equity at the close before it, which the broker knows: a restart in the
    /// middle of a losing day does not begin a new one.
    pub(crate) fn on(&mut self, account: &Account, now: MarketTime) -> Option<Trip> {
        let day = self.sessions.last_open(now);
        if day != self.day {
            self.day = day;
            self.breaker.start_day(Some(account.last_equity));
        }
        self.breaker.record(Some(account.equity), now)
    }

    /// The equity that can be believed; `None` while a reading has jumped and no other agreed with it.
    pub(crate) fn equity(&self) -> Option<Usd> {
        self.breaker.equity()
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::SessionDay;

    use super::*;

    #[test]
    fn a_restart_does_not_forgive_the_day() {
        let usd = |text: &str| text.parse::<Usd>().expect(text);
        let at = |text: &str| MarketTime::parse(text).expect(text);
        let day = SessionDay { open: at("2013-10-07T13:30:00Z"), close: at("2013-10-07T20:00:00Z") };
        let account = |equity: &str| Account {
            equity: usd(equity),
            last_equity: usd("100000"),
            cash: Usd::ZERO,
            buying_power: Usd::ZERO,
            trading_blocked: false,
        };
        let mut losses = Losses::new(&Limits::default(), Sessions::new(vec![day]));
        assert_eq!(losses.on(&account("98100"), at("2013-10-07T15:00:00Z")), None);
        assert_eq!(losses.on(&account("500000"), at("2013-10-07T15:10:00Z")), None);
        assert_eq!(losses.equity(), None, "a jump is not believed at once");
        let trip = losses.on(&account("97900"), at("2013-10-07T15:30:00Z"));
        assert!(matches!(trip, Some(Trip::Day { .. })), "{trip:?}");
    }
}
