//! The loss breakers, fed with the account as the broker reports it.

use std::collections::{BTreeMap, VecDeque};

use sandpit_cores::{LossBreaker, Reading, Trip};
use sandpit_risk::Limits;
use sandpit_store::facts::{DAY_START, PEAK_EQUITY};
use sandpit_types::{Account, MarketTime, Usd};

use crate::sessions::Sessions;

/// Transfers since the last close that are remembered. When full, the oldest is forgotten.
const MAX_TRANSFERS: usize = 100;

/// The breakers and the session they measure the day from.
pub(crate) struct Losses {
    breaker: LossBreaker,
    sessions: Sessions,
    day: Option<MarketTime>,
    /// What the day started from, by an earlier life in the same session.
    kept_start: Option<(MarketTime, Usd)>,
    /// Transfers, which the equity of the last close may not have in it.
    transfers: VecDeque<(MarketTime, Usd)>,
    is_tripped: bool,
    /// The facts as they were last given away.
    given: BTreeMap<&'static str, String>,
}

impl Losses {
    /// Breakers with the limits in force.
    pub(crate) fn new(limits: &Limits, sessions: Sessions) -> Self {
        Self {
            breaker: LossBreaker::new(limits.loss()),
            sessions,
            day: None,
            kept_start: None,
            transfers: VecDeque::new(),
            is_tripped: false,
            given: BTreeMap::new(),
        }
    }

    /// Takes a reading of the account; says which limit it reached, the first time that it reached any.
    ///
    /// The day is measured from the equity at the close before it, which the broker knows: a restart in the
    /// middle of a losing day does not begin a new one. What the owner moved since that close is part of it.
    pub(crate) fn on(&mut self, account: &Account, now: MarketTime) -> Option<Trip> {
        let day = self.sessions.last_open(now);
        if day != self.day {
            self.day = day;
            self.breaker.start_day(Some(self.start_of(day, account.last_equity)));
        }
        let reading = Reading { equity: account.equity, cash: account.cash };
        let trip = self.breaker.record(Some(reading), now).filter(|_| !self.is_tripped);
        self.is_tripped |= trip.is_some();
        trip
    }

    /// The owner put money in, or took it out.
    pub(crate) fn transfer(&mut self, net: Usd, now: MarketTime) {
        self.transfers.push_back((now, net));
        if self.transfers.len() > MAX_TRANSFERS {
            self.transfers.pop_front();
        }
        if let Some((_, kept)) = &mut self.kept_start {
            *kept += net;
        }
        self.breaker.transfer(net, now);
    }

    /// Whether a limit was reached: no risk is added any more in this life.
    pub(crate) const fn is_tripped(&self) -> bool {
        self.is_tripped
    }

    /// The equity that can be believed; `None` while a reading has jumped and no other agreed with it.
    pub(crate) fn equity(&self) -> Option<Usd> {
        self.breaker.equity()
    }

    /// What earlier lives kept. What cannot be read is as if it were absent.
    pub(crate) fn restore(&mut self, facts: &BTreeMap<String, String>) {
        if let Some(peak) = facts.get(PEAK_EQUITY).and_then(|text| text.parse().ok()) {
            self.breaker.remember_peak(peak);
        }
        self.kept_start = facts.get(DAY_START).and_then(|text| {
            let (day, equity) = text.split_once(' ')?;
            Some((MarketTime::parse(day).ok()?, equity.parse().ok()?))
        });
    }

