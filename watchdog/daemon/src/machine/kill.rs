//! What a kill does, and how a human leads out of it.

use sandpit_contract::{BootTime, BrokerProof, Event as Mark, Latch, State};

use super::{Event, Machine, Now, Output, SIGNAL_AGAIN, STOP_WAIT};
use crate::{
    log::Level,
    proof::{Proof, Scope},
};

/// A reason is never longer, so that a latch always fits its space.
const MAX_REASON_CHARS: usize = 400;

/// Where the newest latch is on its way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// It was handed over, and the answer has not come.
    Asked {
        /// Another reason has come since: one more is to be written after it.
        again: bool,
        /// When.
        since: BootTime,
    },
    /// It could not be written, and is tried again then.
    Due(BootTime),
    /// It is on disk.
    Done,
}

/// The kill in force.
#[derive(Debug)]
pub(super) struct Kill {
    /// What is, or is to be, on disk.
    pub(super) latch: Latch,
    /// How far that is.
    pub(super) writing: Writing,
    /// It was seen on disk after that: only then may its absence mean that a human took it away.
    pub(super) was_seen: bool,
    /// Looks one after the other that found neither it nor `armed`.
    pub(super) lost_looks: u32,
    /// The search for the proof at the broker.
    pub(super) proof: Proof,
}

impl Machine {
    /// No right to trade from the first line on; then latch, signal and broker side by side.
    pub(super) fn begin_kill(&mut self, event: Event, why: &str, now: Now) {
        let Event::Kill(layer) = event else {
            return;
        };
        let takes_back = self.take_back_end();
        self.is_stopping = takes_back || self.state == State::Stopping;
        self.state = State::Killing;
        self.is_armed = false;
        self.pulse(now.boot);
        let reason: String = why.chars().take(MAX_REASON_CHARS).collect();
        let epoch = self.host.as_ref().and_then(|host| host.epoch).unwrap_or(0);
        // What nobody has seen lifted, we do not claim to have put there; the answer to the first suspension
        // may still correct it.
        let suspended = self.settings.terms.scope == Scope::Account && self.was_suspended == Some(false);
        let latch = Latch {
            at_unix_s: now.unix_s,
            layer,
            reason: reason.clone(),
            epoch,
            suspended,
            policy: self.settings.terms.policy,
        };
        self.out.push(Output::WriteLatch(latch.clone()));
        if self.may_have_host() {
            self.out.push(Output::SignalKill);
        }
        self.deadline = Some(now.boot + if self.is_stopping { STOP_WAIT } else { SIGNAL_AGAIN });
        let mut proof = Proof::of_kill(self.settings.terms, self.may_have_host(), now.boot);
        proof.owns_suspension(suspended);
        self.out.extend(proof.due(now.boot).into_iter().map(Output::Broker));
        self.kill = Some(Kill {
            latch,
            writing: Writing::Asked { again: false, since: now.boot },
            was_seen: false,
            lost_looks: 0,
            proof,
        });
        self.mark(Mark::Killed, Level::Error, format!("[KILL] layer={} reason={reason}", layer.word()));
        self.raise("kill", super::alerts::killed(layer, &reason, self.settings.terms));
        let text = "[KILL] PENDING_AT_BROKER: nothing is read yet";
        self.mark(Mark::KillPending, Level::Error, text.into());
    }

    /// Another reason while killed. An `arm` that runs just now has read the latch before this reason was
    /// there: it must not find the same one when it removes it.
    pub(super) fn kill_more(&mut self, event: Event, why: &str, now: Now) {
        let (Event::Kill(layer), Some(kill)) = (event, &mut self.kill) else {
            return;
        };
        let reason: String = why.chars().take(MAX_REASON_CHARS).collect();
        kill.latch.at_unix_s = now.unix_s;
        // Before the seal it is an echo of the first reason.
        if self.state == State::Killed {
            kill.latch.layer = layer;
            kill.latch.reason.clone_from(&reason);
        }
        kill.proof.insist(now.boot);
        self.out.extend(kill.proof.due(now.boot).into_iter().map(Output::Broker));
        self.mark(Mark::Killed, Level::Error, format!("[KILL] again layer={} reason={reason}", layer.word()));
        self.write_latch_anew(now);
    }

