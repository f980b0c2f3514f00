//! What is expected of a fixture, and how what was found differs from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Differences that are shown; the rest is counted.
const SHOWN: usize = 40;
/// Work that an event may cost more than it did, in hundredths.
const TOLERANCE_PERCENT: u64 = 10;

/// What came of a fixture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    /// By line of the fixture.
    pub(crate) done: BTreeMap<usize, Done>,
    /// Work of an event on average, by kind; nothing where it was never recorded.
    pub(crate) cost: Option<BTreeMap<String, u64>>,
}

/// What came of one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Done {
    pub(crate) line: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) intents: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) failures: Vec<String>,
}

/// A line of an expectation.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Cost { cost: BTreeMap<String, u64> },
    Done(Done),
}

impl Record {
    /// Reads what is expected.
    ///
    /// # Errors
    /// The number of the line that is none, and why.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut record = Self::default();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            match serde_json::from_str(line).map_err(|error| (number, error.to_string()))? {
                Line::Cost { cost } => record.cost = Some(cost),
                Line::Done(done) => {
                    let of = done.line;
                    if record.done.insert(of, done).is_some() {
                        return Err((number, format!("line {of} of the fixture was there before")));
                    }
                }
            }
        }
        Ok(record)
    }

    /// As it is written: what is read again is equal.
    pub(crate) fn text(&self) -> String {
        let done = self.done.values().cloned().map(Line::Done);
        let cost = self.cost.clone().map(|cost| Line::Cost { cost });
        let json = |line: Line| serde_json::to_string(&line).expect("maps with text keys are JSON") + "\n";
        done.chain(cost).map(json).collect()
    }

    /// The lines in which `found` differs, like a diff: what is expected with `-`, what was found with `+`,
    /// each behind its line of the fixture.
    pub(crate) fn differences(&self, found: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut all: Vec<_> = self.done.keys().chain(found.done.keys()).collect();
        all.sort_unstable();
        all.dedup();
        let differing = all.into_iter().filter(|line| self.done.get(line) != found.done.get(line));
        let mut hidden = 0;
        for (count, line) in differing.enumerate() {
            if count >= SHOWN {
                hidden += 1;
                continue;
            }
            lines.extend(words(self.done.get(line)).map(|words| format!("{line:>6} - {words}")));
            lines.extend(words(found.done.get(line)).map(|words| format!("{line:>6} + {words}")));
        }
        if hidden > 0 {
            lines.push(format!("       … and {hidden} more"));
        }
        lines
    }

    /// What costs more than it may, by kind; nothing where no cost is recorded.
    pub(crate) fn dearer(&self, found: &Self) -> Vec<String> {
        self.compare(found, |was, is| is > was.saturating_mul(100 + TOLERANCE_PERCENT) / 100)
    }

    /// What costs so much less that it should be recorded anew.
    pub(crate) fn cheaper(&self, found: &Self) -> Vec<String> {
        self.compare(found, |was, is| is < was.saturating_mul(100 - TOLERANCE_PERCENT) / 100)
    }

    fn compare(&self, found: &Self, differs: impl Fn(u64, u64) -> bool) -> Vec<String> {
        let (Some(was), Some(is)) = (&self.cost, &found.cost) else { return Vec::new() };
        let pairs = is.iter().filter_map(|(kind, is)| Some((kind, *was.get(kind)?, *is)));
        let differing = pairs.filter(|(_, was, is)| differs(*was, *is));
        differing.map(|(kind, was, is)| format!("{kind} {is} units, {was} recorded")).collect()
    }
}

/// What came of a line, without its number: an entry each.
fn words(done: Option<&Done>) -> impl Iterator<Item = String> {
    let intents = done.into_iter().flat_map(|done| done.intents.iter().map(Value::to_string));
    let failures = done.into_iter().flat_map(|done| done.failures.iter().map(|it| format!("failed: {it}")));
    intents.chain(failures)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(lines: &[(usize, Value)], cost: &[(&str, u64)]) -> Record {
        let done = |(line, intent): &(usize, Value)| {
            (*line, Done { line: *line, intents: vec![intent.clone()], failures: Vec::new() })
        };
        let cost = cost.iter().map(|&(kind, units)| (kind.to_owned(), units)).collect();
        Record { done: lines.iter().map(done).collect(), cost: Some(cost) }
    }

    #[test]
    fn records_are_read_as_they_are_written() {
        let mut it = record(&[(3, json!({"cancel": 1})), (7, json!("cancel-all"))], &[("bar", 5)]);
        it.done.get_mut(&7).expect("there").failures.push("it trapped".into());
        assert_eq!(Record::parse(&it.text()), Ok(it.clone()));
        it.cost = None;
        assert_eq!(Record::parse(&it.text()), Ok(it));
        assert_eq!(Record::parse("").expect("empty"), Record::default());
        assert_eq!(Record::parse("{\"line\":1}\n\nx").expect_err("bad").0, 3);
        let twice = Record::parse("{\"line\":1}\n{\"line\":1}").expect_err("twice");
        assert_eq!(twice, (2, "line 1 of the fixture was there before".into()));
    }

    #[test]
    fn differences_are_shown_on_both_sides() {
        let expected = record(&[(1, json!("a")), (2, json!("b")), (3, json!("c"))], &[]);
        let found = record(&[(1, json!("a")), (2, json!("x")), (4, json!("d"))], &[]);
        let shown = expected.differences(&found);
        let wanted = ["     2 - \"b\"", "     2 + \"x\"", "     3 - \"c\"", "     4 + \"d\""];
        assert_eq!(shown, wanted);
        assert!(expected.differences(&expected).is_empty());
        let many: Vec<_> = (1..=50).map(|line| (line, json!(line))).collect();
        let shown = record(&many, &[]).differences(&Record::default());
        assert_eq!((shown.len(), shown.last().map(String::as_str)), (41, Some("       … and 10 more")));
    }

    #[test]
    fn a_tenth_of_the_cost_is_tolerated() {
        let check = |was: u64, is: u64, dearer: bool, cheaper: bool| {
            let (was, is) = (record(&[], &[("bar", was)]), record(&[], &[("bar", is)]));
            assert_eq!((!was.dearer(&is).is_empty(), !was.cheaper(&is).is_empty()), (dearer, cheaper));
        };
        check(1_000, 1_000, false, false);
        check(1_000, 1_100, false, false);
        check(1_000, 1_101, true, false);
        check(1_000, 900, false, false);
        check(1_000, 899, false, true);
        let words = record(&[], &[("bar", 10)]).dearer(&record(&[], &[("bar", 20), ("quote", 5)]));
        assert_eq!(words, ["bar 20 units, 10 recorded"]);
        let unrecorded = Record { cost: None, ..Record::default() };
        assert!(unrecorded.dearer(&record(&[], &[("bar", 20)])).is_empty());
    }
}
