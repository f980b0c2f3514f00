//! From observations to events.

use std::time::Duration;

use sandpit_contract::{Beat, Exit, Layer, State};

use super::{
    Account, Ending, Event, Files, Host, HostMode, Input, KEY_REFUSED, Machine, Now, Output, Presence,
    kill::Writing,
};
use crate::{
    liveness::{Loops, Verdict},
    log::Level,
    proof::{Command, Report, Unread},
};

/// A loop turn later than this means that the machine or the watchdog stood still.
const PAUSE: Duration = Duration::from_secs(1);
/// A latch that could not be written is tried again.
const LATCH_AGAIN: Duration = Duration::from_secs(1);
/// The broker connection is kept warm.
const WARM_EVERY: Duration = Duration::from_secs(60);
/// A read of the account that failed is tried again.
const WARM_AGAIN: Duration = Duration::from_secs(3);
/// So many samples above the drain limit, one a second, are a leak and no spike.
const DRAIN_SAMPLES: u32 = 3;
/// And so many above the kill limit: when a compiling child ends, its pages are given back a moment after it
/// can be told no more whose they were, and that moment may fall into one sample.
const KILL_SAMPLES: u32 = 2;

impl Machine {
    /// Takes one observation in; the answer is to be performed in order.
    pub(crate) fn on(&mut self, input: Input, now: Now) -> Vec<Output> {
        match input {
            Input::Files(files) => self.on_files(files, now),
            Input::HostSpawned { pid } => self.host = Some(Host::new(pid, self.nonce + 1, now.boot)),
            Input::SpawnFailed { cause } => {
                self.why_gone = Some(format!("the host could not be started: {cause}"));
                self.log(Level::Error, format!("the host could not be started: {cause}"));
                self.leased_for = Duration::ZERO;
                self.last_exit = None;
                self.step(Event::EndedToRestart, "", now);
            }
            Input::HostJoined { pid, epoch, mode } => self.on_joined(pid, epoch, &mode, now),
            Input::HostLeft => self.on_left(),
            Input::Beat(beat) => self.on_beat(&beat, now),
            Input::Trip { reason } => self.step(Event::Kill(Layer::Trip), &reason, now),
            Input::Bye { reason } => {
                self.log(Level::Info, format!("the host says that it ends: {reason}"));
                self.step(Event::Bye, "", now);
            }
            Input::HostEnded(ending) => self.on_ended(ending, now),
            Input::Memory { percent } => self.on_memory(percent, now),
            Input::LatchWritten(result) => self.on_latch_written(result, now),
            Input::Broker(report) => self.on_report(report, now),
            Input::OperatorKill { reason } => self.step(Event::Kill(Layer::Operator), &reason, now),
            Input::Stop => self.step(Event::Stop, "", now),
            Input::Tick => self.on_tick(now),
        }
        std::mem::take(&mut self.out)
    }

    fn on_files(&mut self, files: Files, now: Now) {
        let is_new_flag = files.flag == Presence::Present && self.flag != Presence::Present;
        self.flag = files.flag;
        let unseen = files.unseen();
        if let Some(text) = unseen.filter(|_| unseen != self.unseen) {
            self.log(Level::Warning, format!("no lease is granted: {text}"));
        }
        self.unseen = unseen;
        let is_armed = files.armed == Presence::Present
            && files.latch == Presence::Absent
            && files.flag == Presence::Absent;
        if self.kill.is_some() {
            self.on_files_killed(files, is_armed, is_new_flag, now);
        } else if files.flag == Presence::Present {
            self.step(Event::Kill(Layer::Flag), "the flag file is there", now);
        } else if files.latch == Presence::Present {
            self.step(Event::Kill(Layer::Operator), "a latch file was put there", now);
        } else if is_armed != self.is_armed {
            self.is_armed = is_armed;
            if !is_armed {
                self.log(Level::Warning, "not armed any more: no lease is granted".into());
            }
            self.step(if is_armed { Event::Armed } else { Event::Disarmed }, "", now);
        }
    }

    fn on_files_killed(&mut self, files: Files, is_armed: bool, is_new_flag: bool, now: Now) {
        let Some(kill) = &mut self.kill else {
            return;
        };
        let is_written = kill.writing == Writing::Done;
        kill.was_seen |= is_written && files.latch == Presence::Present;
        // An `arm` removed one that it had not read, or one that the flag still stands for.
        let may_be_gone = kill.was_seen && files.flag != Presence::Present;
        let is_lost = is_written && files.latch == Presence::Absent && !may_be_gone;
        if is_new_flag {
            self.step(Event::Kill(Layer::Flag), "the flag file is there", now);
        } else if is_lost {
            self.log(Level::Error, "[KILL] the latch is not there: written again".into());
            self.write_latch_anew(now);
        } else if is_armed && kill.was_seen && self.state == State::Killed {
            self.log(Level::Notice, "re-armed by an operator".into());
            self.step(Event::Rearmed, "", now);
        }
    }

