//! A watchdog in a directory of its own, its host, and its broker.

#![allow(dead_code, reason = "each suite uses its part of the bench")]

mod desk;
pub(crate) mod host;
mod worth;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process, test_kill_process},
    time::{ClockId, clock_gettime},
};
use sandpit_contract::{State, Status};

pub(crate) use desk::Desk;
pub(crate) use host::fake_host_main;
pub(crate) use worth::Worth;

const WATCHDOG: &str = env!("CARGO_BIN_EXE_sandpit-watchdog");

/// Milliseconds of the machine's own clock.
pub(crate) fn boot_ms() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// Asks until `is_done` or the bound; true when the bound was reached.
pub(crate) fn bound(longest: Duration, mut is_done: impl FnMut() -> bool) -> bool {
    let end = boot_ms() + i64::try_from(longest.as_millis()).expect("short");
    let (_never, pause) = channel::<()>();
    while !is_done() {
        if boot_ms() > end {
            return true;
        }
        let _: Result<(), RecvTimeoutError> = pause.recv_timeout(Duration::from_millis(5));
    }
    false
}

fn process(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id")
}

pub(crate) fn signal(pid: u32, name: &str) {
    let signal = match name {
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        _ => Signal::KILL,
    };
    kill_process(process(pid), signal).expect("it is there");
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    test_kill_process(process(pid)).is_ok() && !stat.contains(") Z ")
}

/// The account: answers what the watchdog asks, and remembers it.
#[derive(Default)]
struct Account {
    open: usize,
    is_down: bool,
    fails_after_patch: bool,
    refuses_key: bool,
    is_suspended: bool,
    requests: Vec<String>,
    connections: usize,
    /// Where a test cares what the orders are.
    desk: Option<Desk>,
    worth: Worth,
}

/// A broker on loopback.
pub(crate) struct Broker {
    url: String,
    account: Arc<Mutex<Account>>,
}

impl Broker {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let account = Arc::new(Mutex::new(Account::default()));
        let shared = Arc::clone(&account);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                shared.lock().expect("no test panics with it").connections += 1;
                std::thread::spawn(move || answer(&stream, &shared));
            }
        });
        Self { url, account }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().expect("no test panics with it")
    }

    pub(crate) fn open(&self, orders: usize) {
        self.account().open = orders;
    }

    /// From now on the orders are those of a desk.
    pub(crate) fn desk(&self, change: impl FnOnce(&mut Desk)) {
        change(self.account().desk.get_or_insert_default());
    }

    /// So many were opened.
    pub(crate) fn connections(&self) -> usize {
        self.account().connections
    }

    /// From now on every connection ends without an answer.
    pub(crate) fn go_down(&self) {
        self.account().is_down = true;
    }

    /// As `go_down`, once the next change of the configuration is answered.
    pub(crate) fn fail_after_patch(&self) {
        self.account().fails_after_patch = true;
    }

    /// From now on the key is not taken.
    pub(crate) fn refuse_key(&self, refuses: bool) {
        self.account().refuses_key = refuses;
    }

    /// Changes what the account is worth.
    pub(crate) fn worth(&self, change: impl FnOnce(&mut Worth)) {
        change(&mut self.account().worth);
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.account().is_suspended
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.account().requests.clone()
    }
}

/// One connection, kept open for as many requests as come.
fn answer(stream: &TcpStream, account: &Mutex<Account>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        if !matches!(reader.read_line(&mut line), Ok(bytes) if bytes > 0) {
            return;
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).is_err() || header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let request =
            format!("{} {}", line.trim().trim_end_matches(" HTTP/1.1"), String::from_utf8_lossy(&body));
        let mut account = account.lock().expect("no test panics with it");
        if account.is_down {
            return;
        }
        let (status, text) = act(request.trim(), &mut account);
        drop(account);
        let pause = if status == 429 { "Retry-After: 1\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status} X\r\n{pause}Content-Length: {}\r\n\r\n", text.len());
        let mut stream = stream;
        if stream.write_all((head + &text).as_bytes()).is_err() {
            return;
        }
    }
}

