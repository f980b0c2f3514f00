//! The course of a drill: stage, kill, prove, arm; stage, kill, end the watchdog in the middle, let its next
//! life prove, arm.
//!
//! Each claim of the staging watchdog is held against what the drill sees itself: the host's process, the
//! latch's file, the broker's lists. When they differ, the drill has failed, however fast it was.

use std::{os::fd::OwnedFd, time::Duration};

use nix::sys::signal::Signal;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use sandpit_contract::{BootTime, BrokerProof, State, Status};

use super::{
    account::DrillAccount,
    host::Placed,
    judge::{Figures, Step, step_of_line},
    staging::{Dog, Heard, Staging},
    watch::Watch,
};
use crate::{ambient, error::Error};

/// Between two looks at processes, files and lines: the finest that a figure can be.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Between two questions to the staging watchdog.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Between two of our own reads at the broker.
const READ_EVERY: Duration = Duration::from_millis(500);
/// The orders are placed within this time, one wait for the broker's quota included.
const STAGE_WAIT: Duration = Duration::from_secs(150);
/// The second kill is about the disk, not about many orders; the broker's quota is for the first.
const RESUME_ORDERS: usize = 5;
/// Anything local happens within this time, also on a busy machine.
const LOCAL_WAIT: Duration = Duration::from_secs(15);
/// A step that takes longer than so many times the longest bound, and than [`LOCAL_WAIT`], has failed.
const HOPELESS: u32 = 10;

/// One drill on its way.
pub(crate) struct Course<'a> {
    /// The account, read by our own means.
    pub(crate) account: &'a DrillAccount,
    /// The stage.
    pub(crate) staging: &'a Staging,
    /// The end of all waits.
    pub(crate) watch: &'a Watch,
    /// How many orders have to be there.
    pub(crate) orders: usize,
    /// How long the longest step may take.
    pub(crate) longest_bound_ms: u64,
    /// What was measured so far.
    pub(crate) figures: Figures,
    /// Of the first stage.
    pub(crate) brackets: usize,
}

/// A host under a lease, with its orders open at the broker.
struct Stage {
    placed: Placed,
    host: OwnedFd,
}

