//! What a drill leaves behind: a line in `drills.jsonl`, of which `sandpit golive` reads time and outcome, a
//! table for a human, a word for the watchdog.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use sandpit_contract::{DRILLS_FILE as FILE, DrillOutcome, DrillStatus, MAX_DRILL_TEXT};
use serde::{Deserialize, Serialize};

use super::judge::{Figures, Step, slow};
use crate::error::Error;

/// Lines that are kept; the oldest are dropped.
const MAX_LINES: usize = 1000;
/// Of a file that is longer only the end is read.
const MAX_READ_BYTES: u64 = 4 << 20;
/// Characters of a failure, and things that are named as left behind.
const MAX_FAILURE: usize = 400;
const MAX_LEFT: usize = 100;

/// One drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When it ended, Unix seconds.
    pub(crate) at_unix_s: u64,
    /// How.
    pub(crate) outcome: DrillOutcome,
    /// The broker's id of the drill account, once it was read.
    pub(crate) account: Option<String>,
    /// Orders before each kill.
    pub(crate) orders: usize,
    /// How many of them were brackets.
    pub(crate) brackets: usize,
    /// What was measured.
    pub(crate) figures: Figures,
    /// What was asked for.
    pub(crate) bounds: Figures,
    /// The steps beyond their bound.
    pub(crate) slow: Vec<Step>,
    /// Why it failed.
    pub(crate) failure: Option<String>,
    /// What could not be cleaned up, with ids.
    pub(crate) left: Vec<String>,
}

impl Record {
    /// Of a drill that begins.
    pub(crate) fn new(orders: usize, bounds: Figures) -> Self {
        Self {
            at_unix_s: 0,
            outcome: DrillOutcome::Failed,
            account: None,
            orders,
            brackets: 0,
            figures: Figures::new(),
            bounds,
            slow: Vec::new(),
            failure: None,
            left: Vec::new(),
        }
    }

    /// The drill has ended, with this failure or with none; says how.
    pub(crate) fn judge(&mut self, failure: Option<String>, at_unix_s: u64) {
        self.at_unix_s = at_unix_s;
        let missing = self.bounds.keys().find(|step| !self.figures.contains_key(step));
        let failure = failure
            .or_else(|| (!self.left.is_empty()).then(|| "not everything could be cleaned up".into()))
            .or_else(|| missing.map(|step| format!("it was not measured: {}", step.words())));
        self.failure = failure.map(|why| why.chars().take(MAX_FAILURE).collect());
        self.left.truncate(MAX_LEFT);
        self.slow = slow(&self.figures, &self.bounds);
        self.outcome = match (&self.failure, self.slow.is_empty()) {
            (Some(_), _) => DrillOutcome::Failed,
            (None, false) => DrillOutcome::Slow,
            (None, true) => DrillOutcome::WithinBounds,
        };
    }

    /// For the watchdog and its observers.
    pub(crate) fn status(&self) -> DrillStatus {
        let name = |step: &Step| serde_json::to_value(step).ok()?.as_str().map(String::from);
        let figure = |(step, ms): (&Step, &u64)| {
            let bound = self.bounds.get(step).filter(|bound| ms > bound);
            let bound = bound.map_or(String::new(), |bound| format!(" (bound {bound})"));
            format!("{} {ms}{bound}", name(step).unwrap_or_default())
        };
        let figures: Vec<_> = self.figures.iter().map(figure).collect();
        let mut text = format!("{} orders; {}", self.orders, figures.join(", "));
        if let Some(why) = &self.failure {
            text = format!("{why}; left behind: {}; {text}", self.left_words());
        }
        let text = text.chars().take(MAX_DRILL_TEXT).collect();
        DrillStatus { at_unix_s: self.at_unix_s, outcome: self.outcome, text }
    }

    /// For a human.
    pub(crate) fn table(&self) -> String {
        let account =
            self.account.as_deref().map_or("none", |id| id.get(id.len().saturating_sub(4)..).unwrap_or(id));
        let mut text = format!(
            "drill: {}; account …{account}, {} orders ({} brackets)",
            self.outcome.word(),
            self.orders,
            self.brackets
        );
        for step in Step::ALL {
            let shown = self.figures.get(&step).map_or("-".into(), |ms| format!("{ms} ms"));
            let bound = self.bounds.get(&step).map_or(String::new(), |ms| format!("  bound {ms} ms"));
            let mark = if self.slow.contains(&step) { "  SLOW" } else { "" };
            text += &format!("\n  {:<28}{shown:>10}{bound}{mark}", step.words());
        }
        if let Some(why) = &self.failure {
            text += &format!("\n  failed: {why}\n  left behind: {}", self.left_words());
        }
        text
    }

