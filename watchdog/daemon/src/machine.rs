//! The watchdog's decisions. No clock, no I/O; the daemon performs what it answers.
//!
//! Every observation goes in by [`Machine::on`]. The senses (`senses.rs`) turn it into an event, the table
//! (`table.rs`, with the diagram) says what to do about it in this state, the actions below do it.

mod alerts;
mod drills;
mod kill;
mod limits;
mod memory;
mod pause;
mod picture;
mod senses;
mod start;
mod table;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::time::Duration;

use sandpit_contract::{BootTime, Event as Mark, Exit, Latch, Layer, State};

pub(crate) use self::alerts::Kind;
pub(crate) use self::vocabulary::{
    Account, Alert, Ending, Files, HostMode, Input, Now, Output, Presence, Settings, Severity,
};
use self::{
    drills::Drills,
    kill::{Kill, Writing},
    memory::Memory,
    table::{Action, Event, decide},
};
use crate::{
    limits::{Block, Limits},
    liveness::Loops,
    log::Level,
    proof::Proof,
    restart::Restarts,
    starvation::Starvation,
};

/// How long a lease lasts from its grant.
const LEASE: Duration = Duration::from_secs(2);
/// Between two grants.
const GRANT_EVERY: Duration = Duration::from_millis(250);
/// A host that is asked to save and end has so long.
const DRAIN_WAIT: Duration = Duration::from_secs(10);
/// A host that does not die of a SIGKILL gets another one.
const SIGNAL_AGAIN: Duration = Duration::from_secs(2);
/// Why there is no lease while the broker refuses us.
const KEY_REFUSED: &str =
    "the broker refuses the watchdog's key: check APCA_API_KEY_ID and APCA_API_SECRET_KEY";
/// A stopping watchdog goes on with a kill, or waits for its latch, for so long.
const STOP_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Host {
    pid: u32,
    epoch: Option<u64>,
    is_connected: bool,
    /// It ends by its own will, not by ours.
    said_bye: bool,
    loops: Loops,
    leased_since: Option<BootTime>,
    lease_end: Option<BootTime>,
}

impl Host {
    fn new(pid: u32, first_nonce: u64, now: BootTime) -> Self {
        Self {
            pid,
            epoch: None,
            is_connected: false,
            said_bye: false,
            loops: Loops::new(first_nonce, now),
            leased_since: None,
            lease_end: None,
        }
    }
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine {
    settings: Settings,
    state: State,
    host: Option<Host>,
    /// A start was asked for, and is not answered yet.
    is_spawning: bool,
    is_armed: bool,
    is_stopping: bool,
    /// The process was told to end; it may still hear something before it does.
    has_left: bool,
    /// It was asked to stop while something may be open at the broker: then it ends at the latest.
    leave_by: Option<BootTime>,
    kill: Option<Kill>,
    restarts: Restarts,
    restart_count: u32,
    /// Why the last host ended, until the next one is there.
    why_gone: Option<String>,
    /// How long the last host held leases.
    leased_for: Duration,
    last_exit: Option<Exit>,
    /// The host was started again after another: an address of that one may not be free yet.
    is_retry: bool,
    deadline: Option<BootTime>,
    nonce: u64,
    grant_due: BootTime,
    warm_due: BootTime,
    ticked_at: BootTime,
    memory: Memory,
    starvation: Starvation,
    /// That a replacement is put off was said.
    said_put_off: bool,
    was_suspended: Option<bool>,
    account: Account,
    warm_failure: Option<String>,
    limits: Limits,
    /// Why the account forbids a lease.
    blocked: Option<Block>,
    /// Of the last look.
    flag: Presence,
    unseen: Option<&'static str>,
    drills: Drills,
    watch: alerts::Watch,
    out: Vec<Output>,
}

impl Machine {
    /// Starts; with the latch of an earlier life it starts killed, and seeks the proof again.
    pub(crate) fn new(settings: Settings, latch: Option<Latch>, now: Now) -> Self {
        let kill = latch.map(|latch| Kill {
            writing: Writing::Done,
            was_seen: true,
            lost_looks: 0,
            proof: Proof::new(settings.terms.with(latch.policy), latch.suspended, now.boot),
            latch,
        });
        Self {
            state: if kill.is_some() { State::Killed } else { State::Disarmed },
            // A flag next to the latch of an earlier life is the one that put it there.
            flag: if kill.is_some() { Presence::Present } else { Presence::Absent },
            host: None,
            is_spawning: false,
            is_armed: false,
            is_stopping: false,
            has_left: false,
            leave_by: None,
            kill,
            restarts: Restarts::new(settings.restart_backoff.clone()),
            restart_count: 0,
            why_gone: None,
            leased_for: Duration::ZERO,
            last_exit: None,
            is_retry: false,
            deadline: None,
            nonce: settings.first_nonce,
            grant_due: now.boot,
            warm_due: now.boot,
            ticked_at: now.boot,
            memory: Memory::default(),
            starvation: Starvation::default(),
            said_put_off: false,
            was_suspended: None,
            account: Account::Unread,
            warm_failure: None,
            limits: Limits::new(settings.account_limits, None, now.boot),
            blocked: None,
            unseen: None,
            drills: Drills::default(),
            watch: alerts::Watch::default(),
            out: Vec::new(),
            settings,
        }
    }

