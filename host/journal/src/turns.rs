//! A session as turns: something that was done to a strategy, and everything that came of it.

use std::collections::BTreeMap;

use sandpit_strategy::Entry;
use sandpit_types::StrategyName;

use crate::{End, JournalError, Piece, Reader};

/// Entries that one turn may have; what is past them belongs to no strategy that a host runs.
const TURN_ENTRIES_MAX: usize = 1 << 20;

/// One input of a strategy and its effects.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// In which strand: a strategy that came again has another.
    pub strand: u32,
    /// Whose.
    pub strategy: StrategyName,
    /// The input's number in its strand.
    pub number: u64,
    /// What was done to the strategy.
    pub input: Entry,
    /// What came of it, in order.
    pub effects: Vec<Entry>,
    /// Whether that is all; a log that was cut off may lack some.
    pub is_whole: bool,
}

/// What a session consists of.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A turn.
    Turn(Box<Turn>),
    /// Entries of a strategy could not be kept.
    Gap {
        /// In which strand.
        strand: u32,
        /// Whose.
        strategy: StrategyName,
        /// The number of the first lost one.
        first: u64,
        /// How many.
        lost: u64,
    },
}

/// Reads a session turn by turn, those of all strategies in the order in which they ended.
#[derive(Debug)]
pub struct Turns {
    reader: Reader,
    names: BTreeMap<u32, StrategyName>,
    /// The turn of each strand that is not over yet.
    open: BTreeMap<u32, Box<Turn>>,
    ready: Option<Step>,
}

impl Turns {
    /// The turns of a session from its start.
    pub fn new(reader: Reader) -> Self {
        Self { reader, names: BTreeMap::new(), open: BTreeMap::new(), ready: None }
    }

    /// How the session ends, after its last step.
    pub fn end(&self) -> Option<&End> {
        self.reader.end()
    }

    /// The version of the host that wrote it.
    pub fn host(&self) -> &str {
        self.reader.host()
    }

    /// The next step; `None` at the end.
    ///
    /// # Errors
    /// When the log is damaged there, or cannot be read. The turns that were open are lost then.
    pub fn next_step(&mut self) -> Result<Option<Step>, JournalError> {
        if let Some(step) = self.ready.take() {
            return Ok(Some(step));
        }
        while let Some(piece) = self.reader.next_piece()? {
            if let Some(step) = self.take(piece) {
                return Ok(Some(step));
            }
        }
        let is_whole = self.reader.end() == Some(&End::Closed);
        Ok(self.open.pop_first().map(|(_, mut turn)| {
            turn.is_whole = is_whole;
            Step::Turn(turn)
        }))
    }

    fn take(&mut self, piece: Piece) -> Option<Step> {
        match piece {
            Piece::Opened { strand, strategy } => {
                self.names.insert(strand, strategy);
                None
            }
            Piece::Gap { strand, first, lost } => {
                let gap = Step::Gap { strand, strategy: self.names.get(&strand)?.clone(), first, lost };
                match self.open.remove(&strand) {
                    None => Some(gap),
                    Some(turn) => {
                        self.ready = Some(gap);
                        Some(Step::Turn(turn))
                    }
                }
            }
            Piece::Entry { strand, number, entry } if entry.is_input() => {
                let strategy = self.names.get(&strand)?.clone();
                let turn =
                    Turn { strand, strategy, number, input: *entry, effects: Vec::new(), is_whole: false };
                let mut over = self.open.insert(strand, Box::new(turn))?;
                over.is_whole = true;
                Some(Step::Turn(over))
            }
            // Effects without an input are what is left behind a gap.
            Piece::Entry { strand, entry, .. } => {
                let effects = &mut self.open.get_mut(&strand)?.effects;
                if effects.len() < TURN_ENTRIES_MAX {
                    effects.push(*entry);
                }
                None
            }
        }
    }
}

/// Where two lists of effects part.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// How many effects are alike before.
    pub alike: usize,
    /// What was recorded there; `None` when nothing more was.
    pub recorded: Option<Entry>,
    /// What was replayed there.
    pub replayed: Option<Entry>,
}

/// The first difference, to the bit; of a turn that is not whole, only what was recorded counts.
pub fn difference(recorded: &[Entry], replayed: &[Entry], is_whole: bool) -> Option<Difference> {
    // Not `==`: a number that is none differs from itself there, and two zeros do not differ.
    let bytes = |entry: &Entry| postcard::to_allocvec(entry).ok();
    let alike = recorded.iter().zip(replayed).take_while(|(left, right)| bytes(left) == bytes(right)).count();
    let (recorded, replayed) = (recorded.get(alike), replayed.get(alike));
    if recorded.is_none() && (replayed.is_none() || !is_whole) {
        return None;
    }
    Some(Difference { alike, recorded: recorded.cloned(), replayed: replayed.cloned() })
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
