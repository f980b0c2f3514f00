//! A running demo, and what its three processes say.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    poll::{PollTimeout, poll},
    sys::signal::{Signal, kill},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::binary;

/// How often a condition is looked at.
const LOOK_MS: u16 = 20;

/// Milliseconds of `CLOCK_MONOTONIC`: for bounds and figures.
///
/// # Panics
/// Never on Linux.
pub fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has CLOCK_MONOTONIC");
    u64::try_from(now.tv_sec() * 1_000 + now.tv_nsec() / 1_000_000).expect("not negative")
}

/// Waits until `look` gives something; returns it and how long that took.
///
/// # Panics
/// When `bound` passes first; the message names `what`.
pub fn wait_for<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Option<T>) -> (T, Duration) {
    let start = monotonic_ms();
    loop {
        let found = look();
        let taken = Duration::from_millis(monotonic_ms() - start);
        if let Some(found) = found {
            return (found, taken);
        }
        assert!(taken < bound, "waited {bound:?} in vain for: {what}");
        poll(&mut [], PollTimeout::from(LOOK_MS)).expect("poll without descriptors");
    }
}

/// How a demo ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// The object it printed.
    pub json: Value,
    /// Everything that was logged.
    pub log: String,
}

/// `cargo demo --json` as a child, its folder, and the addresses inside.
pub struct Demo {
    child: Option<Child>,
    folder: TempDir,
    sim: String,
    host: String,
}

impl Demo {
    /// Starts a demo with `args` and waits until the host shows figures.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(args: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary folder"), args)
    }

    /// The same in a folder that may hold `plugins` already: they run as well and keep their symbols.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_in(folder: TempDir, args: &[&str]) -> Self {
        let log = fs::File::create(folder.path().join("log")).expect("a log file");
        let child = Command::new(binary("xtask"))
            .args(["demo", "--json", "--no-build", "--dir"])
            .arg(folder.path())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("xtask starts");
        let mut demo = Self { child: Some(child), folder, sim: String::new(), host: String::new() };
        let path = demo.path("addresses.json");
        let (addresses, _) = wait_for("the demo's addresses", Duration::from_secs(30), || {
            serde_json::from_slice::<Value>(&fs::read(&path).ok()?).ok()
        });
        demo.sim = addresses["sim"].as_str().expect("an address").to_owned();
        demo.host = addresses["host"].as_str().expect("an address").to_owned();
        wait_for("the host's figures", Duration::from_secs(30), || demo.host_status());
        demo
    }

    /// A path in the demo's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The host's `/status`, if it answers.
    pub fn host_status(&self) -> Option<Value> {
        get_json(&format!("http://{}/status", self.host))
    }

    /// The sim's `/sim/status`.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn sim_status(&self) -> Value {
        get_json(&format!("http://{}/sim/status", self.sim)).expect("the sim answers")
    }

    /// A GET at the broker.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn broker(&self, path: &str) -> Value {
        get_json(&format!("http://{}{path}", self.sim)).expect("the broker answers")
    }

    /// Arms a fault at the broker; ends it when `until` has been seen.
    ///
    /// # Panics
    /// When the broker does not take it.
    pub fn with_fault<T>(&self, rule: &Value, until: impl FnOnce() -> T) -> T {
        let url = format!("http://{}/sim/faults", self.sim);
        let armed: Value = agent()
            .post(&url)
            .send_json(rule)
            .expect("the broker answers")
            .body_mut()
            .read_json()
            .expect("JSON");
        assert!(armed["id"].is_u64(), "{rule}: {armed}");
        let seen = until();
        let healed = agent().delete(format!("{url}/{}", armed["id"])).call().expect("the broker answers");
        assert!(healed.status().is_success(), "{rule} {armed}");
        seen
    }

    /// The watchdog's status.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn watchdog(&self) -> Value {
        let output = Command::new(binary("sandpit-watchdog"))
            .args(["status", "--json", "--config"])
            .arg(self.path("watchdog.toml"))
            .output()
            .expect("sandpit-watchdog runs");
        serde_json::from_slice(&output.stdout).expect("the watchdog answers")
    }

    /// The host's process, once the watchdog knows one other than `not`.
    ///
    /// # Panics
    /// When there is none within `bound`.
    pub fn host_pid(&self, not: Option<i32>, bound: Duration) -> (i32, Duration) {
        wait_for("a host process", bound, || {
            let pid = i32::try_from(self.watchdog()["host_pid"].as_i64()?).ok()?;
            (Some(pid) != not).then_some(pid)
        })
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        read(&self.path("log"))
    }

    /// Waits for the demo to end by itself.
    ///
    /// # Panics
    /// When `bound` passes first.
    pub fn end(mut self, bound: Duration) -> Ended {
        let mut child = self.child.take().expect("runs until it is waited for");
        let (status, _) = wait_for("the end of the demo", bound, || child.try_wait().expect("our own child"));
        let output = child.wait_with_output().expect("our own child");
        let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        Ended { code: status.code(), json, log: self.log() }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // A test failed: end the demo in its own way, so that nothing is left running, and show what it said.
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        let _ = kill(pid, Signal::SIGTERM);
        let _ = child.wait();
        eprintln!("{}", self.log());
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The JSON that a GET with any key pair is answered with, if it is answered.
pub fn get_json(url: &str) -> Option<Value> {
    let request = agent().get(url).header("APCA-API-KEY-ID", "k").header("APCA-API-SECRET-KEY", "s");
    request.call().ok()?.body_mut().read_json().ok()
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .proxy(None)
        .http_status_as_error(false)
        .build();
    config.into()
}
