//! The host that the watchdog starts in these tests.

use std::{
    collections::BTreeSet,
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
use sandpit_contract::{
    Alarm, Beat, LoopBeat, MAX_MESSAGE_BYTES, PROTOCOL, ToHost, ToWatchdog, decode, encode,
};

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
    let protocol = fs::read_to_string(state.join("protocol"));
    let protocol = protocol.map_or(PROTOCOL, |text| text.parse().expect("a number"));
    say(&ToWatchdog::Hello { protocol, epoch: u64::from(pid), mode: "paper".into() });
    let mut packet = vec![0; MAX_MESSAGE_BYTES];
    for sequence in 1.. {
        let (bytes, _) = recv(&socket, &mut packet[..], RecvFlags::empty()).expect("the watchdog is there");
        assert!(bytes > 0, "the watchdog hung up");
        let nonce = match decode(&packet[..bytes]).expect("a message") {
            ToHost::Lease { nonce, .. } | ToHost::Withheld { nonce, .. } => nonce,
            ToHost::Drain { .. } => std::process::exit(30),
            ToHost::Quarantine { strategy, .. } => {
                let told = fs::OpenOptions::new().create(true).append(true).open(state.join("quarantined"));
                writeln!(told.expect("opened"), "{strategy}").expect("written");
                0
            }
        };
        leak(&state);
        alarms(&state).iter().for_each(|alarm| say(&ToWatchdog::Alarm(alarm.clone())));
        if state.join("trip").exists() {
            say(&ToWatchdog::Trip { reason: "loss limit".into() });
            std::process::exit(20);
        }
        let one = |name: &str| LoopBeat { name: name.into(), progress: sequence, nonce, memory_bytes: 0 };
        let mut loops = vec![one("execution"), one("store")];
        loops.extend(
            strategies(&state)
                .into_iter()
                .map(|(name, memory_bytes)| LoopBeat { memory_bytes, ..one(&format!("strategy:{name}")) }),
        );
        let account = fs::read_to_string(state.join("account")).ok();
        let beat = ToWatchdog::Beat(Beat { epoch: u64::from(pid), account, sequence, loops });
        if state.join("flood").exists() {
            last_words(|| {
                (0..100).for_each(|_| say(&beat));
                say(&ToWatchdog::Trip { reason: "behind the beats".into() });
            });
        }
        say(&beat);
    }
}

/// What the file `alarms` holds, once, one a line.
fn alarms(state: &Path) -> Vec<Alarm> {
    let Ok(text) = fs::read_to_string(state.join("alarms")) else {
        return Vec::new();
    };
    fs::remove_file(state.join("alarms")).expect("it was there");
    text.lines().map(|line| serde_json::from_str(line).expect("an alarm")).collect()
}

/// Names and bytes from the file `strategies`, each line a name and megabytes, without those that it was told
/// to quarantine, in this life or an earlier one.
fn strategies(state: &Path) -> Vec<(String, u64)> {
    let read = |name: &str| fs::read_to_string(state.join(name)).unwrap_or_default();
    let quarantined = read("quarantined");
    let quarantined: BTreeSet<&str> = quarantined.lines().collect();
    let all = read("strategies");
    let all = all.lines().filter_map(|line| line.split_once(' '));
    let megabytes = |mb: &str| mb.parse::<u64>().expect("a number") << 20;
    all.filter(|(name, _)| !quarantined.contains(name))
        .map(|(name, mb)| (name.into(), megabytes(mb)))
        .collect()
}

/// Begins to leak when the file `leak` is there, with the megabytes to come to, in how many steps of ten
/// milliseconds, and the kilobytes to take in each step after that. The next host finds no such file.
fn leak(state: &Path) {
    let Ok(words) = fs::read_to_string(state.join("leak")) else {
        return;
    };
    let [from_mb, steps, kb] = words.split(' ').collect::<Vec<_>>()[..] else {
        return;
    };
    let number = |word: &str| word.parse::<usize>().expect("a number");
    let (from, steps, step) = (number(from_mb) << 20, number(steps).max(1), number(kb) << 10);
    fs::remove_file(state.join("leak")).expect("it was there");
    let status = fs::read_to_string("/proc/self/status").expect("our own");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
    let resident = number(line.trim().trim_end_matches(" kB")) << 10;
    std::thread::spawn(move || {
        let first = from.saturating_sub(resident) / steps;
        let mut held = Vec::new();
        let (_never, pause) = std::sync::mpsc::channel::<()>();
        for taken in 0.. {
            held.push(vec![1u8; if taken < steps { first } else { step }]);
            let _: Result<(), _> = pause.recv_timeout(std::time::Duration::from_millis(10));
        }
    });
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

/// Connects to a watchdog.
pub(crate) fn dial(path: &Path) -> OwnedFd {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a socket");
    connect(&socket, &SocketAddrUnix::new(path).expect("short")).expect("the watchdog listens");
    socket
}
