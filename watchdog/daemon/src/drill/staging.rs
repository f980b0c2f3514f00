//! The stage: a private directory with everything that a whole watchdog and its host need, and nothing of the
//! real one's.
//!
//! Its file `account` is the mark of a drill under way: it is there before the first order and goes with the
//! directory, when everything is cleaned up. A drill that finds it cleans up after the one before.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, BufRead, BufReader, Write},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sandpit_contract::{BootTime, LATCH_FILE, Status, ToObserver, ToWatchdog};
use serde_json::json;

use super::host::{Placed, Plan};
use crate::{
    ambient,
    config::Credentials,
    error::Error,
    host::HostProcess,
    latch,
    machine::{Ending, Presence},
    socket::ask,
};

/// The directory, in the state directory of the real watchdog: it is private, and its disk is the one that a
/// real latch is written to.
const FOLDER: &str = "drill";
/// This very program, also after its file was replaced by a newer one.
const PROGRAM: &str = "/proc/self/exe";
/// The window of CONFIRMED_ZERO, the shortest that a watchdog takes.
const CONFIRM_MS: u64 = 1000;
/// Requests a minute of the staging watchdog while nothing is open.
const REQUESTS_PER_MINUTE: u64 = 60;
/// A status is answered within this time.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Log lines that wait to be judged; the watchdog drops lines rather than wait for us.
const MAX_WAITING: usize = 1024;

/// The directory.
pub(crate) struct Staging {
    root: PathBuf,
    key: Credentials,
    plan: Plan,
}

/// Of which account an earlier drill left its stage behind; the empty one when it did not come that far.
///
/// # Errors
/// When that cannot be read.
pub(crate) fn left_behind(state_dir: &Path) -> Result<Option<String>, Error> {
    let root = state_dir.join(FOLDER);
    match fs::read_to_string(root.join("account")) {
        Ok(account) => Ok(Some(account.trim().into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok((latch::presence(&root) != Presence::Absent).then(String::new))
        }
        Err(cause) => Err(Error::StateUnusable { path: root, cause }),
    }
}

/// Removes the stage.
///
/// # Errors
/// When it cannot be.
pub(crate) fn remove(state_dir: &Path) -> Result<(), Error> {
    let root = state_dir.join(FOLDER);
    match fs::remove_dir_all(&root) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(Error::StateUnusable { path: root, cause })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Staging {
    /// Builds it for the account `id`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn build(
        state_dir: &Path,
        url: &str,
        key: Credentials,
        id: &str,
        symbol: &str,
    ) -> Result<Self, Error> {
        let root = state_dir.join(FOLDER);
        let unusable = |cause| Error::StateUnusable { path: root.clone(), cause };
        DirBuilder::new().mode(0o700).create(&root).map_err(unusable)?;
        write_to_last(&root.join("account"), id).map_err(unusable)?;
        File::open(state_dir).and_then(|directory| directory.sync_all()).map_err(unusable)?;
        let plan = Plan {
            socket: root.join("lease.sock"),
            trading_url: url.into(),
            account: id.into(),
            symbol: symbol.into(),
            orders: 0,
            report: root.join("placed.json"),
        };
        let plan_path = root.join("plan.json");
        write_to_last(&root.join("watchdog.toml"), &config_text(&root, url, &plan_path)).map_err(unusable)?;
        Ok(Self { root, key, plan })
    }

    /// Before the next host: it is to place so many orders, and has placed none.
    ///
    /// # Errors
    /// When the plan cannot be written.
    pub(crate) fn plan(&self, orders: usize) -> Result<(), Error> {
        let _: io::Result<()> = fs::remove_file(&self.plan.report);
        let plan = Plan { orders, ..self.plan.clone() };
        let path = self.root.join("plan.json");
        write_to_last(&path, &json!(plan).to_string()).map_err(|cause| self.unusable(cause))
    }

    /// Starts the staging watchdog. It dies with us, and its host with it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn run(&self) -> Result<Dog, Error> {
        let mut command = self.watchdog("run");
        command.stderr(Stdio::piped());
        let mut process = HostProcess::start(command)?;
        let stderr = process.take_stderr().ok_or(io::Error::from(io::ErrorKind::BrokenPipe))?;
        let (tell, lines) = sync_channel(MAX_WAITING);
        let listen = move || {
            for text in BufReader::new(stderr).lines().map_while(Result::ok) {
                if tell.send(Heard { at: ambient::boot_time(), text }).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("staging".into()).stack_size(crate::STACK_BYTES).spawn(listen)?;
        Ok(Dog { process: Some(process), lines, newest: String::new() })
    }

    /// Arms, as an operator does; this lifts the suspension of a kill.
    ///
    /// # Errors
    /// With the command's own words when it fails.
    pub(crate) fn arm(&self) -> Result<(), Error> {
        let mut command = self.watchdog("arm");
        let output = command.args(["--reason", "drill"]).output()?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::DrillFailed(format!("the stage could not be armed: {words}")))
    }

    /// Nothing of our environment but the drill account's key.
    fn watchdog(&self, subcommand: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg0("sandpit-watchdog").arg(subcommand).arg("--config").arg(self.root.join("watchdog.toml"));
        command.env_clear().env("APCA_API_KEY_ID", &self.key.key_id);
        command.env("APCA_API_SECRET_KEY", &self.key.secret_key);
        // A Ctrl-C is for the drill, which then cleans up.
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        command
    }

    /// How the staging watchdog stands; `None` while it does not answer.
    pub(crate) fn status(&self) -> Option<Status> {
        match ask(&self.root.join("lease.sock"), &ToWatchdog::Status, ANSWER_WAIT) {
            Ok(ToObserver::Status(status)) => Some(*status),
            Ok(ToObserver::KillTaken) | Err(_) => None,
        }
    }

    /// The staging host's report, once it is there.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn placed(&self) -> Result<Option<Placed>, Error> {
        match fs::read(&self.plan.report) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::DrillFailed(format!("the staging host's report is none: {error}"))),
            Err(_) => Ok(None),
        }
    }

    /// Kills.
    ///
    /// # Errors
    /// When the flag cannot be put there.
    pub(crate) fn put_flag(&self) -> Result<(), Error> {
        File::create(self.root.join("FLAG")).map(drop).map_err(|cause| self.unusable(cause))
    }

    /// As a human does before arming.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove_flag(&self) -> Result<(), Error> {
        fs::remove_file(self.root.join("FLAG")).map_err(|cause| self.unusable(cause))
    }

    /// Whether a latch is on the stage's disk.
    pub(crate) fn is_latched(&self) -> bool {
        latch::presence(&self.root.join("state").join(LATCH_FILE)) == Presence::Present
    }

    fn unusable(&self, cause: io::Error) -> Error {
        Error::StateUnusable { path: self.root.clone(), cause }
    }
}

