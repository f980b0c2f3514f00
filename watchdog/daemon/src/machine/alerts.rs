//! What a human is told: every kind of alert, what to do about it, and what it ends; and the observer that
//! raises those which follow from how the machine stands rather than from one step of it.

use std::time::Duration;

use sandpit_contract::{BootTime, BrokerProof, Layer, State};

use super::{Account, Machine, Now, Severity, kill::Writing};
use crate::proof::{Scope, Terms};

/// Something may be open at the broker so long before a human is told, and is told of again as often.
const PENDING_WAIT: Duration = Duration::from_secs(60);
/// A latch is on its way to the disk for so long before a human is told.
const LATCH_WAIT: Duration = Duration::from_secs(5);
/// A connected host of an armed watchdog has no lease for so long before a human is told.
const WITHHELD_WAIT: Duration = Duration::from_secs(60);
/// An armed watchdog has had no host for so long before a human is told.
const MISSING_WAIT: Duration = Duration::from_secs(60);
/// The host's memory is above the first, in per cent of its limit, for so long before a human is told; it is
/// over below the second.
const FULL_PERCENT: u32 = 85;
const FULL_WAIT: Duration = Duration::from_secs(15);
const ROOMY_PERCENT: u32 = 80;
/// The broker answers nothing for so long before a human is told.
const SILENT_WAIT: Duration = Duration::from_secs(120);

/// One kind of alert.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// What it is about.
    pub(crate) key: &'static str,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// What a human does about it; empty when nothing is to be done.
    pub(crate) remedy: &'static str,
    /// The kinds that are over with it. Whoever ends another is an `Info`, so that it leaves after it.
    pub(crate) ends: &'static [&'static str],
    /// A human does it: it never repeats by itself.
    is_act: bool,
}

use Severity::{Critical, Info, Warning};

const fn kind(key: &'static str, severity: Severity, remedy: &'static str) -> Kind {
    Kind { key, severity, remedy, ends: &[], is_act: false }
}

