//! Many reconnects: what a host keeps of the connections that it had.

use std::sync::{Arc, mpsc};

use sandpit_faults::{
    Figures, Lanes, Nowhere, Parts, Setup, Sim, TestClock, millis, now, open_files, reins, resident_kib,
    until,
};
use sandpit_ingest::IngestStats;
use tokio::{runtime::Handle, sync::watch};

use crate::common::secs;

/// Hosts on one thread: back-off is real time, so many of them reconnect side by side.
const HOSTS: u64 = 60;
/// Reconnects before the first look, and from there to the last. Each host's pool of REST connections, which
/// the adapter bounds, has found its size by then.
const WARM_UP: u64 = 1_200;
const RECONNECTS: u64 = 1_000;
/// What the process may have grown by in between.
const MOST_GROWTH_KIB: u64 = 2 * 1_024;
/// A connection lives for so many bytes: the greeting and some quotes.
const LIFE_BYTES: u64 = 3_000;

/// Hosts that deliver to nobody.
struct Crowd {
    stats: Vec<Arc<IngestStats>>,
    handle: Handle,
    stop: watch::Sender<bool>,
    thread: std::thread::JoinHandle<()>,
}

impl Crowd {
    fn start(sim: &Sim, lanes: &Lanes, speed: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (stop, stopped) = watch::channel(false);
        let clock = Arc::new(TestClock::new(sim.clock().0, speed));
        let (tell, told) = mpsc::channel();
        for n in 0..HOSTS {
            let mut setup = Setup::new(sim, &["SPY", "AAPL"], 100 + n);
            setup.since = sim.clock().0;
            setup.forgiven_after = Some(std::time::Duration::ZERO);
            let _inside = runtime.enter();
            let parts = Parts::new(&setup, sim, lanes, &clock, speed);
            tell.send(parts.ingest.stats()).expect("we listen");
            runtime.spawn(parts.ingest.run(Nowhere, reins(&stopped)));
        }
        drop(tell);
        let handle = runtime.handle().clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let mut stopped = stopped;
                let _ = stopped.wait_for(|stop| *stop).await;
            });
        });
        Self { stats: told.iter().collect(), handle, stop, thread }
    }

    fn opens(&self) -> u64 {
        self.stats.iter().map(|stats| stats.connection.opens()).sum()
    }
}

#[test]
fn memory_flat_over_1000_reconnects() {
    const SPEED: u32 = 60;
    let sim = Sim::in_session(&["--seed", "41", "--symbols", "SPY,AAPL"], secs(600), SPEED);
    let lanes = Lanes::to(&sim);
    for wire in lanes.all() {
        wire.stop_remembering();
    }
    lanes.stream.cut_after(Some(LIFE_BYTES));
    let crowd = Crowd::start(&sim, &lanes, SPEED);
    let reach = |opens: u64| {
        until("the reconnects", secs(120), || crowd.opens() >= opens);
        (resident_kib(), open_files(), crowd.handle.metrics().num_alive_tasks())
    };
    let began = now();
    let looks = [0, 1, 2, 3, 4].map(|quarter| reach(WARM_UP + quarter * RECONNECTS / 4));
    let took = began.elapsed();
    let pages: u64 = crowd.stats.iter().map(|stats| stats.connection.pages()).sum();
    // A leak shows in every quarter. A hiccup of the machine, after which much waits at once, shows in one:
    // the allocator keeps what it once needed, and the total has it.
    let quarters = looks.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0));
    let mut quarters: Vec<u64> = quarters.collect();
    quarters.sort_unstable();
    let (before, after) = (looks[0], looks[4]);
    let growth = after.0.saturating_sub(before.0).min(2 * (quarters[1] + quarters[2]));
    Figures::of("memory_flat_over_1000_reconnects")
        .and("reconnects", crowd.opens())
        .and("RSS KiB", format!("{:?}", looks.map(|look| look.0)))
        .and("growth KiB", growth)
        .and("files", format!("{} -> {}", before.1, after.1))
        .and("tasks", format!("{} -> {}", before.2, after.2))
        .and("took", millis(took))
        .tell();
    crowd.stop.send(true).expect("they run");
    crowd.thread.join().expect("they end in peace");
    assert!(growth <= MOST_GROWTH_KIB, "grown by {growth} KiB");
    // Sockets come and go with the reconnects of the moment; a leak would leave a thousand.
    assert!(after.1 <= before.1 + 2 * HOSTS as usize, "{} -> {} files", before.1, after.1);
    assert!(after.2 <= before.2 + 2 * HOSTS as usize, "{} -> {} tasks", before.2, after.2);
    assert_eq!(pages, 0, "each connection proved itself");
}
