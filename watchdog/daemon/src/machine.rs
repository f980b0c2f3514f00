//! The watchdog's decisions. No clock, no I/O; the daemon performs what it answers.
//!
//! Every observation goes in by [`Machine::on`]. The senses (`senses.rs`) turn it into an event, the table
//! (`table.rs`, with the diagram) says what to do about it in this state, the actions below do it.

mod kill;
mod senses;
mod table;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::time::Duration;

use sandpit_contract::{BootTime, Exit, KillStatus, Latch, Layer, State, Status};

pub(crate) use self::vocabulary::{Account, Ending, Files, HostMode, Input, Now, Output, Presence, Settings};
use self::{
    kill::{Kill, Writing},
    table::{Action, Event, decide},
};
use crate::{liveness::Loops, log::Level, proof::Proof, restart::Restarts};

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
/// A stopping watchdog waits so long for its host, or for its latch.
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
    is_armed: bool,
    is_stopping: bool,
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
    memory_percent: Option<u32>,
    /// Samples in a row above the drain limit, and above the kill limit.
    samples_over: u32,
    samples_overweight: u32,
    was_suspended: Option<bool>,
    account: Account,
    warm_failure: Option<String>,
    /// Of the last look.
    flag: Presence,
    unseen: Option<&'static str>,
    out: Vec<Output>,
}

impl Machine {
    /// Starts; with the latch of an earlier life it starts killed, and seeks the proof again.
    pub(crate) fn new(settings: Settings, latch: Option<Latch>, now: Now) -> Self {
        let kill = latch.map(|latch| Kill {
            latch,
            writing: Writing::Done,
            was_seen: true,
            proof: Proof::new(settings.terms, now.boot),
        });
        Self {
            state: if kill.is_some() { State::Killed } else { State::Disarmed },
            // A flag next to the latch of an earlier life is the one that put it there.
            flag: if kill.is_some() { Presence::Present } else { Presence::Absent },
            host: None,
            is_armed: false,
            is_stopping: false,
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
            memory_percent: None,
            samples_over: 0,
            samples_overweight: 0,
            was_suspended: None,
            account: Account::Unread,
            warm_failure: None,
            unseen: None,
            out: Vec::new(),
            settings,
        }
    }

    /// For observers.
    pub(crate) fn status(&self, host_rss_bytes: Option<u64>, now: BootTime) -> Status {
        let host = self.host.as_ref();
        let lease_end = host.and_then(|host| host.lease_end).unwrap_or_default();
        Status {
            state: self.state,
            broker: self.kill.as_ref().map(|kill| kill.proof.level()),
            epoch: host.and_then(|host| host.epoch),
            host_pid: host.map(|host| host.pid),
            host_rss_bytes,
            lease_ms_left: u64::try_from(lease_end.since(now).as_millis()).unwrap_or(u64::MAX),
            loops: host.map(|host| host.loops.status(now)).unwrap_or_default(),
            host_restarts: self.restart_count,
            kill: self.kill.as_ref().map(|kill| KillStatus {
                layer: kill.latch.layer,
                reason: kill.latch.reason.clone(),
                at_unix_s: kill.latch.at_unix_s,
            }),
            memory_percent: self.memory_percent,
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
            Action::Seal => self.seal(),
            Action::Rearm => self.rearm(now),
            Action::Begin => self.begin(now),
            Action::Await => self.await_proof(now),
            Action::Lease => self.lease(now),
            Action::Suspect => self.suspect(why, now),
            Action::Drain => self.drain(why, now),
            Action::LetGo => self.let_go(now),
            Action::Replace => self.replace(why, now),
            Action::SignalKill => self.signal_kill(why),
            Action::Schedule => self.schedule(now),
            Action::Restart => self.restart(now),
            Action::Rest => self.rest(now),
            Action::RestIfGone if self.host.is_some() => {}
            Action::RestIfGone => self.rest(now),
            Action::Stop => self.stop(now),
            Action::StopAfterKill => self.stop_after_kill(now),
            Action::Exit => self.out.push(Output::Exit),
            Action::KillAndExit => {
                self.signal_kill("it did not stop in time");
                self.out.push(Output::Exit);
            }
        }
    }

