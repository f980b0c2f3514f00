use std::sync::atomic::{AtomicBool, Ordering};

use sandpit_types::Pulse;

use super::*;

/// A manager of this test's own, and what it waits for at most.
struct Manager {
    socket: UnixDatagram,
    env: BTreeMap<String, String>,
    _folder: tempfile::TempDir,
}

const BOUND: Duration = Duration::from_secs(20);

impl Manager {
    fn new(watchdog_usec: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(BOUND)).expect("bounded");
        let text = path.to_str().expect("plain").to_owned();
        let env = [("NOTIFY_SOCKET", text), ("WATCHDOG_USEC", watchdog_usec.to_string())];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { socket, env, _folder: folder }
    }

    fn hear(&self) -> String {
        let mut packet = [0; 8192];
        let bytes = self.socket.recv(&mut packet).expect("said within the bound");
        String::from_utf8(packet[..bytes].to_vec()).expect("text")
    }

    /// Hears until it is this.
    fn hears(&self, words: &str) -> String {
        let mut heard = (0..1_000).map(|_| self.hear());
        heard.find(|text| text.contains(words)).expect("said")
    }

    fn is_silent(&self) -> bool {
        self.socket.set_nonblocking(true).expect("allowed");
        let got = self.socket.recv(&mut [0; 1]).is_err();
        self.socket.set_nonblocking(false).expect("allowed");
        got
    }
}

/// A loop that answers its nonces unless it is stuck.
fn a_loop(loops: &Loops, name: &str) -> (Arc<Pulse>, Arc<AtomicBool>) {
    let (pulse, is_stuck) = (Arc::new(Pulse::default()), Arc::new(AtomicBool::new(false)));
    let (own, stuck) = (pulse.clone(), is_stuck.clone());
    let answer = move |nonce| {
        if !stuck.load(Ordering::Relaxed) {
            own.answer(nonce);
        }
    };
    loops.add(name, pulse.clone(), Box::new(answer));
    (pulse, is_stuck)
}

#[test]
fn a_start_is_told_step_by_step_and_life_only_when_every_loop_moves() {
    let manager = Manager::new(30_000);
    let service = Service::of(&manager.env);
    service.step("reading", Duration::from_secs(7));
    assert_eq!(manager.hear(), "EXTEND_TIMEOUT_USEC=7000000\nSTATUS=starting: reading\n");

    let loops = Arc::new(Loops::default());
    let (_, _) = a_loop(&loops, "a");
    let (_, is_stuck) = a_loop(&loops, "b");
    is_stuck.store(true, Ordering::Relaxed);
    service.ready(loops.clone(), || "paper, trading".into());
    assert_eq!(manager.hear(), "READY=1\nSTATUS=paper, trading\n");
    // The loop that moves is asked again and again, the other one does not answer: no sign of life.
    let moves = || loops.beats()[0].progress;
    let before = moves();
    while moves() < before + 10 {
        std::thread::yield_now();
    }
    assert!(manager.is_silent(), "one loop stands still");
    is_stuck.store(false, Ordering::Relaxed);
    assert_eq!(manager.hear(), "WATCHDOG=1\n");
    assert_eq!(manager.hear(), "WATCHDOG=1\n");

    service.stopping("stopped as asked");
    assert_eq!(manager.hears("STOPPING"), "STOPPING=1\nSTATUS=stopped as asked\n");
}

#[test]
fn a_manager_that_does_not_read_keeps_nobody_and_hears_the_newest_later() {
    let manager = Manager::new(0);
    let service = Service::of(&manager.env);
    let began = ambient::boot_now();
    for step in 0..10_000 {
        service.step(&step.to_string(), Duration::from_secs(1));
    }
    assert!(ambient::boot_now().since(began) < BOUND, "no step waits");
    service.ready(Arc::default(), || "up".into());
    manager.hears("READY=1\nSTATUS=up\n");
}

#[test]
fn without_a_manager_nothing_happens() {
    for address in [None, Some(""), Some("vsock:1:2"), Some("/nowhere/notify")] {
        let env = address.map(|address| ("NOTIFY_SOCKET".to_owned(), address.to_owned()));
        let service = Service::of(&env.into_iter().collect());
        service.step("reading", Duration::from_secs(1));
        service.ready(Arc::default(), || "up".into());
        service.stopping("asked");
    }
}