    fn left_words(&self) -> String {
        if self.left.is_empty() { "nothing".into() } else { self.left.join(", ") }
    }

    /// One line of JSON.
    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).expect("plain words and numbers are JSON")
    }
}

/// Appends the record and makes it last; drops the oldest when there are too many.
///
/// # Errors
/// When the state directory cannot be written.
pub(crate) fn append(state_dir: &Path, record: &Record) -> Result<(), Error> {
    let unusable = |cause| Error::StateUnusable { path: state_dir.into(), cause };
    write(state_dir, &record.line()).map_err(unusable)
}

fn write(state_dir: &Path, line: &str) -> io::Result<()> {
    let path = state_dir.join(FILE);
    let before = read_end(&path)?;
    let lines: Vec<&str> = before.lines().filter(|line| !line.is_empty()).collect();
    if lines.len() >= MAX_LINES {
        let fresh = state_dir.join("drills.new");
        let mut file = File::create(&fresh)?;
        for line in &lines[lines.len() + 1 - MAX_LINES..] {
            writeln!(file, "{line}")?;
        }
        writeln!(file, "{line}")?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
    } else {
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        // A line that a power cut tore stays alone.
        let torn = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        file.write_all(format!("{torn}{line}\n").as_bytes())?;
        file.sync_all()?;
    }
    File::open(state_dir)?.sync_all()
}

/// The newest record that can be read.
pub(crate) fn last(state_dir: &Path) -> Option<Record> {
    let text = read_end(&state_dir.join(FILE)).ok()?;
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

fn read_end(path: &Path) -> io::Result<String> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(MAX_READ_BYTES)))?;
    let mut end = Vec::new();
    file.take(MAX_READ_BYTES).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(zero_ms: u64) -> Record {
        let bounds = Figures::from([(Step::Fenced, 200), (Step::ZeroSeen, 3000)]);
        let mut record = Record::new(5, bounds);
        record.figures =
            Figures::from([(Step::Fenced, 9), (Step::ZeroSeen, zero_ms), (Step::Confirmed, 1500)]);
        record
    }

    #[test]
    fn a_drill_is_judged_by_failure_first_then_by_bounds() {
        let judge = |mut record: Record, failure: Option<&str>| {
            record.judge(failure.map(String::from), 7);
            record
        };
        assert_eq!(judge(measured(3000), None).outcome, DrillOutcome::WithinBounds);
        let slow = judge(measured(3001), None);
        assert_eq!((slow.outcome, &*slow.slow), (DrillOutcome::Slow, &[Step::ZeroSeen][..]));
        assert!(slow.status().text.contains("zero_seen_ms 3001 (bound 3000)"), "{:?}", slow.status());
        assert!(slow.table().contains("SLOW"), "{}", slow.table());
        assert_eq!(judge(measured(3001), Some("x")).outcome, DrillOutcome::Failed);
        let left = Record { left: vec!["order o1".into()], ..measured(1) };
        let left = judge(left, None);
        assert_eq!(left.outcome, DrillOutcome::Failed);
        assert!(left.status().text.contains("order o1") && left.table().contains("order o1"));
        let mut unmeasured = measured(1);
        unmeasured.figures.remove(&Step::ZeroSeen);
        assert_eq!(judge(unmeasured, None).outcome, DrillOutcome::Failed, "a step without a figure");
        let long = judge(measured(1), Some(&"x".repeat(5000)));
        assert!(long.status().text.chars().count() <= MAX_DRILL_TEXT);
    }

    #[test]
    fn records_last_and_have_an_end() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(last(dir.path()), None);
        for at in 0..MAX_LINES as u64 + 5 {
            let mut record = measured(1);
            record.judge(None, at);
            append(dir.path(), &record).expect("written");
            assert_eq!(last(dir.path()), Some(record));
        }
        let path = dir.path().join(FILE);
        let text = fs::read_to_string(&path).expect("there");
        assert_eq!(text.lines().count(), MAX_LINES);
        // What others read of it.
        let note: sandpit_contract::DrillNote =
            serde_json::from_str(text.lines().last().expect("a line")).expect("a note");
        assert_eq!((note.at_unix_s, note.outcome), (MAX_LINES as u64 + 4, DrillOutcome::WithinBounds));
        let first: Record = serde_json::from_str(text.lines().next().expect("a line")).expect("a record");
        assert_eq!(first.at_unix_s, 5, "the oldest are gone");
        // A torn line hides neither the one before nor the one after.
        fs::write(&path, format!("{}\n{{\"at_un", text.lines().last().expect("a line"))).expect("written");
        assert_eq!(last(dir.path()).expect("the one before").at_unix_s, MAX_LINES as u64 + 4);
        append(dir.path(), &measured(2)).expect("written");
        assert_eq!(last(dir.path()), Some(measured(2)));
    }
}
