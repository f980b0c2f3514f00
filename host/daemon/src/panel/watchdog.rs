//! The panel as an operator at the watchdog's socket: it asks how it stands, and kills.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    path::Path,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket},
};
use sandpit_contract::{MAX_MESSAGE_BYTES, Status, ToObserver, ToWatchdog, decode, encode};
use sandpit_monitor::{Fence, PanicStep};
use tokio::sync::mpsc::Sender;

use crate::ambient::boot_now;

/// How long a kill may wait for its answer, real time: one that is late may have been taken all the same.
const KILL_WITHIN: Duration = Duration::from_secs(2);
/// How long an answer about how it stands may take, real time.
const FENCE_WITHIN: Duration = Duration::from_millis(400);
/// How often it is looked at after a kill, and how many times: the host is gone much earlier.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 200;

/// Kills through the watchdog; whether it has taken it. Then tells how it goes on, for as long as this host
/// lives and somebody listens.
pub(super) fn kill(path: &Path, reason: &str, steps: &Sender<PanicStep>) -> bool {
    match ask(path, &ToWatchdog::Kill { reason: reason.to_owned() }, KILL_WITHIN) {
        Ok(ToObserver::KillTaken) => {}
        Ok(ToObserver::Status(_)) | Err(_) => return false,
    }
    // A page that is gone changes nothing about the kill.
    let _ = steps.try_send(PanicStep::Taken);
    let mut last = None;
    for _ in 0..LOOKS {
        let now = fence(path);
        if now.is_some() && now != last {
            let _ = steps.try_send(PanicStep::Stands(now.clone().unwrap_or_default()));
            last = now;
        }
        if steps.is_closed() {
            return true;
        }
        let _ = poll(&mut [], PollTimeout::try_from(LOOK_EVERY).unwrap_or(PollTimeout::ZERO));
    }
    true
}

/// How the watchdog stands; `None` when it does not answer.
pub(super) fn fence(path: &Path) -> Option<Fence> {
    match ask(path, &ToWatchdog::Status, FENCE_WITHIN) {
        Ok(ToObserver::Status(status)) => Some(of(&status)),
        Ok(ToObserver::KillTaken) | Err(_) => None,
    }
}

fn of(status: &Status) -> Fence {
    let state = serde_json::to_value(status.state).ok();
    let kill = status.kill.as_ref();
    Fence {
        state: state.and_then(|state| state.as_str().map(str::to_owned)),
        layer: kill.map(|kill| kill.layer.word().to_owned()),
        reason: kill.map(|kill| kill.reason.clone()),
        killed_at_unix_s: kill.map(|kill| kill.at_unix_s),
        proof: status.broker.map(|proof| proof.word().to_owned()),
    }
}

/// One question on a connection of its own: on the lease's, an operator's word would be the host's.
fn ask(path: &Path, question: &ToWatchdog, within: Duration) -> io::Result<ToObserver> {
    // A watchdog whose queue of callers is full would keep a blocking `connect` for ever.
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    let packet = encode(question).map_err(io::Error::other)?;
    send(fd.as_raw_fd(), &packet, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?;
    let asked_at = boot_now();
    loop {
        let left = PollTimeout::try_from(within.saturating_sub(boot_now().since(asked_at)));
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], left.map_err(io::Error::other)?) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => break,
            // Somebody's signal is no answer: what was asked for may be done already.
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut packet = vec![0; MAX_MESSAGE_BYTES];
    let bytes = recv(fd.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT)?;
    decode(&packet[..bytes]).map_err(io::Error::other)
}