    fn on_joined(&mut self, pid: u32, epoch: u64, mode: &str, now: Now) {
        let refusal = match (self.host.as_ref().map(|host| host.pid), self.settings.mode) {
            (Some(known), _) if known != pid => Some("another host is alive, and there is one lease"),
            (None, HostMode::Spawn) => {
                Some("this watchdog starts its host itself (`[host] mode = \"spawn\"`)")
            }
            (Some(_), _) | (None, HostMode::Attach) => None,
        };
        if let Some(reason) = refusal {
            self.out.push(Output::Refuse { reason: reason.into() });
            return;
        }
        self.out.push(Output::Accept);
        self.log(Level::Notice, format!("host connected pid={pid} epoch={epoch} mode={mode}"));
        if self.settings.mode == HostMode::Attach && self.kill.is_none() {
            self.count_restart();
        }
        let first_nonce = self.nonce + 1;
        let host = self.host.get_or_insert_with(|| Host::new(pid, first_nonce, now.boot));
        host.epoch = Some(epoch);
        host.is_connected = true;
        host.lease_end = None;
        host.loops = Loops::new(first_nonce, now.boot);
        if let Some(kill) = &mut self.kill {
            kill.proof.host_is(true);
        }
        self.step(Event::Joined, "", now);
        self.grant_due = now.boot;
    }

    fn on_left(&mut self) {
        if let Some(host) = &mut self.host {
            host.is_connected = false;
        }
        self.log(Level::Warning, "the host's connection ended".into());
    }

    fn on_beat(&mut self, beat: &Beat, now: Now) {
        if let Some(host) = self.host.as_mut().filter(|host| host.epoch == Some(beat.epoch)) {
            host.loops.on_beat(beat, now.boot);
        }
    }

    fn on_ended(&mut self, ending: Ending, now: Now) {
        let how = match (ending.code, ending.signal) {
            (_, Some(signal)) => format!("signal={signal}"),
            (Some(code), None) => format!("code={code}"),
            (None, None) => "code=unknown".into(),
        };
        let host = self.host.take();
        let leased_since = host.as_ref().and_then(|host| host.leased_since);
        self.leased_for = leased_since.map_or(Duration::ZERO, |since| now.boot.since(since));
        self.memory_percent = None;
        (self.samples_over, self.samples_overweight) = (0, 0);
        if let Some(kill) = &mut self.kill {
            kill.proof.host_is(false);
            self.log(Level::Error, format!("[KILL] host gone {how}"));
            self.seal_if_done(now);
            return;
        }
        self.log(Level::Warning, format!("host ended {how}"));
        let exit = ending.code.and_then(Exit::of);
        if exit == Some(Exit::Killed) {
            self.step(Event::Kill(Layer::Trip), "the host ended with the code of a kill", now);
            return;
        }
        // Without a code, after a goodbye, the host's last word stands.
        let said_bye = host.is_some_and(|host| host.said_bye) && ending.code.is_none();
        self.is_retry = !said_bye && self.may_restart(exit, leased_since.is_some());
        self.last_exit = exit;
        if self.is_retry {
            self.why_gone.get_or_insert(how);
            self.step(Event::EndedToRestart, "", now);
        } else {
            self.why_gone = None;
            self.log(
                Level::Warning,
                "the host is not restarted after that; its orders stay as they are".into(),
            );
            self.step(Event::EndedForGood, "", now);
        }
    }

    /// The watchdog started this one after another that ended: an address may not be free yet.
    fn may_restart(&self, exit: Option<Exit>, was_leased: bool) -> bool {
        match exit {
            Some(Exit::Address) => self.is_retry && !was_leased,
            Some(exit) => exit.may_restart(),
            // A panic's code, or somebody else's: worth another try.
            None => true,
        }
    }

    fn seal_if_done(&mut self, now: Now) {
        let is_written = self.kill.as_ref().is_some_and(|kill| kill.writing == Writing::Done);
        if self.state == State::Killing && is_written && self.host.is_none() {
            self.step(Event::Sealed, "", now);
        }
    }

    fn on_latch_written(&mut self, result: Result<(), String>, now: Now) {
        let Some(kill) = &mut self.kill else {
            return;
        };
        let again = kill.writing == Writing::Asked { again: true };
        match result {
            Ok(()) => {
                kill.writing = Writing::Done;
                self.log(Level::Error, "[KILL] latch written".into());
                if again {
                    self.write_latch_anew(now);
                }
                self.seal_if_done(now);
            }
            Err(cause) => {
                kill.writing = Writing::Due(now.boot + LATCH_AGAIN);
                self.log(Level::Error, format!("[KILL] latch not written, tried again: {cause}"));
            }
        }
    }

