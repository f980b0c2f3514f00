//! What was lost: from the peak, within half an hour, since the session's start.
//!
//! The half hour is real time, whatever the clocks are set to. A session starts from the broker's
//! `last_equity`, corrected by the owner's money that came or went since that close.

use std::{collections::VecDeque, time::Duration};

use sandpit_contract::BootTime;
use serde::{Deserialize, Serialize};

use super::{Terms, belief::is_near, money::Money};

/// The window keeps the highest equity of each minute.
const MINUTE_NANOS: u64 = 60_000_000_000;
/// Minutes that are kept at most: more than half an hour has.
const MAX_MINUTES: usize = 40;
/// The owner's newest moves that are remembered for the start of a session; older ones are forgotten.
const MAX_MOVES: usize = 32;

/// What the broker says about the last close.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Close {
    /// The equity at it.
    pub(super) equity: Money,
    /// Its day, `YYYY-MM-DD`, if the broker says it.
    pub(super) day: Option<String>,
}

/// Equity as the limits see it: between the two lies cash that may be the owner's or a gain or a loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// What it is at the least: no more than this becomes a peak.
    pub(super) low: Money,
    /// What it is at the most: a loss is a loss only from here on.
    pub(super) high: Money,
}

/// What is measured from; it survives the watchdog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Losses {
    peak: Option<Money>,
    /// The highest of each of the newest minutes.
    minutes: VecDeque<(BootTime, Money)>,
    /// The session's start and the close that it was taken from.
    start: Option<Money>,
    close: Option<Close>,
    /// A close that was shown once: a second reading has to show it, too.
    candidate: Option<Close>,
    /// The owner's moves by their day, the newest last.
    moves: VecDeque<(String, Money)>,
    /// The next reading is where everything is measured from.
    is_anew: bool,
}

/// So much was lost, in hundredths of a per cent of the capital.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// From the peak.
    pub(super) drawdown: i64,
    /// Within half an hour.
    pub(super) half_hour: i64,
    /// Since the session's start.
    pub(super) day: i64,
}

impl Losses {
    /// The highest equity known.
    pub(super) const fn peak(&self) -> Option<Money> {
        self.peak
    }

    /// The day of the last close.
    pub(super) fn close_day(&self) -> Option<&str> {
        self.close.as_ref()?.day.as_deref()
    }

    /// After a boot the readings of before have no time any more.
    pub(super) fn forget_minutes(&mut self) {
        self.minutes.clear();
    }

