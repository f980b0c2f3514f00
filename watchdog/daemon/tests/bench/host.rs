//! The host that the watchdog starts in these tests.

use std::{
    fs,
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};
use sandpit_contract::{Beat, LoopBeat, MAX_MESSAGE_BYTES, PROTOCOL, ToHost, ToWatchdog, decode, encode};

use super::signal;

/// The host: says hello, answers every nonce through its one loop, trips when told to, ends when the socket
/// does.
pub(crate) fn fake_host_main() {
    let Some(state) = std::env::var_os("FAKE_HOST_STATE").map(PathBuf::from) else {
        return;
    };
    let pid = std::process::id();
    let mut starts =
        fs::OpenOptions::new().create(true).append(true).open(state.join("starts")).expect("opened");
    writeln!(starts, "{pid}").expect("written");
    let socket = dial(&state.join("lease.sock"));
    let say = |message: &ToWatchdog| {
        let packet = encode(message).expect("short");
        send(&socket, &packet, SendFlags::NOSIGNAL).expect("the watchdog is there");
    };
    say(&ToWatchdog::Hello { protocol: PROTOCOL, epoch: u64::from(pid), mode: "paper".into() });
    let mut packet = vec![0; MAX_MESSAGE_BYTES];
    for sequence in 1.. {
        let (bytes, _) = recv(&socket, &mut packet[..], RecvFlags::empty()).expect("the watchdog is there");
        assert!(bytes > 0, "the watchdog hung up");
        let nonce = match decode(&packet[..bytes]).expect("a message") {
            ToHost::Lease { nonce, .. } | ToHost::Withheld { nonce, .. } => nonce,
            ToHost::Drain { .. } => std::process::exit(30),
        };
        if state.join("trip").exists() {
            say(&ToWatchdog::Trip { reason: "loss limit".into() });
            std::process::exit(20);
        }
        let one = |name: &str| LoopBeat { name: name.into(), progress: sequence, nonce };
        let loops = vec![one("execution"), one("store")];
        let beat = ToWatchdog::Beat(Beat { epoch: u64::from(pid), sequence, loops });
        if state.join("flood").exists() {
            last_words(|| {
                (0..100).for_each(|_| say(&beat));
                say(&ToWatchdog::Trip { reason: "behind the beats".into() });
            });
        }
        say(&beat);
    }
}

/// Speaks to a watchdog that stands still until this host is gone, so that it meets all of it and the end at
/// once.
fn last_words(speak: impl FnOnce()) -> ! {
    let parent = std::os::unix::process::parent_id();
    let until_gone = "while [ -e /proc/$0 ] && ! grep -q '^State:.Z' /proc/$0/status; do :; done";
    let script = format!("{until_gone}; kill -CONT $1");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(std::process::id().to_string()).arg(parent.to_string());
    signal(parent, "STOP");
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell");
    speak();
    std::process::exit(0);
}

fn dial(path: &Path) -> OwnedFd {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a socket");
    connect(&socket, &SocketAddrUnix::new(path).expect("short")).expect("the watchdog listens");
    socket
}
