//! The peer: an `alpaca-py` stream whose handler puts each quote into a queue of its symbol. Nobody drains
//! the queues, for a second thread of Python would only slow the first; they keep the newest quotes.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use sandpit_alpaca::Encoding;

use crate::{
    frames::symbols,
    generator::{Generator, PACED, Run},
    print_waits, world,
};

/// Messages a frame in the flood that both are compared by.
pub(crate) const BATCH: usize = 16;
const SCRIPT: &str = include_str!("peer.py");
const FLOOD: Duration = Duration::from_secs(3);
/// Quotes a second where waits are measured.
const PACE: u32 = 10_000;

/// Runs the peer and prints its figures, and how many times as fast `ours` was.
pub(crate) fn run(python: &str, ours: f64) {
    let typed = flood(python, "typed");
    let raw = flood(python, "raw");
    latency(python);
    println!("ingest_times_alpaca_py {:.1} x", ours / typed);
    println!("ingest_times_alpaca_py_raw {:.1} x", ours / raw);
}

fn flood(python: &str, mode: &str) -> f64 {
    let generator = Generator::start(Encoding::MessagePack, BATCH);
    let mut peer = Peer::start(python, &generator, mode);
    let sent = generator.run(Run::Blast(FLOOD));
    let end = peer.figure("end") as u64;
    let rate = |nanos: f64| sent.quotes as f64 / (nanos / 1e9);
    let wall = rate((end - sent.began) as f64);
    let quotes = peer.figure("quotes");
    assert!(quotes >= sent.quotes as f64, "the peer saw {quotes} of {} quotes", sent.quotes);
    println!("alpaca_py_{mode} {wall:.0} quotes/s");
    println!("alpaca_py_{mode}_cpu {:.0} quotes/cpu-s", rate(peer.figure("cpu")));
    println!("alpaca_py_{mode}_rss {:.1} MiB", peer.figure("rss") / 1024.0);
    wall
}

fn latency(python: &str) {
    let generator = Generator::start(Encoding::MessagePack, 1);
    let mut peer = Peer::start(python, &generator, "waits");
    let sent = generator.run(Run::Pace(PACE));
    peer.figure("end");
    let ends = (0..PACED).map(|_| peer.figure("at") as u64);
    print_waits("alpaca_py_frame_to_handler", sent.at.iter().map(|at| at.load(Ordering::Relaxed)).zip(ends));
}

/// A running peer. Its answers are lines of a name and a number.
struct Peer {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Returns when its stream delivers.
    fn start(python: &str, generator: &Generator, mode: &str) -> Self {
        let core = world::CORE.to_string();
        let names: Vec<_> = symbols().iter().map(ToString::to_string).collect();
        let mut command = Command::new("taskset");
        command.args(["-c", &core, python, "-", &generator.address.to_string(), mode, &names.join(",")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("taskset and Python run");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(SCRIPT.as_bytes()).expect("Python reads its program");
        drop(stdin);
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut peer = Self { child, answers };
        peer.figure("ready");
        peer
    }

    /// The next answer, which must have this name.
    fn figure(&mut self, name: &str) -> f64 {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let (said, number) = line.trim().split_once(' ').unwrap_or_default();
        assert_eq!(said, name, "the peer said {line:?}");
        number.parse().expect("a number")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has said all it had to say.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
