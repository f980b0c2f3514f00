//! The map from played time to market time: which stretches are played, and what is jumped over.
//!
//! ```text
//! played  0 ────────────────────> | ────────────────────> | (frozen)
//! market  lead · session · trail  | lead · session · trail|
//!                                 ^ jump over the night
//! ```

use std::time::Duration;

use sandpit_types::{MarketTime, SessionDay};
use sandpit_venue::Calendar;

/// Least pre-market time before a session, so that clients can connect and warm up.
const LEAST_LEAD: Duration = Duration::from_secs(5 * 60);
/// The same in real seconds: at high speed five market minutes pass in no time.
const LEAD_REAL_SECS: u32 = 3;
/// Market time played after a close: expiries and last events.
const TRAIL: Duration = Duration::from_secs(60);

/// One stretch of market time that is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    start: MarketTime,
    session: SessionDay,
    end: MarketTime,
}

/// Where the run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPhase {
    /// Before a session.
    Pre,
    /// In a session.
    Open,
    /// After a session.
    Post,
    /// The last stretch has been played; the clock stands still.
    Done,
}

impl RunPhase {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::Open => "open",
            Self::Post => "post",
            Self::Done => "done",
        }
    }
}

/// The stretches of one run, in order.
#[derive(Clone, Debug)]
pub struct Schedule {
    stretches: Vec<Stretch>,
}

impl Schedule {
    /// Plays `days`, in order, with leads that are long enough for a run that begins at `speed` market
    /// seconds a real second. A lead that would reach into the session before is cut there.
    ///
    /// # Panics
    /// When there is no day.
    pub fn new(days: &[SessionDay], speed: u32) -> Self {
        assert!(!days.is_empty(), "a run has at least one session");
        let lead = LEAST_LEAD.max(Duration::from_secs(u64::from(LEAD_REAL_SECS) * u64::from(speed)));
        let calendar = Calendar::nyse();
        let before = |day: SessionDay| {
            let mut at = day.open - Duration::from_secs(86_400);
            while calendar.next_close(at) >= day.close {
                at = at - Duration::from_secs(86_400);
            }
            calendar.next_close(at) + TRAIL
        };
        let stretch = |day: &SessionDay| Stretch {
            start: (day.open - lead).max(before(*day)),
            session: *day,
            end: day.close + TRAIL,
        };
        Self { stretches: days.iter().map(stretch).collect() }
    }

    /// The first moment.
    pub fn start(&self) -> MarketTime {
        self.stretches[0].start
    }

    /// Market time when so much of it has been played. Never goes back.
    pub fn at(&self, played: Duration) -> MarketTime {
        let mut left = played;
        for stretch in &self.stretches {
            let length = stretch.end.since(stretch.start);
            if left < length {
                return stretch.start + left;
            }
            left -= length;
        }
        self.end()
    }

    /// How much is played until market time `at`; for a moment in a jump, until the jump.
    pub fn played_at(&self, at: MarketTime) -> Duration {
        let played = |stretch: &Stretch| at.min(stretch.end).since(stretch.start);
        self.stretches.iter().map(played).sum()
    }

    /// Whether a moment is played, not jumped over.
    pub fn is_played(&self, at: MarketTime) -> bool {
        let next = self.stretches.partition_point(|stretch| stretch.end < at);
        self.stretches.get(next).is_some_and(|stretch| stretch.start <= at)
    }

    /// Where the run stands at a moment of market time.
    pub fn phase(&self, at: MarketTime) -> RunPhase {
        match self.stretches.iter().find(|stretch| at < stretch.end) {
            None => RunPhase::Done,
            Some(stretch) if at < stretch.session.open => RunPhase::Pre,
            Some(stretch) if at < stretch.session.close => RunPhase::Open,
            Some(_) => RunPhase::Post,
        }
    }

    /// The moment at which the run is over.
    pub fn end(&self) -> MarketTime {
        self.stretches[self.stretches.len() - 1].end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> MarketTime {
        MarketTime::parse(&format!("2026-03-{text}Z")).expect(text)
    }

    fn two_days(speed: u32) -> Schedule {
        let day = |date| SessionDay {
            open: at(&format!("{date}T13:30:00")),
            close: at(&format!("{date}T20:00:00")),
        };
        Schedule::new(&[day("16"), day("17")], speed)
    }

    #[test]
    fn time_runs_jumps_and_stops() {
        let schedule = two_days(60);
        let check = |real_secs: u64, market: &str, phase: RunPhase| {
            let now = schedule.at(Duration::from_secs(60 * real_secs));
            assert_eq!((now, schedule.phase(now)), (at(market), phase), "after {real_secs} s");
        };
        check(0, "16T13:25:00", RunPhase::Pre);
        check(5, "16T13:30:00", RunPhase::Open);
        check(394, "16T19:59:00", RunPhase::Open);
        check(395, "16T20:00:00", RunPhase::Post);
        check(396, "17T13:25:00", RunPhase::Pre);
        check(791, "17T20:00:00", RunPhase::Post);
        check(792, "17T20:01:00", RunPhase::Done);
        check(100_000, "17T20:01:00", RunPhase::Done);
    }

    #[test]
    fn played_time_of_a_market_moment() {
        let schedule = two_days(60);
        for secs in [0, 1, 5, 395, 396, 700, 792] {
            let played = Duration::from_secs(60 * secs);
            assert_eq!(schedule.played_at(schedule.at(played)), played, "{secs}");
        }
        assert_eq!(schedule.played_at(at("17T03:00:00")), Duration::from_secs(60 * 396), "in the jump");
        assert!(!schedule.is_played(at("17T03:00:00")) && schedule.is_played(at("16T20:01:00")));
    }

    #[test]
    fn the_lead_leaves_three_real_seconds_but_not_the_session_before() {
        assert_eq!(two_days(195).start(), at("16T13:20:15"));
        let fast = two_days(100_000);
        assert_eq!(fast.start(), at("13T20:01:00"), "Friday's close");
        assert_eq!(fast.stretches[1].start, at("16T20:01:00"));
    }
}
