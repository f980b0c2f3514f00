//! Loss breakers over the account's equity.
//!
//! A reading that is missing, not above zero, or far from the last one is *unknown*: brokers serve such
//! readings at odd hours, and they are no loss. A jump becomes real when two further readings agree with it;
//! a missing or worthless reading never does, and the watchdog, which sees cash and market values, judges
//! those.
//!
//! What is measured is the equity with the cash that fills and activities make. Cash that nothing explains is
//! neither profit nor loss, however long it stays: while there is any, equity is unknown to entries, the
//! freeze of the cash check is the answer to it, nothing becomes a peak, and what is a loss whatever the cash
//! turns out to be still trips.
//!
//! What the owner puts in or takes out is neither profit nor loss, too: with the row that tells of it the
//! cash of the books moves, and peak and window move with it, once, whenever the money shows.

use std::{collections::VecDeque, time::Duration};

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Usd};

/// The length of the sliding window of the quick breaker.
const HALF_HOUR: Duration = Duration::from_secs(30 * 60);

/// From one reading to the next the equity of an account without leverage does not move by more than a tenth.
const JUMP: Decimal = Decimal::from_parts(10, 0, 0, false, 2);

/// Readings this close agree about a jump.
const AGREEMENT: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// Further readings that make a jump real.
const CONFIRMATIONS: u32 = 2;

/// What the broker says the account is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Cash plus market values.
    pub equity: Usd,
    /// Cash in it that nothing explains: above zero when there is more than fills and activities make.
    pub unexplained: Usd,
    /// Whether it is just that; otherwise at most so much is missing, perhaps nothing.
    pub is_sure: bool,
}

/// How much may be lost, as fractions of the capital.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossLimits {
    /// Within any 30 minutes.
    pub half_hour: Decimal,
    /// Since the session's start.
    pub day: Decimal,
    /// From the highest equity seen.
    pub drawdown: Decimal,
    /// Capital that may be used; without it all equity is.
    pub nav: Option<Usd>,
}

/// Which limit was reached, with the equity it fell from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trip {
    /// Lost too much within 30 minutes.
    #[error("loss in 30 minutes: equity fell from {from} to {to} USD")]
    HalfHour {
        /// The highest equity of the 30 minutes.
        from: Usd,
        /// The equity now.
        to: Usd,
    },
    /// Lost too much since the session's start.
    #[error("loss of the day: equity fell from {from} to {to} USD")]
    Day {
        /// The equity at the session's start.
        from: Usd,
        /// The equity now.
        to: Usd,
    },
    /// Lost too much from the peak.
    #[error("drawdown: equity fell from {from} to {to} USD")]
    Drawdown {
        /// The highest equity seen.
        from: Usd,
        /// The equity now.
        to: Usd,
    },
}

/// The three breakers.
#[derive(Clone, Debug)]
pub struct LossBreaker {
    limits: LossLimits,
    /// The last equity that was believed, as fills and activities make it.
    last: Option<Usd>,
    /// The last one of which all cash was explained.
    explained: Option<Usd>,
    suspect: Option<(Usd, u32)>,
    /// Whether all cash of the last reading was explained.
    is_explained: bool,
    day_start: Option<Usd>,
    peak: Option<Usd>,
    /// The highest reading of each of the newest minutes: at most one entry a minute.
    minutes: VecDeque<(MarketTime, Usd)>,
}

impl LossBreaker {
    /// Breakers that have seen no reading. The first known one is the day's start and the peak.
    pub const fn new(limits: LossLimits) -> Self {
        Self {
            limits,
            last: None,
            explained: None,
            suspect: None,
            is_explained: true,
            day_start: None,
            peak: None,
            minutes: VecDeque::new(),
        }
    }

    /// A session starts from this equity, such as the broker's for the close before. Without a positive one
    /// the next known reading is the start.
    pub fn start_day(&mut self, equity: Option<Usd>) {
        self.day_start = equity.filter(|equity| equity.is_positive());
    }

