//! The thread of one strategy.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use sandpit_types::{Pulse, StrategyName};

use crate::{
    Bounds, Engine, Inbox, Manifest, Plugin, PluginError, StrategyEvent, StrategyOutput, bounds::STACK_BYTES,
    inbox::Next, session::Session,
};

/// Stack of the thread: the guest's and as much again for ours.
const THREAD_STACK_BYTES: usize = 2 * STACK_BYTES + (1 << 20);

/// A strategy that runs in a thread of its own until it is told to stop.
#[derive(Debug)]
pub struct Runner {
    strategy: StrategyName,
    thread: JoinHandle<()>,
}

impl Runner {
    /// Starts the strategy on this thread (`describe` and `init`), then hands it events from `inbox` on its
    /// own.
    ///
    /// `seed` decides its random numbers, each life gets others. `pulse` advances with each event and answers
    /// the nonces of [`StrategyEvent::Probe`], also while the strategy rests or is quarantined: the loop is
    /// alive then.
    ///
    /// # Errors
    /// When it is granted no instruments, fails or refuses to start, or no thread can be started.
    #[expect(clippy::too_many_arguments, reason = "each is another part's, and all are needed once")]
    pub fn spawn(
        engine: &Engine,
        plugin: &Plugin,
        manifest: &Manifest,
        bounds: Bounds,
        seed: u64,
        inbox: Arc<Inbox>,
        mut output: impl FnMut(StrategyOutput) + Send + 'static,
        pulse: Arc<Pulse>,
    ) -> Result<Self, PluginError> {
        let session = Session::start(engine, plugin, manifest, bounds, seed)?;
        let strategy = plugin.name().clone();
        let thread = thread::Builder::new()
            .name(strategy.to_string())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || serve(session, &inbox, &mut output, &pulse))
            .map_err(|source| PluginError::Thread { source })?;
        Ok(Self { strategy, thread })
    }

    /// Which strategy.
    pub fn strategy(&self) -> &StrategyName {
        &self.strategy
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the thread's end, which follows a [`StrategyEvent::Stop`]; false if it panicked instead.
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
    }
}

fn serve(mut session: Session, inbox: &Inbox, output: &mut dyn FnMut(StrategyOutput), pulse: &Pulse) {
    loop {
        match inbox.pop() {
            Next::Overflowed => session.overflowed(output),
            Next::Event(StrategyEvent::Probe(nonce)) => pulse.answer(nonce),
            Next::Event(StrategyEvent::Stop(reason)) => return session.stop(&reason, output),
            Next::Event(event) => session.on(&event, output),
        }
        pulse.work();
    }
}
