//! The loss breakers, fed with the account as the broker reports it.
//!
//! A day starts from the broker's equity at the close before, plus the transfers that are dated after that
//! close. Of one that is dated on the day of the close nobody knows whether the close has it, when it was
//! learned after it, nor which close the broker means between a close and the next session: then the start is
//! the one that is nearest to the equity now.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use sandpit_cores::{LossBreaker, Reading, Trip, reconcile::Standing};
use sandpit_risk::Limits;
use sandpit_store::facts::{DAY_START, PEAK_EQUITY, REBASED};
use sandpit_types::{Account, MarketTime, Usd};

use crate::sessions::Sessions;

/// Transfers that are remembered, the newest. When full, the oldest is forgotten.
const MAX_TRANSFERS: usize = 100;

/// A row that has only a date has the start of that day, less than this before its close.
const DAY: Duration = Duration::from_secs(86_400);

/// The owner's money that came or went.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    dated: MarketTime,
    learned: MarketTime,
    net: Usd,
}

/// Whether the equity of a close has a transfer in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    Yes,
    No,
    Perhaps,
}

/// The breakers and the session they measure the day from.
pub struct Losses {
    breaker: LossBreaker,
    sessions: Sessions,
    day: Option<MarketTime>,
    /// What the day started from, by an earlier life in the same session.
    kept_start: Option<(MarketTime, Usd)>,
    /// Since when an operator wants losses to be measured anew, and from what, once that is known.
    rebased: Option<(MarketTime, Option<Usd>)>,
    transfers: VecDeque<Transfer>,
    is_tripped: bool,
    /// The facts as they were last given away.
    given: BTreeMap<&'static str, String>,
}

impl Losses {
    /// Breakers with the limits in force.
    pub fn new(limits: &Limits, sessions: Sessions) -> Self {
        Self {
            breaker: LossBreaker::new(limits.loss()),
            sessions,
            day: None,
            kept_start: None,
            rebased: None,
            transfers: VecDeque::new(),
            is_tripped: false,
            given: BTreeMap::new(),
        }
    }

    /// Takes a reading of the account; says which limit it reached, the first time that it reached any.
    ///
    /// The day is measured from the equity at the close before it, which the broker knows: a restart in the
    /// middle of a losing day does not begin a new one. What the owner moved since that close is part of it.
    pub fn on(&mut self, account: &Account, cash: Standing, now: MarketTime) -> Option<Trip> {
        let (unexplained, is_sure) = match cash {
            Standing::Explained => (Usd::ZERO, true),
            Standing::Unexplained(unexplained) => (unexplained, true),
            Standing::Doubtful(missing) => (Usd::ZERO - missing, false),
            // The next reading tells.
            Standing::Unclear => return None,
        };
        let reading = Reading { equity: account.equity, unexplained, is_sure };
        let equity = account.equity - unexplained;
        if let Some((_, from @ None)) = &mut self.rebased
            && is_sure
            && equity.is_positive()
        {
            *from = Some(equity);
        }
        let day = self.sessions.last_open(now);
        if day != self.day {
            self.day = day;
            self.breaker.start_day(Some(self.start_of(day, account.last_equity, equity, now)));
        }
        let trip = self.breaker.record(Some(reading), now).filter(|_| !self.is_tripped);
        self.is_tripped |= trip.is_some();
        trip
    }

    /// The owner put money in, or took it out; the broker dates it `dated`, and it is learned now.
    pub fn transfer(&mut self, net: Usd, dated: MarketTime, now: MarketTime) {
        let transfer = Transfer { dated, learned: now, net };
        self.transfers.push_back(transfer);
        if self.transfers.len() > MAX_TRANSFERS {
            self.transfers.pop_front();
        }
        if let Some((since, Some(from))) = &mut self.rebased
            && dated > *since
        {
            *from += net;
        }
        let is_of = |day, start, equity| match transfer.is_in(self.close_before(day)) {
            Has::Yes => false,
            Has::No => true,
            Has::Perhaps => nearest(&[start, start + net], equity) == start + net,
        };
        // Of an earlier life's day no equity is known: too low a start costs less than one too high.
        let kept = self.kept_start.is_some_and(|(day, start)| is_of(Some(day), start, Usd::ZERO));
        let day_start = self.breaker.day_start();
        // The equity after the transfer, as the books make it.
        let equity = self.breaker.believed().map(|equity| equity + net);
        let is_of_day = day_start.is_some_and(|start| is_of(self.day, start, equity.unwrap_or(Usd::ZERO)));
        if let Some((_, start)) = self.kept_start.as_mut().filter(|_| kept) {
            *start += net;
        }
        self.breaker.transfer(net, is_of_day);
    }

