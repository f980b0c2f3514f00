//! What the broker's answers to anything but a read change.

use sandpit_contract::{BootTime, BrokerProof, Policy};

use super::{
    Proof, SETTLE,
    vocabulary::{Cancels, Closes, Trouble},
};

impl Proof {
    pub(super) fn suspended(&mut self, result: Result<(), Trouble>, now: BootTime) -> Vec<String> {
        if self.cancel.due.is_some() {
            self.cancel.by(now);
        }
        if let Some(closing) = &mut self.closing {
            closing.is_suspended = if result.is_ok() { Some(true) } else { None };
        }
        match result {
            Ok(()) => {
                self.suspend.answered();
                self.check.by(now + self.steady() * 2);
                vec![format!("suspended after_ms={}", self.after_ms(now))]
            }
            Err(trouble) => {
                self.suspend.failed(trouble.pause, now);
                vec![format!("suspend failed, tried again: {}", trouble.cause)]
            }
        }
    }

    pub(super) fn lifted(&mut self, result: &Result<(), Trouble>, now: BootTime) -> Vec<String> {
        if let Some(closing) = &mut self.closing {
            closing.lifted(result, now);
        }
        self.check.due = None;
        match result {
            Ok(()) => vec!["our suspension is lifted, so that a late position can be closed".into()],
            Err(trouble) => vec![format!("lifting our suspension failed, tried again: {}", trouble.cause)],
        }
    }

    /// An `arm` that failed half way, or somebody at the broker's site, may have lifted it. Under `flatten`
    /// it is also asked why a close was refused.
    pub(super) fn checked(&mut self, result: Result<bool, Trouble>, now: BootTime) -> Vec<String> {
        let stands = match result {
            Ok(stands) => stands,
            Err(trouble) => {
                self.check.failed(trouble.pause, now);
                return vec![format!("the suspension could not be read, tried again: {}", trouble.cause)];
            }
        };
        self.check.answered();
        let is_wanted = self.terms.policy != Policy::Flatten || self.level != BrokerProof::PendingAtBroker;
        if let Some(closing) = &mut self.closing {
            closing.learned(stands, now);
        }
        if is_wanted {
            self.check.by(now + self.steady() * 2);
        }
        if stands || !is_wanted {
            return Vec::new();
        }
        self.suspend.by(now);
        vec!["the suspension was lifted by somebody: suspended again".into()]
    }

    pub(super) fn cancelled(&mut self, result: Result<Cancels, Trouble>, now: BootTime) -> Vec<String> {
        self.read.by(now + SETTLE);
        if let Some(closing) = self.closing.as_mut().filter(|closing| closing.close.due.is_some()) {
            closing.close.by(now);
        }
        match result {
            Ok(Cancels { taken, failed }) => {
                self.cancel.answered();
                for answered in self.asked.values_mut() {
                    answered.get_or_insert(now);
                }
                let also =
                    if failed.is_empty() { String::new() } else { format!(" failed={}", failed.len()) };
                self.failed.extend(failed);
                if !self.failed.is_empty() {
                    self.cancel.by(now);
                }
                vec![format!("cancel taken orders={taken}{also} after_ms={}", self.after_ms(now))]
            }
            Err(trouble) => {
                self.cancel.failed(trouble.pause, now);
                self.asked.retain(|_, answered| answered.is_some());
                vec![format!("cancel failed, tried again: {}", trouble.cause)]
            }
        }
    }

    pub(super) fn closed(&mut self, result: &Result<Closes, Trouble>, now: BootTime) -> Vec<String> {
        self.read.by(now + SETTLE);
        let Some(closing) = &mut self.closing else {
            return Vec::new();
        };
        if closing.closed(result, now) && closing.is_suspended != Some(true) {
            self.check.by(now);
        }
        match result {
            Ok(Closes { taken, refused, holders }) => {
                let (held, after_ms) = (holders.len(), self.after_ms(now));
                vec![format!("close taken orders={taken} refused={refused} held={held} after_ms={after_ms}")]
            }
            Err(trouble) => vec![format!("close failed, tried again: {}", trouble.cause)],
        }
    }
}
