//! From observations to events.

use std::time::Duration;

use sandpit_contract::{Beat, Event as Mark, Exit, Layer, State};

use super::{
    Account, Ending, Event, Files, Host, HostMode, Input, KEY_REFUSED, Machine, Now, Output, Presence,
    kill::{Writing, mark_of},
};
use crate::{
    liveness::{Loops, Verdict},
    log::Level,
    proof::{Command, Report, Unread},
    starvation::PATIENCE,
};

/// A latch that could not be written is tried again.
const LATCH_AGAIN: Duration = Duration::from_secs(1);
/// A kill without a latch is not left so for longer.
const LOST_LOOKS: u32 = 2;
/// The broker connection is kept warm.
const WARM_EVERY: Duration = Duration::from_secs(60);
/// A read of the account that failed is tried again.
const WARM_AGAIN: Duration = Duration::from_secs(3);

impl Machine {
    /// Takes one observation in; the answer is to be performed in order.
    pub(crate) fn on(&mut self, input: Input, now: Now) -> Vec<Output> {
        self.notice_pause(now);
        match input {
            Input::Files(files) => self.on_files(files, now),
            Input::HostSpawned { pid } => self.on_spawned(pid, now),
            Input::SpawnFailed { cause } => self.on_spawn_failed(&cause, now),
            Input::HostJoined { pid, epoch, mode } => self.on_joined(pid, epoch, &mode, now),
            Input::HostLeft => self.on_left(),
            Input::Beat(beat) => self.on_beat(&beat, now),
            Input::Trip { reason } => self.step(Event::Kill(Layer::Trip), &reason, now),
            Input::Bye { reason } => {
                self.log(Level::Info, format!("the host says that it ends: {reason}"));
                self.step(Event::Bye, "", now);
            }
            Input::HostEnded(ending) => self.on_ended(ending, now),
            Input::Memory(usage) => self.on_memory(usage, now),
            Input::Machine(counts) => self.starvation.on(counts, now.boot),
            Input::LatchWritten(result) => self.on_latch_written(result, now),
            Input::Broker(report) => self.on_report(report, now),
            Input::ArmedAs(arming) => self.on_armed_as(&arming, now),
            Input::Limits(saved, complaint) => self.restore_limits(saved, complaint, now),
            Input::Kill { layer, reason } => self.step(Event::Kill(layer), &reason, now),
            Input::Drilled(drill) => self.on_drilled(drill, now),
            Input::DrillEnded(how) => self.on_drill_ended(&how, now),
            Input::AdminPort(taken) => self.on_admin_port(taken),
            Input::Ping(lost) => self.on_ping(lost),
            Input::Stop => self.step(Event::Stop, "", now),
            Input::Tick => self.on_tick(now),
        }
        self.observe(now);
        std::mem::take(&mut self.out)
    }

    fn on_files(&mut self, files: Files, now: Now) {
        let is_new_flag = files.flag == Presence::Present && self.flag != Presence::Present;
        self.flag = files.flag;
        let unseen = files.unseen();
        if let Some(text) = unseen.filter(|_| unseen != self.unseen) {
            self.mark(Mark::LeaseLost, Level::Warning, format!("no lease is granted: {text}"));
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
                let text = "not armed any more: no lease is granted";
                self.mark(Mark::Disarmed, Level::Warning, text.into());
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
        let is_gone = is_written && files.latch == Presence::Absent;
        // One look may fall between the two steps of an `arm`: at the next one `armed` is there, or it was
        // none.
        let is_nowhere = is_gone && files.armed == Presence::Absent;
        kill.lost_looks = if is_nowhere { kill.lost_looks.saturating_add(1) } else { 0 };
        let is_lost = (is_gone && !may_be_gone) || kill.lost_looks >= LOST_LOOKS;
        if is_new_flag {
            self.step(Event::Kill(Layer::Flag), "the flag file is there", now);
        } else if is_lost {
            self.log(Level::Error, "[KILL] the latch is not there: written again".into());
            self.write_latch_anew(now);
        } else if is_armed && kill.was_seen && self.state == State::Killed {
            self.mark(Mark::Armed, Level::Notice, "re-armed by an operator".into());
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
        let text = format!("host connected pid={pid} epoch={epoch} mode={mode}");
        self.mark(Mark::HostConnected, Level::Notice, text);
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
        self.offer_quarantines(now);
        self.limits.host_joined(mode);
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
            self.limits.host_trades(beat.account.as_ref());
        }
    }

    fn on_ended(&mut self, ending: Ending, now: Now) {
        let how = match (ending.code, ending.signal) {
            (_, Some(signal)) => format!("signal={signal}"),
            (Some(code), None) => format!("code={code}"),
            (None, None) => "code=unknown".into(),
        };
        let largest = self.largest();
        let host = self.host.take();
        let leased_since = host.as_ref().and_then(|host| host.leased_since);
        self.leased_for = leased_since.map_or(Duration::ZERO, |since| now.boot.since(since));
        let last_usage = self.memory.forget_host();
        if let Some(kill) = &mut self.kill {
            kill.proof.host_is(false);
            self.mark(Mark::HostEnded, Level::Error, format!("[KILL] host gone {how}"));
            self.seal_if_done(now);
            return;
        }
        // Without a code, after a goodbye, the host's last word stands.
        let said_bye = host.is_some_and(|host| host.said_bye) && ending.code.is_none();
        if said_bye && self.settings.mode == HostMode::Attach {
            self.ended_in_order(now);
            return;
        }
        self.mark(Mark::HostEnded, Level::Warning, format!("host ended {how}"));
        if self.ended_for_memory(ending, last_usage, &largest, now) {
            return;
        }
        let exit = ending.code.and_then(Exit::of);
        if exit == Some(Exit::Killed) {
            self.step(Event::Kill(Layer::Trip), "the host ended with the code of a kill", now);
            return;
        }
        self.is_retry = !said_bye && self.may_restart(exit, leased_since.is_some());
        self.last_exit = exit;
        if self.is_retry {
            if self.why_gone.is_none() && self.state != State::Stopping {
                self.miss_host("host-crashed", format!("the host ended {how}"));
            }
            self.why_gone.get_or_insert(how);
            self.step(Event::EndedToRestart, "", now);
        } else {
            self.why_gone = None;
            self.watch.is_host_excused = exit == Some(Exit::Ok);
            if exit != Some(Exit::Ok) {
                self.miss_host("host-ended", format!("the host ended {how} and is not restarted after that"));
            }
            self.memory.took_host();
            self.mark(
                Mark::HostEnded,
                Level::Warning,
                "the host is not restarted after that; its orders stay as they are".into(),
            );
            self.step(Event::EndedForGood, "", now);
        }
    }

    /// After a goodbye. Whether it comes again is for whoever runs it to know, who tells when it does not.
    fn ended_in_order(&mut self, now: Now) {
        (self.is_retry, self.last_exit, self.why_gone) = (false, None, None);
        self.watch.is_host_excused = true;
        self.memory.took_host();
        let text = "the host has said goodbye and ended; its orders stay as they are";
        self.mark(Mark::HostEnded, Level::Notice, text.into());
        self.step(Event::EndedForGood, "", now);
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

    /// Not as long as a start is under way: a host may appear.
    pub(super) fn seal_if_done(&mut self, now: Now) {
        let is_written = self.kill.as_ref().is_some_and(|kill| kill.writing == Writing::Done);
        if self.state == State::Killing && is_written && !self.may_have_host() {
            self.step(Event::Sealed, "", now);
        }
    }

    fn on_latch_written(&mut self, result: Result<(), String>, now: Now) {
        let Some(kill) = &mut self.kill else {
            return;
        };
        let again = matches!(kill.writing, Writing::Asked { again: true, .. });
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
                let text = format!("[KILL] latch not written, tried again: {cause}");
                self.mark(Mark::LatchNotWritten, Level::Error, text);
            }
        }
    }