    /// A human accepts what was lost.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { moves: std::mem::take(&mut self.moves), is_anew: true, ..Self::default() };
    }

    /// Notes a move of the owner's for starts of sessions to come.
    pub(super) fn note_move(&mut self, day: &str, net: Money) {
        if self.moves.len() == MAX_MOVES {
            self.moves.pop_front();
        }
        self.moves.push_back((day.to_owned(), net));
    }

    /// The owner's money came (above zero) or went, and moves everything with it.
    pub(super) fn shift(&mut self, net: Money) {
        self.peak = self.peak.map(|peak| peak + net);
        self.start = self.start.map(|start| start + net);
        for (_, highest) in &mut self.minutes {
            *highest += net;
        }
    }

    /// The same for money that was counted before: what came is in the peak already.
    pub(super) fn shift_late(&mut self, net: Money) {
        if net.is_positive() {
            self.start = self.start.map(|start| start + net);
        } else {
            self.shift(net);
        }
    }

    /// Takes a reading in, and says which limit it reaches, if any.
    pub(super) fn on(
        &mut self,
        seen: Seen,
        close: Option<Close>,
        terms: &Terms,
        window: Duration,
        now: BootTime,
    ) -> (Lost, Option<String>) {
        let is_between = self.begin_day(close, seen.low);
        self.peak = self.peak.max(Some(seen.low));
        self.note_minute(seen.low, now);
        while self.minutes.front().is_some_and(|(at, _)| now.since(*at) > window) {
            self.minutes.pop_front();
        }
        let highest = self.minutes.iter().map(|(_, highest)| *highest).max();
        let checks = [
            ("loss in 30 minutes", highest, terms.half_hour_loss),
            ("loss of the day", self.start.filter(|_| !is_between), terms.day_loss),
            ("drawdown", self.peak, terms.drawdown),
        ];
        let lost = checks.map(|(_, from, _)| from.map_or(0, |from| terms.share_lost(from, seen.high)));
        let beyond = checks.into_iter().find_map(|(name, from, limit)| {
            let from = from.filter(|from| terms.is_lost(*from, seen.high, limit))?;
            let (to, limit) = (seen.high, percent(limit));
            Some(format!("{name}: equity fell from {from} to {to}, the limit is {limit} %"))
        });
        (Lost { half_hour: lost[0], day: lost[1], drawdown: lost[2] }, beyond)
    }

    /// A new trading day is there when two readings show another close. True for the first of them: nobody
    /// knows what the day started from. A reading without a close settles nothing, so the day is measured
    /// from the start that is known. Of a day that a human began anew the close says nothing.
    fn begin_day(&mut self, close: Option<Close>, equity: Money) -> bool {
        let close = close.filter(|close| close.equity.is_positive());
        if self.is_anew {
            self.start.get_or_insert(equity);
            self.is_anew = close.is_none();
            self.close = close;
            return false;
        }
        let Some(close) = close else {
            self.start.get_or_insert(equity);
            return false;
        };
        if self.close.as_ref() == Some(&close) {
            self.candidate = None;
        } else if self.candidate.as_ref() == Some(&close) {
            self.start = Some(self.start_of(&close, equity));
            self.close = self.candidate.take();
        } else {
            self.candidate = Some(close);
        }
        self.candidate.is_some()
    }

    /// A move of a later day is not in the close. Of one of the same day nobody knows: then the start is what
    /// comes nearest to the equity now.
    fn start_of(&self, close: &Close, equity: Money) -> Money {
        let Some(day) = close.day.as_deref() else {
            return close.equity;
        };
        let later: Money = self.moves.iter().filter(|(of, _)| of.as_str() > day).map(|(_, net)| *net).sum();
        let mut start = close.equity + later;
        let mut nearest = start;
        for (_, net) in self.moves.iter().rev().filter(|(of, _)| of == day) {
            start += *net;
            if (start - equity).abs() < (nearest - equity).abs() && !is_near(nearest, equity) {
                nearest = start;
            }
        }
        nearest
    }

    fn note_minute(&mut self, equity: Money, now: BootTime) {
        let minute = |at: BootTime| at.as_nanos() / MINUTE_NANOS;
        match self.minutes.back_mut() {
            Some((at, highest)) if minute(*at) == minute(now) => {
                // Kept until the whole minute is over: rather a little too long.
                (*at, *highest) = (now, equity.max(*highest));
            }
            Some(_) | None => self.minutes.push_back((now, equity)),
        }
        if self.minutes.len() > MAX_MINUTES {
            self.minutes.pop_front();
        }
    }
}