    fn on_report(&mut self, report: Report, now: Now) {
        match report {
            Report::Warmed(result) => self.on_warmed(result, now),
            Report::SuspendedBefore(was_suspended) => self.learn_suspension(was_suspended, now),
            Report::Suspended(_) | Report::Checked(_) | Report::Cancelled(_) | Report::Read { .. } => {
                let Some(kill) = &mut self.kill else {
                    return;
                };
                let lines = kill.proof.on(report, now.boot);
                // The next step need not wait for the next turn.
                self.out.extend(kill.proof.due(now.boot).into_iter().map(Output::Broker));
                for line in lines {
                    self.log(Level::Error, format!("[KILL] {line}"));
                }
            }
        }
    }

    /// What a kill could not reach is not traded.
    fn on_warmed(&mut self, result: Result<bool, Unread>, now: Now) {
        let cause = match result {
            Ok(is_suspended) => {
                if self.kill.is_none() {
                    self.was_suspended = Some(is_suspended);
                }
                self.account = Account::Read;
                self.warm_failure = None;
                return;
            }
            Err(Unread::Other(cause)) => cause,
            Err(Unread::KeyRefused(cause)) => {
                self.account = Account::KeyRefused;
                if self.state == State::Leased {
                    self.step(Event::Stalled, KEY_REFUSED, now);
                }
                cause
            }
        };
        self.warm_due = now.boot + WARM_AGAIN;
        if self.warm_failure.as_ref() != Some(&cause) {
            self.log(Level::Warning, format!("the broker did not answer the watchdog: {cause}"));
            self.warm_failure = Some(cause);
        }
    }

    fn on_memory(&mut self, percent: u32, now: Now) {
        self.memory_percent = Some(percent);
        let counted = |limit, before: u32| if percent >= limit { before.saturating_add(1) } else { 0 };
        self.samples_over = counted(self.settings.drain_percent, self.samples_over);
        self.samples_overweight = counted(self.settings.kill_percent, self.samples_overweight);
        let why = format!("memory at {percent} % of its limit");
        if self.samples_overweight >= KILL_SAMPLES {
            self.step(Event::Overweight, &why, now);
        } else if self.samples_over >= DRAIN_SAMPLES {
            self.samples_over = 0;
            self.step(Event::Leaking, &why, now);
        }
    }

    fn on_tick(&mut self, now: Now) {
        let gap = now.boot.since(self.ticked_at);
        self.ticked_at = now.boot;
        if gap > PAUSE {
            self.on_pause(gap);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now.boot) {
            self.step(Event::Overdue, "it did not do so in time", now);
        }
        if let Some(host) = self.host.as_ref().filter(|host| host.epoch.is_some()) {
            match host.loops.verdict(self.settings.limits, now.boot) {
                Verdict::Unproven => {}
                Verdict::Advancing if !host.is_connected => {}
                Verdict::Advancing if self.account != Account::Read => self.wait_for_account(now),
                Verdict::Advancing => self.step(Event::Advancing, "", now),
                Verdict::Stalled(which) => self.step(Event::Stalled, &which, now),
                Verdict::Hung(which) => self.step(Event::Hung, &which, now),
            }
        }
        self.tick_kill(now);
        if self.grant_due <= now.boot {
            self.pulse(now.boot);
        }
        if self.warm_due <= now.boot && self.kill.is_none() {
            self.warm_due = now.boot + WARM_EVERY;
            self.out.push(Output::Broker(Command::Warm));
        }
    }

    /// Whoever slept with us is no suspect.
    fn on_pause(&mut self, gap: Duration) {
        self.log(Level::Warning, format!("the watchdog stood still for {} ms", gap.as_millis()));
        if let Some(host) = &mut self.host {
            host.loops.rebase(gap);
        }
        // A kill is not put off.
        if self.kill.is_none() {
            self.deadline = self.deadline.map(|deadline| deadline + gap);
        }
    }

    /// The host is ready and we are not: that is no delay of its own.
    fn wait_for_account(&mut self, now: Now) {
        if self.state == State::Starting {
            self.deadline = Some(now.boot + self.settings.limits.start);
        }
    }

    fn tick_kill(&mut self, now: Now) {
        let Some(kill) = &mut self.kill else {
            return;
        };
        if let Writing::Due(at) = kill.writing
            && at <= now.boot
        {
            kill.writing = Writing::Asked { again: false };
            self.out.push(Output::WriteLatch(kill.latch.clone()));
        }
        self.out.extend(kill.proof.due(now.boot).into_iter().map(Output::Broker));
    }
}
