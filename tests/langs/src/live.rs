//! A strategy that runs: loaded by the real compiler's child, fed through its queue, stopped at the end.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    time::Duration,
};

use sandpit_strategy::{
    Bounds, COMPILE_MEMORY_BYTES, Candidate, Compiler, Engine, Inbox, Manifest, Plugin, PluginError, Runner,
    Start, StrategyEvent, StrategyOutput,
};
use sandpit_types::Pulse;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What any strategy is granted; more time for an event, as tests run on busy machines.
pub fn bounds() -> Bounds {
    Bounds { event_deadline: Duration::from_secs(1), ..Bounds::default() }
}

/// An engine and a cache of compiled plugins.
pub struct Yard {
    engine: Engine,
    compiler: Compiler,
}

impl Yard {
    /// `compile` is the program that compiles. What it made is kept from test to test and run to run: an
    /// interpreter takes it seconds.
    ///
    /// # Panics
    /// When there is no engine on this machine.
    pub fn new(compile: &str) -> Self {
        let cache =
            Path::new(compile).ancestors().nth(2).expect("target/PROFILE/program").join("langs/compiled");
        fs::create_dir_all(cache.parent().expect("it has one")).expect("the folder of caches");
        let command = vec![compile.into()];
        let compiler = Compiler { command, cache_dir: cache, memory_cap_bytes: COMPILE_MEMORY_BYTES };
        Self { engine: Engine::new().expect("an engine"), compiler }
    }

    /// How many compiled plugins are kept.
    pub fn kept(&self) -> usize {
        fs::read_dir(&self.compiler.cache_dir).map_or(0, Iterator::count)
    }

    /// Loads a plugin as the host does.
    ///
    /// # Errors
    /// Why it is none.
    pub fn load(&self, path: &Path) -> Result<Plugin, PluginError> {
        Plugin::load(&self.engine, &self.compiler, path)
    }
}

/// A strategy that runs.
pub struct Live {
    runner: Runner,
    inbox: Arc<Inbox>,
    pulse: Arc<Pulse>,
    outputs: Receiver<StrategyOutput>,
    nonce: u64,
}

impl Live {
    /// Starts it with these parameters, a JSON object.
    ///
    /// # Errors
    /// Why it does not start.
    ///
    /// # Panics
    /// When the parameters are no object.
    pub fn start(
        yard: &Yard,
        plugin: &Plugin,
        parameters: &serde_json::Value,
        bounds: Bounds,
    ) -> Result<Self, PluginError> {
        let parameters = parameters.as_object().expect("an object").clone();
        let manifest = Manifest { parameters, ..Manifest::default() };
        let inbox = Arc::new(Inbox::new(plugin.instruments(&manifest)?));
        let (pulse, (sender, outputs)) = (Arc::new(Pulse::default()), mpsc::channel());
        let output = move |output| sender.send(output).expect("the test listens");
        let (ours, theirs) = (Arc::clone(&inbox), Arc::clone(&pulse));
        let start = Start::new(1);
        let runner = Runner::spawn(&yard.engine, plugin, &manifest, bounds, start, ours, output, theirs)?;
        Ok(Self { runner, inbox, pulse, outputs, nonce: 0 })
    }

    /// Hands it an event and returns what came of it, but for snapshots.
    ///
    /// # Panics
    /// When it is not done in time.
    pub fn tell(&mut self, event: StrategyEvent) -> Vec<StrategyOutput> {
        self.inbox.push(event);
        self.settle();
        self.outputs.try_iter().filter(|it| !matches!(it, StrategyOutput::Snapshot { .. })).collect()
    }

    /// Waits until everything handed over so far is dealt with.
    ///
    /// # Panics
    /// When it is not in time.
    pub fn settle(&mut self) {
        self.nonce += 1;
        self.inbox.push(StrategyEvent::Probe(self.nonce));
        // A bound of yields, not of time: each lets the other thread run.
        let is_answered = (0..100_000_000).any(|_| {
            std::thread::yield_now();
            self.pulse.nonce() == self.nonce
        });
        assert!(is_answered, "it is not done");
    }

    /// Has a version with these parameters take over.
    ///
    /// # Panics
    /// When it does not, or not in time.
    pub fn swap(&mut self, yard: &Yard, plugin: &Plugin, parameters: &serde_json::Value) {
        let parameters = parameters.as_object().expect("an object").clone();
        let manifest = Manifest { parameters, ..Manifest::default() };
        let candidate = Candidate::prepare(&yard.engine, plugin, &manifest, bounds(), 2);
        self.inbox.swap(candidate.unwrap_or_else(|error| panic!("{error}")));
        loop {
            match self.outputs.recv_timeout(PATIENCE).expect("an output in time") {
                StrategyOutput::Swapped { .. } => return,
                StrategyOutput::Snapshot { .. } => {}
                other => panic!("not swapped: {other:?}"),
            }
        }
    }

    /// Hands it an event without waiting.
    pub fn push(&self, event: StrategyEvent) {
        self.inbox.push(event);
    }

    /// Stops it and waits for its end.
    ///
    /// # Panics
    /// When that does not come.
    pub fn stop(self) {
        self.inbox.push(StrategyEvent::Stop("the test is over".into()));
        loop {
            let output = self.outputs.recv_timeout(PATIENCE).expect("an output in time");
            if matches!(output, StrategyOutput::Stopped { .. }) {
                break;
            }
        }
        assert!(self.runner.join(), "its thread panicked");
    }
}