/// Hundredths of a per cent as per cent.
pub(super) fn percent(basis_points: u32) -> String {
    let text = format!("{}.{:02}", basis_points / 100, basis_points % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::HALF_HOUR;

    const TERMS: Terms = Terms { nav: None, ..Terms::CEILINGS };

    fn at(minutes: u64) -> BootTime {
        BootTime::from_nanos(minutes * MINUTE_NANOS)
    }

    fn plain(equity: i64) -> Seen {
        Seen { low: Money::whole(equity), high: Money::whole(equity) }
    }

    fn close(equity: i64, day: &str) -> Option<Close> {
        Some(Close { equity: Money::whole(equity), day: Some(day.into()) })
    }

    fn on(losses: &mut Losses, minute: u64, equity: i64, close: Option<Close>) -> Option<String> {
        losses.on(plain(equity), close, &TERMS, HALF_HOUR, at(minute)).1
    }

    /// (minute, equity) one by one; what the last one reaches.
    fn check(readings: &[(u64, i64)], expected: Option<&str>) {
        let mut losses = Losses::default();
        let all: Vec<_> =
            readings.iter().map(|&(minute, equity)| on(&mut losses, minute, equity, None)).collect();
        let (last, before) = all.split_last().expect("one");
        assert!(before.iter().all(Option::is_none), "{readings:?}: {before:?}");
        match (last, expected) {
            (None, None) => {}
            (Some(text), Some(words)) if text.contains(words) => {}
            other => panic!("{readings:?}: {other:?}"),
        }
    }

    #[test]
    fn each_limit_is_reached_at_its_value() {
        check(&[(0, 100_000), (1, 99_001)], None);
        check(
            &[(0, 100_000), (1, 99_000)],
            Some("loss in 30 minutes: equity fell from 100000.00 to 99000.00"),
        );
        check(&[(0, 100_000), (30, 99_000)], Some("loss in 30 minutes"));
        check(&[(0, 100_000), (31, 99_000)], None);
        check(&[(0, 100_000), (31, 99_100), (62, 98_200), (93, 98_000)], Some("loss of the day"));
        check(&[(0, 100_000), (1, 101_500), (1, 100_400)], Some("loss in 30 minutes"));
        let slow: Vec<_> = (0..12).map(|n| (n * 31, 100_000 - 900 * n as i64)).collect();
        let mut losses = Losses::default();
        for &(minute, equity) in &slow[..11] {
            let day = format!("2026-01-{:02}", 10 + minute / 31);
            // Every reading is of a day that nobody knows yet.
            on(&mut losses, minute, equity, close(equity, &day));
        }
        let text = on(&mut losses, 400, 90_000, close(90_000, "2026-02-01"));
        assert!(
            text.as_ref().is_some_and(|text| text.contains("drawdown: equity fell from 100000.00")),
            "{text:?}"
        );
    }

    #[test]
    fn a_smaller_capital_makes_for_smaller_losses() {
        let terms = Terms { nav: Some(Money::whole(10_000)), ..TERMS };
        let mut losses = Losses::default();
        assert_eq!(losses.on(plain(100_000), None, &terms, HALF_HOUR, at(0)).1, None);
        assert_eq!(losses.on(plain(99_901), None, &terms, HALF_HOUR, at(1)).1, None);
        let (lost, text) = losses.on(plain(99_900), None, &terms, HALF_HOUR, at(2));
        assert!(text.is_some_and(|text| text.contains("30 minutes")));
        assert_eq!(lost, Lost { half_hour: 100, day: 100, drawdown: 100 });
    }

    #[test]
    fn the_owners_money_is_no_loss() {
        let mut losses = Losses::default();
        assert_eq!(on(&mut losses, 0, 100_000, None), None);
        losses.shift(Money::whole(-50_000));
        assert_eq!(on(&mut losses, 1, 50_000, None), None);
        losses.shift(Money::whole(100_000));
        assert_eq!(on(&mut losses, 2, 150_000, None), None);
        // And its loss afterwards is one of the whole.
        assert!(on(&mut losses, 3, 148_400, None).is_some());
        // While nobody knows, neither end of the doubt is held against the account.
        let mut losses = Losses::default();
        let doubtful = Seen { low: Money::whole(100_000), high: Money::whole(150_000) };
        assert_eq!(losses.on(doubtful, None, &TERMS, HALF_HOUR, at(0)).1, None);
        assert_eq!(losses.peak(), Some(Money::whole(100_000)));
        assert_eq!(on(&mut losses, 1, 99_500, None), None);
    }

    #[test]
    fn a_day_starts_from_the_close_and_what_the_owner_moved_since() {
        let start = |moves: &[(&str, i64)], equity: i64| {
            let mut losses = Losses::default();
            for &(day, net) in moves {
                losses.note_move(day, Money::whole(net));
            }
            on(&mut losses, 0, equity, close(100_000, "2026-03-02"));
            assert!(losses.candidate.is_some(), "one reading is not enough");
            on(&mut losses, 1, equity, close(100_000, "2026-03-02"));
            losses.start
        };
        assert_eq!(start(&[], 98_000), Some(Money::whole(100_000)));
        assert_eq!(start(&[("2026-03-03", -5_000)], 95_000), Some(Money::whole(95_000)));
        assert_eq!(start(&[("2026-03-01", -5_000)], 99_000), Some(Money::whole(100_000)));
        // Of the day of the close: whichever is nearer.
        assert_eq!(start(&[("2026-03-02", -5_000)], 95_500), Some(Money::whole(95_000)));
        assert_eq!(start(&[("2026-03-02", -5_000)], 99_500), Some(Money::whole(100_000)));
    }

    #[test]
    fn one_odd_close_is_no_new_day() {
        let mut losses = Losses::default();
        let good = || close(100_000, "2026-03-02");
        for minute in 0..2 {
            assert_eq!(on(&mut losses, minute, 99_500, good()), None);
        }
        assert_eq!(on(&mut losses, 2, 99_500, close(1_000_000, "2026-03-02")), None);
        assert_eq!(on(&mut losses, 3, 99_500, close(0, "2026-03-02")), None);
        assert_eq!(on(&mut losses, 4, 99_500, good()), None);
        assert_eq!(losses.start, Some(Money::whole(100_000)));
        // Forgotten at a new day.
        assert_eq!(on(&mut losses, 40, 98_700, close(98_700, "2026-03-03")), None);
        assert_eq!(on(&mut losses, 75, 97_900, close(98_700, "2026-03-03")), None);
        assert_eq!(losses.start, Some(Money::whole(98_700)));
    }

    #[test]
    fn a_close_that_is_shown_once_and_no_more_turns_no_limit_off() {
        for gone in [None, close(0, "2026-03-03")] {
            let mut losses = Losses::default();
            for minute in 0..2 {
                assert_eq!(on(&mut losses, minute, 100_000, close(100_000, "2026-03-02")), None);
            }
            assert_eq!(on(&mut losses, 40, 99_500, close(99_500, "2026-03-03")), None);
            assert_eq!(on(&mut losses, 75, 98_900, gone.clone()), None);
            let text = on(&mut losses, 110, 98_000, gone);
            assert!(text.as_ref().is_some_and(|text| text.contains("loss of the day")), "{text:?}");
            // It is the new day once a second reading shows it, whatever came between.
            assert_eq!(on(&mut losses, 145, 98_000, close(99_500, "2026-03-03")), None);
            assert_eq!(losses.start, Some(Money::whole(99_500)));
        }
    }

    #[test]
    fn beginning_anew_forgives() {
        let mut losses = Losses::default();
        on(&mut losses, 0, 100_000, close(100_000, "d"));
        assert!(on(&mut losses, 1, 80_000, close(100_000, "d")).is_some());
        losses.begin_anew();
        assert_eq!(on(&mut losses, 2, 80_000, close(100_000, "d")), None);
        assert_eq!(on(&mut losses, 3, 79_500, close(100_000, "d")), None);
        assert!(on(&mut losses, 4, 79_200, close(100_000, "d")).is_some());
    }

    #[test]
    fn percents_are_plain() {
        let all = [(1, "0.01"), (50, "0.5"), (100, "1"), (1000, "10"), (15_000, "150"), (123, "1.23")];
        assert!(all.iter().all(|(points, text)| percent(*points) == *text));
    }

    proptest! {
        /// Whatever the path, a fall by the limit within half an hour is found at once, and without any such
        /// fall, and none of the day or from the peak, nothing is.
        #[test]
        fn a_fall_is_found_if_and_only_if_it_is_there(
            steps in proptest::collection::vec((1_u64..200, -400_i64..400), 1..120)
        ) {
            let mut losses = Losses::default();
            let mut past: Vec<(BootTime, i64)> = Vec::new();
            let (mut now, mut equity) = (at(1), 100_000);
            for (seconds, step) in steps {
                now = now + Duration::from_secs(seconds);
                equity += step;
                past.push((now, equity));
                let (_, beyond) = losses.on(plain(equity), None, &TERMS, HALF_HOUR, now);
                let fell = |from: i64, part: i64| (from - equity) * 10_000 >= from * part;
                let highest = |span: Duration| {
                    let recent = past.iter().filter(|(at, _)| now.since(*at) <= span);
                    recent.map(|(_, equity)| *equity).max().expect("this one")
                };
                let long = fell(past[0].1, 200) || fell(highest(Duration::MAX), 1000);
                let must = long || fell(highest(HALF_HOUR), 100);
                // An entry of the window may live for a minute longer.
                let may = long || fell(highest(HALF_HOUR + Duration::from_secs(60)), 100);
                prop_assert!(!must || beyond.is_some(), "nothing of {:?}", past);
                prop_assert!(may || beyond.is_none(), "{:?} of {:?}", beyond, past);
            }
        }
    }
}
