//! A recorded life, lived again by the very code that lived it: without a thread, driven by the entries.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    Birth, Candidate, Engine, Entry, EntryRef, Failure, Plugin, PluginError, Recorder, StrategyOutput,
    session::Session,
};

/// Calls of one input that were cut off.
type Cuts = Vec<(u32, Failure)>;

/// A strategy that is played back. What it does is compared by whoever feeds it.
pub struct Replay {
    engine: Engine,
    plugin: Plugin,
    /// Versions that took over later, by checksum.
    known: HashMap<String, Plugin>,
    life: Life,
    /// The input that is played once its cuts are known: they stand behind it.
    pending: Option<(Entry, Cuts)>,
    played: Arc<Mutex<Vec<Entry>>>,
}

enum Life {
    Running(Box<Session>),
    /// It did not start, or was stopped.
    Over,
}

/// Keeps what the life did, but not what was done to it.
struct Notes(Arc<Mutex<Vec<Entry>>>);

impl Recorder for Notes {
    fn record(&mut self, entry: EntryRef<'_>) {
        let entry = entry.to_entry();
        if !entry.is_input() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        }
    }
}

impl Replay {
    /// A life that begins as this birth says, with this plugin: the recorded one, or another whose decisions
    /// are of interest. It starts when the first input after the birth is fed.
    pub fn new(engine: &Engine, plugin: &Plugin, birth: &Birth) -> Self {
        Self {
            engine: engine.clone(),
            plugin: plugin.clone(),
            known: HashMap::new(),
            life: Life::Over,
            pending: Some((Entry::Born(birth.clone()), Cuts::new())),
            played: Arc::default(),
        }
    }

    /// A version that an [`Entry::Swap`] may speak of.
    pub fn know(&mut self, plugin: Plugin) {
        self.known.insert(plugin.sha256().to_owned(), plugin);
    }

    /// Takes the next entry of the script. Of an input: what the one before it caused, in the order in which
    /// it is recorded, cuts included. Of a cut, which belongs to the input before it, and of everything
    /// else, which is there for comparison: nothing.
    ///
    /// A call that was cut off is not made but ends as it did; leave the cuts out to let another version run
    /// instead. A swap to a version that is not known is left out, too.
    ///
    /// # Errors
    /// When the strategy does not start.
    pub fn feed(&mut self, entry: &Entry) -> Result<Vec<Entry>, PluginError> {
        if let (Entry::Cut { call, failure }, Some((_, cuts))) = (entry, &mut self.pending) {
            cuts.push((*call, failure.clone()));
        }
        if !entry.is_input() {
            return Ok(Vec::new());
        }
        let caused = self.play()?;
        self.pending = Some((entry.clone(), Cuts::new()));
        Ok(caused)
    }

    /// Plays the last input: what it caused.
    ///
    /// # Errors
    /// When the strategy does not start.
    pub fn finish(mut self) -> Result<Vec<Entry>, PluginError> {
        self.play()
    }

    /// Plays the input that waits.
    fn play(&mut self) -> Result<Vec<Entry>, PluginError> {
        let Some((input, cuts)) = self.pending.take() else { return Ok(Vec::new()) };
        if let Entry::Born(birth) = input {
            let recorder: Box<dyn Recorder> = Box::new(Notes(Arc::clone(&self.played)));
            let session =
                Session::born(&self.engine, &self.plugin, birth, Arc::default(), Some(recorder), Some(cuts))?;
            self.life = Life::Running(Box::new(session));
        } else {
            self.live(input, cuts)?;
        }
        Ok(mem::take(&mut *self.played.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn live(&mut self, input: Entry, cuts: Cuts) -> Result<(), PluginError> {
        let Life::Running(mut session) = mem::replace(&mut self.life, Life::Over) else { return Ok(()) };
        session.foresee(cuts);
        let output = &mut |_: StrategyOutput| {};
        match input {
            Entry::Event(event) => session.on(&event, output),
            Entry::Lost { limit } => session.overflowed(limit, output),
            Entry::Panicked { message } => session.panicked(message, output),
            Entry::Swap(birth) => {
                if let Some(plugin) = self.known.get(&birth.sha256) {
                    session.swap(Candidate::born(&self.engine, plugin, birth, true)?, output);
                }
            }
            Entry::Lesson { told } => session.teach_heir_again(told, output),
            Entry::Left { reason } => {
                session.stop(&reason, output);
                return Ok(());
            }
            Entry::Born(_)
            | Entry::Cut { .. }
            | Entry::Log { .. }
            | Entry::Saved { .. }
            | Entry::Output(_) => {}
        }
        self.life = Life::Running(session);
        Ok(())
    }
}
