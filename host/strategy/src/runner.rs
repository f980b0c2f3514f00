//! The thread of one strategy.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use sandpit_types::Pulse;

use crate::{
    Bounds, Engine, Inbox, Manifest, Plugin, PluginError, StrategyEvent, StrategyOutput,
    bounds::{STACK_BYTES, TEXT_BYTES, cut},
    check::one_line,
    engine::real_time,
    queue::Next,
    session::{Output, Session, Start},
};

/// Stack of the thread: the guest's and as much again for ours.
const THREAD_STACK_BYTES: usize = 2 * STACK_BYTES + (1 << 20);

/// How long the events that wait at the stop may take, all together; real time. What is left then is not
/// handled, and not in the state that is saved.
const LAST_EVENTS_WITHIN: Duration = Duration::from_secs(1);

/// How long a version that is to take over has no lesson unless an event comes; real time. A thread that
/// always works is made to wait by the system just when an event comes.
const BREAK: Duration = Duration::from_millis(1);

/// So many events come to their turn between two lessons while any wait.
const EVENTS_PER_LESSON: u32 = 8;

/// A strategy that runs in a thread of its own until it is told to stop.
#[derive(Debug)]
pub struct Runner {
    thread: JoinHandle<()>,
}

impl Runner {
    /// Starts the strategy on this thread (`describe` and `init`), then hands it events from `inbox` on its
    /// own.
    ///
    /// `pulse` advances with each event, says what memory is held, and answers
    /// the nonces of [`StrategyEvent::Probe`], also while the strategy rests or is quarantined: the loop is
    /// alive then. A panic of ours quarantines the strategy and leaves the loop alive, too.
    ///
    /// # Errors
    /// When it is granted no instruments, fails or refuses to start, or no thread can be started.
    #[expect(clippy::too_many_arguments, reason = "each is another part's, and all are needed once")]
    pub fn spawn(
        engine: &Engine,
        plugin: &Plugin,
        manifest: &Manifest,
        bounds: Bounds,
        start: Start,
        inbox: Arc<Inbox>,
        mut output: impl FnMut(StrategyOutput) + Send + 'static,
        pulse: Arc<Pulse>,
    ) -> Result<Self, PluginError> {
        let session = Session::start(engine, plugin, manifest, bounds, start, Arc::clone(&pulse))?;
        let thread = thread::Builder::new()
            .name(plugin.name().to_string())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || serve(session, &inbox, &mut output, &pulse))
            .map_err(|source| PluginError::Thread { source })?;
        Ok(Self { thread })
    }

    /// Waits for the thread's end, which follows a [`StrategyEvent::Stop`]; false if it panicked there.
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
    }
}

fn serve(mut session: Session, inbox: &Inbox, output: &mut dyn FnMut(StrategyOutput), pulse: &Pulse) {
    let mut since_lesson = 0;
    loop {
        let next = if session.has_heir() { inbox.pop_within(BREAK) } else { Some(inbox.pop()) };
        if let Some(Next::Event(StrategyEvent::Stop(reason))) = next {
            let left = finish(&mut session, inbox, output, pulse, real_time() + LAST_EVENTS_WITHIN);
            if left > 0 {
                tracing::warn!(left, "a strategy stops without having handled all that waited");
            }
            return session.stop(&reason, output);
        }
        if let Some(next) = next {
            one(&mut session, next, output, pulse);
            since_lesson = if session.has_heir() { since_lesson + 1 } else { 0 };
        }
        if session.has_heir() && (since_lesson >= EVENTS_PER_LESSON || inbox.waiting() == 0) {
            since_lesson = 0;
            guarded(&mut session, output, |session, output| session.teach_heir(output));
            pulse.work();
        }
    }
}

fn one(session: &mut Session, next: Next, output: Output<'_>, pulse: &Pulse) {
    match next {
        Next::Overflowed { limit } => {
            guarded(session, output, |session, output| session.overflowed(limit, output));
        }
        Next::Swap(candidate) => {
            guarded(session, output, |session, output| session.swap(*candidate, output));
        }
        Next::Event(StrategyEvent::Probe(nonce)) => {
            // Whoever asks for life asks for this, too: events pay nothing for it.
            pulse.hold(session.memory_bytes() as u64);
            pulse.answer(nonce);
        }
        Next::Event(event) => guarded(session, output, |session, output| session.on(&event, output)),
    }
    pulse.work();
}

/// Hands over what waits at the stop, fills above all, so that the last state knows of it; but no new version
/// has a lesson or takes over any more. How many events are left when the time is over.
pub(crate) fn finish(
    session: &mut Session,
    inbox: &Inbox,
    output: Output<'_>,
    pulse: &Pulse,
    until: Duration,
) -> usize {
    while real_time() < until {
        match inbox.take() {
            None => return 0,
            Some(Next::Swap(_) | Next::Event(StrategyEvent::Stop(_))) => {}
            Some(next) => one(session, next, output, pulse),
        }
    }
    inbox.waiting()
}

/// Does a piece of work; a panic in it ends the strategy, not the thread. Nothing of the session but its name
/// is used after that.
fn guarded(session: &mut Session, output: Output<'_>, work: impl FnOnce(&mut Session, Output<'_>)) {
    let work = AssertUnwindSafe(|| work(session, output));
    let Err(panic) = panic::catch_unwind(work) else { return };
    let message = cut(&one_line(words(&*panic)), TEXT_BYTES).to_owned();
    let last = AssertUnwindSafe(|| session.panicked(message, output));
    if panic::catch_unwind(last).is_err() {
        tracing::error!("the quarantine of a strategy could not be told: its output panicked");
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}
