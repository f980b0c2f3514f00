//! Drills: when one is started, and what is said of its result.

use std::time::Duration;

use sandpit_contract::{DrillOutcome, DrillStatus, Event as Mark, MAX_DRILL_TEXT, State};

use super::{Account, Machine, Now, Output};
use crate::{
    drill::{Act, Event, Schedule},
    log::Level,
};

/// The schedule and the newest result.
#[derive(Debug, Default)]
pub(super) struct Drills {
    schedule: Schedule,
    last: Option<DrillStatus>,
    /// An alert was raised, and no drill has passed since.
    has_complained: bool,
}

impl Drills {
    /// For observers.
    pub(super) fn last(&self) -> Option<DrillStatus> {
        self.last.clone()
    }
}

impl Machine {
    /// A drill `every` so long after the `last` one.
    pub(crate) fn plan_drills(&mut self, every: Option<Duration>, last: Option<DrillStatus>, now: Now) {
        let schedule = Schedule::new(every, last.as_ref().map(|drill| drill.at_unix_s), now);
        let has_complained = last.as_ref().is_some_and(|drill| drill.outcome != DrillOutcome::WithinBounds);
        self.drills = Drills { schedule, last, has_complained };
    }

    pub(super) fn on_drilled(&mut self, mut drill: DrillStatus, now: Now) {
        drill.text = drill.text.chars().take(MAX_DRILL_TEXT).collect();
        self.drills.schedule.on(Event::Recorded, now.boot);
        let text = format!("drill {}: {}", drill.outcome.word(), drill.text);
        match drill.outcome {
            DrillOutcome::WithinBounds if self.drills.has_complained => {
                self.drills.has_complained = false;
                self.raise("drill-passed", text);
            }
            DrillOutcome::WithinBounds => self.mark(Mark::DrillPassed, Level::Notice, text),
            DrillOutcome::Slow => self.complain("drill-slow", text),
            DrillOutcome::Failed => self.complain("drill-failed", text),
        }
        self.drills.last = Some(drill);
    }

    pub(super) fn on_drill_ended(&mut self, how: &str, now: Now) {
        if self.drills.schedule.on(Event::Ended, now.boot) == Some(Act::NoRecord) {
            let text = format!("a drill ended without a record: {how}");
            self.complain("drill-failed", text.clone());
            let outcome = DrillOutcome::Failed;
            self.drills.last = Some(DrillStatus { at_unix_s: now.unix_s, outcome, text });
        }
    }

    /// Never while a kill is in force, and not before the account was read: then everything is up.
    pub(super) fn tick_drills(&mut self, now: Now) {
        let may_start = self.kill.is_none() && self.state != State::Stopping && self.account == Account::Read;
        match self.drills.schedule.on(Event::Tick { may_start }, now.boot) {
            Some(Act::Start) => {
                self.log(Level::Notice, "drill started".into());
                self.out.push(Output::StartDrill);
            }
            Some(Act::Overdue) => {
                let text =
                    "no drill was held for one and a half of its intervals: run `sandpit-watchdog drill`";
                self.complain("drill-overdue", text.into());
            }
            Some(Act::NoRecord) | None => {}
        }
    }

    fn complain(&mut self, key: &'static str, text: String) {
        self.drills.has_complained = true;
        self.raise(key, text);
    }
}
