//! What a run has seen so far: a file that is written every few seconds, from which `--resume` goes on.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    figures::Latencies,
    machine::{self, Usage},
};

/// Everything of a run, over all its segments. Times without a word are seconds of open market since its
/// start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) seed: u64,
    /// How much market there is to be.
    pub(crate) total_secs: u64,
    /// Market seconds in a real second.
    pub(crate) speed: u32,
    /// How much has been.
    pub(crate) done_secs: f64,
    /// Real time of it.
    pub(crate) real_secs: f64,
    /// Starts of a broker of its own: one more than interruptions.
    pub(crate) segments: u32,
    /// Processes that run, each with its birth, should nobody have ended them.
    pub(crate) children: Vec<(u32, u64)>,
    /// Who runs it, with its birth.
    pub(crate) runner: Option<(u32, u64)>,
    /// Of the host.
    pub(crate) lives: Vec<Life>,
    /// Of the watchdog, one a segment.
    pub(crate) watchdogs: Vec<Life>,
    /// By name.
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    /// Name of a fault to how often it was armed.
    pub(crate) faults: BTreeMap<String, u64>,
    /// Warnings and errors of all logs, by group.
    pub(crate) log: BTreeMap<String, u64>,
    /// Load averages of the machine, every few seconds.
    pub(crate) loads: Vec<f64>,
    /// What each broker counted, one a segment.
    pub(crate) brokers: Vec<Value>,
    /// The comparison at the end of each segment; those that were cut off have none.
    pub(crate) books: Vec<Value>,
    /// Why it ended before its time, if it did.
    pub(crate) failure: Option<String>,
    /// Whether there is nothing left to do.
    pub(crate) finished: bool,
}

/// One life of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) segment: u32,
    pub(crate) pid: u32,
    pub(crate) from_secs: f64,
    pub(crate) to_secs: f64,
    /// How it ended; empty while it lasts.
    pub(crate) end: String,
    pub(crate) samples: Vec<Sample>,
    pub(crate) cpu_ms: u64,
    pub(crate) threads: u64,
    /// The newest figures of a host that a report sums.
    pub(crate) figures: BTreeMap<String, u64>,
}

/// Memory at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) at_secs: f64,
    pub(crate) rss_kb: u64,
    pub(crate) anonymous_kb: u64,
}

/// What an endpoint of the host answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) latencies: Latencies,
    /// HTTP status to how often.
    pub(crate) answers: BTreeMap<u16, u64>,
    /// Answers of another kind than was asked for, such as the page to sign in: each counts as one that
    /// never came.
    #[serde(default)]
    pub(crate) useless: u64,
    /// Answers that never came: the time that was waited is among the latencies.
    pub(crate) timeouts: u64,
    /// Connections that were refused or cut while the host was thought to run.
    pub(crate) refused: u64,
    /// Tries while a host was being replaced: they count nowhere else.
    pub(crate) while_replaced: u64,
}

impl Life {
    /// Takes a reading.
    pub(crate) fn take(&mut self, at_secs: f64, usage: Usage) {
        let Usage { rss_kb, anonymous_kb, cpu_ms, threads } = usage;
        self.samples.push(Sample { at_secs, rss_kb, anonymous_kb });
        self.to_secs = at_secs;
        self.cpu_ms = cpu_ms;
        self.threads = self.threads.max(threads);
    }
}

impl State {
    /// A run that has not begun.
    pub(crate) fn new(seed: u64, total_secs: u64, speed: u32) -> Self {
        Self { seed, total_secs, speed, ..Self::default() }
    }

    /// Where the state of the run with this seed lies.
    pub(crate) fn path(folder: &Path, seed: u64) -> PathBuf {
        folder.join(format!("{seed}.json"))
    }

