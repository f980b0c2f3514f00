//! The host's end of the lease: reports progress, holds the right to trade.
//!
//! One plain thread, so that a stuck async runtime cannot keep beating: the beat carries the loops' own
//! counters, and a nonce of the watchdog only comes back if it went through each loop's queue.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket},
};
use sandpit_contract::{
    Alarm, Beat, BootTime, MAX_MESSAGE_BYTES, PROTOCOL, ToHost, ToWatchdog, decode, encode,
};
use sandpit_types::{HostEpoch, StrategyName};

use crate::{alarms::Alarms, ambient, loops::Loops};

/// How often progress is reported, milliseconds of real time.
const BEAT_MS: u16 = 100;
/// How long the last word to the watchdog may take, real time.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The right to trade as the host holds it: one deadline, read without a lock immediately before a POST is
/// written.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    deadline: AtomicU64,
    revoked: AtomicBool,
    watched: AtomicBool,
}

impl Lease {
    /// Whether the right is held at `now`.
    pub(crate) fn holds(&self, now: BootTime) -> bool {
        self.left_nanos(now) > 0
    }

    /// Nanoseconds of real time until it ends; zero when it has.
    pub(crate) fn left_nanos(&self, now: BootTime) -> u64 {
        let left = self.deadline.load(Ordering::Acquire).saturating_sub(now.as_nanos());
        if self.revoked.load(Ordering::Acquire) { 0 } else { left }
    }

    /// Whether a watchdog is connected: then it probes the loops.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Gives the right up for good: no later grant brings it back in this life.
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    /// Holds the right until then; says whether there was none before.
    pub(crate) fn grant(&self, deadline: BootTime) -> bool {
        self.deadline.swap(deadline.as_nanos(), Ordering::AcqRel) == 0
    }

    /// Forgets a right that has run out; says whether there was one.
    fn lapse(&self, now: BootTime) -> bool {
        let deadline = self.deadline.load(Ordering::Acquire);
        deadline != 0 && deadline <= now.as_nanos() && self.withdraw()
    }

    /// Takes the right away until the next grant; says whether there was one.
    fn withdraw(&self) -> bool {
        self.deadline.swap(0, Ordering::AcqRel) != 0
    }
}

/// Says it when the right has run out because nobody renews it.
fn look_at_the_end(lease: &Lease) {
    if lease.lapse(ambient::boot_now()) {
        let reason = "the watchdog is away, or says nothing";
        tracing::warn!(reason, event = "lease-lost", "the right to trade has run out");
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
    /// Quarantine this strategy as after its third strike. Comes again until its loop is gone.
    Quarantine {
        /// Which.
        strategy: StrategyName,
        /// Why.
        reason: String,
    },
}

/// The lease thread.
pub(crate) struct LeaseClient {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(LeaseParts, Option<OwnedFd>)>,
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
    /// The broker's id of the account that is traded, once it is read; never in a dry run.
    pub(crate) account: Arc<OnceLock<String>>,
    /// What the watchdog is to tell a human.
    pub(crate) alarms: Arc<Alarms>,
    /// Takes the watchdog's orders; must not block.
    pub(crate) orders: Box<dyn Fn(Order) + Send>,
}

impl LeaseClient {
    /// Starts the thread. It connects, and connects again whenever the watchdog was restarted.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(parts: LeaseParts) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("lease".into()).spawn(move || {
            let socket = run(&parts, &stopped);
            (parts, socket)
        })?;
        Ok(Self { stop, thread })
    }

    /// Gives the right up, ends the thread, and says farewell if the watchdog is connected.
    pub(crate) fn leave(self, message: &ToWatchdog) {
        self.stop.store(true, Ordering::Release);
        if let Ok((_, Some(socket))) = self.thread.join() {
            // A farewell that is lost looks like a crash, which is the safe side.
            let _ = write(&socket, message);
        }
    }

    /// Gives the right up, ends the thread, and says a last word; whether the watchdog has taken it. Waits at
    /// most [`LAST_WORD`].
    #[must_use = "a trip that did not arrive has to reach the watchdog in another way"]
    pub(crate) fn finish(self, message: &ToWatchdog) -> bool {
        self.stop.store(true, Ordering::Release);
        let Ok((parts, mut socket)) = self.thread.join() else { return false };
        let end = ambient::boot_now() + LAST_WORD;
        while ambient::boot_now() < end {
            match socket.take().map_or_else(|| open(&parts), Ok) {
                Ok(fd) => {
                    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut fds, PollTimeout::from(BEAT_MS));
                    match write(&fd, message) {
                        Ok(true) => return true,
                        Ok(false) => socket = Some(fd),
                        Err(_) => {}
                    }
                }
                Err(_) => {
                    let _ = poll(&mut [], PollTimeout::from(BEAT_MS));
                }
            }
        }
        false
    }
}

