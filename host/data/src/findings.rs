//! What was found and told, and nobody has to do anything about.

use std::collections::BTreeMap;

/// Examples of one kind of finding that are kept.
const EXAMPLES: usize = 5;

/// Kinds of findings that are kept.
const KINDS: usize = 100;

/// Columns that nothing is made of.
pub(crate) const COLUMNS: &str = "columns passed over";

/// Quotes that stand for a minute.
pub(crate) const SAMPLES: &str = "quotes taken as samples, known at the end of their minute";

/// Days on which nothing happened.
pub(crate) const EMPTY: &str = "files without a row";

/// What is told and no fault of the data.
const NOTES: [&str; 3] = [COLUMNS, SAMPLES, EMPTY];

/// One kind of finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// How often.
    pub count: u64,
    /// The first few, with their places.
    pub examples: Vec<String>,
}

/// What was found, by what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Each kind in words, such as `rows left out`.
    pub kinds: BTreeMap<String, Finding>,
}

impl Findings {
    /// One more; the example is made only while few are kept.
    pub(crate) fn add(&mut self, kind: &str, example: impl FnOnce() -> String) {
        if !self.kinds.contains_key(kind) {
            if self.kinds.len() >= KINDS {
                return;
            }
            self.kinds.insert(kind.to_owned(), Finding::default());
        }
        if let Some(finding) = self.kinds.get_mut(kind) {
            finding.count += 1;
            if finding.examples.len() < EXAMPLES {
                finding.examples.push(example());
            }
        }
    }

    /// Adds those of another file.
    pub(crate) fn join(&mut self, other: Self) {
        for (kind, more) in other.kinds {
            let finding = self.kinds.entry(kind).or_default();
            finding.count += more.count;
            let room = EXAMPLES - finding.examples.len();
            finding.examples.extend(more.examples.into_iter().take(room));
        }
    }

    /// How many there are that somebody should look at: not columns that are passed over, quotes that are
    /// samples, and files of days on which nothing happened.
    pub fn faults(&self) -> u64 {
        let is_fault = |kind: &&String| !NOTES.contains(&kind.as_str());
        self.kinds.keys().filter(is_fault).map(|kind| self.kinds[kind].count).sum()
    }

    /// Each in one line: what, how often, where first.
    pub fn lines(&self) -> Vec<String> {
        let line = |(kind, finding): (&String, &Finding)| {
            format!("{kind}: {}, such as {}", finding.count, finding.examples.join("; "))
        };
        self.kinds.iter().map(line).collect()
    }
}
