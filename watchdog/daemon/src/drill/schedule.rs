//! When a watchdog holds a drill by itself. Pure.

use std::time::Duration;

use sandpit_contract::BootTime;

use crate::machine::Now;

/// Where no drill has ever been held, the first one waits so long after the start: the watchdog may have been
/// started to look whether it works at all.
const FIRST_WAIT: Duration = Duration::from_secs(300);
/// A drill that left no record is tried again after this time, or after its interval when that is shorter.
const AGAIN: Duration = Duration::from_secs(3600);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Time has passed.
    Tick {
        /// No kill is in force, and the account could be read.
        may_start: bool,
    },
    /// A drill, whoever began it, left its record.
    Recorded,
    /// The drill that was started here has ended.
    Ended,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Start one; answered by [`Event::Ended`].
    Start,
    /// Say that none was held for one and a half intervals.
    Overdue,
    /// Say that the one that ended left no record.
    NoRecord,
}

#[derive(Debug)]
struct Plan {
    every: Duration,
    due: BootTime,
    overdue: BootTime,
    is_overdue_said: bool,
}

/// The schedule. It decides by the machine's own clock; the wall clock counts once, at the start.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    plan: Option<Plan>,
    is_running: bool,
    has_record: bool,
}

impl Schedule {
    /// A drill `every` so long after the `last` one, Unix seconds. A last one in the future means that the
    /// clock was set back: then it counts as of now.
    pub(crate) fn new(every: Option<Duration>, last: Option<u64>, now: Now) -> Self {
        let plan = every.map(|every| {
            let age = last.map(|at| Duration::from_secs(now.unix_s.saturating_sub(at)));
            let wait = age.map_or(FIRST_WAIT.min(every), |age| every.saturating_sub(age));
            let overdue = (every + every / 2).saturating_sub(age.unwrap_or_default());
            Plan { every, due: now.boot + wait, overdue: now.boot + overdue, is_overdue_said: false }
        });
        Self { plan, is_running: false, has_record: false }
    }

    /// Takes what happened.
    pub(crate) fn on(&mut self, event: Event, now: BootTime) -> Option<Act> {
        match event {
            Event::Tick { may_start } => self.tick(may_start, now),
            Event::Recorded => {
                self.has_record = true;
                if let Some(plan) = &mut self.plan {
                    plan.due = now + plan.every;
                    plan.overdue = plan.due + plan.every / 2;
                    plan.is_overdue_said = false;
                }
                None
            }
            Event::Ended => {
                self.is_running = false;
                if self.has_record {
                    return None;
                }
                if let Some(plan) = &mut self.plan {
                    plan.due = now + AGAIN.min(plan.every);
                }
                Some(Act::NoRecord)
            }
        }
    }

    fn tick(&mut self, may_start: bool, now: BootTime) -> Option<Act> {
        let plan = self.plan.as_mut()?;
        if plan.overdue <= now && !plan.is_overdue_said {
            plan.is_overdue_said = true;
            return Some(Act::Overdue);
        }
        if plan.due <= now && may_start && !self.is_running {
            self.is_running = true;
            self.has_record = false;
            return Some(Act::Start);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const UNIX: u64 = 1_800_000_000;

    fn at(hours: u64) -> BootTime {
        BootTime::from_nanos(hours * HOUR * 1_000_000_000)
    }

    /// The hours at which it acts, from hour 0 on; `held` says what becomes of a started drill.
    fn acts(last_hours_ago: Option<u64>, may_start: impl Fn(u64) -> bool, held: bool) -> Vec<(u64, Act)> {
        let now = Now { boot: at(0), unix_s: UNIX };
        let last = last_hours_ago.map(|hours| UNIX - hours * HOUR);
        let mut schedule = Schedule::new(Some(Duration::from_secs(10 * HOUR)), last, now);
        let mut acts = Vec::new();
        for hour in 0..24 {
            let mut event = Event::Tick { may_start: may_start(hour) };
            while let Some(act) = schedule.on(event, at(hour)) {
                acts.push((hour, act));
                if act == Act::Start && held {
                    assert_eq!(schedule.on(Event::Recorded, at(hour)), None);
                }
                event = if act == Act::Start { Event::Ended } else { Event::Tick { may_start: false } };
            }
        }
        acts
    }

    #[test]
    fn a_drill_is_held_every_interval_and_never_while_killed() {
        assert_eq!(acts(Some(4), |_| true, true), [(6, Act::Start), (16, Act::Start)]);
        assert_eq!(acts(None, |_| true, true), [(1, Act::Start), (11, Act::Start), (21, Act::Start)]);
        assert_eq!(acts(Some(4), |hour| hour >= 8, true), [(8, Act::Start), (18, Act::Start)]);
        assert_eq!(acts(Some(4), |_| false, true), [(11, Act::Overdue)]);
        assert_eq!(acts(None, |_| false, true), [(15, Act::Overdue)]);
        assert_eq!(acts(Some(99), |_| true, true)[..2], [(0, Act::Overdue), (1, Act::Start)]);
    }

    #[test]
    fn a_drill_without_a_record_is_said_and_tried_again() {
        let acts = acts(Some(4), |hour| hour < 8, false);
        let tries = [(6, Act::Start), (6, Act::NoRecord), (7, Act::Start), (7, Act::NoRecord)];
        assert_eq!(acts, [&tries[..], &[(11, Act::Overdue)]].concat());
    }

    #[test]
    fn one_at_a_time_and_a_drill_by_hand_counts() {
        let now = Now { boot: at(0), unix_s: UNIX };
        let mut schedule = Schedule::new(Some(Duration::from_secs(10 * HOUR)), Some(UNIX), now);
        let tick = Event::Tick { may_start: true };
        assert_eq!(schedule.on(Event::Recorded, at(9)), None);
        assert_eq!(schedule.on(tick, at(10)), None, "by hand an hour ago");
        assert_eq!(schedule.on(tick, at(19)), Some(Act::Start));
        assert_eq!(schedule.on(tick, at(20)), None, "it runs");
        assert_eq!(schedule.on(Event::Ended, at(20)), Some(Act::NoRecord));
        assert_eq!(schedule.on(tick, at(20)), None);
        assert_eq!(schedule.on(tick, at(21)), Some(Act::Start));
        // A record of the future: the clock was set back.
        let mut schedule = Schedule::new(Some(Duration::from_secs(10 * HOUR)), Some(UNIX + 99 * HOUR), now);
        assert_eq!((schedule.on(tick, at(9)), schedule.on(tick, at(10))), (None, Some(Act::Start)));
        assert_eq!(Schedule::default().on(tick, at(9999)), None, "none wanted");
    }
}
