//! A strategy that runs: loaded by the real compiler's child, fed through its queue, stopped at the end.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    time::Duration,
};

use sandpit_strategy::{
    Bounds, COMPILE_MEMORY_BYTES, Compiler, Engine, Inbox, Manifest, Plugin, PluginError, Runner, StrategyEvent,
    StrategyOutput,
};
use sandpit_types::Pulse;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an interpreted strategy is granted: the memory is the most that one may have.
pub fn bounds() -> Bounds {
    Bounds { memory_bytes: 128 << 20, ..Bounds::default() }
}

/// An engine and a cache of compiled plugins.
pub struct Yard {
    /// Runs everything.
    pub engine: Engine,
    dir: tempfile::TempDir,
    compile: PathBuf,
}

impl Yard {
    /// `compile` is the program that compiles.
    ///
    /// # Panics
    /// When there is no engine on this machine.
    pub fn new(compile: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { engine: Engine::new().expect("an engine"), dir, compile: compile.into() }
    }

    /// Loads a plugin as the host does.
    ///
    /// # Errors
    /// Why it is none.
    pub fn load(&self, path: &Path) -> Result<Plugin, PluginError> {
        let compiler = Compiler {
            command: vec![self.compile.clone().into_os_string()],
            cache_dir: self.dir.path().join("cache"),
            memory_cap_bytes: COMPILE_MEMORY_BYTES,
        };
        Plugin::load(&self.engine, &compiler, path)
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
        let runner = Runner::spawn(&yard.engine, plugin, &manifest, bounds, 1, ours, output, theirs)?;
        Ok(Self { runner, inbox, pulse, outputs, nonce: 0 })
    }

    /// Hands it an event and returns what came of it.
    ///
    /// # Panics
    /// When it is not done in time.
    pub fn tell(&mut self, event: StrategyEvent) -> Vec<StrategyOutput> {
        self.inbox.push(event);
        self.settle();
        self.outputs.try_iter().collect()
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