    /// A peak that was seen in an earlier life.
    pub fn remember_peak(&mut self, peak: Usd) {
        self.peak = self.peak.max(Some(peak).filter(|peak| peak.is_positive()));
    }

    /// The highest known equity, to be kept over restarts.
    pub const fn peak(&self) -> Option<Usd> {
        self.peak
    }

    /// The equity that the day is measured from, to be kept over restarts.
    pub const fn day_start(&self) -> Option<Usd> {
        self.day_start
    }

    /// The last equity that was believed, as fills and activities make it.
    pub const fn believed(&self) -> Option<Usd> {
        self.last
    }

    /// The last known equity; `None` while it is unknown, and then no risk may be added.
    pub fn equity(&self) -> Option<Usd> {
        self.last.filter(|_| self.suspect.is_none() && self.is_explained)
    }

    /// The owner put money in (above zero) or took it out; said once, when it is learned, and from then on no
    /// reading has it among what is unexplained. `is_of_day`: the day did not start with it.
    pub fn transfer(&mut self, net: Usd, is_of_day: bool) {
        let moved = |equity: Usd| Some(equity + net).filter(|equity| equity.is_positive());
        self.peak = self.peak.and_then(moved);
        self.last = self.last.and_then(moved);
        self.explained = self.explained.and_then(moved);
        if is_of_day {
            self.day_start = self.day_start.and_then(moved);
        }
        if let Some((jumped, _)) = &mut self.suspect {
            *jumped += net;
        }
        for (_, highest) in &mut self.minutes {
            *highest += net;
        }
    }

    /// Takes a reading, and says which limit it reaches, if any: the quick one first. It says so again at
    /// every reading that is still beyond.
    pub fn record(&mut self, reading: Option<Reading>, now: MarketTime) -> Option<Trip> {
        let reading = reading.filter(|reading| reading.equity.is_positive());
        self.is_explained = reading.is_none_or(|reading| reading.is_sure && reading.unexplained.is_zero());
        let is_sure = reading.is_none_or(|reading| reading.is_sure);
        let equity = self.known(reading.map(|reading| reading.equity - reading.unexplained), is_sure)?;
        if self.is_explained {
            self.explained = Some(equity);
        }
        // Nothing falls from a height that was never explained.
        let high = equity.min(self.explained.unwrap_or(equity));
        let from = if is_sure { self.highest_since(now, high) } else { self.highest(now, high) };
        let day_start =
            if is_sure { *self.day_start.get_or_insert(high) } else { self.day_start.unwrap_or(high) };
        // The broker's equity of the close before may have the unexplained in it.
        let of_day = reading.map_or(equity, |reading| reading.equity.max(equity));
        if self.is_explained {
            self.peak = self.peak.max(Some(equity));
        }
        let peak = self.peak.unwrap_or(equity);
        if self.is_lost(from, equity, self.limits.half_hour) {
            Some(Trip::HalfHour { from, to: equity })
        } else if self.is_lost(day_start, of_day, self.limits.day) {
            Some(Trip::Day { from: day_start, to: of_day })
        } else if self.is_lost(peak, equity, self.limits.drawdown) {
            Some(Trip::Drawdown { from: peak, to: equity })
        } else {
            None
        }
    }

    /// The equity, if it can be believed.
    fn known(&mut self, equity: Option<Usd>, is_sure: bool) -> Option<Usd> {
        let Some(equity) = equity.filter(|equity| equity.is_positive()) else {
            self.suspect.get_or_insert((Usd::ZERO, 0));
            return None;
        };
        let believed = match (self.last, self.suspect) {
            (None, _) => true,
            (Some(last), _) if is_within(equity, last, JUMP) => true,
            (Some(_), Some((jumped, seen))) if is_within(equity, jumped, AGREEMENT) => {
                self.suspect = Some((jumped, seen + 1));
                seen + 1 >= CONFIRMATIONS
            }
            (Some(_), Some(_) | None) => {
                self.suspect = Some((equity, 0));
                false
            }
        };
        if !believed {
            return None;
        }
        self.suspect = None;
        if is_sure {
            self.last = Some(equity);
        }
        Some(equity)
    }

