//! The `SOCK_SEQPACKET` socket: who is there, what they say, and answers that never wait for a reader.

use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{FileTypeExt, PermissionsExt},
    },
    path::Path,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind,
        connect, listen, recv, send, socket_with, sockopt::socket_peercred,
    },
    process::{PidfdFlags, pidfd_open},
};
use sandpit_contract::{MAX_MESSAGE_BYTES, ToObserver, ToWatchdog, decode, encode};
use serde::Serialize;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;
/// The owner and the group that host and watchdog share.
const MODE: u32 = 0o660;

/// The listening end.
pub(crate) struct Listener {
    fd: OwnedFd,
}

impl Listener {
    /// Binds `path`. A socket that an earlier life left there is replaced: the caller holds the lock of the
    /// path, so nobody uses it.
    ///
    /// # Errors
    /// When the address cannot be taken, or something else than a socket is there.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => {}
        }
        let fd = new_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        bind(&fd, &SocketAddrUnix::new(path)?)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        listen(&fd, BACKLOG)?;
        Ok(Self { fd })
    }

    /// The next connection, if one waits.
    ///
    /// # Errors
    /// When a caller cannot be taken, or cannot be held because no descriptor is left: it still waits, or is
    /// cut off and may come again.
    pub(crate) fn accept(&self) -> io::Result<Option<Connection>> {
        let fd = match accept_with(&self.fd, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(fd) => fd,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let peer = socket_peercred(&fd)?;
        // The kernel's own handle on the peer, where it has one (6.5); else opened at once, by number.
        let pidfd = nix::sys::socket::getsockopt(&fd, nix::sys::socket::sockopt::PeerPidfd).ok();
        let pidfd =
            pidfd.map_or_else(|| held(pidfd_open(peer.pid, PidfdFlags::empty())), |fd| Ok(Some(fd)))?;
        let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).map_err(io::Error::other)?;
        Ok(Some(Connection { fd, pid, uid: peer.uid.as_raw(), pidfd }))
    }
}

