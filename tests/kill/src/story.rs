//! What happened, as a witness saw it: what the watchdog said, what the simulator recorded, which processes
//! were there. Each thing with the two moments between which it happened.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;

use crate::{
    sim::{Sim, agent},
    waiting::{boot_ms, pass, wait_for},
};

/// How often the witness looks.
const LOOK: Duration = Duration::from_millis(4);
/// A simulator that stands still is asked again after so long.
const CALL_WAIT: Duration = Duration::from_secs(10);
/// Two looks at a simulator that stands still, and some more.
const CATCH_UP_BOUND: Duration = Duration::from_secs(30);

/// Something that happened after one moment and no later than another; milliseconds of `CLOCK_BOOTTIME`.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// It had not happened then.
    pub after_ms: u64,
    /// It had happened then.
    pub by_ms: u64,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The watchdog logged a line.
    Said(String),
    /// A request that may change something came to the broker.
    Asked {
        /// Its method.
        method: String,
        /// Its path.
        path: String,
        /// The client id of the order that it sends, if it does.
        client_id: String,
    },
    /// Something happened to an order.
    Order {
        /// The broker's id.
        id: String,
        /// Its client id.
        client_id: String,
        /// Its status from then on.
        status: String,
    },
    /// A process that the watchdog called its host is gone.
    HostGone(i32),
    /// The watchdog was killed.
    WatchdogGone,
    /// A human armed it.
    Armed,
}

impl What {
    /// Whether the watchdog said something with these words in it.
    pub fn says(&self, words: &str) -> bool {
        matches!(self, Self::Said(line) if line.contains(words))
    }

    /// Whether the broker was asked for this.
    pub fn asks(&self, wanted: &str, prefix: &str) -> bool {
        matches!(self, Self::Asked { method, path, .. } if method == wanted && path.starts_with(prefix))
    }
}

/// The story so far; it grows until the witness is dropped.
pub struct Story {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// How often the witness has looked at all of it.
    looks: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    witness: Option<JoinHandle<()>>,
}

impl Story {
    /// Begins: `log` is the watchdog's.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn begin(log: &Path, sim: &str) -> anyhow::Result<Self> {
        let (seen, stop) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(AtomicBool::new(false)));
        let looks = Arc::<AtomicU64>::default();
        let mut witness = Witness {
            seen: seen.clone(),
            log: Tail { path: log.to_owned(), offset: 0, rest: String::new() },
            sim: sim.to_owned(),
            agent: agent(CALL_WAIT),
            line: 0,
            hosts: BTreeSet::new(),
            looked: [boot_ms(); 3],
        };
        let (stopped, looked) = (stop.clone(), looks.clone());
        let look = move || {
            while !stopped.load(Ordering::Relaxed) {
                witness.look();
                looked.fetch_add(1, Ordering::Release);
                pass(LOOK);
            }
        };
        let witness = std::thread::Builder::new().name("witness".into()).spawn(look)?;
        Ok(Self { seen, looks, stop, witness: Some(witness) })
    }

    /// Everything so far.
    pub fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything that has happened by now is in the story: the witness looks at one thing after
    /// the other, so that what was logged may be there before what it tells of.
    ///
    /// # Errors
    /// When the witness stands still.
    pub fn catch_up(&self) -> anyhow::Result<()> {
        let looks = || self.looks.load(Ordering::Acquire);
        // The look that is under way does not count.
        let wanted = looks() + 2;
        wait_for("the witness", CATCH_UP_BOUND, || Ok((looks() >= wanted).then_some(()))).map(drop)
    }

    /// The place in the story that is reached.
    pub fn mark(&self) -> usize {
        self.seen().len()
    }

    /// The first thing after a mark that `is` the wanted one.
    pub fn first(&self, mark: usize, mut is: impl FnMut(&What) -> bool) -> Option<Seen> {
        self.seen().iter().skip(mark).find(|seen| is(&seen.what)).cloned()
    }

    /// Something that the tests themselves did just now.
    pub(crate) fn note(&self, what: What) {
        let now = boot_ms();
        self.seen().push(Seen { after_ms: now, by_ms: now, what });
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(witness) = self.witness.take() {
            let _ = witness.join();
        }
    }
}

