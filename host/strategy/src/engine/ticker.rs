//! The thread that counts ticks while guests run. When none has run for a while it sleeps, so that an idle
//! host wakes no processor.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

/// Ticks without any guest after which the thread falls asleep. Waking it costs a system call, so it stays
/// up for the events that come close together.
const IDLE_TICKS: u32 = 20;

#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    ticks: AtomicU64,
    /// Guests that run now.
    running: AtomicU64,
    /// How often a guest has begun to run.
    begun: AtomicU64,
    sleeps: AtomicBool,
    is_over: AtomicBool,
}

impl Ticker {
    /// Starts the thread, which ends when this is dropped.
    pub(super) fn start(engine: &wasmtime::Engine, tick: Duration) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (weak, own) = (engine.weak(), Arc::clone(&shared));
        let tick_once = move || weak.upgrade().map(|engine| engine.increment_epoch()).is_some();
        let handle =
            thread::Builder::new().name("wasm-ticker".into()).spawn(move || own.serve(tick, tick_once))?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    pub(super) fn ticks(&self) -> u64 {
        self.shared.ticks.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn sleeps(&self) -> bool {
        self.shared.sleeps.load(Ordering::SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Shared {
    fn serve(&self, tick: Duration, tick_once: impl Fn() -> bool) {
        let (mut idle, mut seen) = (0, 0);
        while !self.is_over.load(Ordering::SeqCst) {
            thread::park_timeout(tick);
            if !tick_once() {
                return;
            }
            self.ticks.fetch_add(1, Ordering::Relaxed);
            let begun = self.begun.load(Ordering::Relaxed);
            let is_idle = self.running.load(Ordering::SeqCst) == 0 && begun == seen;
            seen = begun;
            idle = if is_idle { idle + 1 } else { 0 };
            if idle >= IDLE_TICKS {
                self.sleep();
                idle = 0;
            }
        }
    }

    /// Until a guest runs. Whoever begins to run says so first and looks for a sleeper then, as here it is
    /// said that it sleeps first and looked for a runner then: one of the two sees the other.
    fn sleep(&self) {
        self.sleeps.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0
            && self.sleeps.load(Ordering::SeqCst)
            && !self.is_over.load(Ordering::SeqCst)
        {
            thread::park();
        }
        self.sleeps.store(false, Ordering::SeqCst);
    }
}

/// A guest that runs.
pub(crate) struct Running {
    ticker: Arc<Ticker>,
}

impl Running {
    pub(super) fn new(ticker: Arc<Ticker>) -> Self {
        let shared = &ticker.shared;
        shared.begun.fetch_add(1, Ordering::Relaxed);
        shared.running.fetch_add(1, Ordering::SeqCst);
        if shared.sleeps.load(Ordering::SeqCst) && shared.sleeps.swap(false, Ordering::SeqCst) {
            ticker.thread.unpark();
        }
        Self { ticker }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ticker.shared.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bound of yields, not of time.
    fn comes(mut what: impl FnMut() -> bool) -> bool {
        (0..20_000_000).any(|_| {
            thread::yield_now();
            what()
        })
    }

    #[test]
    fn it_sleeps_while_nothing_runs_and_ticks_while_something_does() {
        let engine = crate::engine::new_inner(false).expect("an engine");
        let ticker = Arc::new(Ticker::start(&engine, Duration::from_millis(1)).expect("a thread"));
        for _ in 0..3 {
            assert!(comes(|| ticker.sleeps()), "it falls asleep");
            let asleep = ticker.ticks();
            let running = Running::new(Arc::clone(&ticker));
            assert!(comes(|| ticker.ticks() > asleep + 2 * u64::from(IDLE_TICKS)), "it ticks");
            assert!(!ticker.sleeps());
            drop(running);
        }
    }
}