/// Connects for as long as the host lives; each connection is served until it breaks. Gives back the last one
/// if it still stands.
fn run(parts: &LeaseParts, stop: &AtomicBool) -> Option<OwnedFd> {
    let mut sequence = 0;
    let mut standing = None;
    while !stop.load(Ordering::Acquire) {
        if let Ok(socket) = open(parts) {
            parts.lease.watched.store(true, Ordering::Relaxed);
            standing = serve(parts, socket, stop, &mut sequence);
            parts.lease.watched.store(false, Ordering::Relaxed);
        }
        // A watchdog that is away, or that refuses this host, is not asked more often than it is told.
        if standing.is_none() {
            let _ = poll(&mut [], PollTimeout::from(BEAT_MS));
        }
        look_at_the_end(&parts.lease);
    }
    parts.lease.revoke();
    standing
}

fn open(parts: &LeaseParts) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(&parts.socket)?)?;
    let hello = ToWatchdog::Hello { protocol: PROTOCOL, epoch: parts.epoch.0, mode: parts.mode.to_owned() };
    write(&fd, &hello)?;
    Ok(fd)
}

/// Never waits: a peer that does not read loses beats, not our time. Says whether the message went out.
fn write(fd: &OwnedFd, message: &ToWatchdog) -> nix::Result<bool> {
    let bytes = encode(message).map_err(|_| Errno::EMSGSIZE)?;
    match send(fd.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Beats and listens until the connection breaks, or until it is time to stop: then it is given back.
fn serve(parts: &LeaseParts, fd: OwnedFd, stop: &AtomicBool, sequence: &mut u64) -> Option<OwnedFd> {
    let (mut packet, mut is_new) = (vec![0; MAX_MESSAGE_BYTES], true);
    while !stop.load(Ordering::Acquire) {
        *sequence += 1;
        let loops = parts.loops.beats();
        let account = parts.account.get().cloned();
        let beat = Beat { epoch: parts.epoch.0, account, sequence: *sequence, loops };
        if write(&fd, &ToWatchdog::Beat(beat)).is_err() {
            return None;
        }
        // After the beat, a few at a time: they never keep one waiting.
        let tell = |alarm: &Alarm| write(&fd, &ToWatchdog::Alarm(alarm.clone()));
        if parts.alarms.post.deliver(&mut is_new, tell).is_err() {
            return None;
        }
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(BEAT_MS));
        if !read_all(parts, &fd, &mut packet) {
            return None;
        }
        look_at_the_end(&parts.lease);
    }
    Some(fd)
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
            if epoch == parts.epoch.0 && parts.lease.grant(deadline) {
                tracing::info!(event = "lease-granted", "the watchdog grants the right to trade");
            }
            parts.loops.probe(nonce);
        }
        Ok(ToHost::Withheld { reason, nonce }) => {
            if parts.lease.withdraw() {
                tracing::warn!(%reason, event = "lease-lost", "the watchdog withholds the right to trade");
            }
            parts.loops.probe(nonce);
        }
        Ok(ToHost::Drain { reason }) => (parts.orders)(Order::Drain { reason }),
        Ok(ToHost::Quarantine { strategy, reason }) => match StrategyName::parse(&strategy) {
            Ok(strategy) => (parts.orders)(Order::Quarantine { strategy, reason }),
            Err(error) => tracing::warn!(%error, "the watchdog names a strategy that cannot be; ignored"),
        },
        Err(error) => tracing::warn!(%error, "the watchdog sent a message that is not understood; ignored"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::fd::RawFd,
        sync::mpsc::{Receiver, channel},
    };

    use nix::sys::socket::{Backlog, accept, bind, listen};
    use sandpit_contract::{AlarmSeverity, AlarmStanding, MAX_ALARM_TEXT};
    use sandpit_types::Pulse;

    use super::*;
    use crate::alarms::MOST_A_BEAT;

    /// A watchdog of this test's own, the host's end of it, and what it orders.
    struct Bench {
        /// Open until the process ends.
        watchdog: RawFd,
        client: LeaseClient,
        account: Arc<OnceLock<String>>,
        pulse: Arc<Pulse>,
        alarms: Arc<Alarms>,
        orders: Receiver<Order>,
        listener: OwnedFd,
        _dir: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let socket_path = dir.path().join("s");
            let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None);
            let listener = listener.expect("a socket");
            bind(listener.as_raw_fd(), &UnixAddr::new(&socket_path).expect("short")).expect("bound");
            listen(&listener, Backlog::new(1).expect("small")).expect("listens");
            let (account, pulse, loops) =
                (Arc::default(), Arc::new(Pulse::default()), Arc::new(Loops::default()));
            loops.add("strategy:a", pulse.clone(), Box::new(drop));
            let (told, orders) = channel();
            let alarms = Arc::<Alarms>::default();
            let parts = LeaseParts {
                socket: socket_path,
                epoch: HostEpoch(7),
                mode: "paper",
                lease: Arc::default(),
                loops,
                account: Arc::clone(&account),
                alarms: Arc::clone(&alarms),
                orders: Box::new(move |order| told.send(order).expect("the test listens")),
            };
            let client = LeaseClient::start(parts).expect("a thread");
            let watchdog = accept(listener.as_raw_fd()).expect("the host comes");
            Self { watchdog, client, account, pulse, alarms, orders, listener, _dir: dir }
        }

        fn hear(&self) -> ToWatchdog {
            let mut packet = vec![0; MAX_MESSAGE_BYTES];
            let bytes = recv(self.watchdog, &mut packet, MsgFlags::empty()).expect("it speaks");
            decode(&packet[..bytes]).expect("a message")
        }

        /// Hears until a beat is as wanted.
        fn beat(&self, is_wanted: impl Fn(&Beat) -> bool) {
            let mut heard = (0..100).map(|_| self.hear());
            assert!(heard.any(|message| matches!(message, ToWatchdog::Beat(beat) if is_wanted(&beat))));
        }

        fn say(&self, message: &ToHost) {
            let packet = encode(message).expect("short");
            send(self.watchdog, &packet, MsgFlags::empty()).expect("it listens");
        }
    }

    #[test]
    fn a_right_that_runs_out_is_told_once() {
        let at = BootTime::from_nanos;
        let lease = Lease::default();
        assert!(!lease.lapse(at(9)), "there was none");
        assert!(lease.grant(at(5)));
        assert!(!lease.lapse(at(4)) && lease.lapse(at(5)) && !lease.lapse(at(6)));
        assert!(lease.grant(at(9)), "the next one is told again");
    }

    #[test]
    fn a_beat_says_whose_account_and_how_much_memory() {
        let bench = Bench::new();
        assert!(matches!(bench.hear(), ToWatchdog::Hello { protocol: PROTOCOL, epoch: 7, .. }));
        bench.beat(|beat| beat.account.is_none() && beat.loops[0].memory_bytes == 0);
        bench.account.set("abc".into()).expect("once");
        bench.pulse.hold(5 << 20);
        bench.beat(|beat| beat.account.as_deref() == Some("abc") && beat.loops[0].memory_bytes == 5 << 20);
        bench.client.leave(&ToWatchdog::Bye { reason: "over".into() });
    }

    fn alarm(at: usize, standing: AlarmStanding) -> Alarm {
        let severity = AlarmSeverity::Warning;
        let (text, remedy) = (format!("s{at} fires. {}", "x".repeat(MAX_ALARM_TEXT)), "look".to_owned());
        Alarm { key: format!("s{at}"), severity, standing, text, remedy, since_unix_s: 7 }.bounded()
    }

    #[test]
    fn alarms_reach_the_watchdog_and_again_whoever_comes_after_it() {
        let bench = Bench::new();
        bench.alarms.post.tell(alarm(1, AlarmStanding::Firing));
        bench.alarms.post.tell(alarm(2, AlarmStanding::Firing));
        let next_alarm = |bench: &Bench| {
            let heard = (0..100).map(|_| bench.hear());
            let alarms = heard.filter_map(|message| match message {
                ToWatchdog::Alarm(alarm) => Some((alarm.key.clone(), alarm.standing)),
                _ => None,
            });
            alarms.take(1).next().expect("an alarm")
        };
        assert_eq!(next_alarm(&bench), ("s1".to_owned(), AlarmStanding::Firing));
        assert_eq!(next_alarm(&bench), ("s2".to_owned(), AlarmStanding::Firing));
        // The watchdog is started anew, and meanwhile one ends.
        nix::unistd::close(bench.watchdog).expect("open");
        bench.alarms.post.tell(alarm(1, AlarmStanding::Over));
        let watchdog = accept(bench.listener.as_raw_fd()).expect("the host comes again");
        let bench = Bench { watchdog, ..bench };
        let both = [next_alarm(&bench), next_alarm(&bench)];
        assert!(both.contains(&("s1".to_owned(), AlarmStanding::Over)), "{both:?}");
        assert!(both.contains(&("s2".to_owned(), AlarmStanding::Firing)), "{both:?}");
        bench.client.leave(&ToWatchdog::Bye { reason: "over".into() });
    }

    #[test]
    fn a_flood_of_alarms_keeps_no_beat_waiting() {
        let bench = Bench::new();
        for at in 0..400 {
            assert!(bench.alarms.post.tell(alarm(at, AlarmStanding::Firing)));
        }
        // Between two beats there are a few alarms at the most, and no beat is left out.
        let (mut between, mut alarms, mut last) = (0, 0, None);
        while alarms < 60 {
            match bench.hear() {
                ToWatchdog::Alarm(_) => (between, alarms) = (between + 1, alarms + 1),
                ToWatchdog::Beat(beat) => {
                    assert!(last.is_none_or(|last| beat.sequence == last + 1), "a beat is lost");
                    (between, last) = (0, Some(beat.sequence));
                }
                other => assert!(matches!(other, ToWatchdog::Hello { .. }), "{other:?}"),
            }
            assert!(between <= MOST_A_BEAT, "{between} alarms between two beats");
        }
        bench.client.leave(&ToWatchdog::Bye { reason: "over".into() });
    }

    #[test]
    fn a_quarantine_is_handed_on_and_a_name_that_cannot_be_is_not() {
        let bench = Bench::new();
        let order =
            |strategy: &str| ToHost::Quarantine { strategy: strategy.into(), reason: "memory".into() };
        bench.say(&order("../../etc"));
        bench.say(&order("sma_cross"));
        let strategy = StrategyName::parse("sma_cross").expect("a name");
        let got = bench.orders.recv_timeout(Duration::from_secs(20)).expect("handed on");
        assert_eq!(got, Order::Quarantine { strategy, reason: "memory".into() });
        bench.client.leave(&ToWatchdog::Bye { reason: "over".into() });
    }
}