    fn log(&mut self, level: Level, text: String) {
        self.out.push(Output::Log(level, text));
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
        let may_trade = self.is_armed && self.account == Account::Read && self.kill.is_none();
        if self.state == State::Leased && may_trade {
            let deadline = now + LEASE;
            host.lease_end = Some(deadline);
            host.leased_since.get_or_insert(now);
            self.out.push(Output::Grant { epoch, deadline, nonce });
        } else {
            host.lease_end = None;
            self.out.push(Output::Withhold { reason: self.withheld().into(), nonce });
        }
    }

    fn begin(&mut self, now: Now) {
        self.log(Level::Notice, "armed".into());
        match (&self.host, self.settings.mode) {
            (Some(_), _) => self.await_proof(now),
            (None, HostMode::Spawn) => self.start(now),
            (None, HostMode::Attach) => self.enter(State::Armed, now),
        }
    }

    fn await_proof(&mut self, now: Now) {
        self.enter(State::Starting, now);
        self.deadline = Some(now.boot + self.settings.limits.start);
    }

    fn start(&mut self, now: Now) {
        self.count_restart();
        self.await_proof(now);
        self.out.push(Output::StartHost);
    }

    fn count_restart(&mut self) {
        if let Some(why) = self.why_gone.take() {
            self.restart_count += 1;
            self.log(Level::Warning, format!("host restarted reason={why}"));
        }
    }

    fn lease(&mut self, now: Now) {
        self.log(Level::Notice, "lease granted: every loop of the host advances".into());
        self.enter(State::Leased, now);
    }

    fn suspect(&mut self, why: &str, now: Now) {
        self.log(Level::Warning, format!("lease withheld: {why}"));
        self.enter(State::Suspect, now);
    }

    fn drain(&mut self, why: &str, now: Now) {
        self.log(Level::Warning, format!("host drained: {why}"));
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
        self.why_gone = Some(why.into());
        self.enter(State::Restarting, now);
        self.deadline = Some(now.boot + SIGNAL_AGAIN);
        self.signal_kill(why);
    }

    fn signal_kill(&mut self, why: &str) {
        if let Some(host) = &self.host {
            let text = format!("host signal=9 pid={} reason={why}", host.pid);
            self.log(Level::Warning, text);
            self.out.push(Output::SignalKill);
        }
    }

    /// The host is gone and may come again.
    fn schedule(&mut self, now: Now) {
        let leased_for = std::mem::take(&mut self.leased_for);
        let delay = match self.last_exit.take() {
            Some(Exit::Broker) => Some(self.restarts.broker_away(leased_for)),
            Some(_) | None => self.restarts.ended(leased_for),
        };
        match (delay, self.settings.mode) {
            (None, _) => {
                let why = self.why_gone.take().unwrap_or_default();
                let text = format!("the host keeps ending, and its back-off is used up; last: {why}");
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

    fn restart(&mut self, now: Now) {
        if self.host.is_some() {
            self.deadline = Some(now.boot + SIGNAL_AGAIN);
            self.signal_kill("it did not end yet");
        } else if self.is_armed {
            self.start(now);
        } else {
            self.rest(now);
        }
    }

    fn rest(&mut self, now: Now) {
        let state = if self.is_armed { State::Armed } else { State::Disarmed };
        self.enter(state, now);
    }

    fn stop(&mut self, now: Now) {
        if self.host.is_none() || self.settings.mode == HostMode::Attach {
            self.out.push(Output::Exit);
            return;
        }
        self.enter(State::Stopping, now);
        self.deadline = Some(now.boot + STOP_WAIT);
        self.out.push(Output::SignalTerm);
    }

    /// Why a connected host has no lease.
    fn withheld(&self) -> &'static str {
        match (self.state, self.account) {
            (State::Disarmed, _) => {
                self.unseen.unwrap_or("not armed: run `sandpit-watchdog arm --reason TEXT --config FILE`")
            }
            (State::Draining, _) => "draining",
            (State::Restarting, _) => "the host is being replaced",
            (State::Stopping, _) => "the watchdog stops",
            (State::Killing | State::Killed, _) => "killed",
            (State::Armed | State::Starting | State::Leased | State::Suspect, Account::KeyRefused) => {
                KEY_REFUSED
            }
            (State::Armed | State::Starting | State::Leased | State::Suspect, Account::Unread) => {
                "the watchdog has not read the account at the broker yet"
            }
            (State::Armed | State::Starting, Account::Read) => "not every loop has proved itself yet",
            (State::Leased, Account::Read) => "not armed",
            (State::Suspect, Account::Read) => "a loop stands still",
        }
    }
}
