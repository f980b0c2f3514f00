//! What a service says to the manager that runs it (systemd's `sd_notify`), as data: to which address, in
//! which words, and how often. Both programs send it over a socket that never waits; what did not leave is
//! due again.
//!
//! A manager that is told too much falls behind (systemd#37288), so a status is said when it has changed and
//! at most once a second, and a sign of life once in a third of the time that the manager waits for it.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    time::Duration,
};

use crate::BootTime;

/// By these variables the manager speaks to one process: its children must not get them.
pub const MANAGER_VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// Between two statuses, real time.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Signs of life in the time that the manager waits for one.
const PINGS: u32 = 3;
/// Characters of a status; with four bytes each still within the 4096 bytes that a manager reads.
const MAX_STATUS_CHARS: usize = 500;

/// Where a manager listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagerAddress {
    /// A path.
    Path(OsString),
    /// A name without a file, in the kernel's own space of names.
    Abstract(Vec<u8>),
}

impl ManagerAddress {
    /// What `NOTIFY_SOCKET` says; `None` when it names no socket of this machine's.
    pub fn parse(variable: &OsStr) -> Option<Self> {
        match variable.as_bytes() {
            [b'/', ..] => Some(Self::Path(variable.to_owned())),
            [b'@', name @ ..] if !name.is_empty() => Some(Self::Abstract(name.to_owned())),
            _ => None,
        }
    }
}

/// How often the manager wants a sign of life; `None` when it wants none of this process. `usec` and `pid`
/// are what the variables `WATCHDOG_USEC` and `WATCHDOG_PID` say, `own` is this process's id.
pub fn ping_every(usec: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let span = Duration::from_micros(usec?.parse().ok()?);
    (!span.is_zero()).then(|| span / PINGS)
}

/// What is to be said.
#[derive(Debug)]
pub struct ToManager {
    ping_every: Option<Duration>,
    pinged: Option<BootTime>,
    state: Option<&'static str>,
    extend: Option<Duration>,
    status: String,
    said: String,
    said_at: Option<BootTime>,
    is_stopping: bool,
}

/// What is due, in the words of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// One message, whole.
    pub text: String,
    /// Whether it is a sign of life.
    pub is_ping: bool,
    has_status: bool,
}

impl ToManager {
    /// Says nothing yet.
    pub fn new(ping_every: Option<Duration>) -> Self {
        Self {
            ping_every,
            pinged: None,
            state: None,
            extend: None,
            status: String::new(),
            said: String::new(),
            said_at: None,
            is_stopping: false,
        }
    }

    /// The start goes on with `what`, which is over within so much time.
    pub fn step(&mut self, what: &str, within: Duration) {
        self.extend = Some(within);
        self.status(&format!("starting: {what}"));
        self.said_at = None;
    }

    /// Everything is up.
    pub fn ready(&mut self) {
        self.extend = None;
        self.state = Some("READY=1\n");
        self.said_at = None;
    }

    /// The service ends, and why. From here on there are no signs of life.
    pub fn stopping(&mut self, why: &str) {
        // What never was ready cannot be told to be.
        self.state = Some("STOPPING=1\n");
        self.is_stopping = false;
        self.status(why);
        self.said_at = None;
        self.is_stopping = true;
    }

    /// How the service stands, in one line. At the end nothing takes the place of why it ends.
    pub fn status(&mut self, text: &str) {
        if self.is_stopping {
            return;
        }
        let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        self.status = line.take(MAX_STATUS_CHARS).collect();
    }

    /// Whether a sign of life is due, if there is life.
    pub fn wants_ping(&self, now: BootTime) -> bool {
        let is_due = |every| self.pinged.is_none_or(|pinged| now.since(pinged) >= every);
        !self.is_stopping && self.ping_every.is_some_and(is_due)
    }

    /// This process stood still itself, or the machine did: the next sign of life is due as soon as there is
    /// one.
    pub fn paused(&mut self) {
        self.pinged = None;
    }

    /// What to send now, if anything. `is_alive` says that everything has moved since the last sign of life.
    pub fn due(&self, is_alive: bool, now: BootTime) -> Option<Datagram> {
        let is_soon = self.said_at.is_some_and(|at| now.since(at) < STATUS_EVERY);
        let has_status = self.status != self.said && !is_soon;
        let is_ping = is_alive && self.wants_ping(now);
        let mut text = self.state.unwrap_or_default().to_owned();
        if let Some(within) = self.extend {
            text.push_str(&format!("EXTEND_TIMEOUT_USEC={}\n", within.as_micros()));
        }
        if has_status {
            text.push_str(&format!("STATUS={}\n", self.status));
        }
        if is_ping {
            text.push_str("WATCHDOG=1\n");
        }
        (!text.is_empty()).then_some(Datagram { text, is_ping, has_status })
    }

