//! The host's end of the lease: reports progress, holds the right to trade.
//!
//! One plain thread, so that a stuck async runtime cannot keep beating: the beat carries the loops' own
//! counters, and a nonce of the watchdog only comes back if it went through each loop's queue.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket},
};
use sandpit_contract::{Beat, BootTime, MAX_MESSAGE_BYTES, PROTOCOL, ToHost, ToWatchdog, decode, encode};
use sandpit_types::HostEpoch;

use crate::loops::Loops;

/// How often progress is reported, milliseconds of real time.
const BEAT_MS: u16 = 100;

/// The right to trade as the host holds it: one deadline, read without a lock immediately before a POST is
/// written.
#[derive(Debug, Default)]
pub(crate) struct Lease(AtomicU64);

impl Lease {
    /// Whether the right is held at `now`.
    pub(crate) fn holds(&self, now: BootTime) -> bool {
        now.as_nanos() < self.0.load(Ordering::Acquire)
    }

    /// Nanoseconds of real time until it ends; zero when it has.
    pub(crate) fn left_nanos(&self, now: BootTime) -> u64 {
        self.0.load(Ordering::Acquire).saturating_sub(now.as_nanos())
    }

    fn grant(&self, deadline: BootTime) {
        self.0.store(deadline.as_nanos(), Ordering::Release);
    }

    fn withdraw(&self) {
        self.0.store(0, Ordering::Release);
    }
}

/// What the watchdog asks of the host besides trading rights.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Take no new intents, resolve outcomes, end.
    Drain {
        /// Why.
        reason: String,
    },
}

/// The lease thread and what is sent through it.
pub(crate) struct LeaseClient {
    outgoing: Sender<ToWatchdog>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What the thread needs.
pub(crate) struct LeaseParts {
    /// The watchdog's socket.
    pub(crate) socket: PathBuf,
    /// This life.
    pub(crate) epoch: HostEpoch,
    /// `paper` or `live`.
    pub mode: &'static str,
    /// Where the right is kept.
    pub(crate) lease: Arc<Lease>,
    /// Whose progress is reported.
    pub(crate) loops: Arc<Loops>,
    /// Takes the watchdog's orders; must not block.
    pub(crate) orders: Box<dyn Fn(Order) + Send>,
}

impl LeaseClient {
    /// Starts the thread. It connects, and connects again whenever the watchdog was restarted.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(parts: LeaseParts) -> std::io::Result<Self> {
        let (outgoing, queue) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread =
            std::thread::Builder::new().name("lease".into()).spawn(move || run(&parts, &queue, &stopped))?;
        Ok(Self { outgoing, stop, thread })
    }

    /// Sends `message` (a trip, a farewell) and ends the thread; the right to trade ends with it.
    pub(crate) fn finish(self, message: ToWatchdog) {
        // A send fails only when the thread is gone, and then there is nobody to tell.
        let _ = self.outgoing.send(message);
        self.stop.store(true, Ordering::Release);
        let _ = self.thread.join();
    }
}

/// Connects for as long as the host lives; each connection is served until it breaks.
fn run(parts: &LeaseParts, queue: &Receiver<ToWatchdog>, stop: &AtomicBool) {
    let mut sequence = 0;
    while !stop.load(Ordering::Acquire) {
        if let Ok(socket) = open(parts) {
            serve(parts, &socket, queue, stop, &mut sequence);
        }
        // A watchdog that is away, or that refuses this host, is not asked more often than it is told.
        let _ = poll(&mut [], PollTimeout::from(BEAT_MS));
    }
    parts.lease.withdraw();
}

fn open(parts: &LeaseParts) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(&parts.socket)?)?;
    let hello = ToWatchdog::Hello { protocol: PROTOCOL, epoch: parts.epoch.0, mode: parts.mode.to_owned() };
    write(&fd, &hello)?;
    Ok(fd)
}

/// Never waits: a peer that does not read loses beats, not our time.
fn write(fd: &OwnedFd, message: &ToWatchdog) -> nix::Result<()> {
    let bytes = encode(message).map_err(|_| Errno::EMSGSIZE)?;
    match send(fd.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(error),
    }
}

fn serve(
    parts: &LeaseParts,
    fd: &OwnedFd,
    queue: &Receiver<ToWatchdog>,
    stop: &AtomicBool,
    sequence: &mut u64,
) {
    let mut packet = vec![0; MAX_MESSAGE_BYTES];
    loop {
        let stopping = stop.load(Ordering::Acquire);
        while let Ok(message) = queue.try_recv() {
            if write(fd, &message).is_err() {
                return;
            }
        }
        if stopping {
            return;
        }
        *sequence += 1;
        let beat = Beat { epoch: parts.epoch.0, sequence: *sequence, loops: parts.loops.beats() };
        if write(fd, &ToWatchdog::Beat(beat)).is_err() {
            return;
        }
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(BEAT_MS));
        if !read_all(parts, fd, &mut packet) {
            return;
        }
    }
}

/// Takes in what has come; `false` when the connection is over.
fn read_all(parts: &LeaseParts, fd: &OwnedFd, packet: &mut [u8]) -> bool {
    loop {
        match recv(fd.as_raw_fd(), packet, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return false,
            Ok(bytes) => take(parts, &packet[..bytes]),
            Err(Errno::EAGAIN) => return true,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

fn take(parts: &LeaseParts, packet: &[u8]) {
    match decode(packet) {
        Ok(ToHost::Lease { epoch, deadline, nonce }) => {
            // A grant to another life is not ours, however it got here.
            if epoch == parts.epoch.0 {
                parts.lease.grant(deadline);
            }
            parts.loops.probe(nonce);
        }
        Ok(ToHost::Withheld { reason, nonce }) => {
            if parts.lease.0.swap(0, Ordering::AcqRel) != 0 {
                tracing::warn!(%reason, "the watchdog withholds the right to trade");
            }
            parts.loops.probe(nonce);
        }
        Ok(ToHost::Drain { reason }) => (parts.orders)(Order::Drain { reason }),
        Err(error) => tracing::warn!(%error, "the watchdog sent a message that is not understood; ignored"),
    }
}