    /// The highest equity of the last 30 whole minutes and the one under way, `equity` taken in.
    fn highest_since(&mut self, now: MarketTime, equity: Usd) -> Usd {
        match self.minutes.back_mut() {
            Some((minute, highest)) if *minute >= now.minute() => *highest = equity.max(*highest),
            Some(_) | None => self.minutes.push_back((now.minute(), equity)),
        }
        self.highest(now, equity)
    }

    /// The same without taking it in; it is `equity` where there is none.
    fn highest(&mut self, now: MarketTime, equity: Usd) -> Usd {
        let oldest = (now - HALF_HOUR).minute();
        while self.minutes.front().is_some_and(|&(minute, _)| minute < oldest) {
            self.minutes.pop_front();
        }
        self.minutes.iter().map(|&(_, highest)| highest).max().unwrap_or(equity)
    }

    fn is_lost(&self, from: Usd, to: Usd, fraction: Decimal) -> bool {
        let capital = self.limits.nav.map_or(from, |nav| nav.min(from));
        from - to >= capital * fraction && from > to
    }
}

fn is_within(a: Usd, b: Usd, fraction: Decimal) -> bool {
    (a - b).abs() <= b * fraction
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: LossLimits = LossLimits {
        half_hour: Decimal::from_parts(1, 0, 0, false, 2),
        day: Decimal::from_parts(2, 0, 0, false, 2),
        drawdown: Decimal::from_parts(10, 0, 0, false, 2),
        nav: None,
    };

    fn usd(whole: i64) -> Usd {
        Usd::new(Decimal::from(whole))
    }

    /// A reading that is explained.
    fn plain(equity: i64) -> Option<Reading> {
        Some(Reading { equity: usd(equity), unexplained: Usd::ZERO, is_sure: true })
    }

    /// A reading with cash that nothing explains.
    fn odd(equity: i64, unexplained: i64) -> Option<Reading> {
        Some(Reading { equity: usd(equity), unexplained: usd(unexplained), is_sure: true })
    }

    fn at(minutes: i64) -> MarketTime {
        MarketTime::from_secs(minutes * 60)
    }

    /// Records (minute, equity) one by one and returns what the last one trips. A negative number is a
    /// missing one.
    fn last_of(mut breaker: LossBreaker, readings: &[(i64, i64)]) -> Option<Trip> {
        let mut last = None;
        for &(minute, equity) in readings {
            last = breaker.record(plain(equity).filter(|_| equity >= 0), at(minute));
        }
        last
    }

    #[test]
    fn losses_trip_and_odd_readings_do_not() {
        let check = |readings: &[(i64, i64)], expected: Option<Trip>| {
            assert_eq!(last_of(LossBreaker::new(LIMITS), readings), expected, "{readings:?}");
        };
        let half_hour = |from, to| Some(Trip::HalfHour { from: usd(from), to: usd(to) });
        let day = |from, to| Some(Trip::Day { from: usd(from), to: usd(to) });
        check(&[(0, 100_000)], None);
        check(&[(0, 100_000), (1, 99_001)], None);
        check(&[(0, 100_000), (1, 99_000)], half_hour(100_000, 99_000));
        check(&[(0, 100_000), (30, 99_000)], half_hour(100_000, 99_000));
        check(&[(0, 100_000), (31, 99_000)], None);
        check(&[(0, 100_000), (31, 99_100), (62, 98_300), (93, 98_000)], day(100_000, 98_000));
        // A rise and a fall within the same minute are seen.
        check(&[(0, 100_000), (1, 101_500), (1, 100_400)], half_hour(101_500, 100_400));
        // Missing and worthless readings are no loss, however many.
        check(&[(0, 100_000), (1, -1), (2, 0), (3, 0), (4, 0), (5, 0)], None);
        check(&[(0, 100_000), (1, 0), (2, 99_500)], None);
        // A jump is unknown until two further readings agree with it.
        check(&[(0, 100_000), (1, 50_000)], None);
        check(&[(0, 100_000), (1, 50_000), (2, 50_100)], None);
        check(&[(0, 100_000), (1, 50_000), (2, 50_100), (3, 49_900)], half_hour(100_000, 49_900));
        check(&[(0, 100_000), (1, 50_000), (2, 70_000), (3, 50_000), (4, 50_000)], None);
        check(&[(0, 100_000), (1, 50_000), (2, 99_500), (3, 50_000), (4, 50_000)], None);
    }

    #[test]
    fn earlier_lives_and_the_capital_count() {
        let mut breaker = LossBreaker::new(LIMITS);
        breaker.remember_peak(usd(110_000));
        assert_eq!(
            last_of(breaker, &[(0, 99_500), (40, 99_000)]),
            Some(Trip::Drawdown { from: usd(110_000), to: usd(99_000) })
        );
        let mut breaker = LossBreaker::new(LIMITS);
        breaker.start_day(Some(usd(100_000)));
        assert_eq!(last_of(breaker, &[(0, 98_000)]), Some(Trip::Day { from: usd(100_000), to: usd(98_000) }));
        let small = LossBreaker::new(LossLimits { nav: Some(usd(10_000)), ..LIMITS });
        assert_eq!(
            last_of(small, &[(0, 100_000), (1, 99_900)]),
            Some(Trip::HalfHour { from: usd(100_000), to: usd(99_900) })
        );
    }

    #[test]
    fn a_reading_counts_for_thirty_minutes_at_least() {
        let mut breaker = LossBreaker::new(LIMITS);
        breaker.record(plain(100_000), MarketTime::from_secs(59));
        let trip = breaker.record(plain(99_000), MarketTime::from_secs(59 + 30 * 60));
        assert!(matches!(trip, Some(Trip::HalfHour { .. })), "{trip:?}");
    }

    #[test]
    fn an_unknown_equity_says_so() {
        let mut breaker = LossBreaker::new(LIMITS);
        assert_eq!(breaker.equity(), None);
        breaker.record(plain(100_000), at(0));
        assert_eq!(breaker.equity(), Some(usd(100_000)));
        breaker.record(None, at(1));
        assert_eq!(breaker.equity(), None);
        breaker.record(plain(100_100), at(2));
        assert_eq!(breaker.equity(), Some(usd(100_100)));
    }

    #[test]
    fn a_transfer_is_neither_profit_nor_loss() {
        /// One thing that happens, at a minute.
        enum Step {
            /// Equity, and what of it is unexplained.
            Reads(i64, i64),
            Transfer(i64),
        }
        use Step::{Reads, Transfer};
        let check = |name: &str, steps: &[Step], peak: i64, trips: bool| {
            let mut breaker = LossBreaker::new(LIMITS);
            breaker.record(plain(100_000), at(0));
            let mut trip = None;
            for (minute, step) in (1..).zip(steps) {
                match step {
                    Reads(equity, more) => trip = trip.or(breaker.record(odd(*equity, *more), at(minute))),
                    Transfer(net) => breaker.transfer(usd(*net), true),
                }
            }
            assert_eq!(trip.is_some(), trips, "{name}: {trip:?}");
            assert_eq!(breaker.peak(), Some(usd(peak)), "{name}");
        };
        check("told first", &[Transfer(-5_000), Reads(95_000, 0), Reads(95_000, 0)], 95_000, false);
        check(
            "told first, and hours before it shows",
            &[Transfer(-5_000), Reads(100_000, 5_000), Reads(100_000, 5_000), Reads(95_000, 0)],
            95_000,
            false,
        );
        check("told after", &[Reads(95_000, -5_000), Transfer(-5_000), Reads(95_000, 0)], 95_000, false);
        check("in, told first", &[Transfer(50_000), Reads(150_000, 0), Reads(149_900, 0)], 150_000, false);
        check(
            "in, told after",
            &[Reads(150_000, 50_000), Transfer(50_000), Reads(149_900, 0)],
            150_000,
            false,
        );
        check("told by nobody", &[Reads(80_000, -20_000), Reads(80_000, -20_000)], 100_000, false);
        check("in by nobody", &[Reads(120_000, 20_000), Reads(120_000, 20_000)], 100_000, false);
        check("a loss beside it", &[Reads(80_000, -20_000), Reads(78_900, -20_000)], 100_000, true);
        check("a loss beneath it", &[Reads(120_000, 20_000), Reads(118_900, 20_000)], 100_000, true);
        check("a loss of cash that fills explain", &[Reads(98_500, 0)], 100_000, true);
    }

    #[test]
    fn a_day_that_started_with_the_transfer_does_not_move() {
        let mut breaker = LossBreaker::new(LIMITS);
        breaker.remember_peak(usd(100_000));
        breaker.start_day(Some(usd(60_000)));
        breaker.transfer(usd(-40_000), false);
        assert_eq!(breaker.record(plain(59_500), at(1)), None);
        assert_eq!((breaker.peak(), breaker.day_start()), (Some(usd(60_000)), Some(usd(60_000))));
        breaker.start_day(Some(usd(59_500)));
        assert_eq!(breaker.record(odd(79_500, 20_000), at(40)), None, "the close had what nobody explains");
        breaker.transfer(usd(20_000), true);
        assert_eq!((breaker.peak(), breaker.day_start()), (Some(usd(80_000)), Some(usd(79_500))));
    }

    #[test]
    fn what_is_unexplained_is_never_a_peak() {
        let mut breaker = LossBreaker::new(LIMITS);
        breaker.record(plain(100_000), at(0));
        // Shares that were bought for it are in the equity already.
        assert_eq!(breaker.record(odd(100_000, -5_000), at(1)), None);
        assert_eq!(breaker.peak(), Some(usd(100_000)));
        assert_eq!(breaker.record(plain(100_000), at(2)), None, "no loss of 5,000");
        // However long it stays, the shares fall from what was explained last.
        for minute in 3..50 {
            assert_eq!(breaker.record(odd(95_000, -5_000), at(minute)), None);
        }
        assert!(breaker.record(odd(93_900, -5_000), at(50)).is_some());
    }

    #[test]
    fn in_doubt_only_what_is_a_loss_in_any_case_trips() {
        let doubtful = |equity, missing: i64| {
            Some(Reading { equity: usd(equity), unexplained: usd(-missing), is_sure: false })
        };
        let check = |equity: i64, missing: i64, trips: bool| {
            let mut breaker = LossBreaker::new(LIMITS);
            breaker.record(plain(100_000), at(0));
            let trip = breaker.record(doubtful(equity, missing), at(1));
            assert_eq!(trip.is_some(), trips, "{equity} {missing}: {trip:?}");
            assert_eq!((breaker.equity(), breaker.peak()), (None, Some(usd(100_000))));
            assert_eq!(breaker.believed(), Some(usd(100_000)));
        };
        check(95_000, 5_000, false);
        check(100_000, 5_000, false);
        check(93_000, 5_000, true);
        check(99_000, 0, true);
        check(104_000, 0, false);
    }

    #[test]
    fn what_is_unexplained_withholds_entries_until_it_is_known() {
        let mut breaker = LossBreaker::new(LIMITS);
        breaker.record(plain(100_000), at(0));
        assert_eq!(breaker.record(odd(95_000, -5_000), at(1)), None);
        assert_eq!(breaker.equity(), None);
        breaker.transfer(usd(-5_000), true);
        assert_eq!(breaker.record(plain(95_000), at(1)), None);
        assert_eq!(breaker.equity(), Some(usd(95_000)));
        // A loss afterwards counts from there.
        assert!(breaker.record(plain(94_000), at(2)).is_some());
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_a_rising_account_never_trips(
            steps in prop::collection::vec((0_i64..600, 0_i64..900), 1..400),
        ) {
            let mut breaker = LossBreaker::new(LIMITS);
            let (mut secs, mut equity) = (0, 100_000);
            for (pause, gain) in steps {
                secs += pause;
                equity += gain;
                prop_assert_eq!(breaker.record(plain(equity), MarketTime::from_secs(secs)), None);
                prop_assert!(breaker.minutes.len() <= 31);
            }
        }
    }
}