    fn step(&mut self, event: Event, why: &str, now: Now) {
        match decide(self.state, event) {
            Action::Stay => {}
            Action::Impossible => {
                self.log(
                    Level::Error,
                    format!("impossible: {event:?} while {:?}; nothing is done", self.state),
                );
            }
            Action::Kill => self.begin_kill(event, why, now),
            Action::KillAgain => self.kill_again(now),
            Action::KillMore => self.kill_more(event, why, now),
            Action::Seal => self.seal(now),
            Action::Rearm => self.rearm(now),
            Action::Begin => self.begin(now),
            Action::Await => self.await_proof(now),
            Action::Lease => self.lease(now),
            Action::Suspect => self.suspect(why, now),
            Action::Drain => self.drain(why, now),
            Action::LetGo => self.let_go(now),
            Action::Replace if self.is_spawning => self.await_start(now),
            Action::Replace => self.replace(why, now),
            Action::SignalKill => self.signal_kill(why),
            Action::Schedule => self.schedule(now),
            Action::Restart => self.restart(now),
            Action::Rest => self.rest(now),
            Action::RestIfGone if self.may_have_host() => {}
            Action::RestIfGone => self.rest(now),
            Action::Stop => self.stop(now),
            Action::StopAfterKill => self.stop_after_kill(now),
            Action::Exit => self.leave(now),
            Action::KillAndExit => {
                self.signal_kill("it did not stop in time");
                self.end();
            }
        }
    }

    fn alert(&mut self, severity: Severity, key: &'static str, text: String) {
        self.out.push(Output::Alert(Alert { severity, key, text }));
    }

    fn log(&mut self, level: Level, text: String) {
        self.out.push(Output::Log(level, text));
    }

    fn mark(&mut self, mark: Mark, level: Level, text: String) {
        self.out.push(Output::Marked(mark, level, text));
    }

    /// The only way into a state. It ends the lease before anything else happens.
    fn enter(&mut self, state: State, now: Now) {
        let had_lease = self.state == State::Leased;
        self.state = state;
        self.deadline = None;
        if had_lease || state == State::Leased {
            self.pulse(now.boot);
        }
    }

    /// The lease, or the word that there is none; either way a nonce for every loop.
    fn pulse(&mut self, now: BootTime) {
        self.grant_due = now + GRANT_EVERY;
        let Some(host) = self.host.as_mut().filter(|host| host.is_connected) else {
            return;
        };
        let Some(epoch) = host.epoch else {
            return;
        };
        self.nonce += 1;
        host.loops.issued(self.nonce);
        let nonce = self.nonce;
        let may_trade =
            self.is_armed && self.account == Account::Read && self.blocked.is_none() && self.kill.is_none();
        if self.state == State::Leased && may_trade {
            let deadline = now + LEASE;
            host.lease_end = Some(deadline);
            host.leased_since.get_or_insert(now);
            self.out.push(Output::Grant { epoch, deadline, nonce });
        } else {
            host.lease_end = None;
            self.out.push(Output::Withhold { reason: self.why_withheld(), nonce });
        }
    }

