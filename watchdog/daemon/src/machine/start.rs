//! Starting the host: asked for here, answered later. In between there may be a host that nobody can signal
//! yet, so whatever is decided meanwhile holds for the one that appears.

use sandpit_contract::{Event as Mark, State};

use super::{Event, Host, Machine, Now, Output, SIGNAL_AGAIN};
use crate::log::Level;

impl Machine {
    /// There is a host, or one that was asked for may be there by now.
    pub(super) fn may_have_host(&self) -> bool {
        self.host.is_some() || self.is_spawning
    }

    /// One start at a time: the one under way is waited for.
    pub(super) fn start(&mut self, now: Now) {
        if !self.is_spawning {
            self.count_restart();
            self.is_spawning = true;
            self.out.push(Output::StartHost);
        }
        self.await_proof(now);
    }

    pub(super) fn restart(&mut self, now: Now) {
        if self.host.is_some() {
            self.deadline = Some(now.boot + SIGNAL_AGAIN);
            self.signal_kill("it did not end yet");
        } else if self.is_armed {
            self.start(now);
        } else {
            self.rest(now);
        }
    }

    /// Nobody can end a start that hangs; a human is told, and its answer is waited for.
    pub(super) fn await_start(&mut self, now: Now) {
        let seconds = self.settings.limits.start.as_secs();
        let text = format!("the host's program does not begin to run, for {seconds} s: look at its disk");
        self.log(Level::Error, text.clone());
        self.miss_host("host-crashed", text);
        self.await_proof(now);
    }

    pub(super) fn on_spawned(&mut self, pid: u32, now: Now) {
        self.is_spawning = false;
        self.host = Some(Host::new(pid, self.nonce + 1, now.boot));
        if let Some(kill) = &mut self.kill {
            kill.proof.host_is(true);
            self.signal_kill("killed before it was there");
        } else if self.state == State::Starting {
            // What the disk took is no delay of its own.
            self.await_proof(now);
        }
    }

    pub(super) fn on_spawn_failed(&mut self, cause: &str, now: Now) {
        self.is_spawning = false;
        let text = format!("the host could not be started: {cause}");
        self.mark(Mark::NotStarted, Level::Error, text.clone());
        if let Some(kill) = &mut self.kill {
            kill.proof.host_is(false);
            self.seal_if_done(now);
            return;
        }
        self.why_gone = Some(text);
        self.leased_for = std::time::Duration::ZERO;
        self.last_exit = None;
        self.step(Event::EndedToRestart, "", now);
    }
}
