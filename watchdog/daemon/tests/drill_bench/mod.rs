//! Two brokers on loopback, one of the traded account and one of the drill account, and a watchdog's
//! directory.

mod broker;

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    time::{ClockId, clock_gettime},
};
use sandpit_contract::Status;
use serde_json::Value;

pub(crate) use broker::Broker;

const WATCHDOG: &str = env!("CARGO_BIN_EXE_sandpit-watchdog");

/// Milliseconds of the machine's own clock.
fn boot_ms() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// A pause that ends.
pub(crate) fn pause(span: Duration) {
    let (_never, pause) = channel::<()>();
    let _: Result<(), RecvTimeoutError> = pause.recv_timeout(span);
}

/// Waits until `is_done`, at most so long.
pub(crate) fn wait(what: &str, longest: Duration, mut is_done: impl FnMut() -> bool) {
    let end = boot_ms() + i64::try_from(longest.as_millis()).expect("short");
    while !is_done() {
        assert!(boot_ms() <= end, "{what} did not come within {longest:?}");
        pause(Duration::from_millis(5));
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, signal).expect("it is there");
}

/// A watchdog's directory with a drill account.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
    pub(crate) traded: Broker,
    pub(crate) drill: Broker,
    /// Added to `[drill]`.
    pub(crate) settings: String,
    pub(crate) drill_key: &'static str,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        // A busy machine is slow: where the bounds are not the matter, they are wide.
        let bounds = ["fenced", "host_dead", "latched", "suspended", "first_cancel", "zero_seen", "resume"];
        let settings = bounds.map(|name| format!("bounds.{name}_ms = 20000\n")).concat();
        Self {
            directory,
            traded: Broker::start("traded-account"),
            drill: Broker::start("drill-account"),
            settings,
            drill_key: "drill-key",
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn config(&self) -> PathBuf {
        let at = |name: &str| self.directory.path().join(name);
        let text = format!(
            "state_dir = {:?}\nsocket = {:?}\nkill_switch_file = {:?}\n[host]\nmode = \"attach\"\n[broker]\n\
             trading_url = {:?}\n[admin]\nlisten = \"off\"\n[drill]\ntrading_url = {:?}\norders = 6\n{}",
            self.state(),
            at("lease.sock"),
            at("KILL"),
            self.traded.url,
            self.drill.url,
            self.settings,
        );
        fs::write(at("watchdog.toml"), text).expect("written");
        at("watchdog.toml")
    }

    /// The socket, where every user may come to it.
    pub(crate) fn open_to_all(&self) -> PathBuf {
        let socket = self.directory.path().join("lease.sock");
        fs::set_permissions(self.directory.path(), Permissions::from_mode(0o711)).expect("ours");
        fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("ours");
        socket
    }

    pub(crate) fn put_flag(&self) {
        fs::write(self.directory.path().join("KILL"), b"").expect("written");
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(WATCHDOG);
        command.args(arguments).arg("--config").arg(self.config()).env_clear();
        command.env("APCA_API_KEY_ID", "traded-key").env("APCA_API_SECRET_KEY", "traded-secret");
        command.env("DRILL_APCA_API_KEY_ID", self.drill_key).env("DRILL_APCA_API_SECRET_KEY", "drill-secret");
        // What would lead a stage astray.
        command.env("KILL_SWITCH_FILE", self.directory.path().join("KILL"));
        command.env("JOURNAL_STREAM", "1:2");
        command
    }

    /// A drill: exit code, record if any was printed, everything it said.
    pub(crate) fn drill(&self) -> (Option<i32>, Option<Value>, String) {
        let output = self.command(&["drill", "--json"]).output().expect("it runs");
        Self::result(&output)
    }

    pub(crate) fn result(output: &Output) -> (Option<i32>, Option<Value>, String) {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let record = serde_json::from_str(&said).ok();
        (output.status.code(), record, said + &String::from_utf8_lossy(&output.stderr))
    }

    pub(crate) fn start_drill(&self) -> Child {
        let mut command = self.command(&["drill", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    }

    /// Lines of `drills.jsonl`.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state().join("drills.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }

    pub(crate) fn status(&self) -> Option<Status> {
        let output = self.command(&["status", "--json"]).output().expect("it runs");
        serde_json::from_slice(&output.stdout).ok()
    }

    /// The real watchdog.
    pub(crate) fn run(&self) -> Dog {
        let mut child = self.command(&["run"]).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = child.stderr.take().expect("piped");
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                println!("{line}");
                let _: Result<(), _> = tell.send(line);
            }
        });
        Dog { child, lines }
    }
}

/// A running watchdog; it ends with the test.
pub(crate) struct Dog {
    child: Child,
    lines: Receiver<String>,
}

impl Dog {
    /// The next log line that holds `words`.
    pub(crate) fn line(&self, words: &str, longest: Duration) -> String {
        let end = boot_ms() + i64::try_from(longest.as_millis()).expect("short");
        loop {
            let left = u64::try_from(end - boot_ms()).unwrap_or(0);
            match self.lines.recv_timeout(Duration::from_millis(left)) {
                Ok(line) if line.contains(words) => return line,
                Ok(_) => {}
                Err(_) => panic!("{words:?} was not logged within {longest:?}"),
            }
        }
    }
}

impl Drop for Dog {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<std::process::ExitStatus> = self.child.wait();
    }
}