    fn begin(&mut self, now: Now) {
        self.mark(Mark::Armed, Level::Notice, "armed".into());
        match (self.may_have_host(), self.settings.mode) {
            (true, _) => self.await_proof(now),
            (false, HostMode::Spawn) => self.start(now),
            (false, HostMode::Attach) => self.enter(State::Armed, now),
        }
    }

    fn await_proof(&mut self, now: Now) {
        self.enter(State::Starting, now);
        self.deadline = Some(now.boot + self.settings.limits.start);
    }

    fn count_restart(&mut self) {
        if let Some(why) = self.why_gone.take() {
            self.restart_count += 1;
            self.mark(Mark::HostReplaced, Level::Warning, format!("host restarted reason={why}"));
        }
    }

    fn lease(&mut self, now: Now) {
        let text = "lease granted: every loop of the host advances";
        self.mark(Mark::LeaseGranted, Level::Notice, text.into());
        self.enter(State::Leased, now);
    }

    fn suspect(&mut self, why: &str, now: Now) {
        self.mark(Mark::LeaseLost, Level::Warning, format!("lease withheld: {why}"));
        self.enter(State::Suspect, now);
    }

    fn drain(&mut self, why: &str, now: Now) {
        self.mark(Mark::HostReplaced, Level::Warning, format!("host drained: {why}"));
        self.miss_host("host-drained", format!("the host is drained: {why}"));
        self.why_gone = Some(why.into());
        self.enter(State::Draining, now);
        self.deadline = Some(now.boot + DRAIN_WAIT);
        self.out.push(Output::Drain { reason: why.into() });
    }

    fn let_go(&mut self, now: Now) {
        if let Some(host) = &mut self.host {
            host.said_bye = true;
        }
        self.enter(State::Draining, now);
        self.deadline = Some(now.boot + DRAIN_WAIT);
    }

    fn replace(&mut self, why: &str, now: Now) {
        self.miss_host("host-replaced", format!("the host is replaced: {why}"));
        self.why_gone = Some(why.into());
        self.enter(State::Restarting, now);
        self.deadline = Some(now.boot + SIGNAL_AGAIN);
        self.signal_kill(why);
    }

    fn signal_kill(&mut self, why: &str) {
        if let Some(host) = &self.host {
            let text = format!("host signal=9 pid={} reason={why}", host.pid);
            self.mark(Mark::HostReplaced, Level::Warning, text);
            self.out.push(Output::SignalKill);
        }
    }

    /// The host is gone and may come again.
    fn schedule(&mut self, now: Now) {
        let leased_for = std::mem::take(&mut self.leased_for);
        let delay = match self.last_exit.take() {
            // Breaches are counted by themselves.
            _ if self.memory.took_host() => Some(self.restarts.drained(leased_for)),
            Some(Exit::Broker) => Some(self.restarts.broker_away(leased_for)),
            Some(_) | None => self.restarts.ended(leased_for),
        };
        match (delay, self.settings.mode) {
            (None, _) => {
                let why = self.why_gone.take().unwrap_or_default();
                let text = format!("the host keeps ending, and its back-off is used up; last: {why}");
                self.raise("crash-loop", text.clone());
                self.step(Event::Kill(Layer::CrashLoop), &text, now);
            }
            (Some(_), HostMode::Attach) => self.rest(now),
            (Some(_), HostMode::Spawn) if !self.is_armed => self.rest(now),
            (Some(delay), HostMode::Spawn) => {
                self.enter(State::Restarting, now);
                // The next turn at the earliest: a host that cannot be started must not deafen the loop.
                self.deadline = Some(now.boot + delay);
            }
        }
    }

    fn rest(&mut self, now: Now) {
        let state = if self.is_armed { State::Armed } else { State::Disarmed };
        self.enter(state, now);
    }

    fn stop(&mut self, now: Now) {
        if self.host.is_none() || self.settings.mode == HostMode::Attach {
            self.end();
            return;
        }
        self.enter(State::Stopping, now);
        self.deadline = Some(now.boot + DRAIN_WAIT);
        self.out.push(Output::SignalTerm);
    }
}