    /// Not sealed until it is there.
    pub(super) fn write_latch_anew(&mut self, now: Now) {
        if let Some(kill) = &mut self.kill {
            kill.was_seen = false;
            kill.writing = match kill.writing {
                Writing::Asked { since, .. } => Writing::Asked { again: true, since },
                Writing::Due(_) | Writing::Done => {
                    self.out.push(Output::WriteLatch(kill.latch.clone()));
                    Writing::Asked { again: false, since: now.boot }
                }
            };
        }
        if self.state == State::Killed {
            self.state = State::Killing;
            self.is_stopping |= self.take_back_end();
            self.deadline = Some(now.boot + if self.is_stopping { STOP_WAIT } else { SIGNAL_AGAIN });
        }
    }

    /// What the broker said just before our first suspension.
    pub(super) fn learn_suspension(&mut self, was_suspended: bool, now: Now) {
        let Some(kill) = &mut self.kill else {
            return;
        };
        kill.proof.owns_suspension(!was_suspended);
        if kill.latch.suspended == was_suspended {
            kill.latch.suspended = !was_suspended;
            self.write_latch_anew(now);
        }
    }

    pub(super) fn kill_again(&mut self, now: Now) {
        if self.is_stopping && self.deadline.is_some_and(|deadline| deadline <= now.boot) {
            self.log(Level::Error, "[KILL] stopped before the kill was sealed".into());
            self.end();
            return;
        }
        self.state = State::Killing;
        self.deadline = Some(now.boot + if self.is_stopping { STOP_WAIT } else { SIGNAL_AGAIN });
        self.signal_kill("killed");
    }

    pub(super) fn seal(&mut self, now: Now) {
        self.state = State::Killed;
        self.deadline = None;
        let text = "[KILL] sealed: no host, latch on disk; `arm --reason` re-arms";
        self.mark(Mark::KillSealed, Level::Error, text.into());
        if self.is_stopping {
            self.leave(now);
        }
    }

    /// Ends the process. A kill whose requests may not even have left gets some seconds: whoever kills and
    /// then shuts the machine down would leave everything at work. Who asks twice is not kept.
    pub(super) fn leave(&mut self, now: Now) {
        if self.is_pending() && self.leave_by.is_none() {
            self.mark(
                Mark::KillPending,
                Level::Error,
                "[KILL] stopped, but PENDING_AT_BROKER: some seconds are left for it".into(),
            );
            self.leave_by = Some(now.boot + STOP_WAIT);
        } else {
            self.end();
        }
    }

    pub(super) fn end(&mut self) {
        self.has_left = true;
        self.out.push(Output::Exit);
    }

    /// A kill that is heard while the process ends is on disk before it does. True when it was ending.
    fn take_back_end(&mut self) -> bool {
        let was_ending = std::mem::take(&mut self.has_left);
        if was_ending {
            self.leave_by = None;
            self.out.push(Output::Remain);
        }
        was_ending
    }

    pub(super) fn tick_leave(&mut self, now: BootTime) {
        if self.leave_by.is_some_and(|by| by <= now || !self.is_pending()) {
            self.end();
        }
    }

    fn is_pending(&self) -> bool {
        self.kill.as_ref().is_some_and(|kill| kill.proof.level() == BrokerProof::PendingAtBroker)
    }

    pub(super) fn rearm(&mut self, now: Now) {
        self.raise("re-armed", "re-armed by an operator".into());
        self.kill = None;
        self.why_gone = None;
        self.restarts.reset();
        self.memory.reset();
        self.was_suspended = None;
        self.warm_due = now.boot;
        self.limits.watch_anew(now.boot);
        self.is_armed = true;
        self.state = State::Disarmed;
        self.step(Event::Armed, "", now);
    }

    pub(super) fn stop_after_kill(&mut self, now: Now) {
        self.is_stopping = true;
        self.deadline = Some(now.boot + STOP_WAIT);
    }
}

/// By what the lines about a proof are found.
pub(super) const fn mark_of(proof: BrokerProof) -> Mark {
    match proof {
        BrokerProof::PendingAtBroker | BrokerProof::ZeroSeen => Mark::KillPending,
        BrokerProof::ConfirmedZero | BrokerProof::StopsOnly | BrokerProof::Flat => Mark::KillProved,
    }
}
