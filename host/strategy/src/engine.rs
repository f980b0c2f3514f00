//! The WASM engine: one for all strategies, deterministic, interruptible.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use wasmtime::component::{HasSelf, Linker};

use crate::{PluginError, bindings::Strategy, bounds::STACK_BYTES, host::Host, trial::Meter};

/// How often guests can be interrupted.
const TICK: Duration = Duration::from_millis(1);

/// The engine that runs strategies. Clones share it; its ticker ends with the last one.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    linker: Arc<Linker<Host>>,
    ticks: Arc<AtomicU64>,
    meter: Option<Arc<Meter>>,
    _ticker: Arc<Sender<Infallible>>,
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
        let ticks = Arc::new(AtomicU64::new(0));
        let (alive, closed) = mpsc::channel::<Infallible>();
        let (weak, counter) = (inner.weak(), Arc::clone(&ticks));
        std::thread::Builder::new()
            .name("wasm-ticker".into())
            .spawn(move || {
                while closed.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    let Some(engine) = weak.upgrade() else { return };
                    engine.increment_epoch();
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
            .map_err(|source| PluginError::Thread { source })?;
        Ok(Self { inner, linker: Arc::new(linker), ticks, meter, _ticker: Arc::new(alive) })
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

    /// Ticks since the start. They stand still while the host does, so a pause strikes nobody.
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }
}

/// `span` in ticks, at least one.
pub(crate) fn in_ticks(span: Duration) -> u64 {
    u64::try_from(span.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// Processor time of the calling thread so far.
pub(crate) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread has never used less than nothing")
}

/// Real time of the machine since some moment: for figures, never for decisions.
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
