//! Several statements as one text: one way to the database and back, and no half a transaction left behind.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use crate::statements::Statement;

/// Statements that are joined at most. What an order brings with it is fewer; larger commits are rare, and
/// their shapes would fill the cache of prepared statements.
const MAX_JOINED: usize = 8;
/// Shapes of commits that are remembered. A further one is written statement by statement.
const MAX_SHAPES: usize = 64;

/// How statements are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// SQLite runs several statements of one text, and stops at the first that fails.
    Sequence,
    /// PostgreSQL runs several statements in one only as parts of a `WITH`. They do not see what the others
    /// do, so all must be of the kind that only adds.
    With,
}

/// A commit as it goes to the database.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Batch {
    /// A transaction by itself, with the values of all statements in their order.
    Whole(Arc<str>),
    /// Each statement by itself, to be put between `BEGIN` and `COMMIT`.
    Single,
}

/// The joined texts known, by the texts joined.
#[derive(Debug)]
pub(crate) struct Joiner {
    joining: Joining,
    known: BTreeMap<Vec<&'static str>, Arc<str>>,
}

impl Joiner {
    pub(crate) const fn new(joining: Joining) -> Self {
        Self { joining, known: BTreeMap::new() }
    }

    pub(crate) fn join(&mut self, statements: &[&Statement]) -> Batch {
        let fits = match self.joining {
            Joining::Sequence => true,
            Joining::With => statements.len() == 1 || statements.iter().all(|statement| statement.only_adds),
        };
        if !fits || !(1..=MAX_JOINED).contains(&statements.len()) {
            return Batch::Single;
        }
        let shape: Vec<_> = statements.iter().map(|statement| statement.text).collect();
        let text = match self.known.get(&shape) {
            Some(text) => text.clone(),
            None if self.known.len() >= MAX_SHAPES => return Batch::Single,
            None => {
                let text: Arc<str> = joined(self.joining, statements).into();
                self.known.insert(shape, text.clone());
                text
            }
        };
        Batch::Whole(text)
    }
}

fn joined(joining: Joining, statements: &[&Statement]) -> String {
    if let [statement] = statements {
        return statement.text.to_owned();
    }
    let mut before = 0;
    let parts: Vec<_> = statements
        .iter()
        .map(|statement| {
            let part = renumbered(statement.text, before);
            before += statement.values.len();
            part
        })
        .collect();
    match joining {
        Joining::Sequence => format!("BEGIN; {}; COMMIT", parts.join("; ")),
        Joining::With => {
            let mut text = String::from("WITH ");
            let (last, first) = parts.split_last().expect("two or more");
            for (at, part) in first.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                write!(text, "{comma}part{at} AS ({part})").expect("a string takes everything");
            }
            text + " " + last
        }
    }
}

/// The text with `$1` become `$(before + 1)`, and so on.
fn renumbered(text: &str, before: usize) -> String {
    let mut parts = text.split('$');
    let mut renumbered = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: usize = part[..digits].parse().expect("a placeholder has a number");
        write!(renumbered, "${}{}", number + before, &part[digits..]).expect("a string takes everything");
    }
    renumbered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::Value;

    fn statement(text: &'static str, values: usize, only_adds: bool) -> Statement {
        Statement { text, values: (0..values).map(|_| Value::Int(0)).collect(), only_adds }
    }

    fn text(joining: Joining, statements: &[Statement]) -> Option<String> {
        match Joiner::new(joining).join(&statements.iter().collect::<Vec<_>>()) {
            Batch::Whole(text) => Some(text.to_string()),
            Batch::Single => None,
        }
    }

    #[test]
    fn placeholders_count_on() {
        let pair = || vec![statement("A ($1, $2, $2)", 2, true), statement("B $1, $10", 10, true)];
        let sequence = text(Joining::Sequence, &pair());
        assert_eq!(sequence.as_deref(), Some("BEGIN; A ($1, $2, $2); B $3, $12; COMMIT"));
        assert_eq!(text(Joining::With, &pair()).as_deref(), Some("WITH part0 AS (A ($1, $2, $2)) B $3, $12"));
        let one = || vec![statement("A $1", 1, false)];
        for joining in [Joining::Sequence, Joining::With] {
            assert_eq!(text(joining, &one()).as_deref(), Some("A $1"), "needs no transaction around it");
            assert_eq!(text(joining, &[]), None);
            let many: Vec<_> = (0..=MAX_JOINED).map(|_| statement("A $1", 1, true)).collect();
            assert_eq!(text(joining, &many), None);
        }
        let mixed = || vec![statement("A $1", 1, true), statement("B $1", 1, false)];
        assert_eq!(text(Joining::With, &mixed()), None, "a part does not see what another does");
        assert!(text(Joining::Sequence, &mixed()).is_some());
    }

    #[test]
    fn shapes_are_bounded() {
        let mut joiner = Joiner::new(Joining::Sequence);
        let (a, b) = (statement("A", 0, true), statement("B", 0, true));
        let mut join = |number: usize| {
            let bits = (0..7).map(|bit| if number >> bit & 1 == 0 { &a } else { &b });
            joiner.join(&bits.collect::<Vec<_>>())
        };
        for number in 0..MAX_SHAPES {
            assert!(matches!(join(number), Batch::Whole(_)), "{number}");
        }
        assert_eq!(join(MAX_SHAPES), Batch::Single);
        assert!(matches!(join(0), Batch::Whole(_)), "a known one is still joined");
    }
}
