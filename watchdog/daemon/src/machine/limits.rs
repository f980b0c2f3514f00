//! What the account says about the right to trade: a limit that is reached kills, an account that is not
//! known withholds the lease.

use sandpit_contract::{Event as Mark, Layer, State};

use super::{Event, Machine, Now, Output, Severity};
use crate::{
    limits::{Limits, Saved, Told},
    log::Level,
    proof::Command,
};

impl Machine {
    /// What an earlier life has measured from.
    pub(super) fn restore_limits(&mut self, saved: Option<Box<Saved>>, complaint: Option<String>, now: Now) {
        if let Some(text) = complaint {
            self.log(Level::Warning, text.clone());
            self.alert(Severity::Warning, "limits-file", text);
        }
        self.limits = Limits::new(self.settings.account_limits, saved.map(|saved| *saved), now.boot);
    }

    /// A human accepts the losses with every `arm`: otherwise the same loss would kill again at once.
    pub(super) fn on_armed_as(&mut self, arming: &str, now: Now) {
        if self.limits.armed_as(arming, now.boot) {
            self.log(Level::Notice, "limits: losses are measured anew from here".into());
        }
    }

    pub(super) fn on_account(&mut self, told: Told, requests: usize, now: Now) {
        if let Some(cause) = self.limits.on(told, requests, now.boot) {
            self.log(Level::Warning, format!("limits: the broker did not answer: {cause}"));
        }
        if let Some(saved) = self.limits.take_saved() {
            self.out.push(Output::KeepLimits(Box::new(saved)));
        }
        self.obey_limits(now);
    }

    /// Every turn: asks for the next read, and does what is known by now.
    pub(super) fn tick_limits(&mut self, now: Now) {
        self.obey_limits(now);
        if self.kill.is_none()
            && let Some(ask) = self.limits.due(now.boot)
        {
            self.out.push(Output::Broker(Command::Account(ask)));
        }
    }

    /// Unarmed, nothing that happens in the account is judged: nobody trades by our leave.
    fn obey_limits(&mut self, now: Now) {
        if self.kill.is_some() || !self.is_armed {
            self.blocked = None;
            return;
        }
        if let Some(why) = self.limits.breach().map(str::to_owned) {
            self.step(Event::Kill(Layer::Limit), &why, now);
            return;
        }
        let block = self.limits.block(now.boot);
        let was = std::mem::replace(&mut self.blocked, block.clone());
        match (was, block) {
            (None, None) => {}
            (Some(was), None) => {
                let text = format!("the account is known again: {} is over", was.text);
                self.log(Level::Notice, text.clone());
                if was.key.is_some() {
                    self.alert(Severity::Info, "limits-clear", text);
                }
            }
            (was, Some(block)) => {
                if was.is_none_or(|was| was.key != block.key) {
                    self.mark(Mark::LimitsUnread, Level::Warning, format!("lease withheld: {}", block.text));
                    if let Some(key) = block.key {
                        self.alert(Severity::Warning, key, format!("no lease: {}", block.text));
                    }
                }
                if self.state == State::Leased {
                    self.step(Event::Stalled, &block.text, now);
                }
            }
        }
    }

    /// Why a connected host has no lease, the account's reasons included.
    pub(super) fn why_withheld(&self) -> String {
        let is_live = match self.state {
            State::Armed | State::Starting | State::Leased | State::Suspect => true,
            State::Disarmed | State::Draining | State::Restarting => false,
            State::Stopping | State::Killing | State::Killed => false,
        };
        let reason = self.blocked.as_ref().filter(|_| is_live && self.account == super::Account::Read);
        reason.map_or_else(|| self.withheld().into(), |block| block.text.clone())
    }
}