impl Course<'_> {
    /// Runs it.
    ///
    /// # Errors
    /// At the first step that was not proved; the caller cleans up.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        let (mut dog, stage) = self.stage(self.orders)?;
        self.brackets = stage.placed.brackets;
        self.kill(&mut dog, &stage)?;
        self.stop(dog)?;
        self.rearm()?;
        let (dog, stage) = self.stage(self.orders.min(RESUME_ORDERS))?;
        let dog = self.kill_and_resume(dog, &stage)?;
        self.stop(dog)?;
        self.rearm()
    }

    fn stage(&self, orders: usize) -> Result<(Dog, Stage), Error> {
        self.staging.plan(orders)?;
        let mut dog = self.staging.run()?;
        let placed = self.watch.until("the drill's orders", STAGE_WAIT, ASK_EVERY, || {
            dog.listen()?;
            self.staging.placed()
        })?;
        if let Some(why) = &placed.failure {
            return Err(Error::DrillFailed(format!("the drill's orders could not be placed: {why}")));
        }
        let host = self.watch.until("the staging host", LOCAL_WAIT, ASK_EVERY, || Ok(self.leased_host()))?;
        let what = format!("a list of {orders} open orders at the broker");
        self.watch.until(&what, LOCAL_WAIT, READ_EVERY, || {
            let open = self.account.open_orders()?;
            if let Some(other) = open.iter().find(|order| !order.client_id.starts_with(&placed.prefix)) {
                let text =
                    format!("the order {} is not of this drill; the account has to be its own", other.id);
                return Err(Error::DrillFailed(text));
            }
            Ok((open.len() == orders && placed.ids.len() == orders).then_some(()))
        })?;
        Ok((dog, Stage { placed, host }))
    }

    /// The process that holds the lease, as a handle that outlives its number.
    fn leased_host(&self) -> Option<OwnedFd> {
        let leased = || {
            let status = self.staging.status()?;
            (status.state == State::Leased && status.lease_ms_left > 0).then_some(status.host_pid?)
        };
        let pid = leased()?;
        let handle = pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()?;
        // It was this process when it was opened: it still is.
        (leased()? == pid).then_some(handle)
    }

    fn kill(&mut self, dog: &mut Dog, stage: &Stage) -> Result<(), Error> {
        let mut marks = Marks::new(ambient::boot_time());
        self.staging.put_flag()?;
        let seen = self.watch.until("ZERO_SEEN", self.hopeless(), LOOK_EVERY, || {
            self.look(&mut marks, dog, stage)?;
            Ok(marks.misses(Step::ZeroSeen).is_none().then_some(()))
        });
        self.figures.extend(marks.figures());
        self.not_proved(&marks, Step::ZeroSeen, seen)?;
        self.see_zero(stage)?;
        let confirmed = self.watch.until("CONFIRMED_ZERO", self.hopeless(), LOOK_EVERY, || {
            self.look(&mut marks, dog, stage)?;
            Ok(marks.misses(Step::Confirmed).is_none().then_some(()))
        });
        self.figures.extend(marks.figures());
        self.not_proved(&marks, Step::Confirmed, confirmed)?;
        self.agree(&[BrokerProof::ConfirmedZero])?;
        self.see_zero(stage)
    }

    /// Says which step it was that did not come.
    fn not_proved(&self, marks: &Marks, last: Step, result: Result<(), Error>) -> Result<(), Error> {
        match (result, marks.misses(last)) {
            (Err(Error::DrillFailed(why)), Some(step)) => {
                Err(Error::DrillFailed(format!("not proved: {}; {why}", step.words())))
            }
            (result, _) => result,
        }
    }

    fn look(&self, marks: &mut Marks, dog: &mut Dog, stage: &Stage) -> Result<(), Error> {
        if is_over(&stage.host) {
            marks.saw(Step::HostDead, ambient::boot_time());
        }
        if self.staging.is_latched() {
            marks.saw(Step::Latched, ambient::boot_time());
        }
        marks.heard(&dog.listen()?);
        Ok(())
    }

    /// Our own look: nothing open, every order of the stage cancelled and not one more than were placed, the
    /// account suspended.
    fn see_zero(&self, stage: &Stage) -> Result<(), Error> {
        let differs = |what: String| {
            Err(Error::DrillFailed(format!("the watchdog saw zero, but our own look differs: {what}")))
        };
        let open = self.account.open_orders()?;
        if let Some(order) = open.first() {
            return differs(format!("{} orders are open, such as {}", open.len(), order.id));
        }
        let ours = self.account.orders_of(&stage.placed.prefix)?;
        if let Some(id) =
            stage.placed.ids.iter().find(|id| !ours.get(*id).is_some_and(|one| one.is_cancelled))
        {
            return differs(format!("the order {id} is not cancelled"));
        }
        if let Some(id) = ours.keys().find(|id| !stage.placed.ids.contains(id)) {
            return differs(format!("the order {id} came after the others were placed"));
        }
        if !self.account.is_suspended()? {
            return differs("trading is not suspended".into());
        }
        Ok(())
    }

    /// The status has to tell the same as the log.
    fn agree(&self, proofs: &[BrokerProof]) -> Result<(), Error> {
        let is_agreed = |status: &Status| {
            status.state == State::Killed
                && status.lease_ms_left == 0
                && status.host_pid.is_none()
                && status.broker.is_some_and(|proof| proofs.contains(&proof))
        };
        let what = "a status that agrees with the log";
        self.watch
            .until(what, LOCAL_WAIT, ASK_EVERY, || Ok(self.staging.status().filter(is_agreed).map(drop)))
    }

    /// The latch is there, the rest is under way: there the watchdog is ended, and the next one has only the
    /// disk to go by.
    fn kill_and_resume(&mut self, mut dog: Dog, stage: &Stage) -> Result<Dog, Error> {
        self.staging.put_flag()?;
        self.watch.until("a latch", LOCAL_WAIT, LOOK_EVERY, || {
            dog.listen()?;
            Ok(self.staging.is_latched().then_some(()))
        })?;
        let start = ambient::boot_time();
        dog.kill();
        let ending = dog.ending();
        if ending.signal != Some(Signal::SIGKILL as i32) {
            return Err(Error::DrillFailed("the staging watchdog could not be ended".into()));
        }
        let mut dog = self.staging.run()?;
        let mut marks = Marks::new(start);
        let seen = self.watch.until("ZERO_SEEN of the next life", self.hopeless(), LOOK_EVERY, || {
            marks.heard(&dog.listen()?);
            Ok(marks.lines.get(&Step::ZeroSeen).copied())
        })?;
        self.figures.insert(Step::Resumed, seen);
        let dead = || Ok(is_over(&stage.host).then_some(()));
        self.watch.until("the end of the staging host", LOCAL_WAIT, LOOK_EVERY, dead)?;
        self.agree(&[BrokerProof::ZeroSeen, BrokerProof::ConfirmedZero])?;
        self.see_zero(stage)?;
        Ok(dog)
    }

    fn stop(&self, mut dog: Dog) -> Result<(), Error> {
        dog.terminate();
        let what = "the end of the staging watchdog";
        self.watch.until(what, LOCAL_WAIT, LOOK_EVERY, || Ok(dog.has_ended().then_some(())))?;
        match dog.ending().code {
            Some(0) => Ok(()),
            code => {
                Err(Error::DrillFailed(format!("the staging watchdog stopped with {code:?} instead of 0")))
            }
        }
    }

    /// What an operator does after a kill.
    fn rearm(&self) -> Result<(), Error> {
        self.staging.remove_flag()?;
        self.staging.arm()?;
        if self.staging.is_latched() {
            return Err(Error::DrillFailed("arming left the latch there".into()));
        }
        if self.account.is_suspended()? {
            return Err(Error::DrillFailed("arming did not lift the suspension at the broker".into()));
        }
        Ok(())
    }

    fn hopeless(&self) -> Duration {
        LOCAL_WAIT.max(Duration::from_millis(self.longest_bound_ms) * HOPELESS)
    }
}

