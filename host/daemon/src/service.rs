//! What the host tells the manager that runs it (systemd): ready, alive, how it stands, ending.
//!
//! One plain thread, so that a stuck async runtime cannot seem alive: a sign of life leaves when every loop
//! has moved since the one before. The socket never waits; what finds it full is said at the next look. The
//! crate `sd-notify` is not used because its socket waits for a manager that does not read.

mod progress;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use sandpit_contract::{BootTime, ManagerAddress, ToManager, ping_every};

use self::progress::Progress;
use crate::{ambient, loops::Loops};

/// How often it is looked whether something is to be said, real time.
const LOOK: Duration = Duration::from_millis(200);
/// And while a sign of life is due and not everything has moved.
const SOON: Duration = Duration::from_millis(100);
/// How often the status is put together, real time.
const STATUS: Duration = Duration::from_secs(1);
/// A look that comes so much late was kept from coming: this process, or the machine, stood still.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the manager; without one, nothing happens.
#[derive(Clone, Default)]
pub(crate) struct Service(Option<Arc<Parts>>);

struct Parts {
    way: Way,
    to: Mutex<ToManager>,
    /// Ends the thread when dropped; carries what to watch.
    watched: Sender<Watched>,
}

/// What is watched once the host is up.
struct Watched {
    loops: Arc<Loops>,
    status: Box<dyn Fn() -> String + Send>,
}

/// A socket that never waits, and where it sends.
struct Way {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Service {
    /// The manager that the environment names. An address that cannot be used counts as none.
    pub(crate) fn of(env: &BTreeMap<String, String>) -> Self {
        let Some(way) = env.get("NOTIFY_SOCKET").and_then(|address| Way::open(address)) else {
            return Self::default();
        };
        let text = |name: &str| env.get(name).map(String::as_str);
        let every = ping_every(text("WATCHDOG_USEC"), text("WATCHDOG_PID"), std::process::id());
        let (watched, watch) = channel();
        let parts = Arc::new(Parts { way, to: Mutex::new(ToManager::new(every)), watched });
        let own = Arc::downgrade(&parts);
        let look = move || {
            let mut looks = Looks::new(watch);
            let mut wait = LOOK;
            while looks.wait(wait) {
                let Some(parts) = own.upgrade() else { return };
                wait = looks.look(&parts);
            }
        };
        // Without the thread there are no signs of life, and the manager starts another host.
        let _ = std::thread::Builder::new().name("service".into()).spawn(look);
        Self(Some(parts))
    }

    /// The start goes on with `what`, which is over within so much time.
    pub(crate) fn step(&self, what: &str, within: Duration) {
        self.say(|to| to.step(what, within));
    }

    /// Everything is up: from here on these loops are watched, and `status` says how the host stands. It must
    /// not wait.
    pub(crate) fn ready(&self, loops: Arc<Loops>, status: impl Fn() -> String + Send + 'static) {
        let Some(parts) = &self.0 else { return };
        let line = status();
        self.say(|to| {
            to.ready();
            to.status(&line);
        });
        // The thread is gone only if it never came.
        let _ = parts.watched.send(Watched { loops, status: Box::new(status) });
    }

    /// The host ends, and why.
    pub(crate) fn stopping(&self, why: &str) {
        self.say(|to| to.stopping(why));
    }

    fn say(&self, change: impl FnOnce(&mut ToManager)) {
        if let Some(parts) = &self.0 {
            let mut to = lock(&parts.to);
            change(&mut to);
            parts.send(&mut to, false);
        }
    }
}

impl Parts {
    /// Sends what is due; whether that was a sign of life.
    fn send(&self, to: &mut ToManager, is_alive: bool) -> bool {
        let now = ambient::boot_now();
        let Some(datagram) = to.due(is_alive, now) else { return false };
        let has_left = self.way.send(&datagram.text);
        if has_left {
            to.sent(&datagram, now);
        }
        has_left && datagram.is_ping
    }
}

/// The thread's own.
struct Looks {
    watch: Receiver<Watched>,
    watched: Option<Watched>,
    progress: Progress,
    looked: BootTime,
    status_due: BootTime,
}

impl Looks {
    fn new(watch: Receiver<Watched>) -> Self {
        let now = ambient::boot_now();
        Self { watch, watched: None, progress: Progress::default(), looked: now, status_due: now }
    }

    /// Waits for the next look; `false` when there is none.
    fn wait(&mut self, span: Duration) -> bool {
        match self.watch.recv_timeout(span) {
            Ok(watched) => {
                self.progress.begin(&watched.loops.beats());
                self.watched = Some(watched);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }

    /// Says what is due; how long to wait for the next look.
    fn look(&mut self, parts: &Parts) -> Duration {
        let now = ambient::boot_now();
        let since = now.since(std::mem::replace(&mut self.looked, now));
        let Some(Watched { loops, status }) = &self.watched else {
            parts.send(&mut lock(&parts.to), false);
            return LOOK;
        };
        // Both before the lock: they ask others.
        let line = (self.status_due <= now).then(|| {
            self.status_due = now + STATUS;
            status()
        });
        let beats = loops.beats();
        let mut to = lock(&parts.to);
        if since >= LOOK + PAUSE {
            // What moved before proves nothing about now, and what did not is no hang (systemd#20284).
            self.progress.begin(&beats);
            to.paused();
        }
        if let Some(line) = line {
            to.status(&line);
        }
        let is_alive = self.progress.have_all_moved(&beats);
        if parts.send(&mut to, is_alive) {
            self.progress.begin(&beats);
        }
        let is_wanting = to.wants_ping(now) && !is_alive;
        drop(to);
        if is_wanting {
            // Whoever asks the loops otherwise may be stuck itself.
            loops.probe_again();
            return SOON;
        }
        LOOK
    }
}

impl Way {
    fn open(address: &str) -> Option<Self> {
        let address = match ManagerAddress::parse(OsStr::new(address))? {
            ManagerAddress::Path(path) => SocketAddr::from_pathname(path).ok()?,
            ManagerAddress::Abstract(name) => SocketAddr::from_abstract_name(name).ok()?,
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, address })
    }

    /// Whether it has left. The manager may be away, or not read: then not.
    fn send(&self, text: &str) -> bool {
        self.socket.send_to_addr(text.as_bytes(), &self.address).is_ok()
    }
}

fn lock(to: &Mutex<ToManager>) -> MutexGuard<'_, ToManager> {
    to.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
