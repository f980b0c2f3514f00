//! What a hostile strategy costs its neighbour: how long a quote takes from the push into the neighbour's
//! queue to the output of its handler, with and without somebody hostile in the same host.
//!
//! Spells without and with take turns, so that a machine that is busy for a while is so for both. Each spell
//! has its own 99th percentile; what counts is the median of the differences of neighbouring spells.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use sandpit_strategy::{Bounds, Inbox, Runner, Start, StrategyEvent, StrategyOutput};
use sandpit_types::{Pulse, Symbol};

use crate::{
    PATIENCE, Stage, Yard,
    ambient::{now, pass_until, until},
    manifest,
    stage::number_at,
};

/// What a hostile strategy may add to the 99th percentile of the others.
pub const ADDED_P99_MAX: Duration = Duration::from_millis(10);
/// Between two quotes.
const PACE: Duration = Duration::from_micros(500);
/// Pairs of spells.
const PAIRS: usize = 5;
/// The shortest spell, on an idle machine.
const SPELL: Duration = Duration::from_millis(200);
/// The fewest quotes of a spell.
const SPELL_QUOTES: u64 = 300;
/// Quotes of the longest test.
const QUOTES_MAX: usize = 1 << 20;
/// Memory that may be left taken after a deed has been done again and again, bytes.
const LEFT_TAKEN_MAX: u64 = 128 << 20;

/// The figures of one comparison.
#[derive(Debug)]
pub struct Figures {
    /// For each pair of spells: the 99th percentiles without and with the hostile one, nanoseconds.
    pub p99: Vec<(u64, u64)>,
    /// Quotes that were measured.
    pub quotes: u64,
}

impl Figures {
    /// The median of what was added.
    pub fn added(&self) -> Duration {
        let mut added: Vec<u64> = self.p99.iter().map(|(quiet, loud)| loud.saturating_sub(*quiet)).collect();
        added.sort_unstable();
        Duration::from_nanos(added[added.len() / 2])
    }
}

/// A yard with a good neighbour, and the feeder.
pub struct Beside {
    /// Where plugins are loaded.
    pub yard: Yard,
    /// Where they are told quotes.
    pub stage: Arc<Stage>,
    tape: Arc<Tape>,
    neighbour: (Arc<Inbox>, Option<Runner>, Arc<Pulse>),
    feeder: Option<thread::JoinHandle<()>>,
}

/// When each quote was pushed and answered, nanoseconds; zero: not yet.
struct Tape {
    pushed: Vec<AtomicU64>,
    answered: Vec<AtomicU64>,
    /// The next quote.
    next: AtomicU64,
    is_over: AtomicBool,
}

impl Default for Beside {
    fn default() -> Self {
        Self::new()
    }
}

