//! What the watchdog tells the manager that runs it (systemd): that it listens, that its main loop turns, how
//! it stands. The main loop itself sends it, over a socket that never waits; what did not leave leaves with a
//! later turn.

use std::{
    ffi::OsString,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

use sandpit_contract::{BootTime, ManagerAddress, State, Status, ToManager, ping_every};

/// A turn that comes so much later than the one before was kept from coming.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the manager.
pub(crate) struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    to: ToManager,
    turned: Option<BootTime>,
}

impl Manager {
    /// The manager that the environment names; `None` when there is none, or no way to it.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let address = match ManagerAddress::parse(&variable("NOTIFY_SOCKET")?)? {
            ManagerAddress::Path(path) => SocketAddr::from_pathname(path).ok()?,
            ManagerAddress::Abstract(name) => SocketAddr::from_abstract_name(name).ok()?,
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        let text = |name| variable(name).and_then(|text| text.into_string().ok());
        let (usec, pid) = (text("WATCHDOG_USEC"), text("WATCHDOG_PID"));
        let every = ping_every(usec.as_deref(), pid.as_deref(), std::process::id());
        let mut to = ToManager::new(every);
        to.ready();
        Some(Self { socket, address, to, turned: None })
    }

    /// The main loop has turned once more. It listens by then, and the first turn says so.
    pub(crate) fn turn(&mut self, status: &Status, now: BootTime) {
        if self.turned.is_some_and(|turned| now.since(turned) >= PAUSE) {
            self.to.paused();
        }
        self.turned = Some(now);
        self.to.status(&line(status));
        self.send(true, now);
    }

    /// The main loop has ended.
    pub(crate) fn stopping(&mut self) {
        self.to.stopping("stopped: no lease is granted");
        self.send(false, self.turned.unwrap_or_default());
    }

    fn send(&mut self, is_alive: bool, now: BootTime) {
        if let Some(datagram) = self.to.due(is_alive, now)
            && self.socket.send_to_addr(datagram.text.as_bytes(), &self.address).is_ok()
        {
            self.to.sent(&datagram, now);
        }
    }
}

/// How it stands: what `systemctl status` shows. It says nothing that changes all the time.
fn line(status: &Status) -> String {
    let state = match status.state {
        State::Disarmed => "NOT ARMED: no lease until `sandpit-watchdog arm`",
        State::Armed => "armed, waiting for a host",
        State::Starting => "armed; a host is starting: no lease yet",
        State::Leased => "armed; the host holds the lease",
        State::Suspect => "armed; a loop of the host stands still: NO LEASE",
        State::Draining => "armed; the host drains: no lease",
        State::Restarting => "armed; the host is being replaced: no lease",
        State::Stopping => "stopping: waiting for the host",
        State::Killing => "KILLING",
        State::Killed => "KILLED until `sandpit-watchdog arm`",
    };
    let mut line = state.to_owned();
    if let Some(kill) = &status.kill {
        line.push_str(&format!(" ({}: {})", kill.layer.word(), kill.reason));
    }
    if let Some(broker) = status.broker {
        line.push_str(&format!("; at the broker: {}", broker.word()));
    }
    if let Some(pid) = status.host_pid {
        line.push_str(&format!("; host pid {pid}"));
    }
    if let Some(why) = status.limits.as_ref().and_then(|limits| limits.withheld.as_ref()) {
        line.push_str(&format!("; LEASE WITHHELD: {why}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use sandpit_contract::{BrokerProof, KillStatus, Layer, LimitsStatus};

    use super::*;

    fn status(state: State) -> Status {
        let value = serde_json::json!({
            "state": state, "broker": null, "epoch": null, "host_pid": 7, "host_rss_bytes": null,
            "lease_ms_left": 0, "loops": [], "host_restarts": 0, "kill": null, "memory_percent": null,
        });
        serde_json::from_value(value).expect("a status")
    }

    fn manager(path: &Path) -> Option<Manager> {
        let path = path.to_owned();
        Manager::of(|name| match name {
            "NOTIFY_SOCKET" => Some(path.clone().into()),
            "WATCHDOG_USEC" => Some("30000000".into()),
            _ => None,
        })
    }

    #[test]
    fn the_first_turn_says_ready_and_turns_are_the_signs_of_life() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_nonblocking(true).expect("allowed");
        let hear = || {
            let mut packet = [0; 8192];
            let bytes = socket.recv(&mut packet).unwrap_or(0);
            String::from_utf8(packet[..bytes].to_vec()).expect("text")
        };
        let at = |ms: u64| BootTime::from_nanos(ms * 1_000_000);
        let mut manager = manager(&path).expect("there is one");
        assert_eq!(hear(), "", "nothing before the loop turns");
        manager.turn(&status(State::Leased), at(0));
        let said = "READY=1\nSTATUS=armed; the host holds the lease; host pid 7\nWATCHDOG=1\n";
        assert_eq!(hear(), said);
        for turn in 1..200 {
            manager.turn(&status(State::Leased), at(turn * 50));
        }
        assert_eq!(hear(), "", "ten seconds have not passed");
        manager.turn(&status(State::Leased), at(10_000));
        assert_eq!(hear(), "WATCHDOG=1\n");
        // Stopped and continued: at once.
        manager.turn(&status(State::Leased), at(14_000));
        assert_eq!(hear(), "WATCHDOG=1\n");
        manager.stopping();
        assert_eq!(hear(), "STOPPING=1\nSTATUS=stopped: no lease is granted\n");
    }

    #[test]
    fn a_manager_that_does_not_read_keeps_no_turn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let _socket = UnixDatagram::bind(&path).expect("a socket");
        let mut manager = manager(&path).expect("there is one");
        // Ten seconds apart, so that each has something to say; a socket takes some hundred at most.
        for turn in 0..10_000_u64 {
            manager.turn(&status(State::Armed), BootTime::default() + Duration::from_secs(10 * turn));
        }
        drop(folder);
        manager.turn(&status(State::Killed), BootTime::default() + Duration::from_secs(1 << 30));
    }

    #[test]
    fn the_line_says_what_an_operator_asks_first() {
        let mut killed = status(State::Killed);
        killed.host_pid = None;
        killed.broker = Some(BrokerProof::PendingAtBroker);
        killed.kill = Some(KillStatus { layer: Layer::CrashLoop, reason: "5 ends".into(), at_unix_s: 1 });
        let said =
            "KILLED until `sandpit-watchdog arm` (crash-loop: 5 ends); at the broker: PENDING_AT_BROKER";
        assert_eq!(line(&killed), said);
        let mut withheld = status(State::Leased);
        withheld.limits = Some(LimitsStatus { withheld: Some("stale".into()), ..LimitsStatus::default() });
        assert!(line(&withheld).ends_with("; host pid 7; LEASE WITHHELD: stale"), "{}", line(&withheld));
        assert_eq!(Manager::of(|_| None).map(|_| ()), None);
    }
}
