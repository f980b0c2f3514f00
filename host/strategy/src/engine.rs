//! The WASM engine: one for all strategies, deterministic, interruptible.

mod ticker;

use std::{sync::Arc, time::Duration};

use wasmtime::component::{HasSelf, Linker};

use self::ticker::{Running, Ticker};
use crate::{PluginError, bindings::Strategy, bounds::STACK_BYTES, host::Host, trial::Meter};

/// How often guests can be interrupted while they run.
const TICK: Duration = Duration::from_millis(1);

/// The engine that runs strategies. Clones share it; its ticker ends with the last one.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    linker: Arc<Linker<Host>>,
    ticker: Arc<Ticker>,
    meter: Option<Arc<Meter>>,
}

impl Engine {
    /// Starts an engine and its ticker thread.
    ///
    /// # Errors
    /// When this machine cannot run compiled WASM, or no thread can be started.
    pub fn new() -> Result<Self, PluginError> {
        Self::start(None)
    }

    /// The same, but counting what strategies do, for a [`crate::Trial`]. It is slower, and its compiled
    /// plugins are its own: its compiler has to call [`crate::compile_metered`].
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn metered() -> Result<Self, PluginError> {
        Self::start(Some(Arc::default()))
    }

    fn start(meter: Option<Arc<Meter>>) -> Result<Self, PluginError> {
        let inner = new_inner(meter.is_some())?;
        let mut linker = Linker::new(&inner);
        Strategy::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host).map_err(engine_error)?;
        let ticker = Ticker::start(&inner, TICK).map_err(|source| PluginError::Thread { source })?;
        Ok(Self { inner, linker: Arc::new(linker), ticker: Arc::new(ticker), meter })
    }

    pub(crate) fn inner(&self) -> &wasmtime::Engine {
        &self.inner
    }

    pub(crate) fn linker(&self) -> &Linker<Host> {
        &self.linker
    }

    /// What strategies did so far, where that is counted.
    pub(crate) fn meter(&self) -> Option<&Meter> {
        self.meter.as_deref()
    }

    /// Ticks since the start. They stand still while the host does, so a pause strikes nobody, and may while
    /// no guest runs.
    pub(crate) fn ticks(&self) -> u64 {
        self.ticker.ticks()
    }

    /// A guest runs until what is returned is dropped: meanwhile there are ticks.
    pub(crate) fn run(&self) -> Running<'_> {
        Running::new(&self.ticker)
    }
}

/// `span` in ticks, at least one.
pub(crate) fn in_ticks(span: Duration) -> u64 {
    const {
        assert!(
            TICK.as_nanos() == 1_000_000,
            "ticks are milliseconds here: no division on the way of an event"
        )
    };
    span.as_secs().saturating_mul(1_000).saturating_add(u64::from(span.subsec_millis())).max(1)
}

/// Processor time of the calling thread so far.
pub(crate) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread has never used less than nothing")
}

/// Real time of the machine since some moment: for figures, and for how much is done before something else
/// has its turn. What a strategy could see of that is recorded.
pub(crate) fn real_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(time).expect("it counts from the start of the machine")
}

/// An engine without ticker: enough to compile. Child and parent must build it alike, or the cache never
/// hits.
pub(crate) fn new_inner(is_metered: bool) -> Result<wasmtime::Engine, PluginError> {
    wasmtime::Engine::new(config().consume_fuel(is_metered)).map_err(engine_error)
}

/// Deterministic to the bit: one NaN, no relaxed SIMD, no threads, no clocks. Interruptible by epoch.
fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .shared_memory(false)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Enable)
        .memory_init_cow(true)
        .max_wasm_stack(STACK_BYTES);
    config
}

fn engine_error(error: wasmtime::Error) -> PluginError {
    PluginError::Engine { detail: format!("{error:#}") }
}