    /// Whether a limit was reached: no risk is added any more in this life.
    pub const fn is_tripped(&self) -> bool {
        self.is_tripped
    }

    /// The equity that can be believed; `None` while a reading has jumped and no other agreed with it, and
    /// while cash is not explained.
    pub fn equity(&self) -> Option<Usd> {
        self.breaker.equity()
    }

    /// What earlier lives kept. What cannot be read is as if it were absent.
    pub fn restore(&mut self, facts: &BTreeMap<String, String>) {
        if let Some(peak) = facts.get(PEAK_EQUITY).and_then(|text| text.parse().ok()) {
            self.breaker.remember_peak(peak);
        }
        self.kept_start = facts.get(DAY_START).and_then(|text| {
            let (day, equity) = text.split_once(' ')?;
            Some((MarketTime::parse(day).ok()?, equity.parse().ok()?))
        });
        self.rebased = facts.get(REBASED).and_then(|text| {
            let (since, equity) = text.split_once(' ').unwrap_or((text, ""));
            Some((MarketTime::parse(since).ok()?, equity.parse().ok()))
        });
    }

    /// What has to be kept and has changed.
    pub fn facts(&mut self) -> Vec<(&'static str, String)> {
        let peak = self.breaker.peak().map(|peak| (PEAK_EQUITY, peak.to_string()));
        let start = self.day.zip(self.breaker.day_start());
        let start = start.map(|(day, equity)| (DAY_START, format!("{day} {equity}")));
        let rebased = self.rebased.and_then(|(since, from)| Some((REBASED, format!("{since} {}", from?))));
        let is_new = |(name, value): &(&'static str, String)| self.given.get(name) != Some(value);
        let new: Vec<_> = [peak, start, rebased].into_iter().flatten().filter(is_new).collect();
        self.given.extend(new.iter().cloned());
        new
    }

    /// What a day is measured from, while the account is worth `equity`.
    fn start_of(&self, day: Option<MarketTime>, last: Usd, equity: Usd, now: MarketTime) -> Usd {
        let kept = self.kept_start.filter(|(of, _)| day == Some(*of));
        if let Some((_, kept)) = kept {
            return kept;
        }
        // Before the session opens the broker's close may be the newest one already.
        let newest = self.sessions.close_before(now).unwrap_or(MarketTime::EPOCH);
        let closes = [self.close_before(day), newest];
        if let Some((since, Some(from))) = self.rebased
            && closes.iter().any(|close| since >= *close)
        {
            return from;
        }
        if !last.is_positive() {
            return last;
        }
        let with = |close: MarketTime, perhaps: bool| {
            let counts = |transfer: &&Transfer| match transfer.is_in(close) {
                Has::Yes => false,
                Has::No => true,
                Has::Perhaps => perhaps,
            };
            last + self.transfers.iter().filter(counts).map(|transfer| transfer.net).sum()
        };
        let starts: Vec<Usd> =
            closes.into_iter().flat_map(|close| [with(close, false), with(close, true)]).collect();
        nearest(&starts, equity)
    }

    /// The close that a day is measured from.
    fn close_before(&self, day: Option<MarketTime>) -> MarketTime {
        day.and_then(|day| self.sessions.close_before(day)).unwrap_or(MarketTime::EPOCH)
    }
}

impl Transfer {
    fn is_in(self, close: MarketTime) -> Has {
        if self.dated > close {
            Has::No
        } else if self.learned <= close || self.dated <= close - DAY {
            Has::Yes
        } else {
            Has::Perhaps
        }
    }
}

/// The one nearest to `to`; the lowest of several.
fn nearest(of: &[Usd], to: Usd) -> Usd {
    of.iter().copied().min_by_key(|one| ((*one - to).abs(), *one)).unwrap_or(to)
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
        let days = ["2013-10-03", "2013-10-04", "2013-10-07", "2013-10-08"].map(day);
        Losses::new(&Limits::default(), Sessions::new(days.to_vec()))
    }

    /// With what an earlier life kept.
    fn kept(facts: &[(&str, &str)]) -> Losses {
        let mut losses = losses();
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        losses.restore(&facts.iter().map(text).collect());
        losses
    }

