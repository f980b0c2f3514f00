//! How the machine stands, for observers and for a host that has no lease.

use sandpit_contract::{BootTime, KillStatus, Layer, State, Status};

use super::{Account, KEY_REFUSED, Machine};

impl Machine {
    /// What every line of the log carries: the host's life, and what pulled the kill in force.
    pub(crate) fn stamp(&self) -> (Option<u64>, Option<Layer>) {
        let epoch = self.host.as_ref().and_then(|host| host.epoch);
        (epoch, self.kill.as_ref().map(|kill| kill.latch.layer))
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
            memory_percent: self.memory.percent(),
            strain: self.strain(now),
            last_drill: self.drills.last(),
            limits: Some(self.limits.status(now)),
        }
    }

    /// Why a connected host has no lease.
    pub(super) fn withheld(&self) -> &'static str {
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