    /// Writes it: whoever reads finds the old or the new one, whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = Self::path(folder, self.seed);
        let new = path.with_extension("new");
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&new, serde_json::to_vec(self).expect("texts and numbers")))
            .and_then(|()| fs::rename(&new, &path));
        written.with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The run to go on with: that of `seed`, or the newest one in `folder`.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or nothing of it is left.
    pub(crate) fn resume(folder: &Path, seed: Option<u64>) -> anyhow::Result<Self> {
        let path = match seed {
            Some(seed) => Self::path(folder, seed),
            None => newest(folder)
                .with_context(|| format!("no run to go on with in {}: start one", folder.display()))?,
        };
        let text = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let state: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a run's state: remove it", path.display()))?;
        if state.finished {
            bail!("the run of seed {} is over: start one without --resume", state.seed);
        }
        Ok(state)
    }

    /// Makes this process the one that runs it, and takes over the children of a runner that is gone, be it
    /// that it ran another length of the same seed: they use the same folder.
    ///
    /// # Errors
    /// When another runner is at it.
    pub(crate) fn claim(&mut self, folder: &Path) -> anyhow::Result<()> {
        let before = fs::read(Self::path(folder, self.seed)).ok();
        if let Some(before) = before.and_then(|text| serde_json::from_slice::<Self>(&text).ok()) {
            if let Some((pid, born)) = before.runner
                && machine::born(pid) == Some(born)
            {
                bail!("process {pid} runs seed {} already: wait for it, or stop it", self.seed);
            }
            self.children = before.children;
        }
        let own = std::process::id();
        self.runner = machine::born(own).map(|born| (own, born));
        self.write(folder)
    }

    /// Notes that these processes run.
    pub(crate) fn remember(&mut self, pids: &[u32]) {
        let known = pids.iter().filter_map(|&pid| Some((pid, machine::born(pid)?)));
        self.children = known.collect();
    }

    /// How much is left, seconds.
    pub(crate) fn left_secs(&self) -> f64 {
        (self.total_secs as f64 - self.done_secs).max(0.0)
    }
}

/// The file of the run that was last written: its name is a number.
fn newest(folder: &Path) -> Option<PathBuf> {
    let paths = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_state = |path: &PathBuf| {
        let is_number = path.file_stem().is_some_and(|stem| stem.to_string_lossy().parse::<u64>().is_ok());
        is_number && path.extension().is_some_and(|extension| extension == "json")
    };
    paths.filter(is_state).max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_where_it_was_cut_off() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path().join("soak");
        assert!(State::resume(&folder, None).is_err(), "nothing to go on with");
        let mut state = State::new(7, 3_600, 60);
        state.done_secs = 1_200.5;
        state.segments = 1;
        let mut life = Life { pid: 12, ..Life::default() };
        life.take(30.0, Usage { rss_kb: 5, anonymous_kb: 4, cpu_ms: 3, threads: 2 });
        state.lives.push(life);
        state.endpoints.entry("/health".into()).or_default().latencies.add(123);
        state.write(&folder).expect("writes");
        // Other files of the folder are none of its business.
        fs::write(folder.join("crash.json"), "{}").expect("writes");
        fs::write(folder.join("report.json"), "{}").expect("writes");
        let again = State::resume(&folder, None).expect("reads");
        assert_eq!(again, state);
        assert!((again.left_secs() - 2_399.5).abs() < 1e-9);
        assert_eq!(State::resume(&folder, Some(7)).expect("reads"), state);
        assert!(State::resume(&folder, Some(8)).is_err());
        state.finished = true;
        state.write(&folder).expect("writes");
        assert!(State::resume(&folder, None).is_err(), "what is over does not go on");
    }

    #[test]
    fn a_run_has_one_runner_and_the_next_one_takes_its_children_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = std::process::id();
        let mut first = State::new(7, 3_600, 60);
        first.claim(folder.path()).expect("nobody is at it");
        first.remember(&[own]);
        first.write(folder.path()).expect("writes");
        let mut second = State::new(7, 60, 60);
        let said = second.claim(folder.path()).expect_err("it is alive").to_string();
        assert!(said.contains(&format!("process {own} runs seed 7")), "{said}");
        assert!(State::new(8, 60, 60).claim(folder.path()).is_ok(), "another seed is another run");
        // The number was given to another process since.
        first.runner = first.runner.map(|(pid, born)| (pid, born + 1));
        first.write(folder.path()).expect("writes");
        second.claim(folder.path()).expect("the runner is gone");
        assert_eq!(second.children, first.children);
    }
}
