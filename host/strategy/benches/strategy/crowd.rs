//! Many strategies, each in its thread, all on one core; who tells them things is on the other.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sandpit_strategy::StrategyOutput;

use crate::{
    life::Live,
    strategies::{self, SYMBOLS, Yard},
    world,
};

/// Quotes that are timed.
const TIMED: usize = 20_000;
/// Between two quotes where waits are measured, nanoseconds.
const PACE: u64 = 100_000;
/// Strategies of the load.
const CROWD: usize = 100;
/// Quotes a second of the load: ten for each of 3,000 symbols.
const LOAD: u64 = 30_000;
/// How long it lasts, seconds.
const LOAD_SECS: u64 = 5;
/// Quotes a frame of the load, of symbols of different strategies.
const FRAME: usize = 30;

/// From the push into one of `count` queues, in turn, to the end of the handler.
pub(crate) fn waits(yard: &Yard, count: usize) {
    let ends: Arc<Vec<AtomicU64>> = Arc::new((0..TIMED).map(|_| AtomicU64::new(0)).collect());
    let crowd = start(yard, count, &ends);
    let begins = by_the_other_core(|| {
        let mut due = world::nanos();
        let mut tell = |number: usize| {
            world::sleep_until(due);
            due = (due + PACE).max(world::nanos());
            let one = number % count;
            let symbol = &strategies::symbols(one)[number / count % SYMBOLS];
            let event = strategies::quote(symbol, strategies::time(number, 1));
            let begin = world::nanos();
            crowd[one].inbox.push(event);
            begin
        };
        (0..TIMED).map(&mut tell).collect::<Vec<u64>>()
    });
    let end = |number: usize| ends[number].load(Ordering::Acquire);
    world::wait_until("every quote is handled", || (0..TIMED).all(|number| end(number) > 0));
    crowd.into_iter().for_each(Live::stop);
    let mut waits: Vec<u64> = begins.iter().enumerate().map(|(n, begin)| end(n) - begin).collect();
    for (name, per_mille, goal) in [("p50", 500, ""), ("p99", 990, "<= 20")] {
        let micros = world::quantile(&mut waits, per_mille) / 1e3;
        world::print(&format!("enqueue_to_handler_{count}_{name}"), micros, "us", goal);
    }
}

/// A hundred strategies with thirty symbols each: what a load takes of the one core that they share.
pub(crate) fn load(yard: &Yard) {
    let ends = Arc::new(Vec::new());
    let crowd = start(yard, CROWD, &ends);
    let symbols: Vec<_> = (0..CROWD).map(strategies::symbols).collect();
    let before = world::process_nanos();
    let (fed, wall) = by_the_other_core(|| {
        let (began, own) = (world::nanos(), world::thread_nanos());
        let gap = 1_000_000_000 * FRAME as u64 / LOAD;
        for frame in 0..(LOAD * LOAD_SECS) as usize / FRAME {
            world::sleep_until(began + frame as u64 * gap);
            for at in 0..FRAME {
                let one = (frame * FRAME + at) % CROWD;
                let symbol = &symbols[one][frame % SYMBOLS];
                crowd[one].inbox.push(strategies::quote(symbol, strategies::time(frame, 1)));
            }
        }
        (world::thread_nanos() - own, world::nanos() - began)
    });
    world::wait_until("all is handled", || crowd.iter().all(|one| one.inbox.waiting() == 0));
    let used = world::process_nanos() - before - fed;
    let conflated: u64 = crowd.iter().map(|one| one.inbox.conflated()).sum();
    let share = used as f64 / wall as f64;
    let rate = (LOAD * LOAD_SECS) as f64 / (wall as f64 / 1e9);
    world::print("load_100x30_rate", rate, "events/s", "");
    world::print("load_100x30_core", 100.0 * share, "%", "< 100");
    world::print("load_100x30_headroom", 1.0 / share, "x", "> 1");
    world::print("load_100x30_an_event", used as f64 / (LOAD * LOAD_SECS) as f64, "ns of processor", "");
    world::print("load_100x30_conflated", conflated as f64, "quotes", "");
    world::print("load_100x30_resident", world::resident_bytes() as f64 / f64::from(1 << 20), "MiB", "");
    crowd.into_iter().for_each(Live::stop);
}

/// `count` strategies that answer each quote with a signal; the end of quote number n goes into place n.
fn start(yard: &Yard, count: usize, ends: &Arc<Vec<AtomicU64>>) -> Vec<Live> {
    let tiny = yard.tiny();
    let live = |number: usize| {
        let ends = Arc::clone(ends);
        Live::start_with(yard, &tiny, number, move |output| {
            let StrategyOutput::Intents { event_time, .. } = output else { return };
            let since = event_time.since(strategies::time(0, 1)).as_millis() as usize;
            if let Some(end) = ends.get(since) {
                end.store(world::nanos(), Ordering::Release);
            }
        })
    };
    (0..count).map(live).collect()
}

fn by_the_other_core<R: Send>(act: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| {
            world::pin(world::OTHER_CORE);
            act()
        });
        feeder.join().expect("the feeder")
    })
}
