//! A strategy on trial: the same session as in a host, on the calling thread, with its work counted.
//!
//! Work is counted in fuel, about one unit an instruction of WASM: the same events make the same count on
//! every machine, so that a test can hold a strategy to it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use wasmtime::Store;

use crate::{
    Bounds, Engine, Manifest, Plugin, PluginError, Start, StrategyEvent, StrategyOutput, host::Host,
    session::Session,
};

/// One strategy, fed by hand.
pub struct Trial {
    engine: Engine,
    session: Session,
    start_fuel: u64,
}

/// What one event did.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What came out, in order.
    pub outputs: Vec<StrategyOutput>,
    /// The work of all calls that the event caused.
    pub fuel: u64,
}

impl Trial {
    /// Starts the strategy: `describe` and `init`. `engine` has to be of this trial's own, and is best an
    /// [`Engine::metered`]: another one counts nothing.
    ///
    /// # Errors
    /// When it is granted no instruments, fails or refuses to start.
    pub fn start(
        engine: &Engine,
        plugin: &Plugin,
        manifest: &Manifest,
        bounds: Bounds,
        start: Start,
    ) -> Result<Self, PluginError> {
        if let Some(meter) = engine.meter() {
            meter.begin();
        }
        let session = Session::start(engine, plugin, manifest, bounds, start, Arc::default())?;
        let start_fuel = engine.meter().map_or(0, Meter::take);
        Ok(Self { engine: engine.clone(), session, start_fuel })
    }

    /// Tells it one thing.
    pub fn on(&mut self, event: &StrategyEvent) -> Step {
        let mut outputs = Vec::new();
        self.session.on(event, &mut |output| outputs.push(output));
        Step { outputs, fuel: self.engine.meter().map_or(0, Meter::take) }
    }

    /// The work of its start.
    pub fn start_fuel(&self) -> u64 {
        self.start_fuel
    }

    /// The most linear memory that any life of it had so far, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.engine.meter().map_or(0, |meter| meter.memory.load(Ordering::Relaxed))
    }
}

/// What strategies of one engine did.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    fuel: AtomicU64,
    memory: AtomicUsize,
}

impl Meter {
    fn begin(&self) {
        self.fuel.store(0, Ordering::Relaxed);
        self.memory.store(0, Ordering::Relaxed);
    }

    /// The fuel since the last time.
    fn take(&self) -> u64 {
        self.fuel.swap(0, Ordering::Relaxed)
    }
}

/// Before the first call of a store: it gets more fuel than it can ever use.
pub(crate) fn fill(engine: &Engine, store: &mut Store<Host>) {
    if engine.meter().is_some() {
        store.set_fuel(u64::MAX).expect("a metered engine counts fuel");
    }
}

/// After a call: notes what it used.
pub(crate) fn read(engine: &Engine, store: &mut Store<Host>) {
    let Some(meter) = engine.meter() else { return };
    let used = u64::MAX - store.get_fuel().expect("a metered engine counts fuel");
    meter.fuel.fetch_add(used, Ordering::Relaxed);
    meter.memory.fetch_max(store.data().usage.memory(), Ordering::Relaxed);
    fill(engine, store);
}