    fn on_report(&mut self, report: Report, now: Now) {
        match report {
            Report::Warmed(result) => self.on_warmed(result, now),
            Report::Account { told, requests } => self.on_account(*told, requests, now),
            Report::SuspendedBefore(was_suspended) => self.learn_suspension(was_suspended, now),
            Report::Suspended(_)
            | Report::Lifted(_)
            | Report::Checked(_)
            | Report::Touched
            | Report::Cancelled(_)
            | Report::Closed(_)
            | Report::Listed { .. }
            | Report::Read { .. } => {
                let Some(kill) = &mut self.kill else {
                    return;
                };
                let lines = kill.proof.on(report, now.boot);
                // The next step need not wait for the next turn.
                self.out.extend(kill.proof.due(now.boot).into_iter().map(Output::Broker));
                let mark = mark_of(kill.proof.level());
                for line in lines {
                    self.mark(mark, Level::Error, format!("[KILL] {line}"));
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
                if self.warm_failure.take().is_some() && self.kill.is_none() {
                    self.touch_cancels();
                }
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

    fn on_tick(&mut self, now: Now) {
        self.observe_start();
        let gap = now.boot.since(self.ticked_at);
        self.ticked_at = now.boot;
        self.starvation.turned(gap, now.boot);
        self.tick_limits(now);
        if self.deadline.is_some_and(|deadline| deadline <= now.boot) {
            self.step(Event::Overdue, "it did not do so in time", now);
        }
        let strain = self.starvation.figures(now.boot);
        let patience = if strain.is_starved() { PATIENCE } else { 1 };
        if let Some(host) = self.host.as_ref().filter(|host| host.epoch.is_some()) {
            let verdict = host.loops.verdict(&self.settings.limits, patience, now.boot);
            let is_connected = host.is_connected;
            self.follow_quarantines(verdict == Verdict::Advancing, now);
            match verdict {
                Verdict::Unproven => {}
                Verdict::Advancing if !is_connected => {}
                Verdict::Advancing if self.account != Account::Read || self.blocked.is_some() => {
                    self.wait_for_account(now);
                }
                Verdict::Advancing => self.step(Event::Advancing, "", now),
                Verdict::Stalled(which) => self.stalled(&which, strain, now),
                Verdict::PutOff(which) => self.put_off(&which, strain, now),
                Verdict::Hung(which) => self.step(Event::Hung, &which, now),
            }
        }
        self.tick_kill(now);
        self.tick_leave(now.boot);
        self.tick_drills(now);
        if self.grant_due <= now.boot {
            self.pulse(now.boot);
        }
        if self.warm_due <= now.boot && self.kill.is_none() {
            self.warm_due = now.boot + WARM_EVERY;
            self.out.push(Output::Broker(Command::Warm));
            if self.warm_failure.is_none() {
                self.touch_cancels();
            }
        }
    }

    /// The cancels' connection is kept warm, too; that of the reads the limits use all the time.
    fn touch_cancels(&mut self) {
        self.out.push(Output::Broker(Command::Touch));
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
            kill.writing = Writing::Asked { again: false, since: now.boot };
            self.out.push(Output::WriteLatch(kill.latch.clone()));
        }
        self.out.extend(kill.proof.due(now.boot).into_iter().map(Output::Broker));
    }
}