    /// What has to be kept and has changed.
    pub(crate) fn facts(&mut self) -> Vec<(&'static str, String)> {
        let peak = self.breaker.peak().map(|peak| (PEAK_EQUITY, peak.to_string()));
        let start = self.day.zip(self.breaker.day_start());
        let start = start.map(|(day, equity)| (DAY_START, format!("{day} {equity}")));
        let is_new = |(name, value): &(&'static str, String)| self.given.get(name) != Some(value);
        let new: Vec<_> = [peak, start].into_iter().flatten().filter(is_new).collect();
        self.given.extend(new.iter().cloned());
        new
    }

    /// What a day is measured from.
    fn start_of(&self, day: Option<MarketTime>, last_equity: Usd) -> Usd {
        let Some(day) = day else { return last_equity };
        if let Some((_, kept)) = self.kept_start.filter(|(of, _)| *of == day) {
            return kept;
        }
        let close = self.sessions.close_before(day).unwrap_or(MarketTime::EPOCH);
        let since: Usd = self.transfers.iter().filter(|(at, _)| *at > close).map(|(_, net)| *net).sum();
        if last_equity.is_positive() { last_equity + since } else { last_equity }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::SessionDay;

    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().expect(text)
    }

    fn at(text: &str) -> MarketTime {
        MarketTime::parse(text).expect(text)
    }

    fn losses() -> Losses {
        let day = |date: &str| SessionDay {
            open: at(&format!("{date}T13:30:00Z")),
            close: at(&format!("{date}T20:00:00Z")),
        };
        Losses::new(&Limits::default(), Sessions::new(vec![day("2013-10-07"), day("2013-10-08")]))
    }

    /// An account of which the shares move.
    fn account(equity: &str) -> Account {
        Account {
            id: "a".to_owned(),
            equity: usd(equity),
            last_equity: usd("100000"),
            cash: Usd::ZERO,
            buying_power: Usd::ZERO,
            trading_blocked: false,
        }
    }

    fn facts(losses: &mut Losses) -> BTreeMap<String, String> {
        losses.facts().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn a_restart_does_not_forgive_the_day() {
        let mut losses = losses();
        assert_eq!(losses.on(&account("98100"), at("2013-10-07T15:00:00Z")), None);
        assert_eq!(losses.on(&account("500000"), at("2013-10-07T15:10:00Z")), None);
        assert_eq!(losses.equity(), None, "a jump is not believed at once");
        let trip = losses.on(&account("97900"), at("2013-10-07T15:30:00Z"));
        assert!(matches!(trip, Some(Trip::Day { .. })), "{trip:?}");
        assert!(losses.is_tripped());
        assert_eq!(losses.on(&account("97800"), at("2013-10-07T15:31:00Z")), None, "said once");
    }

    #[test]
    fn peak_and_start_of_the_day_outlive_the_process() {
        let mut before = losses();
        before.on(&account("99500"), at("2013-10-07T14:00:00Z"));
        before.transfer(usd("-400"), at("2013-10-07T14:01:00Z"));
        before.on(&account("99000"), at("2013-10-07T14:02:00Z"));
        before.transfer(usd("9000"), at("2013-10-07T14:03:00Z"));
        let mut rich = account("108000");
        rich.cash = usd("9000");
        before.on(&rich, at("2013-10-07T14:04:00Z"));
        let kept = facts(&mut before);
        assert_eq!(kept["day-start"], "2013-10-07T13:30:00Z 109000");
        assert_eq!(kept["peak-equity"], "108500");
        assert!(before.facts().is_empty(), "nothing new");

        let mut after = losses();
        after.restore(&kept);
        let trip = after.on(&account("106900"), at("2013-10-07T16:00:00Z"));
        let from = usd("109000");
        assert_eq!(
            trip.map(|trip| trip.to_string()),
            Some(Trip::Day { from, to: usd("106900") }.to_string())
        );

        // What was moved while nobody looked is told before the first reading.
        let mut after = losses();
        after.restore(&kept);
        after.transfer(usd("-50000"), at("2013-10-07T15:59:00Z"));
        assert_eq!(after.on(&account("58000"), at("2013-10-07T16:00:00Z")), None);
        assert_eq!(facts(&mut after)["day-start"], "2013-10-07T13:30:00Z 59000");

        // On the next day the close counts again, with what was moved in the night.
        let mut after = losses();
        after.restore(&kept);
        after.transfer(usd("-20000"), at("2013-10-08T02:00:00Z"));
        assert_eq!(
            after.on(&account("80000"), at("2013-10-08T14:00:00Z")).map(|trip| trip.to_string()),
            None
        );
        assert_eq!(facts(&mut after)["day-start"], "2013-10-08T13:30:00Z 80000");
    }
}
