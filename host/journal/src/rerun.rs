//! Lives a session again: each strand with a life of its own, turn by turn, beside what was recorded.

use std::collections::BTreeMap;

use sandpit_strategy::{Birth, Entry, Failure, PluginError, Replay, StrategyOutput};
use sandpit_types::Intent;

use crate::Turn;

/// A strategy that lives again.
pub trait Life {
    /// Takes in what was done to it, and the cuts behind that. What comes back is what the input *before*
    /// this one caused.
    ///
    /// # Errors
    /// When the strategy does not start.
    fn feed(&mut self, entry: &Entry) -> Result<Vec<Entry>, PluginError>;

    /// Ends it: what the last input caused.
    ///
    /// # Errors
    /// When the strategy does not start.
    fn finish(self) -> Result<Vec<Entry>, PluginError>;
}

impl Life for Replay {
    fn feed(&mut self, entry: &Entry) -> Result<Vec<Entry>, PluginError> {
        Self::feed(self, entry)
    }

    fn finish(self) -> Result<Vec<Entry>, PluginError> {
        Self::finish(self)
    }
}

/// Where lives come from.
pub trait Lives {
    /// What they are.
    type Life: Life;

    /// The life that begins with this birth.
    ///
    /// # Errors
    /// When there is no component for it.
    fn born(&mut self, birth: &Birth) -> Result<Self::Life, PluginError>;

    /// Shows a life the component that it is about to become.
    ///
    /// # Errors
    /// When there is none.
    fn before_swap(&mut self, life: &mut Self::Life, birth: &Birth) -> Result<(), PluginError>;
}

/// With what a session is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// With the components that ran.
    Recorded,
    /// With another one: it is cut off nowhere, and never changed.
    Other,
}

/// A turn as it was and as it is.
#[derive(Debug)]
pub struct Rerun {
    /// As it was recorded.
    pub turn: Box<Turn>,
    /// Its effects now.
    pub replayed: Vec<Entry>,
}

/// All strands of a session, alive again.
#[derive(Debug)]
pub struct Stage<L: Lives> {
    lives: L,
    cast: Cast,
    strands: BTreeMap<u32, Strand<L::Life>>,
}

#[derive(Debug)]
struct Strand<L> {
    life: L,
    /// The turn whose effects the next input brings.
    turn: Box<Turn>,
}

impl<L: Lives> Stage<L> {
    /// An empty stage.
    pub fn new(lives: L, cast: Cast) -> Self {
        Self { lives, cast, strands: BTreeMap::new() }
    }

    /// Plays one turn. What comes back is the one before it in its strand, if there was one.
    ///
    /// # Errors
    /// When there is no component for it, or it does not start where it did then.
    pub fn play(&mut self, turn: Box<Turn>) -> Result<Option<Rerun>, PluginError> {
        let number = turn.strand;
        let strand = self.strands.remove(&number);
        if let Entry::Born(birth) = &turn.input {
            let over = strand.map_or(Ok(None), Strand::finish)?;
            let life = self.lives.born(birth)?;
            self.strands.insert(number, self.follow(life, turn)?);
            return Ok(over);
        }
        // What comes behind a gap has no beginning: only a new birth is one.
        let Some(Strand { mut life, turn: before }) = strand else { return Ok(None) };
        if self.cast == Cast::Other && matches!(turn.input, Entry::Swap(_) | Entry::Lesson { .. }) {
            self.strands.insert(number, Strand { life, turn: before });
            return Ok(None);
        }
        if let Entry::Swap(birth) = &turn.input {
            self.lives.before_swap(&mut life, birth)?;
        }
        let replayed = life.feed(&turn.input)?;
        self.strands.insert(number, self.follow(life, turn)?);
        Ok(Some(Rerun { turn: before, replayed }))
    }

    /// Entries of a strand are missing: it ends here. What comes back is its last turn.
    ///
    /// # Errors
    /// When it does not start now.
    pub fn cut(&mut self, strand: u32) -> Result<Option<Rerun>, PluginError> {
        self.strands.remove(&strand).map_or(Ok(None), Strand::finish)
    }

    /// Ends every strand, one at a time; `None` when there is none left.
    ///
    /// # Errors
    /// When one does not start now.
    pub fn finish_next(&mut self) -> Result<Option<Rerun>, PluginError> {
        while let Some((_, strand)) = self.strands.pop_first() {
            if let Some(rerun) = strand.finish()? {
                return Ok(Some(rerun));
            }
        }
        Ok(None)
    }

    /// A life that was fed the input of this turn, and now its cuts.
    fn follow(&self, mut life: L::Life, turn: Box<Turn>) -> Result<Strand<L::Life>, PluginError> {
        if self.cast == Cast::Recorded {
            for entry in turn.effects.iter().filter(|entry| matches!(entry, Entry::Cut { .. })) {
                // A cut belongs to the input before it: nothing comes of it yet.
                life.feed(entry)?;
            }
        }
        Ok(Strand { life, turn })
    }
}

impl<L: Life> Strand<L> {
    fn finish(self) -> Result<Option<Rerun>, PluginError> {
        let Self { life, turn } = self;
        match life.finish() {
            Ok(replayed) => Ok(Some(Rerun { turn, replayed })),
            // Nothing was done to it after its birth, as it did not start then, either.
            Err(PluginError::Start { .. }) if matches!(turn.input, Entry::Born(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// One thing that a strategy decided, or that was decided about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It wants this.
    Wants(Vec<Intent>),
    /// It failed and rests.
    Struck(Failure),
    /// It failed for good.
    Quarantined(Failure),
}

/// The decisions among some effects: without the number of the life, log lines, saved states and cuts.
pub fn decisions(effects: &[Entry]) -> Vec<Decision> {
    let decision = |entry: &Entry| match entry {
        Entry::Output(StrategyOutput::Intents { intents, .. }) => Some(Decision::Wants(intents.clone())),
        Entry::Output(StrategyOutput::Struck { reason, .. }) => Some(Decision::Struck(reason.clone())),
        Entry::Output(StrategyOutput::Quarantined { reason, .. }) => {
            Some(Decision::Quarantined(reason.clone()))
        }
        _ => None,
    };
    effects.iter().filter_map(decision).collect()
}

#[cfg(test)]
#[path = "rerun_tests.rs"]
mod tests;