fn is_over(process: &OwnedFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// What has been claimed and what has been seen since the flag.
struct Marks {
    start: BootTime,
    lines: Figures,
    own: Figures,
}

impl Marks {
    fn new(start: BootTime) -> Self {
        Self { start, lines: Figures::new(), own: Figures::new() }
    }

    fn heard(&mut self, heard: &[Heard]) {
        for one in heard {
            if let Some(step) = step_of_line(&one.text) {
                self.lines.entry(step).or_insert_with(|| ms(self.start, one.at));
            }
        }
    }

    fn saw(&mut self, step: Step, at: BootTime) {
        self.own.entry(step).or_insert_with(|| ms(self.start, at));
    }

    /// The first step up to `last` that was not claimed, or not seen where we can see it.
    fn misses(&self, last: Step) -> Option<Step> {
        let is_missing = |step: &Step| {
            let is_seen = !Self::is_visible(*step) || self.own.contains_key(step);
            *step <= last && !(is_seen && self.lines.contains_key(step))
        };
        Step::ALL.into_iter().find(is_missing)
    }

    fn is_visible(step: Step) -> bool {
        matches!(step, Step::HostDead | Step::Latched)
    }

    /// A process's end and a file count by our own look; the rest by the line, which is written after the
    /// deed.
    fn figures(&self) -> Figures {
        let figure = |step: Step| {
            let from = if Self::is_visible(step) { &self.own } else { &self.lines };
            from.get(&step).map(|ms| (step, *ms))
        };
        Step::ALL.into_iter().filter_map(figure).collect()
    }
}

fn ms(start: BootTime, at: BootTime) -> u64 {
    u64::try_from(at.since(start).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_alone_is_no_proof_where_we_can_look() {
        let at = |ms: u64| BootTime::from_nanos(ms * 1_000_000);
        let heard = |ms: u64, text: &str| Heard { at: at(ms), text: text.into() };
        let mut marks = Marks::new(at(100));
        marks.heard(&[
            heard(110, "[KILL] layer=flag reason=x"),
            heard(120, "[KILL] host gone signal=9"),
            heard(130, "[KILL] latch written"),
            heard(140, "[KILL] suspended after_ms=1"),
            heard(150, "[KILL] cancel taken orders=5 after_ms=1"),
            heard(160, "[KILL] ZERO_SEEN open=0 after_ms=1"),
            heard(170, "[KILL] ZERO_SEEN open=0 after_ms=1"),
        ]);
        assert_eq!(marks.misses(Step::ZeroSeen), Some(Step::HostDead), "nobody saw it");
        marks.saw(Step::HostDead, at(115));
        assert_eq!(marks.misses(Step::ZeroSeen), Some(Step::Latched));
        marks.saw(Step::Latched, at(131));
        assert_eq!(
            (marks.misses(Step::ZeroSeen), marks.misses(Step::Confirmed)),
            (None, Some(Step::Confirmed))
        );
        let figures = marks.figures();
        assert_eq!((figures[&Step::HostDead], figures[&Step::Latched]), (15, 31));
        assert_eq!((figures[&Step::Fenced], figures[&Step::ZeroSeen]), (10, 60));
    }
}