    /// It has left.
    pub fn sent(&mut self, datagram: &Datagram, now: BootTime) {
        (self.state, self.extend) = (None, None);
        if datagram.has_status {
            self.said.clone_from(&self.status);
            self.said_at = Some(now);
        }
        if datagram.is_ping {
            self.pinged = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn an_address_is_a_path_or_an_abstract_name() {
        let check = |text: &str, expected: Option<ManagerAddress>| {
            assert_eq!(ManagerAddress::parse(OsStr::new(text)), expected, "{text}");
        };
        check("/run/notify", Some(ManagerAddress::Path("/run/notify".into())));
        check("@a/b", Some(ManagerAddress::Abstract(b"a/b".to_vec())));
        check("", None);
        check("@", None);
        check("vsock:2:1234", None);
        check("relative", None);
    }

    #[test]
    fn a_third_of_what_the_manager_waits_and_nothing_for_another_process() {
        let check = |usec, pid, expected: Option<u64>| {
            assert_eq!(ping_every(usec, pid, 7), expected.map(Duration::from_millis), "{usec:?} {pid:?}");
        };
        check(Some("30000000"), None, Some(10_000));
        check(Some("30000000"), Some("7"), Some(10_000));
        check(Some("30000000"), Some("8"), None);
        check(Some("30000000"), Some("x"), None);
        check(Some("0"), None, None);
        check(Some("soon"), None, None);
        check(None, None, None);
    }

    /// Says what is due at this moment, and that it has left.
    fn say(to: &mut ToManager, is_alive: bool, ms: u64) -> String {
        let Some(datagram) = to.due(is_alive, at(ms)) else { return String::new() };
        to.sent(&datagram, at(ms));
        datagram.text
    }

    #[test]
    fn what_is_said_is_said_once_and_a_status_when_it_changes() {
        let mut to = ToManager::new(None);
        assert_eq!(say(&mut to, true, 0), "", "nobody wants a sign of life");
        to.step("reading", Duration::from_secs(2));
        to.step("asking", Duration::from_secs(3));
        assert_eq!(say(&mut to, false, 1), "EXTEND_TIMEOUT_USEC=3000000\nSTATUS=starting: asking\n");
        to.ready();
        to.status("paper\nforged=1\0");
        assert_eq!(say(&mut to, false, 2), "READY=1\nSTATUS=paper forged=1 \n");
        to.status("paper, 1 order");
        to.status("paper, 2 orders");
        assert_eq!(say(&mut to, false, 500), "", "a second has not passed");
        assert_eq!(say(&mut to, false, 1_002), "STATUS=paper, 2 orders\n");
        to.status("paper, 2 orders");
        assert_eq!(say(&mut to, false, 9_000), "");
        to.status(&"x".repeat(5_000));
        assert_eq!(say(&mut to, false, 10_000).len(), "STATUS=\n".len() + MAX_STATUS_CHARS);
        to.stopping("killed");
        assert_eq!(say(&mut to, false, 10_001), "STOPPING=1\nSTATUS=killed\n", "at once");
    }

    #[test]
    fn what_did_not_leave_is_due_again() {
        let mut to = ToManager::new(Some(Duration::from_secs(1)));
        to.ready();
        let first = to.due(true, at(0));
        assert_eq!(first, to.due(true, at(5_000)));
        assert_eq!(first.map(|first| first.text).as_deref(), Some("READY=1\nWATCHDOG=1\n"));
    }

    #[test]
    fn life_is_shown_at_its_pace_after_a_pause_at_once_and_never_at_the_end() {
        let mut to = ToManager::new(Some(Duration::from_secs(10)));
        let check = |to: &mut ToManager, is_alive, ms, is_said: bool| {
            assert_eq!(say(to, is_alive, ms).contains("WATCHDOG=1"), is_said, "{ms}");
        };
        check(&mut to, false, 0, false);
        check(&mut to, true, 1, true);
        check(&mut to, true, 9_999, false);
        check(&mut to, false, 10_001, false);
        check(&mut to, true, 10_002, true);
        to.paused();
        check(&mut to, false, 10_003, false);
        check(&mut to, true, 10_004, true);
        to.stopping("asked");
        check(&mut to, true, 30_000, false);
        to.status("paper");
        assert_eq!(say(&mut to, true, 40_000), "", "why it ends stays");
    }
}