const fn end(key: &'static str, ends: &'static [&'static str]) -> Kind {
    Kind { key, severity: Info, remedy: "", ends, is_act: false }
}

const fn act(key: &'static str, ends: &'static [&'static str]) -> Kind {
    Kind { is_act: true, ..end(key, ends) }
}

const LOOK: &str = "see `sandpit-watchdog status` and the host's log";

/// Every kind that is ever raised.
static KINDS: &[Kind] = &[
    kind("kill", Critical, "find out why; look at the account; `sandpit-watchdog arm --reason` re-arms"),
    kind("crash-loop", Critical, "the host's log says why it ends; mend that, then re-arm"),
    kind("pending", Critical, "look at the account at the broker's site and cancel there what is open"),
    kind("latch-unwritten", Critical, "free or mend the disk of `state_dir`; until then do not restart us"),
    kind("started-killed", Critical, "it is still killed; find out why, then re-arm"),
    kind("key-refused", Critical, "check APCA_API_KEY_ID and APCA_API_SECRET_KEY of the watchdog"),
    kind(
        "host-missing",
        Critical,
        "nobody trades and nobody guards stops: see the host's log, then start it",
    ),
    kind(
        "memory-full",
        Critical,
        "the host is not drained for it: see `status`, remove the strategy that grows",
    ),
    kind("ping-lost", Warning, "a dead machine would not be noticed: look at the network and ALERT_PING_URL"),
    kind("broker-silent", Warning, "a kill would have to wait too: look at the network and the broker"),
    kind("lease-withheld", Warning, LOOK),
    kind("host-replaced", Warning, LOOK),
    kind("host-crashed", Warning, LOOK),
    kind("host-drained", Warning, "if it happens again, look for the strategy that leaks"),
    kind("host-ended", Warning, "no host trades; its exit code is in the README"),
    kind("disarmed", Warning, "if that was nobody, look at `state_dir`; `sandpit-watchdog arm` arms"),
    kind(
        "admin-taken",
        Warning,
        "find out who listens there; end it, or change `[admin] listen` and restart us",
    ),
    kind("pause", Warning, "the machine slept or had no time for us; nothing guards while it does"),
    kind("limits-file", Warning, "the peak and the losses are measured anew: look whether that is right"),
    kind("limits-unknown", Warning, "compare the account at the broker's site with what the host believes"),
    kind("limits-account", Warning, "give watchdog and host keys of one account, then restart the wrong one"),
    kind("limits-blind", Warning, "look at the network and the broker: the account cannot be read"),
    kind("memory", Warning, "look for the strategy that grows; see `status`"),
    kind("memory-again", Warning, "remove the strategy that grows, or give the host more memory"),
    kind("memory-nobody", Warning, "the host itself grows: restart it, and look at its log"),
    kind("memory-quarantine", Warning, "mend the strategy, then put its file back"),
    kind("memory-not-quarantined", Critical, "remove the strategy's file from the plugins by hand"),
    kind("drill-slow", Warning, "see `drills.jsonl` for the step that was slow"),
    kind("drill-failed", Warning, "a real kill may fail the same way: find out why"),
    kind("drill-overdue", Warning, "run `sandpit-watchdog drill`"),
    kind("zero-seen", Info, ""),
    kind("started", Info, ""),
    kind("test", Info, ""),
    end("confirmed", &["pending"]),
    act("re-armed", &["kill", "crash-loop", "pending", "latch-unwritten", "started-killed", "disarmed"]),
    end("armed", &["disarmed"]),
    end("latch-written", &["latch-unwritten"]),
    end("broker-back", &["broker-silent", "key-refused"]),
    end("host-back", &["host-replaced", "host-crashed", "host-drained", "host-ended", "memory"]),
    end("limits-clear", &["limits-unknown", "limits-account", "limits-blind"]),
    end("host-seen", &["host-missing"]),
    end("memory-roomy", &["memory-full"]),
    end("ping-back", &["ping-lost"]),
    end("lease-back", &["lease-withheld"]),
    end("admin-back", &["admin-taken"]),
    end("drill-passed", &["drill-slow", "drill-failed", "drill-overdue"]),
];

impl Kind {
    /// The kind of `key`, if the table has it.
    pub(crate) fn of(key: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.key == key)
    }

    /// Whether `key` is the act of a human.
    pub(crate) fn is_act(key: &str) -> bool {
        Self::of(key).is_some_and(|kind| kind.is_act)
    }

    /// What `key` ends.
    pub(crate) fn ends(key: &str) -> &'static [&'static str] {
        Self::of(key).map_or(&[], |kind| kind.ends)
    }
}

/// What was last seen, and what was said about it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    has_started: bool,
    was_armed: bool,
    was_killed: bool,
    proof: Option<BrokerProof>,
    pending_since: Option<BootTime>,
    silent_since: Option<BootTime>,
    withheld_since: Option<BootTime>,
    said_unwritten: bool,
    said_silent: bool,
    said_refused: bool,
    said_withheld: bool,
    missing_since: Option<BootTime>,
    said_missing: bool,
    full_since: Option<BootTime>,
    said_full: bool,
    /// The last host has ended in order, or by our will, and whoever runs it knows.
    pub(super) is_host_excused: bool,
    /// A host was lost, and none has had a lease since.
    pub(super) is_host_missed: bool,
}

impl Machine {
    /// Raises one of the table.
    pub(super) fn raise(&mut self, key: &'static str, text: String) {
        let severity = Kind::of(key).map_or(Warning, |kind| kind.severity);
        self.alert(severity, key, text);
    }

    /// A host was lost that trading needs.
    pub(super) fn miss_host(&mut self, key: &'static str, text: String) {
        self.watch.is_host_missed = true;
        self.raise(key, text);
    }

    /// Whether the panic button can be reached.
    pub(super) fn on_admin_port(&mut self, taken: Option<String>) {
        match taken {
            Some(why) => self.raise("admin-taken", why),
            None => self.raise("admin-back", "the admin port is there".into()),
        }
    }

    /// Whether a dead machine would be noticed.
    pub(super) fn on_ping(&mut self, lost: Option<String>) {
        match lost {
            Some(why) => self.raise("ping-lost", why),
            None => self.raise("ping-back", "pings arrive at the check-in service again".into()),
        }
    }

    /// Looks at how the machine stands after an observation.
    pub(super) fn observe(&mut self, now: Now) {
        if !self.watch.has_started {
            return;
        }
        self.observe_arming();
        self.observe_proof(now.boot);
        self.observe_latch(now.boot);
        self.observe_broker(now.boot);
        self.observe_lease(now.boot);
        self.observe_host(now.boot);
        self.observe_memory(now.boot);
    }