fn act(request: &str, account: &mut Account) -> (u16, String) {
    account.requests.push(request.into());
    let order = |n: usize| format!(r#"{{"id":"o{n}","status":"new","symbol":"A"}}"#);
    if account.refuses_key {
        return (401, String::new());
    }
    let is_suspended = account.is_suspended;
    if let Some(answer) = account.desk.as_mut().and_then(|desk| desk.act(request, is_suspended)) {
        return answer;
    }
    match request.split(['?', ' ']).take(2).collect::<Vec<_>>()[..] {
        ["PATCH", _] => {
            account.is_down = account.fails_after_patch;
            account.is_suspended = request.contains("true");
            (200, format!(r#"{{"suspend_trade":{}}}"#, account.is_suspended))
        }
        ["GET", "/v2/account/configurations"] => {
            (200, format!(r#"{{"suspend_trade":{}}}"#, account.is_suspended))
        }
        ["DELETE", "/v2/orders"] => {
            let rows: Vec<_> =
                (0..account.open).map(|n| format!(r#"{{"id":"o{n}","status":200}}"#)).collect();
            account.open = 0;
            (207, format!("[{}]", rows.join(",")))
        }
        ["GET", "/v2/orders"] if request.contains("status=all") => {
            (200, account.worth.accepted_since(request))
        }
        ["GET", "/v2/orders"] => {
            (200, format!("[{}]", (0..account.open).map(order).collect::<Vec<_>>().join(",")))
        }
        ["GET", "/v2/positions"] => (200, account.worth.positions()),
        ["GET", "/v2/account"] => (200, account.worth.account()),
        ["GET", "/v2/account/activities"] => (200, account.worth.activities()),
        _ => (404, String::new()),
    }
}

/// A directory with a configuration.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
    mode: &'static str,
    pub(crate) broker: Broker,
    /// Further variables of the watchdog's environment.
    pub(crate) variables: Vec<(String, String)>,
}

impl Bench {
    pub(crate) fn new(mode: &'static str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("state")).expect("created");
        Self { directory, mode, broker: Broker::start(), variables: Vec::new() }
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.directory.path().join("state").join(name)
    }

    pub(crate) fn flag(&self) -> PathBuf {
        self.directory.path().join("FLAG")
    }

    fn config_path(&self) -> PathBuf {
        self.directory.path().join("watchdog.toml")
    }

    pub(crate) fn config_text(&self) -> String {
        let state = self.directory.path().join("state");
        let host = std::env::current_exe().expect("a path");
        format!(
            "state_dir = {state:?}\nsocket = {:?}\nkill_switch_file = {:?}\n[host]\nmode = {:?}\ncommand = \
             [{host:?}, \"--exact\", \"fake_host\", \"--ignored\", \"--nocapture\"]\n[broker]\ntrading_url \
             = {:?}\n[kill]\nconfirm_ms = 1000\n[admin]\nlisten = \"off\"\n",
            self.state("lease.sock"),
            self.flag(),
            self.mode,
            self.broker.url,
        )
    }

    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.config_path(), text).expect("written");
    }

    fn watchdog(&self, arguments: &[&str]) -> Command {
        if !self.config_path().exists() {
            self.write_config(&self.config_text());
        }
        let mut command = Command::new(WATCHDOG);
        command.args(arguments).arg("--config").arg(self.config_path());
        command.env("APCA_API_KEY_ID", "key").env("APCA_API_SECRET_KEY", "secret");
        command.env("FAKE_HOST_STATE", self.directory.path().join("state"));
        command.envs(self.variables.iter().map(|(name, text)| (name, text)));
        command.env_remove("KILL_SWITCH_FILE").env_remove("JOURNAL_STREAM");
        command.env_remove("PANIC_TOKEN").env_remove("PANIC_TOKEN_FILE");
        command
    }

    /// Exit code, and standard output and error together.
    pub(crate) fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        finish(self.watchdog(arguments))
    }

    pub(crate) fn command_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        let mut command = self.watchdog(arguments);
        command.envs(variables.iter().copied());
        finish(command)
    }

    pub(crate) fn command_without_key(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.watchdog(arguments);
        command.env_remove("APCA_API_KEY_ID");
        finish(command)
    }

    pub(crate) fn arm(&self) {
        let (code, text) = self.command(&["arm", "--reason", "a test"]);
        assert_eq!(code, Some(0), "{text}");
    }

    pub(crate) fn run(&self) -> Dog {
        self.run_with(&[])
    }

    /// With further variables in its environment.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)]) -> Dog {
        let mut command = self.watchdog(&["run"]);
        command.envs(variables.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
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

    /// A host that the test starts, for mode `attach`.
    pub(crate) fn start_host(&self) -> Child {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["--exact", "fake_host", "--ignored", "--nocapture"]).stdout(Stdio::null());
        command.env("FAKE_HOST_STATE", self.directory.path().join("state")).spawn().expect("it starts")
    }

    /// How many hosts have started so far.
    pub(crate) fn host_starts(&self) -> usize {
        fs::read_to_string(self.state("starts")).unwrap_or_default().lines().count()
    }

    /// Asks for the status until it is as wanted.
    pub(crate) fn wait(&self, longest: Duration, is_wanted: impl Fn(&Status) -> bool) -> Status {
        let mut last = (None, String::new());
        let is_late = bound(longest, || {
            last = self.command(&["status", "--json"]);
            serde_json::from_str(&last.1).is_ok_and(|status| is_wanted(&status))
        });
        assert!(!is_late, "after {longest:?} the status is still {last:?}");
        serde_json::from_str(&last.1).expect("just read")
    }

    pub(crate) fn leased(&self, longest: Duration) -> Status {
        self.wait(longest, |status| status.state == State::Leased)
    }
}

fn finish(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().expect("it runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// A running watchdog; it, and the host it started, end with the test.
pub(crate) struct Dog {
    child: Child,
    lines: Receiver<String>,
}

impl Dog {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a log line that holds `words`.
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

    /// SIGTERM; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        kill_process(process(self.pid()), Signal::TERM).expect("it runs");
        self.child.wait().expect("our child").code()
    }
}

impl Drop for Dog {
    fn drop(&mut self) {
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<std::process::ExitStatus> = self.child.wait();
    }
}