    /// A reading of which all cash is explained.
    fn read(losses: &mut Losses, equity: &str, last: &str, now: &str) -> Option<String> {
        let account = Account { last_equity: usd(last), ..account(equity) };
        losses.on(&account, Standing::Explained, at(now)).map(|trip| trip.to_string())
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

    /// A transfer that is learned as it happens.
    fn move_now(losses: &mut Losses, net: &str, time: &str) {
        losses.transfer(usd(net), at(time), at(time));
    }

    fn facts(losses: &mut Losses) -> BTreeMap<String, String> {
        losses.facts().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn a_restart_does_not_forgive_the_day() {
        let mut losses = losses();
        assert_eq!(losses.on(&account("98100"), Standing::Explained, at("2013-10-07T15:00:00Z")), None);
        assert_eq!(losses.on(&account("500000"), Standing::Explained, at("2013-10-07T15:10:00Z")), None);
        assert_eq!(losses.equity(), None, "a jump is not believed at once");
        let trip = losses.on(&account("97900"), Standing::Explained, at("2013-10-07T15:30:00Z"));
        assert!(matches!(trip, Some(Trip::Day { .. })), "{trip:?}");
        assert!(losses.is_tripped());
        assert_eq!(
            losses.on(&account("97800"), Standing::Explained, at("2013-10-07T15:31:00Z")),
            None,
            "said once"
        );
    }

    #[test]
    fn peak_and_start_of_the_day_outlive_the_process() {
        let mut before = losses();
        before.on(&account("99500"), Standing::Explained, at("2013-10-07T14:00:00Z"));
        move_now(&mut before, "-400", "2013-10-07T14:01:00Z");
        before.on(&account("99000"), Standing::Explained, at("2013-10-07T14:02:00Z"));
        move_now(&mut before, "9000", "2013-10-07T14:03:00Z");
        before.on(&account("108000"), Standing::Explained, at("2013-10-07T14:04:00Z"));
        let kept = facts(&mut before);
        assert_eq!(kept["day-start"], "2013-10-07T13:30:00Z 108600");
        assert_eq!(kept["peak-equity"], "108100");
        assert!(before.facts().is_empty(), "nothing new");

        let mut after = losses();
        after.restore(&kept);
        let trip = after.on(&account("106400"), Standing::Explained, at("2013-10-07T16:00:00Z"));
        let from = usd("108600");
        assert_eq!(
            trip.map(|trip| trip.to_string()),
            Some(Trip::Day { from, to: usd("106400") }.to_string())
        );

        // What was moved while nobody looked is told before the first reading.
        let mut after = losses();
        after.restore(&kept);
        move_now(&mut after, "-50000", "2013-10-07T15:59:00Z");
        assert_eq!(after.on(&account("58000"), Standing::Explained, at("2013-10-07T16:00:00Z")), None);
        assert_eq!(facts(&mut after)["day-start"], "2013-10-07T13:30:00Z 58600");

        // On the next day the close counts again, with what was moved in the night.
        let mut after = losses();
        after.restore(&kept);
        move_now(&mut after, "-20000", "2013-10-08T02:00:00Z");
        assert_eq!(
            after
                .on(&account("80000"), Standing::Explained, at("2013-10-08T14:00:00Z"))
                .map(|trip| trip.to_string()),
            None
        );
        assert_eq!(facts(&mut after)["day-start"], "2013-10-08T13:30:00Z 80000");
    }

    const MONDAY: &str = "2013-10-07T12:00:00Z";
    const BELL: &str = "2013-10-07T13:30:05Z";

    /// What the row of a transfer has, which has only a date.
    const FRIDAY: &str = "2013-10-04T04:00:00Z";
    const THURSDAY: &str = "2013-10-03T04:00:00Z";

    #[test]
    fn a_transfer_while_the_host_was_down_counts_where_it_belongs() {
        // The last day that was kept, the net, its date, when the host learned of it.
        let check = |day: &str, net: &str, dated: &str, equity: &str, lost: &str| {
            let name = format!("{day} {net} {dated}");
            let mut losses = kept(&[("day-start", &format!("{day} 100000")), ("peak-equity", "100000")]);
            losses.transfer(usd(net), at(dated), at(MONDAY));
            assert_eq!(read(&mut losses, equity, equity, MONDAY), None, "{name}");
            assert_eq!(read(&mut losses, equity, equity, BELL), None, "{name}");
            // A loss trips at what is really there.
            let trip = read(&mut losses, lost, equity, "2013-10-07T15:00:00Z").expect(&name);
            assert!(trip.contains(&format!("day: equity fell from {equity}")), "{name}: {trip}");
        };
        for day in ["2013-10-03T13:30:00Z", "2013-10-04T13:30:00Z"] {
            for dated in [THURSDAY, FRIDAY, "2013-10-04T17:00:00Z"] {
                check(day, "20000", dated, "120000", "117600");
                check(day, "-20000", dated, "80000", "78400");
            }
        }
    }

    #[test]
    fn a_transfer_after_the_close_is_added_to_it() {
        for (net, equity, lost) in [("20000", "120000", "117600"), ("-20000", "80000", "78400")] {
            for dated in ["2013-10-05T04:00:00Z", "2013-10-07T04:00:00Z", "2013-10-07T11:00:00Z"] {
                let mut losses = kept(&[("peak-equity", "100000")]);
                losses.transfer(usd(net), at(dated), at(MONDAY));
                assert_eq!(read(&mut losses, equity, "100000", MONDAY), None, "{dated}");
                assert_eq!(read(&mut losses, equity, "100000", BELL), None, "{dated}");
                let trip = read(&mut losses, lost, "100000", "2013-10-07T15:00:00Z").expect(dated);
                assert!(trip.contains(&format!("day: equity fell from {equity}")), "{dated}: {trip}");
            }
        }
    }

    #[test]
    fn a_row_that_is_learned_after_the_close_that_has_it_moves_no_day() {
        let mut losses = losses();
        let deposit = Standing::Unexplained(usd("20000"));
        losses.on(&account("100000"), Standing::Explained, at("2013-10-04T15:00:00Z"));
        losses.on(&account("120000"), deposit, at("2013-10-04T19:00:00Z"));
        let monday = Account { last_equity: usd("120000"), ..account("120000") };
        assert_eq!(losses.on(&monday, deposit, at(BELL)), None);
        losses.transfer(usd("20000"), at(FRIDAY), at("2013-10-07T14:00:00Z"));
        assert_eq!(losses.on(&monday, Standing::Explained, at("2013-10-07T14:00:10Z")), None);
        assert_eq!(facts(&mut losses)["day-start"], "2013-10-07T13:30:00Z 120000");
        assert_eq!(facts(&mut losses).get("peak-equity"), None, "given");
        assert_eq!(losses.equity(), Some(usd("120000")));
    }

    #[test]
    fn money_that_went_without_a_row_is_no_loss_and_stops_entries() {
        let mut losses = kept(&[("peak-equity", "100000")]);
        assert_eq!(read(&mut losses, "100000", "100000", "2013-10-07T15:00:00Z"), None);
        let gone = Standing::Unexplained(usd("-20000"));
        for minute in 1..50 {
            let now = at(&format!("2013-10-07T15:{minute:02}:00Z"));
            assert_eq!(losses.on(&account("80000"), gone, now), None);
            assert_eq!(losses.equity(), None);
        }
        // Shares that fall meanwhile are a loss.
        assert!(losses.on(&account("78900"), gone, at("2013-10-07T15:51:00Z")).is_some());
    }

    #[test]
    fn what_an_operator_rebased_is_measured_from_there() {
        let rebased = ("rebased", "2013-10-08T01:00:00Z");
        let mut losses = kept(&[rebased]);
        // The close before the next session is of before it.
        assert_eq!(read(&mut losses, "89900", "100000", "2013-10-08T12:00:00Z"), None);
        let told = facts(&mut losses);
        assert_eq!(told["rebased"], "2013-10-08T01:00:00Z 89900");
        let mut next = losses_of(&told);
        assert_eq!(read(&mut next, "89800", "100000", "2013-10-08T13:31:00Z"), None);
        let trip = read(&mut next, "88000", "100000", "2013-10-08T15:00:00Z").expect("lost");
        assert!(trip.contains("equity fell from 89900"), "{trip}");
        // Without it the drawdown is there.
        let mut losses = kept(&[("peak-equity", "100000")]);
        assert!(read(&mut losses, "89900", "89900", "2013-10-08T12:00:00Z").is_some());
    }

    fn losses_of(told: &BTreeMap<String, String>) -> Losses {
        let mut losses = losses();
        losses.restore(told);
        losses
    }
}