    /// The first turn, in which the files have been looked at.
    pub(super) fn observe_start(&mut self) {
        if std::mem::replace(&mut self.watch.has_started, true) {
            return;
        }
        self.watch.was_armed = self.is_armed;
        self.watch.was_killed = self.kill.is_some();
        match &self.kill {
            Some(kill) if kill.was_seen => {
                let latch = &kill.latch;
                let text =
                    format!("the watchdog started killed: by {}, {}", latch.layer.word(), latch.reason);
                self.raise("started-killed", text);
            }
            // Killed in this very turn: that is an alert of its own.
            Some(_) => self.raise("started", "the watchdog started".into()),
            None => {
                let how = if self.is_armed { "armed" } else { "not armed" };
                self.raise("started", format!("the watchdog started, {how}"));
            }
        }
    }

    fn observe_arming(&mut self) {
        let was_killed = std::mem::replace(&mut self.watch.was_killed, self.kill.is_some());
        let was_armed = std::mem::replace(&mut self.watch.was_armed, self.is_armed);
        // A kill takes the arming with it, and its end brings it back: both are said as such.
        if self.kill.is_some() || was_killed || was_armed == self.is_armed {
            return;
        }
        if self.is_armed {
            self.raise("armed", "armed: the watchdog grants leases".into());
        } else {
            let why = self.unseen.unwrap_or("the file `armed` is gone");
            self.raise("disarmed", format!("not armed any more: {why}; no lease is granted"));
        }
    }

    fn observe_proof(&mut self, now: BootTime) {
        let level = self.kill.as_ref().map(|kill| kill.proof.level());
        let before = std::mem::replace(&mut self.watch.proof, level);
        if level != Some(BrokerProof::PendingAtBroker) {
            self.watch.pending_since = None;
        }
        match level {
            None => {}
            Some(BrokerProof::PendingAtBroker) => {
                let since = *self.watch.pending_since.get_or_insert(now);
                let is_back = before.is_some_and(|before| before != BrokerProof::PendingAtBroker);
                if is_back || now.since(since) >= PENDING_WAIT {
                    self.watch.pending_since = Some(now);
                    self.raise("pending", pending(is_back).into());
                }
            }
            Some(_) if before == level => {}
            Some(BrokerProof::ZeroSeen) => {
                self.raise("zero-seen", "ZERO_SEEN: the broker shows nothing open".into());
            }
            Some(level @ (BrokerProof::ConfirmedZero | BrokerProof::StopsOnly | BrokerProof::Flat)) => {
                let text = format!("{}: every look of the whole window agreed", level.word());
                self.raise("confirmed", text);
            }
        }
    }

    fn observe_latch(&mut self, now: BootTime) {
        let writing = self.kill.as_ref().map(|kill| kill.writing);
        let said = self.watch.said_unwritten;
        let text = match writing {
            Some(Writing::Due(_)) => {
                Some("the latch cannot be written: the kill holds only as long as this watchdog lives")
            }
            Some(Writing::Asked { since, .. }) if now.since(since) >= LATCH_WAIT => {
                Some("the disk does not take the latch: the kill holds only as long as this watchdog lives")
            }
            Some(Writing::Asked { .. } | Writing::Done) | None => None,
        };
        if let Some(text) = text.filter(|_| !said) {
            self.watch.said_unwritten = true;
            self.raise("latch-unwritten", text.into());
        } else if said && matches!(writing, Some(Writing::Done) | None) {
            self.watch.said_unwritten = false;
            self.raise("latch-written", "the latch is on disk".into());
        }
    }

    fn observe_broker(&mut self, now: BootTime) {
        let is_refused = self.account == Account::KeyRefused;
        if is_refused && !std::mem::replace(&mut self.watch.said_refused, true) {
            self.raise("key-refused", super::KEY_REFUSED.into());
        }
        // While killed the proof reads, and says so itself.
        let is_silent = self.warm_failure.is_some() && !is_refused && self.kill.is_none();
        if !is_silent {
            self.watch.silent_since = None;
        } else if now.since(*self.watch.silent_since.get_or_insert(now)) >= SILENT_WAIT
            && !std::mem::replace(&mut self.watch.said_silent, true)
        {
            let text = "the broker has answered the watchdog nothing for 2 minutes";
            self.raise("broker-silent", text.into());
        }
        let is_well = self.warm_failure.is_none() && self.account == Account::Read;
        if is_well && (self.watch.said_refused || self.watch.said_silent) {
            (self.watch.said_refused, self.watch.said_silent) = (false, false);
            self.raise("broker-back", "the broker answers the watchdog again".into());
        }
    }