/// One thread that looks at all of it in turn.
struct Witness {
    seen: Arc<Mutex<Vec<Seen>>>,
    log: Tail,
    sim: String,
    agent: ureq::Agent,
    line: u64,
    hosts: BTreeSet<i32>,
    /// When log, simulator and processes were last looked at.
    looked: [u64; 3],
}

impl Witness {
    fn look(&mut self) {
        let began = boot_ms();
        let lines = self.log.lines();
        for line in &lines {
            self.hosts.extend(host_of(line));
        }
        self.push(0, began, lines.into_iter().map(What::Said).collect());

        let began = boot_ms();
        // One that stands still, or is not there yet, tells it later.
        if let Ok(lines) = Sim::record(&self.agent, &self.sim, self.line) {
            self.line = lines.last().and_then(|line| line["seq"].as_u64()).unwrap_or(self.line);
            self.push(1, began, lines.iter().filter_map(recorded).collect());
        }

        let began = boot_ms();
        let gone: Vec<i32> = self.hosts.iter().copied().filter(|pid| is_gone(*pid)).collect();
        self.hosts.retain(|pid| !gone.contains(pid));
        self.push(2, began, gone.into_iter().map(What::HostGone).collect());
    }

    fn push(&mut self, source: usize, began: u64, what: Vec<What>) {
        let (after_ms, by_ms) = (self.looked[source], boot_ms());
        self.looked[source] = began;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.extend(what.into_iter().map(|what| Seen { after_ms, by_ms, what }));
    }
}

/// The end of a file that grows.
struct Tail {
    path: PathBuf,
    offset: u64,
    rest: String,
}

impl Tail {
    /// The lines of the watchdog's own that have come since.
    fn lines(&mut self) -> Vec<String> {
        let mut text = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.read_to_end(&mut text)
        });
        self.offset += read.unwrap_or(0) as u64;
        self.rest += &String::from_utf8_lossy(&text);
        let end = self.rest.rfind('\n').map_or(0, |at| at + 1);
        let whole = self.rest.drain(..end).collect::<String>();
        let is_own = |line: &&str| line.starts_with("watchdog: ") || line.starts_with("[KILL]");
        whole.lines().filter(is_own).map(str::to_owned).collect()
    }
}

/// The process in a line that names a host.
fn host_of(line: &str) -> Option<i32> {
    let said = ["host started pid=", "host connected pid="].into_iter().find_map(|words| {
        let at = line.find(words)? + words.len();
        Some(&line[at..])
    })?;
    said.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Gone, or dead and not waited for yet.
fn is_gone(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

/// A line of the simulator's record, if it is of interest.
fn recorded(line: &Value) -> Option<What> {
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    match line["kind"].as_str()? {
        "request" => {
            let body: Value = serde_json::from_str(line["body"].as_str()?).unwrap_or_default();
            let client_id = body["client_order_id"].as_str().unwrap_or_default().to_owned();
            Some(What::Asked { method: text("method"), path: text("path"), client_id })
        }
        "order" => Some(What::Order {
            id: text("order_id"),
            client_id: text("client_order_id"),
            status: text("status"),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_line() {
        assert_eq!(host_of("watchdog: host started pid=12"), Some(12));
        assert_eq!(host_of("watchdog: host connected pid=7 epoch=3 mode=paper"), Some(7));
        assert_eq!(host_of("watchdog: host ended signal=9"), None);
        assert!(!is_gone(i32::try_from(std::process::id()).expect("a pid")));
    }

    #[test]
    fn half_a_line_waits_for_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut tail = Tail { path: path.clone(), offset: 0, rest: String::new() };
        let mut check = |text: &str, expected: &[&str]| {
            std::fs::write(&path, text).expect("written");
            assert_eq!(tail.lines(), expected, "{text:?}");
        };
        check("", &[]);
        check("watchdog: a", &[]);
        check("watchdog: a\nother\n[KILL] b\n", &["watchdog: a", "[KILL] b"]);
    }
}