/// A process that is gone has no handle, and may still have left a last word. One that lives and cannot be
/// held is no peer: a kill could not end it.
fn held(opened: rustix::io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(Errno::SRCH) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What came.
#[derive(Debug)]
pub(crate) enum Received {
    /// A message.
    Message(ToWatchdog),
    /// A packet that is none.
    Garbage(String),
    /// Nothing has come.
    Nothing,
    /// The peer is gone.
    Closed,
}

/// One peer.
pub(crate) struct Connection {
    fd: OwnedFd,
    pid: u32,
    uid: u32,
    pidfd: Option<OwnedFd>,
}

impl Connection {
    /// The peer's process, by the kernel's word.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The peer's user, by the kernel's word.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// The handle on the peer's process; once.
    pub(crate) fn take_pidfd(&mut self) -> Option<OwnedFd> {
        self.pidfd.take()
    }

    /// The next packet; never waits.
    pub(crate) fn receive(&self) -> Received {
        let mut packet = vec![0_u8; MAX_MESSAGE_BYTES + 1];
        match recv(&self.fd, &mut packet[..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => Received::Closed,
            Ok((bytes, _)) => match decode(&packet[..bytes]) {
                Ok(message) => Received::Message(message),
                Err(error) => Received::Garbage(error.to_string()),
            },
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Received::Nothing,
            Err(_) => Received::Closed,
        }
    }

    /// Sends, or drops the message when the peer does not read: a lease that is late is expired anyway.
    pub(crate) fn send<M: Serialize>(&self, message: &M) -> bool {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        encode(message).is_ok_and(|packet| send(&self.fd, &packet, flags).is_ok())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// An operator's command asks a running watchdog, and waits at most `wait` for the answer.
///
/// # Errors
/// When no watchdog listens there, or none answers in time.
pub(crate) fn ask(path: &Path, question: &ToWatchdog, wait: Duration) -> io::Result<ToObserver> {
    // A watchdog whose queue of callers is full would keep a blocking `connect` for ever.
    let fd = new_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    connect(&fd, &SocketAddrUnix::new(path)?)?;
    let packet = encode(question).map_err(io::Error::other)?;
    send(&fd, &packet, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
    if poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&wait))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut packet = vec![0_u8; MAX_MESSAGE_BYTES + 1];
    let (bytes, _) = recv(&fd, &mut packet[..], RecvFlags::DONTWAIT)?;
    decode(&packet[..bytes]).map_err(io::Error::other)
}

fn new_socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandpit_contract::ToHost;

    fn pair() -> (tempfile::TempDir, Connection, OwnedFd) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let listener = Listener::bind(&path).expect("bound");
        let peer = new_socket(SocketFlags::CLOEXEC).expect("a socket");
        connect(&peer, &SocketAddrUnix::new(&path).expect("short")).expect("connected");
        let connection = listener.accept().expect("descriptors are left").expect("it waits");
        (dir, connection, peer)
    }

    #[test]
    fn the_kernel_says_who_speaks() {
        let (_dir, mut connection, peer) = pair();
        assert_eq!(connection.pid(), std::process::id());
        assert_eq!(connection.uid(), rustix::process::getuid().as_raw());
        assert!(connection.take_pidfd().is_some());
        assert!(matches!(connection.receive(), Received::Nothing));
        let message = ToWatchdog::Trip { reason: "x".into() };
        send(&peer, &encode(&message).expect("short"), SendFlags::empty()).expect("sent");
        assert!(matches!(connection.receive(), Received::Message(got) if got == message));
        send(&peer, b"{}", SendFlags::empty()).expect("sent");
        assert!(matches!(connection.receive(), Received::Garbage(_)));
        send(&peer, &vec![b'x'; MAX_MESSAGE_BYTES + 50], SendFlags::empty()).expect("sent");
        assert!(matches!(connection.receive(), Received::Garbage(_)));
        drop(peer);
        assert!(matches!(connection.receive(), Received::Closed));
    }

    #[test]
    fn who_lives_and_cannot_be_held_is_not_taken_for_gone() {
        let gone = held(Err(Errno::SRCH)).expect("its last words are heard");
        assert!(gone.is_none());
        assert!(held(Err(Errno::MFILE)).is_err() && held(Err(Errno::NFILE)).is_err());
    }

    #[test]
    fn a_peer_that_does_not_read_hangs_nobody() {
        let (_dir, connection, _peer) = pair();
        let message = ToHost::Withheld { reason: "x".repeat(8000), nonce: 1 };
        let sent = (0..10_000).take_while(|_| connection.send(&message)).count();
        assert!(sent < 10_000, "the queue has an end");
    }

    #[test]
    fn a_question_to_a_stopped_watchdog_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let listener = Listener::bind(&path).expect("bound");
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // Each one that is accepted by nobody fills the queue.
            let callers: Vec<_> = (0..BACKLOG + 2)
                .map_while(|_| {
                    let fd = new_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).expect("a socket");
                    connect(&fd, &SocketAddrUnix::new(&path).expect("short")).ok().map(|()| fd)
                })
                .collect();
            let answer = ask(&path, &ToWatchdog::Status, Duration::from_millis(10));
            let _: Result<(), _> = tell.send((callers.len(), answer.is_err()));
        });
        let (callers, failed) = told.recv_timeout(Duration::from_secs(10)).expect("it does not hang");
        assert!(callers > 0 && failed);
        drop(listener);
    }

    #[test]
    fn a_left_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("sub/s");
        drop(Listener::bind(&path).expect("bound"));
        drop(Listener::bind(&path).expect("bound again"));
        let file = dir.path().join("file");
        fs::write(&file, b"").expect("written");
        assert!(Listener::bind(&file).is_err());
        assert!(ask(&dir.path().join("none"), &ToWatchdog::Status, Duration::from_millis(10)).is_err());
    }
}