    fn observe_lease(&mut self, now: BootTime) {
        let is_connected = self.host.as_ref().is_some_and(|host| host.is_connected);
        let is_leased = self.state == State::Leased;
        let is_withheld = self.is_armed && is_connected && !is_leased && self.kill.is_none();
        if is_leased && std::mem::take(&mut self.watch.is_host_missed) {
            self.raise("host-back", "a host is there again and holds a lease".into());
        }
        if is_leased && std::mem::take(&mut self.watch.said_withheld) {
            self.raise("lease-back", "the host holds a lease again".into());
        }
        if !is_withheld {
            self.watch.withheld_since = None;
        } else if now.since(*self.watch.withheld_since.get_or_insert(now)) >= WITHHELD_WAIT
            && !std::mem::replace(&mut self.watch.said_withheld, true)
        {
            let text = format!("no lease for a minute: {}", self.why_withheld());
            self.raise("lease-withheld", text);
        }
    }
}

impl Machine {
    /// What the host's own rules would say, had they not gone with it.
    fn observe_host(&mut self, now: BootTime) {
        let is_there = self.host.as_ref().is_some_and(|host| host.is_connected);
        self.watch.is_host_excused &= !is_there;
        let is_wanted = self.is_armed && self.kill.is_none() && !self.is_stopping;
        if is_there || !is_wanted || self.watch.is_host_excused {
            self.watch.missing_since = None;
            if std::mem::take(&mut self.watch.said_missing) {
                let how = if is_there { "a host is connected again" } else { "no host is wanted any more" };
                self.raise("host-seen", how.into());
            }
        } else if now.since(*self.watch.missing_since.get_or_insert(now)) >= MISSING_WAIT
            && !std::mem::replace(&mut self.watch.said_missing, true)
        {
            let why = self.why_gone.as_ref().map_or(String::new(), |why| format!("; the last one: {why}"));
            self.raise("host-missing", format!("armed, and no host is connected for a minute{why}"));
        }
    }

    fn observe_memory(&mut self, now: BootTime) {
        let percent = self.memory.percent().unwrap_or_default();
        if percent <= FULL_PERCENT {
            self.watch.full_since = None;
            if percent < ROOMY_PERCENT && std::mem::take(&mut self.watch.said_full) {
                self.raise("memory-roomy", "the host's memory is below 80 % of its limit again".into());
            }
        } else if now.since(*self.watch.full_since.get_or_insert(now)) >= FULL_WAIT
            && !std::mem::replace(&mut self.watch.said_full, true)
        {
            self.raise("memory-full", format!("the host's memory is at {percent} % of its limit for 15 s"));
        }
    }
}

fn pending(is_back: bool) -> &'static str {
    if is_back {
        "PENDING_AT_BROKER: something is open again; the watchdog goes on"
    } else {
        "still PENDING_AT_BROKER: something is open, or nobody knows; the watchdog goes on"
    }
}

/// Of a kill that has just begun.
pub(super) fn killed(layer: Layer, reason: &str, terms: Terms) -> String {
    let scope = match terms.scope {
        Scope::Account => "account",
        Scope::Ours => "ours",
    };
    let policy = serde_json::to_value(terms.policy).ok();
    let policy = policy.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
    format!("killed by {}: {reason} (scope {scope}, policy {policy})", layer.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert_eq!(KINDS.iter().position(|other| other.key == kind.key), Some(at), "{}", kind.key);
            assert!(kind.ends.is_empty() || kind.severity == Info, "{} would overtake", kind.key);
            assert!(kind.ends.iter().all(|key| Kind::of(key).is_some()), "{}", kind.key);
            assert!(kind.severity == Info || !kind.remedy.is_empty(), "{}: what is to be done?", kind.key);
        }
    }
}
