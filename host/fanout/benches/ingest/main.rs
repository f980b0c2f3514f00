//! How fast quotes come in: from the bytes of a socket to the queue of a strategy, through the real adapter,
//! ingest, fan-out and inbox; and how long one takes from the broker's write to the end of a strategy's
//! handler. As a peer an `alpaca-py` handler that does the same work on the same frames in the same run:
//! `--python FILE` names a Python that has it.
//!
//! What is measured has a core of its own; the generator and whoever drains the queue share the other.

mod frames;
mod generator;
mod host;
mod peer;
mod plugin;
mod world;

use std::{
    path::Path,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use sandpit_alpaca::Encoding;
use sandpit_fanout::{DataCounts, FanOut, Tape};
use sandpit_ingest::MarketSink;
use sandpit_strategy::StrategyOutput;
use sandpit_types::{MarketEvent, Quote};

use crate::{
    frames::symbols,
    generator::{Generator, PACED, Run},
    host::{Host, Trader},
};

/// How long each flood lasts.
const FLOOD: Duration = Duration::from_secs(3);
/// Messages a frame.
const BATCHES: [usize; 3] = [1, 16, 100];
/// Quotes a second where waits are measured.
const PACE: u32 = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, command, input, output] = args.as_slice()
        && command == "compile-plugin"
    {
        return plugin::compile(Path::new(input), Path::new(output));
    }
    fan_out();
    let mut ours = 0.0;
    for encoding in [Encoding::MessagePack, Encoding::Json] {
        for batch in BATCHES {
            let rate = flood(encoding, batch);
            if (encoding, batch) == (Encoding::MessagePack, peer::BATCH) {
                ours = rate;
            }
        }
    }
    latency(Encoding::MessagePack);
    latency(Encoding::Json);
    println!("ingest_rss {:.1} MiB", world::resident_bytes() as f64 / f64::from(1 << 20));
    match args.iter().skip_while(|arg| *arg != "--python").nth(1) {
        Some(python) => peer::run(python, ours),
        None => eprintln!("no peer: name a Python that has alpaca-py with --python"),
    }
}

/// The name of an encoding in figures.
fn word(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "json",
        Encoding::MessagePack => "msgpack",
    }
}

/// The last part of the way alone: from a batch of events to the strategy's queue.
fn fan_out() {
    const EVENTS: usize = 64;
    const ROUNDS: u64 = 50_000;
    let trader = Trader::new();
    let nobody = |_: &[MarketEvent]| {};
    let mut sink =
        FanOut::new(nobody, Arc::new(Tape::default()), Arc::new(DataCounts::default()), vec![trader.clone()]);
    let quote = |at: usize| {
        let symbol = symbols()[at % frames::SYMBOLS].clone();
        let time = frames::stamp(1, at);
        MarketEvent::Quote(Quote { symbol, time, bid: 1.0, bid_size: 1, ask: 2.0, ask_size: 1 })
    };
    let events: Vec<_> = (0..EVENTS).map(quote).collect();
    let mut measure = |name: &str, keeps_up: bool| {
        let mut nanos = 0;
        for _ in 0..ROUNDS {
            let began = world::nanos();
            sink.deliver(&events);
            nanos += world::nanos() - began;
            while keeps_up && trader.inbox.waiting() > 0 {
                trader.inbox.pop();
            }
        }
        println!("{name} {:.1} ns/quote", nanos as f64 / (ROUNDS * EVENTS as u64) as f64);
    };
    measure("fan_out", true);
    measure("fan_out_to_a_hung_strategy", false);
}

/// As many quotes as go through; quotes a second of wall time.
fn flood(encoding: Encoding, batch: usize) -> f64 {
    let generator = Generator::start(encoding, batch);
    let trader = Trader::new();
    let drain = trader.drain();
    let host = Host::start(generator.address, encoding, trader);
    let (before, cpu_before) = (host.quotes(), host.cpu_nanos());
    let sent = generator.run(Run::Blast(FLOOD));
    world::wait_until("every quote is delivered", || host.quotes() >= before + sent.quotes);
    let (wall, cpu) = (world::nanos() - sent.began, host.cpu_nanos() - cpu_before);
    host.check();
    let conflated = host.trader.inbox.conflated();
    drop(host);
    drain.join().expect("it counts");
    let name = format!("ingest_{}_{batch}_a_frame", word(encoding));
    let rate = |nanos: u64| sent.quotes as f64 / (nanos as f64 / 1e9);
    println!("{name} {:.0} quotes/s", rate(wall));
    println!("{name}_cpu {:.0} quotes/cpu-s", rate(cpu));
    println!("{name}_conflated {:.1} %", 100.0 * conflated as f64 / sent.quotes as f64);
    rate(wall)
}

/// From the write of a frame to the end of the strategy's handler.
fn latency(encoding: Encoding) {
    let generator = Generator::start(encoding, 1);
    let trader = Trader::new();
    let ends = Arc::new(Mutex::new(Vec::with_capacity(frames::SYMBOLS + PACED)));
    let handled = Arc::clone(&ends);
    let strategy = plugin::start(Arc::clone(&trader.inbox), move |output| match output {
        StrategyOutput::Intents { .. } => handled.lock().expect("whole").push(world::nanos()),
        StrategyOutput::Stopped { .. } | StrategyOutput::Snapshot { .. } => {}
        StrategyOutput::Struck { .. }
        | StrategyOutput::Quarantined { .. }
        | StrategyOutput::Swapped { .. }
        | StrategyOutput::SwapFailed { .. } => panic!("{output:?}"),
    });
    let host = Host::start(generator.address, encoding, trader);
    let sent = generator.run(Run::Pace(PACE));
    // One answer for each quote, in order, those that proved the stream included: the queue never got long.
    let all = frames::SYMBOLS + PACED;
    world::wait_until("every quote is handled", || ends.lock().expect("whole").len() >= all);
    host.check();
    assert_eq!(host.trader.inbox.conflated(), 0, "the strategy keeps up");
    drop(host);
    assert!(strategy.join(), "the strategy's thread ends as it should");
    let ends = ends.lock().expect("whole");
    let began = sent.at.iter().map(|at| at.load(Ordering::Relaxed));
    print_waits(
        &format!("frame_to_strategy_{}", word(encoding)),
        began.zip(ends[frames::SYMBOLS..].iter().copied()),
    );
}

/// Half and ninety-nine of a hundred of the waits, from pairs of begin and end.
fn print_waits(name: &str, pairs: impl Iterator<Item = (u64, u64)>) {
    let wait = |(begin, end): (u64, u64)| end.checked_sub(begin).expect("it ends after it began");
    let mut waits: Vec<_> = pairs.map(wait).collect();
    waits.sort_unstable();
    let micros = |percent: usize| waits[waits.len() * percent / 100] as f64 / 1e3;
    println!("{name}_p50 {:.1} us", micros(50));
    println!("{name}_p99 {:.1} us", micros(99));
}