/// Whatever else a watchdog can do is off when it is not named.
fn config_text(root: &Path, url: &str, plan: &Path) -> String {
    let config = json!({
        "state_dir": root.join("state"),
        "socket": root.join("lease.sock"),
        "kill_switch_file": root.join("FLAG"),
        "host": { "mode": "spawn", "command": [PROGRAM, "drill-host", "--plan", plan] },
        "broker": { "trading_url": url, "requests_per_minute": REQUESTS_PER_MINUTE },
        "kill": { "confirm_ms": CONFIRM_MS },
        "admin": { "listen": "off" },
    });
    toml::to_string(&config).expect("texts and numbers are TOML")
}

fn write_to_last(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A line of the staging watchdog's log.
pub(crate) struct Heard {
    /// When we read it: never before it happened.
    pub(crate) at: BootTime,
    /// The line.
    pub(crate) text: String,
}

/// The staging watchdog. Dropped, it is killed.
pub(crate) struct Dog {
    process: Option<HostProcess>,
    lines: Receiver<Heard>,
    newest: String,
}

impl Dog {
    /// The log since the last call.
    ///
    /// # Errors
    /// [`Error::DrillFailed`] when it has ended; nobody asked it to.
    pub(crate) fn listen(&mut self) -> Result<Vec<Heard>, Error> {
        let has_ended = self.has_ended();
        let heard: Vec<Heard> = self.lines.try_iter().take(MAX_WAITING).collect();
        if let Some(last) = heard.last() {
            self.newest.clone_from(&last.text);
        }
        if has_ended && heard.is_empty() {
            return Err(Error::DrillFailed(format!(
                "the staging watchdog ended; it said last: {}",
                self.newest
            )));
        }
        Ok(heard)
    }

    /// Whether the process is over.
    pub(crate) fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        self.process.as_ref().is_none_or(|process| {
            poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
        })
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        // Gone already: the caller waits for the end anyway.
        let _: Option<io::Result<()>> = self.process.as_ref().map(HostProcess::terminate);
    }

    /// Ends it at once.
    pub(crate) fn kill(&self) {
        let _: Option<io::Result<()>> = self.process.as_ref().map(HostProcess::kill);
    }

    /// How it ended; waits for the end.
    pub(crate) fn ending(&mut self) -> Ending {
        self.process.take().map(HostProcess::ending).unwrap_or_default()
    }
}

impl Drop for Dog {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            let _: io::Result<()> = process.kill();
            process.ending();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_stage_has_a_configuration_of_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        // What a path may hold.
        let state_dir = dir.path().join("a \"b\" \\ é");
        fs::create_dir(&state_dir).expect("created");
        let key = Credentials { key_id: "k".into(), secret_key: "s".into() };
        assert_eq!(left_behind(&state_dir).expect("readable"), None);
        Staging::build(&state_dir, "http://127.0.0.1:1", key.clone(), "id-1", "SPY").expect("built");
        let root = state_dir.join(FOLDER);
        let config = Config::load(&root.join("watchdog.toml"), |_| None).expect("a configuration");
        assert_eq!(config.state_dir, root.join("state"));
        assert_eq!(config.kill_switch_file, root.join("FLAG"));
        assert_eq!(config.drill.every(), None, "a stage holds no drills");
        assert_eq!(left_behind(&state_dir).expect("readable"), Some("id-1".into()));
        assert!(Staging::build(&state_dir, "http://127.0.0.1:1", key, "id-2", "SPY").is_err());
        remove(&state_dir).expect("removed");
        remove(&state_dir).expect("nothing is there");
        assert_eq!(left_behind(&state_dir).expect("readable"), None);
    }
}