impl Beside {
    /// Starts the neighbour and the feeder.
    ///
    /// # Panics
    /// When they do not start.
    pub fn new() -> Self {
        let (yard, stage) = (Yard::new(), Arc::new(Stage::default()));
        let zeros = || (0..QUOTES_MAX).map(|_| AtomicU64::new(0)).collect();
        let tape = Tape {
            pushed: zeros(),
            answered: zeros(),
            next: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        let tape = Arc::new(tape);
        let neighbour = start_neighbour(&yard, &stage, &tape);
        let (stage_of_it, tape_of_it) = (Arc::clone(&stage), Arc::clone(&tape));
        let feeder = thread::spawn(move || feed(&stage_of_it, &tape_of_it));
        Self { yard, stage, tape, neighbour, feeder: Some(feeder) }
    }

    /// Lets the hostile `act` and quiet take turns, prints the figures, and holds them against the bounds.
    ///
    /// # Panics
    /// When the neighbour suffers more than [`ADDED_P99_MAX`], goes without a quote, or memory stays taken.
    pub fn measure(&self, what: &str, mut act: impl FnMut()) -> Figures {
        // The first time brings in code and memory that stay.
        act();
        let before = resident();
        let mut figures = Figures { p99: Vec::new(), quotes: 0 };
        for _ in 0..PAIRS {
            let quiet = self.spell(|| ());
            let loud = self.spell(&mut act);
            figures.quotes += quiet.len() as u64 + loud.len() as u64;
            figures.p99.push((p99(quiet), p99(loud)));
        }
        self.answers();
        let taken = resident().saturating_sub(before);
        let micros: Vec<_> = figures.p99.iter().map(|(quiet, loud)| (quiet / 1_000, loud / 1_000)).collect();
        println!(
            "{what}: p99 from push to output without and with it {micros:?} us, added (median) {} us, {} \
             quotes, {} KiB more resident",
            figures.added().as_micros(),
            figures.quotes,
            taken >> 10,
        );
        assert!(figures.added() <= ADDED_P99_MAX, "{what} adds {:?}: {figures:?}", figures.added());
        assert!(taken <= LEFT_TAKEN_MAX, "{what} leaves {} MiB taken", taken >> 20);
        figures
    }

    /// Acts until a spell is over; how long each quote of it took, in order of length.
    fn spell(&self, mut act: impl FnMut()) -> Vec<u64> {
        let (first, start) = (self.tape.next.load(Ordering::Acquire), now());
        let told = || self.tape.next.load(Ordering::Acquire) - first;
        while now() - start < SPELL || told() < SPELL_QUOTES {
            act();
            thread::park_timeout(Duration::from_millis(1));
        }
        let end = self.tape.next.load(Ordering::Acquire);
        let mut all = self.taken(first, end);
        all.sort_unstable();
        all
    }

    /// How long the quotes from `first` up to `end` took. One that conflation left out is answered with the
    /// next one.
    fn taken(&self, first: u64, end: u64) -> Vec<u64> {
        let at = |times: &[AtomicU64], number: u64| times[number as usize].load(Ordering::Acquire);
        let mut answer = until("the neighbour's answer", PATIENCE, || {
            let later = end - 1..self.tape.next.load(Ordering::Acquire);
            later.map(|number| at(&self.tape.answered, number)).find(|at| *at > 0)
        });
        let mut taken = Vec::new();
        for number in (first..end).rev() {
            let own = at(&self.tape.answered, number);
            answer = if own > 0 { own } else { answer };
            taken.push(answer.saturating_sub(at(&self.tape.pushed, number)));
        }
        taken
    }

    fn answers(&self) {
        let (inbox, _, pulse) = &self.neighbour;
        inbox.push(StrategyEvent::Probe(u64::MAX));
        until("the neighbour's sign of life", PATIENCE, || (pulse.nonce() == u64::MAX).then_some(()));
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.tape.is_over.store(true, Ordering::Release);
        let ended = self.feeder.take().expect("one feeder").join();
        self.neighbour.0.push(StrategyEvent::Stop("the test is over".into()));
        let runner = self.neighbour.1.take().expect("one neighbour").join();
        if !thread::panicking() {
            assert!(ended.is_ok() && runner, "the feeder or the neighbour panicked");
        }
    }
}

/// The good one: the plugin of the deeds with none of them, in a thread of its own.
fn start_neighbour(yard: &Yard, stage: &Stage, tape: &Arc<Tape>) -> (Arc<Inbox>, Option<Runner>, Arc<Pulse>) {
    let plugin = yard.hostile("neighbour");
    let (inbox, pulse) = (Arc::new(Inbox::new([Symbol::new("SPY")])), Arc::new(Pulse::default()));
    let tape = Arc::clone(tape);
    let output = move |output| match output {
        StrategyOutput::Intents { event_time, .. } => {
            let at = u64::try_from(now().as_nanos()).expect("soon");
            tape.answered[number_at(event_time) as usize].store(at, Ordering::Release);
        }
        StrategyOutput::Snapshot { .. } | StrategyOutput::Stopped { .. } => {}
        other => unexpected(&other),
    };
    let runner = Runner::spawn(
        yard.engine(),
        &plugin,
        &manifest(r#"{"deed":"echo"}"#),
        Bounds::default(),
        Start::new(7),
        Arc::clone(&inbox),
        output,
        Arc::clone(&pulse),
    )
    .expect("the neighbour starts");
    stage.admit(Arc::clone(&inbox));
    (inbox, Some(runner), pulse)
}

/// The neighbour has done nothing wrong: whatever else becomes of it ends the test, which waits for answers.
fn unexpected(output: &StrategyOutput) {
    eprintln!("the neighbour: {output:?}");
}

fn feed(stage: &Stage, tape: &Tape) {
    let mut due = now();
    for number in 0..QUOTES_MAX as u64 {
        if tape.is_over.load(Ordering::Acquire) {
            return;
        }
        let at = u64::try_from(now().as_nanos()).expect("soon");
        tape.pushed[number as usize].store(at, Ordering::Release);
        stage.tell(number);
        tape.next.store(number + 1, Ordering::Release);
        // One that is behind does not hurry: the queue is not what is measured.
        due = (due + PACE).max(now());
        pass_until(due);
    }
    panic!("the test is longer than its tape");
}

/// The 99th percentile of what is in order.
fn p99(all: Vec<u64>) -> u64 {
    assert!(all.len() >= 100, "too few quotes for a 99th percentile: {}", all.len());
    all[all.len() * 99 / 100]
}

/// Memory of this process that is resident, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("pages");
    pages * rustix::param::page_size() as u64
}
