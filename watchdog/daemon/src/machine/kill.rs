//! What a kill does, and how a human leads out of it.

use sandpit_contract::{BootTime, Latch, State};

use super::{Event, Machine, Now, Output, SIGNAL_AGAIN, STOP_WAIT};
use crate::{
    log::Level,
    proof::{Proof, Scope},
};

/// A reason is never longer, so that a latch always fits its space.
const MAX_REASON_CHARS: usize = 400;

/// The kill in force.
#[derive(Debug)]
pub(super) struct Kill {
    /// What is, or is to be, on disk.
    pub(super) latch: Latch,
    /// It is on disk.
    pub(super) is_written: bool,
    /// It was seen on disk after that: only then may its absence mean that a human took it away.
    pub(super) was_seen: bool,
    /// When a latch that could not be written is tried again.
    pub(super) write_again: Option<BootTime>,
    /// The search for the proof at the broker.
    pub(super) proof: Proof,
}

impl Machine {
    /// No right to trade from the first line on; then latch, signal and broker side by side.
    pub(super) fn begin_kill(&mut self, event: Event, why: &str, now: Now) {
        let Event::Kill(layer) = event else {
            return;
        };
        self.is_stopping = self.state == State::Stopping;
        self.state = State::Killing;
        self.is_armed = false;
        self.pulse(now.boot);
        let reason: String = why.chars().take(MAX_REASON_CHARS).collect();
        let epoch = self.host.as_ref().and_then(|host| host.epoch).unwrap_or(0);
        let suspended = self.settings.terms.scope == Scope::Account && self.was_suspended != Some(true);
        let latch = Latch { at_unix_s: now.unix_s, layer, reason: reason.clone(), epoch, suspended };
        self.out.push(Output::WriteLatch(latch.clone()));
        if self.host.is_some() {
            self.out.push(Output::SignalKill);
        }
        self.deadline = Some(now.boot + if self.is_stopping { STOP_WAIT } else { SIGNAL_AGAIN });
        let mut proof = Proof::new(self.settings.terms, now.boot);
        self.out.extend(proof.due(now.boot).into_iter().map(Output::Broker));
        self.kill = Some(Kill { latch, is_written: false, was_seen: false, write_again: None, proof });
        let layer = serde_json::to_value(layer).ok().and_then(|word| word.as_str().map(String::from));
        self.log(Level::Error, format!("[KILL] layer={} reason={reason}", layer.unwrap_or_default()));
        self.log(Level::Error, "[KILL] PENDING_AT_BROKER: nothing is read yet".into());
    }

    pub(super) fn kill_again(&mut self, now: Now) {
        if self.is_stopping && self.deadline.is_some_and(|deadline| deadline <= now.boot) {
            self.log(Level::Error, "[KILL] stopped before the kill was sealed".into());
            self.out.push(Output::Exit);
            return;
        }
        self.state = State::Killing;
        self.deadline = Some(now.boot + if self.is_stopping { STOP_WAIT } else { SIGNAL_AGAIN });
        self.signal_kill("killed");
    }

    pub(super) fn seal(&mut self) {
        self.state = State::Killed;
        self.deadline = None;
        self.log(Level::Error, "[KILL] sealed: no host, latch on disk; `arm --reason` re-arms".into());
        if self.is_stopping {
            self.out.push(Output::Exit);
        }
    }

    pub(super) fn rearm(&mut self, now: Now) {
        self.kill = None;
        self.why_gone = None;
        self.restarts.reset();
        self.was_suspended = None;
        self.warm_due = now.boot;
        self.is_armed = true;
        self.state = State::Disarmed;
        self.step(Event::Armed, "", now);
    }

    pub(super) fn stop_after_kill(&mut self, now: Now) {
        self.is_stopping = true;
        self.deadline = Some(now.boot + STOP_WAIT);
    }
}
